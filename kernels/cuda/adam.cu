/* adam.cu - a step over all tensors in one launch (kernels/cuda/tensors.h), and one to count it.
 *   launch  256 threads a block of 2,048 elements of one tensor
 *   bound   memory: 28 bytes a parameter */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/adam.h"
#include "kernels/cuda/tensors.h"

enum { IN = 4, OUT = 3, FIRST_IN = 2, FIRST_OUT = 1 };   /* p, g, m, v; the new p, m, v */

struct AdamStep {
    float b1, b2, epsilon, step, root;
    __device__ void operator()(const float (&in)[IN], float (&out)[OUT]) const
    {
        float g = in[1], m = b1 * in[2] + (1.0f - b1) * g, v = b2 * in[3] + (1.0f - b2) * g * g;
        out[0] = in[0] - step * m / (sqrtf(v) * root + epsilon);
        out[1] = m;
        out[2] = v;
    }
};

static __global__ void adam_kernel(const float *rate, const int32_t *t, float b1, float b2, float epsilon,
                                   const void *table, int n)
{
    /* 1 - beta^s as -expm1(s log beta), which loses nothing while beta^s is close to 1. */
    __shared__ float step, root;
    if (threadIdx.x == 0) {
        float s = (float)t[0] + 1.0f;
        step = *rate / -expm1f(s * logf(b1));
        root = 1.0f / sqrtf(-expm1f(s * logf(b2)));
    }
    __syncthreads();
    AdamStep one = {b1, b2, epsilon, step, root};
    tensors_run<IN, OUT>(table, n, one);
}

/* In a launch of its own, because t' may lie over t, which every block above reads. */
static __global__ void adam_count_kernel(const int32_t *t, int32_t *next)
{
    *next = (int32_t)((uint32_t)*t + 1u);
}

static int tensors(const KernelCall *k)
{
    return ((const AdamAttrs *)k->attrs)->n;
}

static int prepare(KernelCall *k)
{
    return tensors_prepare<IN, OUT>(k, FIRST_IN, tensors(k));
}

static int bind(KernelCall *k)
{
    return tensors_bind<IN, OUT>(k, FIRST_IN, FIRST_OUT, tensors(k));
}

static void run(KernelCall *k)
{
    const AdamAttrs *a = (const AdamAttrs *)k->attrs;
    const Tensors *t = (const Tensors *)k->state;
    if (t->blocks)
        LAUNCH(adam_kernel, t->blocks, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), INT(k->in[1]), a->beta1,
               a->beta2, a->epsilon, t->table, t->entries);
    LAUNCH(adam_count_kernel, 1, 1, 0, cuda_stream(k), INT(k->in[1]), INT(k->out[0]));
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return adam_operand(tensors(k), result);
}

KERNEL(adam, cuda) = {.run = run, .prepare = prepare, .bind = bind, .release = tensors_release, .inplace = inplace};
