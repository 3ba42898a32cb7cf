/* binary.h - arithmetic and comparison of two operands with NumPy broadcasting. */
#ifndef OPS_BINARY_H
#define OPS_BINARY_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* a and b are real; shapes are aligned at the last axis, and an axis of size 1 is repeated: (B, C, H, W) with
 * (1, C, 1, 1), (C, 1, 1) or (). */
Val op_add(Val a, Val b);
Val op_sub(Val a, Val b);
Val op_mul(Val a, Val b);
Val op_div(Val a, Val b);
/* NaN where either is.  Where a = b each gets half of the gradient, as in PyTorch. */
Val op_maximum(Val a, Val b);
Val op_minimum(Val a, Val b);
/* 1 where a > b, 1/2 where a = b, 0 where a < b: the share of a in the gradient of maximum.  1 if either is NaN. */
Val op_step(Val a, Val b);

#ifdef __cplusplus
}
#endif
#endif
