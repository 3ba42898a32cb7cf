/* binary.h - kernels of two operands that are broadcast to one result, plain or channels last.
 *   launch  a thread an element of y, 256 a block
 *   bound   memory: 12 bytes an element, less where an operand is repeated
 * Equal shapes and single values are one loop with strides 0 and 1; what remains after joining axes goes by index. */
#ifndef KERNELS_CUDA_BINARY_H
#define KERNELS_CUDA_BINARY_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/walk.h"

/* struct name: y = name::of(a, b). */
#define BINARY(name, expression)                               \
    struct name {                                              \
        __device__ static inline float of(float a, float b)    \
        {                                                      \
            return expression;                                 \
        }                                                      \
    };

template <typename Function>
__global__ void binary_flat_kernel(float *y, const float *a, const float *b, int64_t sa, int64_t sb, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] = Function::of(a[i * sa], b[i * sb]);
}

template <typename Function>
__global__ void binary_walk_kernel(float *y, const float *a, const float *b, Walk w, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n) {
        WalkOffset o = walk_offset(w, i);
        y[i] = Function::of(a[o.at[1]], b[o.at[2]]);
    }
}

/* Result 0 from operands 0 and 1, in the formats that formats_broadcast gives. */
template <typename Function>
static void binary_run(KernelCall *k)
{
    int64_t n = cuda_elements(&k->out[0]);
    if (!n)
        return;
    Walk w = walk_broadcast(&k->out[0], &k->in[0], &k->in[1]);
    const float *a = FLOATS(k->in[0]), *b = FLOATS(k->in[1]);
    float *y = FLOATS(k->out[0]);
    if (w.rank == 1)
        LAUNCH(binary_flat_kernel<Function>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, a, b, w.stride[1][0],
               w.stride[2][0], n);
    else
        LAUNCH(binary_walk_kernel<Function>, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, a, b, w, n);
}

#endif
