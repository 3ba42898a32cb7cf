/* upsample_conv.c - the four linear ops that the convolution of an upsampled map is made of, and the patterns that put
 * them in its place. */
#include "engine/ops/upsample_conv.h"

#include <string.h>

#include "engine/op.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"
#include "engine/ops/resize.h"

enum { UP = 4, TAPS = 3 };   /* kernels, rows of w */

static bool operand(OpShapes *s)
{
    if (!infer_operand(s, 0, F32, 4))
        return false;
    for (int i = 0; i < 4; i++)
        if (s->in[0].dim[i] < 1) {
            op_mistake(s, "operand %s has a size of 0", infer_name(s, 0));
            return false;
        }
    return true;
}

/* ---------------------------------------------------------------- weights */
static void weights_infer(OpShapes *s)
{
    if (!operand(s))
        return;
    const int64_t *d = s->in[0].dim;
    if (d[2] != TAPS || d[3] != TAPS)
        op_mistake(s, "the kernel must be 3x3");
    s->out[0] = SHAPE(UP * d[0], d[1], 2, 2);
}

static void weights_grad_infer(OpShapes *s)
{
    if (!operand(s))
        return;
    const int64_t *d = s->in[0].dim;
    if (d[0] % UP || d[2] != 2 || d[3] != 2)
        op_mistake(s, "the kernels must be 2x2, four for each filter");
    s->out[0] = SHAPE(d[0] / UP, d[1], TAPS, TAPS);
}

static void weights_vjp(OpVjp *g)
{
    g->din[0] = op_upsample_weights_grad(g->dout[0]);
}

static void weights_grad_vjp(OpVjp *g)
{
    g->din[0] = op_upsample_weights(g->dout[0]);
}

/* Each of the nine taps is added once for each of the four kernels. */
static double weights_flop(const OpShapes *s)
{
    return (double)(UP * TAPS * TAPS) * (double)(s->in[0].dim[0] * s->in[0].dim[1]);
}
static double weights_grad_flop(const OpShapes *s)
{
    return (double)(TAPS * TAPS) * (double)(s->in[0].dim[0] * s->in[0].dim[1]);
}

/* ---------------------------------------------------------------- interleave */
static void interleave_infer(OpShapes *s)
{
    if (!operand(s))
        return;
    const int64_t *d = s->in[0].dim;
    if (d[1] % UP || d[2] < 2 || d[3] < 2)
        op_mistake(s, "z must have four maps for each channel, of at least 2x2");
    else if (s->nin > 1 && s->in[1].rank >= 0 && infer_operand(s, 1, F32, 1) && s->in[1].dim[0] != d[1] / UP)
        op_mistake(s, "operand b has %ld elements and must have %ld, one a channel", (long)s->in[1].dim[0],
                   (long)(d[1] / UP));
    s->out[0] = SHAPE(d[0], d[1] / UP, 2 * (d[2] - 1), 2 * (d[3] - 1));
}

static void interleave_grad_infer(OpShapes *s)
{
    if (!operand(s))
        return;
    const int64_t *d = s->in[0].dim;
    if (d[2] % 2 || d[3] % 2)
        op_mistake(s, "height and width must be even");
    s->out[0] = SHAPE(d[0], UP * d[1], d[2] / 2 + 1, d[3] / 2 + 1);
}

static void interleave_vjp(OpVjp *g)
{
    if (g->need[0])
        g->din[0] = op_upsample_interleave_grad(g->dout[0]);
    if (g->nin > 1 && g->need[1])
        g->din[1] = op_reduce_sum(g->dout[0], INTS(0, 2, 3), false);
}

static void interleave_grad_vjp(OpVjp *g)
{
    g->din[0] = op_upsample_interleave(g->dout[0], NONE);
}

/* ---------------------------------------------------------------- all of it */
static Val expand(Prog *p, const Val *in, int nin, const void *attrs)
{
    (void)attrs;
    if (nin < 2 || val_shape(in[0]).rank != 4 || val_shape(in[1]).rank != 4) {
        char x[96], w[96];
        return prog_mistake(p, "upsample_conv2d: x %s and w %s must be (B, C, H, W) and (F, C, 3, 3)",
                            shape_text(val_shape(in[0]), x, sizeof x), shape_text(val_shape(in[1]), w, sizeof w));
    }
    Val z = op_conv2d(in[0], op_upsample_weights(in[1]), NONE, (Conv2dAttrs){.padding = 1});
    return op_upsample_interleave(z, nin > 2 ? in[2] : NONE);
}

/* ---------------------------------------------------------------- patterns */
extern const OpDef op_upsample_weights_def, op_upsample_weights_grad_def, op_upsample_interleave_def,
    op_upsample_interleave_grad_def;

static bool is_op(Prog *p, int node, const char *name)
{
    return node >= 0 && !strcmp(fuse_op(p, node)->name, name);
}

