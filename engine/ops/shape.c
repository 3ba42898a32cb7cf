/* shape.c - ops that move elements and compute nothing; each one's gradient is another of them. */
#include "engine/ops/shape.h"

#include <limits.h>

#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"

static AttrInts ints_of(Shape s)
{
    AttrInts a = {0};
    for (int i = 0; i < s.rank && i < INTS_MAX; i++)
        a.v[a.n++] = s.dim[i];
    return a;
}

/* Operand 0 is there, of any dtype, which is also the result's. */
static bool any_operand(OpShapes *s)
{
    if (s->nin < 1 || s->in[0].rank < 0) {
        op_mistake(s, "operand %s is missing", infer_name(s, 0));
        return false;
    }
    s->out_dtype[0] = s->in_dtype[0];
    return true;
}

/* Axis of operand 0 behind a possibly negative number, or -1 with a mistake. */
static int axis_of(OpShapes *s, int axis)
{
    int rank = s->in[0].rank, a = axis < 0 ? axis + rank : axis;
    if (a >= 0 && a < rank)
        return a;
    op_mistake(s, "axis %d is not one of the %d axes", axis, rank);
    return -1;
}

/* One spelling of an axis, so that equal ops are found to be equal; what is out of range stays so for infer. */
static int axis_from_front(Val x, int axis)
{
    int rank = val_shape(x).rank;
    return val_ok(x) && axis < 0 && axis + rank >= 0 ? axis + rank : axis;
}

static double no_flop(const OpShapes *s)
{
    (void)s;
    return 0;
}

/* ---------------------------------------------------------------- reshape */
static const OpAttr shape_attrs[] = {
    {"shape", ATTR_INTS, offsetof(ShapeAttrs, shape), "", "dimensions of the result"},
    ATTRS_END,
};

static void reshape_infer(OpShapes *s)
{
    const AttrInts *a = &((const ShapeAttrs *)s->attrs)->shape;
    if (!any_operand(s))
        return;
    int64_t have = shape_count(s->in[0]), known = 1;
    int open = -1;
    Shape y = {.rank = a->n};
    for (int i = 0; i < a->n; i++) {
        y.dim[i] = a->v[i];
        if (a->v[i] == -1 && open < 0)
            open = i;
        else if (a->v[i] < 0 || __builtin_mul_overflow(known, a->v[i], &known)) {
            op_mistake(s, "dimension %d of the new shape is %ld; one of them may be -1", i, (long)a->v[i]);
            return;
        }
    }
    if (open >= 0)
        y.dim[open] = known > 0 ? have / known : 0;
    if (shape_count(y) != have) {
        char text[96];
        op_mistake(s, "%ld elements do not fill the shape %s", (long)have, shape_text(y, text, sizeof text));
        return;
    }
    s->out[0] = y;
}

static void reshape_vjp(OpVjp *g)
{
    g->din[0] = op_reshape(g->dout[0], val_shape(g->in[0]));
}

static const OpCase reshape_cases[] = {
    {"2x3x4x5", "shape=2,60"}, {"2x17x3x3", "shape=17,-1"}, {"6", "shape=1,2,3,1"}, {"1", "shape="},
    {"s", "shape=1,1,1,1"}, CASES_END,
};

OP(reshape) = {
    .name = "reshape", .formula = "y = x in another shape", .operands = "x", .results = "y",
    .attr_size = sizeof(ShapeAttrs), .attrs = shape_attrs, .flags = OP_VIEW, .infer = reshape_infer,
    .vjp = reshape_vjp, .flop = no_flop, .cases = reshape_cases,
};

Val op_reshape(Val x, Shape shape)
{
    if (val_ok(x) && shape_equal(val_shape(x), shape))
        return x;
    return op_build(&op_reshape_def, &(ShapeAttrs){ints_of(shape)}, NULL, 1, x);
}

