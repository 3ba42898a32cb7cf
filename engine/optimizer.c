/* optimizer.c - Adam as an update of the store: moments and step counter are states of the program. */
#include <stdlib.h>

#include "engine/ops/adam.h"
#include "engine/ops/constant.h"
#include "engine/program.h"

/* A state of its own scope: "adam.m.G.conv1.weight", whatever scope is open. */
static Val moment(Prog *p, const char *optimizer, const char *kind, Val param, char **name)
{
    char *scope = p->scope;
    *name = must_printf("%s.%s.%s", optimizer, kind, val_name(param));
    p->scope = "";
    Val v = prog_state(p, *name, F32, val_shape(param), (Init){INIT_ZERO, 0});
    p->scope = scope;
    return v;
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
    Val *m = prog_own(p, sizeof *m * (size_t)n), *v = prog_own(p, sizeof *v * (size_t)n);
    for (int i = 0; i < n; i++) {
        char *name;
        m[i] = moment(p, optimizer, "m", params.v[i], &name);
        free(name);
        v[i] = moment(p, optimizer, "v", params.v[i], &name);
        free(name);
    }
    char *counter = must_printf("%s.step", optimizer), *scope = p->scope;
    p->scope = "";
    Val t = prog_state(p, counter, I32, SHAPE(1), (Init){INIT_ZERO, 0});
    p->scope = scope;
    free(counter);
    Vals next = op_adam(rate, t, params, grads, (Vals){m, n}, (Vals){v, n}, attrs);
    Val *updates = prog_own(p, sizeof *updates * (size_t)(3 * n + 1));
    if (p->mistake)
        return (Vals){updates, 0};
    updates[0] = op_assign(t, next.v[0]);
    for (int i = 0; i < n; i++) {
        updates[1 + i] = op_assign(params.v[i], next.v[1 + i]);
        updates[1 + n + i] = op_assign(m[i], next.v[1 + n + i]);
        updates[1 + 2 * n + i] = op_assign(v[i], next.v[1 + 2 * n + i]);
    }
    return (Vals){updates, 3 * n + 1};
}

Vals adam(Val loss, Vals params, Val rate, AdamOpts o)
{
    return adam_apply(params, prog_grad(loss, params), rate, o);
}
