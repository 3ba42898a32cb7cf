/* batch_norm.c - batch_norm, batch_norm_leaky_relu (which is batch_norm when slope is 1) and their gradients.
 *
 * Work is cut into units that share statistics: a block of 16 channels in C16, 16 neighbouring channels of (B, C),
 * one channel of plain (B, C, H, W).  A unit's values are cut into chunks of at most 16 KiB, whatever the number of
 * threads.  A chunk is read twice from the first-level cache, for its mean and for the deviations from it, so a large
 * mean costs no accuracy; chunks are put together in double.  Padding channels get the factor 0 and stay zero.
 *   bound   memory: 12 bytes an element forward (x twice, y), 20 backward (x and dy twice, dx); with a residual 16
 *           and 28 */
#include "engine/ops/batch_norm_leaky_relu.h"

#include <omp.h>

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));

enum { CHUNK_ROWS = 256 };
enum { RESIDUAL = 5 };   /* operand of batch_norm_leaky_relu */

/* How x lies in memory. */
typedef struct Map {
    enum { BLOCKS, ROWS, PLANES } kind;
    int64_t images, channels, pixels;   /* images: of one group */
    int64_t units, chunks;              /* chunks: of a unit in one group */
    int64_t parts;                      /* chunks an image */
    double count;                       /* values a channel in one group */
} Map;

/* `rows` rows of `lanes` values, `stride` apart, and behind them `tail` more values. */
typedef struct Chunk {
    int64_t at, rows, stride;
    int lanes, tail;
} Chunk;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static Map map_of(const Tensor *x, int groups)
{
    const int64_t *d = x->shape.dim;
    Map m = {.images = d[0] / groups, .channels = d[1], .pixels = x->shape.rank == 4 ? d[2] * d[3] : 1};
    m.kind = x->format == C16 ? BLOCKS : m.pixels == 1 ? ROWS : PLANES;
    m.units = m.kind == PLANES ? m.channels : channel_blocks(m.channels);
    int64_t most = m.kind == PLANES ? CHUNK_ROWS * LANES : CHUNK_ROWS;
    m.parts = (m.pixels + most - 1) / most;
    m.chunks = m.kind == ROWS ? (m.images + CHUNK_ROWS - 1) / CHUNK_ROWS : m.images * m.parts;
    m.count = (double)(m.images * m.pixels);
    return m;
}

static Chunk chunk_of(const Map *m, int64_t unit, int64_t group, int64_t j)
{
    int64_t image = group * m->images + j / m->parts, from = j % m->parts * CHUNK_ROWS;
    if (m->kind == BLOCKS)
        return (Chunk){((image * m->units + unit) * m->pixels + from) * LANES, least(CHUNK_ROWS, m->pixels - from),
                       LANES, LANES, 0};
    if (m->kind == ROWS)
        return (Chunk){(group * m->images + j * CHUNK_ROWS) * m->channels + unit * LANES,
                       least(CHUNK_ROWS, m->images - j * CHUNK_ROWS), m->channels,
                       (int)least(LANES, m->channels - unit * LANES), 0};
    int64_t n = least(CHUNK_ROWS * LANES, m->pixels - from * LANES);
    return (Chunk){(image * m->channels + unit) * m->pixels + from * LANES, n / LANES, LANES, LANES, (int)(n % LANES)};
}

/* Channels of a unit: [first, first + n). */
static int unit_channels(const Map *m, int64_t unit, int64_t *first)
{
    *first = m->kind == PLANES ? unit : unit * LANES;
    return m->kind == PLANES ? 1 : (int)least(LANES, m->channels - *first);
}

/* ---------------------------------------------------------------- threads */
/* Who works on one unit: one thread, or all of them on a share of its chunks each. */
typedef struct Team {
    int me, size;
} Team;

static void wait_for(const Team *t)
{
    if (t->size > 1) {
#pragma omp barrier
    }
}

/* Units go to single threads where that comes out even, else all threads go through one unit after the other. */
static bool split_units(const Map *m)
{
    int threads = omp_get_num_threads();
    return m->units >= 4 * threads || m->units % threads == 0;
}