/* ---------------------------------------------------------------- broadcast_to */
static void broadcast_infer(OpShapes *s)
{
    const AttrInts *a = &((const ShapeAttrs *)s->attrs)->shape;
    if (!any_operand(s))
        return;
    Shape x = s->in[0], y = shape_make(a->v, a->n);
    bool fits = x.rank <= y.rank;
    for (int i = 0; i < y.rank && fits; i++) {
        int k = i - (y.rank - x.rank);
        fits = y.dim[i] >= 0 && (k < 0 || x.dim[k] == 1 || x.dim[k] == y.dim[i]);
    }
    if (!fits) {
        char text[96];
        op_mistake(s, "x does not broadcast to %s", shape_text(y, text, sizeof text));
        return;
    }
    s->out[0] = y;
}

static void broadcast_vjp(OpVjp *g)
{
    g->din[0] = op_reduce_to(g->dout[0], val_shape(g->in[0]));
}

static const OpCase broadcast_cases[] = {
    {"s", "shape=2,3,4,5"}, {"1x17x1x1", "shape=2,17,3,3"}, {"7", "shape=3,7"}, {"3x1", "shape=3,9"},
    {"2x1x3x1", "shape=4,2,5,3,2"}, {"5", "shape=5"}, CASES_END,
};
static const OpCase broadcast_shapes[] = {{"s", "shape=8,3,128,128"}, {"1x64x1x1", "shape=8,64,64,64"}, CASES_END};

OP(broadcast_to) = {
    .name = "broadcast_to", .formula = "y = x repeated", .operands = "x", .results = "y",
    .attr_size = sizeof(ShapeAttrs), .attrs = shape_attrs, .infer = broadcast_infer, .vjp = broadcast_vjp,
    .flop = no_flop, .cases = broadcast_cases, .shapes = broadcast_shapes,
};

Val op_broadcast_to(Val x, Shape shape)
{
    if (val_ok(x) && shape_equal(val_shape(x), shape))
        return x;
    return op_build(&op_broadcast_to_def, &(ShapeAttrs){ints_of(shape)}, NULL, 1, x);
}

/* ---------------------------------------------------------------- transpose */
static const OpAttr transpose_attrs[] = {
    {"permutation", ATTR_INTS, offsetof(TransposeAttrs, permutation), "", "axis of x behind each axis of y"},
    ATTRS_END,
};

static void transpose_infer(OpShapes *s)
{
    const AttrInts *a = &((const TransposeAttrs *)s->attrs)->permutation;
    if (!any_operand(s))
        return;
    Shape x = s->in[0], y = {.rank = x.rank};
    unsigned seen = 0;
    for (int i = 0; i < a->n && a->n == x.rank; i++)
        if (a->v[i] >= 0 && a->v[i] < x.rank) {
            y.dim[i] = x.dim[a->v[i]];
            seen |= 1u << a->v[i];
        }
    if (a->n != x.rank || seen != (1u << x.rank) - 1) {
        op_mistake(s, "permutation must name each of the %d axes once", x.rank);
        return;
    }
    s->out[0] = y;
}

static void transpose_vjp(OpVjp *g)
{
    const AttrInts *a = &((const TransposeAttrs *)g->attrs)->permutation;
    AttrInts back = {.n = a->n};
    for (int i = 0; i < a->n; i++)
        back.v[a->v[i]] = i;
    g->din[0] = op_transpose(g->dout[0], back);
}

static const OpCase transpose_cases[] = {
    {"33x17", "permutation=1,0"}, {"2x3x4x5", "permutation=0,2,3,1"}, {"2x17x3x5", "permutation=3,1,0,2"},
    {"7", "permutation=0"}, {"2x3x4x5", "permutation=1,0,2,3"}, {"3x1x5", "permutation=2,1,0"},
    {"2x3x2x3x2x3", "permutation=5,3,1,4,2,0"}, CASES_END,
};
static const OpCase transpose_shapes[] = {
    {"512x512", "permutation=1,0"}, {"8x3x128x128", "permutation=0,2,3,1"}, CASES_END,
};

