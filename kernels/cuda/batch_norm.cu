/* batch_norm.cu - batch_norm, batch_norm_leaky_relu (which is batch_norm when slope is 1) and their gradients.
 *
 * x, y, residual and their gradients are rows of channels, float or bfloat16: NHWC, NHWC_BF16 or (B, C).  All else is
 * float.  A thread takes the channels of 16 bytes, V of them (one where channels or addresses do not allow it), through
 * every lanes-th row of a slice of one group; a block is up to 32 such threads side by side by 8 or more lanes.  It
 * leaves a partial result per channel in the workspace; a second launch puts the slices together in double and in
 * order; a third one goes over x again.  No atomics: results repeat.
 *   launch  partial and apply (channels / 32 V, slices, groups) blocks of 256, finish channels / 8 blocks of 256
 *   bound   memory: 12 bytes an element forward (x twice, y), 20 backward (x and dy twice, dx); with a residual 16
 *           and 32; half of all that in bfloat16 */
#include "kernels/cuda/vector.h"

#include "engine/ops/batch_norm_leaky_relu.h"

namespace {

constexpr int THREADS = 256, SIDE_MAX = 32;
/* Blocks that keep a large device busy; slices of a channel, which the finishing launch reads; rows that a thread takes
 * at least. */
constexpr int BLOCKS_ENOUGH = 1056, SLICES_MAX = 512, ROWS_A_THREAD = 16;
constexpr int FINISH_CHANNELS = 8, FINISH_LANES = THREADS / FINISH_CHANNELS;

/* Rows whose values a thread has in flight, of that many tensors: some 32 numbers. */
template <int V, int TENSORS>
constexpr int ROWS_OF = V * TENSORS < 4 ? 8 : V * TENSORS > 16 ? 2 : 32 / (V * TENSORS);

struct Map {
    int64_t rows;         /* of one group: images times pixels */
    int64_t slice;        /* rows of a slice */
    int channels, groups, slices;
    int side;             /* threads side by side, a power of two */
};

/* A partial result of one channel: mean (less origin) and squared deviations forward, two sums backward. */
struct Pair {
    float a, b;
};

/* The rows and the first channel of this thread. */
struct Share {
    int64_t row, end;
    int channel, group, lane, lanes;   /* lane: place among the threads of the channel, which are `lanes` rows apart */
    bool works;
};

template <int V>
__device__ Share share_of(const Map &m)
{
    Share s;
    s.lane = (int)threadIdx.x / m.side;
    s.lanes = THREADS / m.side;
    s.channel = ((int)blockIdx.x * m.side + (int)threadIdx.x % m.side) * V;
    s.group = (int)blockIdx.z;
    s.works = s.channel < m.channels;
    int64_t first = blockIdx.y * m.slice, last = first + m.slice;
    s.row = s.group * m.rows + first + s.lane;
    s.end = s.group * m.rows + (last < m.rows ? last : m.rows);
    return s;
}

/* v[r] = the values of the share's row r * lanes further on; rows beyond the end are left alone. */
template <int V, int ROWS, typename T>
__device__ void load_rows(const T *x, const Map &m, const Share &s, float (&v)[ROWS][V])
{
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        int64_t row = s.row + r * s.lanes;
        if (row < s.end)
            load(x + row * m.channels + s.channel, v[r]);
    }
}

template <int V, typename T>
__device__ void store_row(T *y, const Map &m, const Share &s, int r, const float (&v)[V])
{
    store(y + (s.row + r * s.lanes) * m.channels + s.channel, v);
}

/* ---------------------------------------------------------------- forward */
/* Two sets of n and n2 values of V channels become one (Chan, Golub, LeVeque: "Updating formulae and a pairwise
 * algorithm for computing sample variances", 1979). */
template <int V>
__device__ void merge(float &n, float (&mean)[V], float (&squares)[V], float n2, const float (&mean2)[V],
                      const float (&squares2)[V])
{
    if (n2 == 0)
        return;
    float total = n + n2, part = n2 / total;
#pragma unroll
    for (int l = 0; l < V; l++) {
        float d = mean2[l] - mean[l];
        mean[l] = fmaf(d, part, mean[l]);
        squares[l] += squares2[l] + d * d * n * part;
    }
    n = total;
}

