/* constant.cu - fills, copies, bytes to reals; changes of format are in reorder.cu.
 *   launch  a thread 16 bytes of the result, 256 a block
 *   bound   memory: fill 4, copy 8 (in bfloat16 4), bytes_to_real 5 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/constant.h"
#include "kernels/cuda/vector.h"

template <int V>
static __global__ void fill_kernel(float *y, float value, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    float v[V];
    for (int l = 0; l < V; l++)
        v[l] = value;
    if (i + V <= n)
        store(y + i, v);
    else
        for (; i < n; i++)
            y[i] = value;
}

static void fill(KernelCall *k)
{
    float *y = FLOATS(k->out[0]), value = ((const FillAttrs *)k->attrs)->value;
    int64_t n = cuda_elements(&k->out[0]);
    if (!n)
        return;
    if (vectors_fit<4>(y))
        LAUNCH(fill_kernel<4>, cuda_grid((n + 3) / 4), CUDA_BLOCK, 0, cuda_stream(k), y, value, n);
    else
        LAUNCH(fill_kernel<1>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, value, n);
}

static void copy(KernelCall *k)
{
    k->device->copy(k->device, k->out[0].data, k->in[0].data, tensor_bytes(&k->in[0], 4));
}

/* V bytes at once to V floats. */
template <int V>
static __global__ void bytes_to_real_kernel(const uint8_t *x, float *y, float scale, float shift, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (V > 1 && i + V <= n) {
        uchar4 four = *(const uchar4 *)(x + i);
        float v[4] = {scale * (float)four.x + shift, scale * (float)four.y + shift, scale * (float)four.z + shift,
                      scale * (float)four.w + shift};
        store(y + i, v);
    } else {
        for (int64_t end = i + V < n ? i + V : n; i < end; i++)
            y[i] = scale * (float)x[i] + shift;
    }
}

static void bytes_to_real(KernelCall *k)
{
    const BytesToRealAttrs *a = (const BytesToRealAttrs *)k->attrs;
    const uint8_t *x = BYTES(k->in[0]);
    float *y = FLOATS(k->out[0]);
    int64_t n = shape_count(k->in[0].shape);
    if (!n)
        return;
    if (vectors_fit<4>(x) && vectors_fit<4>(y))
        LAUNCH(bytes_to_real_kernel<4>, cuda_grid((n + 3) / 4), CUDA_BLOCK, 0, cuda_stream(k), x, y, a->scale,
               a->shift, n);
    else
        LAUNCH(bytes_to_real_kernel<1>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), x, y, a->scale, a->shift, n);
}

KERNEL(fill, cuda) = {.run = fill};
KERNEL(copy, cuda) = {.run = copy, .formats = formats_same, .halves = true};
KERNEL(bytes_to_real, cuda) = {.run = bytes_to_real};
