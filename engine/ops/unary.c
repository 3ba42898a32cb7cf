/* unary.c - one table of functions of one operand: shapes are the operand's, gradients use the result y where that
 * saves computing the function again. */
#include "engine/ops/unary.h"

#include <math.h>

#include "engine/op.h"
#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/infer.h"

static const OpAttr clamp_attrs[] = {
    {"min", ATTR_REAL, offsetof(ClampAttrs, min), "-inf", "least result"},
    {"max", ATTR_REAL, offsetof(ClampAttrs, max), "inf", "greatest result"},
    ATTRS_END,
};
static const OpAttr pow_attrs[] = {
    {"exponent", ATTR_REAL, offsetof(PowAttrs, exponent), "", "power that x is raised to"},
    ATTRS_END,
};

static void clamp_infer(OpShapes *s)
{
    const ClampAttrs *a = s->attrs;
    if (isnan(a->min) || isnan(a->max))
        op_mistake(s, "min and max must be numbers");
    infer_same(s);
}

static void pow_infer(OpShapes *s)
{
    if (!isfinite(((const PowAttrs *)s->attrs)->exponent))
        op_mistake(s, "exponent must be a finite number");
    infer_same(s);
}

static void exp_vjp(OpVjp *g)
{
    g->din[0] = op_mul(g->dout[0], g->out[0]);
}

static void log_vjp(OpVjp *g)
{
    g->din[0] = op_div(g->dout[0], g->in[0]);
}

static void tanh_vjp(OpVjp *g)
{
    g->din[0] = op_tanh_grad(g->out[0], g->dout[0]);
}

static void sigmoid_vjp(OpVjp *g)
{
    g->din[0] = op_sigmoid_grad(g->out[0], g->dout[0]);
}

static void softplus_vjp(OpVjp *g)
{
    g->din[0] = op_mul(g->dout[0], op_sigmoid(g->in[0]));
}

static void square_vjp(OpVjp *g)
{
    g->din[0] = op_mul(op_scale(g->dout[0], 2), g->in[0]);
}

static void sqrt_vjp(OpVjp *g)
{
    g->din[0] = op_div(op_scale(g->dout[0], 0.5f), g->out[0]);
}

static void reciprocal_vjp(OpVjp *g)
{
    g->din[0] = op_neg(op_mul(g->dout[0], op_square(g->out[0])));
}

static void abs_vjp(OpVjp *g)
{
    g->din[0] = op_abs_grad(g->in[0], g->dout[0]);
}

static void neg_vjp(OpVjp *g)
{
    g->din[0] = op_neg(g->dout[0]);
}

static void tanh_grad_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_scale(op_mul(op_mul(g->in[0], g->in[1]), g->dout[0]), -2);
    if (g->need[1])
        g->din[1] = op_tanh_grad(g->in[0], g->dout[0]);
}

static void sigmoid_grad_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_mul(op_mul(g->in[1], op_affine(g->in[0], -2, 1)), g->dout[0]);
    if (g->need[1])
        g->din[1] = op_sigmoid_grad(g->in[0], g->dout[0]);
}

/* Linear in dy, and its own transpose; piecewise constant in x. */
static void abs_grad_vjp(OpVjp *g)
{
    g->din[1] = op_abs_grad(g->in[0], g->dout[0]);
}

static void clamp_vjp(OpVjp *g)
{
    g->din[0] = op_clamp_grad(g->in[0], g->dout[0], *(const ClampAttrs *)g->attrs);
}

/* Linear in dy, and its own transpose; piecewise constant in x. */
static void clamp_grad_vjp(OpVjp *g)
{
    g->din[1] = op_clamp_grad(g->in[0], g->dout[0], *(const ClampAttrs *)g->attrs);
}

static void pow_vjp(OpVjp *g)
{
    g->din[0] = op_pow_grad(g->in[0], g->dout[0], ((const PowAttrs *)g->attrs)->exponent);
}

/* d(e x^(e-1)) / dx = e (e - 1) x^(e-2). */
static void pow_grad_vjp(OpVjp *g)
{
    float e = ((const PowAttrs *)g->attrs)->exponent;
    if (g->need[0])
        g->din[0] = op_scale(op_pow_grad(g->in[0], op_mul(g->in[1], g->dout[0]), e - 1), e);
    if (g->need[1])
        g->din[1] = op_pow_grad(g->in[0], g->dout[0], e);
}

