/* infer.h - shape rules that several ops share.  Each checks dtypes and shapes and records a mistake by name. */
#ifndef OPS_INFER_H
#define OPS_INFER_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All operands are F32 of one shape, and so is every result. */
void infer_same(OpShapes *s);
/* NumPy broadcasting of F32 operands 0 and 1. */
void infer_broadcast(OpShapes *s);
/* True if operand i is there and has this dtype and rank (rank -1: any); records a mistake otherwise. */
bool infer_operand(OpShapes *s, int i, Dtype dtype, int rank);
/* Name of operand i for messages: "x", or "in[3]" beyond the named ones.  Lives until the next call. */
const char *infer_name(const OpShapes *s, int i);

#ifdef __cplusplus
}
#endif
#endif
