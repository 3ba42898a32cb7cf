/* map.h - y = f(x) and y = f(a, b), element by element over memory of one format, float or bfloat16.
 *   launch  a thread 16 bytes of each tensor, 256 a block; an element a thread where a pointer is not aligned to 16
 *   bound   memory: 4 bytes an element of each operand and result, 2 in bfloat16
 * f is a struct of numbers with `__device__ float operator()(float) const`, or of two floats.  y may be an operand. */
#ifndef KERNELS_CUDA_MAP_H
#define KERNELS_CUDA_MAP_H

#include "kernels/cuda/vector.h"

template <int OPERANDS, typename Function>
static __device__ inline float map_apply(const Function &f, float a, float b)
{
    if constexpr (OPERANDS == 1)
        return f(a);
    else
        return f(a, b);
}

template <int V, int OPERANDS, typename T, typename Function>
static __global__ void map_kernel(Function f, const T *a, const T *b, T *y, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i + V <= n) {
        float va[V], vb[V] = {}, vy[V];
        load(a + i, va);
        if constexpr (OPERANDS == 2)
            load(b + i, vb);
#pragma unroll
        for (int l = 0; l < V; l++)
            vy[l] = map_apply<OPERANDS>(f, va[l], vb[l]);
        store(y + i, vy);
        return;
    }
    for (; i < n; i++)   /* the last thread's, fewer than V */
        store_one(y + i, map_apply<OPERANDS>(f, load_one(a + i), OPERANDS == 2 ? load_one(b + i) : 0));
}

/* n elements; b is not read with one operand. */
template <int OPERANDS, typename T, typename Function>
static void map_typed(cudaStream_t stream, Function f, const T *a, const T *b, T *y, int64_t n)
{
    constexpr int V = LANES_OF<T>;
    if (!n)
        return;
    if (vectors_fit<V>(a) && vectors_fit<V>(y) && (OPERANDS == 1 || vectors_fit<V>(b)))
        LAUNCH((map_kernel<V, OPERANDS, T, Function>), cuda_grid((n + V - 1) / V), CUDA_BLOCK, 0, stream, f, a, b, y,
               n);
    else
        LAUNCH((map_kernel<1, OPERANDS, T, Function>), cuda_grid(n), CUDA_BLOCK, 0, stream, f, a, b, y, n);
}

/* Result 0 from operand 0, or 0 and 1; all of one shape and one format.  Kernels say .halves = true. */
template <int OPERANDS, typename Function>
static void map_run(const KernelCall *k, Function f)
{
    const Tensor *a = &k->in[0], *b = &k->in[OPERANDS - 1], *y = &k->out[0];
    if (format_half(y->format))
        map_typed<OPERANDS>(cuda_stream(k), f, HALVES(*a), HALVES(*b), HALVES(*y), cuda_elements(y));
    else
        map_typed<OPERANDS>(cuda_stream(k), f, FLOATS(*a), FLOATS(*b), FLOATS(*y), cuda_elements(y));
}

#endif
