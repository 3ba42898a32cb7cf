/* losses.c - see losses.h. */
#include "engine/ops/losses.h"

#include <string.h>

#include "engine/op.h"
#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/constant.h"
#include "engine/ops/reduce.h"
#include "engine/ops/unary.h"

Val op_bce_with_logits(Val logit, float target)
{
    if (!(target >= 0 && target <= 1))
        return prog_mistake(logit.p, "bce_with_logits: target %g must lie in [0, 1]", (double)target);
    if (target == 0)
        return op_mean(op_softplus(logit));
    Val yes = op_mean(op_softplus(op_neg(logit)));
    if (target == 1)
        return yes;
    return op_add(op_scale(yes, target), op_scale(op_mean(op_softplus(logit)), 1 - target));
}

/* The difference of values of one shape: op_sub would broadcast. */
static Val difference(const char *name, Val a, Val b)
{
    if (val_ok(a) && val_ok(b) && !shape_equal(val_shape(a), val_shape(b))) {
        char x[96], y[96];
        return prog_mistake(a.p, "%s: operands differ in shape: %s and %s", name,
                            shape_text(val_shape(a), x, sizeof x), shape_text(val_shape(b), y, sizeof y));
    }
    return op_sub(a, b);
}

/* The mean divides by the number of elements, which a float holds exactly up to 2^24, and not by its reciprocal. */
static Val reduce(const char *name, Val x, const char *reduction)
{
    if (!val_ok(x) || !strcmp(reduction, "none"))
        return x;
    if (!strcmp(reduction, "sum"))
        return op_sum(x);
    if (strcmp(reduction, "mean"))
        return prog_mistake(x.p, "%s: reduction=%s is not none, mean or sum", name, reduction);
    int64_t n = shape_count(val_shape(x));
    return op_div(op_sum(x), op_fill(x.p, (Shape){0}, (float)n));
}

static Val mse_expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin;
    return reduce("mse_loss", op_square(difference("mse_loss", in[0], in[1])), ((const LossAttrs *)attrs)->reduction);
}

static Val l1_expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin;
    return reduce("l1_loss", op_abs(difference("l1_loss", in[0], in[1])), ((const LossAttrs *)attrs)->reduction);
}

static const OpAttr attrs[] = {
    {"reduction", ATTR_TEXT, offsetof(LossAttrs, reduction), "mean", "none, mean or sum"},
    ATTRS_END,
};
static const OpCase cases[] = {
    {"2x3x4x5 2x3x4x5", ""}, {"7 7", "reduction=sum"}, {"2x17x3x3 2x17x3x3", "reduction=none"},
    {"2x17x3x3 2x17x3x3", "reduction=mean"}, {"s s", ""}, CASES_END,
};
static const OpCase shapes[] = {{"8x3x128x128 8x3x128x128", ""}, CASES_END};   /* eq. 4 at the largest scale */

OP(mse_loss) = {
    .name = "mse_loss", .formula = "y = mean (x - target)^2", .operands = "x target", .results = "y",
    .attr_size = sizeof(LossAttrs), .attrs = attrs, .flags = OP_EXPAND, .expand = mse_expand, .cases = cases,
    .shapes = shapes,
};
OP(l1_loss) = {
    .name = "l1_loss", .formula = "y = mean |x - target|", .operands = "x target", .results = "y",
    .attr_size = sizeof(LossAttrs), .attrs = attrs, .flags = OP_EXPAND, .expand = l1_expand, .cases = cases,
    .shapes = shapes,
};

Val op_mse_loss(Val x, Val target, const char *reduction)
{
    return op_build(&op_mse_loss_def, &(LossAttrs){reduction}, NULL, 2, x, target);
}

Val op_l1_loss(Val x, Val target, const char *reduction)
{
    return op_build(&op_l1_loss_def, &(LossAttrs){reduction}, NULL, 2, x, target);
}

/* Sum over all axes but the first. */
static Val sum_samples(Val x)
{
    AttrInts axes = {0, {0}};
    for (int i = 1; i < val_shape(x).rank; i++)
        axes.v[axes.n++] = i;
    return axes.n ? op_reduce_sum(x, axes, false) : x;
}

Val op_squared_distance(Val a, Val b)
{
    return sum_samples(op_square(difference("squared_distance", a, b)));
}

Val op_kl_normal(Val mu, Val log_variance)
{
    Val gap = difference("kl_normal", op_exp(log_variance), log_variance);
    return op_scale(sum_samples(op_affine(op_add(gap, op_square(mu)), 1, -1)), 0.5f);
}
