/* resize.c - y = (Ry (x) Rx) x: a sparse matrix along each axis, given by resize_rule.h.
 *
 * Values are those of PyTorch's interpolate(mode = "nearest", "area", "bilinear").  Its nearest computes o * (H / OH)
 * in float and can miss by one pixel where o H / OH is whole; ours is exact. */
#include "engine/ops/resize.h"

#include "engine/op.h"
#include "engine/ops/infer.h"
#include "engine/ops/resize_rule.h"

static const OpAttr attrs[] = {
    {"height", ATTR_INT, offsetof(ResizeAttrs, height), "", "rows of the result"},
    {"width", ATTR_INT, offsetof(ResizeAttrs, width), "", "columns of the result"},
    ATTRS_END,
};
static const OpAttr bilinear_attrs[] = {
    {"height", ATTR_INT, offsetof(ResizeAttrs, height), "", "rows of the result"},
    {"width", ATTR_INT, offsetof(ResizeAttrs, width), "", "columns of the result"},
    {"align_corners", ATTR_BOOL, offsetof(ResizeAttrs, align_corners), "false", "corner centres map to each other"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const ResizeAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 4))
        return;
    if (a->height < 1 || a->height > RESIZE_SIDE || a->width < 1 || a->width > RESIZE_SIDE) {
        op_mistake(s, "height and width are %d and %d and must be 1 to %d", a->height, a->width, RESIZE_SIDE);
        return;
    }
    static const int64_t most[4] = {INT32_MAX, RESIZE_CHANNELS, RESIZE_SIDE, RESIZE_SIDE};
    for (int d = 0; d < 4; d++)
        if (s->in[0].dim[d] < 1 || s->in[0].dim[d] > most[d]) {
            op_mistake(s, "operand %s has %ld along axis %d and must have 1 to %ld", infer_name(s, 0),
                       (long)s->in[0].dim[d], d, (long)most[d]);
            return;
        }
    s->out[0] = SHAPE(s->in[0].dim[0], s->in[0].dim[1], a->height, a->width);
}

/* An addition for each pixel read or written, whichever are more. */
static double flop(const OpShapes *s)
{
    double in = (double)shape_count(s->in[0]), out = (double)shape_count(s->out[0]);
    return in > out ? in : out;
}

/* Three blends of two pixels. */
static double bilinear_flop(const OpShapes *s)
{
    return 9 * flop(s);
}

static int rows(Val v) { return (int)val_dim(v, 2); }
static int columns(Val v) { return (int)val_dim(v, 3); }

static void nearest_vjp(OpVjp *g)
{
    g->din[0] = op_resize_nearest_grad(g->dout[0], rows(g->in[0]), columns(g->in[0]));
}

static void nearest_grad_vjp(OpVjp *g)
{
    g->din[0] = op_resize_nearest(g->dout[0], rows(g->in[0]), columns(g->in[0]));
}

static void area_vjp(OpVjp *g)
{
    g->din[0] = op_resize_area_grad(g->dout[0], rows(g->in[0]), columns(g->in[0]));
}

static void area_grad_vjp(OpVjp *g)
{
    g->din[0] = op_resize_area(g->dout[0], rows(g->in[0]), columns(g->in[0]));
}

static void bilinear_vjp(OpVjp *g)
{
    const ResizeAttrs *a = g->attrs;
    g->din[0] = op_resize_bilinear_grad(g->dout[0], rows(g->in[0]), columns(g->in[0]), a->align_corners);
}

static void bilinear_grad_vjp(OpVjp *g)
{
    const ResizeAttrs *a = g->attrs;
    g->din[0] = op_resize_bilinear(g->dout[0], rows(g->in[0]), columns(g->in[0]), a->align_corners);
}

