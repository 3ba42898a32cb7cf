/* resize.h - nearest, area and bilinear resizing of (B, C, H, W), and their gradients.
 *
 * All of them are linear; the gradient of each is its transpose, an op of its own, and the gradient of that is the
 * forward op.  Sides are 1 to 16384, channels 1 to 65536. */
#ifndef OPS_RESIZE_H
#define OPS_RESIZE_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* height, width: of the result; in gradients too, where the result has the forward op's input size. */
typedef struct ResizeAttrs {
    int height, width;
    bool align_corners;   /* bilinear only */
} ResizeAttrs;

/* y[oy][ox] = x[floor(oy H / OH)][floor(ox W / OW)]: x (B, C, H, W) to (B, C, height, width). */
Val op_resize_nearest(Val x, int height, int width);
/* y = mean of x over rows floor(oy H / OH) .. ceil((oy + 1) H / OH) - 1, and columns alike: PyTorch's adaptive
 * average pooling. */
Val op_resize_area(Val x, int height, int width);
/* y = x between the four nearest centres, without antialiasing.  align_corners: the centres of the corner pixels
 * fall on one another; otherwise the edges of the pictures do. */
Val op_resize_bilinear(Val x, int height, int width, bool align_corners);

/* dy (B, C, OH, OW) to dx (B, C, height, width): dx sums dy over the pixels made of x, with their weights. */
Val op_resize_nearest_grad(Val dy, int height, int width);
Val op_resize_area_grad(Val dy, int height, int width);
Val op_resize_bilinear_grad(Val dy, int height, int width, bool align_corners);

#ifdef __cplusplus
}
#endif
#endif
