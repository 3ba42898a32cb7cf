/* layout.h - where elements lie in memory, for kernels of every backend that walk over several tensors at once.
 *
 * Span   the memory before, along and behind one axis: what concat and slice copy.
 * Walk   nested loops over up to three tensors with a stride each: what broadcasting, transposing and summing do.
 *        Only PLAIN and NHWC have strides; C16 is handled where it occurs. */
#ifndef KERNELS_LAYOUT_H
#define KERNELS_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "engine/op.h"

enum { LANES = 16 };   /* channels of a block of C16 */

static inline int64_t channel_blocks(int64_t channels)
{
    return (channels + LANES - 1) / LANES;
}

/* Elements before, along and behind an axis.  In C16 axis 1 counts blocks. */
typedef struct Span {
    int64_t outer, extent, inner;
} Span;

static inline Span span_of(const Tensor *t, int axis)
{
    const int64_t *d = t->shape.dim;
    Span s = {1, d[axis], 1};
    if (t->format == PLAIN) {
        for (int i = 0; i < axis; i++)
            s.outer *= d[i];
        for (int i = axis + 1; i < t->shape.rank; i++)
            s.inner *= d[i];
        return s;
    }
    bool blocks = format_layout(t->format) == C16;
    int64_t size[4] = {d[0], blocks ? channel_blocks(d[1]) : d[1], d[2], d[3]};
    int order[4] = {0, blocks ? 1 : 2, blocks ? 2 : 3, blocks ? 3 : 1};
    bool behind = false;
    for (int i = 0; i < 4; i++) {
        if (order[i] == axis)
            behind = true;
        else if (behind)
            s.inner *= size[order[i]];
        else
            s.outer *= size[order[i]];
    }
    s.extent = size[axis];
    if (blocks)
        s.inner *= LANES;
    return s;
}

enum { WALK_TENSORS = 3 };
/* Loops from the outermost to the innermost; stride[t] of tensor t in elements, 0 where it is repeated. */
typedef struct Walk {
    int rank;
    int64_t dim[RANK_MAX];
    int64_t stride[WALK_TENSORS][RANK_MAX];
} Walk;

/* Strides of t along the axes of a value of the given rank (aligned at the last axis); 0 along axes of size 1. */
static inline void strides_of(const Tensor *t, int rank, int64_t *stride)
{
    int order[RANK_MAX], missing = rank - t->shape.rank;
    for (int i = 0; i < t->shape.rank; i++)
        order[i] = i;
    if (format_layout(t->format) == NHWC) {
        order[1] = 2;
        order[2] = 3;
        order[3] = 1;
    }
    for (int i = 0; i < rank; i++)
        stride[i] = 0;
    int64_t step = 1;
    for (int i = t->shape.rank - 1; i >= 0; i--) {
        if (t->shape.dim[order[i]] != 1)
            stride[order[i] + missing] = step;
        step *= t->shape.dim[order[i]];
    }
}

/* Drops axes of size 1 and joins neighbours that all tensors run through as one. */
static inline void walk_collapse(Walk *w, int tensors)
{
    int rank = 0;
    for (int i = 0; i < w->rank; i++) {
        if (w->dim[i] == 1)
            continue;
        bool join = rank > 0;
        for (int t = 0; t < tensors && join; t++)
            join = w->stride[t][rank - 1] == w->stride[t][i] * w->dim[i];
        int to = join ? rank - 1 : rank++;
        w->dim[to] = join ? w->dim[to] * w->dim[i] : w->dim[i];
        for (int t = 0; t < tensors; t++)
            w->stride[t][to] = w->stride[t][i];
    }
    if (rank == 0) {
        w->dim[0] = 1;
        for (int t = 0; t < tensors; t++)
            w->stride[t][0] = 0;
        rank = 1;
    }
    w->rank = rank;
}

/* Loops over the elements of y in the order of its memory, with the operands that are broadcast to it. */
static inline Walk walk_broadcast(const Tensor *y, const Tensor *a, const Tensor *b)
{
    const Tensor *tensors[WALK_TENSORS] = {y, a, b};
    int n = b ? 3 : 2, rank = y->shape.rank;
    Walk w;
    memset(&w, 0, sizeof w);
    w.rank = rank;
    for (int i = 0; i < rank; i++)
        w.dim[i] = y->shape.dim[i];
    for (int t = 0; t < n; t++)
        strides_of(tensors[t], rank, w.stride[t]);
    if (format_layout(y->format) == NHWC) {
        Walk v = w;
        static const int order[4] = {0, 2, 3, 1};
        for (int i = 0; i < 4; i++) {
            w.dim[i] = v.dim[order[i]];
            for (int t = 0; t < n; t++)
                w.stride[t][i] = v.stride[t][order[i]];
        }
    }
    walk_collapse(&w, n);
    return w;
}

/* Loops over y, whose axis i is axis permutation[i] of x; both PLAIN. */
static inline Walk walk_transpose(const Tensor *y, const Tensor *x, const int64_t *permutation)
{
    Walk w;
    memset(&w, 0, sizeof w);
    int64_t stride[RANK_MAX];
    w.rank = y->shape.rank;
    strides_of(y, w.rank, w.stride[0]);
    strides_of(x, w.rank, stride);
    for (int i = 0; i < w.rank; i++) {
        w.dim[i] = y->shape.dim[i];
        w.stride[1][i] = stride[permutation[i]];
    }
    walk_collapse(&w, 2);
    return w;
}

/* Position of the walk's row i (all loops but the innermost): index of each loop and offset into each tensor. */
typedef struct WalkAt {
    int64_t index[RANK_MAX], offset[WALK_TENSORS];
} WalkAt;

