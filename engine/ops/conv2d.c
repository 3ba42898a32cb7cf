/* conv2d.c - y(b,f,o) = bias(f) + sum over c, k of w(f,c,k) x(b,c, stride o - padding + dilation k), its transpose
 * with respect to x, and its gradient with respect to w.
 * Source: Dumoulin, Visin, "A guide to convolution arithmetic for deep learning", 2016 (sizes, transposes). */
#include "engine/ops/conv2d.h"

#include "engine/op.h"
#include "engine/ops/conv2d_infer.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"

#define ATTR(name, initial, doc) {#name, ATTR_INT, offsetof(Conv2dAttrs, name), initial, doc}
#define ATTRS_COMMON                                                         \
    ATTR(stride, "1", "step between windows, in pixels"),                    \
    ATTR(padding, "0", "zeros around x on every side"),                      \
    ATTR(dilation, "1", "step between the taps of a window"),                \
    ATTR(groups, "1", "blocks of channels that do not mix"),                 \
    ATTR(padding_h, "0", "further zeros above and below"),                   \
    ATTR(padding_w, "0", "further zeros left and right")

const OpAttr conv2d_op_attrs[] = {ATTRS_COMMON, ATTRS_END};
static const OpAttr transpose_attrs[] = {
    ATTRS_COMMON,
    ATTR(output_padding, "0", "rows and columns added at the far end; less than stride"),
    ATTR(output_padding_h, "0", "further rows"),
    ATTR(output_padding_w, "0", "further columns"),
    ATTRS_END,
};
static const OpAttr weight_attrs[] = {
    ATTRS_COMMON, ATTR(kernel_h, "", "rows of w"), ATTR(kernel_w, "", "columns of w"), ATTRS_END,
};

ConvShape conv2d_shape(const Conv2dAttrs *a, Shape x, Shape w, Shape y)
{
    return (ConvShape){
        x.dim[0], x.dim[1], x.dim[2], x.dim[3], y.dim[1], y.dim[2], y.dim[3], w.dim[2], w.dim[3],
        a->stride, a->dilation, a->groups, a->padding + a->padding_h, a->padding + a->padding_w,
    };
}

/* The attributes of the same convolution for another of the three ops. */
static Conv2dAttrs bare(const Conv2dAttrs *a)
{
    Conv2dAttrs r = *a;
    r.output_padding = r.output_padding_h = r.output_padding_w = r.kernel_h = r.kernel_w = 0;
    return r;
}

/* One form for all spellings of the same padding, so that equal ops are found equal. */
static void split(int *both, int *h, int *w)
{
    int rows = *both + *h, columns = *both + *w;
    *both = rows < columns ? rows : columns;
    *h = rows - *both;
    *w = columns - *both;
}

static Conv2dAttrs canonical(Conv2dAttrs a)
{
    a.stride += a.stride == 0;
    a.dilation += a.dilation == 0;
    a.groups += a.groups == 0;
    split(&a.padding, &a.padding_h, &a.padding_w);
    split(&a.output_padding, &a.output_padding_h, &a.output_padding_w);
    return a;
}

Conv2dAttrs conv2d_attrs(Conv2dAttrs a)
{
    return canonical(bare(&a));
}

/* ---------------------------------------------------------------- shapes */
enum { ATTR_MAX = 1 << 20 };   /* larger numbers are nonsense and might overflow */

static bool attrs_good(OpShapes *s)
{
    const Conv2dAttrs *a = s->attrs;
    const int positive[] = {a->stride, a->dilation, a->groups};
    const char *const positive_name[] = {"stride", "dilation", "groups"};
    for (int i = 0; i < 3; i++)
        if (positive[i] < 1 || positive[i] > ATTR_MAX)
            return op_mistake(s, "%s is %d and must be 1 to %d", positive_name[i], positive[i], ATTR_MAX), false;
    const int natural[] = {a->padding, a->padding_h, a->padding_w,
                           a->output_padding, a->output_padding_h, a->output_padding_w};
    const char *const natural_name[] = {"padding", "padding_h", "padding_w",
                                        "output_padding", "output_padding_h", "output_padding_w"};
    for (int i = 0; i < 6; i++)
        if (natural[i] < 0 || natural[i] > ATTR_MAX)
            return op_mistake(s, "%s is %d and must be 0 to %d", natural_name[i], natural[i], ATTR_MAX), false;
    return true;
}

