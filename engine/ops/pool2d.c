/* pool2d.c - y(o) = max or mean over the pixels of window o.  Sizes, ties and divisors are PyTorch's. */
#include "engine/ops/pool2d.h"

#include "engine/op.h"
#include "engine/ops/infer.h"
#include "engine/ops/resize.h"

#define ATTRS_COMMON                                                                                       \
    {"kernel", ATTR_INT, offsetof(Pool2dAttrs, kernel), "2", "side of a window"},                          \
    {"stride", ATTR_INT, offsetof(Pool2dAttrs, stride), "0", "step between windows; 0: the kernel"},       \
    {"padding", ATTR_INT, offsetof(Pool2dAttrs, padding), "0", "on every side, at most half the kernel"},  \
    {"kernel_h", ATTR_INT, offsetof(Pool2dAttrs, kernel_h), "0", "rows of a window; 0: kernel"},           \
    {"kernel_w", ATTR_INT, offsetof(Pool2dAttrs, kernel_w), "0", "columns of a window; 0: kernel"},        \
    {"stride_h", ATTR_INT, offsetof(Pool2dAttrs, stride_h), "0", "step down; 0: stride"},                  \
    {"stride_w", ATTR_INT, offsetof(Pool2dAttrs, stride_w), "0", "step across; 0: stride"},                \
    {"padding_h", ATTR_INT, offsetof(Pool2dAttrs, padding_h), "0", "more above and below"},                \
    {"padding_w", ATTR_INT, offsetof(Pool2dAttrs, padding_w), "0", "more left and right"},                 \
    {"ceil_mode", ATTR_BOOL, offsetof(Pool2dAttrs, ceil_mode), "0", "round the number of windows up"}
#define ATTRS_COUNT \
    {"count_include_pad", ATTR_BOOL, offsetof(Pool2dAttrs, count_include_pad), "1", "padding counts in the mean"}
#define ATTRS_SIZE                                                          \
    {"height", ATTR_INT, offsetof(Pool2dAttrs, height), "", "of x"},        \
    {"width", ATTR_INT, offsetof(Pool2dAttrs, width), "", "of x"}

static const OpAttr max_attrs[] = {ATTRS_COMMON, ATTRS_END};
static const OpAttr avg_attrs[] = {ATTRS_COMMON, ATTRS_COUNT, ATTRS_END};
static const OpAttr avg_grad_attrs[] = {ATTRS_COMMON, ATTRS_COUNT, ATTRS_SIZE, ATTRS_END};
static const OpAttr global_grad_attrs[] = {ATTRS_SIZE, ATTRS_END};
static const OpAttr adaptive_attrs[] = {
    {"height", ATTR_INT, offsetof(Pool2dAttrs, height), "", "rows of y"},
    {"width", ATTR_INT, offsetof(Pool2dAttrs, width), "", "columns of y"},
    ATTRS_END,
};

/* ---------------------------------------------------------------- shapes */
enum { ATTR_MAX = 1 << 20 };

static bool attrs_good(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    const int parts[] = {a->kernel, a->kernel_h, a->kernel_w, a->stride, a->stride_h, a->stride_w,
                         a->padding, a->padding_h, a->padding_w};
    static const char *const names[] = {"kernel", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w",
                                        "padding", "padding_h", "padding_w"};
    for (int i = 0; i < 9; i++)
        if (parts[i] < 0 || parts[i] > ATTR_MAX)
            return op_mistake(s, "%s is %d and must be at least 0", names[i], parts[i]), false;
    PoolWindow w = pool_window(a);
    const PoolAxis *axes[] = {&w.rows, &w.columns};
    for (int i = 0; i < 2; i++) {
        if (axes[i]->kernel < 1)
            return op_mistake(s, "kernel is 0 and must be at least 1"), false;
        if (axes[i]->padding > axes[i]->kernel / 2)
            return op_mistake(s, "padding is %ld and must be between 0 and half the kernel, %ld",
                              (long)axes[i]->padding, (long)axes[i]->kernel), false;
    }
    return true;
}

