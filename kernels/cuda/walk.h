/* walk.h - strided loops over several tensors on the device: the position of one element of a Walk. */
#ifndef KERNELS_CUDA_WALK_H
#define KERNELS_CUDA_WALK_H

#include "kernels/layout.h"

typedef struct WalkOffset {
    int64_t at[WALK_TENSORS];
} WalkOffset;

/* Offsets of element i, counted with the innermost loop fastest.  Indices below 2^31 go by 32-bit division. */
__device__ static inline WalkOffset walk_offset(const Walk &w, int64_t i)
{
    WalkOffset o = {{0, 0, 0}};
    for (int d = w.rank - 1; d > 0 && i; d--) {
        int64_t n = w.dim[d], next;
        if (i >> 31)
            next = i / n;
        else
            next = n >> 31 ? 0 : (int64_t)((unsigned)i / (unsigned)n);
        int64_t index = i - next * n;
        for (int t = 0; t < WALK_TENSORS; t++)
            o.at[t] += index * w.stride[t][d];
        i = next;
    }
    for (int t = 0; t < WALK_TENSORS; t++)
        o.at[t] += i * w.stride[t][0];
    return o;
}

#endif
