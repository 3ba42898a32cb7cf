/* softmax.h - shares that sum to one along an axis, and their logarithms. */
#ifndef OPS_SOFTMAX_H
#define OPS_SOFTMAX_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SoftmaxAttrs {
    int dim;   /* the axis; negative ones count from the end */
} SoftmaxAttrs;

/* x of rank 1 or more -> y of the same shape.  The largest x is taken out before exp, so that nothing overflows. */
Val op_softmax(Val x, int dim);
/* x - log(sum_j exp(x_j)): exact where softmax itself rounds to 0. */
Val op_log_softmax(Val x, int dim);

#ifdef __cplusplus
}
#endif
#endif
