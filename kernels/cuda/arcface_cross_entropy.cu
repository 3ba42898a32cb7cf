/* arcface_cross_entropy.cu - margin and cross-entropy over rows of cosines (kernels/cuda/cross_entropy.h); the margin
 * of a row's own class in double.
 *   in      cosine (B, N), labels (B); backward rows (B, 2) and dy (B)
 *   out     y (B) and rows (B, 2); backward dcosine (B, N)
 *   launch  256 threads a part of 4,096 elements of a row
 *   bound   memory: 4 bytes an element forward, 8 backward */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/arcface.h"
#include "engine/ops/arcface_rule.h"
#include "kernels/cuda/cross_entropy.h"

namespace {

struct MarginLogit {
    float scale;
    double m, cosine, sine;   /* of the margin */
    bool easy;
    __device__ float own(float x) const
    {
        return (float)(scale * arcface_true_by(x, m, cosine, sine));
    }
    __device__ float own_slope(float x) const
    {
        return easy ? scale : (float)(scale * arcface_slope_by(x, m, cosine, sine));
    }
};

MarginLogit logit(const KernelCall *k)
{
    const ArcfaceAttrs *a = (const ArcfaceAttrs *)k->attrs;
    return (MarginLogit){a->s, a->m, cos(a->m), sin(a->m), a->easy_gradient};
}

void run(KernelCall *k)
{
    entropy_forward(k, logit(k), FLOATS(k->out[0]), FLOATS(k->out[1]));
}

void run_grad(KernelCall *k)
{
    entropy_grad(k, logit(k), FLOATS(k->in[2]), FLOATS(k->in[3]));
}

}   // namespace

KERNEL(arcface_cross_entropy, cuda) = {.run = run, .prepare = entropy_prepare};
KERNEL(arcface_cross_entropy_grad, cuda) = {.run = run_grad, .inplace = inplace_first};
