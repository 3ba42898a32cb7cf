/* batch_norm.c - y = gamma (x - mean) rstd + beta, statistics over B, H, W of each channel and group.
 * Source: Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
 * shift", 2015, algorithms 1 and 2; the gradient is the one of section 3. */
#include "engine/ops/batch_norm.h"

#include "engine/op.h"
#include "engine/ops/batch_norm_infer.h"

static const OpAttr attrs[] = {
    BATCH_NORM_OP_ATTRS(BatchNormAttrs, ),
    ATTRS_END,
};
static const OpAttr grad_attrs[] = {
    BATCH_NORM_GRAD_OP_ATTRS(BatchNormGradAttrs, ),
    ATTRS_END,
};

/* ---------------------------------------------------------------- rules shared with batch_norm_leaky_relu */
static bool absent(const OpShapes *s, int i)
{
    return i >= s->nin || s->in[i].rank < 0;
}

static bool vector(OpShapes *s, int i, int64_t n)
{
    if (absent(s, i))
        return true;
    if (!infer_operand(s, i, F32, 1))
        return false;
    if (s->in[i].dim[0] != n)
        op_mistake(s, "operand %s holds %ld values and must hold %ld", infer_name(s, i), (long)s->in[i].dim[0],
                   (long)n);
    return s->in[i].dim[0] == n;
}

/* x and groups; values: at least this many in each channel and group. */
static bool batch(OpShapes *s, int groups, int64_t values)
{
    if (!infer_operand(s, 0, F32, -1))
        return false;
    Shape x = s->in[0];
    if (x.rank != 2 && x.rank != 4)
        op_mistake(s, "operand x has rank %d and must have 2 (B, C) or 4 (B, C, H, W)", x.rank);
    else if (shape_count(x) <= 0)
        op_mistake(s, "operand x is empty");
    else if (groups < 1 || x.dim[0] % groups)
        op_mistake(s, "a batch of %ld cannot be cut into %d equal groups", (long)x.dim[0], groups);
    else if (shape_count(x) / x.dim[1] / groups < values)
        op_mistake(s, "training needs more than one value a channel%s", groups > 1 ? " in each group" : "");
    else
        return true;
    return false;
}

void batch_norm_infer(OpShapes *s, const BatchNormAttrs *a)
{
    if (!batch(s, a->groups, a->training ? 2 : 1))
        return;
    int64_t channels = s->in[0].dim[1];
    for (int i = 1; i < 5; i++)
        if (!vector(s, i, channels))
            return;
    if (absent(s, 3) != absent(s, 4))
        op_mistake(s, "running_mean and running_var must both be given or both be left out");
    else if (!(a->eps > 0))
        op_mistake(s, "eps=%g must be above 0", (double)a->eps);
    else if (!(a->momentum >= 0 && a->momentum <= 1))
        op_mistake(s, "momentum=%g must lie in [0, 1]", (double)a->momentum);
    s->out[0] = s->in[0];
    s->out[1] = s->out[2] = SHAPE(channels * a->groups);
    s->out[3] = s->out[4] = SHAPE(channels);
}

void batch_norm_grad_infer(OpShapes *s, const BatchNormGradAttrs *a, int mean)
{
    if (!batch(s, a->groups, 1))
        return;
    int64_t channels = s->in[0].dim[1];
    for (int i = 1; i < mean + 2; i++)
        if (!vector(s, i, i < mean ? channels : channels * a->groups))
            return;
    if (!infer_operand(s, mean + 2, F32, s->in[0].rank))
        return;
    if (!shape_equal(s->in[mean + 2], s->in[0]))
        op_mistake(s, "operands x and dy differ in shape");
    s->out[0] = s->in[0];
    s->out[1] = s->out[2] = SHAPE(channels);
}

/* A subtraction, its square and two sums for the statistics; a subtraction, a product and a sum for y. */
double batch_norm_flop(const OpShapes *s)
{
    return 7.0 * (double)shape_count(s->in[0]);
}
/* Two sums, a difference and a product for the sums; six to put dx together. */
double batch_norm_grad_flop(const OpShapes *s)
{
    return 10.0 * (double)shape_count(s->in[0]);
}
/* x is read for the statistics and again for y. */
double batch_norm_bytes(const OpShapes *s)
{
    return 12.0 * (double)shape_count(s->in[0]);
}
double batch_norm_grad_bytes(const OpShapes *s)
{
    return 20.0 * (double)shape_count(s->in[0]);
}

bool batch_norm_only_y(OpVjp *g)
{
    for (int j = 1; j < g->nout; j++)
        if (val_ok(g->dout[j])) {
            prog_mistake(g->p, "batch_norm: a gradient is asked of its statistics (result %d); only y has one: "
                               "compute the statistics with op_mean instead", j);
            return false;
        }
    return val_ok(g->dout[0]);
}

void batch_norm_give(OpVjp *g, BatchNormGrad d)
{
    const Val all[] = {d.dx, d.dgamma, d.dbeta};
    for (int i = 0; i < 3 && i < g->nin; i++)
        g->din[i] = all[i];
}

BatchNormAttrs batch_norm_defaults(BatchNormAttrs a)
{
    a.eps = a.eps == 0 ? 1e-5f : a.eps;
    a.momentum = a.momentum == 0 ? 0.1f : a.momentum;
    a.groups = a.groups == 0 ? 1 : a.groups;
    return a;
}

