/* rows.h - sums and maxima over the threads of a warp or block, for kernels that give a row of a matrix to one. */
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

/* Sum over all threads of a block of whole warps, in every thread; all threads must call it. */
static __device__ inline double block_sum(double v)
{
    __shared__ double sums[1024 / WARP];
    int warps = (int)blockDim.x / WARP;
    v = warp_sum(v);
    if (threadIdx.x % WARP == 0)
        sums[threadIdx.x / WARP] = v;
    __syncthreads();
    double sum = 0;
    for (int i = 0; i < warps; i++)
        sum += sums[i];
    __syncthreads();
    return sum;
}

static __device__ inline float warp_max(float v)
{
    for (int step = WARP / 2; step > 0; step /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
}

/* Largest over all threads of a block of whole warps, in every thread; all threads must call it. */
static __device__ inline float block_max(float v)
{
    __shared__ float tops[1024 / WARP];
    int warps = (int)blockDim.x / WARP;
    v = warp_max(v);
    if (threadIdx.x % WARP == 0)
        tops[threadIdx.x / WARP] = v;
    __syncthreads();
    for (int i = 0; i < warps; i++)
        v = fmaxf(v, tops[i]);
    __syncthreads();
    return v;
}

#endif