static bool keeps_size(const Conv2dAttrs *a)
{
    return a->stride == 1 && a->dilation == 1 && a->groups == 1 && a->padding == 1 && !a->padding_h && !a->padding_w &&
           !a->output_padding && !a->output_padding_h && !a->output_padding_w;
}

static bool twice(Val small, Val large)
{
    return val_dim(large, 2) == 2 * val_dim(small, 2) && val_dim(large, 3) == 2 * val_dim(small, 3);
}

/* Whether it is worth while on this device, for x (B,C,H,W) and F filters of 3x3. */
static bool worth(Prog *p, Val x, int64_t filters)
{
    Shape in[2] = {val_shape(x), SHAPE(filters, val_dim(x, 1), TAPS, TAPS)};
    return fuse_worth(p, op_upsample_interleave_def.name, in);
}

/* The small map behind `large` when that is its double and only 3x3 convolutions of it and their gradients are read. */
static bool upsampled(Prog *p, Val large, Val *small)
{
    enum { MAX = 8 };
    int users[MAX], up = fuse_node_of(large), n = fuse_uses(p, large, users, MAX);
    if (!is_op(p, up, "resize_nearest") || n > MAX)
        return false;
    *small = fuse_in(p, up, 0);
    if (!twice(*small, large))
        return false;
    for (int i = 0; i < n; i++) {
        bool forward = is_op(p, users[i], "conv2d");
        if (!forward && !is_op(p, users[i], "conv2d_weight_grad"))
            return false;
        Val other = fuse_in(p, users[i], 1);
        const Conv2dAttrs *a = fuse_attrs(p, users[i]);
        if (fuse_in(p, users[i], 0).id != large.id || other.id == large.id || !keeps_size(a) ||
            (forward ? val_dim(other, 2) != TAPS || val_dim(other, 3) != TAPS
                     : a->kernel_h != TAPS || a->kernel_w != TAPS) ||
            !worth(p, *small, val_dim(other, forward ? 0 : 1)))
            return false;
    }
    return true;
}

/* Puts an op of one result before *node, which moves on; returns the result. */
static Val put(Prog *p, int *node, const OpDef *op, const Val *in, int nin, const void *attrs)
{
    fuse_replace(p, *node, op, in, nin, attrs, NULL, NULL, 0);
    return fuse_out(p, (*node)++, 0);
}

static const Conv2dAttrs small_conv = {.stride = 1, .dilation = 1, .groups = 1, .padding = 1};

static bool rewrite_forward(Prog *p, int conv)
{
    Val large = fuse_in(p, conv, 0), small, old = fuse_out(p, conv, 0);
    if (!upsampled(p, large, &small))
        return false;
    Val w = fuse_in(p, conv, 1), in[2] = {NONE, fuse_in(p, conv, 2)};
    Val operands[2] = {small, put(p, &conv, &op_upsample_weights_def, &w, 1, NULL)};
    in[0] = put(p, &conv, op_find("conv2d"), operands, 2, &small_conv);
    fuse_replace(p, conv, &op_upsample_interleave_def, in, val_ok(in[1]) ? 2 : 1, NULL, &old, (const int[]){0}, 1);
    return true;
}

static bool rewrite_weight_grad(Prog *p, int grad)
{
    Val large = fuse_in(p, grad, 0), dy = fuse_in(p, grad, 1), small, old = fuse_out(p, grad, 0);
    if (!upsampled(p, large, &small))
        return false;
    Conv2dAttrs a = small_conv;
    a.kernel_h = a.kernel_w = 2;
    Val in[2] = {small, put(p, &grad, &op_upsample_interleave_grad_def, &dy, 1, NULL)};
    Val dw = put(p, &grad, op_find("conv2d_weight_grad"), in, 2, &a);
    fuse_replace(p, grad, &op_upsample_weights_grad_def, &dw, 1, NULL, &old, (const int[]){0}, 1);
    return true;
}

/* resize_nearest_grad of a conv_transpose2d that nothing else reads. */
static bool rewrite_grad(Prog *p, int grad)
{
    Val large = fuse_in(p, grad, 0), old = fuse_out(p, grad, 0);
    int user, conv = fuse_node_of(large);
    if (!is_op(p, conv, "conv_transpose2d") || fuse_uses(p, large, &user, 1) != 1 || !twice(old, large))
        return false;
    Val dy = fuse_in(p, conv, 0), w = fuse_in(p, conv, 1);
    if (val_ok(fuse_in(p, conv, 2)) || !keeps_size(fuse_attrs(p, conv)) || val_dim(w, 2) != TAPS ||
        val_dim(w, 3) != TAPS || !worth(p, old, val_dim(w, 0)))
        return false;
    Val in[2];
    in[0] = put(p, &grad, &op_upsample_interleave_grad_def, &dy, 1, NULL);
    in[1] = put(p, &grad, &op_upsample_weights_def, &w, 1, NULL);
    fuse_replace(p, grad, op_find("conv_transpose2d"), in, 2, &small_conv, &old, (const int[]){0}, 1);
    return true;
}

