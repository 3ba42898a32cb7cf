/* sgd.h - one step of stochastic gradient descent over any number of tensors in one op. */
#ifndef OPS_SGD_H
#define OPS_SGD_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct SgdAttrs {
    int n;                          /* number of parameters */
    float momentum, weight_decay;   /* 0: none */
    bool nesterov;                  /* only with momentum */
} SgdAttrs;

/* For each parameter p with gradient g and velocity m (all of one shape), as PyTorch's SGD without dampening:
 *     g' = g + weight_decay p      m' = momentum m + g'      p' = p - rate (nesterov ? g' + momentum m' : m')
 * Without momentum there are no velocities, m is empty, and p' = p - rate g'.
 * rate: F32 (1).  a.n is set from the lists, which are equally long.
 * Returns all p', then all m'; the list belongs to the program and is empty after a mistake.
 * Sutskever, Martens, Dahl, Hinton: "On the importance of initialization and momentum in deep learning", 2013. */
Vals op_sgd(Val rate, Vals params, Vals grads, Vals m, SgdAttrs a);

/* For kernels: lists among the operands, and operand that holds the old value of result j. */
static inline int sgd_lists(const SgdAttrs *a)
{
    return a->momentum > 0 ? 3 : 2;
}
static inline int sgd_operand(int n, int j)
{
    return j < n ? 1 + j : 1 + n + j;
}

#ifdef __cplusplus
}
#endif
#endif