static bool operand_good(OpShapes *s, int i, int rank)
{
    if (!infer_operand(s, i, F32, rank))
        return false;
    for (int k = 0; k < rank; k++)
        if (s->in[i].dim[k] < 1)
            return op_mistake(s, "operand %s has a size of 0", infer_name(s, i)), false;
    return true;
}

/* Windows along an axis, or -1 with a mistake. */
static int64_t windows(OpShapes *s, PoolAxis a, int64_t size)
{
    bool up = ((const Pool2dAttrs *)s->attrs)->ceil_mode;
    int64_t room = size + 2 * a.padding - a.kernel;
    if (room < 0 && !(up && room > -a.stride))
        return op_mistake(s, "a window of %ld is larger than %ld pixels with padding %ld", (long)a.kernel, (long)size,
                          (long)a.padding), -1;
    int64_t n = (room + (up ? a.stride - 1 : 0)) / a.stride + 1;
    return n - (up && (n - 1) * a.stride >= size + a.padding);
}

/* The result's shape, rank -1 after a mistake. */
static Shape pooled(OpShapes *s, Shape x)
{
    PoolWindow w = pool_window(s->attrs);
    int64_t oh = windows(s, w.rows, x.dim[2]), ow = oh < 0 ? -1 : windows(s, w.columns, x.dim[3]);
    return ow < 0 ? (Shape){.rank = -1} : SHAPE(x.dim[0], x.dim[1], oh, ow);
}

static void pool_infer(OpShapes *s)
{
    if (!operand_good(s, 0, 4) || !attrs_good(s))
        return;
    Shape y = pooled(s, s->in[0]);
    if (y.rank == 4)
        s->out[0] = y;
}

/* dy as the forward op would make it from x. */
static bool result_fits(OpShapes *s, Shape x, Shape dy)
{
    Shape y = pooled(s, x);
    if (y.rank < 0)
        return false;
    if (!shape_equal(dy, y))
        return op_mistake(s, "dy does not fit: pooling makes %ldx%ld", (long)y.dim[2], (long)y.dim[3]), false;
    return true;
}

static void max_grad_infer(OpShapes *s)
{
    if (operand_good(s, 0, 4) && operand_good(s, 1, 4) && attrs_good(s) && result_fits(s, s->in[0], s->in[1]))
        s->out[0] = s->in[0];
}

static bool size_good(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    if (a->height < 1 || a->width < 1 || a->height > ATTR_MAX || a->width > ATTR_MAX)
        return op_mistake(s, "height and width are %d and %d and must be at least 1", a->height, a->width), false;
    return true;
}

static void avg_grad_infer(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    if (!operand_good(s, 0, 4) || !attrs_good(s) || !size_good(s))
        return;
    Shape x = SHAPE(s->in[0].dim[0], s->in[0].dim[1], a->height, a->width);
    if (result_fits(s, x, s->in[0]))
        s->out[0] = x;
}

static void global_infer(OpShapes *s)
{
    if (operand_good(s, 0, 4))
        s->out[0] = SHAPE(s->in[0].dim[0], s->in[0].dim[1]);
}

static void adaptive_infer(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    if (operand_good(s, 0, 4) && size_good(s))
        s->out[0] = SHAPE(s->in[0].dim[0], s->in[0].dim[1], a->height, a->width);
}

static void adaptive_grad_infer(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    if (!operand_good(s, 0, 4) || !operand_good(s, 1, 4) || !size_good(s))
        return;
    Shape x = s->in[0];
    if (shape_equal(s->in[1], SHAPE(x.dim[0], x.dim[1], a->height, a->width)))
        s->out[0] = x;
    else
        op_mistake(s, "dy does not fit: pooling makes %dx%d", a->height, a->width);
}

