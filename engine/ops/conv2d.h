/* conv2d.h - convolution, transposed convolution and the gradient with respect to the weights: three ops, closed
 * under differentiation.  All three multiply the same triples (x, w, y) of one convolution and differ in which of
 * the three they sum for. */
#ifndef OPS_CONV2D_H
#define OPS_CONV2D_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeros are sensible: fields that must be positive become 1.  Strides and dilations are square; paddings add up:
 * a 1x7 kernel that keeps the size has .padding_w = 3. */
typedef struct Conv2dAttrs {
    int stride, dilation, groups;
    int padding, padding_h, padding_w;                        /* zeros: on every side; more above and below; beside */
    int output_padding, output_padding_h, output_padding_w;   /* conv_transpose2d: rows, columns at the far end */
    int kernel_h, kernel_w;                                   /* conv2d_weight_grad */
} Conv2dAttrs;

/* x (B,C,H,W), w (F,C/groups,KH,KW), b (F) or NONE -> (B,F,OH,OW), OH = (H + 2 padding - dilation (KH-1) - 1) /
 * stride + 1, rounded down.  A correlation, as in PyTorch: y(o) = b + sum over k of w(k) x(stride o - padding +
 * dilation k). */
Val op_conv2d(Val x, Val w, Val b, Conv2dAttrs a);
/* x (B,C,H,W), w (C,F/groups,KH,KW), b (F) or NONE -> (B,F,OH,OW), OH = (H-1) stride - 2 padding + dilation (KH-1) +
 * output_padding + 1.  The transpose of conv2d with the same w; output_padding must be less than stride. */
Val op_conv_transpose2d(Val x, Val w, Val b, Conv2dAttrs a);
/* x (B,C,H,W), dy (B,F,OH,OW) -> (F,C/groups,kernel_h,kernel_w): the gradient of conv2d with respect to w. */
Val op_conv2d_weight_grad(Val x, Val dy, Conv2dAttrs a);

/* The convolution behind any of the three ops: x side (batch, channels, height, width), y side (batch, filters,
 * out_height, out_width), weights (filters, channels / groups, kernel_h, kernel_w). */
typedef struct ConvShape {
    int64_t batch, channels, height, width, filters, out_height, out_width, kernel_h, kernel_w;
    int64_t stride, dilation, groups, padding_h, padding_w;
} ConvShape;
/* x, w, y: of the convolution; for conv_transpose2d, x is its result and y its operand. */
ConvShape conv2d_shape(const Conv2dAttrs *a, Shape x, Shape w, Shape y);

#ifdef __cplusplus
}
#endif
#endif
