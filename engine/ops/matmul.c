/* matmul.c - y = op(x) op(w) + b.  Gradients are products of the same kind: for y = x w, dx = dy w^T and
 * dw = x^T dy; transposed operands swap the factors. */
#include "engine/ops/matmul.h"

#include "engine/op.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"

static const OpAttr attrs[] = {
    {"transpose_x", ATTR_BOOL, offsetof(MatmulAttrs, transpose_x), "0", "x is given as (K,M)"},
    {"transpose_w", ATTR_BOOL, offsetof(MatmulAttrs, transpose_w), "0", "w is given as (N,K)"},
    ATTRS_END,
};

MatmulShape matmul_shape(const MatmulAttrs *a, Shape x, Shape w)
{
    return (MatmulShape){x.dim[a->transpose_x], w.dim[!a->transpose_w], x.dim[!a->transpose_x]};
}

static void infer(OpShapes *s)
{
    const MatmulAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 2) || !infer_operand(s, 1, F32, 2))
        return;
    MatmulShape c = matmul_shape(a, s->in[0], s->in[1]);
    int64_t w_k = s->in[1].dim[a->transpose_w];
    if (c.m < 1 || c.n < 1 || c.k < 1) {
        op_mistake(s, "an operand has a size of 0");
        return;
    }
    if (w_k != c.k) {
        op_mistake(s, "inner sizes differ: %ld and %ld", (long)c.k, (long)w_k);
        return;
    }
    if (s->nin > 2 && s->in[2].rank >= 0) {
        if (!infer_operand(s, 2, F32, 1))
            return;
        if (s->in[2].dim[0] != c.n) {
            op_mistake(s, "operand b has %ld elements and must have %ld, one a column", (long)s->in[2].dim[0],
                       (long)c.n);
            return;
        }
    }
    s->out[0] = SHAPE(c.m, c.n);
}

static Val product(Val x, bool transpose_x, Val w, bool transpose_w)
{
    return op_matmul(x, w, NONE, (MatmulAttrs){transpose_x, transpose_w});
}

static void vjp(OpVjp *g)
{
    const MatmulAttrs *a = g->attrs;
    Val x = g->in[0], w = g->in[1], dy = g->dout[0];
    if (g->need[0])
        g->din[0] = a->transpose_x ? product(w, a->transpose_w, dy, true) : product(dy, false, w, !a->transpose_w);
    if (g->need[1])
        g->din[1] = a->transpose_w ? product(dy, true, x, a->transpose_x) : product(x, !a->transpose_x, dy, false);
    if (g->nin > 2 && g->need[2])
        g->din[2] = op_reduce_sum(dy, INTS(0), false);
}

static double flop(const OpShapes *s)
{
    MatmulShape c = matmul_shape(s->attrs, s->in[0], s->in[1]);
    return 2.0 * (double)c.m * (double)c.n * (double)c.k;
}

static const OpCase cases[] = {
    {"3x5 5x4 -", ""},
    {"1x1 1x1 1", ""},
    {"17x33 33x19 19", ""},
    {"5x3 5x4 4", "transpose_x=1"},
    {"7x13 11x13 11", "transpose_w=1"},
    {"13x35 18x13 -", "transpose_x=1 transpose_w=1"},
    {"1x64 64x3 3", ""},
    {"40x1 1x40 -", ""},
    {"3x300 5x300 5", "transpose_w=1"},
    {"5x9 9x263 263", ""},
    {"11x13 11x300 -", "transpose_x=1"},
    CASES_END,
};
static const OpCase shapes[] = {
    {"8x2048 128x2048 128", "transpose_w=1"},        /* Table 6: mean and logarithm of the variance */
    {"8x640 640x16384 -", ""},                       /* Table 7: the first layer as a product */
    {"128x32768 512x32768 512", "transpose_w=1"},    /* the recogniser's embedding */
    {"128x512 512x482 -", ""},                       /* ArcFace's logits */
    {"1024x1024 1024x1024 -", ""},
    CASES_END,
};

OP(matmul) = {
    .name = "matmul", .formula = "y = x w + b", .operands = "x w b?", .results = "y",
    .attr_size = sizeof(MatmulAttrs), .attrs = attrs, .infer = infer, .vjp = vjp, .flop = flop, .cases = cases,
    .shapes = shapes,
};

Val op_matmul(Val x, Val w, Val b, MatmulAttrs a)
{
    return op_build(&op_matmul_def, &a, NULL, 3, x, w, b);
}

Val op_linear(Val x, Val w, Val b)
{
    return op_matmul(x, w, b, (MatmulAttrs){.transpose_w = true});
}
