/* shape.c - moving elements: whole stretches of memory where there are some, tiles where axes change places. */
#include "engine/ops/shape.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/place.h"

enum { UNIT = 8192, TILE = 16 };   /* elements of a piece of work; side of a transposed tile */

/* ---------------------------------------------------------------- broadcast_to, transpose */
/* x's elements in the order of y: w.stride[0] for y, w.stride[1] for x. */
#define GATHER(type)                                                                                          \
    static void gather_rows_##type(const Walk *w, type *y, const type *x)                                     \
    {                                                                                                         \
        int last = w->rank - 1;                                                                               \
        int64_t stride = w->stride[1][last];                                                                  \
        Units units = units_of(walk_rows(w), w->dim[last], UNIT);                                             \
        _Pragma("omp parallel for if (units.count > 2)")                                                      \
        for (int64_t i = 0; i < units.count; i++) {                                                           \
            Unit u = unit_at(&units, i);                                                                      \
            WalkAt at = walk_row(w, u.first);                                                                 \
            for (int64_t r = u.first; r < u.end; r++) {                                                       \
                type *to = y + r * units.inner + u.start;                                                     \
                const type *from = x + at.offset[1] + u.start * stride;                                       \
                if (stride == 1)                                                                              \
                    memcpy(to, from, sizeof *to * (size_t)u.n);                                               \
                else                                                                                          \
                    for (int64_t e = 0; e < u.n; e++)                                                         \
                        to[e] = from[e * stride];                                                             \
                walk_next(w, &at);                                                                            \
            }                                                                                                 \
        }                                                                                                     \
    }                                                                                                         \
    /* The same where x runs along another axis, `fast`: tiles over it and y's last one. */                   \
    static void gather_tiles_##type(const Walk *w, int fast, type *y, const type *x)                          \
    {                                                                                                         \
        int last = w->rank - 1;                                                                               \
        int64_t rows = w->dim[fast], columns = w->dim[last];                                                  \
        int64_t y_row = w->stride[0][fast], x_column = w->stride[1][last], tiles = (rows + TILE - 1) / TILE;  \
        Walk others = *w;                                                                                     \
        others.dim[fast] = 1;                                                                                 \
        int64_t outer = walk_rows(&others);                                                                   \
        _Pragma("omp parallel for if (outer * rows * columns > CPU_SERIAL)")                                  \
        for (int64_t i = 0; i < outer * tiles; i++) {                                                         \
            WalkAt at = walk_row(&others, i / tiles);                                                         \
            int64_t first = i % tiles * TILE, n = rows - first < TILE ? rows - first : TILE;                  \
            type *to = y + at.offset[0] + first * y_row;                                                      \
            const type *from = x + at.offset[1] + first;                                                      \
            for (int64_t c = 0; c < columns; c += TILE) {                                                     \
                int64_t m = columns - c < TILE ? columns - c : TILE;                                          \
                for (int64_t b = c; b < c + m; b++)                                                           \
                    for (int64_t a = 0; a < n; a++)                                                           \
                        to[a * y_row + b] = from[b * x_column + a];                                           \
            }                                                                                                 \
        }                                                                                                     \
    }                                                                                                         \
    static void gather_##type(const Walk *w, void *y, const void *x)                                          \
    {                                                                                                         \
        int fast = w->rank - 1;                                                                               \
        for (int i = 0; i < w->rank && w->stride[1][w->rank - 1] > 1; i++)                                    \
            if (w->stride[1][i] == 1)                                                                         \
                fast = i;                                                                                     \
        if (fast < w->rank - 1)                                                                               \
            gather_tiles_##type(w, fast, y, x);                                                               \
        else                                                                                                  \
            gather_rows_##type(w, y, x);                                                                      \
    }
GATHER(uint8_t)
GATHER(uint32_t)

static void gather(KernelCall *k, const Walk *w)
{
    if (shape_count(k->out[0].shape) == 0)
        return;
    if (k->out[0].dtype == U8)
        gather_uint8_t(w, k->out[0].data, k->in[0].data);
    else
        gather_uint32_t(w, k->out[0].data, k->in[0].data);
}

static void broadcast_to(KernelCall *k)
{
    Walk w = walk_broadcast(&k->out[0], &k->in[0], NULL);
    gather(k, &w);
}

