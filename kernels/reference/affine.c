/* affine.c - the definition. */
#include "engine/ops/affine.h"

#include "kernels/reference/reference.h"

static void affine(KernelCall *k)
{
    const AffineAttrs *a = k->attrs;
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = (real)a->scale * x[i] + (real)a->shift;
}

KERNEL(affine, reference) = {.run = affine};
