/* adam.cu - a step over all tensors: 40 of them a launch, whose table of pointers is a kernel parameter, so that the
 * launch can be recorded into a graph.
 *   launch  256 threads a block of 1,024 elements of one tensor
 *   bound   memory: 28 bytes a parameter */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/adam.h"

enum { TENSORS = 40, ELEMENTS = 4 * CUDA_BLOCK };

typedef struct AdamTable {
    int n;
    unsigned first_block[TENSORS + 1];
    int64_t count[TENSORS];
    const float *p[TENSORS], *g[TENSORS], *m[TENSORS], *v[TENSORS];
    float *new_p[TENSORS], *new_m[TENSORS], *new_v[TENSORS];
} AdamTable;

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
    int i = 0;
    while (blockIdx.x >= table.first_block[i + 1])
        i++;
    int64_t start = (int64_t)(blockIdx.x - table.first_block[i]) * ELEMENTS;
    for (int k = 0; k < ELEMENTS; k += CUDA_BLOCK) {
        int64_t e = start + k + threadIdx.x;
        if (e >= table.count[i])
            return;
        float g = table.g[i][e], m = b1 * table.m[i][e] + (1.0f - b1) * g;
        float v = b2 * table.v[i][e] + (1.0f - b2) * g * g;
        table.new_p[i][e] = table.p[i][e] - step * m / (sqrtf(v) * root + epsilon);
        table.new_m[i][e] = m;
        table.new_v[i][e] = v;
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
        AdamTable table = {};
        for (int i = first; i < n && i < first + TENSORS; i++) {
            int64_t count = shape_count(k->in[2 + i].shape);
            if (!count)
                continue;
            int at = table.n++;
            table.count[at] = count;
            table.first_block[at + 1] = table.first_block[at] + (unsigned)((count + ELEMENTS - 1) / ELEMENTS);
            table.p[at] = FLOATS(k->in[2 + i]);
            table.g[at] = FLOATS(k->in[2 + n + i]);
            table.m[at] = FLOATS(k->in[2 + 2 * n + i]);
            table.v[at] = FLOATS(k->in[2 + 3 * n + i]);
            table.new_p[at] = FLOATS(k->out[1 + i]);
            table.new_m[at] = FLOATS(k->out[1 + n + i]);
            table.new_v[at] = FLOATS(k->out[1 + 2 * n + i]);
        }
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
