/* binary.h - kernels of two operands that are broadcast to one result, plain or channels last, float or bfloat16.
 *   launch  equal shapes: map.h; else a thread an element of y, 256 a block
 *   bound   memory: 12 bytes an element, less where an operand is repeated; half of that in bfloat16
 * An operand of the result's shape has its format, one that is repeated is plain.  What remains of the axes after
 * joining goes by index; a single value is stride 0. */
#ifndef KERNELS_CUDA_BINARY_H
#define KERNELS_CUDA_BINARY_H

#include "kernels/cuda/map.h"
#include "kernels/cuda/walk.h"

/* struct name: y = name()(a, b). */
#define BINARY(name, expression)                                  \
    struct name {                                                 \
        __device__ float operator()(float a, float b) const       \
        {                                                         \
            return expression;                                    \
        }                                                         \
    };

template <typename A, typename B, typename Y, typename Function>
static __global__ void binary_walk_kernel(Y *y, const A *a, const B *b, Walk w, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n) {
        WalkOffset o = walk_offset(w, i);
        store_one(y + i, Function()(load_one(a + o.at[1]), load_one(b + o.at[2])));
    }
}

template <typename Function, typename A, typename B, typename Y>
static void binary_walk(const KernelCall *k, const A *a, const B *b, Y *y)
{
    Walk w = walk_broadcast(&k->out[0], &k->in[0], &k->in[1]);
    int64_t n = cuda_elements(&k->out[0]);
    if (n)
        LAUNCH((binary_walk_kernel<A, B, Y, Function>), cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, a, b, w, n);
}

/* Result 0 from operands 0 and 1, in the formats that formats_broadcast gives; kernels say .halves = true. */
template <typename Function>
static void binary_run(KernelCall *k)
{
    const Tensor *a = &k->in[0], *b = &k->in[1], *y = &k->out[0];
    if (shape_equal(a->shape, b->shape) && a->format == b->format)
        map_run<2>(k, Function());
    else if (!format_half(y->format))
        binary_walk<Function>(k, FLOATS(*a), FLOATS(*b), FLOATS(*y));
    else if (format_half(a->format))
        binary_walk<Function>(k, HALVES(*a), FLOATS(*b), HALVES(*y));
    else
        binary_walk<Function>(k, FLOATS(*a), HALVES(*b), HALVES(*y));
}

#endif
