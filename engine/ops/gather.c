/* gather.c - y(o) = x(o with index(o) along dim), and the sum that is its transpose. */
#include "engine/ops/gather.h"

#include <string.h>

#include "engine/ops/infer.h"

static const OpAttr attrs[] = {
    {"dim", ATTR_INT, offsetof(GatherAttrs, dim), "0", "axis of x that is looked up"},
    ATTRS_END,
};
static const OpAttr grad_attrs[] = {
    {"dim", ATTR_INT, offsetof(GatherAttrs, dim), "0", "axis of x that is looked up"},
    {"shape", ATTR_INTS, offsetof(GatherAttrs, shape), "", "of x"},
    ATTRS_END,
};

/* The axis, or -1 with a mistake. */
static int axis_of(OpShapes *s, Shape x)
{
    int dim = ((const GatherAttrs *)s->attrs)->dim, axis = dim < 0 ? dim + x.rank : dim;
    if (axis >= 0 && axis < x.rank)
        return axis;
    op_mistake(s, "dim %d is not one of the %d axes of x", dim, x.rank);
    return -1;
}

/* What index makes of x, rank -1 after a mistake. */
static Shape gathered(OpShapes *s, Shape x, Shape index)
{
    const Shape none = {.rank = -1};
    int axis = axis_of(s, x);
    if (axis < 0)
        return none;
    bool fits = index.rank == x.rank;
    for (int i = 0; i < x.rank && fits; i++)
        fits = i == axis || index.dim[i] <= x.dim[i];
    if (!fits) {
        op_mistake(s, "index must have the rank of x and be no longer along other axes than %d", axis);
        return none;
    }
    return index;
}

static Shape selected(OpShapes *s, Shape x, Shape index)
{
    int axis = axis_of(s, x);
    Shape y = x;
    if (axis < 0)
        y.rank = -1;
    else
        y.dim[axis] = index.dim[0];
    return y;
}

static void infer(OpShapes *s, int index_rank, Shape (*made)(OpShapes *, Shape, Shape))
{
    if (!infer_operand(s, 0, F32, -1) || !infer_operand(s, 1, I32, index_rank))
        return;
    Shape y = made(s, s->in[0], s->in[1]);
    if (y.rank >= 0)
        s->out[0] = y;
}

static void infer_grad(OpShapes *s, int index_rank, Shape (*made)(OpShapes *, Shape, Shape))
{
    const AttrInts *a = &((const GatherAttrs *)s->attrs)->shape;
    if (!infer_operand(s, 0, I32, index_rank) || !infer_operand(s, 1, F32, -1))
        return;
    Shape x = shape_make(a->v, a->n);
    for (int i = 0; i < x.rank; i++)
        if (x.dim[i] < 0 || x.dim[i] > INT32_MAX) {
            op_mistake(s, "dimension %d of x is %ld", i, (long)x.dim[i]);
            return;
        }
    Shape y = made(s, x, s->in[0]);
    if (y.rank < 0)
        return;
    if (!shape_equal(y, s->in[1])) {
        char text[96];
        op_mistake(s, "dy does not fit: the forward op makes %s", shape_text(y, text, sizeof text));
        return;
    }
    s->out[0] = x;
}

static void gather_infer(OpShapes *s)
{
    infer(s, -1, gathered);
}

static void gather_grad_infer(OpShapes *s)
{
    infer_grad(s, -1, gathered);
}

static void select_infer(OpShapes *s)
{
    infer(s, 1, selected);
}

static void select_grad_infer(OpShapes *s)
{
    infer_grad(s, 1, selected);
}

static void gather_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_gather_grad(g->in[1], g->dout[0], ((const GatherAttrs *)g->attrs)->dim, val_shape(g->in[0]));
}

static void gather_grad_vjp(OpVjp *g)
{
    if (g->need[1])
        g->din[1] = op_gather(g->dout[0], g->in[0], ((const GatherAttrs *)g->attrs)->dim);
}

static void select_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_index_select_grad(g->in[1], g->dout[0], ((const GatherAttrs *)g->attrs)->dim,
                                         val_shape(g->in[0]));
}

