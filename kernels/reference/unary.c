/* unary.c - the definition. */
#include "engine/ops/unary.h"

#include "kernels/reference/reference.h"

/* p and q: two numbers made of the attributes. */
#define UNARY(name, expression) UNARY_WITH(name, 0, 0, expression)
#define UNARY_WITH(name, p_, q_, expression)                        \
    static void run_##name(KernelCall *k)                           \
    {                                                               \
        const real *in = REAL(k->in[0]);                            \
        real *out = REAL(k->out[0]);                                \
        const real p = p_, q = q_;                                  \
        (void)p, (void)q;                                           \
        for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++) {      \
            double x = in[i];                                       \
            out[i] = (real)(expression);                            \
        }                                                           \
    }
#define UNARY_GRAD(name, expression) UNARY_GRAD_WITH(name, 0, 0, expression)
#define UNARY_GRAD_WITH(name, p_, q_, expression)                   \
    static void run_##name(KernelCall *k)                           \
    {                                                               \
        const real *xs = REAL(k->in[0]), *dys = REAL(k->in[1]);     \
        real *out = REAL(k->out[0]);                                \
        const real p = p_, q = q_;                                  \
        (void)p, (void)q;                                           \
        for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++) {      \
            double x = xs[i], dy = dys[i];                          \
            out[i] = (real)(expression);                            \
        }                                                           \
    }
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(tanh, tanh(x))
UNARY(sigmoid, 1 / (1 + exp(-x)))
UNARY(softplus, fmax(x, 0) + log1p(exp(-fabs(x))))
UNARY(square, x * x)
UNARY(sqrt, sqrt(x))
UNARY(reciprocal, 1 / x)
UNARY(abs, fabs(x))
UNARY(neg, -x)
#define CLAMP ((const ClampAttrs *)k->attrs)
#define POW ((const PowAttrs *)k->attrs)
UNARY_WITH(clamp, CLAMP->min, CLAMP->max, x < p ? (p > q ? q : p) : x > q ? q : x)
UNARY_WITH(pow, POW->exponent, 0, pow(x, p))
/* x stands for the result y in the first two. */
UNARY_GRAD(tanh_grad, dy * (1 - x * x))
UNARY_GRAD(sigmoid_grad, dy * x * (1 - x))
UNARY_GRAD(abs_grad, x > 0 ? dy : x < 0 ? -dy : 0 * dy)
UNARY_GRAD_WITH(clamp_grad, CLAMP->min, CLAMP->max, x > p && x < q ? dy : 0)
UNARY_GRAD_WITH(pow_grad, POW->exponent, 0, p == 0 ? 0 : dy * p * pow(x, p - 1.0))

KERNEL(exp, reference) = {.run = run_exp};
KERNEL(log, reference) = {.run = run_log};
KERNEL(tanh, reference) = {.run = run_tanh};
KERNEL(sigmoid, reference) = {.run = run_sigmoid};
KERNEL(softplus, reference) = {.run = run_softplus};
KERNEL(square, reference) = {.run = run_square};
KERNEL(sqrt, reference) = {.run = run_sqrt};
KERNEL(reciprocal, reference) = {.run = run_reciprocal};
KERNEL(abs, reference) = {.run = run_abs};
KERNEL(neg, reference) = {.run = run_neg};
KERNEL(clamp, reference) = {.run = run_clamp};
KERNEL(pow, reference) = {.run = run_pow};
KERNEL(tanh_grad, reference) = {.run = run_tanh_grad};
KERNEL(sigmoid_grad, reference) = {.run = run_sigmoid_grad};
KERNEL(abs_grad, reference) = {.run = run_abs_grad};
KERNEL(clamp_grad, reference) = {.run = run_clamp_grad};
KERNEL(pow_grad, reference) = {.run = run_pow_grad};
