/* constant.c - see constant.h. */
#include "engine/ops/constant.h"

#include "engine/ops/infer.h"

static double no_flop(const OpShapes *s)
{
    (void)s;
    return 0;
}

/* Result 0 is like operand 0, whatever its dtype. */
static void infer_copy(OpShapes *s)
{
    if (s->nin < 1 || s->in[0].rank < 0) {
        op_mistake(s, "operand %s is missing", infer_name(s, 0));
        return;
    }
    s->out[0] = s->in[0];
    s->out_dtype[0] = s->in_dtype[0];
}

/* ---------------------------------------------------------------- fill */
static const OpAttr fill_attrs[] = {
    {"shape", ATTR_INTS, offsetof(FillAttrs, shape), "", "dimensions"},
    {"value", ATTR_REAL, offsetof(FillAttrs, value), "0", "the number"},
    ATTRS_END,
};

static void fill_infer(OpShapes *s)
{
    const FillAttrs *a = s->attrs;
    for (int i = 0; i < a->shape.n; i++)
        if (a->shape.v[i] < 0) {
            op_mistake(s, "dimension %d is negative", i);
            return;
        }
    s->out[0] = shape_make(a->shape.v, a->shape.n);
}

static const OpCase fill_cases[] = {{"", "shape=2,3,4,5 value=0.5"}, {"", "shape=7"}, {"", "value=-2"}, CASES_END};

/* No gradient: there is no operand. */
OP(fill) = {
    .name = "fill", .formula = "y = value", .operands = "", .results = "y", .attr_size = sizeof(FillAttrs),
    .attrs = fill_attrs, .flags = OP_NO_GRAD, .infer = fill_infer, .flop = no_flop, .cases = fill_cases,
};

Val op_fill(Prog *p, Shape shape, float value)
{
    FillAttrs a = {.value = value};
    for (int i = 0; i < shape.rank && i < INTS_MAX; i++)
        a.shape.v[a.shape.n++] = shape.dim[i];
    return p ? op_append(p, &op_fill_def, NULL, 0, &a, NULL) : NONE;
}

/* ---------------------------------------------------------------- stop_gradient */
/* No gradient: that is its purpose. */
OP(stop_gradient) = {
    .name = "stop_gradient", .formula = "y = x, dx = 0", .operands = "x", .results = "y",
    .flags = OP_IDENTITY | OP_NO_GRAD, .infer = infer_copy, .flop = no_flop,
};

Val op_stop_gradient(Val x)
{
    return op_build(&op_stop_gradient_def, NULL, NULL, 1, x);
}

/* ---------------------------------------------------------------- assign */
static void assign_infer(OpShapes *s)
{
    infer_copy(s);
    if (s->nin < 2 || s->in[1].rank < 0)
        op_mistake(s, "operand %s is missing", infer_name(s, 1));
    else if (!shape_equal(s->in[0], s->in[1]) || s->in_dtype[0] != s->in_dtype[1])
        op_mistake(s, "target and value differ in shape or dtype");
}

/* No gradient and no kernel: the plan gives the value the target's memory, or copies it there at the end. */
OP(assign) = {
    .name = "assign", .formula = "target := value", .operands = "target value", .results = "none",
    .flags = OP_ASSIGN | OP_NO_CSE | OP_NO_GRAD, .infer = assign_infer, .flop = no_flop,
};

Val op_assign(Val target, Val value)
{
    return op_build(&op_assign_def, NULL, NULL, 2, target, value);
}

/* ---------------------------------------------------------------- copy */
static void copy_vjp(OpVjp *g)
{
    g->din[0] = g->dout[0];
}

static const OpCase copy_cases[] = {
    {"2x3x4x5", ""}, {"7:i32<10", ""}, {"2x3x5x5:u8", ""}, {"2x17x3x3", ""}, {"s", ""}, CASES_END,
};
static const OpCase copy_shapes[] = {{"8x64x128x128", ""}, CASES_END};

OP(copy) = {
    .name = "copy", .formula = "y = x", .operands = "x", .results = "y", .flags = OP_NO_CSE, .infer = infer_copy,
    .vjp = copy_vjp, .flop = no_flop, .cases = copy_cases, .shapes = copy_shapes,
};

Val op_copy(Val x)
{
    return op_build(&op_copy_def, NULL, NULL, 1, x);
}

/* ---------------------------------------------------------------- reorder */
static const OpAttr reorder_attrs[] = {
    {"format", ATTR_INT, offsetof(ReorderAttrs, format), "0",
     "0 plain, 1 blocks of 16 channels, 2 channels last; in bfloat16 3 blocks, 4 channels last"},
    ATTRS_END,
};

static void reorder_infer(OpShapes *s)
{
    const ReorderAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 4))
        return;
    if (a->format < PLAIN || a->format >= FORMATS) {
        op_mistake(s, "format %d is none of 0, 1, 2, 3, 4", a->format);
        return;
    }
    s->out[0] = s->in[0];
}

static const OpCase reorder_cases[] = {
    {"2x3x4x5", "format=0"}, {"2x17x3x3", "format=0"}, {"1x1x1x1", "format=0"}, CASES_END,
};

/* No gradient: it appears only in plans, after differentiation. */
OP(reorder) = {
    .name = "reorder", .formula = "y = x in another format", .operands = "x", .results = "y",
    .attr_size = sizeof(ReorderAttrs), .attrs = reorder_attrs, .flags = OP_NO_GRAD, .infer = reorder_infer,
    .flop = no_flop, .cases = reorder_cases,
};

Val op_reorder(Val x, Format format)
{
    return op_build(&op_reorder_def, &(ReorderAttrs){(int)format}, NULL, 1, x);
}

/* ---------------------------------------------------------------- bytes_to_real */
static const OpAttr bytes_attrs[] = {
    {"scale", ATTR_REAL, offsetof(BytesToRealAttrs, scale), "1", "factor"},
    {"shift", ATTR_REAL, offsetof(BytesToRealAttrs, shift), "0", "summand"},
    ATTRS_END,
};

static void bytes_infer(OpShapes *s)
{
    if (infer_operand(s, 0, U8, -1))
        s->out[0] = s->in[0];
}

static double bytes_flop(const OpShapes *s)
{
    return 2 * (double)shape_count(s->out[0]);
}

static const OpCase bytes_cases[] = {
    {"2x3x4x5:u8", "scale=0.0078125 shift=-1"}, {"7:u8", ""}, {"2x17x3x3:u8", "scale=2 shift=1"}, CASES_END,
};
static const OpCase bytes_shapes[] = {{"8x3x128x128:u8", "scale=0.0078125 shift=-1"}, CASES_END};

/* No gradient: bytes are data. */
OP(bytes_to_real) = {
    .name = "bytes_to_real", .formula = "y = scale x + shift", .operands = "x", .results = "y",
    .attr_size = sizeof(BytesToRealAttrs), .attrs = bytes_attrs, .flags = OP_NO_GRAD, .infer = bytes_infer,
    .flop = bytes_flop, .cases = bytes_cases, .shapes = bytes_shapes,
};

Val op_bytes_to_real(Val x, float scale, float shift)
{
    return op_build(&op_bytes_to_real_def, &(BytesToRealAttrs){scale, shift}, NULL, 1, x);
}
