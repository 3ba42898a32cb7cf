/* warp.h - pictures under an affine map of their own each. */
#ifndef OPS_WARP_H
#define OPS_WARP_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct WarpAttrs {
    int height, width;    /* of the result */
    const char *mode;     /* "nearest" or "bilinear" */
    float fill;           /* value of everything outside x */
} WarpAttrs;

/* x (B, C, H, W), m (B, 6) to y (B, C, height, width).
 *
 * Coordinates count pixels from centre to centre: the centre of pixel (row i, column j) is the point (j, i), columns
 * first.  Result pixel (oy, ox) takes the value of x at
 *     sx = m0 ox + m1 oy + m2,   sy = m3 ox + m4 oy + m5,
 * so that (1, 0, 0, 0, 1, 0) gives x back exactly.  "nearest": the pixel at floor(s + 1/2); "bilinear": between the
 * four pixels around s, without antialiasing.  Pixels outside x count as `fill`, also among the four; so does a
 * point that is not finite.
 * No gradient: x is an input picture. */
Val op_warp(Val x, Val m, int height, int width, const char *mode, float fill);

#ifdef __cplusplus
}
#endif
#endif
