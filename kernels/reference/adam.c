/* adam.c - the definition: engine/ops/adam.h has the formula. */
#include "engine/ops/adam.h"

#include "kernels/reference/reference.h"

static void run_adam(KernelCall *k)
{
    const AdamAttrs *a = k->attrs;
    int n = a->n, t = INT(k->in[1])[0];
    double rate = REAL(k->in[0])[0], b1 = a->beta1, b2 = a->beta2, step = (double)t + 1;
    double c1 = 1 - pow(b1, step), c2 = 1 - pow(b2, step);
    for (int i = 0; i < n; i++) {
        const real *p = REAL(k->in[2 + i]), *g = REAL(k->in[2 + n + i]);
        const real *m = REAL(k->in[2 + 2 * n + i]), *v = REAL(k->in[2 + 3 * n + i]);
        real *new_p = REAL(k->out[1 + i]), *new_m = REAL(k->out[1 + n + i]), *new_v = REAL(k->out[1 + 2 * n + i]);
        for (int64_t e = 0, count = COUNT(k->in[2 + i]); e < count; e++) {
            double mean = b1 * m[e] + (1 - b1) * g[e], square = b2 * v[e] + (1 - b2) * g[e] * g[e];
            new_p[e] = (real)(p[e] - rate * (mean / c1) / (sqrt(square / c2) + a->epsilon));
            new_m[e] = (real)mean;
            new_v[e] = (real)square;
        }
    }
    INT(k->out[0])[0] = (int32_t)((uint32_t)t + 1);
}

KERNEL(adam, reference) = {.run = run_adam};
