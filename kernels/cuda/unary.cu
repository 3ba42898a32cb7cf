/* unary.cu - functions of one operand, in any format.
 *   launch  a thread an element, 256 a block
 *   bound   memory: 8 bytes an element, gradients 12 */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/unary.h"

/* p and q: two numbers made of the attributes. */
#define UNARY(name, expression) UNARY_WITH(name, 0, 0, expression)
#define UNARY_WITH(name, p_, q_, expression)                                                                 \
    __global__ void unary_##name##_kernel(const float *in, float *out, float p, float q, int64_t n)          \
    {                                                                                                        \
        int64_t i = CUDA_INDEX;                                                                              \
        (void)p, (void)q;                                                                                    \
        if (i < n) {                                                                                         \
            float x = in[i];                                                                                 \
            out[i] = expression;                                                                             \
        }                                                                                                    \
    }                                                                                                        \
    static void run_##name(KernelCall *k)                                                                    \
    {                                                                                                        \
        int64_t n = cuda_elements(&k->in[0]);                                                                \
        if (n)                                                                                               \
            LAUNCH(unary_##name##_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),     \
                   FLOATS(k->out[0]), p_, q_, n);                                                            \
    }
#define UNARY_GRAD(name, expression) UNARY_GRAD_WITH(name, 0, 0, expression)
#define UNARY_GRAD_WITH(name, p_, q_, expression)                                                            \
    __global__ void unary_##name##_kernel(const float *xs, const float *dys, float *out, float p, float q,   \
                                          int64_t n)                                                         \
    {                                                                                                        \
        int64_t i = CUDA_INDEX;                                                                              \
        (void)p, (void)q;                                                                                    \
        if (i < n) {                                                                                         \
            float x = xs[i], dy = dys[i];                                                                    \
            out[i] = expression;                                                                             \
        }                                                                                                    \
    }                                                                                                        \
    static void run_##name(KernelCall *k)                                                                    \
    {                                                                                                        \
        int64_t n = cuda_elements(&k->in[0]);                                                                \
        if (n)                                                                                               \
            LAUNCH(unary_##name##_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),     \
                   FLOATS(k->in[1]), FLOATS(k->out[0]), p_, q_, n);                                          \
    }
UNARY(exp, expf(x))
UNARY(log, logf(x))
UNARY(tanh, tanhf(x))
/* Spelled so that the left tail does not overflow. */
UNARY(sigmoid, (x < 0 ? expf(-fabsf(x)) : 1.0f) / (1.0f + expf(-fabsf(x))))
UNARY(softplus, fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))))
UNARY(square, x * x)
UNARY(sqrt, sqrtf(x))
UNARY(reciprocal, 1.0f / x)
UNARY(abs, fabsf(x))
UNARY(neg, -x)
#define CLAMP ((const ClampAttrs *)k->attrs)
#define POW ((const PowAttrs *)k->attrs)
UNARY_WITH(clamp, CLAMP->min, CLAMP->max, x < p ? (p > q ? q : p) : x > q ? q : x)
UNARY_WITH(pow, POW->exponent, 0, powf(x, p))
/* x stands for the result y in the first two. */
UNARY_GRAD(tanh_grad, dy * (1.0f - x * x))
UNARY_GRAD(sigmoid_grad, dy * x * (1.0f - x))
UNARY_GRAD(abs_grad, dy * (x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f))
UNARY_GRAD_WITH(clamp_grad, CLAMP->min, CLAMP->max, x > p && x < q ? dy : 0.0f)
UNARY_GRAD_WITH(pow_grad, POW->exponent, POW->exponent - 1, p == 0 ? 0.0f : dy * p * powf(x, q))

/* Gradients may take the buffer of dy. */
static int inplace_second(const KernelCall *, int result)
{
    return result == 0 ? 1 : -1;
}

KERNEL(exp, cuda) = {.run = run_exp, .formats = formats_same, .inplace = inplace_first};
KERNEL(log, cuda) = {.run = run_log, .formats = formats_same, .inplace = inplace_first};
KERNEL(tanh, cuda) = {.run = run_tanh, .formats = formats_same, .inplace = inplace_first};
KERNEL(sigmoid, cuda) = {.run = run_sigmoid, .formats = formats_same, .inplace = inplace_first};
KERNEL(softplus, cuda) = {.run = run_softplus, .formats = formats_same, .inplace = inplace_first};
KERNEL(square, cuda) = {.run = run_square, .formats = formats_same, .inplace = inplace_first};
KERNEL(sqrt, cuda) = {.run = run_sqrt, .formats = formats_same, .inplace = inplace_first};
KERNEL(reciprocal, cuda) = {.run = run_reciprocal, .formats = formats_same, .inplace = inplace_first};
KERNEL(abs, cuda) = {.run = run_abs, .formats = formats_same, .inplace = inplace_first};
KERNEL(neg, cuda) = {.run = run_neg, .formats = formats_same, .inplace = inplace_first};
KERNEL(clamp, cuda) = {.run = run_clamp, .formats = formats_same, .inplace = inplace_first};
KERNEL(pow, cuda) = {.run = run_pow, .formats = formats_same, .inplace = inplace_first};
KERNEL(tanh_grad, cuda) = {.run = run_tanh_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(sigmoid_grad, cuda) = {.run = run_sigmoid_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(abs_grad, cuda) = {.run = run_abs_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(clamp_grad, cuda) = {.run = run_clamp_grad, .formats = formats_same, .inplace = inplace_second};
KERNEL(pow_grad, cuda) = {.run = run_pow_grad, .formats = formats_same, .inplace = inplace_second};