static void global_grad_infer(OpShapes *s)
{
    const Pool2dAttrs *a = s->attrs;
    if (operand_good(s, 0, 2) && size_good(s))
        s->out[0] = SHAPE(s->in[0].dim[0], s->in[0].dim[1], a->height, a->width);
}

/* ---------------------------------------------------------------- cost: one operation a pixel of a window */
static double window_flop(const OpShapes *s, Shape y)
{
    PoolWindow w = pool_window(s->attrs);
    return (double)shape_count(y) * (double)w.rows.kernel * (double)w.columns.kernel;
}

static double pool_flop(const OpShapes *s)
{
    return window_flop(s, s->out[0]);
}

static double max_grad_flop(const OpShapes *s)
{
    return window_flop(s, s->in[1]);
}

static double avg_grad_flop(const OpShapes *s)
{
    return window_flop(s, s->in[0]);
}

static double global_flop(const OpShapes *s)
{
    return (double)shape_count(s->in[0]);
}

/* ---------------------------------------------------------------- gradients */
static void max_vjp(OpVjp *g)
{
    g->din[0] = op_max_pool2d_grad(g->in[0], g->dout[0], *(const Pool2dAttrs *)g->attrs);
}

static void avg_vjp(OpVjp *g)
{
    Pool2dAttrs a = *(const Pool2dAttrs *)g->attrs;
    a.height = (int)val_dim(g->in[0], 2);
    a.width = (int)val_dim(g->in[0], 3);
    g->din[0] = op_avg_pool2d_grad(g->dout[0], a);
}

static void avg_grad_vjp(OpVjp *g)
{
    g->din[0] = op_avg_pool2d(g->dout[0], *(const Pool2dAttrs *)g->attrs);
}

static void adaptive_vjp(OpVjp *g)
{
    const Pool2dAttrs *a = g->attrs;
    g->din[0] = op_adaptive_max_pool2d_grad(g->in[0], g->dout[0], a->height, a->width);
}

static Val adaptive_avg(Prog *p, const Val *in, int nin, const void *attrs)
{
    const Pool2dAttrs *a = attrs;
    (void)p, (void)nin;
    return op_adaptive_avg_pool2d(in[0], a->height, a->width);
}

static void global_vjp(OpVjp *g)
{
    g->din[0] = op_global_avg_pool_grad(g->dout[0], (int)val_dim(g->in[0], 2), (int)val_dim(g->in[0], 3));
}

static void global_grad_vjp(OpVjp *g)
{
    g->din[0] = op_global_avg_pool(g->dout[0]);
}

