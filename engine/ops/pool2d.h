/* pool2d.h - maximum and mean over windows. */
#ifndef OPS_POOL2D_H
#define OPS_POOL2D_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Square windows.  Windows must see at least one pixel: padding is at most half the kernel. */
typedef struct Pool2dAttrs {
    int kernel, stride;          /* stride 0: the kernel */
    int padding;                 /* on every side */
    bool ceil_mode;              /* round the number of windows up; the last one may reach beyond the padding */
    bool count_include_pad;      /* avg_pool2d: padding counts as zeros in the mean (true in PyTorch unless told) */
    int height, width;           /* avg_pool2d_grad, global_avg_pool_grad: of x */
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
/* x (B,C,H,W) -> (B,C), and back. */
Val op_global_avg_pool(Val x);
Val op_global_avg_pool_grad(Val dy, int height, int width);

/* For kernels: the attributes with the stride filled in. */
static inline Pool2dAttrs pool_attrs(const void *attrs)
{
    Pool2dAttrs a = *(const Pool2dAttrs *)attrs;
    a.stride = a.stride ? a.stride : a.kernel;
    return a;
}
/* The two that follow take those.  One axis of window `o`: pixels [begin, end) of x, and how many positions a mean divides by. */
typedef struct PoolSpan {
    int64_t begin, end, counted;
} PoolSpan;
#ifdef __CUDACC__
__host__ __device__
#endif
static inline PoolSpan pool_span(const Pool2dAttrs *a, int64_t o, int64_t size)
{
    int64_t first = o * a->stride - a->padding, last = first + a->kernel, far = size + a->padding;
    PoolSpan s;
    s.begin = first < 0 ? 0 : first;
    s.end = last < size ? last : size;
    s.counted = a->count_include_pad ? (last < far ? last : far) - first : s.end - s.begin;
    return s;
}
/* Windows [begin, end) that see pixel i, of n in all. */
#ifdef __CUDACC__
__host__ __device__
#endif
static inline PoolSpan pool_windows(const Pool2dAttrs *a, int64_t i, int64_t n)
{
    int64_t low = i + a->padding - a->kernel + 1, high = (i + a->padding) / a->stride + 1;
    PoolSpan s;
    s.begin = low <= 0 ? 0 : (low + a->stride - 1) / a->stride;
    s.end = high < n ? high : n;
    s.counted = 0;
    return s;
}

#ifdef __cplusplus
}
#endif
#endif
