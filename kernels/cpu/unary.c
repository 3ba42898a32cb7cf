/* unary.c - one pass over memory in any format; vector code by vector_math.h. */
#include "engine/ops/unary.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/vector_math.h"

#define UNARY(name, expression)                                   \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        const float *in = FLOATS(k->in[0]);                       \
        float *out = FLOATS(k->out[0]);                           \
        int64_t n = cpu_elements(&k->in[0]);                      \
        _Pragma("omp parallel for simd if (n > CPU_SERIAL)")      \
        for (int64_t i = 0; i < n; i++) {                         \
            float x = in[i];                                      \
            out[i] = expression;                                  \
        }                                                         \
    }
/* Functions that are not 0 at 0. */
#define UNARY_CLEAR(name, expression)                             \
    UNARY(name##_all, expression)                                 \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        run_##name##_all(k);                                      \
        cpu_clear_padding(&k->out[0]);                            \
    }
#define UNARY_GRAD(name, expression)                              \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        const float *xs = FLOATS(k->in[0]), *dys = FLOATS(k->in[1]); \
        float *out = FLOATS(k->out[0]);                           \
        int64_t n = cpu_elements(&k->in[0]);                      \
        _Pragma("omp parallel for simd if (n > CPU_SERIAL)")      \
        for (int64_t i = 0; i < n; i++) {                         \
            float x = xs[i], dy = dys[i];                         \
            out[i] = expression;                                  \
        }                                                         \
    }
UNARY_CLEAR(exp, vm_exp(x))
UNARY_CLEAR(log, vm_log(x))
UNARY(tanh, vm_tanh(x))
UNARY_CLEAR(sigmoid, vm_sigmoid(x))
UNARY_CLEAR(softplus, vm_softplus(x))
UNARY(square, x * x)
UNARY(sqrt, sqrtf(x))
UNARY_CLEAR(reciprocal, 1.0f / x)
UNARY(abs, fabsf(x))
UNARY(neg, -x)
/* x stands for the result y in the first two. */
UNARY_GRAD(tanh_grad, dy * (1.0f - x * x))
UNARY_GRAD(sigmoid_grad, dy * x * (1.0f - x))
UNARY_GRAD(abs_grad, dy * (x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f))

KERNEL(exp, cpu) = {.run = run_exp, .formats = formats_same, .inplace = inplace_first};
KERNEL(log, cpu) = {.run = run_log, .formats = formats_same, .inplace = inplace_first};
KERNEL(tanh, cpu) = {.run = run_tanh, .formats = formats_same, .inplace = inplace_first};
KERNEL(sigmoid, cpu) = {.run = run_sigmoid, .formats = formats_same, .inplace = inplace_first};
KERNEL(softplus, cpu) = {.run = run_softplus, .formats = formats_same, .inplace = inplace_first};
KERNEL(square, cpu) = {.run = run_square, .formats = formats_same, .inplace = inplace_first};
KERNEL(sqrt, cpu) = {.run = run_sqrt, .formats = formats_same, .inplace = inplace_first};
KERNEL(reciprocal, cpu) = {.run = run_reciprocal, .formats = formats_same, .inplace = inplace_first};
KERNEL(abs, cpu) = {.run = run_abs, .formats = formats_same, .inplace = inplace_first};
KERNEL(neg, cpu) = {.run = run_neg, .formats = formats_same, .inplace = inplace_first};
KERNEL(tanh_grad, cpu) = {.run = run_tanh_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(sigmoid_grad, cpu) = {.run = run_sigmoid_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(abs_grad, cpu) = {.run = run_abs_grad, .formats = formats_same, .inplace = inplace_second};
