/* pad.c - y(o) = x(o - before), a constant outside, or x mirrored.  PyTorch's functional.pad. */
#include "engine/ops/pad.h"

#include "engine/ops/infer.h"
#include "engine/ops/pad_rule.h"

static const OpAttr attrs[] = {
    {"pad", ATTR_INTS, offsetof(PadAttrs, pad), "", "left,right,top,bottom,front,back: of 1 to 3 last axes"},
    {"mode", ATTR_TEXT, offsetof(PadAttrs, mode), "constant", "constant or reflect"},
    {"value", ATTR_REAL, offsetof(PadAttrs, value), "0", "of new elements with mode=constant"},
    ATTRS_END,
};
static const OpAttr grad_attrs[] = {
    {"pad", ATTR_INTS, offsetof(PadAttrs, pad), "", "of the forward op, which had mode=reflect"},
    ATTRS_END,
};

enum { AMOUNT_MAX = 1 << 30 };

/* Sizes before and behind; sign 1: of x and y, -1: of dy and dx. */
static void infer_sizes(OpShapes *s, bool reflect, int sign)
{
    const AttrInts *pad = &((const PadAttrs *)s->attrs)->pad;
    if (!infer_operand(s, 0, F32, -1))
        return;
    int rank = s->in[0].rank;
    if (pad->n % 2 || pad->n > 2 * PAD_AXES || pad->n / 2 > rank) {
        op_mistake(s, "pad has %d amounts and must have two for each of up to %d last axes", pad->n, PAD_AXES);
        return;
    }
    Shape y = s->in[0];
    for (int i = 0; i < pad->n / 2; i++) {
        int64_t before = pad->v[2 * i], after = pad->v[2 * i + 1], *size = &y.dim[rank - 1 - i];
        if (before < -AMOUNT_MAX || before > AMOUNT_MAX || after < -AMOUNT_MAX || after > AMOUNT_MAX ||
            *size + sign * (before + after) < 0 || (!reflect && (*size + before < 0 || *size + after < 0))) {
            op_mistake(s, "axis %d has %ld elements: amounts %ld and %ld do not fit", rank - 1 - i, (long)*size,
                       (long)before, (long)after);
            return;
        }
        int64_t x = sign > 0 ? *size : *size - before - after;
        if (reflect && (before < 0 || after < 0 || before >= x || after >= x)) {
            op_mistake(s, "amounts %ld and %ld must be 0 to %ld: reflect has no more to mirror along axis %d",
                       (long)before, (long)after, (long)x - 1, rank - 1 - i);
            return;
        }
        *size += sign * (before + after);
    }
    s->out[0] = y;
}

static void infer(OpShapes *s)
{
    const PadAttrs *a = s->attrs;
    if (!a->mode || (strcmp(a->mode, "constant") && strcmp(a->mode, "reflect")))
        op_mistake(s, "mode is \"%s\" and must be constant or reflect", a->mode ? a->mode : "");
    else
        infer_sizes(s, pad_reflects(a), 1);
}

static void grad_infer(OpShapes *s)
{
    infer_sizes(s, true, -1);
}

static void vjp(OpVjp *g)
{
    const PadAttrs *a = g->attrs;
    if (pad_reflects(a)) {
        g->din[0] = op_pad_grad(g->dout[0], a->pad);
        return;
    }
    PadAttrs cut = {.pad = a->pad};
    for (int i = 0; i < cut.pad.n; i++)
        cut.pad.v[i] = -cut.pad.v[i];
    g->din[0] = op_pad(g->dout[0], cut);
}

static void grad_vjp(OpVjp *g)
{
    g->din[0] = op_pad(g->dout[0], (PadAttrs){.pad = ((const PadAttrs *)g->attrs)->pad, .mode = "reflect"});
}

static double no_flop(const OpShapes *s)
{
    (void)s;
    return 0;
}

static double grad_flop(const OpShapes *s)
{
    return (double)shape_count(s->in[0]);
}

static const OpCase cases[] = {
    {"2x3x4x5", "pad=1,2,3,0"}, {"1x17x5x3", "pad=0,1,0,1"}, {"2x20x5x6", "pad=1,1,1,1 value=0.5"},
    {"1x18x4x4", "pad=0,0,1,2,3,1"}, {"1x17x5x6", "pad=-1,2,1,-2"}, {"7", "pad=2,3 value=-1"},
    {"2x33x4x4", "pad=-1,-1,-1,-1"}, {"1x1x1x1", "pad=1,1,1,1"}, {"2x5x4", "pad=1,0,0,2,1,1 value=3"},
    {"2x3x4x5", "mode=reflect pad=1,2,3,0"}, {"1x17x5x3", "mode=reflect pad=2,2,4,4"},
    {"1x20x6x7", "mode=reflect pad=1,1,1,1"}, {"1x18x4x4", "mode=reflect pad=0,0,1,2,3,1"},
    {"7", "mode=reflect pad=6,6"}, {"3x5", "mode=reflect pad=2,0"}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"2x3x7x8", "pad=1,2,3,0"}, {"1x17x13x7", "pad=2,2,4,4"}, {"1x20x8x9", "pad=1,1,1,1"},
    {"1x22x7x4", "pad=0,0,1,2,3,1"}, {"19", "pad=6,6"}, {"3x7", "pad=2,0"}, CASES_END,
};
/* FaceNet's uneven borders and a ring around a map of the generator. */
static const OpCase shapes[] = {
    {"8x64x112x112", "pad=0,1,0,1"}, {"8x64x112x112", "pad=1,1,1,1"},
    {"8x64x112x112", "mode=reflect pad=1,1,1,1"}, CASES_END,
};
static const OpCase grad_shapes[] = {{"8x64x114x114", "pad=1,1,1,1"}, CASES_END};

OP(pad) = {
    .name = "pad", .formula = "y(o) = x(o - before), outside it a constant or x mirrored", .operands = "x",
    .results = "y", .attr_size = sizeof(PadAttrs), .attrs = attrs, .infer = infer, .vjp = vjp, .flop = no_flop,
    .cases = cases, .shapes = shapes,
};
OP(pad_grad) = {
    .name = "pad_grad", .formula = "dx(i) = sum of dy(o) over o that mirror i", .operands = "dy", .results = "dx",
    .attr_size = sizeof(PadAttrs), .attrs = grad_attrs, .infer = grad_infer, .vjp = grad_vjp, .flop = grad_flop,
    .cases = grad_cases, .shapes = grad_shapes,
};

static bool nothing(const AttrInts *pad)
{
    for (int i = 0; i < pad->n; i++)
        if (pad->v[i])
            return false;
    return true;
}

Val op_pad(Val x, PadAttrs a)
{
    a.mode = a.mode ? a.mode : "constant";
    if (pad_reflects(&a))
        a.value = 0;
    if (val_ok(x) && a.pad.n % 2 == 0 && a.pad.n <= 2 * val_shape(x).rank && nothing(&a.pad))
        return x;
    return op_build(&op_pad_def, &a, NULL, 1, x);
}

Val op_pad_grad(Val dy, AttrInts pad)
{
    return op_build(&op_pad_grad_def, &(PadAttrs){.pad = pad}, NULL, 1, dy);
}