static void take_infer(OpShapes *s)
{
    if (!infer_operand(s, 0, U8, -1) || !infer_operand(s, 1, I32, 1))
        return;
    if (!s->in[0].rank) {
        op_mistake(s, "operand x is one byte; it needs an axis to take from");
        return;
    }
    s->out[0] = s->in[0];
    s->out[0].dim[0] = s->in[1].dim[0];
    s->out_dtype[0] = U8;
}

static double take_bytes(const OpShapes *s)
{
    return 2.0 * (double)shape_count(s->out[0]) + 4.0 * (double)shape_count(s->in[1]);
}

static void select_grad_vjp(OpVjp *g)
{
    if (g->need[1])
        g->din[1] = op_index_select(g->dout[0], g->in[0], ((const GatherAttrs *)g->attrs)->dim);
}

static double no_flop(const OpShapes *s)
{
    (void)s;
    return 0;
}

static double grad_flop(const OpShapes *s)
{
    return (double)shape_count(s->in[1]);
}

/* Moved elements and indices, not all of x. */
static double bytes(const OpShapes *s)
{
    return 8.0 * (double)shape_count(s->out[0]) + 4.0 * (double)shape_count(s->in[1]);
}

static double grad_bytes(const OpShapes *s)
{
    return 12.0 * (double)shape_count(s->in[1]) + 4.0 * (double)(shape_count(s->in[0]) + shape_count(s->out[0]));
}

static const OpCase gather_cases[] = {
    {"5x7 5x3:i32<7", "dim=1"}, {"5x7 9x7:i32<5", "dim=0"}, {"4x3x5x6 2x9x5x4:i32<3", "dim=1"}, {"6 17:i32<6", ""},
    {"2x17x3x3 2x17x3x2:i32<3", "dim=-1"}, {"3x5x2 3x5x2:i32<5", "dim=-2"}, {"1x1 1x1:i32<1", ""}, CASES_END,
};
static const OpCase take_cases[] = {
    {"5x3x4x4:u8 3:i32<5", ""}, {"7x5:u8 9:i32<7", ""}, {"3x2x32:u8 2:i32<3", ""}, {"9:u8 4:i32<9", ""}, CASES_END,
};
/* Batches of Original, of both kinds of training. */
static const OpCase take_shapes[] = {
    {"18143x3x128x128:u8 8:i32<18143", ""}, {"18143x3x128x128:u8 128:i32<18143", ""}, CASES_END,
};
static const OpCase gather_grad_cases[] = {
    {"5x3:i32<7 5x3", "dim=1 shape=5,7"}, {"9x7:i32<5 9x7", "dim=0 shape=5,7"},
    {"2x9x5x4:i32<3 2x9x5x4", "dim=1 shape=4,3,5,6"}, {"17:i32<6 17", "shape=6"},
    {"2x17x3x2:i32<3 2x17x3x2", "dim=-1 shape=2,17,3,3"}, CASES_END,
};
static const OpCase select_cases[] = {
    {"5x7 3:i32<7", "dim=1"}, {"5x7 9:i32<5", "dim=0"}, {"2x17x3x3 20:i32<17", "dim=1"}, {"6 17:i32<6", ""},
    {"2x3x4x5 3:i32<5", "dim=-1"}, {"2x3x4x5 1:i32<4", "dim=2"}, CASES_END,
};
static const OpCase select_grad_cases[] = {
    {"3:i32<7 5x3", "dim=1 shape=5,7"}, {"9:i32<5 9x7", "dim=0 shape=5,7"},
    {"20:i32<17 2x20x3x3", "dim=1 shape=2,17,3,3"}, {"17:i32<6 17", "shape=6"},
    {"3:i32<5 2x3x4x3", "dim=-1 shape=2,3,4,5"}, CASES_END,
};
/* Rows of a table of embeddings; one logit a sample; colours in the other order. */
static const OpCase gather_shapes[] = {{"128x10575 128x1:i32<10575", "dim=1"}, CASES_END};
static const OpCase gather_grad_shapes[] = {{"128x1:i32<10575 128x1", "dim=1 shape=128,10575"}, CASES_END};
static const OpCase select_shapes[] = {
    {"10575x512 512:i32<10575", "dim=0"}, {"128x3x112x112 3:i32<3", "dim=1"}, CASES_END,
};
static const OpCase select_grad_shapes[] = {{"512:i32<10575 512x512", "dim=0 shape=10575,512"}, CASES_END};