/* Runs `unit_call`, which sees `unit` and `team`, on every unit. */
#define EACH_UNIT(m, unit_call)                                                                      \
    do {                                                                                             \
        const Team all = {omp_get_thread_num(), omp_get_num_threads()}, one = {0, 1};                \
        const bool split = split_units(m);                                                           \
        const Team *team = split ? &one : &all;                                                      \
        for (int64_t unit = split ? all.me : 0; unit < (m)->units; unit += split ? all.size : 1)     \
            unit_call;                                                                               \
    } while (0)

/* ---------------------------------------------------------------- sixteen values */
#define INLINE static inline __attribute__((always_inline))

INLINE void load(Vec *v, const float *from, int lanes)
{
    if (lanes == LANES)
        *v = *(const Vec *)from;
    else
        memcpy(v, from, sizeof(float) * (size_t)lanes);
}

INLINE void store(float *to, const Vec *v, int lanes)
{
    if (lanes == LANES)
        *(Vec *)to = *v;
    else
        memcpy(to, v, sizeof(float) * (size_t)lanes);
}

/* How a result is written: as it is; whole rows past the caches, since a large result would only drive out what is
 * still to be read; whole rows in bfloat16. */
typedef enum Way { STORE, STREAM, HALF } Way;

INLINE void put(void *to, int64_t at, const Vec *v, int lanes, Way way)
{
    if (way == HALF)
        for (int l = 0; l < LANES; l++)
            ((uint16_t *)to)[at + l] = bf16_of((*v)[l]);
#ifdef __AVX512F__
    else if (way == STREAM)
        _mm512_stream_ps((float *)to + at, (__m512)*v);
#endif
    else
        store((float *)to + at, v, lanes);
}

/* v where z > 0, slope v elsewhere. */
INLINE void leak(Vec *v, const Vec *z, float slope)
{
    Mask up = *z > 0, a, b;
    Vec down = slope * *v;
    memcpy(&a, v, sizeof a);
    memcpy(&b, &down, sizeof b);
    a = (a & up) | (b & ~up);
    memcpy(v, &a, sizeof a);
}

static float sum_of(const Vec *v)
{
    float s = 0;
    for (int l = 0; l < LANES; l++)
        s += (*v)[l];
    return s;
}

/* Runs a block on every row of a chunk and on its tail; `at` is the row's place, n its number of lanes, and u counts
 * the accumulators that hide the latency of an addition. */
enum { UNROLL = 4 };
#define EACH_ROW(c, lanes, ...)                                                              \
    do {                                                                                     \
        int64_t at = (c)->at, row = 0;                                                       \
        for (const int n = (lanes); row + UNROLL <= (c)->rows; row += UNROLL)                \
            for (int u = 0; u < UNROLL; u++, at += (c)->stride)                              \
                __VA_ARGS__                                                                  \
        for (const int n = (lanes), u = 0; row < (c)->rows; row++, at += (c)->stride)        \
            __VA_ARGS__                                                                      \
        for (const int n = (c)->tail, u = 0; row == (c)->rows && n; row++)                   \
            __VA_ARGS__                                                                      \
    } while (0)

INLINE void sum_up(Vec *v)
{
    v[0] = (v[0] + v[1]) + (v[2] + v[3]);
}

/* ---------------------------------------------------------------- statistics */
/* What a chunk or a unit says of each lane; one lane only in PLANES. */
typedef struct Stats {
    double mean[LANES], squares[LANES];
} Stats;

static double chunk_count(const Chunk *c, bool plane)
{
    return plane ? (double)(c->rows * LANES + c->tail) : (double)c->rows;
}

INLINE void statistics(const float *x, const Chunk *c, int lanes, bool plane, Stats *out)
{
    double count = chunk_count(c, plane);
    Vec sum[UNROLL] = {{0}}, off[UNROLL] = {{0}}, squares[UNROLL] = {{0}}, shift;
    EACH_ROW(c, lanes, {
        Vec v = {0};
        load(&v, x + at, n);
        sum[u] += v;
    });
    sum_up(sum);
    shift = plane ? (Vec){0} + sum_of(sum) / (float)count : sum[0] / (float)count;
    EACH_ROW(c, lanes, {
        Vec v = shift;
        load(&v, x + at, n);
        v -= shift;
        off[u] += v;
        squares[u] += v * v;
    });
    sum_up(off);
    sum_up(squares);
    if (plane) {
        off[0][0] = sum_of(off);
        squares[0][0] = sum_of(squares);
    }
    for (int l = 0; l < (plane ? 1 : LANES); l++) {
        out->mean[l] = shift[l] + off[0][l] / count;
        out->squares[l] = squares[0][l] - (double)off[0][l] * off[0][l] / count;
    }
}

