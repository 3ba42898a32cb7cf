/* gather.cu - a thread an element of y; the gradient a thread a line along the looked-up axis, which no other thread
 * writes, so that sums need no atomics and keep the order of the axis.
 *   launch  256 threads a block; take_bytes a thread 16 bytes where rows are multiples of that, else one
 *   bound   memory: 8 bytes an element of y and its index (take_bytes: 2 a byte); the gradient 12, and 4 an element of x for the zeros; with
 *           few long lines it is bound by the latency of one element after another */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "kernels/cuda/walk.h"
#include "kernels/lookup.h"

/* i counts lines fastest, so that threads side by side touch lines side by side. */
__global__ void lookup_kernel(const float *x, const int32_t *index, float *y, Lookup l, int64_t lines, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t element = i / lines;
    WalkOffset o = walk_offset(l.lines, i % lines);
    int64_t from = lookup_index(index[o.at[2] + element * l.i_step], l.size);
    y[o.at[0] + element * l.y_step] = from < 0 ? nanf("") : x[o.at[1] + from * l.x_step];
}

__global__ void lookup_grad_kernel(const int32_t *index, const float *dy, float *dx, Lookup l, int64_t lines)
{
    int64_t line = CUDA_INDEX;
    if (line >= lines)
        return;
    WalkOffset o = walk_offset(l.lines, line);
    for (int64_t i = 0; i < l.count; i++) {
        int64_t to = lookup_index(index[o.at[2] + i * l.i_step], l.size);
        if (to >= 0)
            dx[o.at[1] + to * l.x_step] += dy[o.at[0] + i * l.y_step];
    }
}

static void gather(KernelCall *k)
{
    Lookup l = lookup_of((const GatherAttrs *)k->attrs, &k->in[0], &k->out[0], &k->in[1]);
    int64_t n = shape_count(k->out[0].shape);
    if (n)
        LAUNCH(lookup_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), INT(k->in[1]),
               FLOATS(k->out[0]), l, lookup_lines(&l), n);
}

static void gather_grad(KernelCall *k)
{
    Lookup l = lookup_of((const GatherAttrs *)k->attrs, &k->out[0], &k->in[1], &k->in[0]);
    int64_t lines = lookup_lines(&l);
    k->device->fill(k->device, k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    if (lines && l.count)
        LAUNCH(lookup_grad_kernel, cuda_grid(lines), CUDA_BLOCK, 0, cuda_stream(k), INT(k->in[0]), FLOATS(k->in[1]),
               FLOATS(k->out[0]), l, lines);
}

/* Rows of `row` units. */
template <typename Unit>
__global__ void take_bytes_kernel(const Unit *x, const int32_t *index, Unit *y, int64_t rows, int64_t row, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t to = i / row, from = lookup_index(index[to], rows);
    y[i] = from < 0 ? Unit{} : x[from * row + i - to * row];
}

template <typename Unit>
static void take_units(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape) / (int64_t)sizeof(Unit), row = n / k->out[0].shape.dim[0];
    LAUNCH(take_bytes_kernel<Unit>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), (const Unit *)k->in[0].data,
           INT(k->in[1]), (Unit *)k->out[0].data, k->in[0].shape.dim[0], row, n);
}

static void take_bytes(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    if (!n)
        return;
    int64_t row = n / k->out[0].shape.dim[0];
    if (((uintptr_t)k->in[0].data | (uintptr_t)k->out[0].data | (uintptr_t)row) % sizeof(uint4) == 0)
        take_units<uint4>(k);
    else
        take_units<uint8_t>(k);
}

KERNEL(gather, cuda) = {.run = gather};
KERNEL(gather_grad, cuda) = {.run = gather_grad};
KERNEL(index_select, cuda) = {.run = gather};
KERNEL(index_select_grad, cuda) = {.run = gather_grad};
KERNEL(take_bytes, cuda) = {.run = take_bytes};
