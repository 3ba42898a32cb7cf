/* prelu.c - y = max(x, 0) + slope min(x, 0); the gradient at 0 is slope dy, as in PyTorch.
 * Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015, eq. 1. */
#include "engine/ops/prelu.h"

#include <math.h>

#include "engine/ops/binary.h"
#include "engine/ops/constant.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"
#include "engine/ops/shape.h"
#include "engine/ops/unary.h"

static void infer(OpShapes *s)
{
    if (!infer_operand(s, 0, F32, -1) || !infer_operand(s, 1, F32, -1))
        return;
    int64_t n = shape_count(s->in[1]);
    if (s->in[1].rank > 1)
        op_mistake(s, "operand slope has rank %d and must have 0 or 1", s->in[1].rank);
    else if (n != 1 && (s->in[0].rank < 2 || n != s->in[0].dim[1]))
        op_mistake(s, "%ld slopes for %ld channels; one, or as many as channels", (long)n,
                   (long)(s->in[0].rank < 2 ? 1 : s->in[0].dim[1]));
    s->out[0] = s->in[0];
}

/* Sums a gradient of x's shape over everything that shares a slope. */
static Val to_slopes(Val d, Val slope)
{
    Shape own = val_shape(slope);
    return op_reshape(op_reduce_to(d, prelu_broadcast(val_shape(d), own)), own);
}

static void vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_mul(g->dout[0], op_prelu_slope(g->in[0], g->in[1]));
    if (g->need[1]) {
        Val below = op_clamp(g->in[0], (ClampAttrs){-INFINITY, 0});
        g->din[1] = to_slopes(op_mul(g->dout[0], below), g->in[1]);
    }
}

/* Piecewise constant in x; with slope 0 prelu_slope itself is 1 where x > 0 and 0 elsewhere. */
static void slope_vjp(OpVjp *g)
{
    if (g->need[1]) {
        Val above = op_prelu_slope(g->in[0], op_fill(g->p, (Shape){0}, 0));
        g->din[1] = to_slopes(op_sub(g->dout[0], op_mul(g->dout[0], above)), g->in[1]);
    }
}

static const OpCase cases[] = {
    {"2x3x4x5 3", ""}, {"2x17x3x3 17", ""}, {"2x32x3x1 32", ""}, {"2x17x3x3 1", ""}, {"2x16x2x3 s", ""},
    {"7 1", ""}, {"s 1", ""}, {"6x19 19", ""}, {"2x5x9 5", ""}, {"1x1x1x1 1", ""}, {"2x3x2x1x5 3", ""}, CASES_END,
};
static const OpCase shapes[] = {
    {"8x64x128x128 64", ""}, {"8x512x16x16 512", ""}, {"8x512x16x16 1", ""}, CASES_END,   /* as leaky ReLU's, Table 7 */
};

OP(prelu) = {
    .name = "prelu", .formula = "y = x if x > 0 else slope x", .operands = "x slope", .results = "y", .infer = infer,
    .vjp = vjp, .cases = cases, .shapes = shapes, .source = "He et al. 2015, eq. 1",
};
OP(prelu_slope) = {
    .name = "prelu_slope", .formula = "y = 1 if x > 0 else slope", .operands = "x slope", .results = "y",
    .infer = infer, .vjp = slope_vjp, .cases = cases, .shapes = shapes,
};

Val op_prelu(Val x, Val slope)
{
    return op_build(&op_prelu_def, NULL, NULL, 2, x, slope);
}

Val op_prelu_slope(Val x, Val slope)
{
    return op_build(&op_prelu_slope_def, NULL, NULL, 2, x, slope);
}
