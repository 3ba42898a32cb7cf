/* warp.c - y[o] = x at M (ox, oy, 1): the map goes from the result to the operand, so that no pixel stays empty. */
#include "engine/ops/warp.h"

#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/infer.h"

enum { SIDE = 16384 };   /* a plane then has fewer than 2^31 pixels */

static const OpAttr attrs[] = {
    {"height", ATTR_INT, offsetof(WarpAttrs, height), "", "rows of the result"},
    {"width", ATTR_INT, offsetof(WarpAttrs, width), "", "columns of the result"},
    {"mode", ATTR_TEXT, offsetof(WarpAttrs, mode), "bilinear", "nearest or bilinear"},
    {"fill", ATTR_REAL, offsetof(WarpAttrs, fill), "0", "value outside the operand"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const WarpAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 4) || !infer_operand(s, 1, F32, 2))
        return;
    const int64_t *x = s->in[0].dim;
    if (!a->mode || (strcmp(a->mode, "nearest") && strcmp(a->mode, "bilinear")))
        op_mistake(s, "mode is \"%s\" and must be nearest or bilinear", a->mode ? a->mode : "");
    else if (a->height < 1 || a->height > SIDE || a->width < 1 || a->width > SIDE)
        op_mistake(s, "height and width are %d and %d and must be 1 to %d", a->height, a->width, SIDE);
    else if (!isfinite(a->fill))
        op_mistake(s, "fill must be finite");
    else if (x[0] < 1 || x[1] < 1 || x[2] < 1 || x[2] > SIDE || x[3] < 1 || x[3] > SIDE)
        op_mistake(s, "operand x must have sides of 1 to %d, and at least one picture and channel", SIDE);
    else if (s->in[1].dim[0] != x[0] || s->in[1].dim[1] != 6)
        op_mistake(s, "operand m must be (%ld, 6): one map a picture", (long)x[0]);
    else
        s->out[0] = SHAPE(x[0], x[1], a->height, a->width);
}

/* Four weighted pixels. */
static double flop(const OpShapes *s)
{
    return 7 * (double)shape_count(s->out[0]);
}

static const OpCase cases[] = {
    {"2x3x9x7 2x6:unit", "height=9 width=7"},
    {"3x1x5x5 3x6:unit", "height=4 width=11 fill=-1"},
    {"2x3x9x7 2x6:unit", "height=6 width=5 mode=nearest fill=0.5"},
    {"2x17x4x4 2x6", "height=4 width=4"},
    {"1x1x1x1 1x6", "height=2 width=3 fill=1"},
    CASES_END,
};
static const OpCase shapes[] = {
    {"128x3x128x128 128x6:unit", "height=128 width=128"}, CASES_END,
};

OP(warp) = {
    .name = "warp", .formula = "y[o] = x at m (ox, oy, 1)", .operands = "x m", .results = "y",
    .attr_size = sizeof(WarpAttrs), .attrs = attrs,
    .flags = OP_NO_GRAD,   /* augments input pictures, which nothing is learned from */
    .infer = infer, .flop = flop, .cases = cases, .shapes = shapes,
};

Val op_warp(Val x, Val m, int height, int width, const char *mode, float fill)
{
    return op_build(&op_warp_def, &(WarpAttrs){height, width, mode, fill}, NULL, 2, x, m);
}
