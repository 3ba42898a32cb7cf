/* softmax_cross_entropy.c - y = log sum_j exp(x_j) - x_label, with the largest logit taken out before exp. */
#include "engine/ops/softmax_cross_entropy.h"

#include "engine/op.h"
#include "engine/ops/infer.h"

static bool logits(OpShapes *s)
{
    if (!infer_operand(s, 0, F32, 2) || !infer_operand(s, 1, I32, 1))
        return false;
    if (s->in[0].dim[1] < 1)
        op_mistake(s, "there are no classes");
    else if (s->in[1].dim[0] != s->in[0].dim[0])
        op_mistake(s, "%ld labels for %ld samples", (long)s->in[1].dim[0], (long)s->in[0].dim[0]);
    else
        return true;
    return false;
}

static void infer(OpShapes *s)
{
    if (logits(s))
        s->out[0] = SHAPE(s->in[0].dim[0]);
}

static void grad_infer(OpShapes *s)
{
    if (!logits(s) || !infer_operand(s, 2, F32, 1))
        return;
    if (s->in[2].dim[0] != s->in[0].dim[0])
        op_mistake(s, "%ld cotangents for %ld samples", (long)s->in[2].dim[0], (long)s->in[0].dim[0]);
    s->out[0] = s->in[0];
}

static void vjp(OpVjp *g)
{
    g->din[0] = op_softmax_cross_entropy_grad(g->in[0], g->in[1], g->dout[0]);
}

/* A difference, an exponential (counted as one) and a sum; the gradient scales besides. */
static double flop(const OpShapes *s)
{
    return 3.0 * (double)shape_count(s->in[0]);
}
static double grad_flop(const OpShapes *s)
{
    return 4.0 * (double)shape_count(s->in[0]);
}

static const OpCase cases[] = {
    {"5x7 5:i32<7", ""}, {"3x1 3:i32<1", ""}, {"4x130 4:i32<130", ""}, {"1x1000 1:i32<1000", ""}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"5x7 5:i32<7 5", ""}, {"3x1 3:i32<1 3", ""}, {"4x130 4:i32<130 4", ""}, CASES_END,
};
/* The recogniser's classes: the identities of the training set, and of the largest generated set. */
static const OpCase shapes[] = {
    {"128x482 128:i32<482", ""}, {"128x18143 128:i32<18143", ""}, CASES_END,
};
static const OpCase grad_shapes[] = {
    {"128x482 128:i32<482 128", ""}, {"128x18143 128:i32<18143 128", ""}, CASES_END,
};

OP(softmax_cross_entropy) = {
    .name = "softmax_cross_entropy", .formula = "y = log(sum_j exp(x_j)) - x_label", .operands = "x labels",
    .results = "y", .infer = infer, .vjp = vjp, .flop = flop, .cases = cases, .shapes = shapes,
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(softmax_cross_entropy_grad) = {
    .name = "softmax_cross_entropy_grad", .formula = "dx = dy (softmax(x) - onehot(label))",
    .operands = "x labels dy", .results = "dx", .flags = OP_NO_GRAD, .infer = grad_infer, .flop = grad_flop,
    .cases = grad_cases, .shapes = grad_shapes,
};

Val op_softmax_cross_entropy(Val x, Val labels)
{
    return op_build(&op_softmax_cross_entropy_def, NULL, NULL, 2, x, labels);
}

Val op_softmax_cross_entropy_grad(Val x, Val labels, Val dy)
{
    return op_build(&op_softmax_cross_entropy_grad_def, NULL, NULL, 3, x, labels, dy);
}
