/* reduce.cu - sums over axes in two launches with a fixed tree, plain or channels last.
 *   rows     x's innermost loop is summed: a warp takes a chunk of 2,048 terms of one result
 *   columns  it is kept (bias gradients of linear layers, channels last): a block of 32 columns x 8 adds 256 rows
 *   finish   a block a result adds its chunks, in double
 *   bound    memory: 4 bytes an element of x */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/reduce.h"
#include "kernels/cuda/walk.h"

enum { ROW_CHUNK = 2048, COLUMN_CHUNK = 256, COLUMNS = 32, ROWS = CUDA_BLOCK / COLUMNS };

typedef struct ReduceJob {
    Walk kept, summed;
    int64_t outputs, terms, chunk, chunks;
    int columns;
} ReduceJob;

__device__ static inline float warp_total(float v)
{
    for (int o = 16; o > 0; o >>= 1)
        v += __shfl_down_sync(0xffffffffu, v, o);
    return v;
}

/* partial[chunk][output], or y itself where there is one chunk. */
__global__ void reduce_rows_kernel(const float *x, float *partial, ReduceJob j)
{
    int lane = threadIdx.x & 31;
    int64_t unit = CUDA_INDEX >> 5, output = unit / j.chunks, chunk = unit % j.chunks;
    float sum = 0;
    if (output < j.outputs) {
        const float *from = x + walk_offset(j.kept, output).at[0];
        int64_t end = (chunk + 1) * j.chunk < j.terms ? (chunk + 1) * j.chunk : j.terms;
        for (int64_t r = chunk * j.chunk + lane; r < end; r += 32)
            sum += from[walk_offset(j.summed, r).at[0]];
    }
    sum = warp_total(sum);
    if (lane == 0 && output < j.outputs)
        partial[chunk * j.outputs + output] = sum;
}

__global__ void reduce_columns_kernel(const float *x, float *partial, ReduceJob j)
{
    __shared__ float sums[ROWS][COLUMNS];
    int column = threadIdx.x % COLUMNS, row = threadIdx.x / COLUMNS;
    int64_t tiles = (j.outputs + COLUMNS - 1) / COLUMNS, chunk = blockIdx.x / tiles;
    int64_t output = blockIdx.x % tiles * COLUMNS + column;
    float sum = 0;
    if (output < j.outputs) {
        const float *from = x + walk_offset(j.kept, output).at[0];
        int64_t end = (chunk + 1) * j.chunk < j.terms ? (chunk + 1) * j.chunk : j.terms;
        for (int64_t r = chunk * j.chunk + row; r < end; r += ROWS)
            sum += from[walk_offset(j.summed, r).at[0]];
    }
    sums[row][column] = sum;
    __syncthreads();
    if (row == 0 && output < j.outputs) {
        for (int i = 1; i < ROWS; i++)
            sum += sums[i][column];
        partial[chunk * j.outputs + output] = sum;
    }
}

__global__ void reduce_finish_kernel(const float *partial, float *y, int64_t outputs, int64_t chunks)
{
    __shared__ double sums[CUDA_BLOCK];
    int t = threadIdx.x;
    double sum = 0;
    for (int64_t c = t; c < chunks; c += CUDA_BLOCK)
        sum += partial[c * outputs + blockIdx.x];
    sums[t] = sum;
    __syncthreads();
    for (int half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        if (t < half)
            sums[t] += sums[t + half];
        __syncthreads();
    }
    if (t == 0)
        y[blockIdx.x] = (float)sums[0];
}

static ReduceJob job_of(const KernelCall *k)
{
    ReduceJob j;
    j.columns = walk_reduce(&k->in[0], reduce_mask((const ReduceAttrs *)k->attrs, k->in[0].shape.rank), &j.kept,
                            &j.summed);
    j.outputs = walk_rows(&j.kept) * j.kept.dim[j.kept.rank - 1];
    j.terms = walk_rows(&j.summed) * j.summed.dim[j.summed.rank - 1];
    j.chunk = j.columns ? COLUMN_CHUNK : ROW_CHUNK;
    j.chunks = (j.terms + j.chunk - 1) / j.chunk;
    return j;
}

static int prepare(KernelCall *k)
{
    ReduceJob j = job_of(k);
    k->workspace_bytes = j.chunks > 1 ? (size_t)(j.chunks * j.outputs) * sizeof(float) : 0;
    return 0;
}

static void reduce_sum(KernelCall *k)
{
    ReduceJob j = job_of(k);
    if (!j.outputs)
        return;
    if (!j.chunks) {
        k->device->fill(k->device, k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
        return;
    }
    float *partial = j.chunks > 1 ? (float *)k->workspace : FLOATS(k->out[0]);
    if (j.columns)
        LAUNCH(reduce_columns_kernel, (unsigned)((j.outputs + COLUMNS - 1) / COLUMNS * j.chunks), CUDA_BLOCK, 0,
               cuda_stream(k), FLOATS(k->in[0]), partial, j);
    else
        LAUNCH(reduce_rows_kernel, cuda_grid(j.outputs * j.chunks * 32), CUDA_BLOCK, 0, cuda_stream(k),
               FLOATS(k->in[0]), partial, j);
    if (j.chunks > 1)
        LAUNCH(reduce_finish_kernel, (unsigned)j.outputs, CUDA_BLOCK, 0, cuda_stream(k), partial, FLOATS(k->out[0]),
               j.outputs, j.chunks);
}

/* Channels last: the order of what is kept must be that of the plain result. */
static void formats(FormatChoice *f)
{
    unsigned mask = reduce_mask((const ReduceAttrs *)f->attrs, f->in_shape[0].rank);
    if (f->in[0] != NHWC || (!(mask & 2) && (mask & 12) != 12))
        f->in[0] = PLAIN;
}

KERNEL(reduce_sum, cuda) = {.run = reduce_sum, .prepare = prepare, .formats = formats};
