/* 130_random.c - the generator itself: known answers, exact bounds, distributions, and draws inside programs. */
#include "engine/random.h"

#include <math.h>

#include "engine/ops/constant.h"
#include "engine/ops/random.h"
#include "tests/test.h"

/* Random123's kat_vectors for philox4x32 with 10 rounds: counter, key, result. */
TEST(philox_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const uint32_t *c = vectors[i].counter, *k = vectors[i].key;
        Philox p = philox4x32(c[0], c[1], c[2], c[3], (uint64_t)k[1] << 32 | k[0]);
        for (int j = 0; j < 4; j++)
            ck_assert_msg(p.v[j] == vectors[i].want[j], "vector %zu word %d: %08x, published %08x", i, j, p.v[j],
                          vectors[i].want[j]);
    }
}

TEST(bits_are_blocks_of_four)
{
    /* Neighbours, neighbouring steps, names and seeds give different numbers; the same key the same. */
    uint64_t name = random_name("a");
    ck_assert_uint_eq(random_name(""), 0xcbf29ce484222325ull);
    ck_assert_uint_eq(random_name("a"), 0xaf63dc4c8601ec8cull);   /* FNV-1a's published value */
    for (uint64_t i = 0; i < 64; i++) {
        ck_assert_uint_eq(random_bits(1, name, 2, i), random_bits(1, name, 2, i));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(1, name, 2, i + 1));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(1, name, 3, i));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(2, name, 2, i));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(1, random_name("b"), 2, i));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(1, name, 2ull + (1ull << 32), i));
        ck_assert_uint_ne(random_bits(1, name, 2, i), random_bits(1, name, 2, i + (1ull << 34)));
    }
}

TEST(uniforms_lie_inside)
{
    ck_assert(random_unit(0) > 0);
    ck_assert(random_unit(0) == 0x1p-24f);
    ck_assert(random_unit(0xffffffffu) < 1);
    ck_assert(random_unit(0xffffffffu) == 1 - 0x1p-24f);
    /* 2^23 equal intervals, each hit in its middle. */
    for (uint32_t k = 0; k < 1u << 23; k += 997)
        ck_assert(random_unit(k << 9) == (float)((k + 0.5) / 8388608.0));
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

enum { DRAWS = 1 << 20 };

/* Largest distance between the empirical distribution of x (sorted here) and a distribution function, times the root
 * of the number of draws: above 1.95 once in a thousand samples if the distribution is right. */
static double kolmogorov(float *x, int n, double (*cdf)(double))
{
    double d = 0;
    qsort(x, (size_t)n, sizeof *x, by_value);
    for (int i = 0; i < n; i++) {
        double f = cdf(x[i]), over = (i + 1.0) / n - f, under = f - (double)i / n;
        d = over > d ? over : d;     /* fmax of fmax here ends GCC 12 for AArch64 in an internal error */
        d = under > d ? under : d;
    }
    return d * sqrt(n);
}

static double uniform_cdf(double x)
{
    return x;
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}

static void moments(const float *x, int n, double *m)
{
    for (int k = 0; k < 4; k++) {
        m[k] = 0;
        for (int i = 0; i < n; i++)
            m[k] += pow(x[i], k + 1);
        m[k] /= n;
    }
}

TEST(distributions)
{
    float *u = must_alloc(DRAWS * sizeof *u), *z = must_alloc(DRAWS * sizeof *z);
    Random r = random_stream(7, "distribution", 3);
    for (int i = 0; i < DRAWS; i++) {
        u[i] = random_uniform(&r);
        z[i] = random_normal_from(u[i]);
    }
    double m[4];
    moments(u, DRAWS, m);
    /* Five standard deviations of each mean over 2^20 draws: sqrt(variance of x^k) / 1024. */
    ck_assert_double_eq_tol(m[0], 1.0 / 2, 5 * 0.2887 / 1024);
    ck_assert_double_eq_tol(m[1], 1.0 / 3, 5 * 0.2981 / 1024);
    ck_assert_double_eq_tol(m[2], 1.0 / 4, 5 * 0.2835 / 1024);
    ck_assert_double_eq_tol(m[3], 1.0 / 5, 5 * 0.2667 / 1024);
    moments(z, DRAWS, m);
    ck_assert_double_eq_tol(m[0], 0, 5 * 1.0 / 1024);
    ck_assert_double_eq_tol(m[1], 1, 5 * 1.4142 / 1024);
    ck_assert_double_eq_tol(m[2], 0, 5 * 3.8730 / 1024);
    ck_assert_double_eq_tol(m[3], 3, 5 * 9.7980 / 1024);
    double du = kolmogorov(u, DRAWS, uniform_cdf), dz = kolmogorov(z, DRAWS, normal_cdf);
    printf("Kolmogorov-Smirnov: uniform %.3f, normal %.3f\n", du, dz);
    ck_assert_double_lt(du, 1.95);
    ck_assert_double_lt(dz, 1.95);
    free(u);
    free(z);
}

/* Distance in units of the last place of the exact value. */
static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, e - 24);
}

TEST(logarithm_within_2_ulp)
{
    double worst = 0;
    for (uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 1021) {
        float x;
        memcpy(&x, &bits, 4);
        if (x != 1)
            worst = fmax(worst, ulps(random_log(x), log((double)x)));
    }
    ck_assert(random_log(1) == 0);
    printf("random_log: worst %.2f ulp\n", worst);
    ck_assert_double_le(worst, 2);
}

