/* batch_norm_leaky_relu.c - batch normalisation and leaky ReLU in one op, and the patterns that find them.
 *
 * The mask of the gradient is z > 0 with z = gamma (x - mean) rstd + beta computed again, so any slope will do, 0
 * (ReLU) included.  With a residual (the end of a block of He et al. 2016) the mask is y > 0, which is the same for
 * slopes that are not negative.  The kernels are those of batch_norm, which is this op with slope 1. */
#include "engine/ops/batch_norm_leaky_relu.h"

#include <string.h>

#include "engine/op.h"
#include "engine/ops/batch_norm_infer.h"
#include "engine/ops/leaky_relu.h"

static const OpAttr attrs[] = {
    BATCH_NORM_OP_ATTRS(BatchNormLeakyReluAttrs, norm.),
    {"slope", ATTR_REAL, offsetof(BatchNormLeakyReluAttrs, slope), "0.01", "factor for negative z"},
    ATTRS_END,
};
static const OpAttr grad_attrs[] = {
    BATCH_NORM_GRAD_OP_ATTRS(BatchNormLeakyReluGradAttrs, norm.),
    {"slope", ATTR_REAL, offsetof(BatchNormLeakyReluGradAttrs, slope), "0.01", "factor for negative z"},
    ATTRS_END,
};

enum { RESIDUAL = 5, MASK_Y = 6 };   /* optional operands of the two ops */

/* Operand i, if it is there, has the shape of x; and the mask of y is that of z. */
static bool residual(OpShapes *s, int i, float slope)
{
    if (i >= s->nin || s->in[i].rank < 0)
        return false;
    if (!shape_equal(s->in[i], s->in[0]) || s->in_dtype[i] != F32)
        op_mistake(s, "operands x and %s differ in shape", infer_name(s, i));
    else if (!(slope >= 0))
        op_mistake(s, "slope=%g must not be negative where a residual is added", (double)slope);
    return true;
}

static void infer(OpShapes *s)
{
    const BatchNormLeakyReluAttrs *a = s->attrs;
    batch_norm_infer(s, &a->norm);
    residual(s, RESIDUAL, a->slope);
}

static void grad_infer(OpShapes *s)
{
    const BatchNormLeakyReluGradAttrs *a = s->attrs;
    batch_norm_grad_infer(s, &a->norm, 3);
    s->nout = residual(s, MASK_Y, a->slope) ? 4 : 3;
    if (s->nout == 4)
        s->out[3] = s->in[0];
}

static void vjp(OpVjp *g)
{
    const BatchNormLeakyReluAttrs *a = g->attrs;
    if (!batch_norm_only_y(g))
        return;
    Val added = batch_norm_operand(g, RESIDUAL), out[4] = {NONE};
    BatchNormLeakyReluGradAttrs how = {{a->norm.groups, a->norm.training}, a->slope};
    op_build(op_find("batch_norm_leaky_relu_grad"), &how, out, 7, g->in[0], batch_norm_operand(g, 1),
             batch_norm_operand(g, 2), g->out[1], g->out[2], g->dout[0], val_ok(added) ? g->out[0] : NONE);
    batch_norm_give(g, (BatchNormGrad){out[0], out[1], out[2]});
    if (val_ok(added))
        g->din[RESIDUAL] = out[3];
}

static double bytes(const OpShapes *s)
{
    return batch_norm_bytes(s) + (s->nin > RESIDUAL && s->in[RESIDUAL].rank >= 0 ? 4.0 : 0) *
                                     (double)shape_count(s->in[0]);
}

/* x twice, dy, y and dresidual once to be read, two results. */
static double grad_bytes(const OpShapes *s)
{
    return s->nout < 4 ? batch_norm_grad_bytes(s) : 28.0 * (double)shape_count(s->in[0]);
}

/* ---------------------------------------------------------------- patterns */
extern const OpDef op_batch_norm_leaky_relu_def, op_batch_norm_leaky_relu_grad_def;

static bool is_op(Prog *p, int node, const char *name)
{
    return node >= 0 && !strcmp(fuse_op(p, node)->name, name);
}

/* True when every reader of this batch norm's y is its one leaky_relu (given back, -1 if there is none) or a
 * leaky_relu_grad of the same slope whose own readers are all gradients of this batch norm.  Then both passes can do
 * without y.  grads counts the leaky_relu_grads that still have readers. */
