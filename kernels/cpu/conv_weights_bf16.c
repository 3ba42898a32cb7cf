/* conv_weights_bf16.c - see conv_weights.h.
 *
 * vdpbf16ps adds two products a lane: the two are the same pixel of two pictures, which any tap and stride allows.
 * x and dy are first copied so: [block of 16 channels][pair of pictures][pixel][16 channels][2].  A tile is 8 filters
 * by up to 3 blocks of channels under one tap: 24 vectors of sums that stay in registers while the pixels of all
 * pictures go by, 3 loads and 8 broadcasts of a pair for 24 instructions.  All taps are collected, interleaved as the
 * rows of the plain weights have them, and written past the caches, since the optimizer reads them much later. */
#include "kernels/cpu/conv_weights.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

enum { FILTERS = 8, BLOCKS = 3, TAPS_MAX = CONV_WEIGHTS_TAPS };

bool conv_weights_bf16_takes(const ConvShape *s)
{
    return conv_weights_takes(s);
}

/* One block of channels of all pictures, two and two; the last of an odd number is paired with zeros. */
static void pair_block(const uint16_t *from, int64_t batch, int64_t channels, int64_t pixels, int64_t block,
                       __m512i *to)
{
    int64_t picture = channel_blocks(channels) * pixels * LANES;
    for (int64_t b = 0; b < batch; b += 2, to += pixels) {
        const uint16_t *at = from + b * picture + block * pixels * LANES;
        for (int64_t i = 0; i < pixels; i++, at += LANES) {
            __m512i one = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)at)), other = _mm512_setzero_si512();
            if (b + 1 < batch)
                other = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)(at + picture)));
            to[i] = _mm512_or_si512(one, _mm512_slli_epi32(other, 16));
        }
    }
}

/* sums[f][k] = sum over pictures and pixels of y[f] x[k] of FILTERS filters and `blocks` blocks of
 * channels, which lie x_block vectors apart; y holds 16 filters. */
#define TILE(blocks)                                                                                            \
    static void tile_##blocks(const ConvSeen *seen, const __m512i *x, int64_t x_block, const uint32_t *y,       \
                              int64_t pairs, int64_t x_pixels, int64_t y_pixels, __m512 *restrict sums)         \
    {                                                                                                           \
        __m512 sum[FILTERS][blocks];                                                                            \
        _Pragma("GCC unroll 8")                                                                                 \
        for (int f = 0; f < FILTERS; f++)                                                                       \
            _Pragma("GCC unroll 3")                                                                             \
            for (int k = 0; k < blocks; k++)                                                                    \
                sum[f][k] = _mm512_setzero_ps();                                                                \
        for (int64_t b = 0; b < pairs; b++, x += x_pixels, y += y_pixels * LANES)                               \
            for (int i = 0; i < seen->n; i++) {                                                                 \
                const __m512i *at = x + seen->x[i];                                                             \
                const uint32_t *from = y + (int64_t)seen->y[i] * LANES;                                         \
                __m512i v[blocks];                                                                              \
                _Pragma("GCC unroll 3")                                                                         \
                for (int k = 0; k < blocks; k++)                                                                \
                    v[k] = at[k * x_block];                                                                     \
                _Pragma("GCC unroll 8")                                                                         \
                for (int f = 0; f < FILTERS; f++) {                                                             \
                    __m512i pair = _mm512_set1_epi32((int)from[f]);                                             \
                    _Pragma("GCC unroll 3")                                                                     \
                    for (int k = 0; k < blocks; k++)                                                            \
                        sum[f][k] = _mm512_dpbf16_ps(sum[f][k], (__m512bh)v[k], (__m512bh)pair);                \
                }                                                                                               \
            }                                                                                                   \
        _Pragma("GCC unroll 8")                                                                                 \
        for (int f = 0; f < FILTERS; f++)                                                                       \
            _Pragma("GCC unroll 3")                                                                             \
            for (int k = 0; k < blocks; k++)                                                                    \
                sums[f * blocks + k] = sum[f][k];                                                               \
    }
TILE(1)
TILE(2)
TILE(3)

/* How a vector of plain weights is gathered from those of the taps: lane l of vector j is tap (16 j + l) % taps of
 * channel (16 j + l) / taps. */
typedef struct Interleave {
    __m512i channel[TAPS_MAX];
    __mmask16 tap[TAPS_MAX][TAPS_MAX];
} Interleave;

static void interleave_of(int64_t taps, Interleave *to)
{
    memset(to, 0, sizeof *to);
    for (int64_t j = 0; j < taps; j++) {
        int32_t channel[LANES];
        for (int l = 0; l < LANES; l++) {
            channel[l] = (int32_t)((j * LANES + l) / taps);
            to->tap[j][(j * LANES + l) % taps] |= (__mmask16)(1 << l);
        }
        to->channel[j] = _mm512_loadu_si512(channel);
    }
}

