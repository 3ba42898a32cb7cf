/* softmax.cu - a block a row.
 *   in      x, rows of n floats `inner` apart      out     y, the same
 *   launch  256 threads a row, a block each
 *   bound   memory: 8 bytes an element; the row is read three times, again from the caches.  Along other axes than the
 *           last neighbouring threads read apart. */
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

template <bool LOGARITHM>
static void run(KernelCall *k)
{
    const Tensor *x = &k->in[0];
    int dim = ((const SoftmaxAttrs *)k->attrs)->dim;
    Span s = span_of(x, dim < 0 ? dim + x->shape.rank : dim);
    if (shape_count(x->shape))
        LAUNCH(softmax_kernel<LOGARITHM>, (unsigned)(s.outer * s.inner), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(*x),
               FLOATS(k->out[0]), s.extent, s.inner);
}

KERNEL(softmax, cuda) = {.run = run<false>, .inplace = inplace_first};
KERNEL(log_softmax, cuda) = {.run = run<true>, .inplace = inplace_first};
