/* batch_norm.cu - batch_norm, batch_norm_leaky_relu (which is batch_norm when slope is 1) and their gradients.
 *
 * x is seen as rows of channels: NHWC and (B, C) are that, plain (B, C, H, W) is read with an index of its own.  A
 * block of 256 threads takes a tile of 32 channels by 8 rows (plain: 1 channel by 256 rows) through a slice of the rows
 * of one group, and leaves a partial result per channel in the workspace; a second launch puts the slices together in
 * double and in order; a third one goes over x again.  No atomics: results repeat.
 *   launch  partial (channels / tile, slices, groups), finish (channels / 32), apply as partial
 *   bound   memory: 12 bytes an element forward (x twice, y), 20 backward (x and dy twice, dx); with a residual 16
 *           and 32 */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/batch_norm_leaky_relu.h"

namespace {

enum { THREADS = 256, ROWS_AT_ONCE = 8, ROWS_A_THREAD = 32, SLICES_MAX = 1024, FINISH_CHANNELS = 32 };

struct Map {
    int64_t rows;         /* of one group: images times pixels */
    int64_t pixels;       /* of an image where x is plain, 0 where channels lie side by side */
    int64_t slice;        /* rows of a slice */
    int channels, groups, slices;
    int tile;             /* channels of a block */
};

/* A partial result of one channel: mean (less origin) and squared deviations forward, two sums backward. */
struct Pair {
    float a, b;
};

__device__ int64_t place(const Map &m, int64_t row, int channel)
{
    if (!m.pixels)
        return row * m.channels + channel;
    int64_t image = row / m.pixels;
    return (image * m.channels + channel) * m.pixels + (row - image * m.pixels);
}

/* The rows and the channel of this thread. */
struct Share {
    int64_t row, end, step;
    int channel, group, lane;   /* lane: place among the threads of the channel */
    bool works;
};

__device__ Share share_of(const Map &m)
{
    Share s;
    s.lane = (int)threadIdx.x / m.tile;
    s.channel = (int)blockIdx.x * m.tile + (int)threadIdx.x % m.tile;
    s.group = (int)blockIdx.z;
    s.works = s.channel < m.channels;
    int64_t first = blockIdx.y * m.slice, last = first + m.slice;
    s.row = s.group * m.rows + first + s.lane;
    s.end = s.group * m.rows + (last < m.rows ? last : m.rows);
    s.step = THREADS / m.tile;
    return s;
}

/* ---------------------------------------------------------------- forward */
/* Two sets of values become one (Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for computing
 * sample variances", 1979). */
__device__ void merge(float &n, float &mean, float &squares, float n2, float mean2, float squares2)
{
    float total = n + n2;
    if (n2 == 0)
        return;
    float d = mean2 - mean, part = n2 / total;
    mean = fmaf(d, part, mean);
    squares += squares2 + d * d * n * part;
    n = total;
}

/* One value of the channel and group, taken off before anything is added up: what is left of a large mean is small. */
__device__ float origin(const float *x, const Map &m, int group, int channel)
{
    return x[place(m, group * m.rows, channel)];
}

__global__ void batch_norm_partial_kernel(const float *x, Pair *part, Map m)
{
    __shared__ float counts[THREADS], means[THREADS], deviations[THREADS];
    Share s = share_of(m);
    float n = 0, mean = 0, squares = 0, zero = s.works ? origin(x, m, s.group, s.channel) : 0;
    while (s.works && s.row < s.end) {
        float v[ROWS_AT_ONCE], sum = 0, n2 = 0, squares2 = 0;
#pragma unroll
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
            int64_t row = s.row + i * s.step;
            v[i] = row < s.end ? x[place(m, row, s.channel)] - zero : 0;
            n2 += row < s.end;
            sum += v[i];
        }
        float mean2 = sum / n2;
#pragma unroll
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
            float d = v[i] - mean2;
            squares2 += i < n2 ? d * d : 0;
        }
        merge(n, mean, squares, n2, mean2, squares2);
        s.row += ROWS_AT_ONCE * s.step;
    }
    counts[threadIdx.x] = n;
    means[threadIdx.x] = mean;
    deviations[threadIdx.x] = squares;
    for (int half = (int)s.step / 2; half > 0; half /= 2) {
        __syncthreads();
        if (s.lane < half) {
            int other = (int)threadIdx.x + half * m.tile;
            merge(n, mean, squares, counts[other], means[other], deviations[other]);
            counts[threadIdx.x] = n;
            means[threadIdx.x] = mean;
            deviations[threadIdx.x] = squares;
        }
    }
    if (s.lane == 0 && s.works)
        part[((int64_t)s.group * m.slices + blockIdx.y) * m.channels + s.channel] = Pair{mean, squares};
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

