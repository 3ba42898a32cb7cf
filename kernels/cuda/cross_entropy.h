/* cross_entropy.h - softmax cross-entropy over rows of logits that are made of what lies in memory by a
 *     struct Logit { float scale; float own(float x); float own_slope(float x); }:
 * scale x, but for the element of the row's label own(x), whose derivative is own_slope(x).
 *   parts   a block holds 4,096 elements of a row in registers, 16 a thread: the largest logit and the sum of
 *           exponentials over it, so that memory is read once however long the rows are
 *   finish  a thread a row puts its parts together in their order; rows of one part need no such launch
 *   grad    a block 4,096 elements of a row, with the row's two numbers at hand
 * Fours begin where an address is a multiple of 16, whatever the row's length; unaligned operands go one by one. */
#ifndef KERNELS_CUDA_CROSS_ENTROPY_H
#define KERNELS_CUDA_CROSS_ENTROPY_H

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/rows.h"

enum { ENTROPY_FOURS = 4, ENTROPY_PART = 4 * ENTROPY_FOURS * CUDA_BLOCK };

struct EntropyPart {
    double sum;   /* of exp(logit - top) */
    float top;
};

struct EntropyRows {
    const float *x;          /* (batch, n) */
    const int32_t *labels;
    int64_t batch, n, parts;
    bool wide;               /* all matrices begin at multiples of 16 bytes */
};

/* First element of four number i of a row: the rows of unaligned lengths begin up to three elements into a four. */
static __device__ inline int64_t entropy_first(const EntropyRows &r, int64_t row, int64_t part, int i)
{
    return part * ENTROPY_PART + (i * CUDA_BLOCK + (int)threadIdx.x) * 4 - row * r.n % 4;
}

static __device__ inline void entropy_load(const EntropyRows &r, int64_t row, int64_t j, float *v)
{
    const float *x = r.x + row * r.n;
    if (r.wide && j >= 0 && j + 4 <= r.n) {
        float4 four = *(const float4 *)(x + j);
        v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    } else {
        for (int l = 0; l < 4; l++)
            v[l] = j + l >= 0 && j + l < r.n ? x[j + l] : 0;
    }
}

/* Logit of a row's label, NaN if there is no such class. */
template <typename Logit>
static __device__ inline float entropy_own(const EntropyRows &r, const Logit &logit, int64_t row)
{
    int64_t label = r.labels[row];
    return label < 0 || label >= r.n ? nanf("") : logit.own(r.x[row * r.n + label]);
}

/* Loss of a row and its two numbers; either may be unwanted. */
static __device__ inline void entropy_write(int64_t row, EntropyPart all, float own, float *y, float *rows)
{
    if (y)
        y[row] = (float)(log(all.sum) + ((double)all.top - own));
    if (rows) {
        rows[2 * row] = all.top;
        rows[2 * row + 1] = (float)all.sum;
    }
}

template <typename Logit>
static __global__ void entropy_parts_kernel(EntropyRows r, Logit logit, EntropyPart *parts, float *y, float *rows)
{
    int64_t row = blockIdx.x / r.parts, part = blockIdx.x % r.parts, label = r.labels[row];
    float z[4 * ENTROPY_FOURS], own = entropy_own(r, logit, row);
    EntropyPart all = {0, -INFINITY};
#pragma unroll
    for (int i = 0; i < ENTROPY_FOURS; i++) {
        int64_t j = entropy_first(r, row, part, i);
        entropy_load(r, row, j, z + 4 * i);
        for (int l = 0; l < 4; l++) {
            z[4 * i + l] = j + l == label ? own : logit.scale * z[4 * i + l];
            if (j + l >= 0 && j + l < r.n)
                all.top = fmaxf(all.top, z[4 * i + l]);
        }
    }
    all.top = block_max(all.top);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < ENTROPY_FOURS; i++) {
        int64_t j = entropy_first(r, row, part, i);
        for (int l = 0; l < 4; l++)
            if (j + l >= 0 && j + l < r.n)
                sum += expf(z[4 * i + l] - all.top);
    }
    all.sum = block_sum(sum);
    if (threadIdx.x)
        return;
    if (r.parts == 1)
        entropy_write(row, all, own, y, rows);
    else
        parts[blockIdx.x] = all;
}

