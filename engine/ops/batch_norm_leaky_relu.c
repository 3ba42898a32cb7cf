/* batch_norm_leaky_relu.c - batch normalisation and leaky ReLU in one op, and the patterns that find them.
 *
 * The mask of the gradient is z > 0 with z = gamma (x - mean) rstd + beta computed again, so any slope will do, 0
 * (ReLU) included.  The kernels are those of batch_norm, which is this op with slope 1. */
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

static void infer(OpShapes *s)
{
    batch_norm_infer(s, &((const BatchNormLeakyReluAttrs *)s->attrs)->norm);
}

static void grad_infer(OpShapes *s)
{
    batch_norm_grad_infer(s, &((const BatchNormLeakyReluGradAttrs *)s->attrs)->norm, 3);
}

static void vjp(OpVjp *g)
{
    const BatchNormLeakyReluAttrs *a = g->attrs;
    if (batch_norm_only_y(g))
        batch_norm_give(g, op_batch_norm_leaky_relu_grad(
                               g->in[0], batch_norm_operand(g, 1), batch_norm_operand(g, 2), g->out[1], g->out[2],
                               g->dout[0],
                               (BatchNormLeakyReluGradAttrs){{a->norm.groups, a->norm.training}, a->slope}));
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

static const FusePattern patterns[] = {
    {"batch_norm_grad", rewrite_backward}, {"batch_norm", rewrite_forward}, {0, 0},
};

/* ---------------------------------------------------------------- the ops */
static const OpCase cases[] = {
    {"4x3x5x3 3 3 3 3:pos", "training=true slope=0.2"},
    {"4x3x5x3 3 3 - -", "training=false slope=0.2"},
    {"6x17x3x3 17 17 17 17:pos", "training=true groups=3 slope=0"},
    {"8x33 33 33 33 33:pos", "training=true groups=2 update=false slope=0.01"},
    {"2x2x20x17 - 2 - -", "training=true slope=0.2"},
    CASES_END,
};
static const OpCase grad_cases[] = {
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3", "training=true slope=0.2"},
    {"4x3x5x3 3 3 3 3:pos 4x3x5x3", "training=false slope=0.2"},
    {"6x17x3x3 17 17 51 51:pos 6x17x3x3", "training=true groups=3 slope=0"},
    {"8x33 - - 66 66:pos 8x33", "training=true groups=2 slope=0.01"},
    {"2x2x20x17 2 2 2 2:pos 2x2x20x17", "training=true slope=0.2"},
    CASES_END,
};
static const OpCase shapes[] = {
    {"16x64x64x64 64 64 64 64:pos", "training=true groups=2 slope=0.2"},
    {"16x256x16x16 256 256 256 256:pos", "training=true groups=2 slope=0.2"},
    {"8x64x128x128 64 64 64 64:pos", "training=true slope=0.2"},
    {"8x512x16x16 512 512 512 512:pos", "training=true slope=0.2"},
    CASES_END,
};
static const OpCase grad_shapes[] = {
    {"16x64x64x64 64 64 128 128:pos 16x64x64x64", "training=true groups=2 slope=0.2"},
    {"16x256x16x16 256 256 512 512:pos 16x256x16x16", "training=true groups=2 slope=0.2"},
    {"8x64x128x128 64 64 64 64:pos 8x64x128x128", "training=true slope=0.2"},
    {"8x512x16x16 512 512 512 512:pos 8x512x16x16", "training=true slope=0.2"},
    CASES_END,
};

OP(batch_norm_leaky_relu) = {
    .name = "batch_norm_leaky_relu",
    .formula = "z = gamma (x - mean) / sqrt(var + eps) + beta; y = z if z > 0 else slope z",
    .operands = "x gamma? beta? running_mean? running_var?",
    .results = "y mean! rstd! new_running_mean! new_running_var!",
    .attr_size = sizeof(BatchNormLeakyReluAttrs), .attrs = attrs, .infer = infer, .vjp = vjp,
    .flop = batch_norm_flop, .bytes = batch_norm_bytes, .cases = cases, .shapes = shapes, .patterns = patterns,
};
/* No second derivatives, as for batch_norm_grad. */
OP(batch_norm_leaky_relu_grad) = {
    .name = "batch_norm_leaky_relu_grad",
    .formula = "dz = dy if z > 0 else slope dy; dx, dgamma, dbeta as in batch_norm_grad",
    .operands = "x gamma? beta? mean rstd dy", .results = "dx dgamma dbeta",
    .attr_size = sizeof(BatchNormLeakyReluGradAttrs), .attrs = grad_attrs, .flags = OP_NO_GRAD,
    .infer = grad_infer, .flop = batch_norm_grad_flop, .bytes = batch_norm_grad_bytes, .cases = grad_cases,
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
    Val out[3] = {NONE};
    op_build(&op_batch_norm_leaky_relu_grad_def, &a, out, 6, x, gamma, beta, mean, rstd, dy);
    return (BatchNormGrad){out[0], out[1], out[2]};
}
