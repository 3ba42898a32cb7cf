/* adam.cu - a step over all tensors (kernels/cuda/tensors.h).
 *   launch  256 threads a block of 1,024 elements of one tensor
 *   bound   memory: 28 bytes a parameter */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/adam.h"
#include "kernels/cuda/tensors.h"

typedef TensorTable<4, 3> AdamTable;   /* p, g, m, v; then the new p, m, v */

__global__ void adam_kernel(const float *rate, const int32_t *t, float b1, float b2, float epsilon, AdamTable table)
{
    /* 1 - beta^s as -expm1(s log beta), which loses nothing while beta^s is close to 1. */
    __shared__ float step, root;
    if (threadIdx.x == 0) {
        float s = (float)t[0] + 1.0f;
        step = *rate / -expm1f(s * logf(b1));
        root = 1.0f / sqrtf(-expm1f(s * logf(b2)));
    }
    __syncthreads();
    int64_t start;
    int i = tensor_of_block(table, &start);
    for (int k = 0; k < TENSOR_ELEMENTS; k += CUDA_BLOCK) {
        int64_t e = start + k + threadIdx.x;
        if (e >= table.count[i])
            return;
        float g = table.in[1][i][e], m = b1 * table.in[2][i][e] + (1.0f - b1) * g;
        float v = b2 * table.in[3][i][e] + (1.0f - b2) * g * g;
        table.out[0][i][e] = table.in[0][i][e] - step * m / (sqrtf(v) * root + epsilon);
        table.out[1][i][e] = m;
        table.out[2][i][e] = v;
    }
}

/* In a launch of its own, because t' may lie over t, which every block above reads. */
__global__ void adam_count_kernel(const int32_t *t, int32_t *next)
{
    *next = (int32_t)((uint32_t)*t + 1u);
}

static void run_adam(KernelCall *k)
{
    const AdamAttrs *a = (const AdamAttrs *)k->attrs;
    int n = a->n;
    for (int first = 0; first < n; first += TENSORS) {
        AdamTable table = tensor_table<4, 3>(k, 2, 1, n, first);
        if (table.n)
            LAUNCH(adam_kernel, table.first_block[table.n], CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
                   INT(k->in[1]), a->beta1, a->beta2, a->epsilon, table);
    }
    LAUNCH(adam_count_kernel, 1, 1, 0, cuda_stream(k), INT(k->in[1]), INT(k->out[0]));
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return adam_operand(((const AdamAttrs *)k->attrs)->n, result);
}

KERNEL(adam, cuda) = {.run = run_adam, .inplace = inplace};
