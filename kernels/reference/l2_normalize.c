/* l2_normalize.c - the definition. */
#include "engine/ops/l2_normalize.h"

#include "kernels/reference/reference.h"

static double dot(const real *a, const real *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void l2_normalize(KernelCall *k)
{
    double eps = ((const L2NormalizeAttrs *)k->attrs)->eps;
    int64_t n = k->in[0].shape.dim[k->in[0].shape.rank - 1], count = COUNT(k->in[0]);
    for (int64_t at = 0; at < count; at += n) {
        const real *x = REAL(k->in[0]) + at;
        real *y = REAL(k->out[0]) + at;
        double norm = sqrt(dot(x, x, n)), by = norm > eps ? norm : eps;
        for (int64_t i = 0; i < n; i++)
            y[i] = (real)(x[i] / by);
    }
}

static void l2_normalize_grad(KernelCall *k)
{
    double eps = ((const L2NormalizeAttrs *)k->attrs)->eps;
    int64_t n = k->in[0].shape.dim[k->in[0].shape.rank - 1], count = COUNT(k->in[0]);
    for (int64_t at = 0; at < count; at += n) {
        const real *x = REAL(k->in[0]) + at, *dy = REAL(k->in[1]) + at;
        real *dx = REAL(k->out[0]) + at;
        double squares = dot(x, x, n), norm = sqrt(squares), by = norm > eps ? norm : eps;
        double along = norm > eps ? dot(x, dy, n) / squares : 0;
        for (int64_t i = 0; i < n; i++)
            dx[i] = (real)((dy[i] - x[i] * along) / by);
    }
}

KERNEL(l2_normalize, reference) = {.run = l2_normalize};
KERNEL(l2_normalize_grad, reference) = {.run = l2_normalize_grad};
