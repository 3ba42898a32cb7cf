/* softmax_cross_entropy.cu - a block a row.
 *   in      x (B, N), labels (B), dy (B)      out     y (B) or dx (B, N)
 *   launch  256 threads a row, B blocks
 *   bound   memory: 4 bytes an element forward, 8 backward; the row is read two and three times, again from the
 *           caches (73 kB for the largest number of classes) */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/softmax.h"

namespace {

__global__ void softmax_cross_entropy_kernel(const float *x, const int32_t *labels, float *y, int64_t n)
{
    int64_t row = blockIdx.x, label = labels[row];
    x += row * n;
    Softmax s = row_softmax(x, n, 1);
    if (threadIdx.x == 0)
        y[row] = label < 0 || label >= n ? NAN : (float)(log(s.sum) + ((double)s.top - x[label]));
}

/* dx may be x: each thread writes what only it has still to read. */
__global__ void softmax_cross_entropy_grad_kernel(const float *x, const int32_t *labels, const float *dy, float *dx,
                                                  int64_t n)
{
    int64_t row = blockIdx.x, label = labels[row];
    x += row * n;
    dx += row * n;
    Softmax s = row_softmax(x, n, 1);
    float by = label < 0 || label >= n ? NAN : dy[row], scale = (float)(1 / s.sum);
    for (int64_t j = threadIdx.x; j < n; j += CUDA_BLOCK)
        dx[j] = by * (expf(x[j] - s.top) * scale - (j == label ? 1.0f : 0.0f));
}

void softmax_cross_entropy(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0];
    if (batch)
        LAUNCH(softmax_cross_entropy_kernel, (unsigned)batch, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               INT(k->in[1]), FLOATS(k->out[0]), k->in[0].shape.dim[1]);
}

void softmax_cross_entropy_grad(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0];
    if (batch)
        LAUNCH(softmax_cross_entropy_grad_kernel, (unsigned)batch, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               INT(k->in[1]), FLOATS(k->in[2]), FLOATS(k->out[0]), k->in[0].shape.dim[1]);
}

}   // namespace

KERNEL(softmax_cross_entropy, cuda) = {.run = softmax_cross_entropy};
KERNEL(softmax_cross_entropy_grad, cuda) = {.run = softmax_cross_entropy_grad, .inplace = inplace_first};
