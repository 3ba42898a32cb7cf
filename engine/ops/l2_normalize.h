/* l2_normalize.h - vectors of length 1. */
#ifndef OPS_L2_NORMALIZE_H
#define OPS_L2_NORMALIZE_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct L2NormalizeAttrs {
    float eps;
} L2NormalizeAttrs;

/* x: (..., D) -> y = x / max(|x|, 1e-12), |x| the Euclidean norm over the last axis (PyTorch's normalize): a zero
 * vector stays zero. */
Val op_l2_normalize(Val x);
/* dx = (dy - y (y . dy)) / |x| where |x| > eps, dy / eps elsewhere; x and dy of one shape. */
Val op_l2_normalize_grad(Val x, Val dy, float eps);

#ifdef __cplusplus
}
#endif
#endif
