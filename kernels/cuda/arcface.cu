/* arcface.cu - elementwise; the thread that meets the label's element applies the margin.
 *   in      cosine (B, N), labels (B), dy (B, N)      out     y or dcosine (B, N)
 *   launch  a thread an element, 256 a block; grid (parts of a row, B up to 65535, then round again)
 *   bound   memory: 8 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/arcface.h"
#include "engine/ops/arcface_rule.h"

namespace {

__global__ void arcface_margin_kernel(const float *cosine, const int32_t *labels, float *y, float s, float m,
                                      int64_t batch, int64_t n)
{
    int64_t j = CUDA_INDEX;
    for (int64_t b = blockIdx.y; b < batch && j < n; b += gridDim.y) {
        float c = cosine[b * n + j];
        y[b * n + j] = j == labels[b] ? (float)(s * arcface_true(c, m)) : s * c;
    }
}

__global__ void arcface_margin_grad_kernel(const float *cosine, const int32_t *labels, const float *dy,
                                           float *dcosine, float s, float m, bool easy, int64_t batch, int64_t n)
{
    int64_t j = CUDA_INDEX;
    for (int64_t b = blockIdx.y; b < batch && j < n; b += gridDim.y) {
        int64_t i = b * n + j;
        dcosine[i] = j == labels[b] && !easy ? (float)(s * arcface_slope(cosine[i], m) * dy[i]) : s * dy[i];
    }
}

dim3 grid_of(const Tensor *cosine)
{
    int64_t batch = cosine->shape.dim[0];
    return dim3(cuda_grid(cosine->shape.dim[1]), (unsigned)(batch < 65535 ? batch : 65535));
}

void arcface_margin(KernelCall *k)
{
    const ArcfaceAttrs *a = (const ArcfaceAttrs *)k->attrs;
    if (shape_count(k->in[0].shape))
        LAUNCH(arcface_margin_kernel, grid_of(&k->in[0]), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               INT(k->in[1]), FLOATS(k->out[0]), a->s, a->m, k->in[0].shape.dim[0], k->in[0].shape.dim[1]);
}

void arcface_margin_grad(KernelCall *k)
{
    const ArcfaceAttrs *a = (const ArcfaceAttrs *)k->attrs;
    if (shape_count(k->in[0].shape))
        LAUNCH(arcface_margin_grad_kernel, grid_of(&k->in[0]), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               INT(k->in[1]), FLOATS(k->in[2]), FLOATS(k->out[0]), a->s, a->m, a->easy_gradient,
               k->in[0].shape.dim[0], k->in[0].shape.dim[1]);
}

/* dcosine may take the buffer of dy. */
int inplace_dy(const KernelCall *, int result)
{
    return result == 0 ? 2 : -1;
}

}   // namespace

KERNEL(arcface_margin, cuda) = {.run = arcface_margin, .inplace = inplace_first};
KERNEL(arcface_margin_grad, cuda) = {.run = arcface_margin_grad, .inplace = inplace_dy};
