/* unary.c - one table of functions of one operand: shapes are the operand's, gradients use the result y where that
 * saves computing the function again. */
#include "engine/ops/unary.h"

#include "engine/op.h"
#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/infer.h"

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
static const OpCase shapes[] = {
    {"128x128", ""}, {"8x3x128x128", ""}, {"8x128x64x64", ""}, CASES_END,   /* log variances; G's output; Table 6 */
};
static const OpCase grad_shapes[] = {{"8x3x128x128 8x3x128x128", ""}, CASES_END};

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

#define UNARY_GRAD(text, formula_, operands_, vjp_, cases_)                                                    \
    {.name = text, .formula = formula_, .operands = operands_, .results = "dx", .infer = infer_same,           \
     .vjp = vjp_, .cases = cases_, .shapes = grad_shapes}
OP(tanh_grad) = UNARY_GRAD("tanh_grad", "dx = dy (1 - y^2)", "y dy", tanh_grad_vjp, grad_cases);
OP(sigmoid_grad) = UNARY_GRAD("sigmoid_grad", "dx = dy y (1 - y)", "y dy", sigmoid_grad_vjp, unit_grad_cases);
OP(abs_grad) = UNARY_GRAD("abs_grad", "dx = dy sign(x)", "x dy", abs_grad_vjp, grad_cases);

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