static bool only_leaky(Prog *p, int norm, int *relu, int *grads, float *slope)
{
    enum { MAX = 16 };
    int users[MAX], readers[MAX];
    Val y = fuse_out(p, norm, 0);
    int n = fuse_uses(p, y, users, MAX);
    *relu = -1;
    *grads = 0;
    if (n > MAX)
        return false;
    for (int i = 0; i < n; i++) {
        bool forward = is_op(p, users[i], "leaky_relu");
        if (!forward && !is_op(p, users[i], "leaky_relu_grad"))
            return false;
        float s = ((const LeakyReluAttrs *)fuse_attrs(p, users[i]))->slope;
        if (i && s != *slope)
            return false;
        *slope = s;
        if (forward) {
            if (*relu >= 0 && *relu != users[i])
                return false;
            *relu = users[i];
            continue;
        }
        Val masked = fuse_out(p, users[i], 0);
        if (fuse_in(p, users[i], 1).id == y.id)
            return false;
        int m = fuse_uses(p, masked, readers, MAX);
        if (m > MAX)
            return false;
        for (int j = 0; j < m; j++)
            if (!is_op(p, readers[j], "batch_norm_grad") || fuse_in(p, readers[j], 4).id != masked.id ||
                fuse_in(p, readers[j], 0).id != fuse_in(p, norm, 0).id ||
                fuse_in(p, readers[j], 1).id != fuse_in(p, norm, 1).id ||
                fuse_in(p, readers[j], 2).id != fuse_out(p, norm, 1).id ||
                fuse_in(p, readers[j], 3).id != fuse_out(p, norm, 2).id)
                return false;
        *grads += m > 0;
    }
    return true;
}

/* batch_norm -> leaky_relu, once no gradient reads y any more (the other pattern comes first). */
static bool rewrite_forward(Prog *p, int norm)
{
    int relu, grads;
    float slope = 0;
    if (!only_leaky(p, norm, &relu, &grads, &slope) || relu < 0 || grads)
        return false;
    BatchNormLeakyReluAttrs a = {*(const BatchNormAttrs *)fuse_attrs(p, norm), slope};
    Val in[5], olds[5];
    for (int i = 0; i < 5; i++) {
        in[i] = fuse_in(p, norm, i);
        olds[i] = i ? fuse_out(p, norm, i) : fuse_out(p, relu, 0);
    }
    fuse_replace(p, norm, &op_batch_norm_leaky_relu_def, in, 5, &a, olds, (const int[]){0, 1, 2, 3, 4}, 5);
    return true;
}

/* leaky_relu_grad -> batch_norm_grad. */
static bool rewrite_backward(Prog *p, int grad)
{
    Val mean = fuse_in(p, grad, 2), masked = fuse_in(p, grad, 4);
    int norm = fuse_node_of(mean), mask = fuse_node_of(masked), relu, grads;
    float slope = 0;
    if (!is_op(p, norm, "batch_norm") || !is_op(p, mask, "leaky_relu_grad") ||
        fuse_in(p, mask, 0).id != fuse_out(p, norm, 0).id || !only_leaky(p, norm, &relu, &grads, &slope))
        return false;
    BatchNormLeakyReluGradAttrs a = {*(const BatchNormGradAttrs *)fuse_attrs(p, grad), slope};
    Val in[6] = {fuse_in(p, grad, 0), fuse_in(p, grad, 1), fuse_in(p, norm, 2), mean, fuse_in(p, grad, 3),
                 fuse_in(p, mask, 1)};
    Val olds[3];
    for (int j = 0; j < 3; j++)
        olds[j] = fuse_out(p, grad, j);
    fuse_replace(p, grad, &op_batch_norm_leaky_relu_grad_def, in, 6, &a, olds, (const int[]){0, 1, 2}, 3);
    return true;
}

/* ---------------------------------------------------------------- with a residual */
/* The add of equal shapes behind a batch norm's y, and the y's place in it. */
static int add_of(Prog *p, int norm, int *side)
{
    int users[2];
    Val y = fuse_out(p, norm, 0);
    if (fuse_uses(p, y, users, 2) != 1 || !is_op(p, users[0], "add"))
        return -1;
    *side = fuse_in(p, users[0], 0).id == y.id ? 0 : 1;
    Val other = fuse_in(p, users[0], 1 - *side);
    return other.id != y.id && shape_equal(val_shape(other), val_shape(y)) ? users[0] : -1;
}

/* The leaky_relu of a value with that slope, -1 if there is none; only: whether it is the value's one reader. */
static int relu_of(Prog *p, Val x, float slope, bool any_slope, bool *only)
{
    enum { MAX = 16 };
    int users[MAX], found = -1, n = fuse_uses(p, x, users, MAX);
    for (int i = 0; i < n && i < MAX; i++)
        if (is_op(p, users[i], "leaky_relu") &&
            (any_slope || ((const LeakyReluAttrs *)fuse_attrs(p, users[i]))->slope == slope))
            found = users[i];
    *only = n == 1;
    return found;
}

