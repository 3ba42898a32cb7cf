/* elementwise.h - what kernels share that walk over memory in any format. */
#ifndef KERNELS_CPU_ELEMENTWISE_H
#define KERNELS_CPU_ELEMENTWISE_H

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

/* The sum of a vector of LANES floats, by halves. */
static inline float cpu_lane_sum(const void *vector)
{
    float x[LANES];
    memcpy(x, vector, sizeof x);
    for (int half = LANES / 2; half; half /= 2)
        for (int l = 0; l < half; l++)
            x[l] += x[l + half];
    return x[0];
}

/* Channels beyond C of a C16 value are zero again, after a kernel that does not map 0 to 0. */
static inline void cpu_clear_padding(const Tensor *t)
{
    if (t->format != C16 || t->shape.dim[1] % LANES == 0)
        return;
    int used = (int)(t->shape.dim[1] % LANES);
    int64_t blocks = channel_blocks(t->shape.dim[1]), area = t->shape.dim[2] * t->shape.dim[3];
#pragma omp parallel for if (t->shape.dim[0] * area * LANES > CPU_SERIAL)
    for (int64_t b = 0; b < t->shape.dim[0]; b++) {
        float *last = FLOATS(*t) + (b * blocks + blocks - 1) * area * LANES;
        for (int64_t i = 0; i < area; i++)
            for (int c = used; c < LANES; c++)
                last[i * LANES + c] = 0;
    }
}

/* Gradients of unary functions may take the buffer of dy, operand 1. */
static inline int inplace_second(const KernelCall *k, int result)
{
    (void)k;
    return result == 0 ? 1 : -1;
}

#endif
