/* constant.c - the definition. */
#include "engine/ops/constant.h"

#include "kernels/reference/reference.h"

static void fill(KernelCall *k)
{
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++)
        y[i] = (real)((const FillAttrs *)k->attrs)->value;
}

/* Also reorder: this backend knows the plain format only. */
static void copy(KernelCall *k)
{
    memmove(k->out[0].data, k->in[0].data, tensor_bytes(&k->in[0], sizeof(real)));
}

static void bytes_to_real(KernelCall *k)
{
    const BytesToRealAttrs *a = k->attrs;
    const uint8_t *x = BYTES(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = (real)a->scale * (real)x[i] + (real)a->shift;
}

KERNEL(fill, reference) = {.run = fill};
KERNEL(copy, reference) = {.run = copy};
KERNEL(reorder, reference) = {.run = copy};
KERNEL(bytes_to_real, reference) = {.run = bytes_to_real};
