/* conv2d_infer.h - what the definitions of conv2d and conv2d_relu share. */
#ifndef OPS_CONV2D_INFER_H
#define OPS_CONV2D_INFER_H

#include "engine/op.h"
#include "engine/ops/conv2d.h"

/* The table of conv2d's attributes. */
extern const OpAttr conv2d_op_attrs[];
/* One form for all spellings of the same convolution. */
Conv2dAttrs conv2d_attrs(Conv2dAttrs a);
/* Operands x, w and b; others are left to the caller. */
void conv2d_infer(OpShapes *s);
double conv2d_flop(const OpShapes *s);

#endif
