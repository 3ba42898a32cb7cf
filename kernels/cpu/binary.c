/* binary.c - broadcasting as nested loops of constant strides, the innermost one vector code.
 *
 * PLAIN and NHWC: axes that all operands run through alike are joined first, so that equal shapes, single values and
 * values per channel or per row become one or two long loops.  C16 with values per map: the 16 values of a block are
 * repeated over a small tile, which then serves as an operand of full shape. */
#include "kernels/cpu/binary.h"

ROW(add, a + b)
ROW(sub, a - b)
ROW(mul, a * b)
ROW(div, a / b)
ROW(maximum, a > b || a != a ? a : b)
ROW(minimum, a < b || a != a ? a : b)
ROW(step, a < b ? 0.0f : a == b ? 0.5f : 1.0f)

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

/* How a C16 result reads an operand: as it lies, or one value a map, or one value. */
typedef struct Lane {
    const float *x;
    enum { LANE_FULL, LANE_MAP, LANE_ONE } kind;
    int64_t sample, channel;   /* strides of LANE_MAP */
    float tile[TILE * LANES];
} Lane;

static void lane_open(Lane *l, const Tensor *x, const Tensor *y)
{
    l->x = FLOATS(*x);
    l->kind = shape_equal(x->shape, y->shape) ? LANE_FULL : shape_count(x->shape) == 1 ? LANE_ONE : LANE_MAP;
    l->channel = x->shape.rank >= 3 && x->shape.dim[x->shape.rank - 3] != 1;
    l->sample = x->shape.rank == 4 && x->shape.dim[0] != 1 ? x->shape.dim[1] : 0;
}

/* Operand of a sample's pixels in a block of channels that begins at `channel`. */
static const float *lane_block(Lane *l, int64_t sample, int64_t channel, int64_t channels)
{
    if (l->kind != LANE_MAP)
        return l->x;
    const float *x = l->x + sample * l->sample;
    for (int i = 0; i < TILE * LANES; i++)
        l->tile[i] = channel + i % LANES < channels ? x[(channel + i % LANES) * l->channel] : 0;
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
        const float *pa = lane_block(&a, u / blocks, u % blocks * LANES, channels);
        const float *pb = lane_block(&b, u / blocks, u % blocks * LANES, channels);
        for (int64_t p = 0; p < area; p += TILE) {
            int64_t n = area - p < TILE ? area - p : TILE, at = (u * area + p) * LANES;
            row(FLOATS(*y) + at, a.kind == LANE_FULL ? pa + at : pa, b.kind == LANE_FULL ? pb + at : pb,
                a.kind != LANE_ONE, b.kind != LANE_ONE, n * LANES);
        }
    }
    cpu_clear_padding(y);
}

void binary_run(KernelCall *k, Row *row)
{
    const Tensor *y = &k->out[0];
    float zero = 0, padding;
    row(&padding, &zero, &zero, 1, 1, 1);
    if (y->format != C16)
        run_strided(k, row);
    else if (!shape_equal(k->in[0].shape, k->in[1].shape) || padding != 0)
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

#define RUN(name)                        \
    static void run_##name(KernelCall *k) \
    {                                    \
        binary_run(k, name##_row);       \
    }
RUN(add)
RUN(sub)
RUN(mul)
RUN(div)
RUN(maximum)
RUN(minimum)
RUN(step)

KERNEL(add, cpu) = {.run = run_add, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(sub, cpu) = {.run = run_sub, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(mul, cpu) = {.run = run_mul, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(div, cpu) = {.run = run_div, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(maximum, cpu) = {.run = run_maximum, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(minimum, cpu) = {.run = run_minimum, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(step, cpu) = {.run = run_step, .formats = formats_broadcast, .inplace = inplace_alike};
