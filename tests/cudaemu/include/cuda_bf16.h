/* cuda_bf16.h - __nv_bfloat16 for the emulator: storage and conversion, nothing else.
 *
 * bfloat16 is the upper half of an IEEE float; from float it is rounded to nearest, ties to even, and every NaN
 * becomes 0x7FFF, as NVIDIA's header does it.  Kernels compute in float. */
#ifndef GUISE_EMU_CUDA_BF16_H
#define GUISE_EMU_CUDA_BF16_H

#include <stdint.h>
#include <string.h>

#include "cuda_runtime_api.h"

#ifdef __cplusplus
struct __nv_bfloat16 {
    unsigned short emu_bits;

    __nv_bfloat16() = default;
    __nv_bfloat16(float value)
    {
        uint32_t u;
        memcpy(&u, &value, 4);
        bool nan = (u & 0x7fffffffu) > 0x7f800000u;
        emu_bits = nan ? 0x7fff : (unsigned short)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
    }
    operator float() const
    {
        uint32_t u = (uint32_t)emu_bits << 16;
        float value;
        memcpy(&value, &u, 4);
        return value;
    }
};
struct __attribute__((aligned(4))) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

static inline __nv_bfloat16 __float2bfloat16(float a) { return __nv_bfloat16(a); }
static inline __nv_bfloat16 __float2bfloat16_rn(float a) { return __nv_bfloat16(a); }
static inline float __bfloat162float(__nv_bfloat16 a) { return (float)a; }
static inline unsigned short __bfloat16_as_ushort(__nv_bfloat16 a) { return a.emu_bits; }
static inline __nv_bfloat16 __ushort_as_bfloat16(unsigned short bits)
{
    __nv_bfloat16 a;
    a.emu_bits = bits;
    return a;
}
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
    return __nv_bfloat162{__nv_bfloat16(x), __nv_bfloat16(y)};
}
static inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return __floats2bfloat162_rn(v.x, v.y); }
static inline float2 __bfloat1622float2(__nv_bfloat162 v) { return float2{(float)v.x, (float)v.y}; }
static inline float __low2float(__nv_bfloat162 v) { return (float)v.x; }
static inline float __high2float(__nv_bfloat162 v) { return (float)v.y; }
#endif
#endif