/* Up, down, both at once, by whole and odd ratios; one channel, 16 and 17. */
static const OpCase cases[] = {
    {"2x3x4x5", "height=8 width=10"}, {"1x17x3x3", "height=6 width=6"}, {"2x16x8x4", "height=4 width=2"},
    {"1x18x8x8", "height=2 width=2"}, {"2x3x7x5", "height=3 width=9"},  {"1x1x1x1", "height=3 width=2"},
    {"1x2x5x6", "height=1 width=1"},  {"3x1x6x6", "height=6 width=6"},  {"1x20x5x7", "height=11 width=4"}, CASES_END,
};
static const OpCase bilinear_cases[] = {
    {"2x3x4x5", "height=8 width=10"}, {"1x17x3x3", "height=6 width=6 align_corners=true"},
    {"2x16x8x4", "height=4 width=2"}, {"2x3x7x5", "height=3 width=9 align_corners=true"},
    {"2x3x7x5", "height=3 width=9"},  {"1x1x1x1", "height=3 width=2"},
    {"1x2x5x6", "height=1 width=1 align_corners=true"}, {"1x2x1x6", "height=4 width=1 align_corners=true"},
    {"3x1x6x6", "height=6 width=6"},  {"1x20x5x7", "height=11 width=4"}, CASES_END,
};
static const OpCase nearest_shapes[] = {   /* the generator's five upsamplings */
    {"8x1024x4x4", "height=8 width=8"},    {"8x512x8x8", "height=16 width=16"},
    {"8x512x16x16", "height=32 width=32"}, {"8x256x32x32", "height=64 width=64"},
    {"8x128x64x64", "height=128 width=128"}, CASES_END,
};
static const OpCase nearest_grad_shapes[] = {
    {"8x1024x8x8", "height=4 width=4"},    {"8x512x16x16", "height=8 width=8"},
    {"8x512x32x32", "height=16 width=16"}, {"8x256x64x64", "height=32 width=32"},
    {"8x128x128x128", "height=64 width=64"}, CASES_END,
};
static const OpCase area_shapes[] = {      /* the multi-scale reconstruction loss */
    {"8x3x128x128", "height=64 width=64"}, {"8x3x128x128", "height=32 width=32"}, {"8x3x128x128", "height=8 width=8"},
    CASES_END,
};
static const OpCase area_grad_shapes[] = {
    {"8x3x64x64", "height=128 width=128"}, {"8x3x32x32", "height=128 width=128"}, {"8x3x8x8", "height=128 width=128"},
    CASES_END,
};
static const OpCase bilinear_shapes[] = {  /* 128 to FaceNet's 160 */
    {"8x3x128x128", "height=160 width=160"}, CASES_END,
};
static const OpCase bilinear_grad_shapes[] = {
    {"8x3x160x160", "height=128 width=128"}, CASES_END,
};

OP(resize_nearest) = {
    .name = "resize_nearest", .formula = "y[o] = x[floor(o H / OH)]", .operands = "x", .results = "y",
    .attr_size = sizeof(ResizeAttrs), .attrs = attrs, .infer = infer, .vjp = nearest_vjp, .flop = flop,
    .cases = cases, .shapes = nearest_shapes,
};
OP(resize_nearest_grad) = {
    .name = "resize_nearest_grad", .formula = "dx[i] = sum of dy[o] over o made of x[i]", .operands = "dy",
    .results = "dx", .attr_size = sizeof(ResizeAttrs), .attrs = attrs, .infer = infer, .vjp = nearest_grad_vjp,
    .flop = flop, .cases = cases, .shapes = nearest_grad_shapes,
};
OP(resize_area) = {
    .name = "resize_area", .formula = "y[o] = mean of x[floor(o H / OH) .. ceil((o + 1) H / OH) - 1]",
    .operands = "x", .results = "y", .attr_size = sizeof(ResizeAttrs), .attrs = attrs, .infer = infer,
    .vjp = area_vjp, .flop = flop, .cases = cases, .shapes = area_shapes,
};
OP(resize_area_grad) = {
    .name = "resize_area_grad", .formula = "dx[i] = sum of dy[o] / count[o] over o made of x[i]", .operands = "dy",
    .results = "dx", .attr_size = sizeof(ResizeAttrs), .attrs = attrs, .infer = infer, .vjp = area_grad_vjp,
    .flop = flop, .cases = cases, .shapes = area_grad_shapes,
};
OP(resize_bilinear) = {
    .name = "resize_bilinear", .formula = "y[o] = (1 - t) x[i] + t x[i + 1], i + t = (o + 1/2) H / OH - 1/2",
    .operands = "x", .results = "y", .attr_size = sizeof(ResizeAttrs), .attrs = bilinear_attrs, .infer = infer,
    .vjp = bilinear_vjp, .flop = bilinear_flop, .cases = bilinear_cases, .shapes = bilinear_shapes,
};
OP(resize_bilinear_grad) = {
    .name = "resize_bilinear_grad", .formula = "dx[i] = sum of weight(o, i) dy[o]", .operands = "dy",
    .results = "dx", .attr_size = sizeof(ResizeAttrs), .attrs = bilinear_attrs, .infer = infer,
    .vjp = bilinear_grad_vjp, .flop = bilinear_flop, .cases = bilinear_cases, .shapes = bilinear_grad_shapes,
};

static Val build(const OpDef *op, Val x, int height, int width, bool align_corners)
{
    return op_build(op, &(ResizeAttrs){height, width, align_corners}, NULL, 1, x);
}

Val op_resize_nearest(Val x, int height, int width)
{
    return build(&op_resize_nearest_def, x, height, width, false);
}

Val op_resize_nearest_grad(Val dy, int height, int width)
{
    return build(&op_resize_nearest_grad_def, dy, height, width, false);
}

Val op_resize_area(Val x, int height, int width)
{
    return build(&op_resize_area_def, x, height, width, false);
}

Val op_resize_area_grad(Val dy, int height, int width)
{
    return build(&op_resize_area_grad_def, dy, height, width, false);
}

Val op_resize_bilinear(Val x, int height, int width, bool align_corners)
{
    return build(&op_resize_bilinear_def, x, height, width, align_corners);
}

Val op_resize_bilinear_grad(Val dy, int height, int width, bool align_corners)
{
    return build(&op_resize_bilinear_grad_def, dy, height, width, align_corners);
}