static Val relu6_expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin, (void)attrs;
    return op_clamp(in[0], (ClampAttrs){0, 6});
}

static const OpCase cases[] = {
    {"2x3x4x5", ""}, {"7", ""}, {"s", ""}, {"2x17x3x3", ""}, {"1x1x1x1", ""}, CASES_END,
};
/* Away from 0, where the function or its gradient ends. */
static const OpCase positive_cases[] = {
    {"2x3x4x5:pos", ""}, {"7:pos", ""}, {"2x17x3x3:pos", ""}, {"1x1x1x1:pos", ""}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"2x3x4x5 2x3x4x5", ""}, {"7 7", ""}, {"2x17x3x3 2x17x3x3", ""}, CASES_END,
};
static const OpCase unit_grad_cases[] = {
    {"2x3x4x5:unit 2x3x4x5", ""}, {"7:unit 7", ""}, {"2x17x3x3:unit 2x17x3x3", ""}, CASES_END,
};
static const OpCase clamp_cases[] = {
    {"2x3x4x5", "min=-0.5 max=0.7"}, {"7", "min=0.1"}, {"s", "max=0.2"}, {"2x17x3x3", "min=0.25 max=1.5"},
    {"1x1x1x1", "min=0"}, {"2x17x3x3", "min=1 max=-1"}, {"2x18x3x1", ""}, CASES_END,
};
static const OpCase clamp_grad_cases[] = {
    {"2x3x4x5 2x3x4x5", "min=-0.5 max=0.7"}, {"7 7", "min=0.1"}, {"2x17x3x3 2x17x3x3", "min=0 max=6"},
    {"3x5 3x5", "min=1 max=-1"}, CASES_END,
};
/* Fractions of a power away from 0; whole ones everywhere. */
static const OpCase pow_cases[] = {
    {"2x3x4x5:pos", "exponent=2.5"}, {"7", "exponent=3"}, {"s:pos", "exponent=-0.5"}, {"2x17x3x3", "exponent=2"},
    {"2x17x3x3:pos", "exponent=-1"}, {"2x17x3x3", "exponent=0"}, {"1x1x1x1", "exponent=1"}, CASES_END,
};
static const OpCase pow_grad_cases[] = {
    {"2x3x4x5:pos 2x3x4x5", "exponent=2.5"}, {"7 7", "exponent=3"}, {"2x17x3x3:pos 2x17x3x3", "exponent=-1"},
    {"2x17x3x3 2x17x3x3", "exponent=0"}, {"2x17x3x3 2x17x3x3", "exponent=1"}, CASES_END,
};
static const OpCase shapes[] = {
    {"128x128", ""}, {"8x3x128x128", ""}, {"8x128x64x64", ""}, CASES_END,   /* log variances; G's output; Table 6 */
};
static const OpCase grad_shapes[] = {{"8x3x128x128 8x3x128x128", ""}, CASES_END};
static const OpCase clamp_shapes[] = {{"8x3x128x128", "min=-1 max=1"}, CASES_END};
static const OpCase clamp_grad_shapes[] = {{"8x3x128x128 8x3x128x128", "min=-1 max=1"}, CASES_END};
static const OpCase pow_shapes[] = {{"8x3x128x128", "exponent=3"}, CASES_END};
static const OpCase pow_grad_shapes[] = {{"8x3x128x128 8x3x128x128", "exponent=3"}, CASES_END};

#define UNARY(text, formula_, vjp_, cases_)                                                                    \
    {.name = text, .formula = formula_, .operands = "x", .results = "y", .infer = infer_same, .vjp = vjp_,     \
     .cases = cases_, .shapes = shapes}
OP(exp) = UNARY("exp", "y = exp(x)", exp_vjp, cases);
OP(log) = UNARY("log", "y = log(x)", log_vjp, positive_cases);
OP(tanh) = UNARY("tanh", "y = tanh(x)", tanh_vjp, cases);
OP(sigmoid) = UNARY("sigmoid", "y = 1 / (1 + exp(-x))", sigmoid_vjp, cases);
OP(softplus) = UNARY("softplus", "y = max(x, 0) + log1p(exp(-|x|))", softplus_vjp, cases);
OP(square) = UNARY("square", "y = x^2", square_vjp, cases);
OP(sqrt) = UNARY("sqrt", "y = sqrt(x)", sqrt_vjp, positive_cases);
OP(reciprocal) = UNARY("reciprocal", "y = 1 / x", reciprocal_vjp, positive_cases);
OP(abs) = UNARY("abs", "y = |x|", abs_vjp, cases);
OP(neg) = UNARY("neg", "y = -x", neg_vjp, cases);

