/* conv_weights.h - the gradient of a convolution's weights from maps of few pixels, both in C16 or both in C16_BF16. */
#ifndef CPU_CONV_WEIGHTS_H
#define CPU_CONV_WEIGHTS_H

#include "engine/ops/conv2d.h"

/* Whether conv_weights_run takes the shape: one group, at most CONV_WEIGHTS_PIXELS pixels of y a picture,
 * at most CONV_WEIGHTS_TAPS taps. */
bool conv_weights_takes(const ConvShape *s);
enum { CONV_WEIGHTS_PIXELS = 256, CONV_WEIGHTS_TAPS = 25 };

/* Bytes of scratch, aligned to 64. */
size_t conv_weights_workspace(const ConvShape *s, int threads);
/* x (B,C,H,W) and dy (B,F,OH,OW), both C16 with zeros beyond the channels -> dw (F,C,KH,KW) plain.  The sum over
 * pixels runs in one order whatever the number of threads. */
void conv_weights_run(const ConvShape *s, const float *x, const float *dy, float *dw, int threads, void *workspace);

/* The same of operands in C16_BF16, on machines with AVX512_BF16 (elsewhere _takes says no).  Sums are of float. */
bool conv_weights_bf16_takes(const ConvShape *s);
size_t conv_weights_bf16_workspace(const ConvShape *s);
void conv_weights_bf16_run(const ConvShape *s, const uint16_t *x, const uint16_t *dy, float *dw, int threads,
                           void *workspace);

/* For both: the pixels of y that see x under one tap, and what they see, counted in pixels. */
typedef struct ConvSeen {
    int n;
    int32_t x[CONV_WEIGHTS_PIXELS], y[CONV_WEIGHTS_PIXELS];
} ConvSeen;
void conv_weights_seen(const ConvShape *s, int64_t tap, ConvSeen *seen);

#endif
