/* leaky_relu.c - the definition. */
#include "engine/ops/leaky_relu.h"

#include "kernels/reference/reference.h"

static void leaky_relu(KernelCall *k)
{
    real slope = ((const LeakyReluAttrs *)k->attrs)->slope;
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void leaky_relu_grad(KernelCall *k)
{
    real slope = ((const LeakyReluAttrs *)k->attrs)->slope;
    const real *x = REAL(k->in[0]), *dy = REAL(k->in[1]);
    real *dx = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

KERNEL(leaky_relu, reference) = {.run = leaky_relu};
KERNEL(leaky_relu_grad, reference) = {.run = leaky_relu_grad};