static void chunk_statistics(const float *x, const Chunk *c, bool plane, Stats *out)
{
    if (plane)
        statistics(x, c, LANES, true, out);
    else if (c->lanes == LANES)
        statistics(x, c, LANES, false, out);
    else
        statistics(x, c, c->lanes, false, out);
}

/* All chunks of a unit: sums of deviations from the first chunk's mean. */
static void join_statistics(const Map *m, int64_t unit, int64_t group, const Stats *part, Stats *out)
{
    double shift[LANES], off[LANES] = {0}, squares[LANES] = {0};
    memcpy(shift, part[0].mean, sizeof shift);
    for (int64_t j = 0; j < m->chunks; j++) {
        Chunk c = chunk_of(m, unit, group, j);
        double n = chunk_count(&c, m->kind == PLANES);
        for (int l = 0; l < LANES; l++) {
            double d = part[j].mean[l] - shift[l];
            off[l] += n * d;
            squares[l] += part[j].squares[l] + n * d * d;
        }
    }
    for (int l = 0; l < LANES; l++) {
        out->mean[l] = shift[l] + off[l] / m->count;
        out->squares[l] = squares[l] - off[l] * off[l] / m->count;
    }
}

/* Past the caches goes what is large and not over `operand`, when whole rows are aligned. */
static Way way_of(const Map *m, const Tensor *result, const void *operand)
{
    enum { LARGE = 2 << 20 };
    if (result->format == C16_BF16)
        return HALF;
    return m->kind == BLOCKS && cpu_elements(result) >= LARGE / 4 && (uintptr_t)result->data % sizeof(Vec) == 0 &&
           result->data != operand ? STREAM : STORE;
}

/* ---------------------------------------------------------------- forward */
/* Coefficients of each lane. */
typedef struct Lanes {
    Vec mean, scale, beta;
    Vec of_one, of_x;      /* backward: what the statistics take away */
} Lanes;

INLINE void normalise(const float *x, const float *added, void *y, const Chunk *c, int lanes, const Lanes *a,
                      bool leaky, float slope, Way way)
{
    Vec mean = a->mean, scale = a->scale, beta = a->beta;
    EACH_ROW(c, lanes, {
        (void)u;
        Vec v = {0}, r = {0};
        load(&v, x + at, n);
        v = (v - mean) * scale + beta;
        if (added) {
            load(&r, added + at, n);
            v += r;
        }
        if (leaky)
            leak(&v, &v, slope);
        put(y, at, &v, n, way);
    });
}

/* added: a residual, or NULL. */
static void chunk_normalise(const float *x, const float *added, void *y, const Chunk *c, const Lanes *a, float slope,
                            Way way)
{
    if (c->lanes != LANES)
        normalise(x, added, y, c, c->lanes, a, true, slope, STORE);
    else if (added && way == STREAM)
        normalise(x, added, y, c, LANES, a, true, slope, STREAM);
    else if (added && way == HALF)
        normalise(x, added, y, c, LANES, a, true, slope, HALF);
    else if (added)
        normalise(x, added, y, c, LANES, a, true, slope, STORE);
    else if (way == STREAM)
        normalise(x, NULL, y, c, LANES, a, true, slope, STREAM);
    else if (way == HALF)
        normalise(x, NULL, y, c, LANES, a, true, slope, HALF);
    else if (slope != 1)
        normalise(x, NULL, y, c, LANES, a, true, slope, STORE);
    else
        normalise(x, NULL, y, c, LANES, a, false, slope, STORE);
}

static float value(const KernelCall *k, int i, int64_t c, float otherwise)
{
    return i >= 0 && i < k->nin && tensor_here(&k->in[i]) ? FLOATS(k->in[i])[c] : otherwise;
}

/* Coefficients of a unit's channels; those of a plane fill all lanes, those beyond the last channel are 0. */
static Lanes lanes_of(const KernelCall *k, const Map *m, int64_t unit, int64_t group, const float *mean,
                      const float *rstd, int beta_at)
{
    Lanes a = {.mean = {0}};
    int64_t first;
    int n = unit_channels(m, unit, &first);
    for (int l = 0; l < (m->kind == PLANES ? LANES : n); l++) {
        int64_t c = m->kind == PLANES ? first : first + l;
        a.mean[l] = mean[group * m->channels + c];
        a.scale[l] = value(k, 1, c, 1) * rstd[group * m->channels + c];
        a.beta[l] = value(k, beta_at, c, 0);
    }
    return a;
}