static const FusePattern patterns[] = {
    {"conv2d", rewrite_forward}, {"conv2d_weight_grad", rewrite_weight_grad}, {"resize_nearest_grad", rewrite_grad},
    {0, 0},
};

/* ---------------------------------------------------------------- the ops */
static const OpCase weights_cases[] = {{"3x5x3x3", ""}, {"1x1x3x3", ""}, {"4x8x3x3", ""}, CASES_END};
static const OpCase weights_grad_cases[] = {{"12x5x2x2", ""}, {"4x1x2x2", ""}, {"20x8x2x2", ""}, CASES_END};
static const OpCase interleave_cases[] = {
    {"2x12x3x4 3", ""}, {"1x4x2x2 -", ""}, {"2x64x4x3 16", ""}, {"1x128x3x2 -", ""}, {"1x68x3x3 17", ""}, CASES_END,
};
static const OpCase interleave_grad_cases[] = {
    {"2x3x4x6", ""}, {"1x1x2x2", ""}, {"2x16x6x4", ""}, {"1x32x4x2", ""}, {"1x17x4x4", ""}, CASES_END,
};
static const OpCase conv_cases[] = {
    {"2x3x3x4 5x3x3x3 5", ""}, {"1x1x1x1 1x1x3x3 -", ""}, {"1x16x3x2 16x16x3x3 16", ""}, {"2x4x5x3 8x4x3x3 -", ""},
    CASES_END,
};
/* Table 7 from 32x32 on. */
static const OpCase weights_shapes[] = {{"256x512x3x3", ""}, {"64x128x3x3", ""}, CASES_END};
static const OpCase weights_grad_shapes[] = {{"1024x512x2x2", ""}, {"256x128x2x2", ""}, CASES_END};
static const OpCase interleave_shapes[] = {{"8x1024x17x17 256", ""}, {"8x256x65x65 64", ""}, CASES_END};
static const OpCase interleave_grad_shapes[] = {{"8x256x32x32", ""}, {"8x64x128x128", ""}, CASES_END};
static const OpCase conv_shapes[] = {
    {"8x512x16x16 256x512x3x3 256", ""}, {"8x256x32x32 128x256x3x3 128", ""}, {"8x128x64x64 64x128x3x3 64", ""},
    CASES_END,
};

OP(upsample_weights) = {
    .name = "upsample_weights", .formula = "y_ab[u][v] = sum of w[r][s] over floor((r+1-a)/2) = u, floor((s+1-b)/2) = v",
    .operands = "w", .results = "y", .infer = weights_infer, .vjp = weights_vjp, .flop = weights_flop,
    .cases = weights_cases, .shapes = weights_shapes,
};
OP(upsample_weights_grad) = {
    .name = "upsample_weights_grad",
    .formula = "dw[r][s] = sum over a, b of dy_ab[floor((r+1-a)/2)][floor((s+1-b)/2)]", .operands = "dy",
    .results = "dw", .infer = weights_grad_infer, .vjp = weights_grad_vjp, .flop = weights_grad_flop,
    .cases = weights_grad_cases, .shapes = weights_grad_shapes,
};
OP(upsample_interleave) = {
    .name = "upsample_interleave", .formula = "y[f][2i+a][2j+b] = z[(2a+b) F + f][i+a][j+b] + b[f]",
    .operands = "z b?", .results = "y", .infer = interleave_infer, .vjp = interleave_vjp, .cases = interleave_cases,
    .shapes = interleave_shapes, .patterns = patterns,
};
OP(upsample_interleave_grad) = {
    .name = "upsample_interleave_grad", .formula = "dz[(2a+b) F + f][p][q] = dy[f][2p-a][2q-b], 0 outside",
    .operands = "dy", .results = "dz", .infer = interleave_grad_infer, .vjp = interleave_grad_vjp,
    .cases = interleave_grad_cases, .shapes = interleave_grad_shapes,
};
OP(upsample_conv2d) = {
    .name = "upsample_conv2d", .formula = "y = conv2d(resize_nearest(x, 2H, 2W), w, b), padding 1",
    .operands = "x w b?", .results = "y", .flags = OP_EXPAND, .expand = expand, .cases = conv_cases,
    .shapes = conv_shapes,
};

Val op_upsample_weights(Val w)
{
    return op_build(&op_upsample_weights_def, NULL, NULL, 1, w);
}

Val op_upsample_weights_grad(Val dy)
{
    return op_build(&op_upsample_weights_grad_def, NULL, NULL, 1, dy);
}

Val op_upsample_interleave(Val z, Val b)
{
    return op_build(&op_upsample_interleave_def, NULL, NULL, 2, z, b);
}

Val op_upsample_interleave_grad(Val dy)
{
    return op_build(&op_upsample_interleave_grad_def, NULL, NULL, 1, dy);
}

Val op_upsample_conv2d(Val x, Val w, Val b)
{
    return op_build(&op_upsample_conv2d_def, NULL, NULL, 3, x, w, b);
}
