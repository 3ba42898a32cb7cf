/* reorder.h - the same numbers in another layout: plain or channels last, float or bfloat16, with or without channels
 * of zeros behind the last one. */
#ifndef KERNELS_CUDA_REORDER_H
#define KERNELS_CUDA_REORDER_H

#include "kernels/cuda/cuda.h"

/* (images, channels, pixels) in memory; `channels` may exceed the logical ones, channels last only. */
struct ReorderSide {
    void *data;
    bool last, half;
    int64_t channels;
};
/* A tensor of rank 4 in PLAIN, NHWC or NHWC_BF16. */
ReorderSide reorder_side(const Tensor *t);
/* Writes all of `to`, zeros in channels that `from` lacks; what only `from` has is left out. */
void reorder_run(cudaStream_t stream, ReorderSide to, ReorderSide from, int64_t images, int64_t pixels);

#endif
