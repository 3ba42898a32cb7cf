/* upsample_conv.cu - summed weights and interleaved maps around a convolution of the small map (upsample_conv.h).
 *   weights     w (F,C,3,3) plain to (4F,C,2,2), plain or channels last, float or bfloat16: what the convolution reads;
 *               the gradient back.  A thread a pair (f, c).  Bound: memory, 36 + 64 bytes a pair
 *   interleave  z (B,4F,H+1,W+1) to y (B,F,2H,2W) and back, plain or NHWC, float or bfloat16: a thread 16 bytes of
 *               channels (plain: an element) of what is written.  Bound: memory, 8 bytes an element of y
 *   launch      256 threads a block
 * cuDNN pads alike on both sides and writes packed maps, so that four convolutions with padding of their own, written
 * to every second pixel, are not to be had; one that is a row and a column too large costs (1 + 1/H)(1 + 1/W). */
#include "kernels/cuda/vector.h"

#include "engine/ops/upsample_conv.h"

namespace {

/* Element (ab, f, c, u, v) of the 2x2 kernels; pairs = F C, i = f C + c. */
template <bool LAST>
__device__ inline int64_t weight_at(int ab, int u, int v, int64_t i, int64_t channels, int64_t pairs)
{
    if (!LAST)
        return 4 * (ab * pairs + i) + 2 * u + v;
    int64_t f = i / channels;
    return 4 * (ab * pairs + f * channels) + (2 * u + v) * channels + i - f * channels;
}

template <bool LAST, typename T>
__global__ void upsample_weights_kernel(const float *w, T *y, int64_t channels, int64_t pairs)
{
    int64_t i = CUDA_INDEX;
    if (i >= pairs)
        return;
    float tap[9];
#pragma unroll
    for (int t = 0; t < 9; t++)
        tap[t] = w[9 * i + t];
#pragma unroll
    for (int ab = 0; ab < 4; ab++) {
        float sum[4] = {};
#pragma unroll
        for (int t = 0; t < 9; t++)
            sum[2 * upsample_tap(ab / 2, t / 3) + upsample_tap(ab % 2, t % 3)] += tap[t];
#pragma unroll
        for (int t = 0; t < 4; t++)
            store_one(y + weight_at<LAST>(ab, t / 2, t % 2, i, channels, pairs), sum[t]);
    }
}

template <bool LAST, typename T>
__global__ void upsample_weights_grad_kernel(const T *dy, float *dw, int64_t channels, int64_t pairs)
{
    int64_t i = CUDA_INDEX;
    if (i >= pairs)
        return;
    float tap[9] = {};
#pragma unroll
    for (int ab = 0; ab < 4; ab++) {
        float d[4];
#pragma unroll
        for (int t = 0; t < 4; t++)
            d[t] = load_one(dy + weight_at<LAST>(ab, t / 2, t % 2, i, channels, pairs));
#pragma unroll
        for (int t = 0; t < 9; t++)
            tap[t] += d[2 * upsample_tap(ab / 2, t / 3) + upsample_tap(ab % 2, t % 3)];
    }
#pragma unroll
    for (int t = 0; t < 9; t++)
        dw[9 * i + t] = tap[t];
}

/* F channels of the large map, H and W its sides. */
struct Maps {
    int64_t F, H, W;
    bool last;
};

/* Takes the element number i of (B, channels, height, width) apart. */
struct Index {
    int64_t n, c, row, column;
};

__device__ inline int64_t split(int64_t i, int64_t n, int64_t *rest)
{
    int64_t next = (i | n) >> 31 ? i / n : (int64_t)((unsigned)i / (unsigned)n);
    *rest = i - next * n;
    return next;
}

__device__ inline Index index_of(int64_t i, bool last, int64_t channels, int64_t height, int64_t width)
{
    Index x;
    if (last)
        i = split(i, channels, &x.c);
    i = split(i, width, &x.column);
    i = split(i, height, &x.row);
    if (!last)
        i = split(i, channels, &x.c);
    x.n = i;
    return x;
}

__device__ inline int64_t offset_of(Index x, bool last, int64_t channels, int64_t height, int64_t width)
{
    return last ? ((x.n * height + x.row) * width + x.column) * channels + x.c
                : ((x.n * channels + x.c) * height + x.row) * width + x.column;
}

template <int V, typename T>
__global__ void upsample_interleave_kernel(const T *z, const float *bias, T *y, Maps m, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    Index to = index_of(i, m.last, m.F, m.H, m.W);
    int a = (int)(to.row & 1), b = (int)(to.column & 1);
    Index from = {to.n, (2 * a + b) * m.F + to.c, to.row / 2 + a, to.column / 2 + b};
    float v[V];
    load(z + offset_of(from, m.last, 4 * m.F, m.H / 2 + 1, m.W / 2 + 1), v);
#pragma unroll
    for (int l = 0; l < V; l++)
        v[l] += bias ? bias[to.c + l] : 0;
    store(y + i, v);
}

template <int V, typename T>
__global__ void upsample_interleave_grad_kernel(const T *dy, T *dz, Maps m, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    Index to = index_of(i, m.last, 4 * m.F, m.H / 2 + 1, m.W / 2 + 1), from = to;
    int64_t ab = split(to.c, m.F, &from.c);
    from.row = 2 * to.row - ab / 2;
    from.column = 2 * to.column - ab % 2;
    float v[V] = {};
    if (from.row >= 0 && from.row < m.H && from.column >= 0 && from.column < m.W)
        load(dy + offset_of(from, m.last, m.F, m.H, m.W), v);
    store(dz + i, v);
}

/* ---------------------------------------------------------------- host */
template <typename T>
void weights_typed(KernelCall *k, T *y)
{
    int64_t channels = k->in[0].shape.dim[1], pairs = k->in[0].shape.dim[0] * channels;
    if (k->out[0].format == PLAIN)
        LAUNCH((upsample_weights_kernel<false, T>), cuda_grid(pairs), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               y, channels, pairs);
    else
        LAUNCH((upsample_weights_kernel<true, T>), cuda_grid(pairs), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
               y, channels, pairs);
}

void weights(KernelCall *k)
{
    if (format_half(k->out[0].format))
        weights_typed(k, HALVES(k->out[0]));
    else
        weights_typed(k, FLOATS(k->out[0]));
}

template <typename T>
void weights_grad_typed(KernelCall *k, const T *dy)
{
    int64_t channels = k->out[0].shape.dim[1], pairs = k->out[0].shape.dim[0] * channels;
    if (k->in[0].format == PLAIN)
        LAUNCH((upsample_weights_grad_kernel<false, T>), cuda_grid(pairs), CUDA_BLOCK, 0, cuda_stream(k), dy,
               FLOATS(k->out[0]), channels, pairs);
    else
        LAUNCH((upsample_weights_grad_kernel<true, T>), cuda_grid(pairs), CUDA_BLOCK, 0, cuda_stream(k), dy,
               FLOATS(k->out[0]), channels, pairs);
}

void weights_grad(KernelCall *k)
{
    if (format_half(k->in[0].format))
        weights_grad_typed(k, HALVES(k->in[0]));
    else
        weights_grad_typed(k, FLOATS(k->in[0]));
}

Maps maps_of(const Tensor *y)
{
    return (Maps){y->shape.dim[1], y->shape.dim[2], y->shape.dim[3], format_layout(y->format) == NHWC};
}

template <int V, typename T>
void interleave_lanes(KernelCall *k, const T *z, T *y)
{
    const float *bias = k->nin > 1 && tensor_here(&k->in[1]) ? FLOATS(k->in[1]) : NULL;
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH((upsample_interleave_kernel<V, T>), cuda_grid(n / V), CUDA_BLOCK, 0, cuda_stream(k), z, bias, y,
           maps_of(&k->out[0]), n);
}

template <typename T>
void interleave_typed(KernelCall *k, const T *z, T *y)
{
    constexpr int V = LANES_OF<T>;
    Maps m = maps_of(&k->out[0]);
    if (m.last && m.F % V == 0 && vectors_fit<V>(z) && vectors_fit<V>(y))
        interleave_lanes<V>(k, z, y);
    else
        interleave_lanes<1>(k, z, y);
}

void interleave(KernelCall *k)
{
    if (format_half(k->out[0].format))
        interleave_typed(k, HALVES(k->in[0]), HALVES(k->out[0]));
    else
        interleave_typed(k, FLOATS(k->in[0]), FLOATS(k->out[0]));
}

template <int V, typename T>
void interleave_grad_lanes(KernelCall *k, const T *dy, T *dz)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH((upsample_interleave_grad_kernel<V, T>), cuda_grid(n / V), CUDA_BLOCK, 0, cuda_stream(k), dy, dz,
           maps_of(&k->in[0]), n);
}