OP(gather) = {
    .name = "gather", .formula = "y(o) = x(o with index(o) along dim)", .operands = "x index", .results = "y",
    .attr_size = sizeof(GatherAttrs), .attrs = attrs, .infer = gather_infer, .vjp = gather_vjp, .flop = no_flop,
    .bytes = bytes, .cases = gather_cases, .shapes = gather_shapes,
};
OP(gather_grad) = {
    .name = "gather_grad", .formula = "dx(i) = sum of dy(o) over o that took i", .operands = "index dy",
    .results = "dx", .attr_size = sizeof(GatherAttrs), .attrs = grad_attrs, .infer = gather_grad_infer,
    .vjp = gather_grad_vjp, .flop = grad_flop, .bytes = grad_bytes, .cases = gather_grad_cases,
    .shapes = gather_grad_shapes,
};
OP(index_select) = {
    .name = "index_select", .formula = "y(.., i, ..) = x(.., index(i), ..) along dim", .operands = "x index",
    .results = "y", .attr_size = sizeof(GatherAttrs), .attrs = attrs, .infer = select_infer, .vjp = select_vjp,
    .flop = no_flop, .bytes = bytes, .cases = select_cases, .shapes = select_shapes,
};
OP(index_select_grad) = {
    .name = "index_select_grad", .formula = "dx(.., j, ..) = sum of dy(.., i, ..) over i with index(i) = j",
    .operands = "index dy", .results = "dx", .attr_size = sizeof(GatherAttrs), .attrs = grad_attrs,
    .infer = select_grad_infer, .vjp = select_grad_vjp, .flop = grad_flop, .bytes = grad_bytes,
    .cases = select_grad_cases, .shapes = select_grad_shapes,
};

/* No gradient: bytes have none. */
OP(take_bytes) = {
    .name = "take_bytes", .formula = "y(i, ..) = x(index(i), ..)", .operands = "x index", .results = "y",
    .flags = OP_NO_GRAD, .infer = take_infer, .flop = no_flop, .bytes = take_bytes, .cases = take_cases,
    .shapes = take_shapes,
};

static GatherAttrs made(int dim, const Shape *x)
{
    GatherAttrs a = {.dim = dim};
    if (x) {
        a.shape.n = x->rank;
        memcpy(a.shape.v, x->dim, sizeof x->dim[0] * (size_t)(x->rank > 0 ? x->rank : 0));
    }
    return a;
}

/* One spelling of an axis, so that equal ops are found to be equal. */
static int from_front(int dim, int rank)
{
    return dim < 0 && dim + rank >= 0 ? dim + rank : dim;
}

Val op_gather(Val x, Val index, int dim)
{
    GatherAttrs a = made(from_front(dim, val_shape(x).rank), NULL);
    return op_build(&op_gather_def, &a, NULL, 2, x, index);
}

Val op_index_select(Val x, Val index, int dim)
{
    GatherAttrs a = made(from_front(dim, val_shape(x).rank), NULL);
    return op_build(&op_index_select_def, &a, NULL, 2, x, index);
}

Val op_take_bytes(Val x, Val index)
{
    return op_build(&op_take_bytes_def, NULL, NULL, 2, x, index);
}

Val op_gather_grad(Val index, Val dy, int dim, Shape x)
{
    GatherAttrs a = made(from_front(dim, x.rank), &x);
    return op_build(&op_gather_grad_def, &a, NULL, 2, index, dy);
}

Val op_index_select_grad(Val index, Val dy, int dim, Shape x)
{
    GatherAttrs a = made(from_front(dim, x.rank), &x);
    return op_build(&op_index_select_grad_def, &a, NULL, 2, index, dy);
}
