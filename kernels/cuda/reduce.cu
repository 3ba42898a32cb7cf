/* reduce.cu - sums and maxima over axes in two launches with a fixed tree, plain or channels last, float or bfloat16.
 *   rows     x's innermost loop is summed: a warp takes a chunk of 2,048 terms of one result
 *   columns  it is kept (bias gradients, channels last): a block of 32 threads along the columns x 8 adds 256 rows
 *   finish   a block a result adds its chunks, in double
 * In rows and columns a thread reads 16 bytes where all strides and addresses allow, else one element.
 *   maximum's gradient  a block a result (rows) or a thread a result (columns): counts, then writes
 *   bound    memory: 4 bytes an element of x, 2 in bfloat16; the gradient reads x twice and writes dx */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/reduce.h"
#include "kernels/cuda/vector.h"
#include "kernels/cuda/walk.h"

enum { ROW_CHUNK = 2048, COLUMN_CHUNK = 256, COLUMNS = 32, ROWS = CUDA_BLOCK / COLUMNS };

typedef struct ReduceJob {
    Walk kept, summed;
    int64_t outputs, terms, chunk, chunks;
    int columns;
} ReduceJob;

/* Sum, or the larger one, NaN if either is. */
template <bool MAXIMUM, typename T>
__device__ static inline T join(T a, T b)
{
    if (!MAXIMUM)
        return a + b;
    return b > a || b != b ? b : a;
}

template <bool MAXIMUM>
__device__ static inline float nothing()
{
    return MAXIMUM ? -INFINITY : 0;
}

template <bool MAXIMUM>
__device__ static inline float warp_total(float v)
{
    for (int o = 16; o > 0; o >>= 1)
        v = join<MAXIMUM>(v, __shfl_down_sync(0xffffffffu, v, o));
    return v;
}

/* partial[chunk][output], or y itself where there is one chunk. */
template <bool MAXIMUM, int V, typename T>
__global__ void reduce_rows_kernel(const T *x, float *partial, ReduceJob j)
{
    int lane = threadIdx.x & 31;
    int64_t unit = CUDA_INDEX >> 5, output = unit / j.chunks, chunk = unit % j.chunks;
    float sum = nothing<MAXIMUM>();
    if (output < j.outputs) {
        const T *from = x + walk_offset(j.kept, output).at[0];
        int64_t end = (chunk + 1) * j.chunk < j.terms ? (chunk + 1) * j.chunk : j.terms, r = chunk * j.chunk + lane;
        if constexpr (V > 1) {   /* one loop of neighbours */
            for (r = chunk * j.chunk + lane * V; r + V <= end; r += 32 * V) {
                float v[V];
                load(from + r, v);
#pragma unroll
                for (int l = 0; l < V; l++)
                    sum = join<MAXIMUM>(sum, v[l]);
            }
            r = end - end % V + lane;
        }
        for (; r < end; r += 32)
            sum = join<MAXIMUM>(sum, load_one(from + walk_offset(j.summed, r).at[0]));
    }
    sum = warp_total<MAXIMUM>(sum);
    if (lane == 0 && output < j.outputs)
        partial[chunk * j.outputs + output] = sum;
}

template <bool MAXIMUM, int V, typename T>
__global__ void reduce_columns_kernel(const T *x, float *partial, ReduceJob j)
{
    __shared__ float sums[ROWS][COLUMNS * V];
    int column = threadIdx.x % COLUMNS * V, row = threadIdx.x / COLUMNS;
    int64_t tiles = (j.outputs + COLUMNS * V - 1) / (COLUMNS * V), chunk = blockIdx.x / tiles;
    int64_t output = blockIdx.x % tiles * COLUMNS * V + column;
    float sum[V];
    for (int l = 0; l < V; l++)
        sum[l] = nothing<MAXIMUM>();
    if (output < j.outputs) {
        const T *from = x + walk_offset(j.kept, output).at[0];
        int64_t end = (chunk + 1) * j.chunk < j.terms ? (chunk + 1) * j.chunk : j.terms;
        for (int64_t r = chunk * j.chunk + row; r < end; r += ROWS) {
            float v[V];
            load(from + walk_offset(j.summed, r).at[0], v);
#pragma unroll
            for (int l = 0; l < V; l++)
                sum[l] = join<MAXIMUM>(sum[l], v[l]);
        }
    }
    for (int l = 0; l < V; l++)
        sums[row][column + l] = sum[l];
    __syncthreads();
    for (int c = threadIdx.x; c < COLUMNS * V; c += CUDA_BLOCK) {
        int64_t at = blockIdx.x % tiles * COLUMNS * V + c;
        float all = sums[0][c];
        for (int i = 1; i < ROWS; i++)
            all = join<MAXIMUM>(all, sums[i][c]);
        if (at < j.outputs)
            partial[chunk * j.outputs + at] = all;
    }
}

template <bool MAXIMUM>
__global__ void reduce_finish_kernel(const float *partial, float *y, int64_t outputs, int64_t chunks)
{
    __shared__ double sums[CUDA_BLOCK];
    int t = threadIdx.x;
    double sum = nothing<MAXIMUM>();
    for (int64_t c = t; c < chunks; c += CUDA_BLOCK)
        sum = join<MAXIMUM, double>(sum, partial[c * outputs + blockIdx.x]);
    sums[t] = sum;
    __syncthreads();
    for (int half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        if (t < half)
            sums[t] = join<MAXIMUM>(sums[t], sums[t + half]);
        __syncthreads();
    }
    if (t == 0)
        y[blockIdx.x] = (float)sums[0];
}

__device__ static inline bool equal(float a, float b)
{
    return a == b || (a != a && b != b);
}

