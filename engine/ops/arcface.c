/* arcface.c - arcface_margin, its two gradients, and arcface = normalise, multiply, margin, cross-entropy.
 *
 * Finite differences prove the exact gradient (the cases); the easy one, which is no derivative of the forward pass, is
 * proven against its formula by tests/250_losses.c. */
#include "engine/ops/arcface.h"

#include <math.h>

#include "engine/op.h"
#include "engine/ops/infer.h"
#include "engine/ops/l2_normalize.h"
#include "engine/ops/matmul.h"
#include "engine/ops/softmax_cross_entropy.h"

static const OpAttr attrs[] = {
    {"s", ATTR_REAL, offsetof(ArcfaceAttrs, s), "64", "scale of the cosines"},
    {"m", ATTR_REAL, offsetof(ArcfaceAttrs, m), "0.5", "margin in radians"},
    {"easy_gradient", ATTR_BOOL, offsetof(ArcfaceAttrs, easy_gradient), "false",
     "without the factor sin(theta + m) / sin(theta)"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const ArcfaceAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 2) || !infer_operand(s, 1, I32, 1))
        return;
    if (s->in[1].dim[0] != s->in[0].dim[0])
        op_mistake(s, "%ld labels for %ld samples", (long)s->in[1].dim[0], (long)s->in[0].dim[0]);
    else if (!(a->s > 0) || !isfinite(a->s))
        op_mistake(s, "s=%g must be above 0", (double)a->s);
    else if (!(a->m >= 0 && a->m < 3.14159f))
        op_mistake(s, "m=%g must lie in [0, pi)", (double)a->m);
    else if (s->nin > 2 && infer_operand(s, 2, F32, 2) && !shape_equal(s->in[2], s->in[0]))
        op_mistake(s, "operands cosine and dy differ in shape");
    s->out[0] = s->in[0];
}

static void vjp(OpVjp *g)
{
    g->din[0] = op_arcface_margin_grad(g->in[0], g->in[1], g->dout[0], *(const ArcfaceAttrs *)g->attrs);
}

static Val expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    if (nin < 3 || val_shape(in[0]).rank != 2 || val_shape(in[1]).rank != 2 || val_dim(in[0], 1) != val_dim(in[1], 1)) {
        char x[96], w[96];
        return prog_mistake(p, "arcface: x %s and w %s must be (B, D) and (N, D)",
                            shape_text(val_shape(in[0]), x, sizeof x), shape_text(val_shape(in[1]), w, sizeof w));
    }
    Val cosine = op_linear(op_l2_normalize(in[0]), op_l2_normalize(in[1]), NONE);
    Val logits = op_append(p, op_find("arcface_margin"), (const Val[]){cosine, in[2]}, 2, attrs, NULL);
    return op_softmax_cross_entropy(logits, in[2]);
}

/* Uniforms in (0, 1) as cosines keep away from the jump at theta + m = pi for m < pi/2, which tests/250_losses.c
 * covers. */
static const OpCase cases[] = {
    {"5x7:unit 5:i32<7", "s=64 m=0.5"}, {"3x1:unit 3:i32<1", "s=1 m=0"}, {"4x130:unit 4:i32<130", "s=30 m=0.35"},
    CASES_END,
};
static const OpCase grad_cases[] = {
    {"5x7:unit 5:i32<7 5x7", "s=64 m=0.5"}, {"3x1:unit 3:i32<1 3x1", "s=1 m=0"},
    {"4x130:unit 4:i32<130 4x130", "s=30 m=0.35 easy_gradient=true"}, CASES_END,
};
static const OpCase loss_cases[] = {
    {"3x5 4x5 3:i32<4", "s=8 m=0.3"}, {"6x33 17x33 6:i32<17", "s=16 m=0.5"}, CASES_END,
};
static const OpCase shapes[] = {
    {"128x482:unit 128:i32<482", ""}, {"128x18143:unit 128:i32<18143", ""}, CASES_END,
};
static const OpCase grad_shapes[] = {
    {"128x482:unit 128:i32<482 128x482", ""}, {"128x18143:unit 128:i32<18143 128x18143", ""}, CASES_END,
};
static const OpCase loss_shapes[] = {
    {"128x512 482x512 128:i32<482", ""}, {"128x512 18143x512 128:i32<18143", ""}, CASES_END,
};

OP(arcface_margin) = {
    .name = "arcface_margin", .formula = "y = s cos(theta + m) for the class of the label, s cos(theta) for others",
    .operands = "cosine labels", .results = "y", .attr_size = sizeof(ArcfaceAttrs), .attrs = attrs, .infer = infer,
    .vjp = vjp, .cases = cases, .shapes = shapes, .source = "Deng et al. 2019, eq. 3",
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(arcface_margin_grad) = {
    .name = "arcface_margin_grad",
    .formula = "dcosine = s dy, times sin(theta + m) / sin(theta) for the class of the label",
    .operands = "cosine labels dy", .results = "dcosine", .attr_size = sizeof(ArcfaceAttrs), .attrs = attrs,
    .flags = OP_NO_GRAD, .infer = infer, .cases = grad_cases, .shapes = grad_shapes,
    .source = "Deng et al. 2019, eq. 3",
};
OP(arcface) = {
    .name = "arcface",
    .formula = "y = softmax_cross_entropy(arcface_margin(x/|x| (w/|w|)^T, labels), labels)",
    .operands = "x w labels", .results = "y", .attr_size = sizeof(ArcfaceAttrs), .attrs = attrs,
    .flags = OP_EXPAND, .expand = expand, .cases = loss_cases, .shapes = loss_shapes,
    .source = "Deng et al. 2019, eq. 3",
};

static ArcfaceAttrs defaults(ArcfaceAttrs a)
{
    a.s = a.s == 0 ? 64 : a.s;
    return a;
}

Val op_arcface_margin(Val cosine, Val labels, ArcfaceAttrs a)
{
    a = defaults(a);
    return op_build(&op_arcface_margin_def, &a, NULL, 2, cosine, labels);
}

Val op_arcface_margin_grad(Val cosine, Val labels, Val dy, ArcfaceAttrs a)
{
    a = defaults(a);
    return op_build(&op_arcface_margin_grad_def, &a, NULL, 3, cosine, labels, dy);
}

Val op_arcface(Val x, Val w, Val labels, ArcfaceAttrs a)
{
    a = defaults(a);
    return op_build(&op_arcface_def, &a, NULL, 3, x, w, labels);
}
