/* conv2d_relu.h - convolution, bias, a value added and ReLU as one op, and a convolution's weights with the batch norm
 * behind it multiplied in: what a plan makes of both in evaluation, on devices whose kernels say that it pays. */
#ifndef OPS_CONV2D_RELU_H
#define OPS_CONV2D_RELU_H

#include "engine/ops/conv2d.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x, w, b and attributes as of op_conv2d; added: of the result's shape, or NONE.  y = max(0, conv2d(x, w) + b + added);
 * what is no number stays so.  Has no gradient. */
Val op_conv2d_relu(Val x, Val w, Val b, Val added, Conv2dAttrs a);

typedef struct BatchNormFoldAttrs {
    float eps;    /* of the batch norm; the builder turns 0 into 1e-5 */
} BatchNormFoldAttrs;
typedef struct BatchNormFold {
    Val w, b;     /* shape of w; (F) */
} BatchNormFold;
/* w (F, C, KH, KW), gamma (F) or NONE (1), beta (F) or NONE (0), running mean and var (F), b (F) or NONE (0):
 *   s = gamma / sqrt(var + eps);   folded w(f) = s(f) w(f);   folded b = beta + s (b - mean)
 * so that conv2d with these is conv2d and then batch norm in evaluation.  Has no gradient. */
BatchNormFold op_batch_norm_fold(Val w, Val gamma, Val beta, Val mean, Val var, Val b, BatchNormFoldAttrs a);

#ifdef __cplusplus
}
#endif
#endif
