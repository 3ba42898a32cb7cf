/* adam.h - one step of Adam over any number of tensors in one op. */
#ifndef OPS_ADAM_H
#define OPS_ADAM_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct AdamAttrs {
    int n;                        /* number of parameters */
    float beta1, beta2, epsilon;
} AdamAttrs;

/* For each parameter p with gradient g and moments m, v (all of one shape), s = t + 1:
 *     m' = beta1 m + (1 - beta1) g            v' = beta2 v + (1 - beta2) g^2
 *     p' = p - rate (m' / (1 - beta1^s)) / (sqrt(v' / (1 - beta2^s)) + epsilon)
 * Kingma, Ba: "Adam: a method for stochastic optimization", 2015, algorithm 1, with epsilon where PyTorch has it.
 * rate: F32 (1).  t: I32 (1), finished steps.  a.n is set from the lists, which are equally long.
 * Returns t', then all p', all m', all v'; the list belongs to the program and is empty after a mistake. */
Vals op_adam(Val rate, Val t, Vals params, Vals grads, Vals m, Vals v, AdamAttrs a);

/* For kernels: operand that holds the old value of result j. */
static inline int adam_operand(int n, int j)
{
    return j == 0 ? 1 : j <= n ? j + 1 : j + n + 1;
}

#ifdef __cplusplus
}
#endif
#endif
