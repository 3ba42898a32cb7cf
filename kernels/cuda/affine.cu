/* affine.cu - elementwise, in any format.
 *   launch  a thread an element, 256 a block
 *   bound   memory: 8 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/affine.h"

__global__ void affine_kernel(const float *x, float *y, float scale, float shift, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = scale * x[i] + shift;
}

static void affine(KernelCall *k)
{
    const AffineAttrs *a = (const AffineAttrs *)k->attrs;
    int64_t n = cuda_elements(&k->in[0]);
    if (n)
        LAUNCH(affine_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
               a->scale, a->shift, n);
}

KERNEL(affine, cuda) = {.run = affine, .formats = formats_same, .inplace = inplace_first};
