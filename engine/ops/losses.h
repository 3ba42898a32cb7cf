/* losses.h - losses put together from ordinary ops. */
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
/* Mean over all elements of (a - b)^2, a and b of one shape: eq. 4 a pixel. */
Val op_mse(Val a, Val b);
/* a, b: (B, ...) of one shape -> (B), |a - b|^2 of each sample: eq. 5 is half its mean. */
Val op_squared_distance(Val a, Val b);
/* mu, log_variance: (B, ...) -> (B), the Kullback-Leibler divergence of N(mu, exp(log_variance)) from N(0, 1), summed
 * over a sample: 1/2 sum (exp(log_variance) + mu^2 - 1 - log_variance), eq. 3. */
Val op_kl_normal(Val mu, Val log_variance);

#ifdef __cplusplus
}
#endif
#endif
