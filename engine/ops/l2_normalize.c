/* l2_normalize.c - y = x / max(|x|, eps) over the last axis. */
#include "engine/ops/l2_normalize.h"

#include "engine/op.h"
#include "engine/ops/infer.h"

static const OpAttr attrs[] = {
    {"eps", ATTR_REAL, offsetof(L2NormalizeAttrs, eps), "1e-12", "smallest norm that is divided by"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const L2NormalizeAttrs *a = s->attrs;
    if (s->nin > 0 && s->in[0].rank == 0)
        op_mistake(s, "operand x is one number; it needs an axis to take the norm of");
    else if (!(a->eps > 0))
        op_mistake(s, "eps=%g must be above 0", (double)a->eps);
    else
        infer_same(s);
}

static void vjp(OpVjp *g)
{
    const L2NormalizeAttrs *a = g->attrs;
    g->din[0] = op_l2_normalize_grad(g->in[0], g->dout[0], a->eps);
}

/* A product and a sum for the norm, a product for y. */
static double flop(const OpShapes *s)
{
    return 3.0 * (double)shape_count(s->in[0]);
}
/* Two products and sums, two products and a difference. */
static double grad_flop(const OpShapes *s)
{
    return 7.0 * (double)shape_count(s->in[0]);
}

static const OpCase cases[] = {
    {"5x7", ""}, {"3x2", ""}, {"17", ""}, {"2x3x4x33", ""}, {"2x512", "eps=0.1"}, {"4x6", "eps=100"}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"5x7 5x7", ""}, {"17 17", ""}, {"2x3x4x33 2x3x4x33", ""}, {"4x6 4x6", "eps=100"}, CASES_END,
};
static const OpCase shapes[] = {
    {"128x512", ""}, {"482x512", ""}, {"18143x512", ""}, CASES_END,
};
static const OpCase grad_shapes[] = {
    {"128x512 128x512", ""}, {"18143x512 18143x512", ""}, CASES_END,
};

OP(l2_normalize) = {
    .name = "l2_normalize", .formula = "y = x / max(|x|, eps)", .operands = "x", .results = "y",
    .attr_size = sizeof(L2NormalizeAttrs), .attrs = attrs, .infer = infer, .vjp = vjp, .flop = flop,
    .cases = cases, .shapes = shapes,
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(l2_normalize_grad) = {
    .name = "l2_normalize_grad", .formula = "dx = (dy - y (y . dy)) / |x| if |x| > eps else dy / eps",
    .operands = "x dy", .results = "dx", .attr_size = sizeof(L2NormalizeAttrs), .attrs = attrs,
    .flags = OP_NO_GRAD, .infer = infer, .flop = grad_flop, .cases = grad_cases, .shapes = grad_shapes,
};

Val op_l2_normalize(Val x)
{
    return op_build(&op_l2_normalize_def, &(L2NormalizeAttrs){1e-12f}, NULL, 1, x);
}

Val op_l2_normalize_grad(Val x, Val dy, float eps)
{
    return op_build(&op_l2_normalize_grad_def, &(L2NormalizeAttrs){eps}, NULL, 2, x, dy);
}
