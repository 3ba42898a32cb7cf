/* tensors.h - a step over many tensors: up to 40 of them a launch, whose table of pointers is a kernel parameter, so
 * that the launch can be recorded into a graph.  A block takes 1,024 elements of one tensor. */
#ifndef KERNELS_CUDA_TENSORS_H
#define KERNELS_CUDA_TENSORS_H

#include "kernels/cuda/cuda.h"

enum { TENSORS = 40, TENSOR_ELEMENTS = 4 * CUDA_BLOCK };

/* Of tensor i: in[l][i] from the l-th list of operands, out[l][i] from the l-th list of results. */
template <int IN, int OUT>
struct TensorTable {
    int n;
    unsigned first_block[TENSORS + 1];
    int64_t count[TENSORS];
    const float *in[IN][TENSORS];
    float *out[OUT][TENSORS];
};

/* Tensors first, first + 1, ... of lists of n, which begin at operand `in` and result `out`. */
template <int IN, int OUT>
static TensorTable<IN, OUT> tensor_table(const KernelCall *k, int in, int out, int n, int first)
{
    TensorTable<IN, OUT> t = {};
    for (int i = first; i < n && i < first + TENSORS; i++) {
        int64_t count = shape_count(k->in[in + i].shape);
        if (!count)
            continue;
        int at = t.n++;
        t.count[at] = count;
        t.first_block[at + 1] = t.first_block[at] + (unsigned)((count + TENSOR_ELEMENTS - 1) / TENSOR_ELEMENTS);
        for (int l = 0; l < IN; l++)
            t.in[l][at] = FLOATS(k->in[in + l * n + i]);
        for (int l = 0; l < OUT; l++)
            t.out[l][at] = FLOATS(k->out[out + l * n + i]);
    }
    return t;
}

/* The tensor of this block; *start: its first element in it. */
template <int IN, int OUT>
static __device__ inline int tensor_of_block(const TensorTable<IN, OUT> &t, int64_t *start)
{
    int i = 0;
    while (blockIdx.x >= t.first_block[i + 1])
        i++;
    *start = (int64_t)(blockIdx.x - t.first_block[i]) * TENSOR_ELEMENTS;
    return i;
}

#endif
