/* selftest.cu - kernels of the customary kinds, each with mistakes to choose from (selftest.h).
 * `bug` is the same for all threads of a launch.  Blocks are small: under ThreadSanitizer a thread costs 1 MB. */
#include "kernels/cuda/cu.h"
#include "tests/cudaemu/selftest.h"

/* ---------------------------------------------------------------- scale: vector loads */
static __global__ void __launch_bounds__(64) scale_kernel(float *__restrict__ y, const float *__restrict__ x, float s,
                                                          int n4, int bug)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (bug == GLOBAL_OVERRUN ? i > n4 : i >= n4)
        return;
    const float *from = x + 4 * i;
    if (bug == MISALIGNED_FLOAT4 && i > 0)
        from -= 1;
    float4 v = *reinterpret_cast<const float4 *>(from);
    if (bug == MISALIGNED_FLOAT4 && i > 0)
        v = make_float4(v.y, v.z, v.w, from[4]);
    reinterpret_cast<float4 *>(y)[i] = make_float4(s * v.x, s * v.y, s * v.z, s * v.w);
}
void launch_scale(float *y, const float *x, float s, int n, int bug, cudaStream_t stream)
{
    LAUNCH(scale_kernel, (n / 4 + 63) / 64, 64, 0, stream, y, x, s, n / 4, bug);
}

/* ---------------------------------------------------------------- sum: shuffles, shared partials, two in a row */
static __device__ float warp_sum(float v, int bug)
{
    unsigned mask = bug == NOT_IN_MASK && blockIdx.x == 0 ? 0x7fffffffu : 0xffffffffu;
    if (bug == ABSENT_LANES && threadIdx.x % 32 >= 20)
        return v;
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_xor_sync(mask, v, step);
    return v;
}
static __device__ float block_sum(float v, float *partial, int bug)
{
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    v = warp_sum(v, bug);
    if (bug != SYNC_BEFORE_REUSE)
        __syncthreads();
    if (lane == 0)
        partial[warp] = v;
    if (bug != SYNC_AFTER_PARTIALS)
        __syncthreads();
    float total = 0.0f;
    for (int i = 0; i < warps; i++)
        total += partial[i];
    return total;
}
static __global__ void sum_kernel(float *total, float *norm, const float *x, int n, int bug)
{
    __shared__ float partial[32];
    float s = 0.0f, q = 0.0f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float v = __ldg(x + (size_t)blockIdx.x * n + i);
        s += v;
        q += v * v;
    }
    if (bug == BARRIER_IN_BRANCH) {
        if (threadIdx.x < blockDim.x / 2)
            __syncthreads();
        else if (n < 0)
            return;
    }
    if (bug == BARRIERS_DIFFER) {
        if (threadIdx.x < blockDim.x / 2)
            __syncthreads();
        else
            __syncthreads();
    }
    s = block_sum(s, partial, bug);
    q = block_sum(q, partial, bug);
    if (threadIdx.x == 0) {
        total[blockIdx.x] = s;
        norm[blockIdx.x] = q;
    }
}
void launch_sum(float *total, float *norm, const float *x, int rows, int n, int bug, cudaStream_t stream)
{
    LAUNCH(sum_kernel, rows, 128, 0, stream, total, norm, x, n, bug);
}

/* ---------------------------------------------------------------- transpose: a static tile */
template <int ROWS>
static __global__ void transpose_kernel(float *__restrict__ y, const float *__restrict__ x, int rows, int cols, int bug)
{
    __shared__ float tile[ROWS][17];
    float *flat = &tile[0][0];
    int c = blockIdx.x * 16 + threadIdx.x, r = blockIdx.y * 16 + threadIdx.y;
    for (int k = 0; k < 16; k += 8)
        if (c < cols && r + k < rows)
            flat[(threadIdx.y + k) * 17 + threadIdx.x] = x[(size_t)(r + k) * cols + c];
    if (bug != SYNC_IN_TRANSPOSE)
        __syncthreads();
    c = blockIdx.y * 16 + threadIdx.x;
    r = blockIdx.x * 16 + threadIdx.y;
    for (int k = 0; k < 16; k += 8)
        if (c < rows && r + k < cols)
            y[(size_t)(r + k) * rows + c] = flat[threadIdx.x * 17 + threadIdx.y + k];
}
void launch_transpose(float *y, const float *x, int rows, int cols, int bug, cudaStream_t stream)
{
    dim3 grid((cols + 15) / 16, (rows + 15) / 16), block(16, 8);
    if (bug == STATIC_OVERRUN)
        LAUNCH(transpose_kernel<15>, grid, block, 0, stream, y, x, rows, cols, bug);
    else
        LAUNCH(transpose_kernel<16>, grid, block, 0, stream, y, x, rows, cols, bug);
}

/* ---------------------------------------------------------------- multiply: tiles in dynamic shared memory */
static __global__ void multiply_kernel(float *__restrict__ c, const float *__restrict__ a, const float *__restrict__ b,
                                       int m, int n, int k, int bug)
{
    SHARED_DYN(float, tiles);
    float *ta = tiles, *tb = tiles + 64;
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 8 + ty, col = blockIdx.x * 8 + tx;
    float sum = 0.0f;
    for (int k0 = 0; k0 < k; k0 += 8) {
        ta[ty * 8 + tx] = row < m && k0 + tx < k ? a[(size_t)row * k + k0 + tx] : 0.0f;
        tb[ty * 8 + tx] = col < n && k0 + ty < k ? b[(size_t)(k0 + ty) * n + col] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 8; i++)
            sum = fmaf(ta[ty * 8 + i], tb[i * 8 + tx], sum);
        if (bug != TILE_REUSE)
            __syncthreads();
    }
    if (row < m && col < n)
        c[(size_t)row * n + col] = sum;
}
void launch_multiply(float *c, const float *a, const float *b, int m, int n, int k, int bug, cudaStream_t stream)
{
    size_t bytes = 2 * 64 * sizeof(float) - (bug == DYNAMIC_TOO_SMALL ? 4 : 0);
    LAUNCH(multiply_kernel, dim3((n + 7) / 8, (m + 7) / 8), dim3(8, 8), bytes, stream, c, a, b, m, n, k, bug);
}

