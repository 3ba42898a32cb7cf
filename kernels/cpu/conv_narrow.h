/* conv_narrow.h - the gradient of a convolution with respect to a picture of few channels. */
#ifndef CPU_CONV_NARROW_H
#define CPU_CONV_NARROW_H

#include "engine/ops/conv2d.h"

/* Whether conv_narrow_run takes the shape: one group, 1 to 4 channels of x. */
bool conv_narrow_takes(const ConvShape *s);
/* Bytes of scratch, aligned to 64. */
size_t conv_narrow_workspace(const ConvShape *s);
/* dy (B,F,OH,OW) C16 with zeros beyond F, w (F,C,KH,KW), bias (C) or NULL -> dx (B,C,H,W) plain. */
void conv_narrow_run(const ConvShape *s, const float *dy, const float *w, const float *bias, float *dx,
                     void *workspace);

#endif
