/* leaky_relu.cu - elementwise, in any format.
 *   launch  a thread an element, 256 a block
 *   bound   memory: 8 bytes an element forward, 12 backward */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/leaky_relu.h"

__global__ void leaky_relu_kernel(const float *x, float *y, float slope, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

__global__ void leaky_relu_grad_kernel(const float *x, const float *dy, float *dx, float slope, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

static void leaky_relu(KernelCall *k)
{
    int64_t n = cuda_elements(&k->in[0]);
    LAUNCH(leaky_relu_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
           ((const LeakyReluAttrs *)k->attrs)->slope, n);
}

static void leaky_relu_grad(KernelCall *k)
{
    int64_t n = cuda_elements(&k->in[0]);
    LAUNCH(leaky_relu_grad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]),
           FLOATS(k->out[0]), ((const LeakyReluAttrs *)k->attrs)->slope, n);
}

/* dx may take the buffer of dy. */
static int inplace_dy(const KernelCall *, int result)
{
    return result == 0 ? 1 : -1;
}

KERNEL(leaky_relu, cuda) = {.run = leaky_relu, .formats = formats_same, .inplace = inplace_first};
KERNEL(leaky_relu_grad, cuda) = {.run = leaky_relu_grad, .formats = formats_same, .inplace = inplace_dy};