/* Statistics of one unit and group into the results; running statistics move on. */
static void forward_statistics(KernelCall *k, const BatchNormAttrs *a, const Map *m, int64_t unit, int64_t group,
                               const Stats *s)
{
    int64_t first;
    int n = unit_channels(m, unit, &first);
    for (int l = 0; l < n; l++) {
        float *running_mean = FLOATS(k->out[3]) + first + l, *running_var = FLOATS(k->out[4]) + first + l;
        double mean = *running_mean, var = *running_var;
        if (a->training) {
            mean = s->mean[l];
            var = s->squares[l] / m->count;
            if (a->update) {
                double unbiased = s->squares[l] / (m->count - 1);
                *running_mean += a->momentum * (float)(mean - *running_mean);
                *running_var += a->momentum * (float)(unbiased - *running_var);
            }
        }
        FLOATS(k->out[1])[group * m->channels + first + l] = (float)mean;
        FLOATS(k->out[2])[group * m->channels + first + l] = (float)(1 / sqrt(var + (double)a->eps));
    }
}

static void forward_unit(KernelCall *k, const BatchNormAttrs *a, float slope, const Map *m, int64_t unit,
                         const Team *team)
{
    const float *x = FLOATS(k->in[0]);
    const float *added = k->nin > RESIDUAL && tensor_here(&k->in[RESIDUAL]) ? FLOATS(k->in[RESIDUAL]) : NULL;
    Way way = way_of(m, &k->out[0], x);
    Stats *part = (Stats *)k->workspace + unit * m->chunks, all = {{0}, {0}};
    int64_t first;
    int n = unit_channels(m, unit, &first);
    for (int l = 0; l < n && team->me == 0; l++) {
        FLOATS(k->out[3])[first + l] = value(k, 3, first + l, 0);
        FLOATS(k->out[4])[first + l] = value(k, 4, first + l, 1);
    }
    for (int64_t group = 0; group < a->groups; group++) {
        for (int64_t j = team->me; j < m->chunks && a->training; j += team->size) {
            Chunk c = chunk_of(m, unit, group, j);
            chunk_statistics(x, &c, m->kind == PLANES, &part[j]);
        }
        wait_for(team);
        if (team->me == 0) {
            if (a->training)
                join_statistics(m, unit, group, part, &all);
            forward_statistics(k, a, m, unit, group, &all);
        }
        wait_for(team);
        Lanes lanes = lanes_of(k, m, unit, group, FLOATS(k->out[1]), FLOATS(k->out[2]), 2);
        for (int64_t j = m->chunks - 1 - team->me; j >= 0; j -= team->size) {   /* what was read last is at hand */
            Chunk c = chunk_of(m, unit, group, j);
            chunk_normalise(x, added, k->out[0].data, &c, &lanes, slope, way);
        }
    }
}

static void forward(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    Map m = map_of(&k->in[0], a->groups);
#pragma omp parallel if (cpu_elements(&k->in[0]) > CPU_SERIAL)
    EACH_UNIT(&m, forward_unit(k, a, slope, &m, unit, team));
}

/* ---------------------------------------------------------------- backward */
/* dz of one row: dy through the activation. */
INLINE void masked(Vec *dz, const Vec *x, const Lanes *a, bool leaky, float slope)
{
    if (leaky) {
        Vec z = (*x - a->mean) * a->scale + a->beta;
        leak(dz, &z, slope);
    }
}

/* Sums of dz and of dz (x - mean), as mean and squares of Stats.  With y, beside a residual, that is the mask and dz
 * is kept. */
