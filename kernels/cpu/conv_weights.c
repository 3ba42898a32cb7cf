/* conv_weights.c - see conv_weights.h.
 *
 * A tile is 8 filters by up to 3 blocks of 16 channels under one tap: 24 vectors of sums that stay in registers while
 * the pixels of all pictures go by, 3 loads and 8 broadcasts for 24 multiplications.  Blocks of one picture lie at
 * distances that are powers of 2, which the caches cannot hold together: x and dy are first copied so that what a
 * tile reads is contiguous.  All taps are collected, interleaved as the rows of the plain weights have them, and
 * written once and past the caches, since the optimizer reads them much later. */
#include "kernels/cpu/conv_weights.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "kernels/cpu/cpu.h"

enum { FILTERS = WEIGHT_FILTERS, BLOCKS = WEIGHT_BLOCKS, TAPS_MAX = CONV_WEIGHTS_TAPS, CACHED = 384 << 10 };

/* ---------------------------------------------------------------- float */
static void copy_block(const void *from, int64_t batch, int64_t channels, int64_t pixels, int64_t block,
                       WeightVector *to)
{
    const WeightVector *at = (const WeightVector *)from + block * pixels;
    for (int64_t b = 0; b < batch; b++)
        memcpy(to + b * pixels, at + b * channel_blocks(channels) * pixels, sizeof *to * (size_t)pixels);
}

#define TILE(blocks)                                                                                            \
    static void tile_##blocks(const ConvSeen *seen, const WeightVector *x, int64_t x_block,                     \
                              const float *y, int64_t vectors, int64_t x_pixels, int64_t y_pixels,              \
                              WeightVector *restrict sums)                                                      \
    {                                                                                                           \
        WeightVector sum[FILTERS][blocks];                                                                      \
        memcpy(sum, sums, sizeof sum);                                                                          \
        for (int64_t b = 0; b < vectors; b++, x += x_pixels, y += y_pixels * LANES)                             \
            for (int i = 0; i < seen->n; i++) {                                                                 \
                const WeightVector *at = x + seen->x[i];                                                        \
                const float *from = y + (int64_t)seen->y[i] * LANES;                                            \
                WeightVector v[blocks];                                                                         \
                _Pragma("GCC unroll 3")                                                                         \
                for (int k = 0; k < blocks; k++)                                                                \
                    v[k] = at[k * x_block];                                                                     \
                _Pragma("GCC unroll 8")                                                                         \
                for (int f = 0; f < FILTERS; f++) {                                                             \
                    _Pragma("GCC unroll 3")                                                                     \
                    for (int k = 0; k < blocks; k++)                                                            \
                        sum[f][k] += from[f] * v[k];                                                            \
                }                                                                                               \
            }                                                                                                   \
        memcpy(sums, sum, sizeof sum);                                                                          \
    }
TILE(1)
TILE(2)
TILE(3)

static const WeightKind floats = {1, copy_block, {tile_1, tile_2, tile_3}};

/* ---------------------------------------------------------------- writing */
/* How a vector of plain weights is gathered from those of the taps: lane l of vector j is tap (16 j + l) % taps of
 * channel (16 j + l) / taps. */
typedef struct Interleave {
#ifdef __AVX512F__
    __m512i channel[TAPS_MAX];
    __mmask16 tap[TAPS_MAX][TAPS_MAX];
#else
    int none;
#endif
} Interleave;

static void interleave_of(int64_t taps, Interleave *to)
{
    memset(to, 0, sizeof *to);
#ifdef __AVX512F__
    for (int64_t j = 0; j < taps; j++) {
        int32_t channel[LANES];
        for (int l = 0; l < LANES; l++) {
            channel[l] = (int32_t)((j * LANES + l) / taps);
            to->tap[j][(j * LANES + l) % taps] |= (__mmask16)(1 << l);
        }
        to->channel[j] = _mm512_loadu_si512(channel);
    }
#else
    (void)taps;
#endif
}

/* Taps of one block of channels under one filter, `step` vectors apart, to as many vectors of plain weights. */
static void write_block(const Interleave *by, const WeightVector *from, int64_t step, int64_t taps, int64_t channels,
                        float *to)
{
#ifdef __AVX512F__
    bool whole = channels == LANES, stream = whole && (uintptr_t)to % 64 == 0;
    for (int64_t j = 0; j < taps; j++, to += LANES) {
        __m512 v = (__m512)from[0];
        for (int64_t t = 0; taps > 1 && t < taps; t++)
            v = _mm512_mask_permutexvar_ps(v, by->tap[j][t], by->channel[j], (__m512)from[t * step]);
        if (stream) {
            _mm512_stream_ps(to, v);
        } else {
            int64_t left = channels * taps - j * LANES;
            _mm512_mask_storeu_ps(to, left >= LANES ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1 << left) - 1), v);
        }
    }
#else
    (void)by;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t t = 0; t < taps; t++)
            to[c * taps + t] = from[t * step][c];
#endif
}

static void writes_are_seen(void)
{
#ifdef __AVX512F__
    _mm_sfence();
#endif
}

/* ---------------------------------------------------------------- all of it */
typedef struct Operand {
    int64_t channels, blocks, pixels, vectors;   /* vectors: of a block, all pictures */
} Operand;

