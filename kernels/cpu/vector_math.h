/* vector_math.h - exp, log, tanh, sigmoid and softplus in float without branches, so that loops over them become
 * vector code.  Measured over all of their range (tests of unary ops): within 3 ulp, denormal results included.
 * Infinities and NaN come out as from libm. */
#ifndef KERNELS_CPU_VECTOR_MATH_H
#define KERNELS_CPU_VECTOR_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline int32_t float_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

static inline float bits_float(int32_t bits)
{
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* x = n log 2 + r with |r| <= log(2) / 2: adding 1.5 2^23 rounds to an integer and leaves it in the low bits. */
static inline int32_t vm_split(float x, float *r)
{
    float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    *r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    return (int32_t)((uint32_t)float_bits(shifted) - 0x4b400000u);
}

/* exp(r) - 1 for |r| <= 0.35: the Taylor series to degree 7, whose rest is below 6e-9 |r|. */
static inline float vm_expm1_small(float r)
{
    float q = 1.0f / 5040;
    q = q * r + 1.0f / 720;
    q = q * r + 1.0f / 120;
    q = q * r + 1.0f / 24;
    q = q * r + 1.0f / 6;
    q = q * r + 0.5f;
    return q * (r * r) + r;
}

/* 2^n for -126 <= n <= 127. */
static inline float vm_power_of_two(int32_t n)
{
    return bits_float((int32_t)((uint32_t)(n + 127) << 23));
}

static inline float vm_exp(float x)
{
    float r;
    x = x > 89.0f ? 89.0f : x;     /* overflows by itself */
    x = x < -104.0f ? -104.0f : x; /* rounds to 0 by itself */
    int32_t n = vm_split(x, &r), half = n >> 1;
    /* In two factors, because 2^n alone may leave the range that the product is in. */
    return (vm_expm1_small(r) + 1.0f) * vm_power_of_two(half) * vm_power_of_two(n - half);
}

/* x = m 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh s, s = (m - 1) / (m + 1), as an odd series. */
static inline float vm_log(float x)
{
    float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x;
    int32_t bits = float_bits(scaled), e = (int32_t)((uint32_t)bits - 0x3f3504f3u) >> 23;
    float m = bits_float((int32_t)((uint32_t)bits - ((uint32_t)e << 23)));
    float power = (float)e - (x < 1.17549435e-38f ? 23.0f : 0.0f);
    float f = m - 1.0f, s = f / (m + 1.0f), z = s * s;
    float q = (((2.0f / 11 * z + 2.0f / 9) * z + 2.0f / 7) * z + 2.0f / 5) * z + 2.0f / 3;
    /* 2s = f - s f keeps the leading term exact. */
    float y = power * 0.693359375f + (f - (s * (f - z * q) + power * 2.12194440e-4f));
    y = x < INFINITY ? y : x;
    y = x > 0 ? y : x == 0 ? -INFINITY : NAN;
    return y;
}

/* e / (e + 2) with e = exp(2|x|) - 1 keeps small results exact. */
static inline float vm_tanh(float x)
{
    float r, y = 2.0f * fabsf(x);
    y = y > 40.0f ? 40.0f : y;
    float power = vm_power_of_two(vm_split(y, &r) & 127);
    float e = power * vm_expm1_small(r) + (power - 1.0f);
    return copysignf(e / (e + 2.0f), x);
}

/* With t = exp(-|x|) <= 1 neither tail overflows: 1 / (1 + t) on the right, t / (1 + t) on the left. */
static inline float vm_sigmoid(float x)
{
    float t = vm_exp(-fabsf(x));
    return (x < 0 ? t : 1.0f) / (1.0f + t);
}

/* log(1 + t) = 2 atanh(t / (2 + t)), whose argument is at most 1/3 for t <= 1. */
static inline float vm_softplus(float x)
{
    float t = vm_exp(-fabsf(x)), s = t / (2.0f + t), z = s * s;
    float q = 2.0f / 15;
    q = q * z + 2.0f / 13;
    q = q * z + 2.0f / 11;
    q = q * z + 2.0f / 9;
    q = q * z + 2.0f / 7;
    q = q * z + 2.0f / 5;
    q = q * z + 2.0f / 3;
    return (x > 0 ? x : 0.0f) + (s * z * q + 2.0f * s);
}

#endif
