/* arcface_cross_entropy.c - the op, its gradient, and the pattern that finds them.
 *
 * Apart, margin and cross-entropy pass over (B, N) five times forward and backward, 28 bytes an element; together they
 * read the cosines once each way and write the gradient that feeds two matrix products, 12 bytes. */
#include "engine/ops/arcface_cross_entropy.h"

#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/infer.h"

static const OpAttr attrs[] = {
    {"s", ATTR_REAL, offsetof(ArcfaceAttrs, s), "64", "scale of the cosines"},
    {"m", ATTR_REAL, offsetof(ArcfaceAttrs, m), "0.5", "margin in radians"},
    {"easy_gradient", ATTR_BOOL, offsetof(ArcfaceAttrs, easy_gradient), "false",
     "without the factor sin(theta + m) / sin(theta)"},
    ATTRS_END,
};

static bool operands(OpShapes *s)
{
    const ArcfaceAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 2) || !infer_operand(s, 1, I32, 1))
        return false;
    if (s->in[0].dim[1] < 1)
        op_mistake(s, "there are no classes");
    else if (s->in[1].dim[0] != s->in[0].dim[0])
        op_mistake(s, "%ld labels for %ld samples", (long)s->in[1].dim[0], (long)s->in[0].dim[0]);
    else if (!(a->s > 0) || !isfinite(a->s))
        op_mistake(s, "s=%g must be above 0", (double)a->s);
    else if (!(a->m >= 0 && a->m < 3.14159f))
        op_mistake(s, "m=%g must lie in [0, pi)", (double)a->m);
    else
        return true;
    return false;
}

static void infer(OpShapes *s)
{
    if (!operands(s))
        return;
    s->out[0] = SHAPE(s->in[0].dim[0]);
    s->out[1] = SHAPE(s->in[0].dim[0], 2);
}

static void grad_infer(OpShapes *s)
{
    if (!operands(s) || !infer_operand(s, 2, F32, 2) || !infer_operand(s, 3, F32, 1))
        return;
    if (s->in[2].dim[0] != s->in[0].dim[0] || s->in[2].dim[1] != 2)
        op_mistake(s, "rows must be two numbers a sample");
    else if (s->in[3].dim[0] != s->in[0].dim[0])
        op_mistake(s, "%ld cotangents for %ld samples", (long)s->in[3].dim[0], (long)s->in[0].dim[0]);
    s->out[0] = s->in[0];
}

static void vjp(OpVjp *g)
{
    g->din[0] = op_arcface_cross_entropy_grad(g->in[0], g->in[1], g->out[1], g->dout[0],
                                              *(const ArcfaceAttrs *)g->attrs);
}

/* A product, a difference, an exponential (counted as one) and a sum; the gradient scales twice instead of adding. */
static double flop(const OpShapes *s)
{
    return 4.0 * (double)shape_count(s->in[0]);
}
static double grad_flop(const OpShapes *s)
{
    return 5.0 * (double)shape_count(s->in[0]);
}

/* ---------------------------------------------------------------- pattern */
extern const OpDef op_arcface_cross_entropy_def, op_arcface_cross_entropy_grad_def;

static bool is_op(Prog *p, int node, const char *name)
{
    return node >= 0 && !strcmp(fuse_op(p, node)->name, name);
}

/* The arcface_margin_grad through which alone the gradient of the logits passes, -1 if there is none. */
static int margin_grad_of(Prog *p, int grad, int margin)
{
    int user;
    if (fuse_uses(p, fuse_out(p, grad, 0), &user, 1) != 1 || !is_op(p, user, "arcface_margin_grad"))
        return -1;
    return fuse_in(p, user, 0).id == fuse_in(p, margin, 0).id && fuse_in(p, user, 1).id == fuse_in(p, margin, 1).id &&
           fuse_in(p, user, 2).id == fuse_out(p, grad, 0).id &&
           op_attrs_equal(&op_arcface_cross_entropy_def, fuse_attrs(p, user), fuse_attrs(p, margin)) ? user : -1;
}

/* The readers of a margin's logits, when they are its cross-entropy (forward, -1 if only gradients are asked for) and
 * at most MAX gradients of it that pass through the margin alone. */
enum { MAX_GRADS = 8 };
typedef struct Readers {
    int forward, n, grad[MAX_GRADS], margin_grad[MAX_GRADS];
} Readers;

static bool only_loss(Prog *p, int margin, Readers *r)
{
    int users[MAX_GRADS + 1], n = fuse_uses(p, fuse_out(p, margin, 0), users, MAX_GRADS + 1);
    Val logits = fuse_out(p, margin, 0), labels = fuse_in(p, margin, 1);
    *r = (Readers){.forward = -1};
    if (n > MAX_GRADS + 1)
        return false;
    for (int i = 0; i < n; i++) {
        bool forward = is_op(p, users[i], "softmax_cross_entropy");
        if (!forward && !is_op(p, users[i], "softmax_cross_entropy_grad"))
            return false;
        if (fuse_in(p, users[i], 0).id != logits.id || fuse_in(p, users[i], 1).id != labels.id)
            return false;
        if (forward) {
            r->forward = users[i];
            continue;
        }
        int through = margin_grad_of(p, users[i], margin);
        if (through < 0 || r->n == MAX_GRADS)
            return false;
        r->grad[r->n] = users[i];
        r->margin_grad[r->n++] = through;
    }
    return r->n > 0 || r->forward >= 0;
}

