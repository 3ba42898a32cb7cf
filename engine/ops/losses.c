/* losses.c - see losses.h. */
#include "engine/ops/losses.h"

#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
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

Val op_mse(Val a, Val b)
{
    return op_mean(op_square(difference("mse", a, b)));
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
