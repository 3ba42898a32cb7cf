/* reduce.c - see reduce.h. */
#include "engine/ops/reduce.h"

#include <string.h>

#include "engine/ops/affine.h"
#include "engine/ops/infer.h"
#include "engine/ops/shape.h"
#include "engine/ops/unary.h"

static const OpAttr attrs[] = {
    {"axes", ATTR_INTS, offsetof(ReduceAttrs, axes), "", "axes that go; none: all"},
    {"keepdims", ATTR_BOOL, offsetof(ReduceAttrs, keepdims), "false", "leave them with size 1"},
    ATTRS_END,
};

unsigned reduce_mask(const ReduceAttrs *a, int rank)
{
    if (a->axes.n == 0)
        return (1u << rank) - 1;
    unsigned mask = 0;
    for (int i = 0; i < a->axes.n; i++)
        mask |= 1u << (a->axes.v[i] < 0 ? a->axes.v[i] + rank : a->axes.v[i]);
    return mask;
}

static Shape reduced(Shape x, unsigned mask, bool keepdims)
{
    Shape y = {0};
    for (int i = 0; i < x.rank; i++) {
        if (!(mask >> i & 1))
            y.dim[y.rank++] = x.dim[i];
        else if (keepdims)
            y.dim[y.rank++] = 1;
    }
    return y;
}

static bool axes_fit(AttrInts axes, int rank)
{
    unsigned seen = 0;
    for (int i = 0; i < axes.n; i++) {
        int64_t axis = axes.v[i] < 0 ? axes.v[i] + rank : axes.v[i];
        if (axis < 0 || axis >= rank || (seen >> axis & 1))
            return false;
        seen |= 1u << axis;
    }
    return axes.n >= 0 && axes.n <= INTS_MAX;
}

static void infer(OpShapes *s)
{
    const ReduceAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, -1))
        return;
    if (!axes_fit(a->axes, s->in[0].rank)) {
        op_mistake(s, "axes must be different and within the %d axes of x", s->in[0].rank);
        return;
    }
    s->out[0] = reduced(s->in[0], reduce_mask(a, s->in[0].rank), a->keepdims);
}

/* Nothing has no largest element. */
static bool all_hold(OpShapes *s)
{
    for (int i = 0; i < s->in[0].rank; i++)
        if (s->in[0].dim[i] < 1)
            return op_mistake(s, "axis %d of x has no elements", i), false;
    return true;
}

static void max_infer(OpShapes *s)
{
    if (infer_operand(s, 0, F32, -1) && all_hold(s))
        infer(s);
}

static void max_grad_infer(OpShapes *s)
{
    for (int i = 0; i < 3; i++)
        if (!infer_operand(s, i, F32, -1))
            return;
    const ReduceAttrs *a = s->attrs;
    Shape x = s->in[0];
    if (!all_hold(s))
        return;
    if (!axes_fit(a->axes, x.rank)) {
        op_mistake(s, "axes must be different and within the %d axes of x", x.rank);
        return;
    }
    Shape y = reduced(x, reduce_mask(a, x.rank), a->keepdims);
    if (!shape_equal(s->in[1], y) || !shape_equal(s->in[2], y)) {
        char text[96];
        op_mistake(s, "y and dy must be %s", shape_text(y, text, sizeof text));
        return;
    }
    s->out[0] = x;
}

static void max_vjp(OpVjp *g)
{
    const ReduceAttrs *a = g->attrs;
    g->din[0] = op_reduce_max_grad(g->in[0], g->out[0], g->dout[0], a->axes, a->keepdims);
}

static void vjp(OpVjp *g)
{
    const ReduceAttrs *a = g->attrs;
    Shape x = val_shape(g->in[0]);
    Shape kept = reduced(x, reduce_mask(a, x.rank), true);
    g->din[0] = op_broadcast_to(op_reshape(g->dout[0], kept), x);
}

static double flop(const OpShapes *s)
{
    return (double)shape_count(s->in[0]);
}

/* A comparison and a count, then a product, for each element. */
static double grad_flop(const OpShapes *s)
{
    return 3 * (double)shape_count(s->in[0]);
}

static Val expand_mean(Prog *p, const Val *in, int nin, const void *attrs)
{
    const ReduceAttrs *a = attrs;
    (void)p, (void)nin;
    return op_reduce_mean(in[0], a->axes, a->keepdims);
}

static Val expand_min(Prog *p, const Val *in, int nin, const void *attrs)
{
    const ReduceAttrs *a = attrs;
    (void)p, (void)nin;
    return op_reduce_min(in[0], a->axes, a->keepdims);
}

