/* unary.h - functions of one real operand, element by element; leaky ReLU has a stem of its own. */
#ifndef OPS_UNARY_H
#define OPS_UNARY_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each: x of any shape, y of the same. */
Val op_exp(Val x);
Val op_log(Val x);           /* natural; -inf at 0, NaN below */
Val op_tanh(Val x);
Val op_sigmoid(Val x);       /* 1 / (1 + exp(-x)) */
Val op_softplus(Val x);      /* log(1 + exp(x)), spelled max(x, 0) + log1p(exp(-|x|)): exact in both tails */
Val op_square(Val x);
Val op_sqrt(Val x);          /* its gradient at 0 is infinite */
Val op_reciprocal(Val x);    /* 1 / x */
Val op_abs(Val x);           /* gradient 0 at 0, as in PyTorch */
Val op_neg(Val x);

typedef struct ClampAttrs {
    float min, max;   /* may be infinite */
} ClampAttrs;
typedef struct PowAttrs {
    float exponent;
} PowAttrs;
/* min(max(x, min), max), so max everywhere if min is above it.  The gradient is dy between the bounds and 0 beyond
 * them and at them, as in PyTorch 2.15 (earlier releases gave dy at them). */
Val op_clamp(Val x, ClampAttrs a);
/* x^exponent: 1 for exponent 0, NaN for negative x unless the exponent is whole. */
Val op_pow(Val x, float exponent);
Val op_relu6(Val x);         /* min(max(x, 0), 6) */

/* Gradients in one pass; y is the result of the op, all of one shape. */
Val op_tanh_grad(Val y, Val dy);       /* dy (1 - y^2) */
Val op_sigmoid_grad(Val y, Val dy);    /* dy y (1 - y) */
Val op_abs_grad(Val x, Val dy);        /* dy sign(x) */
Val op_clamp_grad(Val x, Val dy, ClampAttrs a);      /* dy where min < x < max, else 0 */
Val op_pow_grad(Val x, Val dy, float exponent);      /* dy exponent x^(exponent - 1), 0 for exponent 0 */

#ifdef __cplusplus
}
#endif
#endif
