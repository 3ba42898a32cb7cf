/* softmax.h - a row's largest value and sum of exponentials by a block of 256 threads: softmax and its losses. */
#ifndef KERNELS_CUDA_SOFTMAX_H
#define KERNELS_CUDA_SOFTMAX_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/rows.h"

constexpr int WARPS = CUDA_BLOCK / WARP;

struct Softmax {
    float top;
    double sum;
};

/* Largest of n values that lie `stride` apart and sum of exp(x - largest), the same in every thread of the block. */
static __device__ Softmax row_softmax(const float *x, int64_t n, int64_t stride)
{
    __shared__ float tops[WARPS];
    __shared__ double sums[WARPS];
    int warp = (int)threadIdx.x / WARP;
    Softmax s = {-INFINITY, 0};
    for (int64_t j = threadIdx.x; j < n; j += CUDA_BLOCK)
        s.top = fmaxf(s.top, x[j * stride]);
    s.top = warp_max(s.top);
    if (threadIdx.x % WARP == 0)
        tops[warp] = s.top;
    __syncthreads();
    for (int i = 0; i < WARPS; i++)
        s.top = fmaxf(s.top, tops[i]);
    float part = 0;
    for (int64_t j = threadIdx.x; j < n; j += CUDA_BLOCK)
        part += expf(x[j * stride] - s.top);
    double sum = warp_sum(part);
    if (threadIdx.x % WARP == 0)
        sums[warp] = sum;
    __syncthreads();
    for (int i = 0; i < WARPS; i++)
        s.sum += sums[i];
    return s;
}

#endif
