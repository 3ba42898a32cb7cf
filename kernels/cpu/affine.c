/* affine.c - one pass over memory in any format. */
#include "engine/ops/affine.h"

#include "kernels/cpu/elementwise.h"

static void affine(KernelCall *k)
{
    AffineAttrs a = *(const AffineAttrs *)k->attrs;
    const float *x = FLOATS(k->in[0]);
    float *y = FLOATS(k->out[0]);
    int64_t n = cpu_elements(&k->in[0]);
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = a.scale * x[i] + a.shift;
    if (a.shift != 0)
        cpu_clear_padding(&k->out[0]);
}

KERNEL(affine, cpu) = {.run = affine, .formats = formats_same, .inplace = inplace_first};
