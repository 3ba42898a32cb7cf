/* shape.cu - moving elements: gather.h for changed orders, stretches of memory for joining and cutting.
 *   launch  a thread an element of what is moved, 256 a block
 *   bound   memory: 8 bytes an element of 4 */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/shape.h"
#include "kernels/cuda/gather.h"
#include "kernels/place.h"

static void gather_any(KernelCall *k, const Walk *w)
{
    int64_t n = shape_count(k->out[0].shape);
    if (k->out[0].dtype == U8)
        gather(cuda_stream(k), BYTES(k->out[0]), (const uint8_t *)k->in[0].data, w, n);
    else
        gather(cuda_stream(k), INT(k->out[0]), (const int32_t *)k->in[0].data, w, n);
}

static void broadcast_to(KernelCall *k)
{
    Walk w = walk_broadcast(&k->out[0], &k->in[0], NULL);
    gather_any(k, &w);
}

static void transpose(KernelCall *k)
{
    Walk w = walk_transpose(&k->out[0], &k->in[0], ((const TransposeAttrs *)k->attrs)->permutation.v);
    gather_any(k, &w);
}

/* Stretches of `width` elements, one behind the other every y_pitch and x_pitch elements. */
template <typename T>
__global__ void place_kernel(T *y, const T *x, int64_t width, int64_t y_pitch, int64_t x_pitch, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i / width * y_pitch + i % width] = x[i / width * x_pitch + i % width];
}

/* Puts the part of x from x_start on, `count` long along the axis, to y_start of y. */
static void place(KernelCall *k, const Tensor *y, int64_t y_start, const Tensor *x, int64_t x_start, int64_t count,
                  int axis)
{
    Span from = span_of(x, axis), to = span_of(y, axis);
    int64_t width = count * to.inner, n = to.outer * width, y_at = y_start * to.inner, x_at = x_start * from.inner;
    int64_t y_pitch = to.extent * to.inner, x_pitch = from.extent * from.inner;
    if (!n)
        return;
    if (y->dtype == U8)
        LAUNCH(place_kernel<uint8_t>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), BYTES(*y) + y_at,
               (const uint8_t *)x->data + x_at, width, y_pitch, x_pitch, n);
    else
        LAUNCH(place_kernel<int32_t>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), INT(*y) + y_at,
               (const int32_t *)x->data + x_at, width, y_pitch, x_pitch, n);
}

static void concat(KernelCall *k)
{
    int axis = shape_axis(((const ConcatAttrs *)k->attrs)->axis, k->out[0].shape.rank);
    for (int64_t i = 0, at = 0; i < k->nin; at += k->in[i].shape.dim[axis], i++)
        place(k, &k->out[0], at, &k->in[i], 0, k->in[i].shape.dim[axis], axis);
}

static void slice(KernelCall *k)
{
    const SliceAttrs *a = (const SliceAttrs *)k->attrs;
    place(k, &k->out[0], 0, &k->in[0], a->start, a->stop - a->start, shape_axis(a->axis, k->out[0].shape.rank));
}

static void pad_slice(KernelCall *k)
{
    const PadSliceAttrs *a = (const PadSliceAttrs *)k->attrs;
    int axis = shape_axis(a->axis, k->out[0].shape.rank);
    k->device->fill(k->device, k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    place(k, &k->out[0], a->start, &k->in[0], 0, k->in[0].shape.dim[axis], axis);
}

KERNEL(broadcast_to, cuda) = {.run = broadcast_to};
KERNEL(transpose, cuda) = {.run = transpose};
KERNEL(concat, cuda) = {.run = concat, .formats = formats_place};
KERNEL(slice, cuda) = {.run = slice, .formats = formats_place};
KERNEL(pad_slice, cuda) = {.run = pad_slice, .formats = formats_place};
