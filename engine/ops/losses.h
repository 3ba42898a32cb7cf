/* losses.h - losses put together from ordinary ops; the fused one of all scales is in reconstruction_loss.h. */
#ifndef OPS_LOSSES_H
#define OPS_LOSSES_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Mean over all elements of the binary cross-entropy of sigmoid(logit) with one target in [0, 1] for all:
 * -target log p - (1 - target) log(1 - p), as softplus(-logit) and softplus(logit), so that no logarithm is taken of
 * a rounded probability.  The paper's eq. 6 is target 1 for real faces plus target 0 for made ones. */
Val op_bce_with_logits(Val logit, float target);
/* reduction: "none" (elements), "mean" or "sum" (one number, rank 0). */
typedef struct LossAttrs {
    const char *reduction;
} LossAttrs;
/* (x - target)^2 and |x - target|, x and target of one shape; gradients to both. */
Val op_mse_loss(Val x, Val target, const char *reduction);
Val op_l1_loss(Val x, Val target, const char *reduction);
/* a, b: (B, ...) of one shape -> (B), |a - b|^2 of each sample: eq. 5 is half its mean. */
Val op_squared_distance(Val a, Val b);
/* mu, log_variance: (B, ...) -> (B), the Kullback-Leibler divergence of N(mu, exp(log_variance)) from N(0, 1), summed
 * over a sample: 1/2 sum (exp(log_variance) + mu^2 - 1 - log_variance), eq. 3. */
Val op_kl_normal(Val mu, Val log_variance);

#ifdef __cplusplus
}
#endif
#endif
