/* prelu.h - leaky ReLU whose slopes are operands, one for all or one a channel. */
#ifndef OPS_PRELU_H
#define OPS_PRELU_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x of any shape; slope: one number, or C of them where x is (B, C, ...) -> y = x for x > 0, slope x otherwise. */
Val op_prelu(Val x, Val slope);
/* dy/dx: 1 where x > 0, the slope otherwise; operands as above. */
Val op_prelu_slope(Val x, Val slope);

/* For kernels: the shape (C, 1, ...) or () with which the slopes are broadcast to x. */
static inline Shape prelu_broadcast(Shape x, Shape slope)
{
    Shape s = {0};
    if (shape_count(slope) == 1)
        return s;
    s.rank = x.rank - 1;
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = i ? 1 : shape_count(slope);
    return s;
}

#ifdef __cplusplus
}
#endif
#endif
