/* prelu.c - the definition. */
#include "engine/ops/prelu.h"

#include "kernels/reference/reference.h"

/* The slope of element i of x. */
static real slope_of(const KernelCall *k, int64_t i)
{
    Shape x = k->in[0].shape;
    int64_t n = COUNT(k->in[1]), behind = 1;
    for (int d = 2; d < x.rank; d++)
        behind *= x.dim[d];
    return REAL(k->in[1])[i / behind % n];
}

static void prelu(KernelCall *k)
{
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = x[i] > 0 ? x[i] : slope_of(k, i) * x[i];
}

static void prelu_slope(KernelCall *k)
{
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = x[i] > 0 ? 1 : slope_of(k, i);
}

KERNEL(prelu, reference) = {.run = prelu};
KERNEL(prelu_slope, reference) = {.run = prelu_slope};