/* ---------------------------------------------------------------- the ops */
static void infer(OpShapes *s)
{
    batch_norm_infer(s, s->attrs);
}

static void grad_infer(OpShapes *s)
{
    batch_norm_grad_infer(s, s->attrs, 2);
}

static void vjp(OpVjp *g)
{
    const BatchNormAttrs *a = g->attrs;
    if (batch_norm_only_y(g))
        batch_norm_give(g, op_batch_norm_grad(g->in[0], batch_norm_operand(g, 1), g->out[1], g->out[2], g->dout[0],
                                              (BatchNormGradAttrs){a->groups, a->training}));
}

/* Evaluation with running statistics given is tests/240_batch_norm.c's: they are constants to differentiation, which
 * finite differences would not know. */
static const OpCase cases[] = {
    {"4x3x5x3 3 3 3 3:pos", "training=true"},
    {"4x3x5x3 3 3 - -", "training=false"},
    {"6x17x3x3 17 17 17 17:pos", "training=true groups=3 momentum=0.3"},
    {"3x16x1x1 16 16 16 16:pos", "training=true eps=0.01"},
    {"3x1x7x7 - - 1 1:pos", "training=true"},
    {"8x33 33 33 33 33:pos", "training=true groups=2 update=false"},
    {"4x5 5 - - -", "training=false groups=2"},
    {"2x2x20x17 - 2 - -", "training=true"},
    {"1x1x1x1 1 1 - -", "training=false"},
    CASES_END,
};
static const OpCase grad_cases[] = {
    {"4x3x5x3 3 3 3:pos 4x3x5x3", "training=true"},
    {"4x3x5x3 3 3 3:pos 4x3x5x3", "training=false"},
    {"6x17x3x3 17 51 51:pos 6x17x3x3", "training=true groups=3"},
    {"8x33 - 66 66:pos 8x33", "training=true groups=2"},
    {"2x2x20x17 2 2 2:pos 2x2x20x17", "training=true"},
    CASES_END,
};
/* Table 7 (discriminator, real and fake as one batch), ResNet-50 at 128, the recogniser's head. */
static const OpCase shapes[] = {
    {"16x64x64x64 64 64 64 64:pos", "training=true groups=2"},
    {"16x256x16x16 256 256 256 256:pos", "training=true groups=2"},
    {"8x64x128x128 64 64 64 64:pos", "training=true"},
    {"8x512x16x16 512 512 512 512:pos", "training=true"},
    {"32x64x64x64 64 64 64 64:pos", "training=true"},
    {"128x2048x4x4 2048 2048 2048 2048:pos", "training=true"},
    {"128x512 512 512 512 512:pos", "training=true"},
    CASES_END,
};
static const OpCase grad_shapes[] = {
    {"16x64x64x64 64 128 128:pos 16x64x64x64", "training=true groups=2"},
    {"8x64x128x128 64 64 64:pos 8x64x128x128", "training=true"},
    {"8x512x16x16 512 512 512:pos 8x512x16x16", "training=true"},
    {"128x512 512 512 512:pos 128x512", "training=true"},
    CASES_END,
};

OP(batch_norm) = {
    .name = "batch_norm", .formula = "y = gamma (x - mean) / sqrt(var + eps) + beta",
    .operands = "x gamma? beta? running_mean? running_var?",
    .results = "y mean! rstd! new_running_mean! new_running_var!",
    .attr_size = sizeof(BatchNormAttrs), .attrs = attrs, .infer = infer, .vjp = vjp,
    .flop = batch_norm_flop, .bytes = batch_norm_bytes, .cases = cases, .shapes = shapes,
    .source = "Ioffe, Szegedy 2015, algorithms 1 and 2",
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(batch_norm_grad) = {
    .name = "batch_norm_grad",
    .formula = "dx = gamma rstd (dy - mean(dy) - xhat mean(dy xhat)); dgamma = sum dy xhat; dbeta = sum dy",
    .operands = "x gamma? mean rstd dy", .results = "dx dgamma dbeta",
    .attr_size = sizeof(BatchNormGradAttrs), .attrs = grad_attrs, .flags = OP_NO_GRAD, .infer = grad_infer,
    .flop = batch_norm_grad_flop, .bytes = batch_norm_grad_bytes, .cases = grad_cases, .shapes = grad_shapes,
    .source = "Ioffe, Szegedy 2015, section 3",
};

BatchNorm op_batch_norm(Val x, Val gamma, Val beta, Val running_mean, Val running_var, BatchNormAttrs a)
{
    Val out[5] = {NONE};
    a = batch_norm_defaults(a);
    op_build(&op_batch_norm_def, &a, out, 5, x, gamma, beta, running_mean, running_var);
    return (BatchNorm){out[0], out[1], out[2], out[3], out[4]};
}

BatchNormGrad op_batch_norm_grad(Val x, Val gamma, Val mean, Val rstd, Val dy, BatchNormGradAttrs a)
{
    Val out[3] = {NONE};
    op_build(&op_batch_norm_grad_def, &a, out, 5, x, gamma, mean, rstd, dy);
    return (BatchNormGrad){out[0], out[1], out[2]};
}
