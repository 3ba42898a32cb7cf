/* constant.cu - fills, copies and changes of format.
 *   launch  a thread an element, 256 a block; plain to channels last and back by gather.h
 *   bound   memory: fill 4, copy and reorder 8, bytes_to_real 5 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/constant.h"
#include "kernels/cuda/gather.h"

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

/* To or from blocks of 16 channels: element i of y's memory is zero or channel c of pixel p of image b of x. */
__global__ void reorder_blocks_kernel(float *y, const float *x, int y_format, int x_format, int64_t C,
                                      int64_t blocks, int64_t area, int64_t n)
{
    int64_t i = CUDA_INDEX, b, c, p;
    if (i >= n)
        return;
    if (y_format == C16) {
        b = i / (blocks * area * LANES);
        c = i / (area * LANES) % blocks * LANES + i % LANES;
        p = i / LANES % area;
    } else {
        b = i / (C * area);
        c = y_format == NHWC ? i % C : i / area % C;
        p = y_format == NHWC ? i / C % area : i % area;
    }
    float v = 0;
    if (c < C)
        v = x[x_format == C16    ? ((b * blocks + c / LANES) * area + p) * LANES + c % LANES
              : x_format == NHWC ? (b * area + p) * C + c
                                 : (b * C + c) * area + p];
    y[i] = v;
}

static void reorder(KernelCall *k)
{
    const Tensor *x = &k->in[0], *y = &k->out[0];
    int64_t n = cuda_elements(y);
    if (x->format == y->format) {
        copy(k);
    } else if (x->format == C16 || y->format == C16) {
        if (n)
            LAUNCH(reorder_blocks_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(*y),
                   (const float *)x->data, (int)y->format, (int)x->format, x->shape.dim[1],
                   channel_blocks(x->shape.dim[1]), x->shape.dim[2] * x->shape.dim[3], n);
    } else {
        Walk w = walk_broadcast(y, x, NULL);
        gather(cuda_stream(k), FLOATS(*y), (const float *)x->data, &w, n);
    }
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
KERNEL(copy, cuda) = {.run = copy, .formats = formats_same};
KERNEL(reorder, cuda) = {.run = reorder};
KERNEL(bytes_to_real, cuda) = {.run = bytes_to_real};
