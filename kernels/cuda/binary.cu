/* binary.cu - arithmetic of two operands with broadcasting, plain or channels last.
 *   launch  a thread an element of y, 256 a block
 *   bound   memory: 12 bytes an element, less where an operand is repeated
 * Equal shapes and single values are one loop with strides 0 and 1; what remains after joining axes goes by index. */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/binary.h"
#include "kernels/cuda/walk.h"

enum { ADD, SUB, MUL, DIV };

__device__ static inline float arithmetic(int operation, float a, float b)
{
    return operation == ADD ? a + b : operation == SUB ? a - b : operation == MUL ? a * b : a / b;
}

__global__ void binary_flat_kernel(float *y, const float *a, const float *b, int64_t sa, int64_t sb, int operation,
                                   int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = arithmetic(operation, a[i * sa], b[i * sb]);
}

__global__ void binary_walk_kernel(float *y, const float *a, const float *b, Walk w, int operation, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n) {
        WalkOffset o = walk_offset(w, i);
        y[i] = arithmetic(operation, a[o.at[1]], b[o.at[2]]);
    }
}

static void run(KernelCall *k, int operation)
{
    int64_t n = cuda_elements(&k->out[0]);
    if (!n)
        return;
    Walk w = walk_broadcast(&k->out[0], &k->in[0], &k->in[1]);
    const float *a = FLOATS(k->in[0]), *b = FLOATS(k->in[1]);
    float *y = FLOATS(k->out[0]);
    if (w.rank == 1)
        LAUNCH(binary_flat_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, a, b, w.stride[1][0],
               w.stride[2][0], operation, n);
    else
        LAUNCH(binary_walk_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, a, b, w, operation, n);
}

static void run_add(KernelCall *k)
{
    run(k, ADD);
}

static void run_sub(KernelCall *k)
{
    run(k, SUB);
}

static void run_mul(KernelCall *k)
{
    run(k, MUL);
}

static void run_div(KernelCall *k)
{
    run(k, DIV);
}

KERNEL(add, cuda) = {.run = run_add, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(sub, cuda) = {.run = run_sub, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(mul, cuda) = {.run = run_mul, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(div, cuda) = {.run = run_div, .formats = formats_broadcast, .inplace = inplace_alike};
