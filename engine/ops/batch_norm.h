/* batch_norm.h - batch normalisation over (B, C, H, W) or (B, C), with running statistics as values. */
#ifndef OPS_BATCH_NORM_H
#define OPS_BATCH_NORM_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BatchNormAttrs {
    float eps;        /* added to the variance; the builders turn 0 into 1e-5 */
    float momentum;   /* weight of the new batch in the running statistics; the builders turn 0 into 0.1 */
    int groups;       /* equal consecutive parts of the batch, each with its own statistics; 0 becomes 1 */
    bool training;    /* statistics of the batch; otherwise the running ones */
    bool update;      /* whether training moves the running statistics; otherwise new = old */
} BatchNormAttrs;

/* What a layer in training passes when it has nothing special to say. */
#define BATCH_NORM_TRAINING ((BatchNormAttrs){.training = true, .update = true})

typedef struct BatchNorm {
    Val y;                                   /* shape of x */
    Val mean, rstd;                          /* (groups*C): used in y, group by group; rstd = 1 / sqrt(var + eps) */
    Val new_running_mean, new_running_var;   /* (C) */
} BatchNorm;

/* x: (B, C, H, W) or (B, C), B a multiple of groups.  gamma, beta: (C) or NONE (1 and 0).  running_mean,
 * running_var: (C), both or neither (then 0 and 1, the values that they begin with).
 *   y = gamma (x - mean) rstd + beta
 *   new_running = (1 - momentum) running + momentum batch, for group 0, then for group 1, ...: what separate calls
 *   would give.  y uses the biased variance of the batch, the running variance takes the unbiased one (as PyTorch).
 * Training needs at least two values a channel and group.
 * Gradients reach x, gamma and beta, through the batch statistics in training.  The running statistics are constants
 * to differentiation, as in PyTorch; a cotangent for any result but y is a mistake of the program. */
BatchNorm op_batch_norm(Val x, Val gamma, Val beta, Val running_mean, Val running_var, BatchNormAttrs a);

typedef struct BatchNormGradAttrs {
    int groups;
    bool training;
} BatchNormGradAttrs;

typedef struct BatchNormGrad {
    Val dx;              /* shape of x */
    Val dgamma, dbeta;   /* (C), summed over groups */
} BatchNormGrad;

/* x, gamma: the operands of batch_norm; mean, rstd: its results; dy: shape of x. */
BatchNormGrad op_batch_norm_grad(Val x, Val gamma, Val mean, Val rstd, Val dy, BatchNormGradAttrs a);

#ifdef __cplusplus
}
#endif
#endif