/* The inverse error function is published with a relative error of 3e-7 in single precision. */
TEST(normals_invert_the_distribution)
{
    double worst = 0;
    for (uint32_t k = 1; k < 1u << 23; k += 499) {
        float u = random_unit(k << 9), z = random_normal_from(u);
        /* One Newton step from z in double, on the tail that does not cancel. */
        double tail = u < 0.5f ? (double)u : 1 - (double)u, x = -fabs((double)z);
        for (int i = 0; i < 3; i++)
            x -= (normal_cdf(x) - tail) / (exp(-x * x / 2) / sqrt(2 * M_PI));
        worst = fmax(worst, fabs(fabs((double)z) - -x) / fmax(-x, 1e-3));
    }
    printf("random_normal_from: worst relative error %.2g\n", worst);
    ck_assert_double_lt(worst, 1e-6);
    ck_assert(random_normal_from(random_unit(0)) < -5.2f && random_normal_from(random_unit(0)) > -5.5f);
    ck_assert(random_normal_from(random_unit(~0u)) == -random_normal_from(random_unit(0)));
}

/* Draws of a program on the device into out: uniforms, normals, and what dropout leaves of ones. */
enum { COUNT = 5003 };
typedef struct Drawn {
    float uniform[COUNT], normal[COUNT], kept[COUNT];
} Drawn;

static void draw(const char *device, float rate, int runs, Drawn *out)
{
    Store *s = store_create(device, 0x123456789abcdef0ull);
    HAVE(s);
    Prog *p = prog_create(s);
    Val r = prog_input(p, "rate", F32, SHAPE(1)), x = op_fill(p, SHAPE(COUNT), 1);
    Val u = op_random_uniform(prog_rng(p), "one", SHAPE(COUNT)), z = op_random_normal(prog_rng(p), "two", SHAPE(COUNT));
    Val y = op_dropout(x, r, prog_rng(p), "one");
    Plan *plan = plan_compile(p, (PlanOpts){.name = "draw", .outputs = VALS(u, z, y), .updates = prog_updates(p)});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    MUST(prog_write(p, r, &rate));
    for (int i = 0; i < runs; i++)
        MUST(plan_run(plan));
    MUST(plan_read(plan, u, out->uniform));
    MUST(plan_read(plan, z, out->normal));
    MUST(plan_read(plan, y, out->kept));
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static void check_device(const char *device)
{
    static Drawn first, third;
    float rate = 0.3f;
    draw(device, rate, 1, &first);
    draw(device, rate, 3, &third);
    for (int i = 0; i < COUNT; i++) {
        for (int step = 0; step < 3; step += 2) {
            const Drawn *d = step ? &third : &first;
            float u = random_unit(random_bits(0x123456789abcdef0ull, random_name("one"), (uint64_t)step, (uint64_t)i));
            float v = random_unit(random_bits(0x123456789abcdef0ull, random_name("two"), (uint64_t)step, (uint64_t)i));
            ck_assert_msg(d->uniform[i] == u, "%s: step %d, uniform %d is %.9g, not %.9g", device, step, i,
                          d->uniform[i], u);
            ck_assert_msg(ulps(d->normal[i], random_normal_from(v)) <= 2, "%s: step %d, normal %d is %.9g, not %.9g",
                          device, step, i, d->normal[i], random_normal_from(v));
            float kept = u >= rate ? 1 / (1 - rate) : 0;
            ck_assert_msg(fabsf(d->kept[i] - kept) <= 2e-7f * kept, "%s: step %d, dropout %d is %.9g", device, step, i,
                          d->kept[i]);
        }
    }
    draw(device, 0, 1, &first);
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(first.kept[i] == 1, "%s: dropout at rate 0 is not the identity", device);
    draw(device, 1, 1, &first);
    for (int i = 0; i < COUNT; i++)
        ck_assert_msg(first.kept[i] == 0, "%s: dropout at rate 1 leaves %g", device, first.kept[i]);
}

TEST(programs_on_reference)
{
    check_device("reference");
}

TEST(programs_on_cpu)
{
    check_device("cpu");
}

TEST(programs_on_cuda)
{
    Store *s = store_create("cuda", 0);
    if (!s)
        SKIP("cuda: %s", error_text());
    store_free(s);
    check_device("cuda");
}

/* The 64-bit step carries from its low to its high half. */
TEST(step_carries)
{
    Store *s = store_create("cpu", 5);
    HAVE(s);
    Prog *p = prog_create(s);
    prog_rng(p);
    Plan *plan = plan_compile(p, (PlanOpts){.name = "step", .updates = prog_updates(p)});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    int32_t rng[4] = {5, 0, -1, 6};
    int entry = store_find(s, "rng");
    MUST(store_write(s, entry, rng));
    MUST(plan_run(plan));
    MUST(store_read(s, entry, rng));
    ck_assert_int_eq(rng[0], 5);
    ck_assert_int_eq(rng[1], 0);
    ck_assert_int_eq(rng[2], 0);
    ck_assert_int_eq(rng[3], 7);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST_MAIN("random", philox_known_answers, bits_are_blocks_of_four, uniforms_lie_inside, distributions,
          logarithm_within_2_ulp, normals_invert_the_distribution, programs_on_reference, programs_on_cpu,
          programs_on_cuda, step_carries)
