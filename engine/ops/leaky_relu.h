/* leaky_relu.h - y = x for x > 0, slope x otherwise. */
#ifndef OPS_LEAKY_RELU_H
#define OPS_LEAKY_RELU_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct LeakyReluAttrs {
    float slope;
} LeakyReluAttrs;

/* x of any shape; slope 0 is ReLU. */
Val op_leaky_relu(Val x, float slope);
/* leaky_relu with slope 0. */
Val op_relu(Val x);
/* dx = dy where x > 0, slope dy otherwise; x and dy of one shape. */
Val op_leaky_relu_grad(Val x, Val dy, float slope);

#ifdef __cplusplus
}
#endif
#endif
