/* unary.c - one pass over memory in any format; vector code by vector_math.h. */
#include "engine/ops/unary.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/vector_math.h"

/* p and q: two numbers made of the attributes. */
#define UNARY(name, expression) UNARY_WITH(name, 0, 0, expression)
#define UNARY_WITH(name, p_, q_, expression)                      \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        const float *in = FLOATS(k->in[0]);                       \
        float *out = FLOATS(k->out[0]);                           \
        const float p = p_, q = q_;                               \
        (void)p, (void)q;                                         \
        int64_t n = cpu_elements(&k->in[0]);                      \
        _Pragma("omp parallel for simd if (n > CPU_SERIAL)")      \
        for (int64_t i = 0; i < n; i++) {                         \
            float x = in[i];                                      \
            out[i] = expression;                                  \
        }                                                         \
    }
/* Functions that are not 0 at 0. */
#define CLEAR(name)                                               \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        run_##name##_all(k);                                      \
        cpu_clear_padding(&k->out[0]);                            \
    }
#define UNARY_CLEAR(name, expression) UNARY(name##_all, expression) CLEAR(name)
#define UNARY_GRAD(name, expression) UNARY_GRAD_WITH(name, 0, 0, expression)
#define UNARY_GRAD_WITH(name, p_, q_, expression)                 \
    static void run_##name(KernelCall *k)                         \
    {                                                             \
        const float *xs = FLOATS(k->in[0]), *dys = FLOATS(k->in[1]); \
        float *out = FLOATS(k->out[0]);                           \
        const float p = p_, q = q_;                               \
        (void)p, (void)q;                                         \
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
#define CLAMP ((const ClampAttrs *)k->attrs)
#define POW ((const PowAttrs *)k->attrs)
UNARY_WITH(clamp_all, CLAMP->min, CLAMP->max, x < p ? (p > q ? q : p) : x > q ? q : x) CLEAR(clamp)
UNARY_WITH(pow_all, POW->exponent, 0, powf(x, p)) CLEAR(pow)
/* x stands for the result y in the first two. */
UNARY_GRAD(tanh_grad, dy * (1.0f - x * x))
UNARY_GRAD(sigmoid_grad, dy * x * (1.0f - x))
UNARY_GRAD(abs_grad, dy * (x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f))
UNARY_GRAD_WITH(clamp_grad, CLAMP->min, CLAMP->max, x > p && x < q ? dy : 0.0f)
UNARY_GRAD_WITH(pow_grad_all, POW->exponent, POW->exponent - 1, p == 0 ? 0.0f : dy * p * powf(x, q)) CLEAR(pow_grad)

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
KERNEL(clamp, cpu) = {.run = run_clamp, .formats = formats_same, .inplace = inplace_first};
KERNEL(pow, cpu) = {.run = run_pow, .formats = formats_same, .inplace = inplace_first};
KERNEL(tanh_grad, cpu) = {.run = run_tanh_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(sigmoid_grad, cpu) = {.run = run_sigmoid_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(abs_grad, cpu) = {.run = run_abs_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(clamp_grad, cpu) = {.run = run_clamp_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(pow_grad, cpu) = {.run = run_pow_grad, .formats = formats_same, .inplace = inplace_second};
