/* view.h - reshapes that say which axes they mean.  Any dtype; nothing is copied. */
#ifndef OPS_VIEW_H
#define OPS_VIEW_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ViewAttrs {
    AttrInts dim;             /* squeeze, unsqueeze */
    int start_dim, end_dim;   /* flatten */
} ViewAttrs;

/* (B, ...) -> (B, rest). */
Val op_flatten(Val x);
/* Axes start_dim to end_dim become one; negative ones count from the end. */
Val op_flatten_dims(Val x, int start_dim, int end_dim);
/* Without the axes in dim, where they have size 1 (others stay, as in PyTorch); an empty list means all of size 1. */
Val op_squeeze(Val x, AttrInts dim);
/* With axes of size 1 that have the numbers in dim in the result; negative ones count from its end. */
Val op_unsqueeze(Val x, AttrInts dim);

#ifdef __cplusplus
}
#endif
#endif
