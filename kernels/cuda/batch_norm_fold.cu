/* batch_norm_fold.cu - a convolution's weights and bias with the batch norm behind it multiplied in.
 * w (F, C, KH, KW) is F rows; all is float and plain.
 *   launch  a thread 16 bytes of w, 256 a block; the thread of a row's first element makes its bias
 *   bound   memory: 8 bytes a weight */
#include "kernels/cuda/vector.h"

#include "engine/ops/conv2d_relu.h"

namespace {

/* Pointers but w, mean, var and the results may be null. */
struct Fold {
    const float *w, *gamma, *beta, *mean, *var, *b;
    float *folded_w, *folded_b;
    float eps;
};

/* n weights, `each` of a filter; V divides `each`. */
template <int V>
__global__ void batch_norm_fold_kernel(Fold f, int64_t each, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    int64_t filter = i / each;
    float v[V];
    load(f.w + i, v);
    float s = (f.gamma ? f.gamma[filter] : 1) / sqrtf(f.var[filter] + f.eps);
#pragma unroll
    for (int l = 0; l < V; l++)
        v[l] *= s;
    store(f.folded_w + i, v);
    if (i == filter * each)
        f.folded_b[filter] = fmaf(s, (f.b ? f.b[filter] : 0) - f.mean[filter], f.beta ? f.beta[filter] : 0);
}

const float *floats(const KernelCall *k, int i)
{
    return i < k->nin && tensor_here(&k->in[i]) ? FLOATS(k->in[i]) : nullptr;
}

void batch_norm_fold(KernelCall *k)
{
    constexpr int V = LANES_OF<float>;
    Fold f = {floats(k, 0), floats(k, 1), floats(k, 2), floats(k, 3), floats(k, 4), floats(k, 5), FLOATS(k->out[0]),
              FLOATS(k->out[1]), ((const BatchNormFoldAttrs *)k->attrs)->eps};
    int64_t n = shape_count(k->in[0].shape), each = n / k->in[0].shape.dim[0];
    if (each % V == 0 && vectors_fit<V>(f.w) && vectors_fit<V>(f.folded_w))
        LAUNCH(batch_norm_fold_kernel<V>, cuda_grid(n / V), CUDA_BLOCK, 0, cuda_stream(k), f, each, n);
    else
        LAUNCH(batch_norm_fold_kernel<1>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), f, each, n);
}

/* in: the convolution's result and its weights.  Folding passes over the weights, a batch norm over the result. */
bool worth(const Shape *in, Precision)
{
    return shape_count(in[0]) > shape_count(in[1]);
}

}   // namespace

KERNEL(batch_norm_fold, cuda) = {.run = batch_norm_fold, .worth = worth};
