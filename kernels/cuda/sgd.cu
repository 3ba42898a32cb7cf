/* sgd.cu - a step over all tensors in one launch (kernels/cuda/tensors.h).
 *   launch  256 threads a block of 2,048 elements of one tensor
 *   bound   memory: 20 bytes a parameter, 12 without momentum */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/sgd.h"
#include "kernels/cuda/tensors.h"

enum { FIRST_IN = 1, FIRST_OUT = 0 };

/* LISTS: 3 with velocities (p, g, m; then the new p and m), 2 without. */
template <int LISTS>
struct SgdStep {
    float rate;
    SgdAttrs a;
    __device__ void operator()(const float (&in)[LISTS], float (&out)[LISTS - 1]) const
    {
        float slope = in[1] + a.weight_decay * in[0], way = slope;
        if constexpr (LISTS == 3) {
            float velocity = a.momentum * in[2] + slope;
            way = a.nesterov ? slope + a.momentum * velocity : velocity;
            out[1] = velocity;
        }
        out[0] = in[0] - rate * way;
    }
};

template <int LISTS>
static __global__ void sgd_kernel(const float *rate, SgdAttrs a, const void *table, int n)
{
    SgdStep<LISTS> one = {*rate, a};
    tensors_run<LISTS, LISTS - 1>(table, n, one);
}

static const SgdAttrs *attrs(const KernelCall *k)
{
    return (const SgdAttrs *)k->attrs;
}

static int prepare(KernelCall *k)
{
    return sgd_lists(attrs(k)) == 3 ? tensors_prepare<3, 2>(k, FIRST_IN, attrs(k)->n)
                                    : tensors_prepare<2, 1>(k, FIRST_IN, attrs(k)->n);
}

static int bind(KernelCall *k)
{
    return sgd_lists(attrs(k)) == 3 ? tensors_bind<3, 2>(k, FIRST_IN, FIRST_OUT, attrs(k)->n)
                                    : tensors_bind<2, 1>(k, FIRST_IN, FIRST_OUT, attrs(k)->n);
}

static void run(KernelCall *k)
{
    const Tensors *t = (const Tensors *)k->state;
    if (!t->blocks)
        return;
    if (sgd_lists(attrs(k)) == 3)
        LAUNCH(sgd_kernel<3>, t->blocks, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), *attrs(k), t->table,
               t->entries);
    else
        LAUNCH(sgd_kernel<2>, t->blocks, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), *attrs(k), t->table,
               t->entries);
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return sgd_operand(attrs(k)->n, result);
}

KERNEL(sgd, cuda) = {.run = run, .prepare = prepare, .bind = bind, .release = tensors_release, .inplace = inplace};
