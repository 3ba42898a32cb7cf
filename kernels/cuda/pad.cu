/* pad.cu - padding in plain and NHWC: a thread an element of what is written, gathering.
 *   launch  256 threads a block, in the order of the result's memory
 *   bound   memory: 8 bytes an element of y */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/pad_rule.h"

/* Element (outer, a, b, c) of a side with the given sizes. */
__device__ static inline int64_t pad_place(int64_t outer, int64_t a, int64_t b, int64_t c, const int64_t *size)
{
    return ((outer * size[0] + a) * size[1] + b) * size[2] + c;
}

__global__ void pad_kernel(const float *x, float *y, PadJob j, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t row = i / j.y[2], plane = row / j.y[1];
    int64_t c = pad_source(&j, 2, i % j.y[2]), b = pad_source(&j, 1, row % j.y[1]);
    int64_t a = pad_source(&j, 0, plane % j.y[0]);
    y[i] = a >= 0 && b >= 0 && c >= 0 ? x[pad_place(plane / j.y[0], a, b, c, j.x)] : j.value;
}

__global__ void pad_grad_kernel(const float *dy, float *dx, PadJob j, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t row = i / j.x[2], plane = row / j.x[1], oa[3], ob[3], oc[3];
    int na = pad_images(&j, 0, plane % j.x[0], oa), nb = pad_images(&j, 1, row % j.x[1], ob);
    int nc = pad_images(&j, 2, i % j.x[2], oc);
    float sum = 0;
    for (int a = 0; a < na; a++)
        for (int b = 0; b < nb; b++)
            for (int c = 0; c < nc; c++)
                sum += dy[pad_place(plane / j.x[0], oa[a], ob[b], oc[c], j.y)];
    dx[i] = sum;
}

static void pad(KernelCall *k)
{
    const PadAttrs *a = (const PadAttrs *)k->attrs;
    int64_t n = shape_count(k->out[0].shape);
    if (n)
        LAUNCH(pad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
               pad_job(a, pad_reflects(a), &k->in[0], &k->out[0]), n);
}

static void pad_grad(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    if (n)
        LAUNCH(pad_grad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
               pad_job((const PadAttrs *)k->attrs, true, &k->out[0], &k->in[0]), n);
}

KERNEL(pad, cuda) = {.run = pad, .formats = formats_pad};
KERNEL(pad_grad, cuda) = {.run = pad_grad, .formats = formats_pad};