static const OpCase cases[] = {
    {"2x3x4x5", "axes=0,2,3"}, {"2x17x3x3", "axes=0,2,3"}, {"2x17x3x3", "axes=0,2,3 keepdims=true"},
    {"3x32x1x1", "axes=0,2,3"}, {"2x3x4x5", ""}, {"2x17x3x3", ""}, {"7", ""}, {"s", ""}, {"2x3x4x5", "axes=1"},
    {"2x17x3x5", "axes=2,3"}, {"2x17x3x5", "axes=-1 keepdims=true"}, {"9x13", "axes=0"}, {"9x13", "axes=1"},
    {"3x2x3x2x5", "axes=0,2,4"}, {"3x2x3x2x5", "axes=1,3"}, {"1x1x1x1", "axes=0,2,3"}, {"4000", ""}, CASES_END,
};
static const OpCase shapes[] = {
    {"8x64x128x128", "axes=0,2,3"}, {"8x512x16x16", "axes=0,2,3"}, {"128x512", "axes=0"}, {"8x3x128x128", ""},
    {"8x2048x4x4", "axes=2,3"}, CASES_END,
};
static const OpCase max_grad_cases[] = {
    {"2x17x3x3 17 17", "axes=0,2,3"}, {"3x2x3x2x5 2x2 2x2", "axes=0,2,4"}, {"9x13 1x13 1x13", "axes=0 keepdims=true"},
    {"7 s s", ""}, CASES_END,
};
static const OpCase max_grad_shapes[] = {
    {"8x64x56x56 8x64 8x64", "axes=2,3"}, {"128x512 128 128", "axes=1"}, CASES_END,
};

OP(reduce_sum) = {
    .name = "reduce_sum", .formula = "y = sum of x over axes", .operands = "x", .results = "y",
    .attr_size = sizeof(ReduceAttrs), .attrs = attrs, .infer = infer, .vjp = vjp, .flop = flop,
    .cases = cases, .shapes = shapes,
};

OP(reduce_mean) = {
    .name = "reduce_mean", .formula = "y = mean of x over axes", .operands = "x", .results = "y",
    .attr_size = sizeof(ReduceAttrs), .attrs = attrs, .flags = OP_EXPAND, .expand = expand_mean,
    .cases = cases, .shapes = shapes,
};
OP(reduce_max) = {
    .name = "reduce_max", .formula = "y = max of x over axes", .operands = "x", .results = "y",
    .attr_size = sizeof(ReduceAttrs), .attrs = attrs, .infer = max_infer, .vjp = max_vjp, .flop = flop,
    .cases = cases, .shapes = shapes,
};
/* Linear in dy only: x and y say where it goes, and no model differentiates twice. */
OP(reduce_max_grad) = {
    .name = "reduce_max_grad", .formula = "dx = dy / number of x equal to y where x = y, else 0",
    .operands = "x y dy", .results = "dx", .attr_size = sizeof(ReduceAttrs), .attrs = attrs, .flags = OP_NO_GRAD,
    .infer = max_grad_infer, .flop = grad_flop, .cases = max_grad_cases, .shapes = max_grad_shapes,
};
OP(reduce_min) = {
    .name = "reduce_min", .formula = "y = -max of -x over axes", .operands = "x", .results = "y",
    .attr_size = sizeof(ReduceAttrs), .attrs = attrs, .flags = OP_EXPAND, .expand = expand_min,
    .cases = cases, .shapes = shapes,
};

/* One spelling of each set of axes, so that equal sums are found to be equal. */
static AttrInts axes_sorted(AttrInts axes, int rank)
{
    if (!axes_fit(axes, rank))
        return axes;
    ReduceAttrs a = {axes, false};
    unsigned mask = reduce_mask(&a, rank);
    AttrInts sorted = {0};
    for (int i = 0; i < rank && axes.n < rank; i++)
        if (mask >> i & 1)
            sorted.v[sorted.n++] = i;
    return sorted;
}

static ReduceAttrs canonical(Val x, AttrInts axes, bool keepdims)
{
    ReduceAttrs a;
    memset(&a, 0, sizeof a);
    a.axes = val_ok(x) ? axes_sorted(axes, val_shape(x).rank) : axes;
    a.keepdims = keepdims;
    return a;
}

Val op_reduce_sum(Val x, AttrInts axes, bool keepdims)
{
    ReduceAttrs a = canonical(x, axes, keepdims);
    return op_build(&op_reduce_sum_def, &a, NULL, 1, x);
}

Val op_reduce_max(Val x, AttrInts axes, bool keepdims)
{
    ReduceAttrs a = canonical(x, axes, keepdims);
    return op_build(&op_reduce_max_def, &a, NULL, 1, x);
}

Val op_reduce_max_grad(Val x, Val y, Val dy, AttrInts axes, bool keepdims)
{
    ReduceAttrs a = canonical(x, axes, keepdims);
    return op_build(&op_reduce_max_grad_def, &a, NULL, 3, x, y, dy);
}

Val op_reduce_min(Val x, AttrInts axes, bool keepdims)
{
    return op_neg(op_reduce_max(op_neg(x), axes, keepdims));
}

Val op_reduce_mean(Val x, AttrInts axes, bool keepdims)
{
    Val sum = op_reduce_sum(x, axes, keepdims);
    int64_t many = shape_count(val_shape(x)), few = shape_count(val_shape(sum));
    return op_scale(sum, val_ok(sum) && many > 0 ? (float)((double)few / (double)many) : 1);
}

Val op_sum(Val x)
{
    return op_reduce_sum(x, (AttrInts){0}, false);
}

Val op_mean(Val x)
{
    return op_reduce_mean(x, (AttrInts){0}, false);
}

Val op_reduce_to(Val x, Shape to)
{
    Shape from = val_shape(x);
    if (!val_ok(x) || shape_equal(from, to))
        return x;
    AttrInts axes = {0};
    for (int i = 0; i < from.rank; i++) {
        int k = i - (from.rank - to.rank);
        if (k < 0 || (to.dim[k] == 1 && from.dim[i] != 1))
            axes.v[axes.n++] = i;
    }
    return op_reshape(axes.n ? op_reduce_sum(x, axes, true) : x, to);
}