template <typename T>
void interleave_grad_typed(KernelCall *k, const T *dy, T *dz)
{
    constexpr int V = LANES_OF<T>;
    Maps m = maps_of(&k->in[0]);
    if (m.last && m.F % V == 0 && vectors_fit<V>(dy) && vectors_fit<V>(dz))
        interleave_grad_lanes<V>(k, dy, dz);
    else
        interleave_grad_lanes<1>(k, dy, dz);
}

void interleave_grad(KernelCall *k)
{
    if (format_half(k->in[0].format))
        interleave_grad_typed(k, HALVES(k->in[0]), HALVES(k->out[0]));
    else
        interleave_grad_typed(k, FLOATS(k->in[0]), FLOATS(k->out[0]));
}

/* What the convolution reads: channels last where they are whole groups. */
void formats_weights(FormatChoice *f)
{
    bool half = f->precision == PRECISION_BF16;
    f->in[0] = PLAIN;
    if (f->out_shape[0].dim[1] % (half ? 8 : 4) == 0 && f->out_shape[0].dim[0] % (half ? 8 : 4) == 0)
        f->out[0] = half ? NHWC_BF16 : NHWC;
}

/* Any format in; what the optimizer reads out. */
void formats_weights_grad(FormatChoice *f)
{
    if (format_layout(f->in[0]) != NHWC)
        f->in[0] = PLAIN;
}

