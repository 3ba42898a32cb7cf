/* pool2d.h - maximum and mean over windows. */
#ifndef OPS_POOL2D_H
#define OPS_POOL2D_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Windows must see at least one pixel: padding is at most half the kernel. */
typedef struct Pool2dAttrs {
    int kernel, kernel_h, kernel_w;      /* side of a window; _h and _w in its place where they are not 0 */
    int stride, stride_h, stride_w;      /* step between windows, alike; 0: the kernel */
    int padding, padding_h, padding_w;   /* on every side; more above and below; more beside */
    bool ceil_mode;              /* round the number of windows up; the last one may reach beyond the padding */
    bool count_include_pad;      /* avg_pool2d: padding counts as zeros in the mean (true in PyTorch unless told) */
    int height, width;           /* avg_pool2d_grad, global_avg_pool_grad: of x; adaptive pooling: of y */
} Pool2dAttrs;

/* x (B,C,H,W) -> (B,C,OH,OW), OH = (H + 2 padding - kernel) / stride + 1, rounded down (up with ceil_mode, but no
 * window starts beyond x and its near padding).  Padding never wins.  NaN wins. */
Val op_max_pool2d(Val x, Pool2dAttrs a);
/* dx: dy goes to the first maximum of its window in row-major order, as in PyTorch; found again from x. */
Val op_max_pool2d_grad(Val x, Val dy, Pool2dAttrs a);
/* Means; with ceil_mode, a window's area ends at the far padding. */
Val op_avg_pool2d(Val x, Pool2dAttrs a);
/* dy (B,C,OH,OW) -> (B,C,height,width). */
Val op_avg_pool2d_grad(Val dy, Pool2dAttrs a);
/* x (B,C,H,W) -> (B,C,height,width): window o along an axis is the pixels floor(o H / OH) .. ceil((o + 1) H / OH) - 1,
 * so that windows cover x and may overlap.  The mean is op_resize_area. */
Val op_adaptive_max_pool2d(Val x, int height, int width);
Val op_adaptive_max_pool2d_grad(Val x, Val dy, int height, int width);
Val op_adaptive_avg_pool2d(Val x, int height, int width);
/* x (B,C,H,W) -> (B,C), and back. */
Val op_global_avg_pool(Val x);
Val op_global_avg_pool_grad(Val dy, int height, int width);

/* For kernels: one axis of the windows, with what was left out filled in. */
typedef struct PoolAxis {
    int64_t kernel, stride, padding;
    int64_t adaptive;            /* how many windows there are, instead of the three above; 0: those */
    bool count_include_pad;
} PoolAxis;
typedef struct PoolWindow {
    PoolAxis rows, columns;
} PoolWindow;
static inline PoolAxis pool_axis(const Pool2dAttrs *a, int kernel, int stride, int padding, int windows)
{
    PoolAxis p;
    p.kernel = kernel ? kernel : a->kernel;
    p.stride = stride ? stride : a->stride ? a->stride : p.kernel;
    p.padding = a->padding + padding;
    p.adaptive = p.kernel ? 0 : windows;
    p.count_include_pad = a->count_include_pad;
    return p;
}
static inline PoolWindow pool_window(const void *attrs)
{
    const Pool2dAttrs *a = (const Pool2dAttrs *)attrs;
    PoolWindow w = {pool_axis(a, a->kernel_h, a->stride_h, a->padding_h, a->height),
                    pool_axis(a, a->kernel_w, a->stride_w, a->padding_w, a->width)};
    return w;
}
/* Along one axis of `size` pixels, window `o`: pixels [begin, end) of x, and how many positions a mean divides by. */
typedef struct PoolSpan {
    int64_t begin, end, counted;
} PoolSpan;
#ifdef __CUDACC__
__host__ __device__
#endif
static inline PoolSpan pool_span(const PoolAxis *a, int64_t o, int64_t size)
{
    PoolSpan s;
    if (a->adaptive) {
        s.begin = o * size / a->adaptive;
        s.end = ((o + 1) * size + a->adaptive - 1) / a->adaptive;
        s.counted = s.end - s.begin;
        return s;
    }
    int64_t first = o * a->stride - a->padding, last = first + a->kernel, far = size + a->padding;
    s.begin = first < 0 ? 0 : first;
    s.end = last < size ? last : size;
    s.counted = a->count_include_pad ? (last < far ? last : far) - first : s.end - s.begin;
    return s;
}
/* Windows [begin, end), of n in all, that see pixel i of `size`. */
#ifdef __CUDACC__
__host__ __device__
#endif
static inline PoolSpan pool_windows(const PoolAxis *a, int64_t i, int64_t size, int64_t n)
{
    PoolSpan s;
    s.counted = 0;
    if (a->adaptive) {
        s.begin = i * n / size;
        s.end = ((i + 1) * n + size - 1) / size;
        return s;
    }
    int64_t low = i + a->padding - a->kernel + 1, high = (i + a->padding) / a->stride + 1;
    s.begin = low <= 0 ? 0 : (low + a->stride - 1) / a->stride;
    s.end = high < n ? high : n;
    return s;
}

#ifdef __cplusplus
}
#endif
#endif