/* The group's first row is taken off before anything is added up: what is left of a large mean is small. */
template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2) batch_norm_partial_kernel(const T *x, Pair *part, Map m)
{
    constexpr int ROWS = ROWS_OF<V, 1>;
    __shared__ float counts[THREADS], means[V][THREADS], deviations[V][THREADS];
    Share s = share_of<V>(m);
    float n = 0, mean[V] = {}, squares[V] = {}, origin[V] = {};
    if (s.works)
        load(x + s.group * m.rows * m.channels + s.channel, origin);
    while (s.works && s.row < s.end) {
        float v[ROWS][V], n2 = 0, mean2[V] = {}, squares2[V] = {};
        load_rows(x, m, s, v);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            bool here = s.row + r * s.lanes < s.end;
            n2 += here;
#pragma unroll
            for (int l = 0; l < V; l++) {
                v[r][l] = here ? v[r][l] - origin[l] : 0;
                mean2[l] += v[r][l];
            }
        }
        float each = 1 / n2;
#pragma unroll
        for (int l = 0; l < V; l++) {
            mean2[l] *= each;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float d = v[r][l] - mean2[l];
                squares2[l] += r < n2 ? d * d : 0;
            }
        }
        merge(n, mean, squares, n2, mean2, squares2);
        s.row += ROWS * s.lanes;
    }
    for (int half = s.lanes / 2;; half /= 2) {
        counts[threadIdx.x] = n;
#pragma unroll
        for (int l = 0; l < V; l++) {
            means[l][threadIdx.x] = mean[l];
            deviations[l][threadIdx.x] = squares[l];
        }
        __syncthreads();
        if (half == 0)
            break;
        if (s.lane < half) {
            int other = (int)threadIdx.x + half * m.side;
            float mean2[V], squares2[V];
#pragma unroll
            for (int l = 0; l < V; l++) {
                mean2[l] = means[l][other];
                squares2[l] = deviations[l][other];
            }
            merge(n, mean, squares, counts[other], mean2, squares2);
        }
        __syncthreads();
    }
    if (s.lane == 0 && s.works)
#pragma unroll
        for (int l = 0; l < V; l++)
            part[((int64_t)s.group * m.slices + blockIdx.y) * m.channels + s.channel + l] = Pair{mean[l], squares[l]};
}

/* What the finishing kernel needs beside the map; pointers may be null. */
struct Forward {
    const float *running_mean, *running_var;
    float *mean, *rstd, *new_mean, *new_var;
    float eps, momentum;
    bool training, update;
};

__device__ double slice_rows(const Map &m, int slice)
{
    int64_t left = m.rows - slice * m.slice;
    return (double)(left < m.slice ? left : m.slice);
}

/* a and b summed over the lanes of a channel, in an order that does not vary; in lane 0. */
__device__ void finish_sums(double &a, double &b, int lane)
{
    __shared__ double as[THREADS], bs[THREADS];
    for (int half = FINISH_LANES / 2; half > 0; half /= 2) {
        as[threadIdx.x] = a;
        bs[threadIdx.x] = b;
        __syncthreads();
        if (lane < half) {
            a += as[threadIdx.x + half * FINISH_CHANNELS];
            b += bs[threadIdx.x + half * FINISH_CHANNELS];
        }
        __syncthreads();
    }
}

