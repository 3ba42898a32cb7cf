/* vector.h - floats in registers, float or bfloat16 in memory, several to an access of up to 16 bytes.
 *
 * Kernels are templates over the type in memory, T (float or bf16), and the elements of an access, V: LANES_OF<T> where
 * every address is a multiple of 16 bytes (vectors_fit on the host), else 1.  Values are rounded to bfloat16 when they
 * are stored, to nearest with ties to even, and nowhere else. */
#ifndef KERNELS_CUDA_VECTOR_H
#define KERNELS_CUDA_VECTOR_H

#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

typedef __nv_bfloat16 bf16;

constexpr size_t VECTOR_BYTES = 16;
template <typename T>
constexpr int LANES_OF = (int)(VECTOR_BYTES / sizeof(T));

#define HALVES(t) ((bf16 *)(t).data)

/* ---------------------------------------------------------------- host */
/* Whether V elements of T can be taken at once from p on and at every multiple of V behind it. */
template <int V, typename T>
static inline bool vectors_fit(const T *p)
{
    size_t bytes = V * sizeof(T);
    return (uintptr_t)p % (bytes < VECTOR_BYTES ? bytes : VECTOR_BYTES) == 0;
}

/* ---------------------------------------------------------------- device */
static __device__ inline void unpack_pair(unsigned two, float &low, float &high)
{
    low = __uint_as_float(two << 16);
    high = __uint_as_float(two & 0xffff0000u);
}

static __device__ inline unsigned pack_pair(float low, float high)
{
    __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    unsigned two;
    memcpy(&two, &pair, sizeof two);
    return two;
}

/* v = p[0 .. V-1]; V is 1, 2, 4 or 8, and p a multiple of V elements or 16 bytes. */
template <int V>
static __device__ inline void load(const float *p, float (&v)[V])
{
    if constexpr (V == 1) {
        v[0] = *p;
    } else if constexpr (V == 2) {
        float2 a = *(const float2 *)p;
        v[0] = a.x, v[1] = a.y;
    } else {
#pragma unroll
        for (int i = 0; i < V; i += 4) {
            float4 a = *(const float4 *)(p + i);
            v[i] = a.x, v[i + 1] = a.y, v[i + 2] = a.z, v[i + 3] = a.w;
        }
    }
}

template <int V>
static __device__ inline void load(const bf16 *p, float (&v)[V])
{
    if constexpr (V == 1) {
        v[0] = __bfloat162float(*p);
    } else if constexpr (V == 2) {
        unpack_pair(*(const unsigned *)p, v[0], v[1]);
    } else if constexpr (V == 4) {
        uint2 a = *(const uint2 *)p;
        unpack_pair(a.x, v[0], v[1]);
        unpack_pair(a.y, v[2], v[3]);
    } else {
        uint4 a = *(const uint4 *)p;
        unpack_pair(a.x, v[0], v[1]);
        unpack_pair(a.y, v[2], v[3]);
        unpack_pair(a.z, v[4], v[5]);
        unpack_pair(a.w, v[6], v[7]);
    }
}

/* p[0 .. V-1] = v, under the same conditions. */
template <int V>
static __device__ inline void store(float *p, const float (&v)[V])
{
    if constexpr (V == 1) {
        *p = v[0];
    } else if constexpr (V == 2) {
        *(float2 *)p = make_float2(v[0], v[1]);
    } else {
#pragma unroll
        for (int i = 0; i < V; i += 4)
            *(float4 *)(p + i) = make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]);
    }
}

template <int V>
static __device__ inline void store(bf16 *p, const float (&v)[V])
{
    if constexpr (V == 1)
        *p = __float2bfloat16_rn(v[0]);
    else if constexpr (V == 2)
        *(unsigned *)p = pack_pair(v[0], v[1]);
    else if constexpr (V == 4)
        *(uint2 *)p = make_uint2(pack_pair(v[0], v[1]), pack_pair(v[2], v[3]));
    else
        *(uint4 *)p = make_uint4(pack_pair(v[0], v[1]), pack_pair(v[2], v[3]), pack_pair(v[4], v[5]),
                                 pack_pair(v[6], v[7]));
}

/* One element. */
template <typename T>
static __device__ inline float load_one(const T *p)
{
    float v[1];
    load(p, v);
    return v[0];
}

template <typename T>
static __device__ inline void store_one(T *p, float value)
{
    float v[1] = {value};
    store(p, v);
}

#endif
