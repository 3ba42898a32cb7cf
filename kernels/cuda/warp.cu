/* warp.cu - a thread finds the point of one result pixel and serves all its channels, plain or NHWC.
 *   launch  grid (pixels of a result / 256, pictures up to 65535, then round again), block 256
 *   bound   memory: x and y about once each, 4 (in + out) bytes; neighbours share the four pixels in the caches */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/warp.h"

struct WarpMap {
    int64_t B, C;
    int H, W, OH, OW;
    bool nhwc;
    float fill;
};

static __device__ inline float warp_pixel(const float *x, const WarpMap &w, float row, float column, int64_t step)
{
    bool inside = row >= 0 && row < (float)w.H && column >= 0 && column < (float)w.W;
    return inside ? x[((int64_t)row * w.W + (int64_t)column) * step] : w.fill;
}

template <bool NEAREST>
static __global__ void warp_kernel(const float *x, const float *m, float *y, WarpMap w)
{
    int i = (int)CUDA_INDEX, n = w.OH * w.OW;
    if (i >= n)
        return;
    float oy = (float)(i / w.OW), ox = (float)(i % w.OW);
    int64_t step = w.nhwc ? w.C : 1;                                    /* from pixel to pixel, */
    int64_t in_channel = w.nhwc ? 1 : (int64_t)w.H * w.W, out_channel = w.nhwc ? 1 : n;   /* and to the next channel */
    for (int64_t b = blockIdx.y; b < w.B; b += gridDim.y) {
        const float *a = m + 6 * b, *p = x + b * w.C * w.H * w.W;
        float *q = y + b * w.C * n + i * step;
        float sx = fmaf(a[0], ox, fmaf(a[1], oy, a[2])), sy = fmaf(a[3], ox, fmaf(a[4], oy, a[5]));
        float row = NEAREST ? floorf(sy + 0.5f) : floorf(sy), column = NEAREST ? floorf(sx + 0.5f) : floorf(sx);
        bool near = sx > -1 && sx < (float)w.W && sy > -1 && sy < (float)w.H;
        float ty = sy - row, tx = sx - column;
        for (int64_t c = 0; c < w.C; c++, p += in_channel, q += out_channel) {
            if constexpr (NEAREST)
                *q = warp_pixel(p, w, row, column, step);
            else
                *q = !near ? w.fill
                           : (1 - ty) * (1 - tx) * warp_pixel(p, w, row, column, step) +
                                 (1 - ty) * tx * warp_pixel(p, w, row, column + 1, step) +
                                 ty * (1 - tx) * warp_pixel(p, w, row + 1, column, step) +
                                 ty * tx * warp_pixel(p, w, row + 1, column + 1, step);
        }
    }
}

static void warp(KernelCall *k)
{
    const WarpAttrs *a = (const WarpAttrs *)k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    WarpMap w = {d[0], d[1], (int)d[2], (int)d[3], a->height, a->width, k->in[0].format == NHWC, a->fill};
    dim3 grid(cuda_grid((int64_t)w.OH * w.OW), w.B < 65535 ? (unsigned)w.B : 65535);
    if (!strcmp(a->mode, "nearest"))
        LAUNCH(warp_kernel<true>, grid, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]),
               FLOATS(k->out[0]), w);
    else
        LAUNCH(warp_kernel<false>, grid, CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]),
               FLOATS(k->out[0]), w);
}

KERNEL(warp, cuda) = {.run = warp, .formats = formats_same};
