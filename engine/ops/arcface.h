/* arcface.h - the additive angular margin, and the loss made of it.
 *
 * Deng, Guo, Xue, Zafeiriou: "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019, eq. 3.
 * theta is the angle between a sample's embedding and the centre of its own class. */
#ifndef OPS_ARCFACE_H
#define OPS_ARCFACE_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ArcfaceAttrs {
    float s;              /* scale; the builders turn 0 into 64 */
    float m;              /* margin in radians, in [0, pi); the paper's is 0.5 */
    bool easy_gradient;   /* the gradient of the true class without its factor sin(theta + m) / sin(theta) */
} ArcfaceAttrs;

/* cosine: (B, N); labels: I32 (B) in [0, N) -> logits (B, N), s times
 *   cos(theta + m)            for the class of the label while theta + m <= pi,
 *   cos(theta) - m sin(m)     for it beyond, where cos(theta + m) would grow again (insightface's straight line),
 *   cos(theta)                for all other classes.
 * The sine of theta is taken with the cosine held in [-1 + 1e-7, 1 - 1e-7]: forward it cannot become NaN by rounding,
 * backward the exact factor stays below 2236 m.  A label out of range gives its row no margin (the cross-entropy behind
 * it gives NaN).
 * The line has slope 1 and lies below: at theta + m = pi the logit jumps down from -1 to -cos(m) - m sin(m), times s,
 * and the gradient from 0 to 1, times s.  That is how insightface has it at commit 2e2e8c9.
 * Gradient: exact by default; with easy_gradient the one of insightface's later code, which changes the angles in
 * place without recording it, so that the true class gets s where the exact one gets s sin(theta + m) / sin(theta).
 * That code has lost the line; here it stays in both, and on it the two gradients are one. */
Val op_arcface_margin(Val cosine, Val labels, ArcfaceAttrs a);
/* dy: (B, N) -> dcosine. */
Val op_arcface_margin_grad(Val cosine, Val labels, Val dy, ArcfaceAttrs a);

/* x: embeddings (B, D); w: class centres (N, D); labels: I32 (B) -> (B), one loss a sample: x and w are normalised,
 * their products are the cosines, then margin and cross-entropy. */
Val op_arcface(Val x, Val w, Val labels, ArcfaceAttrs a);

#ifdef __cplusplus
}
#endif
#endif
