/* softmax_cross_entropy.cu - kernels/cuda/cross_entropy.h over logits as they are.
 *   in      x (B, N), labels (B), dy (B)      out     y (B) or dx (B, N)
 *   launch  256 threads a part of 4,096 elements of a row
 *   bound   memory: 4 bytes an element forward; 12 backward, which reads x for a row's two numbers and again for the
 *           gradient */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/cross_entropy.h"

namespace {

struct PlainLogit {
    float scale = 1;
    __device__ float own(float x) const
    {
        return x;
    }
    __device__ float own_slope(float) const
    {
        return 1;
    }
};

void run(KernelCall *k)
{
    entropy_forward(k, PlainLogit(), FLOATS(k->out[0]), NULL);
}

/* The rows' numbers lie behind the parts in the workspace. */
size_t rows_at(const KernelCall *k)
{
    return k->workspace_bytes - (size_t)k->in[0].shape.dim[0] * 2 * sizeof(float);
}

int prepare_grad(KernelCall *k)
{
    if (entropy_prepare(k))
        return -1;
    k->workspace_bytes += (size_t)k->in[0].shape.dim[0] * 2 * sizeof(float);
    return 0;
}

void run_grad(KernelCall *k)
{
    float *rows = (float *)((char *)k->workspace + rows_at(k));
    entropy_forward(k, PlainLogit(), NULL, rows);
    entropy_grad(k, PlainLogit(), rows, FLOATS(k->in[2]));
}

}   // namespace

KERNEL(softmax_cross_entropy, cuda) = {.run = run, .prepare = entropy_prepare};
KERNEL(softmax_cross_entropy_grad, cuda) = {.run = run_grad, .prepare = prepare_grad, .inplace = inplace_first};
