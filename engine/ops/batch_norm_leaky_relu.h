/* batch_norm_leaky_relu.h - leaky ReLU of a batch normalisation without the value between them, and of the sum of one
 * and a residual.
 *
 * Nobody needs to call these: plans put them in the place of leaky_relu(batch_norm(x).y), of leaky_relu(
 * batch_norm(x).y + residual), and of their gradients.  The ops take the residual as an operand of x's shape, the
 * gradient then y, whose sign is the mask, and gives dresidual as well; these two builders are without. */
#ifndef OPS_BATCH_NORM_LEAKY_RELU_H
#define OPS_BATCH_NORM_LEAKY_RELU_H

#include "engine/ops/batch_norm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BatchNormLeakyReluAttrs {
    BatchNormAttrs norm;
    float slope;
} BatchNormLeakyReluAttrs;

/* As op_batch_norm, with y = z if z > 0 else slope z, z = gamma (x - mean) rstd + beta. */
BatchNorm op_batch_norm_leaky_relu(Val x, Val gamma, Val beta, Val running_mean, Val running_var,
                                   BatchNormLeakyReluAttrs a);

typedef struct BatchNormLeakyReluGradAttrs {
    BatchNormGradAttrs norm;
    float slope;
} BatchNormLeakyReluGradAttrs;

/* As op_batch_norm_grad with dz = dy where z > 0, slope dy elsewhere.  z is computed again from x, so nothing of
 * the shape of x is kept for the backward pass but x itself. */
BatchNormGrad op_batch_norm_leaky_relu_grad(Val x, Val gamma, Val beta, Val mean, Val rstd, Val dy,
                                            BatchNormLeakyReluGradAttrs a);

#ifdef __cplusplus
}
#endif
#endif
