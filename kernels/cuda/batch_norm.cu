/* batch_norm.cu - batch_norm and batch_norm_leaky_relu, which is batch_norm when slope is 1 (batch_norm.h).
 *   launch  256 threads a block; partial and apply (channels / 32 V, slices, groups), finish channels / 8, whole
 *           channels / 2 V blocks
 *   bound   memory: 12 bytes an element (x twice, y), with a residual 16; half of that in bfloat16 */
#include "kernels/cuda/batch_norm.h"

namespace {

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

/* Mean, less the group's first row, and squared deviations of the rows of a block; in lane 0 when all threads are back.
 * The first row is taken off before anything is added up: what is left of a large mean is small. */
template <int V, typename T>
__device__ void block_moments(const T *x, const Map &m, Share s, float (&mean)[V], float (&squares)[V])
{
    constexpr int ROWS = ROWS_OF<V, 1>;
    __shared__ float counts[THREADS], means[V][THREADS], deviations[V][THREADS];
    float n = 0, origin[V] = {};
#pragma unroll
    for (int l = 0; l < V; l++)
        mean[l] = squares[l] = 0;
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
    for (int half = s.lanes / 2; half > 0; half /= 2) {
        counts[threadIdx.x] = n;
#pragma unroll
        for (int l = 0; l < V; l++) {
            means[l][threadIdx.x] = mean[l];
            deviations[l][threadIdx.x] = squares[l];
        }
        __syncthreads();
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
}

template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2) batch_norm_partial_kernel(const T *x, Pair *part, Map m)
{
    Share s = share_of<V>(m, (int)blockIdx.z);
    float mean[V], squares[V];
    block_moments(x, m, s, mean, squares);
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

/* What a group's mean and squared deviations make of channel c; moves the running statistics. */
__device__ void finish_channel(const Map &m, const Forward &f, int group, int c, double mean, double squares,
                               float &running_mean, float &running_var)
{
    double n = (double)m.rows, var = squares / n;
    int64_t at = (int64_t)group * m.channels + c;
    if (!f.training) {
        mean = running_mean;
        var = running_var;
    } else if (f.update) {
        running_mean += f.momentum * (float)(mean - running_mean);
        running_var += f.momentum * (float)(squares / (n - 1) - running_var);
    }
    f.mean[at] = (float)mean;
    f.rstd[at] = (float)(1 / sqrt(var + (double)f.eps));
}

/* 8 channels, 32 threads each. */
template <typename T>
__global__ void batch_norm_finish_kernel(const T *x, const Pair *part, Map m, Forward f)
{
    int lane = (int)threadIdx.x / FINISH_CHANNELS;
    int c = (int)blockIdx.x * FINISH_CHANNELS + (int)threadIdx.x % FINISH_CHANNELS;
    bool works = c < m.channels;
    bool finishes = works && lane == 0;   /* nobody else may read what this thread writes over */
    float running_mean = finishes && f.running_mean ? f.running_mean[c] : 0;
    float running_var = finishes && f.running_var ? f.running_var[c] : 1;
    for (int g = 0; g < m.groups; g++) {
        double mean = 0, squares = 0;
        if (f.training) {
            const Pair *p = part + (int64_t)g * m.slices * m.channels + c;
            double shift = works ? p[0].a : 0, sum = 0, n = (double)m.rows;
#pragma unroll 4
            for (int i = lane; i < m.slices && works; i += FINISH_LANES) {
                Pair q = p[(int64_t)i * m.channels];
                double k = slice_rows(m, i), d = q.a - shift;
                sum += k * d;
                squares += q.b + k * d * d;
            }
            finish_sums(sum, squares, lane);
            squares -= sum * sum / n;
            mean = (works ? load_one(x + g * m.rows * m.channels + c) : 0) + (shift + sum / n);
        }
        if (finishes)
            finish_channel(m, f, g, c, mean, squares, running_mean, running_var);
    }
    if (finishes) {
        f.new_mean[c] = running_mean;
        f.new_var[c] = running_var;
    }
}

/* Operands and result of the last pass beside x; pointers but y may be null. */
template <typename T>
struct Apply {
    const float *gamma, *beta;
    const T *residual;
    T *y;
    float slope;
};

template <int V, typename T>
__device__ void apply_rows(const T *x, const Apply<T> &a, const Forward &f, const Map &m, Share s)
{
    constexpr int ROWS = ROWS_OF<V, 2>;
    if (!s.works)
        return;
    Coefficients<V> c = coefficients_of<V>(m, s, a.gamma, a.beta, f.mean, f.rstd);
    for (; s.row < s.end; s.row += ROWS * s.lanes) {
        float v[ROWS][V], added[ROWS][V] = {};
        load_rows(x, m, s, v);
        if (a.residual)
            load_rows(a.residual, m, s, added);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (s.row + r * s.lanes >= s.end)
                break;
#pragma unroll
            for (int l = 0; l < V; l++) {
                float z = normalised(c, l, v[r][l]) + added[r][l];
                v[r][l] = z > 0 ? z : a.slope * z;
            }
            store_row(a.y, m, s, r, v[r]);
        }
    }
}

template <int V, typename T>
__global__ void __launch_bounds__(THREADS, 2) batch_norm_apply_kernel(const T *x, Apply<T> a, Map m, Forward f)
{
    apply_rows<V>(x, a, f, m, share_of<V>(m, (int)blockIdx.z));
}

/* All three passes for a block's channels.  There are fewer such blocks than SMs: a thread may have all the registers
 * that it wants. */
template <int V, typename T>
__global__ void __launch_bounds__(THREADS) batch_norm_whole_kernel(const T *x, Apply<T> a, Map m, Forward f)
{
    /* Of the block's channels, each for the one thread that finishes it: as registers they would be held by all. */
    __shared__ float running_mean[WHOLE_CHANNELS], running_var[WHOLE_CHANNELS];
    for (int g = 0; g < m.groups; g++) {
        Share s = share_of<V>(m, g);
        float mean[V] = {}, squares[V] = {};
        if (f.training)
            block_moments(x, m, s, mean, squares);
        if (s.lane == 0 && s.works)
#pragma unroll
            for (int l = 0; l < V; l++) {
                int c = s.channel + l, mine = (int)threadIdx.x * V + l;
                if (g == 0) {
                    running_mean[mine] = f.running_mean ? f.running_mean[c] : 0;
                    running_var[mine] = f.running_var ? f.running_var[c] : 1;
                }
                double origin = load_one(x + g * m.rows * m.channels + c);
                finish_channel(m, f, g, c, origin + mean[l], squares[l], running_mean[mine], running_var[mine]);
                if (g == m.groups - 1) {
                    f.new_mean[c] = running_mean[mine];
                    f.new_var[c] = running_var[mine];
                }
            }
        __syncthreads();   /* mean and rstd are there for the block, and the first row may be written over */
        apply_rows<V>(x, a, f, m, s);
    }
}

/* ---------------------------------------------------------------- host */
template <int V, typename T>
void forward_as(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    Map m = map_of(&k->in[0], a->groups, V);
    Pair *part = (Pair *)k->workspace;
    const T *x = (const T *)k->in[0].data;
    Forward f = {operand<float>(k, 3), operand<float>(k, 4), FLOATS(k->out[1]), FLOATS(k->out[2]), FLOATS(k->out[3]),
                 FLOATS(k->out[4]),    a->eps,               a->momentum,       a->training,       a->update};
    Apply<T> last = {operand<float>(k, 1), operand<float>(k, 2), operand<T>(k, 5), (T *)k->out[0].data, slope};
    if (m.whole) {
        LAUNCH((batch_norm_whole_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), x, last, m, f);
        return;
    }
    if (a->training)
        LAUNCH((batch_norm_partial_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), x, part, m);
    LAUNCH(batch_norm_finish_kernel<T>, finish_grid(m), THREADS, 0, cuda_stream(k), x, part, m, f);
    LAUNCH((batch_norm_apply_kernel<V, T>), grid_of<V>(m), THREADS, 0, cuda_stream(k), x, last, m, f);
}

void forward(KernelCall *k, const BatchNormAttrs *a, float slope)
{
    if (k->in[0].format == NHWC_BF16)
        rows_fit<8, bf16>(k) ? forward_as<8, bf16>(k, a, slope) : forward_as<1, bf16>(k, a, slope);
    else
        rows_fit<4, float>(k) ? forward_as<4, float>(k, a, slope) : forward_as<1, float>(k, a, slope);
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

int prepare(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormAttrs *)k->attrs)->groups);
}

int prepare_fused(KernelCall *k)
{
    return prepare_for(k, ((const BatchNormLeakyReluAttrs *)k->attrs)->norm.groups);
}

/* y may take x's buffer, and the new running statistics the old ones': so the store's own, without a copy a layer. */
int inplace(const KernelCall *k, int result)
{
    (void)k;
    return result == 0 || result == 3 || result == 4 ? result : -1;
}

}   // namespace

KERNEL(batch_norm, cuda) = {.run = batch_norm, .prepare = prepare, .formats = formats, .inplace = inplace,
                            .halves = true};
KERNEL(batch_norm_leaky_relu, cuda) = {.run = batch_norm_leaky_relu, .prepare = prepare_fused, .formats = formats,
                                       .inplace = inplace, .halves = true};
