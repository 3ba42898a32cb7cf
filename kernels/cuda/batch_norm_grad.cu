/* batch_norm_grad.cu - gradients of batch_norm and batch_norm_leaky_relu (batch_norm.h).
 *   launch  256 threads a block; partial and apply (channels / 32 V, slices, groups), finish channels / 8, whole
 *           channels / 2 V blocks
 *   bound   memory: 20 bytes an element (x and dy twice, dx), beside a residual 32 (y twice, dresidual); half of that
 *           in bfloat16 */
#include "kernels/cuda/batch_norm.h"

namespace {

template <typename T>
struct Backward {
    const T *x, *dy, *y;                         /* y: beside a residual, else null */
    const float *gamma, *beta, *mean, *rstd;     /* gamma, beta may be null */
    float slope;
};

/* Of ROWS rows: x, and dz, which is dy through the activation. */
template <int V, int ROWS, typename T>
__device__ void load_masked(const Backward<T> &b, const Coefficients<V> &c, const Map &m, const Share &s,
                            float (&x)[ROWS][V], float (&dz)[ROWS][V])
{
    float z[ROWS][V];
    load_rows(b.x, m, s, x);
    load_rows(b.dy, m, s, dz);
    if (b.y)
        load_rows(b.y, m, s, z);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (s.row + r * s.lanes >= s.end)
            break;
#pragma unroll
        for (int l = 0; l < V; l++) {
            float sign = b.y ? z[r][l] : normalised(c, l, x[r][l]);
            dz[r][l] = sign > 0 ? dz[r][l] : b.slope * dz[r][l];
        }
    }
}

/* Sums of dz and of dz (x - mean) over the rows of a block; in lane 0 when all threads are back. */
template <int V, typename T>
__device__ void block_sums(const Backward<T> &b, const Map &m, Share s, float (&sum)[V], float (&dot)[V])
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    __shared__ float sums[V][THREADS], dots[V][THREADS];
#pragma unroll
    for (int l = 0; l < V; l++)
        sum[l] = dot[l] = 0;
    if (s.works) {
        Coefficients<V> c = coefficients_of<V>(m, s, b.gamma, b.beta, b.mean, b.rstd);
        for (; s.row < s.end; s.row += ROWS * s.lanes) {
            float x[ROWS][V], dz[ROWS][V];
            load_masked(b, c, m, s, x, dz);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (s.row + r * s.lanes >= s.end)
                    break;
#pragma unroll
                for (int l = 0; l < V; l++) {
                    sum[l] += dz[r][l];
                    dot[l] = fmaf(dz[r][l], x[r][l] - c.mean[l], dot[l]);
                }
            }
        }
    }
    for (int half = s.lanes / 2; half > 0; half /= 2) {
#pragma unroll
        for (int l = 0; l < V; l++) {
            sums[l][threadIdx.x] = sum[l];
            dots[l][threadIdx.x] = dot[l];
        }
        __syncthreads();
        if (s.lane < half)
#pragma unroll
            for (int l = 0; l < V; l++) {
                sum[l] += sums[l][threadIdx.x + half * m.side];
                dot[l] += dots[l][threadIdx.x + half * m.side];
            }
        __syncthreads();
    }
}

template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2) batch_norm_grad_partial_kernel(Backward<T> b, Pair *part, Map m)
{
    Share s = share_of<V>(m, (int)blockIdx.z);
    float sum[V], dot[V];
    block_sums(b, m, s, sum, dot);
    if (s.lane == 0 && s.works)
#pragma unroll
        for (int l = 0; l < V; l++)
            part[((int64_t)s.group * m.slices + blockIdx.y) * m.channels + s.channel + l] = Pair{sum[l], dot[l]};
}

/* taken: per group and channel, mean of dz and mean of dz xhat times rstd; zero in evaluation. */
__device__ void finish_grad(const Map &m, int group, int c, double sum, double dot, const float *rstd, bool training,
                            Pair *taken, double &gamma_sum, double &beta_sum)
{
    int64_t at = (int64_t)group * m.channels + c;
    double r = rstd[at], n = (double)m.rows;
    taken[at] = training ? Pair{(float)(sum / n), (float)(dot * r * r / n)} : Pair{0, 0};
    gamma_sum += dot * r;
    beta_sum += sum;
}

__global__ void batch_norm_grad_finish_kernel(const Pair *part, const float *rstd, Pair *taken, float *dgamma,
                                              float *dbeta, bool training, Map m)
{
    int lane = (int)threadIdx.x / FINISH_CHANNELS;
    int c = (int)blockIdx.x * FINISH_CHANNELS + (int)threadIdx.x % FINISH_CHANNELS;
    bool works = c < m.channels;
    double gamma_sum = 0, beta_sum = 0;
    for (int g = 0; g < m.groups; g++) {
        const Pair *p = part + (int64_t)g * m.slices * m.channels + c;
        double sum = 0, dot = 0;
#pragma unroll 4
        for (int i = lane; i < m.slices && works; i += FINISH_LANES) {
            Pair q = p[(int64_t)i * m.channels];
            sum += q.a;
            dot += q.b;
        }
        finish_sums(sum, dot, lane);
        if (lane == 0 && works)
            finish_grad(m, g, c, sum, dot, rstd, training, taken, gamma_sum, beta_sum);
    }
    if (lane == 0 && works) {
        dgamma[c] = (float)gamma_sum;
        dbeta[c] = (float)beta_sum;
    }
}

/* dresidual may be null, and may be dy. */
template <int V, typename T>
__device__ void grad_rows(const Backward<T> &b, const Pair *taken, T *dx, T *dresidual, const Map &m, Share s)
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    if (!s.works)
        return;
    Coefficients<V> c = coefficients_of<V>(m, s, b.gamma, b.beta, b.mean, b.rstd);
    Pair t[V];
