/* leaky_relu.c - y = max(x, 0) + slope min(x, 0); the gradient at 0 is slope, as in PyTorch.
 * Source: Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013. */
#include "engine/ops/leaky_relu.h"

#include "engine/op.h"
#include "engine/ops/infer.h"

static const OpAttr attrs[] = {
    {"slope", ATTR_REAL, offsetof(LeakyReluAttrs, slope), "0.01", "factor for negative x"},
    ATTRS_END,
};

static void vjp(OpVjp *g)
{
    const LeakyReluAttrs *a = g->attrs;
    g->din[0] = op_leaky_relu_grad(g->in[0], g->dout[0], a->slope);
}

/* Linear in dy, and its own transpose; piecewise constant in x. */
static void grad_vjp(OpVjp *g)
{
    const LeakyReluAttrs *a = g->attrs;
    g->din[1] = op_leaky_relu_grad(g->in[0], g->dout[0], a->slope);
}

static Val relu_expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin, (void)attrs;
    return op_leaky_relu(in[0], 0);
}

static const OpCase cases[] = {
    {"2x3x4x5", "slope=0.2"}, {"7", "slope=0"}, {"2x17x3x3", "slope=0.2"}, {"1x1x1x1", "slope=0.01"}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"2x3x4x5 2x3x4x5", "slope=0.2"}, {"7 7", "slope=0"}, {"2x17x3x3 2x17x3x3", "slope=0.2"}, CASES_END,
};
static const OpCase shapes[] = {
    {"8x64x128x128", "slope=0.2"}, {"8x512x16x16", "slope=0.2"}, CASES_END,   /* Table 7 */
};
static const OpCase grad_shapes[] = {
    {"8x64x128x128 8x64x128x128", "slope=0.2"}, CASES_END,
};
static const OpCase relu_cases[] = {{"2x17x3x3", ""}, {"7", ""}, {"s", ""}, CASES_END};
static const OpCase relu_shapes[] = {{"8x64x128x128", ""}, CASES_END};

OP(leaky_relu) = {
    .name = "leaky_relu", .formula = "y = x if x > 0 else slope x", .operands = "x", .results = "y",
    .attr_size = sizeof(LeakyReluAttrs), .attrs = attrs, .infer = infer_same, .vjp = vjp,
    .cases = cases, .shapes = shapes,
};
OP(leaky_relu_grad) = {
    .name = "leaky_relu_grad", .formula = "dx = dy if x > 0 else slope dy", .operands = "x dy", .results = "dx",
    .attr_size = sizeof(LeakyReluAttrs), .attrs = attrs, .infer = infer_same, .vjp = grad_vjp,
    .cases = grad_cases, .shapes = grad_shapes,
};

OP(relu) = {
    .name = "relu", .formula = "y = x if x > 0 else 0", .operands = "x", .results = "y", .flags = OP_EXPAND,
    .expand = relu_expand, .cases = relu_cases, .shapes = relu_shapes,
};

Val op_leaky_relu(Val x, float slope)
{
    return op_build(&op_leaky_relu_def, &(LeakyReluAttrs){slope}, NULL, 1, x);
}

Val op_leaky_relu_grad(Val x, Val dy, float slope)
{
    return op_build(&op_leaky_relu_grad_def, &(LeakyReluAttrs){slope}, NULL, 2, x, dy);
}

Val op_relu(Val x)
{
    return op_build(&op_relu_def, NULL, NULL, 1, x);
}
