/* sgd.cu - a step over all tensors (kernels/cuda/tensors.h).
 *   launch  256 threads a block of 1,024 elements of one tensor
 *   bound   memory: 20 bytes a parameter, 12 without momentum */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/sgd.h"
#include "kernels/cuda/tensors.h"

/* LISTS: 3 with velocities (p, g, m; then the new p and m), 2 without. */
template <int LISTS>
__global__ void sgd_kernel(const float *rate, SgdAttrs a, TensorTable<LISTS, LISTS - 1> table)
{
    int64_t start;
    int i = tensor_of_block(table, &start);
    for (int k = 0; k < TENSOR_ELEMENTS; k += CUDA_BLOCK) {
        int64_t e = start + k + threadIdx.x;
        if (e >= table.count[i])
            return;
        float p = table.in[0][i][e], slope = table.in[1][i][e] + a.weight_decay * p, way = slope;
        if constexpr (LISTS == 3) {
            float velocity = a.momentum * table.in[2][i][e] + slope;
            way = a.nesterov ? slope + a.momentum * velocity : velocity;
            table.out[1][i][e] = velocity;
        }
        table.out[0][i][e] = p - *rate * way;
    }
}

template <int LISTS>
static void run(KernelCall *k)
{
    const SgdAttrs *a = (const SgdAttrs *)k->attrs;
    for (int first = 0; first < a->n; first += TENSORS) {
        TensorTable<LISTS, LISTS - 1> table = tensor_table<LISTS, LISTS - 1>(k, 1, 0, a->n, first);
        if (table.n)
            LAUNCH(sgd_kernel<LISTS>, table.first_block[table.n], CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), *a,
                   table);
    }
}

static void run_sgd(KernelCall *k)
{
    if (sgd_lists((const SgdAttrs *)k->attrs) == 3)
        run<3>(k);
    else
        run<2>(k);
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return sgd_operand(((const SgdAttrs *)k->attrs)->n, result);
}

KERNEL(sgd, cuda) = {.run = run_sgd, .inplace = inplace};
