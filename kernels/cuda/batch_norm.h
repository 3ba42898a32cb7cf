/* batch_norm.h - what batch_norm.cu and batch_norm_grad.cu share.
 *
 * x, y, residual and their gradients are rows of channels, float or bfloat16: NHWC, NHWC_BF16 or (B, C).  All else is
 * float.  A thread takes the channels of 16 bytes, V of them (one where channels or addresses do not allow it), through
 * every lanes-th row of a slice of one group; a block is up to 32 such threads side by side by 8 or more lanes.  It
 * leaves a partial result per channel in the workspace; a second launch puts the slices together in double and in
 * order; a third one goes over x again.  Maps of few rows are one launch: a block takes all rows of its channels, group
 * by group, and finds them in the caches when it comes again.  No atomics: results repeat. */
#ifndef KERNELS_CUDA_BATCH_NORM_H
#define KERNELS_CUDA_BATCH_NORM_H

#include "kernels/cuda/vector.h"

#include "engine/ops/batch_norm_leaky_relu.h"

namespace {

constexpr int THREADS = 256, SIDE_MAX = 32;
/* Blocks that keep a large device busy; slices of a channel, which the finishing launch reads; rows that a thread takes
 * at least. */
constexpr int BLOCKS_ENOUGH = 1056, SLICES_MAX = 512, ROWS_A_THREAD = 16;
/* Up to so many rows of a group one launch does it, with blocks that are 32 bytes wide. */
constexpr int WHOLE_ROWS = 1024, WHOLE_SIDE = 2, WHOLE_SIDE_ONE = 8;
/* Channels of such a block, at 16 bytes a thread and at an element. */
constexpr int WHOLE_CHANNELS = 16;
static_assert(WHOLE_SIDE * 8 <= WHOLE_CHANNELS && WHOLE_SIDE_ONE <= WHOLE_CHANNELS, "a block's channels");
constexpr int FINISH_CHANNELS = 8, FINISH_LANES = THREADS / FINISH_CHANNELS;

/* Rows whose values a thread has in flight, of that many tensors: some 32 numbers. */
template <int V, int TENSORS>
constexpr int ROWS_OF = V * TENSORS < 4 ? 8 : V * TENSORS > 16 ? 2 : 32 / (V * TENSORS);

struct Map {
    int64_t rows;         /* of one group: images times pixels */
    int64_t slice;        /* rows of a slice */
    int channels, groups, slices;
    int side;             /* threads side by side, a power of two */
    bool whole;           /* one slice, all groups by the same block */
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
__device__ Share share_of(const Map &m, int group)
{
    Share s;
    s.lane = (int)threadIdx.x / m.side;
    s.lanes = THREADS / m.side;
    s.channel = ((int)blockIdx.x * m.side + (int)threadIdx.x % m.side) * V;
    s.group = group;
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

/* ---------------------------------------------------------------- channels */
/* a and b summed over the lanes of a channel, in an order that does not vary; in lane 0. */
__device__ inline void finish_sums(double &a, double &b, int lane)
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

/* ---------------------------------------------------------------- host */
/* Rows and slices for threads of V channels. */
inline Map map_of(const Tensor *x, int groups, int V)
{
    const int64_t *d = x->shape.dim;
    Map m;
    m.groups = groups;
    m.rows = d[0] / groups * (x->shape.rank == 4 ? d[2] * d[3] : 1);
    m.channels = (int)d[1];
    m.whole = m.rows <= WHOLE_ROWS;
    m.side = 1;
    while (m.side < (!m.whole ? SIDE_MAX : V > 1 ? WHOLE_SIDE : WHOLE_SIDE_ONE) && m.side * V < m.channels)
        m.side *= 2;
    m.slices = 1;
    m.slice = m.rows;
    if (m.whole)
        return m;
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
    return dim3((unsigned)((m.channels + m.side * V - 1) / (m.side * V)), (unsigned)m.slices,
                m.whole ? 1 : (unsigned)m.groups);
}

inline unsigned finish_grid(const Map &m)
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

/* Each op's number of groups stands at a place of its own.  Addresses are not known yet: the wider of the two ways. */
inline int prepare_for(KernelCall *k, int groups)
{
    int64_t most = 0;
    for (int V = 1; V <= 8; V *= 2) {
        Map m = map_of(&k->in[0], groups, V);
        most = m.slices > most ? m.slices : most;
    }
    k->workspace_bytes = (size_t)groups * (size_t)(most + 1) * (size_t)k->in[0].shape.dim[1] * sizeof(Pair);
    return 0;
}

/* Channels side by side, whatever came; in bfloat16 where x is. */
inline void formats(FormatChoice *f)
{
    Format want = f->in[0] == NHWC_BF16 ? NHWC_BF16 : NHWC;
    for (int i = 0; i < f->nin; i++)
        f->in[i] = f->in_shape[i].rank == 4 ? want : PLAIN;
    for (int j = 0; j < f->nout; j++)
        f->out[j] = f->out_shape[j].rank == 4 ? want : PLAIN;
}

}   // namespace

#endif
