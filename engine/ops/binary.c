/* binary.c - functions of two operands; a gradient is summed over the axes along which its operand was repeated. */
#include "engine/ops/binary.h"

#include "engine/op.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"
#include "engine/ops/unary.h"

static void add_vjp(OpVjp *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            g->din[i] = op_reduce_to(g->dout[0], val_shape(g->in[i]));
}

static void sub_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_reduce_to(g->dout[0], val_shape(g->in[0]));
    if (g->need[1])
        g->din[1] = op_neg(op_reduce_to(g->dout[0], val_shape(g->in[1])));
}

static void mul_vjp(OpVjp *g)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i])
            g->din[i] = op_reduce_to(op_mul(g->dout[0], g->in[1 - i]), val_shape(g->in[i]));
}

/* d(a / b) / db = -y / b. */
static void div_vjp(OpVjp *g)
{
    Val da = op_div(g->dout[0], g->in[1]);
    if (g->need[0])
        g->din[0] = op_reduce_to(da, val_shape(g->in[0]));
    if (g->need[1])
        g->din[1] = op_neg(op_reduce_to(op_mul(da, g->out[0]), val_shape(g->in[1])));
}

/* Operand i gets the share of the gradient that its own step over the other (or the other's over it) gives. */
static void extremum_vjp(OpVjp *g, bool greatest)
{
    for (int i = 0; i < 2; i++)
        if (g->need[i]) {
            Val share = greatest ? op_step(g->in[i], g->in[1 - i]) : op_step(g->in[1 - i], g->in[i]);
            g->din[i] = op_reduce_to(op_mul(g->dout[0], share), val_shape(g->in[i]));
        }
}

static void maximum_vjp(OpVjp *g)
{
    extremum_vjp(g, true);
}

static void minimum_vjp(OpVjp *g)
{
    extremum_vjp(g, false);
}

/* Piecewise constant: the gradients stay zero. */
static void step_vjp(OpVjp *g)
{
    (void)g;
}

static const OpCase cases[] = {
    {"2x3x4x5 2x3x4x5", ""}, {"7 7", ""}, {"2x17x3x3 2x17x3x3", ""}, {"1x1x1x1 1x1x1x1", ""},
    {"2x17x3x5 1x17x1x1", ""}, {"2x17x3x5 17x1x1", ""}, {"1x17x1x1 2x17x3x5", ""}, {"2x32x2x3 1x32x1x1", ""},
    {"2x17x3x3 1", ""}, {"s 2x17x3x3", ""}, {"5x1 1x7", ""}, {"3x9 9", ""}, {"3x9 3x1", ""},
    {"2x1x4x1 3x1x5", ""}, {"2x3x4x5 2x1x4x5", ""}, {"2x1x3x1x2x1 1x2x1x3x2x4", ""},
    /* a value a channel of each sample, of one sample on the other side, a picture for all channels, both repeated */
    {"2x17x3x5 2x17x1x1", ""}, {"2x32x1x1 2x32x3x2", ""}, {"1x18x3x2 2x18x1x1", ""}, {"2x17x1x1 3x5", ""},
    {"1x16x1x1 2x1x3x2", ""},
    {"3x18x2x2 3x1x1x1", ""}, {"2x16x3x2 s", ""}, {"s s", ""}, {"1 s", ""}, {"0x3 1x3", ""}, CASES_END,
};
static const OpCase div_cases[] = {
    {"2x3x4x5 2x3x4x5:pos", ""}, {"7 7:pos", ""}, {"2x17x3x3 2x17x3x3:pos", ""}, {"2x17x3x5 1x17x1x1:pos", ""},
    {"1x17x1x1 2x17x3x5:pos", ""}, {"2x17x3x3 1:pos", ""}, {"s 2x17x3x3:pos", ""}, {"5x1 1x7:pos", ""},
    {"3x9 3x1:pos", ""}, {"2x1x4x1 3x1x5:pos", ""}, {"2x17x3x5 2x17x1x1:pos", ""}, {"1x18x3x2 2x18x1x1:pos", ""},
    {"s s:pos", ""}, CASES_END,
};
static const OpCase shapes[] = {
    {"8x256x64x64 8x256x64x64", ""},   /* residual sums of ResNet-50 at 128 */
    {"8x64x128x128 1x64x1x1", ""}, {"128x512 512", ""}, {"128x512 128x1", ""}, CASES_END,
};

#define BINARY(text, formula_, vjp_, cases_)                                                                        \
    {.name = text, .formula = formula_, .operands = "a b", .results = "y", .infer = infer_broadcast, .vjp = vjp_,   \
     .cases = cases_, .shapes = shapes}
OP(add) = BINARY("add", "y = a + b", add_vjp, cases);
OP(sub) = BINARY("sub", "y = a - b", sub_vjp, cases);
OP(mul) = BINARY("mul", "y = a b", mul_vjp, cases);
OP(div) = BINARY("div", "y = a / b", div_vjp, div_cases);
OP(maximum) = BINARY("maximum", "y = max(a, b)", maximum_vjp, cases);
OP(minimum) = BINARY("minimum", "y = min(a, b)", minimum_vjp, cases);
OP(step) = BINARY("step", "y = 1 if a > b, 1/2 if a = b, else 0", step_vjp, cases);

#define BUILD(name)                                            \
    Val op_##name(Val a, Val b)                                \
    {                                                          \
        return op_build(&op_##name##_def, NULL, NULL, 2, a, b); \
    }
BUILD(add)
BUILD(sub)
BUILD(mul)
BUILD(div)
BUILD(maximum)
BUILD(minimum)
BUILD(step)
