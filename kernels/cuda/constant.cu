/* constant.cu - fills, copies, bytes to reals; changes of format are in reorder.cu.
 *   launch  a thread an element, 256 a block
 *   bound   memory: fill 4, copy 8 (in bfloat16 4), bytes_to_real 5 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/constant.h"

__global__ void fill_kernel(float *y, float value, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = value;
}

static void fill(KernelCall *k)
{
    int64_t n = cuda_elements(&k->out[0]);
    if (n)
        LAUNCH(fill_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->out[0]),
               ((const FillAttrs *)k->attrs)->value, n);
}

static void copy(KernelCall *k)
{
    k->device->copy(k->device, k->out[0].data, k->in[0].data, tensor_bytes(&k->in[0], 4));
}

__global__ void bytes_to_real_kernel(const uint8_t *x, float *y, float scale, float shift, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = scale * (float)x[i] + shift;
}

static void bytes_to_real(KernelCall *k)
{
    const BytesToRealAttrs *a = (const BytesToRealAttrs *)k->attrs;
    int64_t n = shape_count(k->in[0].shape);
    if (n)
        LAUNCH(bytes_to_real_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), BYTES(k->in[0]), FLOATS(k->out[0]),
               a->scale, a->shift, n);
}

KERNEL(fill, cuda) = {.run = fill};
KERNEL(copy, cuda) = {.run = copy, .formats = formats_same, .halves = true};
KERNEL(bytes_to_real, cuda) = {.run = bytes_to_real};
