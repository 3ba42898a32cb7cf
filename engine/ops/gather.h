/* gather.h - elements and slices of x chosen by numbers that the program computes or is given. */
#ifndef OPS_GATHER_H
#define OPS_GATHER_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct GatherAttrs {
    int dim;           /* the axis of x that is looked up; negative: from the end */
    AttrInts shape;    /* gradients: of x */
} GatherAttrs;

/* An index i counts from the end where it is negative, so that -n <= i < n along an axis of n elements.  One that is
 * out of range gives NaN: the mistake shows, and nothing outside x is read; its gradient goes nowhere. */

/* x F32, index I32 of the same rank, along other axes than dim at most as long as x -> y of index's shape,
 * y[i][j][k] = x[index[i][j][k]][j][k] for dim = 0, and alike for others: PyTorch's gather. */
Val op_gather(Val x, Val index, int dim);
/* x F32, index I32 (n) -> x with n slices in place of those along dim, y[:, i] = x[:, index[i]] for dim = 1: PyTorch's
 * index_select, ONNX's Gather of a list. */
Val op_index_select(Val x, Val index, int dim);

/* x U8 of rank 1 or more, index I32 (n) -> U8 with n slices of x along its first axis: pictures of a set that lies on
 * the device.  A slice whose index is out of range is zeros. */
Val op_take_bytes(Val x, Val index);

/* dy, of index's shape, to dx of the given shape: dx sums dy over the places that took each element, in the order of
 * the axis. */
Val op_gather_grad(Val index, Val dy, int dim, Shape x);
Val op_index_select_grad(Val index, Val dy, int dim, Shape x);

#ifdef __cplusplus
}
#endif
#endif