static void transpose(KernelCall *k)
{
    Walk w = walk_transpose(&k->out[0], &k->in[0], ((const TransposeAttrs *)k->attrs)->permutation.v);
    gather(k, &w);
}

/* ---------------------------------------------------------------- concat, slice, pad_slice */
/* Puts the part of x from x_start on, `count` long along the axis, to y_start of y; starts and count in units of
 * the span (blocks of channels in C16). */
static void place(const Tensor *y, int64_t y_start, const Tensor *x, int64_t x_start, int64_t count, int axis)
{
    Span from = span_of(x, axis), to = span_of(y, axis);
    size_t bytes = (y->dtype == U8 ? 1 : 4) * (size_t)to.inner;
    if (count * to.inner == 0)
        return;
    Units units = units_of(to.outer, count * (int64_t)bytes, 4 * UNIT);
#pragma omp parallel for if (units.count > 2)
    for (int64_t i = 0; i < units.count; i++) {
        Unit u = unit_at(&units, i);
        for (int64_t o = u.first; o < u.end; o++)
            memcpy(BYTES(*y) + (size_t)(o * to.extent + y_start) * bytes + u.start,
                   BYTES(*x) + (size_t)(o * from.extent + x_start) * bytes + u.start, (size_t)u.n);
    }
}

/* Elements x_start, x_start + x_step, ... of x's axis to y_start, y_start + y_step, ... of y's, as many as the
 * tensor that is gone through one by one has.  An axis of channels is not in blocks. */
static void place_steps(const Tensor *y, int64_t y_start, int64_t y_step, const Tensor *x, int64_t x_start,
                        int64_t x_step, int axis)
{
    Span from = span_of(x, axis), to = span_of(y, axis);
    int64_t count = y_step == 1 ? to.extent : from.extent, size = y->dtype == U8 ? 1 : 4, bytes = size * to.inner;
#pragma omp parallel for if (to.outer * count * to.inner > CPU_SERIAL)
    for (int64_t o = 0; o < to.outer; o++) {
        uint8_t *out = BYTES(*y) + (o * to.extent + y_start) * bytes;
        const uint8_t *in = BYTES(*x) + (o * from.extent + x_start) * bytes;
        if (bytes == 4)
            for (int64_t i = 0; i < count; i++)
                ((uint32_t *)out)[i * y_step] = ((const uint32_t *)in)[i * x_step];
        else
            for (int64_t i = 0; i < count; i++)
                memcpy(out + i * y_step * bytes, in + i * x_step * bytes, (size_t)bytes);
    }
}

static void concat(KernelCall *k)
{
    int axis = shape_axis(((const ConcatAttrs *)k->attrs)->axis, k->out[0].shape.rank);
    for (int64_t i = 0, at = 0; i < k->nin; i++) {
        int64_t extent = span_of(&k->in[i], axis).extent;
        place(&k->out[0], at, &k->in[i], 0, extent, axis);
        at += extent;
    }
}

static void slice(KernelCall *k)
{
    const SliceAttrs *a = k->attrs;
    int axis = shape_axis(a->axis, k->out[0].shape.rank), start = slice_from_front(a, k->in[0].shape.dim[axis]).start;
    int unit = k->out[0].format == C16 && axis == 1 ? LANES : 1;
    if (a->step > 1)
        place_steps(&k->out[0], 0, 1, &k->in[0], start, a->step, axis);
    else
        place(&k->out[0], 0, &k->in[0], start / unit, span_of(&k->out[0], axis).extent, axis);
}

static void pad_slice(KernelCall *k)
{
    const PadSliceAttrs *a = k->attrs;
    int axis = shape_axis(a->axis, k->out[0].shape.rank);
    int unit = k->out[0].format == C16 && axis == 1 ? LANES : 1;
    memset(k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    if (a->step > 1)
        place_steps(&k->out[0], a->start, a->step, &k->in[0], 0, 1, axis);
    else
        place(&k->out[0], a->start / unit, &k->in[0], 0, span_of(&k->in[0], axis).extent, axis);
}

KERNEL(broadcast_to, cpu) = {.run = broadcast_to};
KERNEL(transpose, cpu) = {.run = transpose};
KERNEL(concat, cpu) = {.run = concat, .formats = formats_place};
KERNEL(slice, cpu) = {.run = slice, .formats = formats_place};
KERNEL(pad_slice, cpu) = {.run = pad_slice, .formats = formats_place};