/* 32 channels, 8 threads each. */
__global__ void batch_norm_finish_kernel(const float *x, const Pair *part, Map m, Forward f)
{
    __shared__ double sums[THREADS], squares[THREADS];
    int lane = (int)threadIdx.x / FINISH_CHANNELS, lanes = THREADS / FINISH_CHANNELS;
    int c = (int)blockIdx.x * FINISH_CHANNELS + (int)threadIdx.x % FINISH_CHANNELS;
    bool works = c < m.channels;
    float running_mean = works && f.running_mean ? f.running_mean[c] : 0;
    float running_var = works && f.running_var ? f.running_var[c] : 1;
    for (int g = 0; g < m.groups; g++) {
        double mean = running_mean, var = running_var;
        if (f.training) {
            const Pair *p = part + (int64_t)g * m.slices * m.channels + c;
            double shift = works ? p[0].a : 0, sum = 0, square = 0;
            for (int i = lane; i < m.slices && works; i += lanes) {
                Pair q = p[(int64_t)i * m.channels];
                double n = slice_rows(m, i), d = q.a - shift;
                sum += n * d;
                square += q.b + n * d * d;
            }
            sums[threadIdx.x] = sum;
            squares[threadIdx.x] = square;
            __syncthreads();
            for (int i = 1; i < lanes && lane == 0; i++) {
                sum += sums[threadIdx.x + i * FINISH_CHANNELS];
                square += squares[threadIdx.x + i * FINISH_CHANNELS];
            }
            __syncthreads();
            double n = (double)m.rows;
            square -= sum * sum / n;
            mean = (works ? origin(x, m, g, c) : 0) + (shift + sum / n);
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

/* Coefficients of one channel; gamma and beta may be null. */
struct Coefficients {
    float mean, scale, beta;
};

__device__ Coefficients coefficients_of(const Map &m, const Share &s, const float *gamma, const float *beta,
                                        const float *mean, const float *rstd)
{
    int64_t at = (int64_t)s.group * m.channels + s.channel;
    Coefficients c;
    c.mean = mean[at];
    c.scale = (gamma ? gamma[s.channel] : 1) * rstd[at];
    c.beta = beta ? beta[s.channel] : 0;
    return c;
}

/* z, spelled so that the forward and the backward pass round it alike. */
__device__ float normalised(const Coefficients &c, float x)
{
    return fmaf(x - c.mean, c.scale, c.beta);
}

__global__ void batch_norm_apply_kernel(const float *x, const float *gamma, const float *beta, const float *mean,
                                        const float *rstd, const float *residual, float *y, float slope, Map m)
{
    Share s = share_of(m);
    if (!s.works)
        return;
    Coefficients c = coefficients_of(m, s, gamma, beta, mean, rstd);
#pragma unroll 4
    for (; s.row < s.end; s.row += s.step) {
        int64_t i = place(m, s.row, s.channel);
        float z = normalised(c, x[i]) + (residual ? residual[i] : 0);
        y[i] = z > 0 ? z : slope * z;
    }
}

/* ---------------------------------------------------------------- backward */
struct Backward {
    const float *x, *gamma, *beta, *mean, *rstd, *dy, *y;   /* gamma, beta, y may be null; y: beside a residual */
    float slope;
};

/* dz of element i: dy through the activation. */
__device__ float masked(const Backward &b, const Coefficients &c, float x, int64_t i)
{
    float z = b.y ? b.y[i] : normalised(c, x), dy = b.dy[i];
    return z > 0 ? dy : b.slope * dy;
}

__global__ void batch_norm_grad_partial_kernel(Backward b, Pair *part, Map m)
{
    __shared__ float sums[THREADS], dots[THREADS];
    Share s = share_of(m);
    float sum = 0, dot = 0;
    if (s.works) {
        Coefficients c = coefficients_of(m, s, b.gamma, b.beta, b.mean, b.rstd);
#pragma unroll 4
        for (; s.row < s.end; s.row += s.step) {
            int64_t i = place(m, s.row, s.channel);
            float x = b.x[i], dz = masked(b, c, x, i);
            sum += dz;
            dot = fmaf(dz, x - c.mean, dot);
        }
    }
    sums[threadIdx.x] = sum;
    dots[threadIdx.x] = dot;
    for (int half = (int)s.step / 2; half > 0; half /= 2) {
        __syncthreads();
        if (s.lane < half) {
            sum += sums[threadIdx.x + half * m.tile];
            dot += dots[threadIdx.x + half * m.tile];
            sums[threadIdx.x] = sum;
            dots[threadIdx.x] = dot;
        }
    }
    if (s.lane == 0 && s.works)
        part[((int64_t)s.group * m.slices + blockIdx.y) * m.channels + s.channel] = Pair{sum, dot};
}

/* taken: per group and channel, mean of dz and mean of dz xhat times rstd; zero in evaluation. */
__global__ void batch_norm_grad_finish_kernel(const Pair *part, const float *rstd, Pair *taken, float *dgamma,
                                              float *dbeta, bool training, Map m)
{
    __shared__ double sums[THREADS], dots[THREADS];
    int lane = (int)threadIdx.x / FINISH_CHANNELS, lanes = THREADS / FINISH_CHANNELS;
    int c = (int)blockIdx.x * FINISH_CHANNELS + (int)threadIdx.x % FINISH_CHANNELS;
    bool works = c < m.channels;
    double gamma_sum = 0, beta_sum = 0;
    for (int g = 0; g < m.groups; g++) {
        const Pair *p = part + (int64_t)g * m.slices * m.channels + c;
        double sum = 0, dot = 0;
        for (int i = lane; i < m.slices && works; i += lanes) {
            sum += p[(int64_t)i * m.channels].a;
            dot += p[(int64_t)i * m.channels].b;
        }
        sums[threadIdx.x] = sum;
        dots[threadIdx.x] = dot;
        __syncthreads();
        for (int i = 1; i < lanes && lane == 0; i++) {
            sum += sums[threadIdx.x + i * FINISH_CHANNELS];
            dot += dots[threadIdx.x + i * FINISH_CHANNELS];
        }
        __syncthreads();
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
__global__ void batch_norm_grad_apply_kernel(Backward b, const Pair *taken, float *dx, float *dresidual, Map m)
{
    Share s = share_of(m);
    if (!s.works)
        return;
    Coefficients c = coefficients_of(m, s, b.gamma, b.beta, b.mean, b.rstd);
    Pair t = taken[(int64_t)s.group * m.channels + s.channel];
#pragma unroll 4
    for (; s.row < s.end; s.row += s.step) {
        int64_t i = place(m, s.row, s.channel);
        float x = b.x[i], dz = masked(b, c, x, i);
        if (dresidual)
            dresidual[i] = dz;
        dx[i] = c.scale * (dz - t.a - (x - c.mean) * t.b);
    }
}

/* ---------------------------------------------------------------- host */
Map map_of(const Tensor *x, int groups)
{
    const int64_t *d = x->shape.dim;
    Map m;
    int64_t pixels = x->shape.rank == 4 ? d[2] * d[3] : 1;
    m.groups = groups;
    m.rows = d[0] / groups * pixels;
    m.channels = (int)d[1];
    m.pixels = x->format == PLAIN && pixels > 1 ? pixels : 0;
    m.tile = m.pixels ? 1 : 32;
    int64_t least = (int64_t)(THREADS / m.tile) * ROWS_A_THREAD;
    m.slices = (int)((m.rows + least - 1) / least);
    if (m.slices > SLICES_MAX)
        m.slices = SLICES_MAX;
    m.slice = (m.rows + m.slices - 1) / m.slices;
    m.slices = (int)((m.rows + m.slice - 1) / m.slice);
    return m;
}

dim3 grid_of(const Map &m)
{
    return dim3((unsigned)((m.channels + m.tile - 1) / m.tile), (unsigned)m.slices, (unsigned)m.groups);
}

const float *operand(const KernelCall *k, int i)
{
    return i >= 0 && i < k->nin && tensor_here(&k->in[i]) ? FLOATS(k->in[i]) : nullptr;
}

void forward(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    Map m = map_of(&k->in[0], a->groups);
    Pair *part = (Pair *)k->workspace;
    unsigned finish = (unsigned)((m.channels + FINISH_CHANNELS - 1) / FINISH_CHANNELS);
    Forward f = {operand(k, 3),     operand(k, 4), FLOATS(k->out[1]), FLOATS(k->out[2]), FLOATS(k->out[3]),
                 FLOATS(k->out[4]), a->eps,        a->momentum,       a->training,       a->update};
    if (a->training)
        LAUNCH(batch_norm_partial_kernel, grid_of(m), THREADS, 0, cuda_stream(k), FLOATS(k->in[0]), part, m);
    LAUNCH(batch_norm_finish_kernel, finish, THREADS, 0, cuda_stream(k), FLOATS(k->in[0]), part, m, f);
    LAUNCH(batch_norm_apply_kernel, grid_of(m), THREADS, 0, cuda_stream(k), FLOATS(k->in[0]), operand(k, 1),
           operand(k, 2), FLOATS(k->out[1]), FLOATS(k->out[2]), operand(k, 5), FLOATS(k->out[0]), slope, m);
}

void backward(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, float slope)
{
    Map m = map_of(&k->in[0], a->groups);
    Pair *part = (Pair *)k->workspace, *taken = part + (int64_t)m.groups * m.slices * m.channels;
    unsigned finish = (unsigned)((m.channels + FINISH_CHANNELS - 1) / FINISH_CHANNELS);
    Backward b = {FLOATS(k->in[0]),           operand(k, 1),     operand(k, beta_at), operand(k, mean_at),
                  operand(k, mean_at + 1), operand(k, mean_at + 2), operand(k, mean_at + 3), slope};
    LAUNCH(batch_norm_grad_partial_kernel, grid_of(m), THREADS, 0, cuda_stream(k), b, part, m);
    LAUNCH(batch_norm_grad_finish_kernel, finish, THREADS, 0, cuda_stream(k), part, b.rstd, taken, FLOATS(k->out[1]),
           FLOATS(k->out[2]), a->training, m);
    LAUNCH(batch_norm_grad_apply_kernel, grid_of(m), THREADS, 0, cuda_stream(k), b, taken, FLOATS(k->out[0]),
           k->nout > 3 ? FLOATS(k->out[3]) : nullptr, m);
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

/* Each op's number of groups stands at a place of its own. */
int prepare_for(KernelCall *k, int groups)
{
    Map m = map_of(&k->in[0], groups);
    k->workspace_bytes = (size_t)m.groups * (size_t)(m.slices + 1) * (size_t)m.channels * sizeof(Pair);
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

/* Channels side by side, whatever came. */
void formats(FormatChoice *f)
{
    for (int i = 0; i < f->nin; i++)
        f->in[i] = f->in_shape[i].rank == 4 ? NHWC : PLAIN;
    for (int j = 0; j < f->nout; j++)
        f->out[j] = f->out_shape[j].rank == 4 ? NHWC : PLAIN;
}

/* dx may take the buffer of dy; beside a residual dresidual may. */
int inplace_dy(const KernelCall *k, int result)
{
    int dy = k->op == op_find("batch_norm_grad") ? 4 : 5;
    return result == (k->nout > 3 ? 3 : 0) ? dy : -1;
}

}   // namespace

KERNEL(batch_norm, cuda) = {.run = batch_norm, .prepare = prepare, .formats = formats, .inplace = inplace_first};
KERNEL(batch_norm_leaky_relu, cuda) = {.run = batch_norm_leaky_relu, .prepare = prepare_fused, .formats = formats,
                                       .inplace = inplace_first};
KERNEL(batch_norm_grad, cuda) = {.run = batch_norm_grad, .prepare = prepare_grad, .formats = formats,
                                 .inplace = inplace_dy};
KERNEL(batch_norm_leaky_relu_grad, cuda) = {.run = batch_norm_leaky_relu_grad, .prepare = prepare_fused_grad,
                                            .formats = formats, .inplace = inplace_dy};