OP(transpose) = {
    .name = "transpose", .formula = "y = x with permuted axes", .operands = "x", .results = "y",
    .attr_size = sizeof(TransposeAttrs), .attrs = transpose_attrs, .infer = transpose_infer, .vjp = transpose_vjp,
    .flop = no_flop, .cases = transpose_cases, .shapes = transpose_shapes,
};

Val op_transpose(Val x, AttrInts permutation)
{
    return op_build(&op_transpose_def, &(TransposeAttrs){permutation}, NULL, 1, x);
}

/* ---------------------------------------------------------------- concat */
static const OpAttr concat_attrs[] = {
    {"axis", ATTR_INT, offsetof(ConcatAttrs, axis), "0", "axis along which operands are joined"},
    ATTRS_END,
};

static void concat_infer(OpShapes *s)
{
    if (!any_operand(s))
        return;
    int axis = axis_of(s, ((const ConcatAttrs *)s->attrs)->axis);
    if (axis < 0)
        return;
    Shape y = s->in[0];
    for (int i = 1; i < s->nin; i++) {
        Shape x = s->in[i], alike = x;
        if (x.rank == y.rank)
            alike.dim[axis] = y.dim[axis];
        if (x.rank != y.rank || !shape_equal(alike, y) || s->in_dtype[i] != s->in_dtype[0]) {
            op_mistake(s, "operand %d differs from the first in dtype or in more than axis %d", i, axis);
            return;
        }
        y.dim[axis] += x.dim[axis];
    }
    s->out[0] = y;
}

static void concat_vjp(OpVjp *g)
{
    int axis = ((const ConcatAttrs *)g->attrs)->axis;
    int64_t at = 0;
    for (int i = 0; i < g->nin; i++) {
        int64_t size = val_dim(g->in[i], axis);
        if (g->need[i])
            g->din[i] = op_slice(g->dout[0], axis, at, at + size);
        at += size;
    }
}

static const OpCase concat_cases[] = {
    {"2x3x4x5 2x1x4x5", "axis=1"}, {"2x16x3x3 2x17x3x3", "axis=1"}, {"2x32x2x3 2x16x2x3", "axis=1"},
    {"2x17x3x3 3x17x3x3", "axis=0"}, {"3x4 3x5 3x1", "axis=-1"}, {"7", "axis=0"}, {"2x3x4x5 2x3x1x5", "axis=2"},
    CASES_END,
};
static const OpCase concat_shapes[] = {
    {"64x3x128x128 64x3x128x128", "axis=0"}, {"64x512x1x1 64x128x1x1", "axis=1"}, CASES_END,
};

OP(concat) = {
    .name = "concat", .formula = "y = x0, x1, ... side by side", .operands = "x*", .results = "y",
    .attr_size = sizeof(ConcatAttrs), .attrs = concat_attrs, .infer = concat_infer, .vjp = concat_vjp,
    .flop = no_flop, .cases = concat_cases, .shapes = concat_shapes,
};

Val op_concat(Vals xs, int axis)
{
    Prog *p = op_prog(xs.v, xs.n);
    return p ? op_append(p, &op_concat_def, xs.v, xs.n, &(ConcatAttrs){axis_from_front(xs.v[0], axis)}, NULL) : NONE;
}