/* arcface_margin -> softmax_cross_entropy, and softmax_cross_entropy_grad -> arcface_margin_grad. */
static bool rewrite(Prog *p, int margin)
{
    Readers r;
    if (!only_loss(p, margin, &r))
        return false;
    ArcfaceAttrs a = *(const ArcfaceAttrs *)fuse_attrs(p, margin);
    Val in[4] = {fuse_in(p, margin, 0), fuse_in(p, margin, 1)}, old = NONE;
    if (r.forward >= 0)
        old = fuse_out(p, r.forward, 0);
    fuse_replace(p, margin, &op_arcface_cross_entropy_def, in, 2, &a, &old, (const int[]){0}, r.forward >= 0);
    in[2] = fuse_out(p, margin, 1);   /* the fused op stands where the margin was, all others one further */
    for (int i = 0; i < r.n; i++) {
        in[3] = fuse_in(p, r.grad[i] + 1 + i, 2);
        old = fuse_out(p, r.margin_grad[i] + 1 + i, 0);
        fuse_replace(p, r.margin_grad[i] + 1 + i, &op_arcface_cross_entropy_grad_def, in, 4, &a, &old,
                     (const int[]){0}, 1);
    }
    return true;
}

static const FusePattern patterns[] = {{"arcface_margin", rewrite}, {0, 0}};

/* ---------------------------------------------------------------- the ops */
/* Cosines as in the cases of arcface_margin. */
static const OpCase cases[] = {
    {"5x7:unit 5:i32<7", "s=64 m=0.5"}, {"3x1:unit 3:i32<1", "s=1 m=0"}, {"4x130:unit 4:i32<130", "s=30 m=0.35"},
    {"1x4001:unit 1:i32<4001", "s=8 m=0.5"}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"5x7:unit 5:i32<7 5x2:pos 5", "s=2 m=0.5"}, {"3x1:unit 3:i32<1 3x2:pos 3", "s=1 m=0"},
    {"4x130:unit 4:i32<130 4x2:pos 4", "s=3 m=0.35 easy_gradient=true"}, CASES_END,
};
static const OpCase shapes[] = {
    {"128x482:unit 128:i32<482", ""}, {"128x18143:unit 128:i32<18143", ""}, CASES_END,
};
static const OpCase grad_shapes[] = {
    {"128x482:unit 128:i32<482 128x2:pos 128", ""}, {"128x18143:unit 128:i32<18143 128x2:pos 128", ""}, CASES_END,
};

OP(arcface_cross_entropy) = {
    .name = "arcface_cross_entropy",
    .formula = "y = log(sum_j exp(z_j)) - z_label, z = s cos(theta + m) for the class of the label, s cos(theta) for "
               "others",
    .operands = "cosine labels", .results = "y rows!", .attr_size = sizeof(ArcfaceAttrs), .attrs = attrs,
    .infer = infer, .vjp = vjp, .flop = flop, .cases = cases, .shapes = shapes, .patterns = patterns,
    .source = "Deng et al. 2019, eq. 3",
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(arcface_cross_entropy_grad) = {
    .name = "arcface_cross_entropy_grad",
    .formula = "dcosine = s dy (softmax(z) - onehot(label)), times sin(theta + m) / sin(theta) for the class of the "
               "label",
    .operands = "cosine labels rows dy", .results = "dcosine", .attr_size = sizeof(ArcfaceAttrs), .attrs = attrs,
    .flags = OP_NO_GRAD, .infer = grad_infer, .flop = grad_flop, .cases = grad_cases, .shapes = grad_shapes,
    .source = "Deng et al. 2019, eq. 3",
};

static ArcfaceAttrs defaults(ArcfaceAttrs a)
{
    a.s = a.s == 0 ? 64 : a.s;
    return a;
}

ArcfaceCrossEntropy op_arcface_cross_entropy(Val cosine, Val labels, ArcfaceAttrs a)
{
    Val out[2] = {NONE};
    a = defaults(a);
    op_build(&op_arcface_cross_entropy_def, &a, out, 2, cosine, labels);
    return (ArcfaceCrossEntropy){out[0], out[1]};
}

Val op_arcface_cross_entropy_grad(Val cosine, Val labels, Val rows, Val dy, ArcfaceAttrs a)
{
    a = defaults(a);
    return op_build(&op_arcface_cross_entropy_grad_def, &a, NULL, 4, cosine, labels, rows, dy);
}
