/* tensors.h - a step over many tensors in one launch: a block takes 2,048 elements of one tensor, which it finds in a
 * table on the device.  The table is made once a plan and filled whenever addresses are set, so that a launch has the
 * same arguments however many tensors there are. */
#ifndef KERNELS_CUDA_TENSORS_H
#define KERNELS_CUDA_TENSORS_H

#include <stdlib.h>

#include "kernels/cuda/vector.h"

constexpr int TENSOR_LANES = 4, TENSOR_ROUNDS = 2, TENSOR_STEP = TENSOR_LANES * CUDA_BLOCK;
constexpr int TENSOR_ELEMENTS = TENSOR_ROUNDS * TENSOR_STEP;

/* One tensor: in[l] from the l-th list of operands, out[l] from the l-th list of results. */
template <int IN, int OUT>
struct TensorEntry {
    const float *in[IN];
    float *out[OUT];
    int64_t count;
    unsigned first_block;
    bool wide;               /* all addresses are multiples of 16 bytes */
};

/* k->state: on the device the entries, and behind them the entry of each block. */
struct Tensors {
    int entries;
    unsigned blocks;
    void *table;
};

template <int IN, int OUT>
static size_t tensors_bytes(const Tensors *t)
{
    return sizeof(TensorEntry<IN, OUT>) * (size_t)t->entries + sizeof(int) * t->blocks;
}

static void tensors_release(KernelCall *k)
{
    Tensors *t = (Tensors *)k->state;
    if (t && t->table)
        k->device->free(k->device, t->table);
    free(t);
    k->state = NULL;
}

/* Lists of n tensors, which begin at operand `in`. */
template <int IN, int OUT>
static int tensors_prepare(KernelCall *k, int in, int n)
{
    Tensors *t = (Tensors *)must_zalloc(sizeof *t);
    int64_t blocks = 0;
    for (int i = 0; i < n; i++) {
        int64_t count = shape_count(k->in[in + i].shape);
        t->entries += count > 0;
        blocks += (count + TENSOR_ELEMENTS - 1) / TENSOR_ELEMENTS;
    }
    k->state = t;
    if (blocks > INT32_MAX)
        return fail("%s: more than 2^42 elements", k->name);
    t->blocks = (unsigned)blocks;
    k->state_bytes = tensors_bytes<IN, OUT>(t);
    if (!blocks)
        return 0;
    t->table = k->device->alloc(k->device, k->state_bytes);
    if (t->table)
        return 0;
    tensors_release(k);
    return -1;
}

/* Results begin at `out`. */
template <int IN, int OUT>
static int tensors_bind(KernelCall *k, int in, int out, int n)
{
    Tensors *t = (Tensors *)k->state;
    if (!t->blocks)
        return 0;
    TensorEntry<IN, OUT> *entries = (TensorEntry<IN, OUT> *)must_zalloc(k->state_bytes), *e = entries;
    int *of_block = (int *)(entries + t->entries);
    unsigned block = 0;
    for (int i = 0; i < n; i++) {
        int64_t count = shape_count(k->in[in + i].shape);
        if (!count)
            continue;
        e->count = count;
        e->first_block = block;
        e->wide = true;
        for (int l = 0; l < IN; l++) {
            e->in[l] = FLOATS(k->in[in + l * n + i]);
            e->wide = e->wide && vectors_fit<TENSOR_LANES>(e->in[l]);
        }
        for (int l = 0; l < OUT; l++) {
            e->out[l] = FLOATS(k->out[out + l * n + i]);
            e->wide = e->wide && vectors_fit<TENSOR_LANES>(e->out[l]);
        }
        for (int64_t b = (count + TENSOR_ELEMENTS - 1) / TENSOR_ELEMENTS; b > 0; b--)
            of_block[block++] = (int)(e - entries);
        e++;
    }
    int bad = k->device->upload(k->device, t->table, entries, k->state_bytes);
    free(entries);
    return bad;
}

/* This block's share of its tensor; step(in, out) makes the results of one element of its IN operands. */
template <int IN, int OUT, typename Step>
static __device__ inline void tensors_run(const void *table, int n, const Step &step)
{
    const TensorEntry<IN, OUT> *entries = (const TensorEntry<IN, OUT> *)table;
    const TensorEntry<IN, OUT> &e = entries[((const int *)(entries + n))[blockIdx.x]];
    int64_t start = (int64_t)(blockIdx.x - e.first_block) * TENSOR_ELEMENTS + threadIdx.x * TENSOR_LANES;
#pragma unroll
    for (int round = 0; round < TENSOR_ROUNDS; round++, start += TENSOR_STEP) {
        if (e.wide && start + TENSOR_LANES <= e.count) {
            float in[IN][TENSOR_LANES], out[OUT][TENSOR_LANES];
#pragma unroll
            for (int l = 0; l < IN; l++)
                load(e.in[l] + start, in[l]);
#pragma unroll
            for (int i = 0; i < TENSOR_LANES; i++) {
                float one[IN], made[OUT];
#pragma unroll
                for (int l = 0; l < IN; l++)
                    one[l] = in[l][i];
                step(one, made);
#pragma unroll
                for (int l = 0; l < OUT; l++)
                    out[l][i] = made[l];
            }
#pragma unroll
            for (int l = 0; l < OUT; l++)
                store(e.out[l] + start, out[l]);
            continue;
        }
        for (int i = 0; i < TENSOR_LANES && start + i < e.count; i++) {
            float one[IN], made[OUT];
#pragma unroll
            for (int l = 0; l < IN; l++)
                one[l] = e.in[l][start + i];
            step(one, made);
#pragma unroll
            for (int l = 0; l < OUT; l++)
                e.out[l][start + i] = made[l];
        }
    }
}

#endif
