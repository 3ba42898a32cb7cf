/* conv2d_relu.c - see conv2d_relu.h; and the patterns that fold batch norms of evaluation into the convolution before.
 *
 * A batch norm with running statistics is a factor and a term a channel.  As the convolution's weights and bias they
 * cost a pass over the weights instead of one over the map, and the ReLU behind it, with or without a residual, can be
 * the convolution's epilogue.  The weights are folded in each run: they are the store's and may have changed. */
#include "engine/ops/conv2d_relu.h"

#include <string.h>

#include "engine/ops/batch_norm_leaky_relu.h"
#include "engine/ops/conv2d_infer.h"
#include "engine/ops/infer.h"

enum { ADDED = 3 };   /* of conv2d_relu */

static void infer(OpShapes *s)
{
    conv2d_infer(s);
    if (s->nin <= ADDED || s->in[ADDED].rank < 0 || !infer_operand(s, ADDED, F32, 4))
        return;
    if (!shape_equal(s->in[ADDED], s->out[0]))
        op_mistake(s, "operand added must have the shape of the result");
}

static void fold_infer(OpShapes *s)
{
    const BatchNormFoldAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 4))
        return;
    int64_t filters = s->in[0].dim[0];
    for (int i = 1; i < s->nin; i++) {
        if (s->in[i].rank < 0)
            continue;
        if (!infer_operand(s, i, F32, 1))
            return;
        if (s->in[i].dim[0] != filters) {
            op_mistake(s, "operand %s holds %ld values and must hold %ld, one a filter", infer_name(s, i),
                       (long)s->in[i].dim[0], (long)filters);
            return;
        }
    }
    if (!(a->eps > 0))
        op_mistake(s, "eps=%g must be above 0", (double)a->eps);
    s->out[0] = s->in[0];
    s->out[1] = SHAPE(filters);
}

/* ---------------------------------------------------------------- patterns */
extern const OpDef op_conv2d_relu_def, op_batch_norm_fold_def;

/* The convolution behind a batch norm in evaluation that nothing else reads and that is worth folding, or -1. */
static int folds(Prog *p, int norm, const BatchNormAttrs *a)
{
    Val x = fuse_in(p, norm, 0), mean = fuse_in(p, norm, 3);
    int conv = fuse_node_of(x), user;
    if (a->training || !val_ok(mean) || conv < 0 || strcmp(fuse_op(p, conv)->name, "conv2d") ||
        fuse_uses(p, x, &user, 1) != 1)
        return -1;
    for (int j = 1; j < 5; j++)
        if (fuse_uses(p, fuse_out(p, norm, j), &user, 1))
            return -1;
    Shape shapes[2] = {val_shape(x), val_shape(fuse_in(p, conv, 1))};
    return fuse_worth(p, op_batch_norm_fold_def.name, shapes) ? conv : -1;
}

/* Puts the folded weights and `op` in the place of the batch norm: op(x, w, b, added). */
static void fold(Prog *p, int norm, int conv, float eps, const OpDef *op, Val added)
{
    const Conv2dAttrs a = *(const Conv2dAttrs *)fuse_attrs(p, conv);
    Val old = fuse_out(p, norm, 0), in[4] = {fuse_in(p, conv, 0), NONE, NONE, added};
    Val parts[6] = {fuse_in(p, conv, 1), fuse_in(p, norm, 1), fuse_in(p, norm, 2), fuse_in(p, norm, 3),
                    fuse_in(p, norm, 4), fuse_in(p, conv, 2)};
    fuse_replace(p, norm, &op_batch_norm_fold_def, parts, 6, &(BatchNormFoldAttrs){eps}, NULL, NULL, 0);
    in[1] = fuse_out(p, norm, 0);
    in[2] = fuse_out(p, norm, 1);
    fuse_replace(p, norm + 1, op, in, val_ok(added) ? 4 : 3, &a, &old, (const int[]){0}, 1);
}

/* conv2d -> batch_norm_leaky_relu with slope 0. */
static bool rewrite_relu(Prog *p, int norm)
{
    const BatchNormLeakyReluAttrs *a = fuse_attrs(p, norm);
    int conv = a->slope == 0 ? folds(p, norm, &a->norm) : -1;
    if (conv < 0)
        return false;
    fold(p, norm, conv, a->norm.eps, &op_conv2d_relu_def, fuse_in(p, norm, 5));
    return true;
}