/* batch_norm -> add -> leaky_relu, when nobody else reads what lies between. */
static bool rewrite_residual(Prog *p, int norm)
{
    int side, add = add_of(p, norm, &side);
    bool only;
    if (add < 0)
        return false;
    int relu = relu_of(p, fuse_out(p, add, 0), 0, true, &only);
    if (relu < 0 || !only || ((const LeakyReluAttrs *)fuse_attrs(p, relu))->slope < 0)
        return false;
    /* The fused op stands where leaky_relu is: readers of the statistics must come later. */
    for (int j = 1; j < 5; j++) {
        enum { MAX = 16 };
        int users[MAX], n = fuse_uses(p, fuse_out(p, norm, j), users, MAX);
        for (int i = 0; i < n; i++)
            if (n > MAX || (users[i] >= 0 && users[i] < relu))
                return false;
    }
    BatchNormLeakyReluAttrs a = {*(const BatchNormAttrs *)fuse_attrs(p, norm),
                                 ((const LeakyReluAttrs *)fuse_attrs(p, relu))->slope};
    Val in[6], olds[5];
    for (int i = 0; i < 5; i++) {
        in[i] = fuse_in(p, norm, i);
        olds[i] = i ? fuse_out(p, norm, i) : fuse_out(p, relu, 0);
    }
    in[RESIDUAL] = fuse_in(p, add, 1 - side);
    fuse_replace(p, relu, &op_batch_norm_leaky_relu_def, in, 6, &a, olds, (const int[]){0, 1, 2, 3, 4}, 5);
    return true;
}

/* leaky_relu_grad -> batch_norm_grad and whoever else takes the cotangent of the sum. */
static bool rewrite_residual_grad(Prog *p, int grad)
{
    Val mean = fuse_in(p, grad, 2), masked = fuse_in(p, grad, 4);
    int norm = fuse_node_of(mean), mask = fuse_node_of(masked);
    if (!is_op(p, norm, "batch_norm") || !is_op(p, mask, "leaky_relu_grad") || mask > grad)
        return false;
    Val sum = fuse_in(p, mask, 0);
    int add = fuse_node_of(sum);
    float slope = ((const LeakyReluAttrs *)fuse_attrs(p, mask))->slope;
    bool only;
    int relu = relu_of(p, sum, slope, false, &only);
    if (!is_op(p, add, "add") || relu < 0 || relu > mask || slope < 0 ||
        !shape_equal(val_shape(fuse_in(p, add, 0)), val_shape(fuse_in(p, add, 1))) ||
        (fuse_in(p, add, 0).id != fuse_out(p, norm, 0).id && fuse_in(p, add, 1).id != fuse_out(p, norm, 0).id))
        return false;
    BatchNormLeakyReluGradAttrs a = {*(const BatchNormGradAttrs *)fuse_attrs(p, grad), slope};
    Val in[7] = {fuse_in(p, grad, 0), fuse_in(p, grad, 1), fuse_in(p, norm, 2), mean, fuse_in(p, grad, 3),
                 fuse_in(p, mask, 1), fuse_out(p, relu, 0)};
    Val olds[4] = {fuse_out(p, grad, 0), fuse_out(p, grad, 1), fuse_out(p, grad, 2), masked};
    fuse_replace(p, mask, &op_batch_norm_leaky_relu_grad_def, in, 7, &a, olds, (const int[]){0, 1, 2, 3}, 4);
    return true;
}

static const FusePattern patterns[] = {
    {"batch_norm_grad", rewrite_backward}, {"batch_norm_grad", rewrite_residual_grad},
    {"batch_norm", rewrite_forward}, {"batch_norm", rewrite_residual}, {0, 0},
};