/* Taps of one block of channels under one filter, `step` vectors apart, to as many vectors of plain weights. */
static void write_block(const Interleave *by, const __m512 *from, int64_t step, int64_t taps, int64_t channels,
                        float *to)
{
    bool whole = channels == LANES, stream = whole && (uintptr_t)to % 64 == 0;
    for (int64_t j = 0; j < taps; j++, to += LANES) {
        __m512 v = from[0];
        for (int64_t t = 0; taps > 1 && t < taps; t++)
            v = _mm512_mask_permutexvar_ps(v, by->tap[j][t], by->channel[j], from[t * step]);
        if (stream) {
            _mm512_stream_ps(to, v);
        } else {
            int64_t left = channels * taps - j * LANES;
            _mm512_mask_storeu_ps(to, left >= LANES ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1 << left) - 1), v);
        }
    }
}

typedef struct Operand {
    int64_t channels, blocks, pixels;
    size_t vectors;     /* of a block, all pictures */
} Operand;

static Operand operand_of(const ConvShape *s, int64_t channels, int64_t pixels)
{
    return (Operand){channels, channel_blocks(channels), pixels, (size_t)((s->batch + 1) / 2 * pixels)};
}

size_t conv_weights_bf16_workspace(const ConvShape *s)
{
    Operand x = operand_of(s, s->channels, s->height * s->width);
    Operand y = operand_of(s, s->filters, s->out_height * s->out_width);
    return sizeof(__m512i) * ((size_t)x.blocks * x.vectors + (size_t)y.blocks * y.vectors);
}

void conv_weights_bf16_run(const ConvShape *s, const uint16_t *x, const uint16_t *dy, float *dw, int threads,
                           void *workspace)
{
    int64_t taps = s->kernel_h * s->kernel_w, pairs = (s->batch + 1) / 2;
    ConvSeen seen[TAPS_MAX];
    for (int64_t t = 0; t < taps; t++)
        conv_weights_seen(s, t, &seen[t]);
    Operand of_x = operand_of(s, s->channels, s->height * s->width);
    Operand of_y = operand_of(s, s->filters, s->out_height * s->out_width);
    int64_t groups = (of_x.blocks + BLOCKS - 1) / BLOCKS, x_block = (int64_t)of_x.vectors;
    __m512i *xs = workspace, *ys = xs + of_x.blocks * x_block;
    Interleave by;
    interleave_of(taps, &by);
#pragma omp parallel num_threads(threads)
    {
        __m512 collected[TAPS_MAX * FILTERS * BLOCKS];
#pragma omp for nowait
        for (int64_t c = 0; c < of_x.blocks; c++)
            pair_block(x, s->batch, s->channels, of_x.pixels, c, xs + c * x_block);
#pragma omp for
        for (int64_t f = 0; f < of_y.blocks; f++)
            pair_block(dy, s->batch, s->filters, of_y.pixels, f, ys + f * (int64_t)of_y.vectors);
        /* Channels in the outer loop: theirs are the vectors that a tile reads most of. */
#pragma omp for collapse(2) schedule(static)
        for (int64_t g = 0; g < groups; g++)
            for (int64_t f = 0; f < 2 * of_y.blocks; f++) {
                /* As even as can be: 4 blocks are 2 and 2. */
                int64_t first = g * of_x.blocks / groups;
                int blocks = (int)((g + 1) * of_x.blocks / groups - first);
                const __m512i *from = xs + first * x_block;
                const uint32_t *with = (const uint32_t *)(const void *)(ys + f / 2 * (int64_t)of_y.vectors) +
                                       f % 2 * FILTERS;
                for (int64_t t = 0; t < taps; t++) {
                    __m512 *to = collected + t * FILTERS * blocks;
                    (blocks == 3 ? tile_3 : blocks == 2 ? tile_2 : tile_1)(&seen[t], from, x_block, with, pairs,
                                                                           of_x.pixels, of_y.pixels, to);
                }
                for (int64_t r = 0; r < FILTERS && f * FILTERS + r < s->filters; r++)
                    for (int k = 0; k < blocks; k++) {
                        int64_t channel = (first + k) * LANES, left = s->channels - channel;
                        write_block(&by, collected + r * blocks + k, (int64_t)FILTERS * blocks, taps,
                                    left < LANES ? left : LANES,
                                    dw + ((f * FILTERS + r) * s->channels + channel) * taps);
                    }
            }
        _mm_sfence();
    }
}

#else

bool conv_weights_bf16_takes(const ConvShape *s)
{
    (void)s;
    return false;
}

size_t conv_weights_bf16_workspace(const ConvShape *s)
{
    (void)s;
    return 0;
}

void conv_weights_bf16_run(const ConvShape *s, const uint16_t *x, const uint16_t *dy, float *dw, int threads,
                           void *workspace)
{
    (void)s, (void)x, (void)dy, (void)dw, (void)threads, (void)workspace;
}

#endif
