/* roofline.c - see roofline.h. */
#include "experiments/common/roofline.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "ops.h"

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

double median_of(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

static double between(const double *sorted, int n, double share)
{
    double at = share * (n - 1);
    int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

Quartiles quartiles_of(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return (Quartiles){n, between(x, n, 0.25), between(x, n, 0.5), between(x, n, 0.75)};
}

/* ---------------------------------------------------------------- arithmetic */
/* Chains of x = x a + b that do not wait for one another: enough for two units of latency 4 to 6.  Each returns how
 * many multiply-adds were made; *sink keeps the compiler from leaving them out. */
enum { CHAINS = 12 };
typedef double (*FmaLoop)(long rounds, float *sink);

#if defined __x86_64__
#define FMA_LOOP(name, isa, Vector, width, set1, fmadd)                     \
    __attribute__((target(isa))) static double name(long rounds, float *sink) \
    {                                                                       \
        Vector x[CHAINS], a = set1(0.999f), b = set1(0.001f);               \
        for (int i = 0; i < CHAINS; i++)                                    \
            x[i] = set1((float)i);                                          \
        for (long r = 0; r < rounds; r++)                                   \
            for (int i = 0; i < CHAINS; i++)                                \
                x[i] = fmadd(x[i], a, b);                                   \
        for (int i = 1; i < CHAINS; i++)                                    \
            x[0] = fmadd(x[i], a, x[0]);                                    \
        memcpy(sink, &x[0], sizeof *sink);                                  \
        return (double)rounds * CHAINS * (width);                           \
    }
FMA_LOOP(fma_avx512, "avx512f", __m512, 16, _mm512_set1_ps, _mm512_fmadd_ps)
FMA_LOOP(fma_avx2, "avx2,fma", __m256, 8, _mm256_set1_ps, _mm256_fmadd_ps)

/* Two products of bfloat16 a lane, added to a float: x stays near zero, as a and b are small. */
__attribute__((target("avx512f,avx512bf16"))) static double pairs_avx512(long rounds, float *sink)
{
    __m512 x[CHAINS];
    __m512bh a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-3f), _mm512_set1_ps(-1e-3f));
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbf16_ps(x[i], a, a);
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm512_add_ps(x[0], x[i]);
    memcpy(sink, &x[0], sizeof *sink);
    return (double)rounds * CHAINS * 32;
}
#endif

static double fma_plain(long rounds, float *sink)
{
    typedef float Vector __attribute__((vector_size(16)));
    Vector x[CHAINS], a = {0.999f, 0.999f, 0.999f, 0.999f}, b = {0.001f, 0.001f, 0.001f, 0.001f};
    for (int i = 0; i < CHAINS; i++)
        x[i] = b * (float)i;
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * a + b;
    for (int i = 1; i < CHAINS; i++)
        x[0] = x[0] + x[i];
    *sink = x[0][0];
    return (double)rounds * CHAINS * 4;
}

static FmaLoop best_loop(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return fma_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return fma_avx2;
#endif
    return fma_plain;
}

/* NULL where the processor has no vectors of bfloat16. */
static FmaLoop pairs_loop(void)
{
#if defined __x86_64__
    unsigned a, b, c, d;
    enum { AVX512_BF16 = 1 << 5 };
    if (__builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & AVX512_BF16)
        return pairs_avx512;
#endif
    return NULL;
}