/* in: x (B,C,H,W) and w (F,C,3,3).  20 of 36 multiplications are saved but for the larger border; against them stand
 * the summed weights, written and read, and z; what is not written is the large x.  100 of a device's operations take
 * about as long as one byte of its memory, in TF32 with floats as in bfloat16 with halves. */
bool worth(const Shape *in, Precision precision)
{
    double B = (double)in[0].dim[0], C = (double)in[0].dim[1], H = (double)in[0].dim[2], W = (double)in[0].dim[3];
    double F = (double)in[1].dim[0], activation = precision == PRECISION_BF16 ? 2 : 4, z = 4 * B * F * (H + 1) * (W + 1);
    double saved = 2 * B * C * F * (36 * H * W - 16 * (H + 1) * (W + 1));
    double bytes = C * F * (36 + 2 * 16 * activation) + 2 * activation * z - 2 * activation * B * C * 4 * H * W;
    return saved > 100 * bytes;
}

}   // namespace

KERNEL(upsample_weights, cuda) = {.run = weights, .formats = formats_weights};
KERNEL(upsample_weights_grad, cuda) = {.run = weights_grad, .formats = formats_weights_grad, .halves = true};
KERNEL(upsample_interleave, cuda) = {.run = interleave, .formats = formats_same, .halves = true, .worth = worth};
KERNEL(upsample_interleave_grad, cuda) = {.run = interleave_grad, .formats = formats_same, .halves = true};