/* 8 channels, 32 threads each. */
template <typename T>
__global__ void batch_norm_finish_kernel(const T *x, const Pair *part, Map m, Forward f)
{
    int lane = (int)threadIdx.x / FINISH_CHANNELS;
    int c = (int)blockIdx.x * FINISH_CHANNELS + (int)threadIdx.x % FINISH_CHANNELS;
    bool works = c < m.channels;
    float running_mean = works && f.running_mean ? f.running_mean[c] : 0;
    float running_var = works && f.running_var ? f.running_var[c] : 1;
    for (int g = 0; g < m.groups; g++) {
        double mean = running_mean, var = running_var;
        if (f.training) {
            const Pair *p = part + (int64_t)g * m.slices * m.channels + c;
            double shift = works ? p[0].a : 0, sum = 0, square = 0;
#pragma unroll 4
            for (int i = lane; i < m.slices && works; i += FINISH_LANES) {
                Pair q = p[(int64_t)i * m.channels];
                double n = slice_rows(m, i), d = q.a - shift;
                sum += n * d;
                square += q.b + n * d * d;
            }
            finish_sums(sum, square, lane);
            double n = (double)m.rows;
            square -= sum * sum / n;
            mean = (works ? load_one(x + g * m.rows * m.channels + c) : 0) + (shift + sum / n);
            var = square / n;
            if (f.update) {
                running_mean += f.momentum * (float)(mean - running_mean);
                running_var += f.momentum * (float)(square / (n - 1) - running_var);
            }
        }
        if (lane == 0 && works) {
            f.mean[(int64_t)g * m.channels + c] = (float)mean;
            f.rstd[(int64_t)g * m.channels + c] = (float)(1 / sqrt(var + (double)f.eps));
        }
    }
    if (lane == 0 && works) {
        f.new_mean[c] = running_mean;
        f.new_var[c] = running_var;
    }
}

/* Coefficients of the channels of a thread; gamma and beta may be null. */
template <int V>
struct Coefficients {
    float mean[V], scale[V], beta[V];
};

template <int V>
__device__ Coefficients<V> coefficients_of(const Map &m, const Share &s, const float *gamma, const float *beta,
                                           const float *mean, const float *rstd)
{
    int64_t at = (int64_t)s.group * m.channels + s.channel;
    Coefficients<V> c;
#pragma unroll
    for (int l = 0; l < V; l++) {
        c.mean[l] = mean[at + l];
        c.scale[l] = (gamma ? gamma[s.channel + l] : 1) * rstd[at + l];
        c.beta[l] = beta ? beta[s.channel + l] : 0;
    }
    return c;
}

/* z, spelled so that the forward and the backward pass round it alike. */
template <int V>
__device__ float normalised(const Coefficients<V> &c, int l, float x)
{
    return fmaf(x - c.mean[l], c.scale[l], c.beta[l]);
}

/* residual may be null. */
template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2)
    batch_norm_apply_kernel(const T *x, const float *gamma, const float *beta, const float *mean, const float *rstd,
                            const T *residual, T *y, float slope, Map m)
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    Share s = share_of<V>(m);
    if (!s.works)
        return;
    Coefficients<V> c = coefficients_of<V>(m, s, gamma, beta, mean, rstd);
    for (; s.row < s.end; s.row += ROWS * s.lanes) {
        float v[ROWS][V], added[ROWS][V] = {};
        load_rows(x, m, s, v);
        if (residual)
            load_rows(residual, m, s, added);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (s.row + r * s.lanes >= s.end)
                break;
#pragma unroll
            for (int l = 0; l < V; l++) {
                float z = normalised(c, l, v[r][l]) + added[r][l];
                v[r][l] = z > 0 ? z : slope * z;
            }
            store_row(y, m, s, r, v[r]);
        }
    }
}

/* ---------------------------------------------------------------- backward */
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

template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2) batch_norm_grad_partial_kernel(Backward<T> b, Pair *part, Map m)
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    __shared__ float sums[V][THREADS], dots[V][THREADS];
    Share s = share_of<V>(m);
    float sum[V] = {}, dot[V] = {};
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
    if (s.lane == 0 && s.works)
#pragma unroll
        for (int l = 0; l < V; l++)
            part[((int64_t)s.group * m.slices + blockIdx.y) * m.channels + s.channel + l] = Pair{sum[l], dot[l]};
}