OP(clamp) = {
    .name = "clamp", .formula = "y = min(max(x, min), max)", .operands = "x", .results = "y",
    .attr_size = sizeof(ClampAttrs), .attrs = clamp_attrs, .infer = clamp_infer, .vjp = clamp_vjp,
    .cases = clamp_cases, .shapes = clamp_shapes,
};
OP(pow) = {
    .name = "pow", .formula = "y = x^exponent", .operands = "x", .results = "y", .attr_size = sizeof(PowAttrs),
    .attrs = pow_attrs, .infer = pow_infer, .vjp = pow_vjp, .cases = pow_cases, .shapes = pow_shapes,
};
OP(relu6) = {
    .name = "relu6", .formula = "y = min(max(x, 0), 6)", .operands = "x", .results = "y", .flags = OP_EXPAND,
    .expand = relu6_expand, .cases = cases, .shapes = shapes,
};

#define UNARY_GRAD(text, formula_, operands_, vjp_, cases_)                                                    \
    {.name = text, .formula = formula_, .operands = operands_, .results = "dx", .infer = infer_same,           \
     .vjp = vjp_, .cases = cases_, .shapes = grad_shapes}
OP(tanh_grad) = UNARY_GRAD("tanh_grad", "dx = dy (1 - y^2)", "y dy", tanh_grad_vjp, grad_cases);
OP(sigmoid_grad) = UNARY_GRAD("sigmoid_grad", "dx = dy y (1 - y)", "y dy", sigmoid_grad_vjp, unit_grad_cases);
OP(abs_grad) = UNARY_GRAD("abs_grad", "dx = dy sign(x)", "x dy", abs_grad_vjp, grad_cases);
OP(clamp_grad) = {
    .name = "clamp_grad", .formula = "dx = dy if min < x < max else 0", .operands = "x dy", .results = "dx",
    .attr_size = sizeof(ClampAttrs), .attrs = clamp_attrs, .infer = clamp_infer, .vjp = clamp_grad_vjp,
    .cases = clamp_grad_cases, .shapes = clamp_grad_shapes,
};
OP(pow_grad) = {
    .name = "pow_grad", .formula = "dx = dy exponent x^(exponent - 1)", .operands = "x dy", .results = "dx",
    .attr_size = sizeof(PowAttrs), .attrs = pow_attrs, .infer = pow_infer, .vjp = pow_grad_vjp,
    .cases = pow_grad_cases, .shapes = pow_grad_shapes,
};

#define BUILD(name)                                         \
    Val op_##name(Val x)                                    \
    {                                                       \
        return op_build(&op_##name##_def, NULL, NULL, 1, x); \
    }
BUILD(exp)
BUILD(log)
BUILD(tanh)
BUILD(sigmoid)
BUILD(softplus)
BUILD(square)
BUILD(sqrt)
BUILD(reciprocal)
BUILD(abs)
BUILD(neg)

Val op_clamp(Val x, ClampAttrs a)
{
    return op_build(&op_clamp_def, &a, NULL, 1, x);
}

Val op_pow(Val x, float exponent)
{
    return op_build(&op_pow_def, &(PowAttrs){exponent}, NULL, 1, x);
}

Val op_relu6(Val x)
{
    return op_build(&op_relu6_def, NULL, NULL, 1, x);
}

Val op_tanh_grad(Val y, Val dy)
{
    return op_build(&op_tanh_grad_def, NULL, NULL, 2, y, dy);
}

Val op_sigmoid_grad(Val y, Val dy)
{
    return op_build(&op_sigmoid_grad_def, NULL, NULL, 2, y, dy);
}

Val op_abs_grad(Val x, Val dy)
{
    return op_build(&op_abs_grad_def, NULL, NULL, 2, x, dy);
}

Val op_clamp_grad(Val x, Val dy, ClampAttrs a)
{
    return op_build(&op_clamp_grad_def, &a, NULL, 2, x, dy);
}

Val op_pow_grad(Val x, Val dy, float exponent)
{
    return op_build(&op_pow_grad_def, &(PowAttrs){exponent}, NULL, 2, x, dy);
}