/* ---------------------------------------------------------------- slice and its transpose */
static const OpAttr slice_attrs[] = {
    {"axis", ATTR_INT, offsetof(SliceAttrs, axis), "0", "axis to cut"},
    {"start", ATTR_INT, offsetof(SliceAttrs, start), "0", "first element; negative: from the end"},
    {"stop", ATTR_INT, offsetof(SliceAttrs, stop), "", "one past the last element; negative: from the end"},
    {"step", ATTR_INT, offsetof(SliceAttrs, step), "1", "from one element to the next"},
    ATTRS_END,
};
static const OpAttr pad_slice_attrs[] = {
    {"axis", ATTR_INT, offsetof(PadSliceAttrs, axis), "0", "axis to lengthen"},
    {"start", ATTR_INT, offsetof(PadSliceAttrs, start), "0", "zeros in front"},
    {"size", ATTR_INT, offsetof(PadSliceAttrs, size), "", "length of the axis of the result"},
    {"step", ATTR_INT, offsetof(PadSliceAttrs, step), "1", "from one element's place to the next"},
    ATTRS_END,
};

static bool step_good(OpShapes *s, int step)
{
    if (step < 1)
        op_mistake(s, "step is %d and must be at least 1", step);
    return step >= 1;
}

static int bound_from_front(int bound, int64_t size)
{
    return bound < 0 && bound >= -size ? (int)(bound + size) : bound;
}

SliceAttrs slice_from_front(const SliceAttrs *a, int64_t size)
{
    return (SliceAttrs){a->axis, bound_from_front(a->start, size), bound_from_front(a->stop, size), a->step};
}

static void slice_infer(OpShapes *s)
{
    const SliceAttrs *a = s->attrs;
    int axis = any_operand(s) ? axis_of(s, a->axis) : -1;
    if (axis < 0 || !step_good(s, a->step))
        return;
    SliceAttrs front = slice_from_front(a, s->in[0].dim[axis]);
    if (front.start < 0 || front.stop < front.start || front.stop > s->in[0].dim[axis]) {
        op_mistake(s, "elements %d .. %d are not within axis %d of size %ld", a->start, a->stop, axis,
                   (long)s->in[0].dim[axis]);
        return;
    }
    s->out[0] = s->in[0];
    s->out[0].dim[axis] = ((int64_t)front.stop - front.start + front.step - 1) / front.step;
}

static void slice_vjp(OpVjp *g)
{
    const SliceAttrs *a = g->attrs;
    int64_t size = val_dim(g->in[0], a->axis);
    g->din[0] = op_pad_slice_step(g->dout[0], a->axis, slice_from_front(a, size).start, size, a->step);
}

static void pad_slice_infer(OpShapes *s)
{
    const PadSliceAttrs *a = s->attrs;
    int axis = any_operand(s) ? axis_of(s, a->axis) : -1;
    if (axis < 0 || !step_good(s, a->step))
        return;
    int64_t n = s->in[0].dim[axis];
    if (a->start < 0 || a->size < 0 || a->start > a->size || (n && (a->size - a->start - 1) / a->step + 1 < n) ||
        (n && a->start == a->size)) {
        op_mistake(s, "%ld elements at %d do not fit into size %d", (long)n, a->start, a->size);
        return;
    }
    s->out[0] = s->in[0];
    s->out[0].dim[axis] = a->size;
}

static void pad_slice_vjp(OpVjp *g)
{
    const PadSliceAttrs *a = g->attrs;
    int64_t n = val_dim(g->in[0], a->axis);
    g->din[0] = op_slice_step(g->dout[0], a->axis, a->start, a->start + (n ? (n - 1) * a->step + 1 : 0), a->step);
}