/* A block a result. */
__global__ void reduce_max_grad_rows_kernel(const float *x, const float *y, const float *dy, float *dx, ReduceJob j)
{
    __shared__ int counts[CUDA_BLOCK];
    int t = threadIdx.x;
    int64_t base = walk_offset(j.kept, blockIdx.x).at[0];
    float most = y[blockIdx.x];
    int count = 0;
    for (int64_t r = t; r < j.terms; r += CUDA_BLOCK)
        count += equal(x[base + walk_offset(j.summed, r).at[0]], most);
    counts[t] = count;
    __syncthreads();
    for (int half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        if (t < half)
            counts[t] += counts[t + half];
        __syncthreads();
    }
    float part = dy[blockIdx.x] / (float)counts[0];
    for (int64_t r = t; r < j.terms; r += CUDA_BLOCK) {
        int64_t at = base + walk_offset(j.summed, r).at[0];
        dx[at] = equal(x[at], most) ? part : 0;
    }
}

/* A thread a result: neighbours read neighbours. */
__global__ void reduce_max_grad_columns_kernel(const float *x, const float *y, const float *dy, float *dx,
                                               ReduceJob j)
{
    int64_t output = CUDA_INDEX;
    if (output >= j.outputs)
        return;
    int64_t base = walk_offset(j.kept, output).at[0];
    float most = y[output];
    int count = 0;
    for (int64_t r = 0; r < j.terms; r++)
        count += equal(x[base + walk_offset(j.summed, r).at[0]], most);
    float part = dy[output] / (float)count;
    for (int64_t r = 0; r < j.terms; r++) {
        int64_t at = base + walk_offset(j.summed, r).at[0];
        dx[at] = equal(x[at], most) ? part : 0;
    }
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

/* Whether V neighbours can be read at once all along. */
template <int V, typename T>
static bool neighbours(const ReduceJob &j, const T *x)
{
    const Walk &inner = j.columns ? j.kept : j.summed, &outer = j.columns ? j.summed : j.kept;
    bool good = vectors_fit<V>(x) && inner.rank == 1 && inner.stride[0][0] == 1;
    if (j.columns)
        good = good && j.outputs % V == 0;
    for (int i = 0; i < outer.rank; i++)
        good = good && outer.stride[0][i] % V == 0;
    return good;
}

template <bool MAXIMUM, int V, typename T>
static void reduce_lanes(KernelCall *k, const T *x, const ReduceJob &j)
{
    float *partial = j.chunks > 1 ? (float *)k->workspace : FLOATS(k->out[0]);
    if (j.columns)
        LAUNCH((reduce_columns_kernel<MAXIMUM, V, T>),
               (unsigned)((j.outputs + COLUMNS * V - 1) / (COLUMNS * V) * j.chunks), CUDA_BLOCK, 0, cuda_stream(k), x,
               partial, j);
    else
        LAUNCH((reduce_rows_kernel<MAXIMUM, V, T>), cuda_grid(j.outputs * j.chunks * 32), CUDA_BLOCK, 0,
               cuda_stream(k), x, partial, j);
    if (j.chunks > 1)
        LAUNCH(reduce_finish_kernel<MAXIMUM>, (unsigned)j.outputs, CUDA_BLOCK, 0, cuda_stream(k), partial,
               FLOATS(k->out[0]), j.outputs, j.chunks);
}

template <bool MAXIMUM, typename T>
static void reduce_typed(KernelCall *k, const T *x, const ReduceJob &j)
{
    if (neighbours<LANES_OF<T>>(j, x))
        reduce_lanes<MAXIMUM, LANES_OF<T>>(k, x, j);
    else
        reduce_lanes<MAXIMUM, 1>(k, x, j);
}

template <bool MAXIMUM>
static void reduce(KernelCall *k)
{
    ReduceJob j = job_of(k);
    if (!j.outputs)
        return;
    if (!j.chunks)
        k->device->fill(k->device, k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    else if (format_half(k->in[0].format))
        reduce_typed<MAXIMUM>(k, HALVES(k->in[0]), j);
    else
        reduce_typed<MAXIMUM>(k, FLOATS(k->in[0]), j);
}

static void reduce_sum(KernelCall *k)
{
    reduce<false>(k);
}

static void reduce_max(KernelCall *k)
{
    reduce<true>(k);
}

static void reduce_max_grad(KernelCall *k)
{
    ReduceJob j = job_of(k);
    const float *x = FLOATS(k->in[0]), *y = FLOATS(k->in[1]), *dy = FLOATS(k->in[2]);
    if (j.columns)
        LAUNCH(reduce_max_grad_columns_kernel, cuda_grid(j.outputs), CUDA_BLOCK, 0, cuda_stream(k), x, y, dy,
               FLOATS(k->out[0]), j);
    else
        LAUNCH(reduce_max_grad_rows_kernel, (unsigned)j.outputs, CUDA_BLOCK, 0, cuda_stream(k), x, y, dy,
               FLOATS(k->out[0]), j);
}

/* Channels last: the order of what is kept must be that of the plain result. */
static void formats(FormatChoice *f)
{
    unsigned mask = reduce_mask((const ReduceAttrs *)f->attrs, f->in_shape[0].rank);
    if (format_layout(f->in[0]) != NHWC || (!(mask & 2) && (mask & 12) != 12))
        f->in[0] = PLAIN;
}

KERNEL(reduce_sum, cuda) = {.run = reduce_sum, .prepare = prepare, .formats = formats, .halves = true};
KERNEL(reduce_max, cuda) = {.run = reduce_max, .prepare = prepare, .formats = formats, .halves = true};
KERNEL(reduce_max_grad, cuda) = {.run = reduce_max_grad};
