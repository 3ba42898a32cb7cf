/* binary.c - broadcasting as nested loops of constant strides, the innermost one vector code.
 *
 * PLAIN and NHWC: axes that all operands run through alike are joined first, so that equal shapes, single values and
 * values per channel or per row become one or two long loops.  C16 with values per channel: the 16 values of a block
 * are repeated over a small tile, which then serves as an operand of full shape. */
#include "engine/ops/binary.h"

#include "kernels/cpu/elementwise.h"

/* n elements of y; a and b advance by 0 or 1 (or, for what formats never ask, by any stride). */
typedef void Row(float *y, const float *a, const float *b, int64_t sa, int64_t sb, int64_t n);

#define ROW(name, operator)                                                                          \
    static void name##_row(float *y, const float *a, const float *b, int64_t sa, int64_t sb, int64_t n) \
    {                                                                                                \
        if (sa == 1 && sb == 1) {                                                                    \
            _Pragma("omp simd")                                                                      \
            for (int64_t i = 0; i < n; i++)                                                          \
                y[i] = a[i] operator b[i];                                                           \
        } else if (sa == 1 && sb == 0) {                                                             \
            float v = *b;                                                                            \
            _Pragma("omp simd")                                                                      \
            for (int64_t i = 0; i < n; i++)                                                          \
                y[i] = a[i] operator v;                                                              \
        } else if (sa == 0 && sb == 1) {                                                             \
            float v = *a;                                                                            \
            _Pragma("omp simd")                                                                      \
            for (int64_t i = 0; i < n; i++)                                                          \
                y[i] = v operator b[i];                                                              \
        } else {                                                                                     \
            for (int64_t i = 0; i < n; i++)                                                          \
                y[i] = a[i * sa] operator b[i * sb];                                                 \
        }                                                                                            \
    }
ROW(add, +)
ROW(sub, -)
ROW(mul, *)
ROW(div, /)

enum { UNIT = 8192 };   /* elements of a piece of work */

static void run_strided(KernelCall *k, Row *row)
{
    Walk w = walk_broadcast(&k->out[0], &k->in[0], &k->in[1]);
    const float *a = FLOATS(k->in[0]), *b = FLOATS(k->in[1]);
    float *y = FLOATS(k->out[0]);
    int last = w.rank - 1;
    int64_t inner = w.dim[last], rows = walk_rows(&w), sa = w.stride[1][last], sb = w.stride[2][last];
    if (rows * inner == 0)
        return;
    Units units = units_of(rows, inner, UNIT);
#pragma omp parallel for if (rows * inner > CPU_SERIAL)
    for (int64_t i = 0; i < units.count; i++) {
        Unit u = unit_at(&units, i);
        WalkAt at = walk_row(&w, u.first);
        for (int64_t r = u.first; r < u.end; r++) {
            row(y + r * inner + u.start, a + at.offset[1] + u.start * sa, b + at.offset[2] + u.start * sb, sa, sb, u.n);
            walk_next(&w, &at);
        }
    }
}

enum { TILE = 16 };   /* pixels of a tile */

/* How a C16 result reads an operand: as it lies, or one value a channel, or one value. */
typedef struct Lane {
    const float *x;
    enum { LANE_FULL, LANE_CHANNEL, LANE_ONE } kind;
    float tile[TILE * LANES];
} Lane;

static void lane_open(Lane *l, const Tensor *x, const Tensor *y)
{
    l->x = FLOATS(*x);
    l->kind = shape_equal(x->shape, y->shape) ? LANE_FULL : shape_count(x->shape) == 1 ? LANE_ONE : LANE_CHANNEL;
}

/* Operand of the pixels from `at` on (an offset into y) in a block of channels that begins at `channel`. */
static const float *lane_block(Lane *l, int64_t channel, int64_t channels)
{
    if (l->kind != LANE_CHANNEL)
        return l->x;
    for (int i = 0; i < TILE * LANES; i++)
        l->tile[i] = channel + i % LANES < channels ? l->x[channel + i % LANES] : 0;
    return l->tile;
}

static void run_blocked(KernelCall *k, Row *row)
{
    const Tensor *y = &k->out[0];
    int64_t channels = y->shape.dim[1], blocks = channel_blocks(channels), area = y->shape.dim[2] * y->shape.dim[3];
    int64_t units = y->shape.dim[0] * blocks;
#pragma omp parallel for if (units * area * LANES > CPU_SERIAL)
    for (int64_t u = 0; u < units; u++) {
        Lane a, b;
        lane_open(&a, &k->in[0], y);
        lane_open(&b, &k->in[1], y);
        const float *pa = lane_block(&a, u % blocks * LANES, channels);
        const float *pb = lane_block(&b, u % blocks * LANES, channels);
        for (int64_t p = 0; p < area; p += TILE) {
            int64_t n = area - p < TILE ? area - p : TILE, at = (u * area + p) * LANES;
            row(FLOATS(*y) + at, a.kind == LANE_FULL ? pa + at : pa, b.kind == LANE_FULL ? pb + at : pb,
                a.kind != LANE_ONE, b.kind != LANE_ONE, n * LANES);
        }
    }
    cpu_clear_padding(y);
}

static void run(KernelCall *k, Row *row)
{
    const Tensor *y = &k->out[0];
    if (y->format != C16)
        run_strided(k, row);
    else if (!shape_equal(k->in[0].shape, k->in[1].shape) || row == div_row)
        run_blocked(k, row);
    else {
        /* Padding is zero and stays so: the memory is one long row. */
        Tensor flat[3] = {k->in[0], k->in[1], k->out[0]};
        for (int i = 0; i < 3; i++) {
            flat[i].shape = SHAPE(cpu_elements(y));
            flat[i].format = PLAIN;
        }
        KernelCall c = *k;
        c.in = flat;
        c.out = flat + 2;
        run_strided(&c, row);
    }
}

static void run_add(KernelCall *k)
{
    run(k, add_row);
}

static void run_sub(KernelCall *k)
{
    run(k, sub_row);
}

static void run_mul(KernelCall *k)
{
    run(k, mul_row);
}

static void run_div(KernelCall *k)
{
    run(k, div_row);
}

KERNEL(add, cpu) = {.run = run_add, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(sub, cpu) = {.run = run_sub, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(mul, cpu) = {.run = run_mul, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(div, cpu) = {.run = run_div, .formats = formats_broadcast, .inplace = inplace_alike};
