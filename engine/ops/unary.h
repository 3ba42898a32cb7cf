/* unary.h - functions of one real operand, element by element. */
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

/* Gradients in one pass; y is the result of the op, all of one shape. */
Val op_tanh_grad(Val y, Val dy);       /* dy (1 - y^2) */
Val op_sigmoid_grad(Val y, Val dy);    /* dy y (1 - y) */
Val op_abs_grad(Val x, Val dy);        /* dy sign(x) */

#ifdef __cplusplus
}
#endif
#endif
