/* reduce.h - sums, means and extremes over axes. */
#ifndef OPS_REDUCE_H
#define OPS_REDUCE_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ReduceAttrs {
    AttrInts axes;      /* empty: all axes */
    bool keepdims;
} ReduceAttrs;

/* Sum of x over some axes (negative ones count from the end; an empty list means all).  With keepdims they stay
 * with size 1, else they go; over all axes the result has rank 0.  The order of summation is fixed. */
Val op_reduce_sum(Val x, AttrInts axes, bool keepdims);
Val op_reduce_mean(Val x, AttrInts axes, bool keepdims);
/* The largest or smallest element; NaN where there is one.  Every axis must hold something.  Equal extremes share the
 * gradient evenly, as in PyTorch's amax and amin. */
Val op_reduce_max(Val x, AttrInts axes, bool keepdims);
Val op_reduce_min(Val x, AttrInts axes, bool keepdims);
/* y = op_reduce_max(x), dy of its shape -> dx: dy, divided by their number, goes to the elements equal to y (the NaN
 * ones where y is NaN). */
Val op_reduce_max_grad(Val x, Val y, Val dy, AttrInts axes, bool keepdims);
Val op_sum(Val x);      /* over everything, rank 0 */
Val op_mean(Val x);
/* Sums x over the axes along which a value of shape `to` was repeated to x's shape: the transpose of broadcasting. */
Val op_reduce_to(Val x, Shape to);

/* For kernels: bit i is set if axis i goes. */
unsigned reduce_mask(const ReduceAttrs *a, int rank);

#ifdef __cplusplus
}
#endif
#endif