/* ---------------------------------------------------------------- cases */
static const OpCase max_cases[] = {
    {"2x3x6x6", "kernel=2"},
    {"1x17x7x7", "kernel=3 stride=2 padding=1"},             /* ResNet */
    {"2x16x8x6", "kernel=3 stride=2"},
    {"1x3x7x5", "kernel=2 ceil_mode=1"},                     /* MTCNN */
    {"1x20x6x9", "kernel=3 stride=2 ceil_mode=1"},
    {"1x2x5x5", "kernel=3 stride=1 padding=1"},
    {"1x1x1x1", "kernel=1"},
    {"1x2x4x4", "kernel=2 stride=3"},
    {"1x2x8x9", "kernel=3 stride=3 padding=1 ceil_mode=1"},  /* the last row of windows would lie in the padding */
    {"1x18x7x9", "kernel_h=2 kernel_w=3 stride_h=1 stride_w=2 padding_w=1"},
    {"1x3x1x9", "kernel=4 kernel_h=1 stride=2 stride_h=1 padding_w=2 ceil_mode=1"},
    CASES_END,
};
static const OpCase max_grad_cases[] = {
    {"2x3x6x6 2x3x3x3", "kernel=2"},
    {"1x17x7x7 1x17x4x4", "kernel=3 stride=2 padding=1"},
    {"2x16x8x6 2x16x3x2", "kernel=3 stride=2"},
    {"1x3x7x5 1x3x4x3", "kernel=2 ceil_mode=1"},
    {"1x20x6x9 1x20x3x4", "kernel=3 stride=2 ceil_mode=1"},
    {"1x2x5x5 1x2x5x5", "kernel=3 stride=1 padding=1"},
    {"1x2x4x4 1x2x1x1", "kernel=2 stride=3"},
    {"1x18x7x9 1x18x6x5", "kernel_h=2 kernel_w=3 stride_h=1 stride_w=2 padding_w=1"},
    CASES_END,
};
static const OpCase adaptive_cases[] = {
    {"2x3x6x6", "height=3 width=2"}, {"1x17x7x5", "height=3 width=3"}, {"1x16x4x9", "height=6 width=4"},
    {"2x3x5x6", "height=1 width=1"}, {"1x2x3x3", "height=3 width=3"}, {"1x1x1x1", "height=2 width=3"}, CASES_END,
};
static const OpCase adaptive_grad_cases[] = {
    {"2x3x6x6 2x3x3x2", "height=3 width=2"}, {"1x17x7x5 1x17x3x3", "height=3 width=3"},
    {"1x16x4x9 1x16x6x4", "height=6 width=4"}, {"2x3x5x6 2x3x1x1", "height=1 width=1"}, CASES_END,
};
static const OpCase avg_cases[] = {
    {"2x3x6x6", "kernel=2"},
    {"1x17x7x7", "kernel=3 stride=2 padding=1"},
    {"1x16x7x7", "kernel=3 stride=2 padding=1 count_include_pad=0"},
    {"1x3x7x5", "kernel=2 ceil_mode=1"},
    {"1x5x6x9", "kernel=3 stride=2 ceil_mode=1 padding=1"},
    {"1x2x4x4", "kernel=2 stride=3"},
    {"1x1x1x1", "kernel=1"},
    {"1x2x8x9", "kernel=3 stride=3 padding=1 ceil_mode=1"},
    {"1x18x7x9", "kernel_h=2 kernel_w=3 stride_h=1 stride_w=2 padding_w=1"},
    {"1x3x1x9", "kernel=4 kernel_h=1 stride=2 stride_h=1 padding_w=2 ceil_mode=1 count_include_pad=0"},
    CASES_END,
};
static const OpCase avg_grad_cases[] = {
    {"2x3x3x3", "kernel=2 height=6 width=6"},
    {"1x17x4x4", "kernel=3 stride=2 padding=1 height=7 width=7"},
    {"1x16x4x4", "kernel=3 stride=2 padding=1 count_include_pad=0 height=7 width=7"},
    {"1x3x4x3", "kernel=2 ceil_mode=1 height=7 width=5"},
    {"1x2x1x1", "kernel=2 stride=3 height=4 width=4"},
    {"1x18x6x5", "kernel_h=2 kernel_w=3 stride_h=1 stride_w=2 padding_w=1 height=7 width=9"},
    CASES_END,
};
static const OpCase global_cases[] = {{"2x3x4x5", ""}, {"2x17x3x3", ""}, {"1x32x1x1", ""}, {"1x1x7x9", ""}, CASES_END};
static const OpCase global_grad_cases[] = {
    {"2x3", "height=4 width=5"}, {"2x17", "height=3 width=3"}, {"1x32", "height=1 width=1"}, CASES_END,
};
static const OpCase max_shapes[] = {
    {"16x64x64x64", "kernel=3 stride=2 padding=1"},   /* ResNet-50 at 128x128 */
    {"8x64x77x77", "kernel=3 stride=2"},              /* FaceNet at 160x160 */
    {"64x28x46x46", "kernel=3 stride=2 ceil_mode=1"}, /* MTCNN's second network */
    CASES_END,
};
static const OpCase max_grad_shapes[] = {
    {"16x64x64x64 16x64x32x32", "kernel=3 stride=2 padding=1"}, CASES_END,
};
static const OpCase adaptive_shapes[] = {{"8x512x14x14", "height=7 width=7"}, CASES_END};
static const OpCase adaptive_grad_shapes[] = {{"8x512x14x14 8x512x7x7", "height=7 width=7"}, CASES_END};
static const OpCase avg_shapes[] = {{"8x64x128x128", "kernel=2"}, CASES_END};
static const OpCase avg_grad_shapes[] = {{"8x64x64x64", "kernel=2 height=128 width=128"}, CASES_END};
static const OpCase global_shapes[] = {{"128x2048x4x4", ""}, CASES_END};
static const OpCase global_grad_shapes[] = {{"128x2048", "height=4 width=4"}, CASES_END};

