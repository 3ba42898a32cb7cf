/* leaky_relu.c - one pass over memory in any format: zero padding stays zero. */
#include "engine/ops/leaky_relu.h"

#include "kernels/cpu/cpu.h"

static void leaky_relu(KernelCall *k)
{
    float slope = ((const LeakyReluAttrs *)k->attrs)->slope;
    const float *x = FLOATS(k->in[0]);
    float *y = FLOATS(k->out[0]);
    int64_t n = cpu_elements(&k->in[0]);
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void leaky_relu_grad(KernelCall *k)
{
    float slope = ((const LeakyReluAttrs *)k->attrs)->slope;
    const float *x = FLOATS(k->in[0]), *dy = FLOATS(k->in[1]);
    float *dx = FLOATS(k->out[0]);
    int64_t n = cpu_elements(&k->in[0]);
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        dx[i] = x[i] > 0 ? dy[i] : slope * dy[i];
}

/* dx may take the buffer of dy. */
static int inplace_dy(const KernelCall *k, int result)
{
    (void)k;
    return result == 0 ? 1 : -1;
}

KERNEL(leaky_relu, cpu) = {.run = leaky_relu, .formats = formats_same, .inplace = inplace_first};
KERNEL(leaky_relu_grad, cpu) = {.run = leaky_relu_grad, .formats = formats_same, .inplace = inplace_dy};
