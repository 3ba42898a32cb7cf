/* sgd.c - see sgd.h.  Operands: rate, n parameters, n gradients and, with momentum, n velocities. */
#include "engine/ops/sgd.h"

#include <math.h>

#include "engine/ops/infer.h"
#include "engine/program.h"

static const OpAttr attrs[] = {
    {"n", ATTR_INT, offsetof(SgdAttrs, n), "1", "number of parameters"},
    {"momentum", ATTR_REAL, offsetof(SgdAttrs, momentum), "0", "decay of the velocity; 0: there is none"},
    {"weight_decay", ATTR_REAL, offsetof(SgdAttrs, weight_decay), "0", "share of the parameter added to its gradient"},
    {"nesterov", ATTR_BOOL, offsetof(SgdAttrs, nesterov), "false", "look ahead by one step of the velocity"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const SgdAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, -1))
        return;
    if (shape_count(s->in[0]) != 1) {
        op_mistake(s, "rate must be one number");
        return;
    }
    /* Negated, so that NaN is refused too. */
    if (!(a->momentum >= 0 && isfinite(a->momentum) && a->weight_decay >= 0 && isfinite(a->weight_decay))) {
        op_mistake(s, "momentum and weight_decay must not be negative");
        return;
    }
    if (a->nesterov && a->momentum == 0) {
        op_mistake(s, "nesterov needs momentum");
        return;
    }
    int lists = sgd_lists(a);
    if (a->n < 0 || (s->nin - 1) % lists || (s->nin - 1) / lists != a->n) {
        op_mistake(s, "%d operands for n=%d: rate, then n each of parameters, gradients%s", s->nin, a->n,
                   lists == 3 ? " and velocities" : "");
        return;
    }
    for (int i = 1; i < s->nin; i++) {
        if (!infer_operand(s, i, F32, -1))
            return;
        if (!shape_equal(s->in[i], s->in[1 + (i - 1) % a->n])) {
            op_mistake(s, "operand %d differs in shape from its parameter", i);
            return;
        }
    }
    s->nout = (lists - 1) * a->n;
    for (int j = 0; j < s->nout; j++) {
        s->out[j] = s->in[sgd_operand(a->n, j)];
        s->out_dtype[j] = F32;
    }
}

static double flop(const OpShapes *s)
{
    const SgdAttrs *a = s->attrs;
    double count = 0;
    for (int i = 1; i <= a->n && i < s->nin; i++)
        count += (double)shape_count(s->in[i]);
    return count * (2 + 2 * (a->momentum > 0) + 2 * (a->weight_decay > 0) + 2 * a->nesterov);
}

static const OpCase cases[] = {
    {"1:unit 2x3x3 2x3x3", "n=1"}, {"1:unit 17x3x3x3 5 17x3x3x3 5 17x3x3x3 5", "n=2 momentum=0.9"},
    {"1:unit 1 7 300 1 7 300 1 7 300", "n=3 momentum=0.9 weight_decay=0.0005 nesterov=true"},
    {"1:unit 5 2x3 5 2x3", "n=2 weight_decay=0.1"}, CASES_END,
};
static const OpCase shapes[] = {   /* the largest convolution of Table 6 */
    {"1:unit 1024x512x4x4 1024x512x4x4 1024x512x4x4", "n=1 momentum=0.9 weight_decay=0.0005"}, CASES_END,
};

/* No gradient: nothing is trained through a training step. */
OP(sgd) = {
    .name = "sgd", .formula = "m' = momentum m + g + weight_decay p, p' = p - rate m'", .operands = "rate rest*",
    .results = "rest*", .attr_size = sizeof(SgdAttrs), .attrs = attrs, .flags = OP_NO_GRAD, .infer = infer,
    .flop = flop, .cases = cases, .shapes = shapes, .source = "Sutskever et al. 2013",
};

Vals op_sgd(Val rate, Vals params, Vals grads, Vals m, SgdAttrs a)
{
    Prog *p = op_prog(&rate, 1);
    if (!p)
        return (Vals){0};
    int n = params.n, lists = sgd_lists(&a);
    if (grads.n != n || m.n != (lists == 3 ? n : 0)) {
        prog_mistake(p, "sgd: %d parameters, %d gradients and %d velocities", n, grads.n, m.n);
        return (Vals){0};
    }
    Val *in = prog_own(p, sizeof *in * (size_t)(1 + 3 * n));
    Val *out = prog_own(p, sizeof *out * (size_t)(1 + 3 * n + NODE_EXTRA));
    in[0] = rate;
    const Vals all[3] = {params, grads, m};
    for (int k = 0; k < lists; k++)
        for (int i = 0; i < n; i++)
            in[1 + k * n + i] = all[k].v[i];
    a.n = n;
    Val first = op_append(p, &op_sgd_def, in, 1 + lists * n, &a, out);
    return val_ok(first) ? (Vals){out, (lists - 1) * n} : (Vals){0};
}
