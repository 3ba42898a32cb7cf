/* arcface_cross_entropy.h - ArcFace's margin and softmax cross-entropy in one op over cosines: the logits never lie in
 * memory, and the probabilities only as the gradient that is made of them. */
#ifndef OPS_ARCFACE_CROSS_ENTROPY_H
#define OPS_ARCFACE_CROSS_ENTROPY_H

#include "engine/ops/arcface.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ArcfaceCrossEntropy {
    Val y;      /* (B), one loss a sample */
    Val rows;   /* (B, 2): the largest logit of a row and the sum of exp(logit - largest); takes no cotangent */
} ArcfaceCrossEntropy;

/* cosine: (B, N), N > 0; labels: I32 (B) in [0, N).  y = softmax_cross_entropy(arcface_margin(cosine, labels), labels):
 * op_arcface_margin says what the margin is, and a label out of range gives NaN for its sample.
 * A plan puts it in the place of the two ops, and its gradient in the place of theirs. */
ArcfaceCrossEntropy op_arcface_cross_entropy(Val cosine, Val labels, ArcfaceAttrs a);
/* dy: (B); rows as above -> dcosine (B, N). */
Val op_arcface_cross_entropy_grad(Val cosine, Val labels, Val rows, Val dy, ArcfaceAttrs a);

#ifdef __cplusplus
}
#endif
#endif