/* ---------------------------------------------------------------- filter: a template with static arrays and a halo */
template <int R, int T>
static __global__ void filter_kernel(float *__restrict__ y, const float *__restrict__ x, const float *__restrict__ f,
                                     int h, int w, int bug)
{
    constexpr int D = 2 * R + 1;
    __shared__ float in[T + 2 * R][T + 2 * R];
    __shared__ float weight[D * D];
    int me = threadIdx.y * T + threadIdx.x, ox = blockIdx.x * T + threadIdx.x, oy = blockIdx.y * T + threadIdx.y;
    size_t plane = (size_t)blockIdx.z * h * w;
    for (int i = me; i < (T + 2 * R) * (T + 2 * R); i += T * T) {
        int iy = (int)blockIdx.y * T + i / (T + 2 * R) - R, ix = (int)blockIdx.x * T + i % (T + 2 * R) - R;
        bool inside = iy >= 0 && iy < h && ix >= 0 && ix < w;
        in[i / (T + 2 * R)][i % (T + 2 * R)] = inside ? x[plane + (size_t)iy * w + ix] : 0.0f;
    }
    if (me < D * D - (bug == PARTIAL_FILL))
        weight[me] = f[blockIdx.z * D * D + me];
    __syncthreads();
    float near[D], sum = 0.0f;
    for (int dy = 0; dy < D; dy++) {
        for (int dx = 0; dx < D + (bug == LOCAL_OVERRUN); dx++)
            near[dx] = in[threadIdx.y + dy][threadIdx.x + min(dx, D - 1)];
        if (bug == INNER_OVERRUN)
            near[D - 1] = in[threadIdx.y + dy][threadIdx.x + D];
        for (int dx = 0; dx < D; dx++)
            sum += weight[dy * D + dx] * near[dx];
    }
    if (ox < w && oy < h)
        y[plane + (size_t)oy * w + ox] = sum;
}
void launch_filter(float *y, const float *x, const float *f, int planes, int h, int w, int bug, cudaStream_t stream)
{
    LAUNCH((filter_kernel<1, 8>), dim3((w + 7) / 8, (h + 7) / 8, planes), dim3(8, 8), 0, stream, y, x, f, h, w, bug);
}

/* ---------------------------------------------------------------- count: votes, atomics, and the last block */
static __global__ void count_kernel(int *positive, float *sum, float *partial, unsigned *ticket, const float *x, int n,
                                    int bug)
{
    __shared__ bool last;
    int i = blockIdx.x * COUNT_BLOCK + threadIdx.x;
    float v = i < n ? fmaxf(x[i], 0.0f) : 0.0f;
    unsigned ballot = __ballot_sync(0xffffffffu, v > 0.0f);
    bool adds = bug == RACE_BLOCKS ? threadIdx.x == 0 : threadIdx.x % 32 == 0;
    if (bug == RACE_BLOCKS)
        ballot = __syncthreads_count(v > 0.0f) ? (unsigned)__syncthreads_count(v > 0.0f) : 0u;
    int mine = bug == RACE_BLOCKS ? (int)ballot : __popc(ballot);
    if (adds) {
        if (bug == RACE_WARPS || bug == RACE_BLOCKS)
            *positive += mine;
        else
            atomicAdd(positive, mine);
    }
    for (int step = 16; step > 0; step /= 2)
        v += __shfl_down_sync(0xffffffffu, v, step);
    __shared__ float warps[COUNT_BLOCK / 32];
    if (threadIdx.x % 32 == 0)
        warps[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = warps[0] + warps[1];
        if (bug != MISSING_FENCE)
            __threadfence();
        last = atomicAdd(ticket, 1u) == gridDim.x - 1;
        if (bug != MISSING_FENCE)
            __threadfence();
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float total = 0.0f;
        for (unsigned k = 0; k < gridDim.x; k++)
            total += partial[k];
        *sum = total;
    }
}
void launch_count(int *positive, float *sum, float *partial, unsigned *ticket, const float *x, int n, int bug,
                  cudaStream_t stream)
{
    LAUNCH(count_kernel, (n + COUNT_BLOCK - 1) / COUNT_BLOCK, COUNT_BLOCK, 0, stream, positive, sum, partial, ticket, x,
           n, bug);
}

/* ---------------------------------------------------------------- warp: lanes exchange through shared memory */
static __global__ void warp_kernel(float *y, const float *x, int bug)
{
    __shared__ float box[64];
    int i = blockIdx.x * 64 + threadIdx.x, lane = threadIdx.x;
    box[lane] = x[i];
    if (bug != SYNC_IN_WARP)
        __syncwarp();
    y[i] = box[lane ^ 1] + box[lane ^ 2];
}
void launch_warp(float *y, const float *x, int n, int bug, cudaStream_t stream)
{
    LAUNCH(warp_kernel, n / 64, 64, 0, stream, y, x, bug);
}