/* taken: per group and channel, mean of dz and mean of dz xhat times rstd; zero in evaluation. */
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
        if (lane == 0 && works) {
            int64_t at = (int64_t)g * m.channels + c;
            double r = rstd[at], n = (double)m.rows;
            taken[at] = training ? Pair{(float)(sum / n), (float)(dot * r * r / n)} : Pair{0, 0};
            gamma_sum += dot * r;
            beta_sum += sum;
        }
    }
    if (lane == 0 && works) {
        dgamma[c] = (float)gamma_sum;
        dbeta[c] = (float)beta_sum;
    }
}

/* dresidual may be null, and may be dy. */
template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2)
    batch_norm_grad_apply_kernel(Backward<T> b, const Pair *taken, T *dx, T *dresidual, Map m)
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    Share s = share_of<V>(m);
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

/* ---------------------------------------------------------------- host */
/* Rows and slices for threads of V channels. */
Map map_of(const Tensor *x, int groups, int V)
{
    const int64_t *d = x->shape.dim;
    Map m;
    m.groups = groups;
    m.rows = d[0] / groups * (x->shape.rank == 4 ? d[2] * d[3] : 1);
    m.channels = (int)d[1];
    m.side = 1;
    while (m.side < SIDE_MAX && m.side * V < m.channels)
        m.side *= 2;
    int64_t blocks = (int64_t)(m.channels + m.side * V - 1) / (m.side * V) * groups;
    int64_t least = (int64_t)(THREADS / m.side) * ROWS_A_THREAD;
    int64_t most = (m.rows + least - 1) / least, wanted = (BLOCKS_ENOUGH + blocks - 1) / blocks;
    m.slices = (int)(wanted < most ? wanted : most);
    if (m.slices > SLICES_MAX)
        m.slices = SLICES_MAX;
    m.slice = (m.rows + m.slices - 1) / m.slices;
    m.slices = (int)((m.rows + m.slice - 1) / m.slice);
    return m;
}

template <int V>
dim3 grid_of(const Map &m)
{
    return dim3((unsigned)((m.channels + m.side * V - 1) / (m.side * V)), (unsigned)m.slices, (unsigned)m.groups);
}

unsigned finish_grid(const Map &m)
{
    return (unsigned)((m.channels + FINISH_CHANNELS - 1) / FINISH_CHANNELS);
}

template <typename T>
T *operand(const KernelCall *k, int i)
{
    return i >= 0 && i < k->nin && tensor_here(&k->in[i]) ? (T *)k->in[i].data : nullptr;
}

/* Whether every operand and result of x's shape lies at addresses for V elements. */
template <int V, typename T>
bool rows_fit(const KernelCall *k)
{
    if (k->in[0].shape.dim[1] % V)
        return false;
    for (int i = 0; i < k->nin + k->nout; i++) {
        const Tensor *t = i < k->nin ? &k->in[i] : &k->out[i - k->nin];
        if (shape_equal(t->shape, k->in[0].shape) && !vectors_fit<V>((const T *)t->data))
            return false;
    }
    return true;
}

template <int V, typename T>
void forward_as(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    Map m = map_of(&k->in[0], a->groups, V);
    Pair *part = (Pair *)k->workspace;
    const T *x = (const T *)k->in[0].data;
    Forward f = {operand<float>(k, 3), operand<float>(k, 4), FLOATS(k->out[1]), FLOATS(k->out[2]), FLOATS(k->out[3]),
                 FLOATS(k->out[4]),    a->eps,               a->momentum,       a->training,       a->update};
    if (a->training)
        LAUNCH((batch_norm_partial_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), x, part, m);
    LAUNCH(batch_norm_finish_kernel<T>, finish_grid(m), THREADS, 0, cuda_stream(k), x, part, m, f);
    LAUNCH((batch_norm_apply_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), x, operand<float>(k, 1),
           operand<float>(k, 2), FLOATS(k->out[1]), FLOATS(k->out[2]), operand<T>(k, 5), (T *)k->out[0].data, slope,
           m);
}

void forward(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    if (k->in[0].format == NHWC_BF16)
        rows_fit<8, bf16>(k) ? forward_as<8, bf16>(k, a, slope) : forward_as<1, bf16>(k, a, slope);
    else
        rows_fit<4, float>(k) ? forward_as<4, float>(k, a, slope) : forward_as<1, float>(k, a, slope);
}