static double host_flop_rate(FmaLoop loop)
{
    double best = 0;
    for (int attempt = 0; attempt < 5; attempt++) {
        double made = 0, start = seconds_now();
#pragma omp parallel reduction(+ : made)
        {
            float sink;
            made += loop(2000000, &sink);
            if (sink != sink)
                made = 0;
        }
        double rate = 2 * made / (seconds_now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---------------------------------------------------------------- memory */
static size_t last_level_cache(void)
{
    long bytes = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    return bytes > 0 ? (size_t)bytes : (size_t)32 << 20;
}

static double host_byte_rate(void)
{
    const size_t piece = 1 << 16;
    size_t bytes = 2 * last_level_cache();
    bytes = (bytes < (size_t)128 << 20 ? (size_t)128 << 20 : bytes > (size_t)512 << 20 ? (size_t)512 << 20 : bytes);
    char *from = must_alloc(bytes), *to = must_alloc(bytes);
    memset(from, 1, bytes);
    memset(to, 1, bytes);
    double best = 0;
    for (int attempt = 0; attempt < 3; attempt++) {
        double start = seconds_now();
#pragma omp parallel for schedule(static)
        for (size_t at = 0; at < bytes; at += piece)
            memcpy(to + at, from + at, bytes - at < piece ? bytes - at : piece);
        double rate = 2 * (double)bytes / (seconds_now() - start);
        best = rate > best ? rate : best;
    }
    free(from);
    free(to);
    return best;
}

int sweep_open(Sweep *s, Device *device)
{
    size_t bytes = device->host_memory ? 2 * last_level_cache() : (size_t)256 << 20;
    *s = (Sweep){.device = device, .bytes = bytes < (size_t)64 << 20 ? (size_t)64 << 20 : bytes};
    s->memory = device->alloc(device, s->bytes);
    if (s->memory)
        device->fill(device, s->memory, 0, s->bytes);
    return s->memory ? 0 : -1;
}

void sweep_caches(Sweep *s)
{
    if (!s->device->host_memory) {
        s->device->fill(s->device, s->memory, 1, s->bytes);
        return;
    }
    /* Not memset: its stores may go past the caches. */
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < s->bytes; i += 64)
        s->memory[i]++;
}

void sweep_close(Sweep *s)
{
    if (s->memory)
        s->device->free(s->device, s->memory);
    *s = (Sweep){0};
}

/* ---------------------------------------------------------------- devices without host memory */
double seconds_on(Device *d, int (*work)(void *what), void *what, int times)
{
    double start = seconds_now();
    int bad = d->sync(d, "waiting") || (d->mark && d->mark(d, 0));
    for (int i = 0; i < times && !bad; i++)
        bad = work(what);
    if (bad)
        return -1;
    if (d->mark)
        return d->mark(d, 1) || d->sync(d, "timing") ? -1 : d->between(d, 0, 1);
    return d->sync(d, "timing") ? -1 : seconds_now() - start;
}

enum { ATTEMPTS = 5, QUEUED = 8 };

static size_t side(void)
{
    const char *text = getenv("GUISE_ROOFLINE");
    long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n <= 8192 ? (size_t)n : 8192;
}

static int run_plan(void *plan)
{
    return plan_run(plan);
}

/* Best of some runs of a product of two square matrices, after one to warm up. */
static int product_rate(const char *device, Device *d, double *rate)
{
    int64_t n = (int64_t)side();
    Store *s = store_create(device, 1);
    if (!s)
        return -1;
    Prog *p = prog_create(s);
    Val y = op_matmul(prog_input(p, "x", F32, SHAPE(n, n)), prog_input(p, "w", F32, SHAPE(n, n)), NONE,
                      (MatmulAttrs){0});
    Plan *plan = plan_compile(p, (PlanOpts){.name = "ceiling", .outputs = VALS(y)});
    int bad = !plan || seconds_on(d, run_plan, plan, 1) < 0;
    *rate = 0;
    for (int attempt = 0; attempt < ATTEMPTS && !bad; attempt++) {
        double seconds = seconds_on(d, run_plan, plan, QUEUED), r = QUEUED * 2.0 * (double)(n * n * n) / seconds;
        bad = seconds < 0;
        *rate = r > *rate ? r : *rate;
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return bad ? -1 : 0;
}

/* In every precision that there is; plans go on in the one that was asked for. */
static int product_rates(const char *device, Device *d, Roofline *out)
{
    Precision asked = engine_precision_now();
    int bad = 0;
    for (int p = 0; p < 3 && !bad; p++)
        if (!engine_precision(device, (Precision)p))
            bad = product_rate(device, d, &out->products[p]);
    if (engine_precision(device, asked))
        return -1;
    out->flop_rate = out->products[asked];
    return bad;
}

typedef struct Copying {
    Device *device;
    char *memory;
    size_t bytes;
} Copying;

static int copy_once(void *what)
{
    Copying *c = what;
    c->device->copy(c->device, c->memory + c->bytes, c->memory, c->bytes);
    return 0;
}

static int device_copy_rate(Device *d, double *rate)
{
    Copying c = {d, NULL, 8 * side() * side()};
    c.memory = d->alloc(d, 2 * c.bytes);
    *rate = 0;
    if (!c.memory)
        return -1;
    d->fill(d, c.memory, 0, 2 * c.bytes);
    int bad = 0;
    for (int attempt = 0; attempt < ATTEMPTS && !bad; attempt++) {
        double seconds = seconds_on(d, copy_once, &c, QUEUED), r = QUEUED * 2 * (double)c.bytes / seconds;
        bad = seconds < 0;
        *rate = r > *rate ? r : *rate;
    }
    d->free(d, c.memory);
    return bad ? -1 : 0;
}

/* "AMD EPYC, 2596 MHz" as Linux says it. */
static void name_processor(char *text, size_t size)
{
    char line[256], model[100] = "processor", clock[40] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (!value)
            continue;
        value += 1 + strspn(value + 1, " ");
        value[strcspn(value, "\n")] = 0;
        if (!strncmp(line, "model name", 10))
            snprintf(model, sizeof model, "%.99s", value);
        else if (!strncmp(line, "cpu MHz", 7))
            snprintf(clock, sizeof clock, ", %.0f MHz", atof(value));
    }
    if (f)
        fclose(f);
    snprintf(text, size, "%s%s", model, clock);
}

int roofline_measure(const char *device, Roofline *out)
{
    *out = (Roofline){0};
    Device *d = device_open(device);
    if (!d)
        return -1;
    int bad = 0;
    if (d->host_memory) {
        out->flop_rate = out->products[PRECISION_FP32] = host_flop_rate(best_loop());
        if (pairs_loop())
            out->products[PRECISION_BF16] = host_flop_rate(pairs_loop());
        out->byte_rate = host_byte_rate();
        name_processor(out->machine, sizeof out->machine);
    } else {
        bad = product_rates(device, d, out) || device_copy_rate(d, &out->byte_rate);
        d->about(d, out->machine, sizeof out->machine);
    }
    device_close(d);
    return bad ? -1 : 0;
}
