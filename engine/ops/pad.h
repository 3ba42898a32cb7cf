/* pad.h - more pixels around the last axes. */
#ifndef OPS_PAD_H
#define OPS_PAD_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PadAttrs {
    AttrInts pad;        /* before, after the last axis, then of the one before it, ...: left, right, top, bottom */
    const char *mode;    /* "constant" or "reflect"; NULL: "constant" */
    float value;         /* of what "constant" adds */
} PadAttrs;

/* x with pad[0] elements before and pad[1] behind its last axis, pad[2] and pad[3] of the axis before that, and so on
 * for up to three axes, in the order of PyTorch's functional.pad.
 *   "constant"   new elements are `value`; negative amounts cut elements off
 *   "reflect"    new elements mirror x at its first and last one, which are not repeated; amounts are 0 or more and
 *                less than the axis is long */
Val op_pad(Val x, PadAttrs a);
/* dy, of the shape that op_pad with "reflect" makes, to dx: each element of x gathers the gradients of its images. */
Val op_pad_grad(Val dy, AttrInts pad);

#ifdef __cplusplus
}
#endif
#endif