INLINE void sums(const float *x, const float *dy, const float *y, float *kept, const Chunk *c, int lanes,
                 const Lanes *coefficients, bool leaky, float slope, Stats *out)
{
    const Lanes a = *coefficients;
    Vec sum[UNROLL] = {{0}}, dot[UNROLL] = {{0}};
    EACH_ROW(c, lanes, {
        Vec v = {0}, dz = {0}, sign = {0};
        load(&v, x + at, n);
        load(&dz, dy + at, n);
        if (y) {
            load(&sign, y + at, n);
            leak(&dz, &sign, slope);
            store(kept + at, &dz, n);
        } else {
            masked(&dz, &v, &a, leaky, slope);
        }
        sum[u] += dz;
        dot[u] += dz * (v - a.mean);
    });
    sum_up(sum);
    sum_up(dot);
    for (int l = 0; l < LANES; l++) {
        out->mean[l] = sum[0][l];
        out->squares[l] = dot[0][l];
    }
}

INLINE void gradient(const float *x, const float *dy, void *dx, const Chunk *c, int lanes, const Lanes *coefficients,
                     bool leaky, float slope, Way way)
{
    const Lanes a = *coefficients;
    EACH_ROW(c, lanes, {
        (void)u;
        Vec v = {0}, dz = {0};
        load(&v, x + at, n);
        load(&dz, dy + at, n);
        masked(&dz, &v, &a, leaky, slope);
        dz = dz * a.scale - a.of_one - (v - a.mean) * a.of_x;
        put(dx, at, &dz, n, way);
    });
}

/* What a backward pass reads and writes; y and dresidual: beside a residual, else NULL. */
typedef struct Backward {
    const float *x, *dy, *y;
    void *dx;
    float *dresidual, slope;
    Way way;
} Backward;

static void chunk_sums(const Backward *b, const Chunk *c, const Lanes *a, Stats *out)
{
    if (b->y && c->lanes == LANES)
        sums(b->x, b->dy, b->y, b->dresidual, c, LANES, a, true, b->slope, out);
    else if (b->y)
        sums(b->x, b->dy, b->y, b->dresidual, c, c->lanes, a, true, b->slope, out);
    else if (c->lanes != LANES)
        sums(b->x, b->dy, NULL, NULL, c, c->lanes, a, true, b->slope, out);
    else if (b->slope != 1)
        sums(b->x, b->dy, NULL, NULL, c, LANES, a, true, b->slope, out);
    else
        sums(b->x, b->dy, NULL, NULL, c, LANES, a, false, b->slope, out);
}

static void chunk_gradient(const Backward *b, const Chunk *c, const Lanes *a)
{
    const float *dz = b->y ? b->dresidual : b->dy;
    float slope = b->y ? 1 : b->slope;
    if (c->lanes != LANES)
        gradient(b->x, dz, b->dx, c, c->lanes, a, true, slope, STORE);
    else if (b->way == STREAM)
        gradient(b->x, dz, b->dx, c, LANES, a, true, slope, STREAM);
    else if (b->way == HALF)
        gradient(b->x, dz, b->dx, c, LANES, a, true, slope, HALF);
    else if (slope != 1)
        gradient(b->x, dz, b->dx, c, LANES, a, true, slope, STORE);
    else
        gradient(b->x, dz, b->dx, c, LANES, a, false, slope, STORE);
}

/* Adds up the chunks; a plane's lanes too, into all of them. */
static void join_sums(const Map *m, const Stats *part, Stats *out)
{
    *out = (Stats){{0}, {0}};
    for (int64_t j = 0; j < m->chunks; j++)
        for (int l = 0; l < LANES; l++) {
            out->mean[l] += part[j].mean[l];
            out->squares[l] += part[j].squares[l];
        }
    if (m->kind != PLANES)
        return;
    for (int l = 1; l < LANES; l++) {
        out->mean[0] += out->mean[l];
        out->squares[0] += out->squares[l];
    }
    for (int l = 1; l < LANES; l++) {
        out->mean[l] = out->mean[0];
        out->squares[l] = out->squares[0];
    }
}