/* beta_at, mean_at: operands; behind mean stand rstd, dy and, beside a residual, y. */
template <int V, typename T>
void backward_as(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope)
{
    Map m = map_of(&k->in[0], a->groups, V);
    Pair *part = (Pair *)k->workspace, *taken = part + (int64_t)m.groups * m.slices * m.channels;
    Backward<T> b = {operand<T>(k, 0), operand<T>(k, mean_at + 2), operand<T>(k, mean_at + 3), operand<float>(k, 1),
                     operand<float>(k, beta_at), operand<float>(k, mean_at), operand<float>(k, mean_at + 1), slope};
    LAUNCH((batch_norm_grad_partial_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), b, part, m);
    LAUNCH(batch_norm_grad_finish_kernel, finish_grid(m), THREADS, 0, cuda_stream(k), part, b.rstd, taken,
           FLOATS(k->out[1]), FLOATS(k->out[2]), a->training, m);
    LAUNCH((batch_norm_grad_apply_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), b, taken,
           (T *)k->out[0].data, k->nout > 3 ? (T *)k->out[3].data : nullptr, m);
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

void batch_norm(KernelCall *k)
{
    forward(k, (const BatchNormAttrs *)k->attrs, 1);
}

void batch_norm_leaky_relu(KernelCall *k)
{
    const BatchNormLeakyReluAttrs *a = (const BatchNormLeakyReluAttrs *)k->attrs;
    forward(k, &a->norm, a->slope);
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

/* Each op's number of groups stands at a place of its own.  Addresses are not known yet: the wider of the two ways. */
int prepare_for(KernelCall *k, int groups)
{
    int64_t most = 0;
    for (int V = 1; V <= 8; V *= 2) {
        Map m = map_of(&k->in[0], groups, V);
        most = m.slices > most ? m.slices : most;
    }
    k->workspace_bytes = (size_t)groups * (size_t)(most + 1) * (size_t)k->in[0].shape.dim[1] * sizeof(Pair);
    return 0;
}

int prepare(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormAttrs *)k->attrs)->groups);
}

int prepare_fused(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormLeakyReluAttrs *)k->attrs)->norm.groups);
}

int prepare_grad(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormGradAttrs *)k->attrs)->groups);
}

int prepare_fused_grad(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormLeakyReluGradAttrs *)k->attrs)->norm.groups);
}

/* Channels side by side, whatever came; in bfloat16 where x is. */
void formats(FormatChoice *f)
{
    Format want = f->in[0] == NHWC_BF16 ? NHWC_BF16 : NHWC;
    for (int i = 0; i < f->nin; i++)
        f->in[i] = f->in_shape[i].rank == 4 ? want : PLAIN;
    for (int j = 0; j < f->nout; j++)
        f->out[j] = f->out_shape[j].rank == 4 ? want : PLAIN;
}

/* dx may take the buffer of dy; beside a residual dresidual may. */
int inplace_dy(const KernelCall *k, int result)
{
    int dy = k->op == op_find("batch_norm_grad") ? 4 : 5;
    return result == (k->nout > 3 ? 3 : 0) ? dy : -1;
}

}   // namespace

KERNEL(batch_norm, cuda) = {.run = batch_norm, .prepare = prepare, .formats = formats, .inplace = inplace_first,
                            .halves = true};
KERNEL(batch_norm_leaky_relu, cuda) = {.run = batch_norm_leaky_relu, .prepare = prepare_fused, .formats = formats,
                                       .inplace = inplace_first, .halves = true};
KERNEL(batch_norm_grad, cuda) = {.run = batch_norm_grad, .prepare = prepare_grad, .formats = formats,
                                 .inplace = inplace_dy, .halves = true};
KERNEL(batch_norm_leaky_relu_grad, cuda) = {.run = batch_norm_leaky_relu_grad, .prepare = prepare_fused_grad,
                                            .formats = formats, .inplace = inplace_dy, .halves = true};