#pragma unroll
    for (int l = 0; l < V; l++)
        t[l] = taken[(int64_t)s.group * m.channels + s.channel + l];
    for (; s.row < s.end; s.row += ROWS * s.lanes) {
        float x[ROWS][V], dz[ROWS][V];
        load_masked(b, c, m, s, x, dz);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (s.row + r * s.lanes >= s.end)
                break;
            if (dresidual)
                store_row(dresidual, m, s, r, dz[r]);
#pragma unroll
            for (int l = 0; l < V; l++)
                dz[r][l] = c.scale[l] * (dz[r][l] - t[l].a - (x[r][l] - c.mean[l]) * t[l].b);
            store_row(dx, m, s, r, dz[r]);
        }
    }
}

template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2)
    batch_norm_grad_apply_kernel(Backward<T> b, const Pair *taken, T *dx, T *dresidual, Map m)
{
    grad_rows<V>(b, taken, dx, dresidual, m, share_of<V>(m, (int)blockIdx.z));
}

/* All three passes for a block's channels.  There are fewer such blocks than SMs: a thread may have all the registers
 * that it wants. */
template <int V, typename T>
__global__ void __launch_bounds__(THREADS)
    batch_norm_grad_whole_kernel(Backward<T> b, Pair *taken, T *dx, T *dresidual, float *dgamma, float *dbeta,
                                 bool training, Map m)
{
    /* Of the block's channels, each for the one thread that finishes it: as registers they would be held by all. */
    __shared__ double gamma_sum[WHOLE_CHANNELS], beta_sum[WHOLE_CHANNELS];
    for (int g = 0; g < m.groups; g++) {
        Share s = share_of<V>(m, g);
        float sum[V], dot[V];
        block_sums(b, m, s, sum, dot);
        if (s.lane == 0 && s.works)
#pragma unroll
            for (int l = 0; l < V; l++) {
                int c = s.channel + l, mine = (int)threadIdx.x * V + l;
                if (g == 0)
                    gamma_sum[mine] = beta_sum[mine] = 0;
                finish_grad(m, g, c, sum[l], dot[l], b.rstd, training, taken, gamma_sum[mine], beta_sum[mine]);
                if (g == m.groups - 1) {
                    dgamma[c] = (float)gamma_sum[mine];
                    dbeta[c] = (float)beta_sum[mine];
                }
            }
        __syncthreads();   /* taken is there for the block */
        grad_rows<V>(b, taken, dx, dresidual, m, s);
    }
}

/* ---------------------------------------------------------------- host */
/* beta_at, mean_at: operands; behind mean stand rstd, dy and, beside a residual, y. */
template <int V, typename T>
void backward_as(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope)
{
    Map m = map_of(&k->in[0], a->groups, V);
    Pair *part = (Pair *)k->workspace, *taken = part + (int64_t)m.groups * m.slices * m.channels;
    Backward<T> b = {operand<T>(k, 0), operand<T>(k, mean_at + 2), operand<T>(k, mean_at + 3), operand<float>(k, 1),
                     operand<float>(k, beta_at), operand<float>(k, mean_at), operand<float>(k, mean_at + 1), slope};
    T *dx = (T *)k->out[0].data, *dresidual = k->nout > 3 ? (T *)k->out[3].data : nullptr;
    if (m.whole) {
        LAUNCH((batch_norm_grad_whole_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), b, taken, dx, dresidual,
               FLOATS(k->out[1]), FLOATS(k->out[2]), a->training, m);
        return;
    }
    LAUNCH((batch_norm_grad_partial_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), b, part, m);
    LAUNCH(batch_norm_grad_finish_kernel, finish_grid(m), THREADS, 0, cuda_stream(k), part, b.rstd, taken,
           FLOATS(k->out[1]), FLOATS(k->out[2]), a->training, m);
    LAUNCH((batch_norm_grad_apply_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), b, taken, dx, dresidual, m);
}

void backward(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope)
{
    if (k->in[0].format == NHWC_BF16)
        rows_fit<8, bf16>(k) ? backward_as<8, bf16>(k, a, beta_at, mean_at, slope)
                             : backward_as<1, bf16>(k, a, beta_at, mean_at, slope);
    else
        rows_fit<4, float>(k) ? backward_as<4, float>(k, a, beta_at, mean_at, slope)
                              : backward_as<1, float>(k, a, beta_at, mean_at, slope);
}

void batch_norm_grad(KernelCall *k)
{
    backward(k, (const BatchNormGradAttrs *)k->attrs, -1, 2, 1);
}

void batch_norm_leaky_relu_grad(KernelCall *k)
{
    const BatchNormLeakyReluGradAttrs *a = (const BatchNormLeakyReluGradAttrs *)k->attrs;
    backward(k, &a->norm, 2, 3, a->slope);
}

int prepare_grad(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormGradAttrs *)k->attrs)->groups);
}

int prepare_fused_grad(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormLeakyReluGradAttrs *)k->attrs)->norm.groups);
}

/* dx may take the buffer of dy; beside a residual dresidual may. */
int inplace_dy(const KernelCall *k, int result)
{
    int dy = k->op == op_find("batch_norm_grad") ? 4 : 5;
    return result == (k->nout > 3 ? 3 : 0) ? dy : -1;
}

}   // namespace

KERNEL(batch_norm_grad, cuda) = {.run = batch_norm_grad, .prepare = prepare_grad, .formats = formats,
                                 .inplace = inplace_dy, .halves = true};
KERNEL(batch_norm_leaky_relu_grad, cuda) = {.run = batch_norm_leaky_relu_grad, .prepare = prepare_fused_grad,
                                            .formats = formats, .inplace = inplace_dy, .halves = true};
