/* view.c - see view.h: each becomes a reshape. */
#include "engine/ops/view.h"

#include "engine/ops/shape.h"

static const OpAttr flatten_attrs[] = {
    {"start_dim", ATTR_INT, offsetof(ViewAttrs, start_dim), "1", "first axis that is joined"},
    {"end_dim", ATTR_INT, offsetof(ViewAttrs, end_dim), "-1", "last one"},
    ATTRS_END,
};
static const OpAttr squeeze_attrs[] = {
    {"dim", ATTR_INTS, offsetof(ViewAttrs, dim), "", "axes to leave out; none: all of size 1"},
    ATTRS_END,
};
static const OpAttr unsqueeze_attrs[] = {
    {"dim", ATTR_INTS, offsetof(ViewAttrs, dim), "", "axes of the result that are new"},
    ATTRS_END,
};

/* Axis behind a possibly negative number, or -1. */
static int axis_of(int64_t dim, int rank)
{
    int64_t axis = dim < 0 ? dim + rank : dim;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* Bit i is set if axis i is in the list; false after a mistake. */
static bool axes_of(Val x, const char *op, AttrInts dim, int rank, unsigned *axes)
{
    *axes = 0;
    for (int i = 0; i < dim.n; i++) {
        int axis = axis_of(dim.v[i], rank);
        if (axis < 0 || *axes >> axis & 1) {
            prog_mistake(x.p, "%s: axis %ld is not one of %d axes, or named twice", op, (long)dim.v[i], rank);
            return false;
        }
        *axes |= 1u << axis;
    }
    return true;
}

Val op_flatten_dims(Val x, int start_dim, int end_dim)
{
    if (!val_ok(x))
        return x;
    Shape s = val_shape(x), y = {0};
    int start = axis_of(start_dim, s.rank), end = axis_of(end_dim, s.rank);
    if (start < 0 || end < start)
        return prog_mistake(x.p, "flatten: axes %d to %d are not within the %d of x", start_dim, end_dim, s.rank);
    for (int i = 0; i < s.rank; i++) {
        if (i <= start || i > end)
            y.dim[y.rank++] = s.dim[i];
        else
            y.dim[y.rank - 1] *= s.dim[i];
    }
    return op_reshape(x, y);
}

Val op_flatten(Val x)
{
    Shape s = val_shape(x);
    if (val_ok(x) && s.rank == 0)
        return prog_mistake(x.p, "flatten: x has rank 0 and no batch axis");
    return s.rank == 1 ? op_reshape(x, SHAPE(s.dim[0], 1)) : op_flatten_dims(x, 1, -1);
}

Val op_squeeze(Val x, AttrInts dim)
{
    unsigned axes;
    Shape s = val_shape(x), y = {0};
    if (!val_ok(x) || !axes_of(x, "squeeze", dim, s.rank, &axes))
        return NONE;
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] != 1 || (dim.n && !(axes >> i & 1)))
            y.dim[y.rank++] = s.dim[i];
    return op_reshape(x, y);
}

Val op_unsqueeze(Val x, AttrInts dim)
{
    unsigned axes;
    Shape s = val_shape(x), y = {.rank = s.rank + dim.n};
    if (!val_ok(x))
        return x;
    if (y.rank > RANK_MAX)
        return prog_mistake(x.p, "unsqueeze: %d axes and %d new ones are more than %d", s.rank, dim.n, RANK_MAX);
    if (!axes_of(x, "unsqueeze", dim, y.rank, &axes))
        return NONE;
    for (int i = 0, from = 0; i < y.rank; i++)
        y.dim[i] = axes >> i & 1 ? 1 : s.dim[from++];
    return op_reshape(x, y);
}

static Val flatten(Prog *p, const Val *in, int nin, const void *attrs)
{
    const ViewAttrs *a = attrs;
    (void)p, (void)nin;
    return op_flatten_dims(in[0], a->start_dim, a->end_dim);
}

static Val squeeze(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin;
    return op_squeeze(in[0], ((const ViewAttrs *)attrs)->dim);
}

static Val unsqueeze(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)p, (void)nin;
    return op_unsqueeze(in[0], ((const ViewAttrs *)attrs)->dim);
}

static const OpCase flatten_cases[] = {
    {"2x3x4x5", ""}, {"2x17x3x3", "start_dim=2"}, {"2x3x4x5", "start_dim=0 end_dim=1"}, {"2x3x4", "start_dim=0"},
    CASES_END,
};
static const OpCase squeeze_cases[] = {
    {"2x17x1x1", ""}, {"1x3x1x5", "dim=2"}, {"1x3x1x5", "dim=0,-2"}, {"1x1", ""}, {"2x1x3", "dim=0,1"}, CASES_END,
};
static const OpCase unsqueeze_cases[] = {
    {"2x17", "dim=2,3"}, {"3x5", "dim=0,-1"}, {"s", "dim=0"}, {"7", "dim=-1"}, CASES_END,
};

OP(flatten) = {
    .name = "flatten", .formula = "y = x with some axes as one", .operands = "x", .results = "y",
    .attr_size = sizeof(ViewAttrs), .attrs = flatten_attrs, .flags = OP_EXPAND, .expand = flatten,
    .cases = flatten_cases,
};
OP(squeeze) = {
    .name = "squeeze", .formula = "y = x without axes of size 1", .operands = "x", .results = "y",
    .attr_size = sizeof(ViewAttrs), .attrs = squeeze_attrs, .flags = OP_EXPAND, .expand = squeeze,
    .cases = squeeze_cases,
};
OP(unsqueeze) = {
    .name = "unsqueeze", .formula = "y = x with new axes of size 1", .operands = "x", .results = "y",
    .attr_size = sizeof(ViewAttrs), .attrs = unsqueeze_attrs, .flags = OP_EXPAND, .expand = unsqueeze,
    .cases = unsqueeze_cases,
};
