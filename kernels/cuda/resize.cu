/* resize.cu - each result pixel gathers its pixels, forward and transposed alike: no atomics, so results repeat.
 *   in      x, planes of (H, W) pixels of `lanes` numbers, float or bfloat16: plain (B C) planes of 1, NHWC B of C
 *   out     y, the same planes of (OH, OW) pixels
 *   launch  block (bx, by), bx threads along a row of pixels times lanes/V, by rows; grid (row parts, row groups,
 *           planes up to 65535, then round again); V numbers a thread, 16 bytes, where C is a multiple of that, else 1
 *   bound   memory: x and y once each, 4 (in + out) bytes, 2 (in + out) in bfloat16; whole blocks of a large area stay
 *           in the caches */
#include "kernels/cuda/vector.h"

#include "engine/ops/resize.h"
#include "engine/ops/resize_rule.h"

struct ResizeMap {
    int64_t planes;
    int H, W, OH, OW, lanes;
    int kind;
};

/* Pixels along one axis that result o is made of, and the weight of one of them; transposed: n and m change roles. */
template <bool TRANSPOSED>
static __device__ inline ResizeRange axis_range(int kind, int o, int n, int m)
{
    return TRANSPOSED ? resize_readers((ResizeKind)kind, o, m, n) : resize_reads((ResizeKind)kind, o, n, m);
}

template <bool TRANSPOSED>
static __device__ inline float axis_weight(int kind, int o, int i, int n, int m)
{
    ResizeFraction w = TRANSPOSED ? resize_weight((ResizeKind)kind, i, o, m, n)
                                  : resize_weight((ResizeKind)kind, o, i, n, m);
    return (float)w.above / (float)w.below;
}

template <typename T, int V, bool TRANSPOSED>
static __global__ void resize_kernel(const T *x, T *y, ResizeMap r)
{
    int parts = r.lanes / V, part = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    int oy = (int)(blockIdx.y * blockDim.y + threadIdx.y);
    if (part >= r.OW * parts || oy >= r.OH)
        return;
    int ox = part / parts, lane = part % parts * V;
    ResizeRange ry = axis_range<TRANSPOSED>(r.kind, oy, r.H, r.OH);
    ResizeRange rx = axis_range<TRANSPOSED>(r.kind, ox, r.W, r.OW);
    /* Nearest and area forward weigh all their pixels alike: once is enough. */
    bool alike = r.kind == RESIZE_NEAREST || (r.kind == RESIZE_AREA && !TRANSPOSED);
    float scale = alike ? axis_weight<TRANSPOSED>(r.kind, oy, ry.first, r.H, r.OH) *
                          axis_weight<TRANSPOSED>(r.kind, ox, rx.first, r.W, r.OW) : 1.0f;
    for (int64_t plane = blockIdx.z; plane < r.planes; plane += gridDim.z) {
        float sum[V] = {};
        for (int iy = ry.first; iy < ry.end; iy++) {
            const T *p = x + ((plane * r.H + iy) * r.W + rx.first) * r.lanes + lane;
            float row[V] = {};
            for (int ix = rx.first; ix < rx.end; ix++, p += r.lanes) {
                float w = alike ? 1.0f : axis_weight<TRANSPOSED>(r.kind, ox, ix, r.W, r.OW), v[V];
                load(p, v);
                for (int l = 0; l < V; l++)
                    row[l] += w * v[l];
            }
            float w = alike ? 1.0f : axis_weight<TRANSPOSED>(r.kind, oy, iy, r.H, r.OH);
            for (int l = 0; l < V; l++)
                sum[l] += w * row[l];
        }
        for (int l = 0; l < V; l++)
            sum[l] *= scale;
        store(y + ((plane * r.OH + oy) * r.OW + ox) * r.lanes + lane, sum);
    }
}

template <typename T, int V>
static void resize_lanes(KernelCall *k, const T *x, T *y, ResizeMap r, bool transposed)
{
    int parts = r.OW * (r.lanes / V);
    unsigned bx = 32;
    while (bx < (unsigned)parts && bx < CUDA_BLOCK)
        bx *= 2;
    unsigned by = CUDA_BLOCK / bx;
    dim3 block(bx, by);
    dim3 grid((parts + bx - 1) / bx, (r.OH + by - 1) / by, r.planes < 65535 ? (unsigned)r.planes : 65535);
    if (transposed)
        LAUNCH((resize_kernel<T, V, true>), grid, block, 0, cuda_stream(k), x, y, r);
    else
        LAUNCH((resize_kernel<T, V, false>), grid, block, 0, cuda_stream(k), x, y, r);
}

template <typename T>
static void resize_typed(KernelCall *k, const T *x, T *y, ResizeMap r, bool transposed)
{
    constexpr int V = LANES_OF<T>;
    if (r.lanes % V == 0 && vectors_fit<V>(x) && vectors_fit<V>(y))
        resize_lanes<T, V>(k, x, y, r, transposed);
    else
        resize_lanes<T, 1>(k, x, y, r, transposed);
}

static void resize(KernelCall *k, ResizeKind kind, bool transposed)
{
    const Tensor *x = &k->in[0], *y = &k->out[0];
    int64_t B = x->shape.dim[0], C = x->shape.dim[1];
    bool nhwc = format_layout(x->format) == NHWC;
    ResizeMap r = {nhwc ? B : B * C, (int)x->shape.dim[2], (int)x->shape.dim[3],
                   (int)y->shape.dim[2], (int)y->shape.dim[3], nhwc ? (int)C : 1, (int)kind};
    if (format_half(x->format))
        resize_typed(k, HALVES(*x), HALVES(*y), r, transposed);
    else
        resize_typed(k, FLOATS(*x), FLOATS(*y), r, transposed);
}

static ResizeKind bilinear_kind(const KernelCall *k)
{
    return ((const ResizeAttrs *)k->attrs)->align_corners ? RESIZE_CORNERS : RESIZE_BILINEAR;
}

static void nearest(KernelCall *k) { resize(k, RESIZE_NEAREST, false); }
static void nearest_grad(KernelCall *k) { resize(k, RESIZE_NEAREST, true); }
static void area(KernelCall *k) { resize(k, RESIZE_AREA, false); }
static void area_grad(KernelCall *k) { resize(k, RESIZE_AREA, true); }
static void bilinear(KernelCall *k) { resize(k, bilinear_kind(k), false); }
static void bilinear_grad(KernelCall *k) { resize(k, bilinear_kind(k), true); }

KERNEL(resize_nearest, cuda) = {.run = nearest, .formats = formats_same, .halves = true};
KERNEL(resize_nearest_grad, cuda) = {.run = nearest_grad, .formats = formats_same, .halves = true};
KERNEL(resize_area, cuda) = {.run = area, .formats = formats_same, .halves = true};
KERNEL(resize_area_grad, cuda) = {.run = area_grad, .formats = formats_same, .halves = true};
KERNEL(resize_bilinear, cuda) = {.run = bilinear, .formats = formats_same, .halves = true};
KERNEL(resize_bilinear_grad, cuda) = {.run = bilinear_grad, .formats = formats_same, .halves = true};