/* Rank 4, real, nothing of size 0. */
static bool operand_good(OpShapes *s, int i)
{
    if (!infer_operand(s, i, F32, 4))
        return false;
    for (int k = 0; k < 4; k++)
        if (s->in[i].dim[k] < 1)
            return op_mistake(s, "operand %s has a size of 0", infer_name(s, i)), false;
    return true;
}

static bool bias_good(OpShapes *s, int64_t filters)
{
    if (s->nin < 3 || s->in[2].rank < 0)
        return true;
    if (!infer_operand(s, 2, F32, 1))
        return false;
    if (s->in[2].dim[0] != filters)
        return op_mistake(s, "operand b has %ld elements and must have %ld, one a filter", (long)s->in[2].dim[0],
                          (long)filters), false;
    return true;
}

/* Windows along one axis, or -1 with a mistake. */
static int64_t windows(OpShapes *s, const char *axis, int64_t size, int64_t kernel, int64_t padding)
{
    const Conv2dAttrs *a = s->attrs;
    int64_t reach = a->dilation * (kernel - 1) + 1;
    if (size + 2 * padding < reach)
        return op_mistake(s, "the kernel reaches over %ld pixels and x with its padding has only %ld in %s",
                          (long)reach, (long)(size + 2 * padding), axis), -1;
    return (size + 2 * padding - reach) / a->stride + 1;
}

void conv2d_infer(OpShapes *s)
{
    const Conv2dAttrs *a = s->attrs;
    if (!operand_good(s, 0) || !operand_good(s, 1) || !attrs_good(s))
        return;
    Shape x = s->in[0], w = s->in[1];
    if (x.dim[1] % a->groups || w.dim[0] % a->groups) {
        op_mistake(s, "groups is %d and must divide channels and filters", a->groups);
        return;
    }
    if (w.dim[1] != x.dim[1] / a->groups) {
        op_mistake(s, "w takes %ld channels a group and x has %ld", (long)w.dim[1], (long)(x.dim[1] / a->groups));
        return;
    }
    int64_t oh = windows(s, "height", x.dim[2], w.dim[2], a->padding + a->padding_h);
    int64_t ow = oh < 0 ? -1 : windows(s, "width", x.dim[3], w.dim[3], a->padding + a->padding_w);
    if (ow < 0 || !bias_good(s, w.dim[0]))
        return;
    s->out[0] = SHAPE(x.dim[0], w.dim[0], oh, ow);
}

static void transpose_infer(OpShapes *s)
{
    const Conv2dAttrs *a = s->attrs;
    if (!operand_good(s, 0) || !operand_good(s, 1) || !attrs_good(s))
        return;
    Shape x = s->in[0], w = s->in[1];
    if (w.dim[0] != x.dim[1]) {
        op_mistake(s, "w takes %ld channels and x has %ld", (long)w.dim[0], (long)x.dim[1]);
        return;
    }
    if (x.dim[1] % a->groups) {
        op_mistake(s, "groups is %d and must divide the channels", a->groups);
        return;
    }
    int64_t more[2] = {a->output_padding + a->output_padding_h, a->output_padding + a->output_padding_w};
    int64_t padding[2] = {a->padding + a->padding_h, a->padding + a->padding_w}, size[2];
    for (int i = 0; i < 2; i++) {
        if (more[i] >= a->stride) {
            op_mistake(s, "output padding is %ld and must be less than stride", (long)more[i]);
            return;
        }
        size[i] = (x.dim[2 + i] - 1) * a->stride - 2 * padding[i] + a->dilation * (w.dim[2 + i] - 1) + more[i] + 1;
        if (size[i] < 1) {
            op_mistake(s, "the result would have %ld %s: the padding is too large", (long)size[i],
                       i ? "columns" : "rows");
            return;
        }
    }
    if (!bias_good(s, w.dim[1] * a->groups))
        return;
    s->out[0] = SHAPE(x.dim[0], w.dim[1] * a->groups, size[0], size[1]);
}

