/* shape.c - the definition of what moves elements: each element of y is an element of x of the same bytes. */
#include "engine/ops/shape.h"

#include "kernels/layout.h"
#include "kernels/reference/reference.h"

static size_t element_bytes(const Tensor *t)
{
    return t->dtype == U8 ? 1 : t->dtype == I32 ? 4 : sizeof(real);
}

/* y element by element in C order; x_stride: how far x's element moves along each axis of y. */
static void gather(const Tensor *y, const Tensor *x, const int64_t *x_stride)
{
    size_t size = element_bytes(y);
    for (int64_t i = 0, n = COUNT(*y); i < n; i++) {
        int64_t at = 0, rest = i;
        for (int k = y->shape.rank - 1; k >= 0; k--) {
            at += rest % y->shape.dim[k] * x_stride[k];
            rest /= y->shape.dim[k];
        }
        memcpy(BYTES(*y) + (size_t)i * size, BYTES(*x) + (size_t)at * size, size);
    }
}

static void broadcast_to(KernelCall *k)
{
    int64_t stride[RANK_MAX];
    strides_of(&k->in[0], k->out[0].shape.rank, stride);
    gather(&k->out[0], &k->in[0], stride);
}

static void transpose(KernelCall *k)
{
    const AttrInts *p = &((const TransposeAttrs *)k->attrs)->permutation;
    int64_t stride[RANK_MAX], moved[RANK_MAX];
    strides_of(&k->in[0], k->in[0].shape.rank, stride);
    for (int i = 0; i < p->n; i++)
        moved[i] = stride[p->v[i]];
    gather(&k->out[0], &k->in[0], moved);
}

/* Every how many elements a tensor's axis is read or written, from the first on. */
typedef struct Steps {
    int64_t first, step;
} Steps;

/* Puts `count` elements of x's axis, taken in steps, to y's in steps. */
static void place(const Tensor *y, Steps ys, const Tensor *x, Steps xs, int64_t count, int axis)
{
    axis = axis < 0 ? axis + y->shape.rank : axis;
    Span from = span_of(x, axis), to = span_of(y, axis);
    size_t bytes = element_bytes(y) * (size_t)to.inner;
    for (int64_t o = 0; o < to.outer && bytes; o++)
        for (int64_t i = 0; i < count; i++)
            memcpy(BYTES(*y) + (size_t)(o * to.extent + ys.first + i * ys.step) * bytes,
                   BYTES(*x) + (size_t)(o * from.extent + xs.first + i * xs.step) * bytes, bytes);
}

static void concat(KernelCall *k)
{
    int axis = ((const ConcatAttrs *)k->attrs)->axis;
    axis = axis < 0 ? axis + k->out[0].shape.rank : axis;
    for (int64_t i = 0, at = 0; i < k->nin; at += k->in[i].shape.dim[axis], i++)
        place(&k->out[0], (Steps){at, 1}, &k->in[i], (Steps){0, 1}, k->in[i].shape.dim[axis], axis);
}

static void slice(KernelCall *k)
{
    const SliceAttrs *a = k->attrs;
    int axis = a->axis < 0 ? a->axis + k->out[0].shape.rank : a->axis;
    int start = slice_from_front(a, k->in[0].shape.dim[axis]).start;
    place(&k->out[0], (Steps){0, 1}, &k->in[0], (Steps){start, a->step}, k->out[0].shape.dim[axis], axis);
}

static void pad_slice(KernelCall *k)
{
    const PadSliceAttrs *a = k->attrs;
    int axis = a->axis < 0 ? a->axis + k->out[0].shape.rank : a->axis;
    memset(k->out[0].data, 0, (size_t)COUNT(k->out[0]) * element_bytes(&k->out[0]));
    place(&k->out[0], (Steps){a->start, a->step}, &k->in[0], (Steps){0, 1}, k->in[0].shape.dim[axis], axis);
}

KERNEL(broadcast_to, reference) = {.run = broadcast_to};
KERNEL(transpose, reference) = {.run = transpose};
KERNEL(concat, reference) = {.run = concat};
KERNEL(slice, reference) = {.run = slice};
KERNEL(pad_slice, reference) = {.run = pad_slice};
