/* reconstruction_loss.c - see reconstruction_loss.h. */
#include "engine/ops/reconstruction_loss.h"

#include "engine/ops/binary.h"
#include "engine/ops/infer.h"
#include "engine/ops/resize.h"
#include "engine/ops/resize_rule.h"
#include "engine/ops/unary.h"
#include "engine/program.h"

static const OpAttr attrs[] = {
    {"sum_pixels", ATTR_BOOL, offsetof(ReconstructionLossAttrs, sum_pixels), "false",
     "squares summed over a picture instead of averaged"},
    ATTRS_END,
};

/* Checks the target and the pictures, which begin at operand `first`. */
static bool pictures(OpShapes *s, int first)
{
    if (!infer_operand(s, 0, F32, 4))
        return false;
    Shape t = s->in[0];
    if (s->nin <= first || s->nin > first + RECONSTRUCTION_MOST) {
        op_mistake(s, "%d made pictures; 1 to %d are possible", s->nin - first, RECONSTRUCTION_MOST);
        return false;
    }
    for (int i = 0; i < s->nin; i++) {
        if (i > 0 && i < first)
            continue;
        if (!infer_operand(s, i, F32, 4))
            return false;
        Shape x = s->in[i];
        if (x.dim[0] != t.dim[0] || x.dim[1] != t.dim[1]) {
            op_mistake(s, "operand %d differs from the target in batch or channels", i);
            return false;
        }
        if (shape_count(x) < 1 || x.dim[2] > RESIZE_SIDE || x.dim[3] > RESIZE_SIDE || x.dim[1] > RESIZE_CHANNELS) {
            op_mistake(s, "operand %d must have sides of 1 to %d, at most %d channels and a batch", i, RESIZE_SIDE,
                       RESIZE_CHANNELS);
            return false;
        }
    }
    return true;
}

static void infer(OpShapes *s)
{
    s->out[0] = (Shape){0};
    pictures(s, 1);
}

static void grad_infer(OpShapes *s)
{
    if (!pictures(s, 2) || !infer_operand(s, 1, F32, -1))
        return;
    if (shape_count(s->in[1]) != 1) {
        op_mistake(s, "dy must be one number");
        return;
    }
    s->nout = s->nin - 2;
    for (int j = 0; j < s->nout; j++) {
        s->out[j] = s->in[2 + j];
        s->out_dtype[j] = F32;
    }
}

static void vjp(OpVjp *g)
{
    Vals d = op_reconstruction_loss_grad(g->in[0], g->dout[0], (Vals){g->in + 1, g->nin - 1},
                                         *(const ReconstructionLossAttrs *)g->attrs);
    Shape t = val_shape(g->in[0]);
    for (int i = 0; i < d.n; i++) {
        g->din[1 + i] = d.v[i];
        if (!g->need[0])
            continue;
        Val wide = shape_equal(val_shape(d.v[i]), t) ? d.v[i]
                                                     : op_resize_area_grad(d.v[i], (int)t.dim[2], (int)t.dim[3]);
        g->din[0] = val_ok(g->din[0]) ? op_sub(g->din[0], wide) : op_neg(wide);
    }
}

/* For each picture an addition a pixel of the target; a difference, a square and a sum a pixel of its own. */
static double flop(const OpShapes *s)
{
    double count = 0;
    for (int i = s->in[1].rank == 4 ? 1 : 2; i < s->nin; i++)
        count += (double)shape_count(s->in[0]) + 3 * (double)shape_count(s->in[i]);
    return count;
}

/* Whole and odd ratios, up and down, one and many scales, one pixel. */
static const OpCase cases[] = {
    {"2x3x8x8 2x3x2x2 2x3x4x4 2x3x8x8", ""}, {"2x3x7x5 2x3x3x2 2x3x7x5", ""}, {"1x1x5x9 1x1x5x9", "sum_pixels=true"},
    {"2x3x8x8 2x3x1x1 2x3x2x2 2x3x4x4 2x3x8x8", "sum_pixels=true"}, {"1x17x3x4 1x17x6x9 1x17x2x4 1x17x1x1", ""},
    {"3x2x1x1 3x2x1x1", ""}, {"1x16x6x6 1x16x3x3 1x16x5x6", ""}, {"1x1x40x33 1x1x1x1 1x1x3x2", ""}, CASES_END,
};
static const OpCase grad_cases[] = {
    {"2x3x8x8 s 2x3x2x2 2x3x4x4 2x3x8x8", ""}, {"2x3x7x5 1 2x3x3x2 2x3x7x5", "sum_pixels=true"},
    {"1x17x3x4 s 1x17x6x9 1x17x2x4 1x17x1x1", ""}, {"1x16x6x6 s 1x16x3x3 1x16x5x6", ""},
    {"1x1x40x33 s 1x1x1x1 1x1x3x2", ""}, CASES_END,
};
static const OpCase shapes[] = {   /* Table 7: a picture behind each of the generator's stages */
    {"8x3x128x128 8x3x4x4 8x3x8x8 8x3x16x16 8x3x32x32 8x3x64x64 8x3x128x128", ""}, CASES_END,
};
static const OpCase grad_shapes[] = {
    {"8x3x128x128 s 8x3x4x4 8x3x8x8 8x3x16x16 8x3x32x32 8x3x64x64 8x3x128x128", ""}, CASES_END,
};

OP(reconstruction_loss) = {
    .name = "reconstruction_loss", .formula = "y = 1/(2N) sum_i mean (area(target) - made_i)^2",
    .operands = "target made*", .results = "y", .attr_size = sizeof(ReconstructionLossAttrs), .attrs = attrs,
    .infer = infer, .vjp = vjp, .flop = flop, .cases = cases, .shapes = shapes, .source = "the paper, eq. 4",
};
/* No second derivatives: nothing in the paper differentiates a gradient. */
OP(reconstruction_loss_grad) = {
    .name = "reconstruction_loss_grad", .formula = "d made_i = dy (made_i - area(target)) / (N count_i)",
    .operands = "target dy made*", .results = "dmade*", .attr_size = sizeof(ReconstructionLossAttrs), .attrs = attrs,
    .flags = OP_NO_GRAD, .infer = grad_infer, .flop = flop, .cases = grad_cases, .shapes = grad_shapes,
    .source = "the paper, eq. 4",
};

/* Operands of either op in a list of their own, the pictures behind the `first` others. */
static Vals append(const OpDef *op, Val target, Val dy, int first, Vals made, ReconstructionLossAttrs a)
{
    Prog *p = op_prog(&target, 1);
    if (!p)
        return (Vals){0};
    Val *in = prog_own(p, sizeof *in * (size_t)(first + made.n + 1));
    Val *out = prog_own(p, sizeof *out * (size_t)(first + made.n + NODE_EXTRA));
    in[0] = target;
    if (first == 2)
        in[1] = dy;
    for (int i = 0; i < made.n; i++)
        in[first + i] = made.v[i];
    Val made_first = op_append(p, op, in, first + made.n, &a, out);
    return (Vals){out, val_ok(made_first) ? first == 2 ? made.n : 1 : 0};
}

Val op_reconstruction_loss(Val target, Vals made, ReconstructionLossAttrs a)
{
    Vals loss = append(&op_reconstruction_loss_def, target, NONE, 1, made, a);
    return loss.n ? loss.v[0] : (Val){target.p, 0};
}

Vals op_reconstruction_loss_grad(Val target, Val dy, Vals made, ReconstructionLossAttrs a)
{
    return append(&op_reconstruction_loss_grad_def, target, dy, 2, made, a);
}