static void weight_infer(OpShapes *s)
{
    const Conv2dAttrs *a = s->attrs;
    if (!operand_good(s, 0) || !operand_good(s, 1) || !attrs_good(s))
        return;
    Shape x = s->in[0], dy = s->in[1];
    if (a->kernel_h < 1 || a->kernel_w < 1 || a->kernel_h > ATTR_MAX || a->kernel_w > ATTR_MAX) {
        op_mistake(s, "kernel_h, kernel_w are %d, %d and must be at least 1", a->kernel_h, a->kernel_w);
        return;
    }
    if (x.dim[0] != dy.dim[0]) {
        op_mistake(s, "x and dy differ in batch");
        return;
    }
    if (x.dim[1] % a->groups || dy.dim[1] % a->groups) {
        op_mistake(s, "groups is %d and must divide channels and filters", a->groups);
        return;
    }
    int64_t oh = windows(s, "height", x.dim[2], a->kernel_h, a->padding + a->padding_h);
    int64_t ow = oh < 0 ? -1 : windows(s, "width", x.dim[3], a->kernel_w, a->padding + a->padding_w);
    if (ow < 0)
        return;
    if (dy.dim[2] != oh || dy.dim[3] != ow) {
        op_mistake(s, "dy is %ldx%ld and the convolution makes %ldx%ld", (long)dy.dim[2], (long)dy.dim[3], (long)oh,
                   (long)ow);
        return;
    }
    s->out[0] = SHAPE(dy.dim[1], x.dim[1] / a->groups, a->kernel_h, a->kernel_w);
}

/* ---------------------------------------------------------------- cost: a multiplication and an addition a triple */
static double triples(const OpShapes *s, Shape x, Shape w, Shape y)
{
    ConvShape c = conv2d_shape(s->attrs, x, w, y);
    return 2.0 * (double)c.batch * (double)(c.filters * c.out_height * c.out_width) *
           (double)(c.channels / c.groups * c.kernel_h * c.kernel_w);
}

double conv2d_flop(const OpShapes *s)
{
    return triples(s, s->in[0], s->in[1], s->out[0]);
}

static double transpose_flop(const OpShapes *s)
{
    return triples(s, s->out[0], s->in[1], s->in[0]);
}

static double weight_flop(const OpShapes *s)
{
    return triples(s, s->in[0], s->out[0], s->in[1]);
}

/* ---------------------------------------------------------------- gradients */
/* Attributes of the transposed convolution from dy back to x: output padding makes up for rows that no window of
 * the rounded-down division reached. */
static Conv2dAttrs back_to(const Conv2dAttrs *a, Shape x, int64_t kernel_h, int64_t kernel_w, Shape dy)
{
    Conv2dAttrs r = bare(a);
    r.output_padding_h = (int)(x.dim[2] - ((dy.dim[2] - 1) * a->stride - 2 * (a->padding + a->padding_h) +
                                           a->dilation * (kernel_h - 1) + 1));
    r.output_padding_w = (int)(x.dim[3] - ((dy.dim[3] - 1) * a->stride - 2 * (a->padding + a->padding_w) +
                                           a->dilation * (kernel_w - 1) + 1));
    return r;
}

static Conv2dAttrs to_weights(const Conv2dAttrs *a, Shape w)
{
    Conv2dAttrs r = bare(a);
    r.kernel_h = (int)w.dim[2];
    r.kernel_w = (int)w.dim[3];
    return r;
}

