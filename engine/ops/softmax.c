/* softmax.c - see softmax.h.  Gradients are put together from the result:
 *     softmax       dx = y (dy - sum_j y_j dy_j)
 *     log_softmax   dx = dy - exp(y) sum_j dy_j */
#include "engine/ops/softmax.h"

#include "engine/op.h"
#include "engine/ops/binary.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"
#include "engine/ops/unary.h"

static const OpAttr attrs[] = {
    {"dim", ATTR_INT, offsetof(SoftmaxAttrs, dim), "-1", "axis along which the shares sum to one"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    int dim = ((const SoftmaxAttrs *)s->attrs)->dim;
    if (!infer_operand(s, 0, F32, -1))
        return;
    if (dim < -s->in[0].rank || dim >= s->in[0].rank)
        op_mistake(s, "dim is %d and x has %d axes", dim, s->in[0].rank);
    s->out[0] = s->in[0];
}

static Val sum_along(Val x, const void *attrs)
{
    return op_reduce_sum(x, INTS(((const SoftmaxAttrs *)attrs)->dim), true);
}

static void softmax_vjp(OpVjp *g)
{
    Val along = sum_along(op_mul(g->out[0], g->dout[0]), g->attrs);
    g->din[0] = op_mul(g->out[0], op_sub(g->dout[0], along));
}

static void log_softmax_vjp(OpVjp *g)
{
    g->din[0] = op_sub(g->dout[0], op_mul(op_exp(g->out[0]), sum_along(g->dout[0], g->attrs)));
}

/* A difference, an exponential (counted as one), a sum and a product. */
static double flop(const OpShapes *s)
{
    return 4.0 * (double)shape_count(s->in[0]);
}

static const OpCase cases[] = {
    {"5x7", ""}, {"3x1", ""}, {"4x130", "dim=1"}, {"1x1000", ""}, {"7", "dim=0"}, {"9x33", "dim=0"},
    {"2x17x3x5", "dim=1"}, {"2x3x4x5", "dim=-2"}, {"1x1x1x1", "dim=3"}, {"2x5x70", "dim=1"}, {"0x5", ""}, CASES_END,
};
/* A classifier over the training set's identities, and over the channels of a map. */
static const OpCase shapes[] = {
    {"128x482", ""}, {"128x18143", ""}, {"8x64x32x32", "dim=1"}, CASES_END,
};

OP(softmax) = {
    .name = "softmax", .formula = "y = exp(x) / sum_j exp(x_j)", .operands = "x", .results = "y",
    .attr_size = sizeof(SoftmaxAttrs), .attrs = attrs, .infer = infer, .vjp = softmax_vjp, .flop = flop,
    .cases = cases, .shapes = shapes,
};
OP(log_softmax) = {
    .name = "log_softmax", .formula = "y = x - log(sum_j exp(x_j))", .operands = "x", .results = "y",
    .attr_size = sizeof(SoftmaxAttrs), .attrs = attrs, .infer = infer, .vjp = log_softmax_vjp, .flop = flop,
    .cases = cases, .shapes = shapes,
};

Val op_softmax(Val x, int dim)
{
    return op_build(&op_softmax_def, &(SoftmaxAttrs){dim}, NULL, 1, x);
}

Val op_log_softmax(Val x, int dim)
{
    return op_build(&op_log_softmax_def, &(SoftmaxAttrs){dim}, NULL, 1, x);
}
