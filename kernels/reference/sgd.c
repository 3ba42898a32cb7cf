/* sgd.c - the definition: engine/ops/sgd.h has the formula. */
#include "engine/ops/sgd.h"

#include "kernels/reference/reference.h"

static void run_sgd(KernelCall *k)
{
    const SgdAttrs *a = k->attrs;
    int n = a->n;
    double rate = REAL(k->in[0])[0];
    for (int i = 0; i < n; i++) {
        const real *p = REAL(k->in[1 + i]), *g = REAL(k->in[1 + n + i]);
        const real *m = a->momentum > 0 ? REAL(k->in[1 + 2 * n + i]) : NULL;
        for (int64_t e = 0, count = COUNT(k->in[1 + i]); e < count; e++) {
            double slope = g[e] + a->weight_decay * (double)p[e], way = slope;
            if (m) {
                double velocity = a->momentum * (double)m[e] + slope;
                way = a->nesterov ? slope + a->momentum * velocity : velocity;
                REAL(k->out[n + i])[e] = (real)velocity;
            }
            REAL(k->out[i])[e] = (real)(p[e] - rate * way);
        }
    }
}

KERNEL(sgd, reference) = {.run = run_sgd};