OP(max_pool2d) = {
    .name = "max_pool2d", .formula = "y(o) = max over window o of x", .operands = "x", .results = "y",
    .attr_size = sizeof(Pool2dAttrs), .attrs = max_attrs, .infer = pool_infer, .vjp = max_vjp, .flop = pool_flop,
    .cases = max_cases, .shapes = max_shapes,
};
/* Its transpose with respect to dy would gather by the positions of the maxima; no model differentiates twice. */
OP(max_pool2d_grad) = {
    .name = "max_pool2d_grad", .formula = "dx(i) = sum of dy(o) over windows o whose first maximum is i",
    .operands = "x dy", .results = "dx", .attr_size = sizeof(Pool2dAttrs), .attrs = max_attrs, .flags = OP_NO_GRAD,
    .infer = max_grad_infer, .flop = max_grad_flop, .cases = max_grad_cases, .shapes = max_grad_shapes,
};
OP(avg_pool2d) = {
    .name = "avg_pool2d", .formula = "y(o) = mean over window o of x", .operands = "x", .results = "y",
    .attr_size = sizeof(Pool2dAttrs), .attrs = avg_attrs, .infer = pool_infer, .vjp = avg_vjp, .flop = pool_flop,
    .cases = avg_cases, .shapes = avg_shapes,
};
OP(avg_pool2d_grad) = {
    .name = "avg_pool2d_grad", .formula = "dx(i) = sum of dy(o) / |o| over windows o that see i", .operands = "dy",
    .results = "dx", .attr_size = sizeof(Pool2dAttrs), .attrs = avg_grad_attrs, .infer = avg_grad_infer,
    .vjp = avg_grad_vjp, .flop = avg_grad_flop, .cases = avg_grad_cases, .shapes = avg_grad_shapes,
};
OP(adaptive_max_pool2d) = {
    .name = "adaptive_max_pool2d", .formula = "y(o) = max of x[floor(o H / OH) .. ceil((o + 1) H / OH) - 1]",
    .operands = "x", .results = "y", .attr_size = sizeof(Pool2dAttrs), .attrs = adaptive_attrs,
    .infer = adaptive_infer, .vjp = adaptive_vjp, .flop = global_flop, .cases = adaptive_cases,
    .shapes = adaptive_shapes,
};
/* As max_pool2d_grad. */
OP(adaptive_max_pool2d_grad) = {
    .name = "adaptive_max_pool2d_grad", .formula = "dx(i) = sum of dy(o) over windows o whose first maximum is i",
    .operands = "x dy", .results = "dx", .attr_size = sizeof(Pool2dAttrs), .attrs = adaptive_attrs,
    .flags = OP_NO_GRAD, .infer = adaptive_grad_infer, .flop = global_flop, .cases = adaptive_grad_cases,
    .shapes = adaptive_grad_shapes,
};
OP(adaptive_avg_pool2d) = {
    .name = "adaptive_avg_pool2d", .formula = "y(o) = mean of x[floor(o H / OH) .. ceil((o + 1) H / OH) - 1]",
    .operands = "x", .results = "y", .attr_size = sizeof(Pool2dAttrs), .attrs = adaptive_attrs, .flags = OP_EXPAND,
    .expand = adaptive_avg, .cases = adaptive_cases, .shapes = adaptive_shapes,
};
OP(global_avg_pool) = {
    .name = "global_avg_pool", .formula = "y(b,c) = mean over pixels of x(b,c)", .operands = "x", .results = "y",
    .infer = global_infer, .vjp = global_vjp, .flop = global_flop, .cases = global_cases, .shapes = global_shapes,
};
OP(global_avg_pool_grad) = {
    .name = "global_avg_pool_grad", .formula = "dx(b,c,i) = dy(b,c) / (height width)", .operands = "dy",
    .results = "dx", .attr_size = sizeof(Pool2dAttrs), .attrs = global_grad_attrs, .infer = global_grad_infer,
    .vjp = global_grad_vjp, .cases = global_grad_cases, .shapes = global_grad_shapes,
};