static void conv_vjp(OpVjp *g)
{
    Val x = g->in[0], w = g->in[1], dy = g->dout[0];
    Shape ws = val_shape(w);
    if (g->need[0])
        g->din[0] = op_conv_transpose2d(dy, w, NONE, back_to(g->attrs, val_shape(x), ws.dim[2], ws.dim[3],
                                                             val_shape(dy)));
    if (g->need[1])
        g->din[1] = op_conv2d_weight_grad(x, dy, to_weights(g->attrs, ws));
    if (g->nin > 2 && g->need[2])
        g->din[2] = op_reduce_sum(dy, INTS(0, 2, 3), false);
}

static void transpose_vjp(OpVjp *g)
{
    Val x = g->in[0], w = g->in[1], dy = g->dout[0];
    if (g->need[0])
        g->din[0] = op_conv2d(dy, w, NONE, bare(g->attrs));
    if (g->need[1])
        g->din[1] = op_conv2d_weight_grad(dy, x, to_weights(g->attrs, val_shape(w)));
    if (g->nin > 2 && g->need[2])
        g->din[2] = op_reduce_sum(dy, INTS(0, 2, 3), false);
}

static void weight_vjp(OpVjp *g)
{
    const Conv2dAttrs *a = g->attrs;
    Val x = g->in[0], dy = g->in[1], dw = g->dout[0];
    if (g->need[0])
        g->din[0] = op_conv_transpose2d(dy, dw, NONE, back_to(a, val_shape(x), a->kernel_h, a->kernel_w,
                                                              val_shape(dy)));
    if (g->need[1])
        g->din[1] = op_conv2d(x, dw, NONE, bare(a));
}

/* ---------------------------------------------------------------- cases */
static const OpCase conv_cases[] = {
    {"2x3x5x5 4x3x3x3 -", "padding=1"},
    {"1x1x1x1 1x1x1x1 1", ""},
    {"2x3x8x8 5x3x4x4 5", "stride=2 padding=1"},             /* Table 6: halves the map */
    {"2x5x4x4 6x5x4x4 6", ""},                               /* Table 6: the last convolution, 4x4 to 1x1 */
    {"1x17x7x5 3x17x3x3 3", "stride=2 padding=1"},
    {"2x16x5x5 17x16x1x1 -", ""},
    {"1x16x9x9 16x16x3x3 -", "padding=1"},
    {"1x32x8x8 32x32x3x3 32", "padding=1"},                  /* whole blocks of channels */
    {"2x6x6x6 4x3x3x3 4", "groups=2 padding=1"},
    {"1x32x5x5 32x16x3x3 -", "groups=2 padding=1"},
    {"2x19x6x7 19x1x3x3 19", "groups=19 padding=1"},         /* depthwise */
    {"1x16x6x6 32x1x3x3 -", "groups=16 padding=1 stride=2"},
    {"1x3x9x10 2x3x3x3 -", "dilation=2 padding=2 stride=2"},
    {"1x4x6x9 3x4x1x7 3", "padding_w=3"},                    /* Inception's 1x7 */
    {"1x4x9x6 3x4x7x1 -", "padding_h=3 stride=2"},
    {"1x3x11x11 4x3x7x7 4", "stride=2 padding=3"},           /* ResNet's first, odd */
    {"1x64x4x4 3x64x1x1 3", ""},                             /* to RGB */
    {"1x2x3x3 3x2x1x1 -", "padding=2 stride=3"},
    CASES_END,
};
static const OpCase transpose_cases[] = {
    {"2x4x5x5 4x3x3x3 -", "padding=1"},
    {"1x1x1x1 1x1x1x1 1", ""},
    {"2x5x1x1 5x6x4x4 6", ""},                               /* Table 7: the first, 1x1 to 4x4 */
    {"2x5x4x4 5x3x4x4 3", "stride=2 padding=1"},
    {"1x3x4x3 3x17x3x3 17", "stride=2 padding=1 output_padding=1"},
    {"1x17x4x3 17x16x3x3 -", "stride=2 padding=1 output_padding_w=1"},
    {"1x16x9x9 16x16x3x3 -", "padding=1"},
    {"1x32x8x8 32x32x3x3 32", "padding=1"},
    {"2x4x6x6 4x3x3x3 6", "groups=2 padding=1"},
    {"2x19x3x4 19x1x3x3 19", "groups=19 padding=1 stride=2"},
    {"1x2x5x5 2x3x3x3 -", "dilation=2 padding=2 stride=2 output_padding=1"},
    {"1x3x6x9 3x4x1x7 4", "padding_w=3"},
    {"1x2x3x3 2x3x1x1 3", "stride=3 output_padding=2"},      /* results that no tap reaches */
    CASES_END,
};
static const OpCase weight_cases[] = {
    {"2x3x5x5 2x4x5x5", "padding=1 kernel_h=3 kernel_w=3"},
    {"1x1x1x1 1x1x1x1", "kernel_h=1 kernel_w=1"},
    {"2x3x8x8 2x5x4x4", "stride=2 padding=1 kernel_h=4 kernel_w=4"},
    {"3x5x4x4 3x6x1x1", "kernel_h=4 kernel_w=4"},
    {"1x17x7x5 1x3x4x3", "stride=2 padding=1 kernel_h=3 kernel_w=3"},
    {"2x16x5x5 2x17x5x5", "kernel_h=1 kernel_w=1"},
    {"1x16x9x9 1x16x9x9", "padding=1 kernel_h=3 kernel_w=3"},
    {"1x32x8x8 1x32x8x8", "padding=1 kernel_h=3 kernel_w=3"},
    {"2x6x6x6 2x4x6x6", "groups=2 padding=1 kernel_h=3 kernel_w=3"},
    {"2x19x6x7 2x19x6x7", "groups=19 padding=1 kernel_h=3 kernel_w=3"},
    {"1x3x9x10 1x2x5x5", "dilation=2 padding=2 stride=2 kernel_h=3 kernel_w=3"},
    {"1x4x6x9 1x3x6x9", "padding_w=3 kernel_h=1 kernel_w=7"},
    {"1x2x4x4 1x3x2x2", "stride=3 kernel_h=1 kernel_w=1"},
    CASES_END,
};

