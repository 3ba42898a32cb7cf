/* affine.c - see affine.h. */
#include "engine/ops/affine.h"

#include "engine/op.h"
#include "engine/ops/infer.h"

static const OpAttr attrs[] = {
    {"scale", ATTR_REAL, offsetof(AffineAttrs, scale), "1", "factor"},
    {"shift", ATTR_REAL, offsetof(AffineAttrs, shift), "0", "summand"},
    ATTRS_END,
};

static void vjp(OpVjp *g)
{
    const AffineAttrs *a = g->attrs;
    g->din[0] = op_scale(g->dout[0], a->scale);
}

static const OpCase cases[] = {
    {"2x3x4x5", "scale=0.5 shift=-1"}, {"7", "scale=-3"}, {"2x17x3x3", "scale=2 shift=1"}, {"2x17x3x3", "scale=2"},
    {"s", "shift=0.5"}, CASES_END,
};
static const OpCase shapes[] = {
    {"8x3x128x128", "scale=0.5 shift=0.5"}, {"8x512x16x16", "scale=0.5"}, CASES_END,
};

OP(affine) = {
    .name = "affine", .formula = "y = scale x + shift", .operands = "x", .results = "y",
    .attr_size = sizeof(AffineAttrs), .attrs = attrs, .infer = infer_same, .vjp = vjp,
    .cases = cases, .shapes = shapes,
};

Val op_affine(Val x, float scale, float shift)
{
    if (scale == 1 && shift == 0)
        return x;
    return op_build(&op_affine_def, &(AffineAttrs){scale, shift}, NULL, 1, x);
}

Val op_scale(Val x, float scale)
{
    return op_affine(x, scale, 0);
}
