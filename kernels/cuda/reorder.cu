/* reorder.cu - changes of format; what inputs and weights of convolutions pass through (reorder.h).
 *   in, out  (images, channels, pixels), either order, float or bfloat16
 *   launch   a block of 256 threads a tile of 2,048 elements through shared memory, so that both sides are read and
 *            written along their memory: 64 channels by 32 pixels of an image, or fewer of the one and more of the
 *            other; what keeps its order, bfloat16 apart, is one long row
 *   bound    memory: 8 bytes an element between floats, 6 to or from bfloat16 */
#include "kernels/cuda/reorder.h"

#include "engine/ops/constant.h"
#include "kernels/cuda/vector.h"
#include "kernels/layout.h"

namespace {

/* A tile's rows are padded to odd lengths: at most by half. */
constexpr int TILE = 2048, TILE_CHANNELS = 64, TILE_ROUNDS = TILE / CUDA_BLOCK, TILE_PADDED = TILE + TILE / 2;

struct Order {
    int64_t pixels, from_channels, to_channels, channel_tiles, pixel_tiles;
    int channels, run;   /* of a tile: channels and pixels */
    int pitch;           /* of a channel of a tile: odd, so that neither side meets one bank twice */
    bool from_last, to_last;
};

/* Element e of a tile of `channels` by `run`, in the order of one side's memory. */
struct TileIndex {
    int channel, pixel;
};

__device__ TileIndex tile_index(bool last, int channels, int run, int e)
{
    TileIndex t;
    t.channel = last ? e % channels : e / run;
    t.pixel = last ? e / channels : e % run;
    return t;
}

__device__ int64_t side_place(bool last, int64_t image, int64_t channel, int64_t pixel, int64_t channels,
                              int64_t pixels)
{
    return last ? (image * pixels + pixel) * channels + channel : (image * channels + channel) * pixels + pixel;
}

template <typename X, typename Y>
__global__ void reorder_kernel(Y *y, const X *x, Order o)
{
    __shared__ float tile[TILE_PADDED];
    int64_t b = blockIdx.x, image = b / (o.channel_tiles * o.pixel_tiles);
    int64_t c0 = b % o.channel_tiles * o.channels, p0 = b / o.channel_tiles % o.pixel_tiles * o.run;
    int elements = o.channels * o.run;
#pragma unroll
    for (int round = 0; round < TILE_ROUNDS; round++) {
        int e = round * CUDA_BLOCK + (int)threadIdx.x;
        TileIndex t = tile_index(o.from_last, o.channels, o.run, e);
        int64_t c = c0 + t.channel, p = p0 + t.pixel;
        if (e < elements && p < o.pixels)
            tile[t.channel * o.pitch + t.pixel] =
                c < o.from_channels ? load_one(x + side_place(o.from_last, image, c, p, o.from_channels, o.pixels)) : 0;
    }
    __syncthreads();
#pragma unroll
    for (int round = 0; round < TILE_ROUNDS; round++) {
        int e = round * CUDA_BLOCK + (int)threadIdx.x;
        TileIndex t = tile_index(o.to_last, o.channels, o.run, e);
        int64_t c = c0 + t.channel, p = p0 + t.pixel;
        if (e < elements && p < o.pixels && c < o.to_channels)
            store_one(y + side_place(o.to_last, image, c, p, o.to_channels, o.pixels),
                      tile[t.channel * o.pitch + t.pixel]);
    }
}

template <typename X, typename Y>
void reorder_typed(cudaStream_t stream, Y *y, const X *x, const Order &o, int64_t images)
{
    int64_t blocks = images * o.channel_tiles * o.pixel_tiles;
    if (blocks)
        LAUNCH((reorder_kernel<X, Y>), (unsigned)blocks, CUDA_BLOCK, 0, stream, y, x, o);
}

/* Element i of y's memory is zero or channel c of pixel p of image b of x; one of them is in blocks of 16 channels.
 * Plans for CUDA have none: a thread an element. */
__global__ void reorder_blocks_kernel(float *y, const float *x, int y_format, int x_format, int64_t C,
                                      int64_t blocks, int64_t area, int64_t n)
{
    int64_t i = CUDA_INDEX, b, c, p;
    if (i >= n)
        return;
    if (y_format == C16) {
        b = i / (blocks * area * LANES);
        c = i / (area * LANES) % blocks * LANES + i % LANES;
        p = i / LANES % area;
    } else {
        b = i / (C * area);
        c = y_format == NHWC ? i % C : i / area % C;
        p = y_format == NHWC ? i / C % area : i % area;
    }
    float v = 0;
    if (c < C)
        v = x[x_format == C16    ? ((b * blocks + c / LANES) * area + p) * LANES + c % LANES
              : x_format == NHWC ? (b * area + p) * C + c
                                 : (b * C + c) * area + p];
    y[i] = v;
}

void reorder(KernelCall *k)
{
    const Tensor *x = &k->in[0], *y = &k->out[0];
    int64_t n = cuda_elements(y), C = x->shape.dim[1], area = x->shape.dim[2] * x->shape.dim[3];
    if (x->format == y->format)
        k->device->copy(k->device, y->data, x->data, tensor_bytes(x, 4));
    else if (x->format != C16 && y->format != C16)
        reorder_run(cuda_stream(k), reorder_side(y), reorder_side(x), x->shape.dim[0], area);
    else if (n)
        LAUNCH(reorder_blocks_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(*y), FLOATS(*x),
               (int)y->format, (int)x->format, C, channel_blocks(C), area, n);
}

}   // namespace

ReorderSide reorder_side(const Tensor *t)
{
    return ReorderSide{t->data, format_layout(t->format) == NHWC, format_half(t->format), t->shape.dim[1]};
}

void reorder_run(cudaStream_t stream, ReorderSide to, ReorderSide from, int64_t images, int64_t pixels)
{
    Order o = {};
    if (to.channels == from.channels && (to.last == from.last || pixels == 1 || to.channels == 1)) {
        pixels *= images * to.channels;
        images = to.channels = from.channels = 1;
        to.last = from.last = false;
    }
    o.pixels = pixels;
    o.from_channels = from.channels;
    o.to_channels = to.channels;
    o.from_last = from.last;
    o.to_last = to.last;
    if (!to.channels || !pixels)
        return;
    int64_t most = TILE / pixels / 32 * 32;   /* channels whose small maps fill a tile */
    most = most < TILE_CHANNELS ? TILE_CHANNELS : most;
    o.channels = (int)(to.channels < most ? to.channels : most);
    o.run = (int)(pixels < TILE / o.channels ? pixels : TILE / o.channels);
    o.pitch = o.run | 1;
    o.channel_tiles = (to.channels + o.channels - 1) / o.channels;
    o.pixel_tiles = (pixels + o.run - 1) / o.run;
    if (from.half && to.half)
        reorder_typed(stream, (bf16 *)to.data, (const bf16 *)from.data, o, images);
    else if (from.half)
        reorder_typed(stream, (float *)to.data, (const bf16 *)from.data, o, images);
    else if (to.half)
        reorder_typed(stream, (bf16 *)to.data, (const float *)from.data, o, images);
    else
        reorder_typed(stream, (float *)to.data, (const float *)from.data, o, images);
}

KERNEL(reorder, cuda) = {.run = reorder};
