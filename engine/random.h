/* random.h - counter-based random numbers: Philox 4x32-10, and normals by explicit fused multiply-adds.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 * A number is a function of (seed, name of the stream, step, element) and of nothing else: the same integers and
 * uniforms on every backend and compiler, in any order, on any number of threads.
 * Normals come from Giles's single-precision inverse error function (GPU Computing Gems 2, 2011) with our own
 * logarithm, spelled in fma so that no compiler has a choice in how to round it.
 * Included by C, C++ and CUDA sources alike. */
#ifndef GUISE_RANDOM_H
#define GUISE_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define RANDOM_FN static __host__ __device__ inline
#else
#define RANDOM_FN static inline
#endif

typedef struct Philox {
    uint32_t v[4];
} Philox;

/* Ten rounds over the 128-bit counter under the 64-bit key. */
RANDOM_FN Philox philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint64_t key)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    Philox out = {{c0, c1, c2, c3}};
    return out;
}

/* 32 random bits of element `i` of the stream (seed, name, step).  Four neighbours share one Philox block. */
RANDOM_FN uint32_t random_bits(uint64_t seed, uint64_t name, uint64_t step, uint64_t i)
{
    uint64_t block = i >> 2;
    Philox p = philox4x32((uint32_t)block, (uint32_t)(block >> 32) ^ (uint32_t)(step >> 32), (uint32_t)step,
                          (uint32_t)(name >> 32), seed ^ (name << 32 | name >> 32));
    return p.v[i & 3];
}

/* Bits to a float in (0, 1): the 23 high ones, in the middle of their interval; exact, never 0 and never 1. */
RANDOM_FN float random_unit(uint32_t bits)
{
    return fmaf((float)(bits >> 9), 1.0f / 8388608.0f, 1.0f / 16777216.0f);
}

/* Natural logarithm of a normal positive float within 2 ulp: x = m 2^e, m in [sqrt(1/2), sqrt(2)), then the odd
 * series of atanh in s = (m - 1) / (m + 1). */
RANDOM_FN float random_log(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    int e = (int)(bits >> 23) - 127;
    uint32_t mantissa = (bits & 0x7fffffu) | 0x3f800000u;
    if (mantissa > 0x3fb504f3u) {
        mantissa -= 0x800000u;
        e += 1;
    }
    float m;
    memcpy(&m, &mantissa, 4);
    float s = (m - 1.0f) / (m + 1.0f), z = s * s;
    float q = fmaf(z, fmaf(z, fmaf(z, fmaf(z, 0.22222222f, 0.28571429f), 0.4f), 0.66666667f), 0.0f);
    float r = fmaf(s, q, s + s);
    return fmaf((float)e, 0.693147182f, fmaf((float)e, -1.90465421e-9f, r));
}

/* Standard normal from a uniform in (0, 1): sqrt(2) erfinv(2u - 1). */
RANDOM_FN float random_normal_from(float u)
{
    float x = fmaf(2.0f, u, -1.0f);
    float w = -random_log(fmaf(-x, x, 1.0f)), p;
    if (w < 5.0f) {
        w = w - 2.5f;
        p = 2.81022636e-08f;
        p = fmaf(p, w, 3.43273939e-07f);
        p = fmaf(p, w, -3.5233877e-06f);
        p = fmaf(p, w, -4.39150654e-06f);
        p = fmaf(p, w, 0.00021858087f);
        p = fmaf(p, w, -0.00125372503f);
        p = fmaf(p, w, -0.00417768164f);
        p = fmaf(p, w, 0.246640727f);
        p = fmaf(p, w, 1.50140941f);
    } else {
        w = sqrtf(w) - 3.0f;
        p = -0.000200214257f;
        p = fmaf(p, w, 0.000100950558f);
        p = fmaf(p, w, 0.00134934322f);
        p = fmaf(p, w, -0.00367342844f);
        p = fmaf(p, w, 0.00573950773f);
        p = fmaf(p, w, -0.0076224613f);
        p = fmaf(p, w, 0.00943887047f);
        p = fmaf(p, w, 1.00167406f);
        p = fmaf(p, w, 2.83297682f);
    }
    return p * (x * 1.41421354f);
}

/* FNV-1a, 64 bits: streams and parameters are keyed on their names. */
RANDOM_FN uint64_t random_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
    return h;
}

/* A sequential view of one stream for host code. */
typedef struct Random {
    uint64_t seed, name, step, next;
} Random;

RANDOM_FN Random random_stream(uint64_t seed, const char *name, uint64_t step)
{
    Random r = {seed, random_name(name), step, 0};
    return r;
}
RANDOM_FN uint32_t random_next(Random *r)
{
    return random_bits(r->seed, r->name, r->step, r->next++);
}
RANDOM_FN float random_uniform(Random *r)
{
    return random_unit(random_next(r));
}
RANDOM_FN float random_normal(Random *r)
{
    return random_normal_from(random_uniform(r));
}
/* Uniform integer in [0, n), n > 0, without bias worth speaking of (n / 2^32). */
RANDOM_FN uint32_t random_below(Random *r, uint32_t n)
{
    return (uint32_t)(((uint64_t)random_next(r) * n) >> 32);
}

#endif
