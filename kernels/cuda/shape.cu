/* shape.cu - moving elements: gather.h for changed orders, stretches of memory for joining and cutting.
 *   launch  a thread an element of what is moved, or 16 bytes of a stretch where all its addresses allow; 256 a block
 *   bound   memory: 8 bytes an element of 4 */
#include "kernels/cuda/vector.h"

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

/* Stretches of `count` times `inner` units, one behind the other every y_pitch and x_pitch units; the parts of a stretch
 * are y_step and x_step apart. */
struct Places {
    int64_t inner, count, y_pitch, x_pitch, y_step, x_step;
};

template <typename T>
__global__ void place_kernel(T *y, const T *x, Places p, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t within = i % p.inner, part = i / p.inner % p.count, stretch = i / p.inner / p.count;
    y[stretch * p.y_pitch + part * p.y_step + within] = x[stretch * p.x_pitch + part * p.x_step + within];
}

/* Every how many elements a tensor's axis is read or written, from the first on. */
struct Steps {
    int64_t first, step;
};

/* Most bytes, 16, 4 or one element, that divide every distance of p, given in elements of `size` bytes, and addresses. */
static int64_t unit_of(const Places *p, int64_t size, uintptr_t addresses)
{
    int64_t unit = 16, all = p->inner | p->y_pitch | p->x_pitch;
    if (p->count > 1)
        all |= p->y_step | p->x_step;
    while (unit > size && (all * size % unit || addresses % (uintptr_t)unit))
        unit = unit > 4 ? 4 : size;
    return unit;
}

/* Puts `count` elements of x's axis, taken in steps, to y's in steps. */
static void place(KernelCall *k, const Tensor *y, Steps ys, const Tensor *x, Steps xs, int64_t count, int axis)
{
    Span from = span_of(x, axis), to = span_of(y, axis);
    int64_t size = x->dtype == U8 ? 1 : format_half(x->format) ? 2 : 4;
    Places p = {to.inner, count, to.extent * to.inner, from.extent * from.inner, ys.step * to.inner,
                xs.step * from.inner};
    char *y_data = (char *)y->data + ys.first * to.inner * size;
    const char *x_data = (const char *)x->data + xs.first * from.inner * size;
    if (to.outer * count * to.inner == 0)
        return;
    if (ys.step == 1 && xs.step == 1) {   /* the parts touch: one division less */
        p.inner *= count;
        p.count = 1;
    }
    int64_t unit = unit_of(&p, size, (uintptr_t)y_data | (uintptr_t)x_data);
    Places u = {p.inner * size / unit, p.count, p.y_pitch * size / unit, p.x_pitch * size / unit,
                p.y_step * size / unit, p.x_step * size / unit};
    int64_t n = to.outer * u.count * u.inner;
    if (unit == 16)
        LAUNCH(place_kernel<uint4>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), (uint4 *)y_data,
               (const uint4 *)x_data, u, n);
    else if (unit == 4)
        LAUNCH(place_kernel<uint32_t>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), (uint32_t *)y_data,
               (const uint32_t *)x_data, u, n);
    else if (unit == 2)
        LAUNCH(place_kernel<uint16_t>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), (uint16_t *)y_data,
               (const uint16_t *)x_data, u, n);
    else
        LAUNCH(place_kernel<uint8_t>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), (uint8_t *)y_data,
               (const uint8_t *)x_data, u, n);
}

static void concat(KernelCall *k)
{
    int axis = shape_axis(((const ConcatAttrs *)k->attrs)->axis, k->out[0].shape.rank);
    for (int64_t i = 0, at = 0; i < k->nin; at += k->in[i].shape.dim[axis], i++)
        place(k, &k->out[0], {at, 1}, &k->in[i], {0, 1}, k->in[i].shape.dim[axis], axis);
}

static void slice(KernelCall *k)
{
    const SliceAttrs *a = (const SliceAttrs *)k->attrs;
    int axis = shape_axis(a->axis, k->out[0].shape.rank), start = slice_from_front(a, k->in[0].shape.dim[axis]).start;
    place(k, &k->out[0], {0, 1}, &k->in[0], {start, a->step}, k->out[0].shape.dim[axis], axis);
}

static void pad_slice(KernelCall *k)
{
    const PadSliceAttrs *a = (const PadSliceAttrs *)k->attrs;
    int axis = shape_axis(a->axis, k->out[0].shape.rank);
    k->device->fill(k->device, k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    place(k, &k->out[0], {a->start, a->step}, &k->in[0], {0, 1}, k->in[0].shape.dim[axis], axis);
}

KERNEL(broadcast_to, cuda) = {.run = broadcast_to};
KERNEL(transpose, cuda) = {.run = transpose};
KERNEL(concat, cuda) = {.run = concat, .formats = formats_place, .halves = true};
KERNEL(slice, cuda) = {.run = slice, .formats = formats_place, .halves = true};
KERNEL(pad_slice, cuda) = {.run = pad_slice, .formats = formats_place, .halves = true};