/* conv2d -> batch_norm, unless one of batch_norm_leaky_relu's patterns may want it. */
static bool rewrite_plain(Prog *p, int norm)
{
    const BatchNormAttrs *a = fuse_attrs(p, norm);
    enum { MAX = 16 };
    int users[MAX], n = fuse_uses(p, fuse_out(p, norm, 0), users, MAX), conv = folds(p, norm, a);
    if (conv < 0 || n > MAX)
        return false;
    for (int i = 0; i < n; i++)
        if (users[i] >= 0 && !strcmp(fuse_op(p, users[i])->name, "leaky_relu"))
            return false;
    fold(p, norm, conv, a->eps, op_find("conv2d"), NONE);
    return true;
}

static const FusePattern patterns[] = {
    {"batch_norm_leaky_relu", rewrite_relu}, {"batch_norm", rewrite_plain}, {0, 0},
};

/* ---------------------------------------------------------------- the ops */
static const OpAttr fold_attrs[] = {
    {"eps", ATTR_REAL, offsetof(BatchNormFoldAttrs, eps), "1e-5", "added to the variance"}, ATTRS_END,
};

static const OpCase cases[] = {
    {"2x3x5x5 4x3x3x3 4", "padding=1"},
    {"2x3x5x5 4x3x3x3 4 2x4x5x5", "padding=1"},
    {"1x1x1x1 1x1x1x1 -", ""},
    {"1x32x6x6 32x32x3x3 32 1x32x6x6", "padding=1"},         /* whole blocks of channels */
    {"2x16x5x3 16x16x1x1 16", ""},
    {"1x17x7x5 3x17x3x3 3 1x3x4x3", "stride=2 padding=1"},
    {"1x8x5x5 5x8x3x3 - 1x5x3x3", ""},
    {"1x6x6x6 4x3x3x3 4 1x4x6x6", "groups=2 padding=1"},
    {"1x32x5x5 32x16x3x3 32", "groups=2 padding=1"},
    CASES_END,
};
static const OpCase fold_cases[] = {
    {"4x3x3x3 4 4 4 4:pos -", ""}, {"4x3x3x3 4 4 4 4:pos 4", ""}, {"1x1x1x1 - - 1 1:pos 1", "eps=0.5"},
    {"17x5x1x1 17 - 17 17:pos -", ""}, {"32x16x3x3 - 32 32 32:pos -", "eps=1e-3"}, {"3x8x5x1 3 3 3 3:pos 3", ""},
    CASES_END,
};
/* ResNet-50 at 128x128, batch 16. */
static const OpCase shapes[] = {
    {"16x3x128x128 64x3x7x7 64", "stride=2 padding=3"}, {"16x64x32x32 64x64x3x3 64", "padding=1"},
    {"16x64x32x32 256x64x1x1 256 16x256x32x32", ""}, {"16x256x8x8 256x256x3x3 256", "padding=1"}, CASES_END,
};
static const OpCase fold_shapes[] = {
    {"64x64x3x3 64 64 64 64:pos -", ""}, {"1024x256x1x1 1024 1024 1024 1024:pos -", ""}, CASES_END,
};

OP(conv2d_relu) = {
    .name = "conv2d_relu", .formula = "y = max(0, conv2d(x, w, b) + added)", .operands = "x w b? added?",
    .results = "y", .attr_size = sizeof(Conv2dAttrs), .attrs = conv2d_op_attrs, .flags = OP_NO_GRAD, .infer = infer,
    .flop = conv2d_flop, .cases = cases, .shapes = shapes, .patterns = patterns,
};
OP(batch_norm_fold) = {
    .name = "batch_norm_fold",
    .formula = "s = gamma / sqrt(var + eps); folded_w(f) = s(f) w(f); folded_b = beta + s (b - mean)",
    .operands = "w gamma? beta? mean var b?", .results = "folded_w folded_b",
    .attr_size = sizeof(BatchNormFoldAttrs), .attrs = fold_attrs, .flags = OP_NO_GRAD, .infer = fold_infer,
    .cases = fold_cases, .shapes = fold_shapes,
};

Val op_conv2d_relu(Val x, Val w, Val b, Val added, Conv2dAttrs a)
{
    a = conv2d_attrs(a);
    return op_build(&op_conv2d_relu_def, &a, NULL, 4, x, w, b, added);
}

BatchNormFold op_batch_norm_fold(Val w, Val gamma, Val beta, Val mean, Val var, Val b, BatchNormFoldAttrs a)
{
    Val out[2] = {NONE};
    a.eps = a.eps == 0 ? 1e-5f : a.eps;
    op_build(&op_batch_norm_fold_def, &a, out, 6, w, gamma, beta, mean, var, b);
    return (BatchNormFold){out[0], out[1]};
}
