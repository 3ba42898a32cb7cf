/* optimizer.c - Adam and SGD as updates of the store: moments and step counter are states of the program. */
#include <stdlib.h>

#include "engine/ops/adam.h"
#include "engine/ops/constant.h"
#include "engine/ops/sgd.h"
#include "engine/program.h"

/* States of their own scope: "adam.m.G.conv1.weight", whatever scope is open. */
static Vals moments(Prog *p, const char *optimizer, const char *kind, Vals params)
{
    Val *m = prog_own(p, sizeof *m * (size_t)(params.n + 1));
    char *scope = p->scope;
    p->scope = "";
    for (int i = 0; i < params.n; i++) {
        char *name = must_printf("%s.%s.%s", optimizer, kind, val_name(params.v[i]));
        m[i] = prog_state(p, name, F32, val_shape(params.v[i]), (Init){INIT_ZERO, 0});
        free(name);
    }
    p->scope = scope;
    return (Vals){m, params.n};
}

Vals adam_apply(Vals params, Vals grads, Val rate, AdamOpts o)
{
    Prog *p = op_prog(params.v, params.n);
    if (!p || p->mistake)
        return (Vals){NULL, 0};
    const char *optimizer = o.name && *o.name ? o.name : "adam";
    AdamAttrs attrs = {.n = params.n, .beta1 = o.beta1 ? o.beta1 : 0.9f, .beta2 = o.beta2 ? o.beta2 : 0.999f,
                       .epsilon = o.epsilon ? o.epsilon : 1e-8f};
    int n = params.n;
    Vals m = moments(p, optimizer, "m", params), v = moments(p, optimizer, "v", params);
    char *counter = must_printf("%s.step", optimizer), *scope = p->scope;
    p->scope = "";
    Val t = prog_state(p, counter, I32, SHAPE(1), (Init){INIT_ZERO, 0});
    p->scope = scope;
    free(counter);
    Vals next = op_adam(rate, t, params, grads, m, v, attrs);
    Val *updates = prog_own(p, sizeof *updates * (size_t)(3 * n + 1));
    if (p->mistake)
        return (Vals){updates, 0};
    updates[0] = op_assign(t, next.v[0]);
    for (int i = 0; i < n; i++) {
        updates[1 + i] = op_assign(params.v[i], next.v[1 + i]);
        updates[1 + n + i] = op_assign(m.v[i], next.v[1 + n + i]);
        updates[1 + 2 * n + i] = op_assign(v.v[i], next.v[1 + 2 * n + i]);
    }
    return (Vals){updates, 3 * n + 1};
}

Vals adam(Val loss, Vals params, Val rate, AdamOpts o)
{
    return adam_apply(params, prog_grad(loss, params), rate, o);
}

Vals sgd_apply(Vals params, Vals grads, Val rate, SgdOpts o)
{
    Prog *p = op_prog(params.v, params.n);
    if (!p || p->mistake)
        return (Vals){NULL, 0};
    int n = params.n;
    SgdAttrs attrs = {.n = n, .momentum = o.momentum, .weight_decay = o.weight_decay, .nesterov = o.nesterov};
    Vals m = {NULL, 0};
    if (sgd_lists(&attrs) == 3)
        m = moments(p, o.name && *o.name ? o.name : "sgd", "m", params);
    Vals next = op_sgd(rate, params, grads, m, attrs);
    Val *updates = prog_own(p, sizeof *updates * (size_t)(2 * n + 1));
    if (p->mistake)
        return (Vals){updates, 0};
    for (int i = 0; i < n; i++)
        updates[i] = op_assign(params.v[i], next.v[i]);
    for (int i = 0; i < m.n; i++)
        updates[n + i] = op_assign(m.v[i], next.v[n + i]);
    return (Vals){updates, n + m.n};
}

Vals sgd(Val loss, Vals params, Val rate, SgdOpts o)
{
    return sgd_apply(params, prog_grad(loss, params), rate, o);
}
