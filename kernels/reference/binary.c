/* binary.c - the definition: the index of an element of y, without the axes that an operand repeats, is the index of
 * that operand's element. */
#include "engine/ops/binary.h"

#include "kernels/reference/reference.h"

static int64_t operand_index(Shape x, Shape y, int64_t i)
{
    int64_t at = 0, step = 1;
    for (int k = 1; k <= x.rank; k++) {
        int64_t d = x.dim[x.rank - k];
        if (d != 1)
            at += i % y.dim[y.rank - k] * step;
        step *= d;
        i /= y.dim[y.rank - k];
    }
    return at;
}

#define BINARY(name, expression)                                                                \
    static void run_##name(KernelCall *k)                                                       \
    {                                                                                           \
        const real *as = REAL(k->in[0]), *bs = REAL(k->in[1]);                                  \
        real *y = REAL(k->out[0]);                                                              \
        for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {                                 \
            real a = as[operand_index(k->in[0].shape, k->out[0].shape, i)];                     \
            real b = bs[operand_index(k->in[1].shape, k->out[0].shape, i)];                     \
            y[i] = expression;                                                                  \
        }                                                                                       \
    }
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
BINARY(div, a / b)
BINARY(maximum, a > b || isnan(a) ? a : b)
BINARY(minimum, a < b || isnan(a) ? a : b)
BINARY(step, a < b ? 0 : a == b ? (real)0.5 : 1)

KERNEL(add, reference) = {.run = run_add};
KERNEL(sub, reference) = {.run = run_sub};
KERNEL(mul, reference) = {.run = run_mul};
KERNEL(div, reference) = {.run = run_div};
KERNEL(maximum, reference) = {.run = run_maximum};
KERNEL(minimum, reference) = {.run = run_minimum};
KERNEL(step, reference) = {.run = run_step};
