/* reconstruction_loss.h - pictures at several scales against one target: equation 4 in one op. */
#ifndef OPS_RECONSTRUCTION_LOSS_H
#define OPS_RECONSTRUCTION_LOSS_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RECONSTRUCTION_MOST = 16 };   /* pictures; the paper has 6 */

typedef struct ReconstructionLossAttrs {
    bool sum_pixels;   /* squares summed over a picture and averaged over the batch, instead of averaged over all */
} ReconstructionLossAttrs;

/* target: (B, C, H, W); made: N pictures (B, C, h_i, w_i), 1 to RECONSTRUCTION_MOST of them, each of any size.
 *     L = 1/(2N) sum_i mean (area(target, h_i, w_i) - made_i)^2         a number of rank 0
 * area is op_resize_area.  With sum_pixels: sums, over B, in place of the means.  Gradients to all pictures come from
 * one op; the target's, where it is asked for, is put together from them by op_resize_area_grad. */
Val op_reconstruction_loss(Val target, Vals made, ReconstructionLossAttrs a);
/* dy: a number -> d made_i for all i; the list belongs to the program and is empty after a mistake. */
Vals op_reconstruction_loss_grad(Val target, Val dy, Vals made, ReconstructionLossAttrs a);

/* For kernels: L is the sum of weight_i (area(target) - made_i)^2 over all elements. */
static inline double reconstruction_weight(const ReconstructionLossAttrs *a, Shape made, int n)
{
    return 0.5 / n / (double)(a->sum_pixels ? made.dim[0] : shape_count(made));
}

#ifdef __cplusplus
}
#endif
#endif