static const OpCase slice_cases[] = {
    {"5x17x3x3", "axis=0 start=1 stop=4"}, {"2x17x3x3", "axis=1 start=0 stop=16"},
    {"2x17x3x3", "axis=1 start=16 stop=17"}, {"2x40x2x3", "axis=1 start=16 stop=32"},
    {"2x17x3x3", "axis=1 start=3 stop=8"}, {"2x17x5x3", "axis=2 start=1 stop=4"},
    {"2x3x4x5", "axis=-1 start=2 stop=5"}, {"7x9", "axis=1 start=0 stop=4"}, {"7", "axis=0 start=6 stop=7"},
    {"2x17x3x3", "axis=1 start=1 stop=17 step=3"}, {"1x40x5x7", "axis=-1 start=0 stop=7 step=2"},
    {"2x20x7x3", "axis=2 start=1 stop=6 step=2"}, {"9", "axis=0 start=2 stop=8 step=5"},
    {"2x40x2x3", "axis=1 start=-24 stop=-8"}, {"2x20x7x3", "axis=2 start=-6 stop=-1 step=2"}, {"7", "start=-2 stop=7"},
    CASES_END,
};
static const OpCase pad_slice_cases[] = {
    {"3x17x3x3", "axis=0 start=1 size=5"}, {"2x16x3x3", "axis=1 start=0 size=17"},
    {"2x1x3x3", "axis=1 start=16 size=17"}, {"2x16x2x3", "axis=1 start=16 size=40"},
    {"2x5x3x3", "axis=1 start=3 size=17"}, {"2x17x3x3", "axis=2 start=1 size=5"},
    {"2x3x4x3", "axis=-1 start=2 size=5"}, {"7x4", "axis=1 start=0 size=9"}, {"1", "axis=0 start=6 size=7"},
    {"2x6x3x3", "axis=1 start=1 size=17 step=3"}, {"1x40x5x4", "axis=-1 start=0 size=8 step=2"},
    {"2x20x3x3", "axis=2 start=1 size=7 step=2"}, {"2", "axis=0 start=2 size=8 step=5"}, CASES_END,
};
static const OpCase slice_shapes[] = {
    {"128x3x128x128", "axis=0 start=64 stop=128"}, {"8x512x16x16", "axis=1 start=0 stop=256"},
    {"8x64x112x112", "axis=3 start=0 stop=112 step=2"}, CASES_END,
};
static const OpCase pad_slice_shapes[] = {{"64x3x128x128", "axis=0 start=64 size=128"}, CASES_END};

OP(slice) = {
    .name = "slice", .formula = "y = x[start:stop:step] along axis", .operands = "x", .results = "y",
    .attr_size = sizeof(SliceAttrs), .attrs = slice_attrs, .infer = slice_infer, .vjp = slice_vjp, .flop = no_flop,
    .cases = slice_cases, .shapes = slice_shapes,
};
OP(pad_slice) = {
    .name = "pad_slice", .formula = "y = 0; y[start::step] = x along axis", .operands = "x", .results = "y",
    .attr_size = sizeof(PadSliceAttrs), .attrs = pad_slice_attrs, .infer = pad_slice_infer, .vjp = pad_slice_vjp,
    .flop = no_flop, .cases = pad_slice_cases, .shapes = pad_slice_shapes,
};

/* Out of range stays out of range when it becomes an int. */
static int narrow(int64_t v)
{
    return v > INT_MAX ? INT_MAX : v < INT_MIN ? INT_MIN : (int)v;
}

Val op_slice(Val x, int axis, int64_t start, int64_t stop)
{
    return op_slice_step(x, axis, start, stop, 1);
}

Val op_slice_step(Val x, int axis, int64_t start, int64_t stop, int64_t step)
{
    int64_t size = val_dim(x, axis);
    SliceAttrs a = {axis_from_front(x, axis), narrow(start), narrow(stop), narrow(step)};
    a = slice_from_front(&a, size);
    if (val_ok(x) && a.axis >= 0 && a.axis < val_shape(x).rank && a.start == 0 && a.stop == size && a.step == 1)
        return x;
    return op_build(&op_slice_def, &a, NULL, 1, x);
}

Val op_pad_slice(Val x, int axis, int64_t start, int64_t size)
{
    return op_pad_slice_step(x, axis, start, size, 1);
}

Val op_pad_slice_step(Val x, int axis, int64_t start, int64_t size, int64_t step)
{
    axis = axis_from_front(x, axis);
    return op_build(&op_pad_slice_def, &(PadSliceAttrs){axis, narrow(start), narrow(size), narrow(step)}, NULL, 1, x);
}
