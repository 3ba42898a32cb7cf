/* binary.h - sum, difference, product and quotient with NumPy broadcasting. */
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

#ifdef __cplusplus
}
#endif
#endif