static Operand operand_of(const WeightKind *kind, const ConvShape *s, int64_t channels, int64_t pixels)
{
    int64_t vectors = (s->batch + kind->pictures - 1) / kind->pictures;
    return (Operand){channels, channel_blocks(channels), pixels, vectors * pixels};
}

static Operand operand_x(const WeightKind *kind, const ConvShape *s)
{
    return operand_of(kind, s, s->channels, s->height * s->width);
}

static Operand operand_y(const WeightKind *kind, const ConvShape *s)
{
    return operand_of(kind, s, s->filters, s->out_height * s->out_width);
}

static const WeightKind *kind_of(bool half)
{
    return half ? conv_weights_bf16() : &floats;
}

bool conv_weights_takes(const ConvShape *s, bool half)
{
    return kind_of(half) && s->groups == 1 && s->out_height * s->out_width <= CONV_WEIGHTS_PIXELS &&
           s->kernel_h * s->kernel_w <= TAPS_MAX;
}

size_t conv_weights_workspace(const ConvShape *s, bool half)
{
    Operand x = operand_x(kind_of(half), s), y = operand_y(kind_of(half), s);
    return sizeof(WeightVector) * (size_t)(x.blocks * x.vectors + y.blocks * y.vectors);
}

static void find_seen(const ConvShape *s, int64_t tap, ConvSeen *seen)
{
    int64_t row = tap / s->kernel_w * s->dilation - s->padding_h;
    int64_t column = tap % s->kernel_w * s->dilation - s->padding_w;
    seen->n = 0;
    for (int64_t oy = 0; oy < s->out_height; oy++)
        for (int64_t ox = 0; ox < s->out_width; ox++) {
            int64_t iy = oy * s->stride + row, ix = ox * s->stride + column;
            if (iy < 0 || iy >= s->height || ix < 0 || ix >= s->width)
                continue;
            seen->x[seen->n] = (int32_t)(iy * s->width + ix);
            seen->y[seen->n++] = (int32_t)(oy * s->out_width + ox);
        }
}

void conv_weights_run(const ConvShape *s, bool half, const void *x, const void *dy, float *dw, int threads,
                      void *workspace)
{
    const WeightKind *kind = kind_of(half);
    int64_t taps = s->kernel_h * s->kernel_w, vectors = (s->batch + kind->pictures - 1) / kind->pictures;
    ConvSeen seen[TAPS_MAX];
    for (int64_t t = 0; t < taps; t++)
        find_seen(s, t, &seen[t]);
    Operand of_x = operand_x(kind, s), of_y = operand_y(kind, s);
    int64_t groups = (of_x.blocks + BLOCKS - 1) / BLOCKS;
    /* So many pictures at a time that all taps find them in the second cache. */
    int64_t step = CACHED / ((int64_t)sizeof(WeightVector) * (BLOCKS * of_x.pixels + of_y.pixels));
    step = step < 1 ? 1 : step;
    WeightVector *xs = workspace, *ys = xs + of_x.blocks * of_x.vectors;
    Interleave by;
    interleave_of(taps, &by);
#pragma omp parallel num_threads(threads)
    {
        WeightVector collected[TAPS_MAX * LANES * BLOCKS];
#pragma omp for nowait
        for (int64_t c = 0; c < of_x.blocks; c++)
            kind->copy(x, s->batch, s->channels, of_x.pixels, c, xs + c * of_x.vectors);
#pragma omp for
        for (int64_t f = 0; f < of_y.blocks; f++)
            kind->copy(dy, s->batch, s->filters, of_y.pixels, f, ys + f * of_y.vectors);
        /* Channels in the outer loop: theirs are the vectors that a tile reads most of. */
#pragma omp for collapse(2) schedule(static)
        for (int64_t g = 0; g < groups; g++)
            for (int64_t f = 0; f < of_y.blocks; f++) {
                /* As even as can be: 4 blocks are 2 and 2. */
                int64_t first = g * of_x.blocks / groups;
                int blocks = (int)((g + 1) * of_x.blocks / groups - first);
                memset(collected, 0, sizeof *collected * (size_t)(taps * LANES * blocks));
                for (int64_t v = 0; v < vectors; v += step) {
                    const WeightVector *from = xs + first * of_x.vectors + v * of_x.pixels;
                    const float *with = (const float *)(const void *)(ys + f * of_y.vectors + v * of_y.pixels);
                    for (int64_t t = 0; t < taps; t++)
                        for (int l = 0; l < LANES; l += FILTERS)
                            kind->tile[blocks - 1](&seen[t], from, of_x.vectors, with + l,
                                                   vectors - v < step ? vectors - v : step, of_x.pixels, of_y.pixels,
                                                   collected + (t * LANES + l) * blocks);
                }
                for (int64_t r = 0; r < LANES && f * LANES + r < s->filters; r++)
                    for (int k = 0; k < blocks; k++) {
                        int64_t channel = (first + k) * LANES, left = s->channels - channel;
                        write_block(&by, collected + r * blocks + k, (int64_t)LANES * blocks, taps,
                                    left < LANES ? left : LANES,
                                    dw + ((f * LANES + r) * s->channels + channel) * taps);
                    }
            }
        writes_are_seen();
    }
}
