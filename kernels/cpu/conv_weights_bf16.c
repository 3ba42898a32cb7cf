/* conv_weights_bf16.c - the part of conv_weights.c that is different in bfloat16.
 *
 * vdpbf16ps adds two products a lane: the two are the same pixel of two pictures, which any tap and stride allows. */
#include "kernels/cpu/conv_weights.h"

#ifdef __AVX512BF16__
#include <immintrin.h>

#include "kernels/cpu/cpu.h"

/* Two and two pictures; the last of an odd number is paired with zeros. */
static void copy_pairs(const void *from, int64_t batch, int64_t channels, int64_t pixels, int64_t block,
                       WeightVector *to)
{
    int64_t picture = channel_blocks(channels) * pixels * LANES;
    for (int64_t b = 0; b < batch; b += 2, to += pixels) {
        const uint16_t *at = (const uint16_t *)from + b * picture + block * pixels * LANES;
        for (int64_t i = 0; i < pixels; i++, at += LANES) {
            __m512i one = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)at)), other = _mm512_setzero_si512();
            if (b + 1 < batch)
                other = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(at + picture)));
            to[i] = (WeightVector)_mm512_or_si512(one, _mm512_slli_epi32(other, 16));
        }
    }
}

#define TILE(blocks)                                                                                            \
    static void tile_##blocks(const ConvSeen *seen, const WeightVector *x, int64_t x_block,                     \
                              const float *y, int64_t vectors, int64_t x_pixels, int64_t y_pixels,              \
                              WeightVector *restrict sums)                                                      \
    {                                                                                                           \
        __m512 sum[WEIGHT_FILTERS][blocks];                                                                     \
        memcpy(sum, sums, sizeof sum);                                                                          \
        for (int64_t b = 0; b < vectors; b++, x += x_pixels, y += y_pixels * LANES)                             \
            for (int i = 0; i < seen->n; i++) {                                                                 \
                const WeightVector *at = x + seen->x[i];                                                        \
                const float *from = y + (int64_t)seen->y[i] * LANES;                                            \
                __m512bh v[blocks];                                                                             \
                _Pragma("GCC unroll 3")                                                                         \
                for (int k = 0; k < blocks; k++)                                                                \
                    v[k] = (__m512bh)at[k * x_block];                                                           \
                _Pragma("GCC unroll 8")                                                                         \
                for (int f = 0; f < WEIGHT_FILTERS; f++) {                                                      \
                    __m512bh pair = (__m512bh)_mm512_set1_ps(from[f]);                                          \
                    _Pragma("GCC unroll 3")                                                                     \
                    for (int k = 0; k < blocks; k++)                                                            \
                        sum[f][k] = _mm512_dpbf16_ps(sum[f][k], v[k], pair);                                    \
                }                                                                                               \
            }                                                                                                   \
        memcpy(sums, sum, sizeof sum);                                                                          \
    }
TILE(1)
TILE(2)
TILE(3)

const WeightKind *conv_weights_bf16(void)
{
    static const WeightKind pairs = {2, copy_pairs, {tile_1, tile_2, tile_3}};
    return &pairs;
}

#else

const WeightKind *conv_weights_bf16(void)
{
    return NULL;
}

#endif