template <typename Logit>
static __global__ void entropy_finish_kernel(EntropyRows r, Logit logit, const EntropyPart *parts, float *y,
                                             float *rows)
{
    int64_t row = CUDA_INDEX;
    if (row >= r.batch)
        return;
    parts += row * r.parts;
    EntropyPart all = parts[0];
    for (int64_t p = 1; p < r.parts; p++)
        all.top = fmaxf(all.top, parts[p].top);
    all.sum = 0;
    for (int64_t p = 0; p < r.parts; p++)   /* a part without elements has no largest and no sum */
        all.sum += parts[p].sum == 0 ? 0 : parts[p].sum * exp((double)parts[p].top - all.top);
    entropy_write(row, all, entropy_own(r, logit, row), y, rows);
}

/* dx may be x: each thread writes what only it has read. */
template <typename Logit>
static __global__ void entropy_grad_kernel(EntropyRows r, Logit logit, const float *rows, const float *dy, float *dx)
{
    int64_t row = blockIdx.x / r.parts, part = blockIdx.x % r.parts, label = r.labels[row];
    bool bad = label < 0 || label >= r.n;
    float by = bad ? nanf("") : dy[row], top = rows[2 * row], over = 1.0f / rows[2 * row + 1];
    bool here = !bad && (label + row * r.n % 4) / ENTROPY_PART == part;
    float x_own = here ? r.x[row * r.n + label] : 0, own = logit.own(x_own), slope = logit.own_slope(x_own);
    __syncthreads();   /* another thread may write dx over what was read here */
    dx += row * r.n;
#pragma unroll
    for (int i = 0; i < ENTROPY_FOURS; i++) {
        int64_t j = entropy_first(r, row, part, i);
        float v[4];
        if (j >= r.n)
            return;
        entropy_load(r, row, j, v);
        for (int l = 0; l < 4; l++) {
            bool mine = j + l == label;
            float p = expf((mine ? own : logit.scale * v[l]) - top) * over;
            v[l] = by * (p - (mine ? 1.0f : 0.0f)) * (mine ? slope : logit.scale);
        }
        if (r.wide && j >= 0 && j + 4 <= r.n) {
            *(float4 *)(dx + j) = make_float4(v[0], v[1], v[2], v[3]);
        } else {
            for (int l = 0; l < 4; l++)
                if (j + l >= 0 && j + l < r.n)
                    dx[j + l] = v[l];
        }
    }
}

/* ---------------------------------------------------------------- host */
/* Rows of operand 0 with the labels of operand 1; other: the matrix that is written, or NULL. */
static inline EntropyRows entropy_rows(const KernelCall *k, const void *other)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    bool wide = ((uintptr_t)k->in[0].data | (uintptr_t)other) % 16 == 0;
    return (EntropyRows){FLOATS(k->in[0]), INT(k->in[1]), batch, n,
                         (n + (n % 4 ? 3 : 0) + ENTROPY_PART - 1) / ENTROPY_PART, wide};
}

/* Bytes of the parts, to stand first in the workspace; 0 or -1 where there are too many. */
static inline int entropy_prepare(KernelCall *k)
{
    EntropyRows r = entropy_rows(k, NULL);
    if (r.batch * r.parts > INT32_MAX)
        return fail("%s: more than 2^31 parts of rows: use a smaller batch", k->name);
    k->workspace_bytes = r.parts > 1 ? (size_t)(r.batch * r.parts) * sizeof(EntropyPart) : 0;
    return 0;
}

template <typename Logit>
static void entropy_forward(KernelCall *k, Logit logit, float *y, float *rows)
{
    EntropyRows r = entropy_rows(k, NULL);
    EntropyPart *parts = (EntropyPart *)k->workspace;
    if (!r.batch)
        return;
    LAUNCH(entropy_parts_kernel<Logit>, (unsigned)(r.batch * r.parts), CUDA_BLOCK, 0, cuda_stream(k), r, logit, parts,
           y, rows);
    if (r.parts > 1)
        LAUNCH(entropy_finish_kernel<Logit>, cuda_grid(r.batch), CUDA_BLOCK, 0, cuda_stream(k), r, logit, parts, y,
               rows);
}

template <typename Logit>
static void entropy_grad(KernelCall *k, Logit logit, const float *rows, const float *dy)
{
    EntropyRows r = entropy_rows(k, k->out[0].data);
    if (r.batch)
        LAUNCH(entropy_grad_kernel<Logit>, (unsigned)(r.batch * r.parts), CUDA_BLOCK, 0, cuda_stream(k), r, logit, rows,
               dy, FLOATS(k->out[0]));
}

#endif
