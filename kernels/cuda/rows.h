/* rows.h - sums and maxima over the threads of a warp, for kernels that give a row of a matrix to a warp or a block. */
#ifndef KERNELS_CUDA_ROWS_H
#define KERNELS_CUDA_ROWS_H

#include "kernels/cuda/cu.h"

constexpr int WARP = 32;

/* Sum over a full warp, the same in each lane: the order of additions is fixed. */
static __device__ inline double warp_sum(double v)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
}

static __device__ inline float warp_max(float v)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}

#endif