/* Tables 6 and 7 at batch 8; ResNet-50 at 128x128, batch 16. */
static const OpCase conv_shapes[] = {
    {"8x3x128x128 128x3x4x4 -", "stride=2 padding=1"},
    {"8x128x64x64 256x128x4x4 -", "stride=2 padding=1"},
    {"8x256x32x32 512x256x4x4 -", "stride=2 padding=1"},
    {"8x512x16x16 512x512x4x4 -", "stride=2 padding=1"},
    {"8x512x8x8 1024x512x4x4 -", "stride=2 padding=1"},
    {"8x1024x4x4 2048x1024x4x4 -", ""},
    {"8x1024x4x4 1024x1024x3x3 -", "padding=1"},
    {"8x1024x8x8 512x1024x3x3 -", "padding=1"},
    {"8x512x16x16 512x512x3x3 -", "padding=1"},
    {"8x256x32x32 256x256x3x3 -", "padding=1"},
    {"8x128x64x64 128x128x3x3 -", "padding=1"},
    {"8x64x128x128 64x64x3x3 -", "padding=1"},
    {"8x64x128x128 3x64x1x1 3", ""},
    {"16x3x128x128 64x3x7x7 -", "stride=2 padding=3"},
    {"16x64x32x32 64x64x3x3 -", "padding=1"},
    {"16x256x32x32 64x256x1x1 -", ""},
    {"16x128x32x32 128x128x3x3 -", "stride=2 padding=1"},
    {"16x256x8x8 256x256x3x3 -", "padding=1"},
    {"16x512x8x8 1024x512x1x1 -", "stride=2"},
    {"16x512x4x4 512x512x3x3 -", "padding=1"},
    CASES_END,
};
static const OpCase transpose_shapes[] = {
    {"8x640x1x1 640x1024x4x4 -", ""},                        /* Table 7: the first */
    {"8x128x64x64 128x3x4x4 -", "stride=2 padding=1"},
    {"8x1024x4x4 1024x512x4x4 -", "stride=2 padding=1"},
    {"8x512x16x16 512x512x3x3 -", "padding=1"},
    {"8x64x128x128 64x64x3x3 -", "padding=1"},
    {"16x64x64x64 64x3x7x7 -", "stride=2 padding=3 output_padding=1"},
    {"16x512x4x4 512x512x3x3 -", "padding=1"},
    CASES_END,
};
static const OpCase weight_shapes[] = {
    {"8x3x128x128 8x128x64x64", "stride=2 padding=1 kernel_h=4 kernel_w=4"},
    {"8x512x8x8 8x1024x4x4", "stride=2 padding=1 kernel_h=4 kernel_w=4"},
    {"8x1024x4x4 8x1024x4x4", "padding=1 kernel_h=3 kernel_w=3"},
    {"8x512x16x16 8x512x16x16", "padding=1 kernel_h=3 kernel_w=3"},
    {"8x64x128x128 8x64x128x128", "padding=1 kernel_h=3 kernel_w=3"},
    {"16x256x32x32 16x64x32x32", "kernel_h=1 kernel_w=1"},
    {"16x512x4x4 16x512x4x4", "padding=1 kernel_h=3 kernel_w=3"},
    CASES_END,
};