/* ---------------------------------------------------------------- the ops */
static const OpCase cases[] = {
    {"4x3x5x3 3 3 3 3:pos", "training=true slope=0.2"},
    {"4x3x5x3 3 3 - -", "training=false slope=0.2"},
    {"6x17x3x3 17 17 17 17:pos", "training=true groups=3 slope=0"},
    {"8x33 33 33 33 33:pos", "training=true groups=2 update=false slope=0.01"},
    {"2x2x20x17 - 2 - -", "training=true slope=0.2"},
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3", "training=true slope=0.2"},
    {"6x17x3x3 17 17 17 17:pos 6x17x3x3", "training=true groups=3 slope=0"},
    {"3x5x7x3 5 5 - - 3x5x7x3", "training=false slope=0"},
    {"8x33 33 - 33 33:pos 8x33", "training=true slope=0.01"},
    CASES_END,
};
static const OpCase grad_cases[] = {
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3", "training=true slope=0.2"},
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3", "training=false slope=0.2"},
    {"6x17x3x3 17 17 51 51:pos 6x17x3x3", "training=true groups=3 slope=0"},
    {"8x33 - - 66 66:pos 8x33", "training=true groups=2 slope=0.01"},
    {"2x2x20x17 2 2 2 2:pos 2x2x20x17", "training=true slope=0.2"},
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3 4x3x5x3", "training=true slope=0.2"},
    {"6x17x3x3 17 17 51 51:pos 6x17x3x3 6x17x3x3", "training=true groups=3 slope=0"},
    {"8x33 - - 33 33:pos 8x33 8x33", "training=false slope=0.01"},
    CASES_END,
};
static const OpCase shapes[] = {
    {"16x64x64x64 64 64 64 64:pos", "training=true groups=2 slope=0.2"},
    {"16x256x16x16 256 256 256 256:pos", "training=true groups=2 slope=0.2"},
    {"8x64x128x128 64 64 64 64:pos", "training=true slope=0.2"},
    {"8x512x16x16 512 512 512 512:pos", "training=true slope=0.2"},
    {"16x256x32x32 256 256 256 256:pos 16x256x32x32", "training=true slope=0"},
    CASES_END,
};
static const OpCase grad_shapes[] = {
    {"16x64x64x64 64 64 128 128:pos 16x64x64x64", "training=true groups=2 slope=0.2"},
    {"16x256x16x16 256 256 512 512:pos 16x256x16x16", "training=true groups=2 slope=0.2"},
    {"8x64x128x128 64 64 64 64:pos 8x64x128x128", "training=true slope=0.2"},
    {"8x512x16x16 512 512 512 512:pos 8x512x16x16", "training=true slope=0.2"},
    {"16x256x32x32 256 256 256 256:pos 16x256x32x32 16x256x32x32", "training=true slope=0"},
    CASES_END,
};

OP(batch_norm_leaky_relu) = {
    .name = "batch_norm_leaky_relu",
    .formula = "z = gamma (x - mean) / sqrt(var + eps) + beta + residual; y = z if z > 0 else slope z",
    .operands = "x gamma? beta? running_mean? running_var? residual?",
    .results = "y mean! rstd! new_running_mean! new_running_var!",
    .attr_size = sizeof(BatchNormLeakyReluAttrs), .attrs = attrs, .infer = infer, .vjp = vjp,
    .flop = batch_norm_flop, .bytes = bytes, .cases = cases, .shapes = shapes, .patterns = patterns,
};
/* No second derivatives, as for batch_norm_grad. */
OP(batch_norm_leaky_relu_grad) = {
    .name = "batch_norm_leaky_relu_grad",
    .formula = "dz = dy if z > 0 (with y: y > 0) else slope dy; dx, dgamma, dbeta as in batch_norm_grad; "
               "dresidual = dz",
    .operands = "x gamma? beta? mean rstd dy y?", .results = "dx dgamma dbeta dresidual",
    .attr_size = sizeof(BatchNormLeakyReluGradAttrs), .attrs = grad_attrs, .flags = OP_NO_GRAD,
    .infer = grad_infer, .flop = batch_norm_grad_flop, .bytes = grad_bytes, .cases = grad_cases,
    .shapes = grad_shapes,
};

BatchNorm op_batch_norm_leaky_relu(Val x, Val gamma, Val beta, Val running_mean, Val running_var,
                                   BatchNormLeakyReluAttrs a)
{
    Val out[5] = {NONE};
    a.norm = batch_norm_defaults(a.norm);
    op_build(&op_batch_norm_leaky_relu_def, &a, out, 5, x, gamma, beta, running_mean, running_var);
    return (BatchNorm){out[0], out[1], out[2], out[3], out[4]};
}

BatchNormGrad op_batch_norm_leaky_relu_grad(Val x, Val gamma, Val beta, Val mean, Val rstd, Val dy,
                                            BatchNormLeakyReluGradAttrs a)
{
    Val out[4] = {NONE};
    op_build(&op_batch_norm_leaky_relu_grad_def, &a, out, 6, x, gamma, beta, mean, rstd, dy);
    return (BatchNormGrad){out[0], out[1], out[2]};
}