static inline int64_t walk_rows(const Walk *w)
{
    int64_t n = 1;
    for (int i = 0; i < w->rank - 1; i++)
        n *= w->dim[i];
    return n;
}

static inline WalkAt walk_row(const Walk *w, int64_t row)
{
    WalkAt at = {{0}, {0}};
    for (int i = w->rank - 2; i >= 0; i--) {
        at.index[i] = row % w->dim[i];
        row /= w->dim[i];
        for (int t = 0; t < WALK_TENSORS; t++)
            at.offset[t] += at.index[i] * w->stride[t][i];
    }
    return at;
}

static inline void walk_next(const Walk *w, WalkAt *at)
{
    for (int i = w->rank - 2; i >= 0; i--) {
        for (int t = 0; t < WALK_TENSORS; t++)
            at->offset[t] += w->stride[t][i];
        if (++at->index[i] < w->dim[i])
            return;
        at->index[i] = 0;
        for (int t = 0; t < WALK_TENSORS; t++)
            at->offset[t] -= w->dim[i] * w->stride[t][i];
    }
}

/* Work over rows of `inner` elements in units of about `size`: long rows are cut, short ones gathered. */
typedef struct Units {
    int64_t rows, inner, size, segments, group, count;
} Units;

static inline Units units_of(int64_t rows, int64_t inner, int64_t size)
{
    Units u = {rows, inner, size, (inner + size - 1) / size, inner > 0 && inner < size ? size / inner : 1, 0};
    u.count = (rows + u.group - 1) / u.group * u.segments;
    return u;
}

/* Unit i: rows first .. end - 1, and of each the n elements from start on. */
typedef struct Unit {
    int64_t first, end, start, n;
} Unit;

static inline Unit unit_at(const Units *u, int64_t i)
{
    Unit v = {i / u->segments * u->group, 0, i % u->segments * u->size, 0};
    v.end = v.first + u->group < u->rows ? v.first + u->group : u->rows;
    v.n = u->inner - v.start < u->size ? u->inner - v.start : u->size;
    return v;
}

/* The two nests of loops of a sum over the axes in mask: over what is kept and what is summed, stride[0] into x.
 * In C16 the kept loops run over whole blocks, padding included.  True if x's innermost loop is a kept one. */
static inline bool walk_reduce(const Tensor *x, unsigned mask, Walk *kept, Walk *summed)
{
    Walk nest[2];
    memset(nest, 0, sizeof nest);
    Format layout = format_layout(x->format);
    int order[RANK_MAX], n = 0;
    int64_t size[RANK_MAX], step = 1;
    for (int i = 0; i < x->shape.rank; i++)
        if (layout != NHWC || i != 1) {
            order[n] = i;
            size[n++] = layout == C16 && i == 1 ? channel_blocks(x->shape.dim[1]) : x->shape.dim[i];
        }
    if (layout != PLAIN) {
        order[n] = 1;
        size[n++] = layout == C16 ? (int64_t)LANES : x->shape.dim[1];
    }
    bool columns = false, found = false;
    for (int i = n - 1; i >= 0; i--) {
        int which = mask >> order[i] & 1;
        Walk *w = &nest[which];
        if (size[i] != 1 && !found) {
            columns = !which;
            found = true;
        }
        w->rank++;
        w->dim[RANK_MAX - w->rank] = size[i];
        w->stride[0][RANK_MAX - w->rank] = step;
        step *= size[i];
    }
    for (int k = 0; k < 2; k++) {   /* filled from the end: to the front */
        int gap = RANK_MAX - nest[k].rank;
        memmove(nest[k].dim, nest[k].dim + gap, sizeof nest[k].dim[0] * (size_t)nest[k].rank);
        memmove(nest[k].stride[0], nest[k].stride[0] + gap, sizeof nest[k].dim[0] * (size_t)nest[k].rank);
        walk_collapse(&nest[k], 1);
    }
    *kept = nest[0];
    *summed = nest[1];
    return columns;
}

/* True for shapes that do not vary within a map of y: (C, 1, 1), (1 or B, 1 or C, 1, 1), one value. */
static inline bool shape_per_map(Shape x, Shape y)
{
    for (int i = 0; i < x.rank; i++) {
        int64_t d = x.dim[x.rank - 1 - i];
        if (d != 1 && !(i == 2 && d == y.dim[1]) && !(i == 3 && d == y.dim[0]))
            return false;
    }
    return true;
}

/* Formats of an op that broadcasts its operands to its result: the format of the first operand of full shape.
 * Other operands are PLAIN, which C16 allows only for values that are repeated over maps. */
static inline void formats_broadcast(FormatChoice *f)
{
    Format want = PLAIN;
    Shape y = f->out_shape[0];
    if (y.rank == 4)
        for (int i = 0; i < f->nin && want == PLAIN; i++)
            if (shape_equal(f->in_shape[i], y))
                want = f->in[i];
    for (int i = 0; i < f->nin; i++)
        if (want == C16 && !shape_equal(f->in_shape[i], y) && !shape_per_map(f->in_shape[i], y))
            want = PLAIN;
    for (int i = 0; i < f->nin; i++)
        f->in[i] = y.rank == 4 && shape_equal(f->in_shape[i], y) ? want : PLAIN;
    f->out[0] = want;
}

/* The first operand that is laid out as the result is. */
static inline int inplace_alike(const KernelCall *k, int result)
{
    for (int i = 0; result == 0 && i < k->nin; i++)
        if (k->in[i].format == k->out[0].format && shape_equal(k->in[i].shape, k->out[0].shape))
            return i;
    return -1;
}

#endif
