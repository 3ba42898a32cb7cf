/* adam.c - see adam.h.  Operands: rate, t, n parameters, n gradients, n first moments, n second moments. */
#include "engine/ops/adam.h"

#include "engine/ops/infer.h"
#include "engine/program.h"

static const OpAttr attrs[] = {
    {"n", ATTR_INT, offsetof(AdamAttrs, n), "1", "number of parameters"},
    {"beta1", ATTR_REAL, offsetof(AdamAttrs, beta1), "0.9", "decay of the first moment"},
    {"beta2", ATTR_REAL, offsetof(AdamAttrs, beta2), "0.999", "decay of the second moment"},
    {"epsilon", ATTR_REAL, offsetof(AdamAttrs, epsilon), "1e-8", "added to the root of the second moment"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const AdamAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, -1) || !infer_operand(s, 1, I32, -1))
        return;
    if (shape_count(s->in[0]) != 1 || shape_count(s->in[1]) != 1) {
        op_mistake(s, "rate and t must be one number each");
        return;
    }
    if (a->n < 0 || (s->nin - 2) % 4 || (s->nin - 2) / 4 != a->n) {
        op_mistake(s, "%d operands for n=%d: rate, t, then n each of parameters, gradients and both moments",
                   s->nin, a->n);
        return;
    }
    /* Negated, so that NaN is refused too. */
    if (!(a->beta1 >= 0 && a->beta1 < 1 && a->beta2 >= 0 && a->beta2 < 1 && a->epsilon >= 0)) {
        op_mistake(s, "beta1 and beta2 must lie in [0, 1), epsilon must not be negative");
        return;
    }
    for (int i = 2; i < s->nin; i++) {
        if (!infer_operand(s, i, F32, -1))
            return;
        if (!shape_equal(s->in[i], s->in[2 + (i - 2) % a->n])) {
            op_mistake(s, "operand %d differs in shape from its parameter", i);
            return;
        }
    }
    s->nout = 1 + 3 * a->n;
    for (int j = 0; j < s->nout; j++) {
        s->out[j] = s->in[adam_operand(a->n, j)];
        s->out_dtype[j] = j == 0 ? I32 : F32;
    }
}

static double flop(const OpShapes *s)
{
    double count = 0;
    for (int i = 2; i < s->nin; i++)
        count += (double)shape_count(s->in[i]);
    return 13 * count / 4;
}

static const OpCase cases[] = {
    {"1:unit 1:i32<10 2x3x3 2x3x3 2x3x3 2x3x3:pos", "n=1"},
    {"1:unit 1:i32<10 17x3x3x3 5 17x3x3x3 5 17x3x3x3 5 17x3x3x3:pos 5:pos", "n=2 beta1=0.5"},
    {"1:unit 1:i32<1000 1 7 300 1 7 300 1 7 300 1:pos 7:pos 300:pos", "n=3 epsilon=1e-5"}, CASES_END,
};
static const OpCase shapes[] = {   /* the largest convolution of Table 6 */
    {"1:unit 1:i32<10 1024x512x4x4 1024x512x4x4 1024x512x4x4 1024x512x4x4:pos", "n=1"}, CASES_END,
};

/* No gradient: nothing is trained through a training step. */
OP(adam) = {
    .name = "adam", .formula = "p' = p - rate m^ / (sqrt(v^) + epsilon)", .operands = "rate t rest*",
    .results = "t rest*", .attr_size = sizeof(AdamAttrs), .attrs = attrs, .flags = OP_NO_GRAD, .infer = infer,
    .flop = flop, .cases = cases, .shapes = shapes, .source = "Kingma, Ba 2015, algorithm 1",
};

Vals op_adam(Val rate, Val t, Vals params, Vals grads, Vals m, Vals v, AdamAttrs a)
{
    Val two[2] = {rate, t};
    Prog *p = op_prog(two, 2);
    if (!p)
        return (Vals){0};
    int n = params.n;
    if (grads.n != n || m.n != n || v.n != n) {
        prog_mistake(p, "adam: %d parameters, %d gradients, %d and %d moments", n, grads.n, m.n, v.n);
        return (Vals){0};
    }
    Val *in = prog_own(p, sizeof *in * (size_t)(2 + 4 * n));
    Val *out = prog_own(p, sizeof *out * (size_t)(2 + 4 * n + NODE_EXTRA));
    in[0] = rate;
    in[1] = t;
    const Vals lists[4] = {params, grads, m, v};
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < n; i++)
            in[2 + k * n + i] = lists[k].v[i];
    a.n = n;
    Val first = op_append(p, &op_adam_def, in, 2 + 4 * n, &a, out);
    return val_ok(first) ? (Vals){out, 1 + 3 * n} : (Vals){0};
}
