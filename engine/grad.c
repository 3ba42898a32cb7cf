/* grad.c - reverse-mode differentiation of a recorded program.
 *
 * One walk from the last node to the first: each node whose results carry a cotangent appends, through its gradient
 * rule, ordinary ops to the same program.  No op is known here by name except the three that cotangents themselves
 * need: fill for the seed, add where several uses meet, broadcast for zeros. */
#include <stdlib.h>

#include "engine/ops/binary.h"
#include "engine/ops/constant.h"
#include "engine/program.h"

/* Values whose change can move a wanted one: wrt and whatever is computed from it through differentiable ops. */
static bool *reached(const Prog *p, Vals wrt)
{
    bool *reach = must_zalloc((size_t)p->nvalues);
    for (int i = 0; i < wrt.n; i++)
        reach[wrt.v[i].id] = true;
    for (int n = 0; n < p->nnodes; n++) {
        const Node *node = &p->nodes[n];
        bool any = false;
        for (int i = 0; i < node->nin; i++)
            any |= node->in[i] && reach[node->in[i]];
        if ((node->op->flags & OP_IDENTITY) && !node->op->vjp)
            any = false;   /* stop_gradient */
        for (int j = 0; j < node->nout; j++)
            reach[node->out[j]] |= any;
    }
    return reach;
}

static void accumulate(Val *grad, Val more)
{
    if (more.id)
        *grad = grad->id ? op_add(*grad, more) : more;
}

/* Lets node n's rule turn cotangents of its results into cotangents of its operands. */
static void back(Prog *p, int n, const bool *reach, Val *grads)
{
    int nin = p->nodes[n].nin, nout = p->nodes[n].nout;
    Val *list = must_zalloc(sizeof *list * (size_t)(2 * nin + 2 * nout + 1));
    Val *in = list, *din = in + nin, *out = din + nin, *dout = out + nout;
    bool *need = must_zalloc((size_t)nin + 1);
    bool any = false;
    for (int i = 0; i < nin; i++) {
        in[i] = val_of(p, p->nodes[n].in[i]);
        need[i] = in[i].id && reach[in[i].id] && val_dtype(in[i]) == F32;
    }
    for (int j = 0; j < nout; j++) {
        out[j] = val_of(p, p->nodes[n].out[j]);
        dout[j] = grads[out[j].id];
        any |= dout[j].id && reach[out[j].id];
    }
    const OpDef *op = p->nodes[n].op;
    if (any && op->vjp) {
        OpVjp g = {.p = p, .attrs = p->nodes[n].attrs, .nin = nin, .nout = nout, .in = in, .out = out, .dout = dout,
                   .need = need, .din = din};
        op->vjp(&g);
        for (int i = 0; i < nin && !p->mistake; i++) {
            if (!need[i] || !din[i].id)
                continue;
            if (!shape_equal(val_shape(din[i]), val_shape(in[i])))
                prog_mistake(p, "%s: the gradient of operand %d has another shape than the operand", op->name, i);
            accumulate(&grads[in[i].id], din[i]);
        }
    } else if (any && !(op->flags & OP_IDENTITY)) {
        prog_mistake(p, "%s has no gradient and stands between a loss and a parameter (%s)", op->name,
                     val_name(out[0]));
    }
    free(list);
    free(need);
}

Vals prog_vjp(Vals ys, Vals dys, Vals wrt)
{
    Prog *p = op_prog(ys.v, ys.n);
    Val *answer = p ? prog_own(p, sizeof *answer * (size_t)(wrt.n + 1)) : NULL;
    for (int i = 0; i < wrt.n && p; i++)
        answer[i] = val_of(p, 0);
    if (!p || p->mistake)
        return (Vals){answer, p ? wrt.n : 0};
    for (int i = 0; i < ys.n + wrt.n; i++) {
        Val v = i < ys.n ? ys.v[i] : wrt.v[i - ys.n];
        if (v.p != p || !v.id)
            prog_mistake(p, "gradient: %s %d %s", i < ys.n ? "result" : "value", i < ys.n ? i : i - ys.n,
                         v.id ? "belongs to another program" : "is missing");
    }
    if (p->mistake)
        return (Vals){answer, wrt.n};
    int values = p->nvalues, nodes = p->nnodes;
    bool *reach = reached(p, wrt);
    Val *grads = must_zalloc(sizeof *grads * (size_t)values);
    for (int i = 0; i < ys.n; i++) {
        if (dys.v[i].id && !shape_equal(val_shape(dys.v[i]), val_shape(ys.v[i])))
            prog_mistake(p, "cotangent %d has another shape than its value", i);
        if (!p->mistake)
            accumulate(&grads[ys.v[i].id], dys.v[i]);
    }
    for (int n = nodes - 1; n >= 0 && !p->mistake; n--)
        back(p, n, reach, grads);
    for (int i = 0; i < wrt.n && !p->mistake; i++) {
        Val g = grads[wrt.v[i].id];
        answer[i] = g.id ? g : op_fill(p, val_shape(wrt.v[i]), 0);
    }
    free(reach);
    free(grads);
    return (Vals){answer, wrt.n};
}

Vals prog_grad(Val loss, Vals wrt)
{
    if (loss.p && !loss.p->mistake && shape_count(val_shape(loss)) != 1)
        prog_mistake(loss.p, "a loss must be one number; use op_mean or op_sum");
    Val one = loss.p ? op_fill(loss.p, val_shape(loss), 1) : NONE;
    return prog_vjp(VALS(loss), VALS(one), wrt);
}
