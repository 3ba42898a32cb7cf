/* upsample_conv.h - nearest upsampling to twice the size and a 3x3 convolution behind it, as four 2x2 convolutions of
 * the small map.
 *
 * Of the nine taps over the large map, those that fall on one small pixel are added up before: which ones depends on
 * whether the output's row and column are even or odd, so there are four kernels (a, b) of 2x2 taps:
 *     y[2i+a][2j+b] = sum over u, v of w'_ab[u][v] x[i+a+u-1][j+b+v-1]
 * 16 multiplications for every four outputs instead of 36.  All four are one convolution of 4F filters with padding 1,
 * whose result z is one pixel larger than x each way; interleaving picks z_ab[i+a][j+b].
 * A plan puts this in the place of resize_nearest and conv2d, and of their gradients, where the device's kernel of
 * upsample_interleave says that it is faster. */
#ifndef OPS_UPSAMPLE_CONV_H
#define OPS_UPSAMPLE_CONV_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x (B,C,H,W), w (F,C,3,3), b (F) or NONE -> (B,F,2H,2W): op_conv2d(op_resize_nearest(x, 2H, 2W), w, b, padding 1). */
Val op_upsample_conv2d(Val x, Val w, Val b);

/* w (F,C,3,3) -> (4F,C,2,2): filter (2a+b) F + f is w'_ab of filter f.  The gradient is its transpose, of shape
 * (F,C,3,3). */
Val op_upsample_weights(Val w);
Val op_upsample_weights_grad(Val dy);
/* z (B,4F,H+1,W+1), b (F) or NONE -> (B,F,2H,2W): y[f][2i+a][2j+b] = z[(2a+b) F + f][i+a][j+b] + b[f].  The gradient
 * of z is its transpose; what is not read becomes 0. */
Val op_upsample_interleave(Val z, Val b);
Val op_upsample_interleave_grad(Val dy);

/* For kernels: which of the two rows (columns) of w'_a takes row (column) `tap` of w. */
#ifdef __CUDACC__
__host__ __device__
#endif
static inline int upsample_tap(int a, int tap)
{
    return (tap + 1 - a) / 2;
}

#ifdef __cplusplus
}
#endif
#endif
