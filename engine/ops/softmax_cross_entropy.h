/* softmax_cross_entropy.h - negative log-likelihood of one class under a softmax. */
#ifndef OPS_SOFTMAX_CROSS_ENTROPY_H
#define OPS_SOFTMAX_CROSS_ENTROPY_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x: logits (B, N); labels: I32 (B) in [0, N) -> (B), one loss a sample; op_mean of it is the usual loss.
 * A label out of range gives NaN for its sample: the mistake shows, and nothing outside x is read. */
Val op_softmax_cross_entropy(Val x, Val labels);
/* dy: (B) -> dx = dy (softmax(x) - onehot(labels)), NaN in the rows whose label is out of range. */
Val op_softmax_cross_entropy_grad(Val x, Val labels, Val dy);

#ifdef __cplusplus
}
#endif
#endif
