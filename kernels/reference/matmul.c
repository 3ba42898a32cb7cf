/* matmul.c - the definition. */
#include "engine/ops/matmul.h"

#include "kernels/reference/reference.h"

static void matmul(KernelCall *k)
{
    const MatmulAttrs *a = k->attrs;
    MatmulShape c = matmul_shape(a, k->in[0].shape, k->in[1].shape);
    const real *x = REAL(k->in[0]), *w = REAL(k->in[1]), *b = k->nin > 2 ? REAL(k->in[2]) : NULL;
    real *y = REAL(k->out[0]);
    for (int64_t i = 0; i < c.m; i++)
        for (int64_t j = 0; j < c.n; j++) {
            double sum = b ? b[j] : 0;
            for (int64_t p = 0; p < c.k; p++)
                sum += (double)(a->transpose_x ? x[p * c.m + i] : x[i * c.k + p]) *
                       (a->transpose_w ? w[j * c.k + p] : w[p * c.n + j]);
            y[i * c.n + j] = (real)sum;
        }
}

KERNEL(matmul, reference) = {.run = matmul};