static void backward_unit(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope,
                          const Map *m, int64_t unit, const Team *team)
{
    const float *mean = FLOATS(k->in[mean_at]), *rstd = FLOATS(k->in[mean_at + 1]), *dy = FLOATS(k->in[mean_at + 2]);
    bool added = k->nout > 3;
    const Backward b = {FLOATS(k->in[0]), dy, added ? FLOATS(k->in[mean_at + 3]) : NULL, k->out[0].data,
                        added ? FLOATS(k->out[3]) : NULL, slope, way_of(m, &k->out[0], dy)};
    Stats *part = (Stats *)k->workspace + unit * m->chunks, all;
    int64_t first;
    int n = unit_channels(m, unit, &first);
    double dgamma[LANES] = {0}, dbeta[LANES] = {0};
    for (int64_t group = 0; group < a->groups; group++) {
        Lanes lanes = lanes_of(k, m, unit, group, mean, rstd, beta_at);
        for (int64_t j = team->me; j < m->chunks; j += team->size) {
            Chunk c = chunk_of(m, unit, group, j);
            chunk_sums(&b, &c, &lanes, &part[j]);
        }
        wait_for(team);
        join_sums(m, part, &all);
        wait_for(team);
        for (int l = 0; l < (m->kind == PLANES ? LANES : n); l++) {
            double r = rstd[group * m->channels + (m->kind == PLANES ? first : first + l)];
            dbeta[l] += all.mean[l];
            dgamma[l] += all.squares[l] * r;
            if (a->training) {
                lanes.of_one[l] = (float)(lanes.scale[l] * all.mean[l] / m->count);
                lanes.of_x[l] = (float)(lanes.scale[l] * all.squares[l] * r * r / m->count);
            }
        }
        for (int64_t j = m->chunks - 1 - team->me; j >= 0; j -= team->size) {
            Chunk c = chunk_of(m, unit, group, j);
            chunk_gradient(&b, &c, &lanes);
        }
    }
    for (int l = 0; l < n && team->me == 0; l++) {
        FLOATS(k->out[1])[first + l] = (float)dgamma[l];
        FLOATS(k->out[2])[first + l] = (float)dbeta[l];
    }
}

static void backward(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope)
{
    Map m = map_of(&k->in[0], a->groups);
#pragma omp parallel if (cpu_elements(&k->in[0]) > CPU_SERIAL)
    EACH_UNIT(&m, backward_unit(k, a, beta_at, mean_at, slope, &m, unit, team));
}

/* ---------------------------------------------------------------- the four ops */
static void batch_norm(KernelCall *k)
{
    forward(k, k->attrs, 1);
}

static void batch_norm_leaky_relu(KernelCall *k)
{
    const BatchNormLeakyReluAttrs *a = k->attrs;
    forward(k, &a->norm, a->slope);
}

static void batch_norm_grad(KernelCall *k)
{
    backward(k, k->attrs, -1, 2, 1);
}

static void batch_norm_leaky_relu_grad(KernelCall *k)
{
    const BatchNormLeakyReluGradAttrs *a = k->attrs;
    backward(k, &a->norm, 2, 3, a->slope);
}

/* Chunks of one group, which the groups take in turn; 1 group has the most. */
static int prepare(KernelCall *k)
{
    Map m = map_of(&k->in[0], 1);
    k->workspace_bytes = (size_t)(m.units * m.chunks) * sizeof(Stats);
    return 0;
}

/* Blocks of 16 channels where they fill more than they waste; x, dy and results of x's shape alike. */
static void formats(FormatChoice *f)
{
    Format want = f->in_shape[0].rank == 4 && f->in_shape[0].dim[1] >= LANES ? C16 : PLAIN;
    for (int i = 0; i < f->nin; i++)
        f->in[i] = f->in_shape[i].rank == 4 ? want : PLAIN;
    for (int j = 0; j < f->nout; j++)
        f->out[j] = f->out_shape[j].rank == 4 ? want : PLAIN;
}

/* dx may take the buffer of dy; beside a residual dresidual may. */
static int inplace_dy(const KernelCall *k, int result)
{
    int dy = k->op == op_find("batch_norm_grad") ? 4 : 5;
    return result == (k->nout > 3 ? 3 : 0) ? dy : -1;
}

KERNEL(batch_norm, cpu) = {.run = batch_norm, .prepare = prepare, .formats = formats, .inplace = inplace_first,
                           .bf16_results = 1};
KERNEL(batch_norm_leaky_relu, cpu) = {.run = batch_norm_leaky_relu, .prepare = prepare, .formats = formats,
                                      .inplace = inplace_first, .bf16_results = 1};
KERNEL(batch_norm_grad, cpu) = {.run = batch_norm_grad, .prepare = prepare, .formats = formats,
                                .inplace = inplace_dy, .bf16_results = 1};
KERNEL(batch_norm_leaky_relu_grad, cpu) = {.run = batch_norm_leaky_relu_grad, .prepare = prepare,
                                           .formats = formats, .inplace = inplace_dy, .bf16_results = 1};
