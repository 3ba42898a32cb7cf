/* cuda_emu_math.h - atomics, cached loads, conversions and those device functions that <math.h> lacks.
 *
 * The fast approximations (__expf, __fdividef, rsqrtf...) are the accurate functions here: compare with tolerances.
 * Included by cuda_emu.h only. */
#ifndef GUISE_CUDA_EMU_MATH_H
#define GUISE_CUDA_EMU_MATH_H

/* ---------------------------------------------------------------- atomics and fences
 * Relaxed, as CUDA's are: they make no other access safe. */
template <class T, class F> inline T emu_atomic(T *p, F change)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomics on 4 and 8 bytes");
    using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
    Bits seen = __atomic_load_n((Bits *)p, __ATOMIC_RELAXED), wanted;
    T old, fresh;
    do {
        memcpy(&old, &seen, sizeof old);
        fresh = change(old);
        memcpy(&wanted, &fresh, sizeof fresh);
    } while (!__atomic_compare_exchange_n((Bits *)p, &seen, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}
#define EMU_ATOMIC(name, expression)                                             \
    template <class T> inline T name(T *p, std::type_identity_t<T> b)            \
    {                                                                            \
        return emu_atomic(p, [b](T a) -> T { (void)a; return expression; });     \
    }
EMU_ATOMIC(atomicAdd, a + b)
EMU_ATOMIC(atomicSub, a - b)
EMU_ATOMIC(atomicMax, a > b ? a : b)
EMU_ATOMIC(atomicMin, a < b ? a : b)
EMU_ATOMIC(atomicOr, a | b)
EMU_ATOMIC(atomicAnd, a & b)
EMU_ATOMIC(atomicXor, a ^ b)
EMU_ATOMIC(atomicExch, b)
template <class T> inline T atomicCAS(T *p, std::type_identity_t<T> expected, std::type_identity_t<T> b)
{
    return emu_atomic(p, [expected, b](T a) -> T { return a == expected ? b : a; });
}

/* Under ThreadSanitizer a fence synchronises with every fence before it: more than CUDA promises. */
void emu_fence(void);
#define __threadfence() emu_fence()
#define __threadfence_block() emu_fence()

/* ---------------------------------------------------------------- loads and stores with cache hints */
template <class T> inline T __ldg(const T *p) { return *p; }
template <class T> inline T __ldca(const T *p) { return *p; }
template <class T> inline T __ldcg(const T *p) { return *p; }
template <class T> inline T __ldcs(const T *p) { return *p; }
template <class T> inline void __stcg(T *p, std::type_identity_t<T> v) { *p = v; }
template <class T> inline void __stcs(T *p, std::type_identity_t<T> v) { *p = v; }

/* ---------------------------------------------------------------- arithmetic */
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float fdividef(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __saturatef(float x) { return x > 0.0f ? x < 1.0f ? x : 1.0f : 0.0f; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }

#define EMU_MIN_MAX(R, A, B)                                   \
    inline R min(A a, B b) { return (R)a < (R)b ? (R)a : (R)b; } \
    inline R max(A a, B b) { return (R)a > (R)b ? (R)a : (R)b; }
EMU_MIN_MAX(int, int, int)
EMU_MIN_MAX(unsigned, unsigned, unsigned)
EMU_MIN_MAX(unsigned, int, unsigned)
EMU_MIN_MAX(unsigned, unsigned, int)
EMU_MIN_MAX(long, long, long)
EMU_MIN_MAX(unsigned long, unsigned long, unsigned long)
EMU_MIN_MAX(long long, long long, long long)
EMU_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

/* ---------------------------------------------------------------- integers and bits */
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (x >> i & 1u) << (31 - i);
    return r;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline int __mulhi(int a, int b) { return (int)((int64_t)a * b >> 32); }

template <class To, class From> inline To emu_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emu_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
inline float __int_as_float(int x) { return emu_bits<float>(x); }

/* ---------------------------------------------------------------- conversions
 * rn nearest even, rd down, ru up, rz to zero; out of range saturates and NaN is 0, as the hardware does it. */
template <class I> inline I emu_round_to(double x)
{
    if (x != x)
        return 0;
    if (x <= (double)std::numeric_limits<I>::min())
        return std::numeric_limits<I>::min();
    if (x >= (double)std::numeric_limits<I>::max())
        return std::numeric_limits<I>::max();
    return (I)x;
}
inline int __float2int_rn(float x) { return emu_round_to<int>(rint((double)x)); }
inline int __float2int_rd(float x) { return emu_round_to<int>(floor((double)x)); }
inline int __float2int_ru(float x) { return emu_round_to<int>(ceil((double)x)); }
inline int __float2int_rz(float x) { return emu_round_to<int>(trunc((double)x)); }
inline unsigned __float2uint_rn(float x) { return emu_round_to<unsigned>(rint((double)x)); }
inline unsigned __float2uint_rd(float x) { return emu_round_to<unsigned>(floor((double)x)); }
inline unsigned __float2uint_rz(float x) { return emu_round_to<unsigned>(trunc((double)x)); }
inline float __int2float_rn(int x) { return (float)x; }
inline float __uint2float_rn(unsigned x) { return (float)x; }

#endif