/* ---------------------------------------------------------------- builders */
/* One spelling of two numbers of which the second pair overrides the first: the short one where it serves. */
static void unite(int *both, int *h, int *w)
{
    int rows = *h ? *h : *both, columns = *w ? *w : *both;
    if (rows == 0 || columns == 0)
        return;
    *both = rows;
    *h = rows == columns ? 0 : rows;
    *w = rows == columns ? 0 : columns;
}

/* Fields that an op does not have are cleared, so that equal ops are found equal.  Mistakes are left for infer. */
static Pool2dAttrs canonical(Pool2dAttrs a, bool mean, bool size)
{
    PoolWindow w = pool_window(&a);
    a.stride_h = (int)w.rows.stride;
    a.stride_w = (int)w.columns.stride;
    unite(&a.kernel, &a.kernel_h, &a.kernel_w);
    unite(&a.stride, &a.stride_h, &a.stride_w);
    if (a.padding >= 0 && a.padding_h >= 0 && a.padding_w >= 0) {
        int least = a.padding_h < a.padding_w ? a.padding_h : a.padding_w;
        a.padding += least;
        a.padding_h -= least;
        a.padding_w -= least;
    }
    a.count_include_pad = a.count_include_pad && mean;
    a.height = size ? a.height : 0;
    a.width = size ? a.width : 0;
    return a;
}

Val op_max_pool2d(Val x, Pool2dAttrs a)
{
    a = canonical(a, false, false);
    return op_build(&op_max_pool2d_def, &a, NULL, 1, x);
}

Val op_max_pool2d_grad(Val x, Val dy, Pool2dAttrs a)
{
    a = canonical(a, false, false);
    return op_build(&op_max_pool2d_grad_def, &a, NULL, 2, x, dy);
}

Val op_avg_pool2d(Val x, Pool2dAttrs a)
{
    a = canonical(a, true, false);
    return op_build(&op_avg_pool2d_def, &a, NULL, 1, x);
}

Val op_avg_pool2d_grad(Val dy, Pool2dAttrs a)
{
    a = canonical(a, true, true);
    return op_build(&op_avg_pool2d_grad_def, &a, NULL, 1, dy);
}

Val op_adaptive_max_pool2d(Val x, int height, int width)
{
    Pool2dAttrs a = {.height = height, .width = width};
    return op_build(&op_adaptive_max_pool2d_def, &a, NULL, 1, x);
}

Val op_adaptive_max_pool2d_grad(Val x, Val dy, int height, int width)
{
    Pool2dAttrs a = {.height = height, .width = width};
    return op_build(&op_adaptive_max_pool2d_grad_def, &a, NULL, 2, x, dy);
}

Val op_adaptive_avg_pool2d(Val x, int height, int width)
{
    return op_resize_area(x, height, width);
}

Val op_global_avg_pool(Val x)
{
    return op_build(&op_global_avg_pool_def, NULL, NULL, 1, x);
}

Val op_global_avg_pool_grad(Val dy, int height, int width)
{
    Pool2dAttrs a = {.height = height, .width = width};
    return op_build(&op_global_avg_pool_grad_def, &a, NULL, 1, dy);
}
