/* conv_weights.h - the gradient of a convolution's weights from maps of few pixels, both in C16. */
#ifndef CPU_CONV_WEIGHTS_H
#define CPU_CONV_WEIGHTS_H

#include "engine/ops/conv2d.h"

/* Whether conv_weights_run takes the shape: one group, at most CONV_WEIGHTS_PIXELS pixels of y a picture. */
bool conv_weights_takes(const ConvShape *s);
enum { CONV_WEIGHTS_PIXELS = 256 };

/* Bytes of scratch, aligned to 64. */
size_t conv_weights_workspace(const ConvShape *s, int threads);
/* x (B,C,H,W) and dy (B,F,OH,OW), both C16 with zeros beyond the channels -> dw (F,C,KH,KW) plain.  The sum over
 * pixels runs in one order whatever the number of threads. */
void conv_weights_run(const ConvShape *s, const float *x, const float *dy, float *dw, int threads, void *workspace);

#endif
