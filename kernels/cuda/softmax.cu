/* softmax.cu - rows of n numbers that lie `inner` apart.
 *   in      x      out     y, the same
 *   launch  inner below 8: 256 threads a row; else 32 neighbouring rows a block of 32 x 8 threads, so that threads
 *           side by side read side by side
 *   bound   memory: 8 bytes an element; a row is read three times, again from the caches */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/softmax.h"
#include "kernels/layout.h"

#include "engine/ops/softmax.h"

/* y may be x: each thread writes what only it has still to read. */
template <bool LOGARITHM>
__global__ void softmax_kernel(const float *x, float *y, int64_t n, int64_t inner)
{
    int64_t row = blockIdx.x, first = row / inner * n * inner + row % inner;
    x += first;
    y += first;
    Softmax s = row_softmax(x, n, inner);
    float by = (float)(1 / s.sum), less = (float)log(s.sum);
    for (int64_t j = threadIdx.x; j < n; j += CUDA_BLOCK) {
        float d = x[j * inner] - s.top;
        y[j * inner] = LOGARITHM ? d - less : expf(d) * by;
    }
}

enum { COLUMNS = 32, DEPTH = CUDA_BLOCK / COLUMNS, FEW = 8 };

template <bool LOGARITHM>
__global__ void softmax_columns_kernel(const float *x, float *y, int64_t n, int64_t inner)
{
    __shared__ float tops[DEPTH][COLUMNS];
    __shared__ double sums[DEPTH][COLUMNS];
    int column = threadIdx.x % COLUMNS, depth = threadIdx.x / COLUMNS;
    int64_t tiles = (inner + COLUMNS - 1) / COLUMNS, tile = blockIdx.x % tiles;
    bool here = tile * COLUMNS + column < inner;
    int64_t first = blockIdx.x / tiles * n * inner + tile * COLUMNS + column;
    float top = -INFINITY, part = 0;
    for (int64_t j = depth; j < n && here; j += DEPTH)
        top = fmaxf(top, x[first + j * inner]);
    tops[depth][column] = top;
    __syncthreads();
    for (int i = 0; i < DEPTH; i++)
        top = fmaxf(top, tops[i][column]);
    for (int64_t j = depth; j < n && here; j += DEPTH)
        part += expf(x[first + j * inner] - top);
    sums[depth][column] = part;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < DEPTH; i++)
        sum += sums[i][column];
    float by = (float)(1 / sum), less = (float)log(sum);
    for (int64_t j = depth; j < n && here; j += DEPTH) {
        float d = x[first + j * inner] - top;
        y[first + j * inner] = LOGARITHM ? d - less : expf(d) * by;
    }
}

template <bool LOGARITHM>
static void run(KernelCall *k)
{
    const Tensor *x = &k->in[0];
    int dim = ((const SoftmaxAttrs *)k->attrs)->dim;
    Span s = span_of(x, dim < 0 ? dim + x->shape.rank : dim);
    if (!shape_count(x->shape))
        return;
    if (s.inner >= FEW)
        LAUNCH(softmax_columns_kernel<LOGARITHM>, (unsigned)(s.outer * ((s.inner + COLUMNS - 1) / COLUMNS)), CUDA_BLOCK,
               0, cuda_stream(k), FLOATS(*x), FLOATS(k->out[0]), s.extent, s.inner);
    else
        LAUNCH(softmax_kernel<LOGARITHM>, (unsigned)(s.outer * s.inner), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(*x),
               FLOATS(k->out[0]), s.extent, s.inner);
}

KERNEL(softmax, cuda) = {.run = run<false>, .inplace = inplace_first};
KERNEL(log_softmax, cuda) = {.run = run<true>, .inplace = inplace_first};
