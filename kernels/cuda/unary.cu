/* unary.cu - functions of one operand (map.h), in any format.
 *   bound   memory: 8 bytes an element, gradients 12; half of that in bfloat16 */
#include "kernels/cuda/map.h"

#include "engine/ops/unary.h"

/* p and q: two numbers made of the attributes. */
#define UNARY(name, expression) UNARY_WITH(name, 0, 0, expression)
#define UNARY_WITH(name, p_, q_, expression)                 \
    struct Unary_##name {                                    \
        float p, q;                                          \
        __device__ float operator()(float x) const           \
        {                                                    \
            return expression;                               \
        }                                                    \
    };                                                       \
    static void run_##name(KernelCall *k)                    \
    {                                                        \
        map_run<1>(k, Unary_##name{p_, q_});                 \
    }
#define UNARY_GRAD(name, expression) UNARY_GRAD_WITH(name, 0, 0, expression)
#define UNARY_GRAD_WITH(name, p_, q_, expression)            \
    struct Unary_##name {                                    \
        float p, q;                                          \
        __device__ float operator()(float x, float dy) const \
        {                                                    \
            return expression;                               \
        }                                                    \
    };                                                       \
    static void run_##name(KernelCall *k)                    \
    {                                                        \
        map_run<2>(k, Unary_##name{p_, q_});                 \
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

#define UNARY_KERNEL(name, over) {.run = run_##name, .formats = formats_same, .inplace = over, .halves = true}
KERNEL(exp, cuda) = UNARY_KERNEL(exp, inplace_first);
KERNEL(log, cuda) = UNARY_KERNEL(log, inplace_first);
KERNEL(tanh, cuda) = UNARY_KERNEL(tanh, inplace_first);
KERNEL(sigmoid, cuda) = UNARY_KERNEL(sigmoid, inplace_first);
KERNEL(softplus, cuda) = UNARY_KERNEL(softplus, inplace_first);
KERNEL(square, cuda) = UNARY_KERNEL(square, inplace_first);
KERNEL(sqrt, cuda) = UNARY_KERNEL(sqrt, inplace_first);
KERNEL(reciprocal, cuda) = UNARY_KERNEL(reciprocal, inplace_first);
KERNEL(abs, cuda) = UNARY_KERNEL(abs, inplace_first);
KERNEL(neg, cuda) = UNARY_KERNEL(neg, inplace_first);
KERNEL(clamp, cuda) = UNARY_KERNEL(clamp, inplace_first);
KERNEL(pow, cuda) = UNARY_KERNEL(pow, inplace_first);
KERNEL(tanh_grad, cuda) = UNARY_KERNEL(tanh_grad, inplace_second);
KERNEL(sigmoid_grad, cuda) = UNARY_KERNEL(sigmoid_grad, inplace_second);
KERNEL(abs_grad, cuda) = UNARY_KERNEL(abs_grad, inplace_second);
KERNEL(clamp_grad, cuda) = UNARY_KERNEL(clamp_grad, inplace_second);
KERNEL(pow_grad, cuda) = UNARY_KERNEL(pow_grad, inplace_second);
