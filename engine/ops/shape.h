/* shape.h - values in other shapes and orders, joined and cut, of any dtype. */
#ifndef OPS_SHAPE_H
#define OPS_SHAPE_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ShapeAttrs {      /* reshape, broadcast_to */
    AttrInts shape;
} ShapeAttrs;

typedef struct TransposeAttrs {
    AttrInts permutation;
} TransposeAttrs;

typedef struct ConcatAttrs {
    int axis;
} ConcatAttrs;

typedef struct SliceAttrs {
    int axis, start, stop, step;
} SliceAttrs;

/* The same elements with start and stop counted from the front of an axis of this size, for whoever reads them. */
SliceAttrs slice_from_front(const SliceAttrs *a, int64_t size);

typedef struct PadSliceAttrs {
    int axis, start, size, step;
} PadSliceAttrs;

/* The same elements in C order under another shape; one dimension may be -1 and is computed.  Costs nothing. */
Val op_reshape(Val x, Shape shape);
/* Repeats axes of size 1, and x as a whole along new axes in front (NumPy's rule). */
Val op_broadcast_to(Val x, Shape shape);
/* Axis i of y is axis permutation[i] of x. */
Val op_transpose(Val x, AttrInts permutation);
/* Joins values that are alike but for the size of one axis (negative: from the end). */
Val op_concat(Vals xs, int axis);
/* Elements start .. stop - 1 along an axis; negative axis, start and stop count from the end. */
Val op_slice(Val x, int axis, int64_t start, int64_t stop);
/* Every step-th of them, from `start` on; step is 1 or more. */
Val op_slice_step(Val x, int axis, int64_t start, int64_t stop, int64_t step);
/* The transpose of slicing: x at start, start + 1 (or start + step), ... of an axis of length `size` in zeros. */
Val op_pad_slice(Val x, int axis, int64_t start, int64_t size);
Val op_pad_slice_step(Val x, int axis, int64_t start, int64_t size, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