OP(conv2d) = {
    .name = "conv2d", .formula = "y(b,f,o) = b(f) + sum_{c,k} w(f,c,k) x(b,c,stride o - padding + dilation k)",
    .operands = "x w b?", .results = "y", .attr_size = sizeof(Conv2dAttrs), .attrs = conv2d_op_attrs,
    .infer = conv2d_infer, .vjp = conv_vjp, .flop = conv2d_flop, .cases = conv_cases, .shapes = conv_shapes,
    .source = "PyTorch's conv2d; Dumoulin, Visin 2016",
};
OP(conv_transpose2d) = {
    .name = "conv_transpose2d", .formula = "y(b,f,stride i - padding + dilation k) += w(c,f,k) x(b,c,i), plus b(f)",
    .operands = "x w b?", .results = "y", .attr_size = sizeof(Conv2dAttrs), .attrs = transpose_attrs,
    .infer = transpose_infer, .vjp = transpose_vjp, .flop = transpose_flop, .cases = transpose_cases,
    .shapes = transpose_shapes, .source = "PyTorch's conv_transpose2d; Dumoulin, Visin 2016, section 4",
};
OP(conv2d_weight_grad) = {
    .name = "conv2d_weight_grad", .formula = "dw(f,c,k) = sum_{b,o} dy(b,f,o) x(b,c,stride o - padding + dilation k)",
    .operands = "x dy", .results = "dw", .attr_size = sizeof(Conv2dAttrs), .attrs = weight_attrs,
    .infer = weight_infer, .vjp = weight_vjp, .flop = weight_flop, .cases = weight_cases, .shapes = weight_shapes,
};

Val op_conv2d(Val x, Val w, Val b, Conv2dAttrs a)
{
    a = conv2d_attrs(a);
    return op_build(&op_conv2d_def, &a, NULL, 3, x, w, b);
}

Val op_conv_transpose2d(Val x, Val w, Val b, Conv2dAttrs a)
{
    a.kernel_h = a.kernel_w = 0;
    a = canonical(a);
    return op_build(&op_conv_transpose2d_def, &a, NULL, 3, x, w, b);
}

Val op_conv2d_weight_grad(Val x, Val dy, Conv2dAttrs a)
{
    a.output_padding = a.output_padding_h = a.output_padding_w = 0;
    a = canonical(a);
    return op_build(&op_conv2d_weight_grad_def, &a, NULL, 2, x, dy);
}
