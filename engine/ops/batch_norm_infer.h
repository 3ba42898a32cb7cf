/* batch_norm_infer.h - what the definitions of batch_norm and batch_norm_leaky_relu share. */
#ifndef OPS_BATCH_NORM_INFER_H
#define OPS_BATCH_NORM_INFER_H

#include "engine/op.h"
#include "engine/ops/batch_norm.h"
#include "engine/ops/infer.h"

/* Rows of attribute tables; path leads from the struct `type` to the BatchNormAttrs or BatchNormGradAttrs in it:
 * empty, or "norm.". */
#define BATCH_NORM_OP_ATTRS(type, path)                                                                        \
    {"eps", ATTR_REAL, offsetof(type, path eps), "1e-5", "added to the variance"},                             \
    {"momentum", ATTR_REAL, offsetof(type, path momentum), "0.1", "weight of the batch in running statistics"}, \
    {"groups", ATTR_INT, offsetof(type, path groups), "1", "parts of the batch with their own statistics"},    \
    {"training", ATTR_BOOL, offsetof(type, path training), "true", "batch statistics, not the running ones"},  \
    {"update", ATTR_BOOL, offsetof(type, path update), "true", "move the running statistics in training"}
#define BATCH_NORM_GRAD_OP_ATTRS(type, path)                                                                   \
    {"groups", ATTR_INT, offsetof(type, path groups), "1", "parts of the batch with their own statistics"},    \
    {"training", ATTR_BOOL, offsetof(type, path training), "true", "through the statistics of the batch"}

/* Operands x, gamma, beta, running_mean, running_var. */
void batch_norm_infer(OpShapes *s, const BatchNormAttrs *a);
/* Operands x, gamma, (beta,) mean, rstd, dy; mean: the index of that operand. */
void batch_norm_grad_infer(OpShapes *s, const BatchNormGradAttrs *a, int mean);
double batch_norm_flop(const OpShapes *s);
double batch_norm_bytes(const OpShapes *s);
double batch_norm_grad_flop(const OpShapes *s);
double batch_norm_grad_bytes(const OpShapes *s);
/* Operand i of a gradient rule, NONE if it was left out. */
static inline Val batch_norm_operand(const OpVjp *g, int i)
{
    return i < g->nin ? g->in[i] : NONE;
}
/* True when y has a cotangent; a cotangent for another result is recorded as a mistake. */
bool batch_norm_only_y(OpVjp *g);
/* dx, dgamma and dbeta go to the operands x, gamma and beta. */
void batch_norm_give(OpVjp *g, BatchNormGrad d);
/* What the builders put in the place of 0. */
BatchNormAttrs batch_norm_defaults(BatchNormAttrs a);

#endif
