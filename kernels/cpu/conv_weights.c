/* conv_weights.c - see conv_weights.h.
 *
 * A tile is 8 channels of x by up to 3 blocks of 16 filters under one tap: 24 vectors that stay in registers while
 * the pixels of all pictures go by, 3 loads and 8 broadcasts for 24 multiplications.  Blocks of one picture lie at
 * distances that are powers of 2, which the caches cannot hold together: x and dy are first copied so that what a
 * tile reads is contiguous.  All taps of 16 channels are collected before they are written, so that rows of the
 * plain weights get whole lines; dw is written once. */
#include "kernels/cpu/conv_weights.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

enum { CHANNELS = 8, BLOCKS = 3, TAPS_MAX = CONV_WEIGHTS_TAPS };

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

bool conv_weights_takes(const ConvShape *s)
{
    return s->groups == 1 && s->out_height * s->out_width <= CONV_WEIGHTS_PIXELS &&
           s->kernel_h * s->kernel_w <= TAPS_MAX;
}

void conv_weights_seen(const ConvShape *s, int64_t tap, ConvSeen *seen)
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

/* sums[c][k] = sum over pictures and pixels of x[c] y[k], CHANNELS channels of x's block from x on.
 * x (batch, x_pixels, 16), y (batch, y_pixels, blocks) vectors. */
#define TILE(blocks)                                                                                            \
    static void tile_##blocks(const ConvSeen *seen, const float *x, const Vector *y, int64_t batch,             \
                              int64_t x_pixels, int64_t y_pixels, Vector *restrict sums)                        \
    {                                                                                                           \
        Vector sum[CHANNELS][blocks] = {{{0}}};                                                                 \
        for (int64_t b = 0; b < batch; b++, x += x_pixels * LANES, y += y_pixels * blocks)                      \
            for (int i = 0; i < seen->n; i++) {                                                                 \
                const float *at = x + (int64_t)seen->x[i] * LANES;                                              \
                const Vector *from = y + (int64_t)seen->y[i] * blocks;                                          \
                _Pragma("GCC unroll 3")                                                                         \
                for (int k = 0; k < blocks; k++) {                                                              \
                    Vector v = from[k];                                                                         \
                    _Pragma("GCC unroll 8")                                                                     \
                    for (int c = 0; c < CHANNELS; c++)                                                          \
                        sum[c][k] += at[c] * v;                                                                 \
                }                                                                                               \
            }                                                                                                   \
        memcpy(sums, sum, sizeof sum);                                                                          \
    }
TILE(1)
TILE(2)
TILE(3)

/* One block of channels of all pictures, side by side: (B, pixels, 16), every `step`th vector of `to`. */
static void copy_block(const float *from, int64_t batch, int64_t channels, int64_t pixels, int64_t block, Vector *to,
                       int64_t step)
{
    for (int64_t b = 0; b < batch; b++) {
        const Vector *at = (const Vector *)(const void *)from + (b * channel_blocks(channels) + block) * pixels;
        for (int64_t i = 0; i < pixels; i++)
            to[(b * pixels + i) * step] = at[i];
    }
}

/* Up to 3 blocks of filters by 16 channels, all taps: collected as [tap][channel][block] vectors of filters. */
static void collect(const ConvShape *s, const ConvSeen *seen, const float *x, const Vector *y, int blocks,
                    Vector *collected)
{
    int64_t x_pixels = s->height * s->width, y_pixels = s->out_height * s->out_width;
    for (int64_t t = 0; t < s->kernel_h * s->kernel_w; t++)
        for (int c = 0; c < LANES; c += CHANNELS) {
            Vector *to = collected + (t * LANES + c) * blocks;
            if (blocks == 3)
                tile_3(&seen[t], x + c, y, s->batch, x_pixels, y_pixels, to);
            else if (blocks == 2)
                tile_2(&seen[t], x + c, y, s->batch, x_pixels, y_pixels, to);
            else
                tile_1(&seen[t], x + c, y, s->batch, x_pixels, y_pixels, to);
        }
}

static void write_rows(const ConvShape *s, const Vector *collected, int64_t c_block, int64_t f_block, int blocks,
                       float *dw)
{
    int64_t taps = s->kernel_h * s->kernel_w, first = c_block * LANES;
    int64_t channels = s->channels - first < LANES ? s->channels - first : LANES;
    const float *from = (const float *)(const void *)collected;
    for (int k = 0; k < blocks; k++)
        for (int64_t l = 0; l < LANES && (f_block + k) * LANES + l < s->filters; l++) {
            float *row = dw + (((f_block + k) * LANES + l) * s->channels + first) * taps;
            for (int64_t c = 0; c < channels; c++)
                for (int64_t t = 0; t < taps; t++)
                    row[c * taps + t] = from[((t * LANES + c) * blocks + k) * LANES + l];
        }
}

static size_t x_vectors(const ConvShape *s)
{
    return (size_t)(s->batch * channel_blocks(s->channels) * s->height * s->width);
}

static size_t y_vectors(const ConvShape *s)
{
    return (size_t)(s->batch * BLOCKS * s->out_height * s->out_width);
}

size_t conv_weights_workspace(const ConvShape *s, int threads)
{
    return sizeof(Vector) * (x_vectors(s) + (size_t)threads * y_vectors(s));
}

void conv_weights_run(const ConvShape *s, const float *x, const float *dy, float *dw, int threads, void *workspace)
{
    ConvSeen seen[TAPS_MAX];
    for (int64_t t = 0; t < s->kernel_h * s->kernel_w; t++)
        conv_weights_seen(s, t, &seen[t]);
    int64_t c_blocks = channel_blocks(s->channels), f_blocks = channel_blocks(s->filters);
    int64_t groups = (f_blocks + BLOCKS - 1) / BLOCKS, x_block = s->batch * s->height * s->width;
    /* Few groups of filters are shared out by parts of the channels as well. */
    int64_t parts = groups % threads ? (threads < c_blocks ? threads : c_blocks) : 1;
    Vector *xs = workspace, *ys = xs + x_vectors(s);
#pragma omp parallel num_threads(threads)
    {
        Vector *mine = ys + (size_t)omp_get_thread_num() * y_vectors(s);
        Vector collected[TAPS_MAX * LANES * BLOCKS];
#pragma omp for
        for (int64_t c = 0; c < c_blocks; c++)
            copy_block(x, s->batch, s->channels, s->height * s->width, c, xs + c * x_block, 1);
#pragma omp for schedule(static)
        for (int64_t task = 0; task < groups * parts; task++) {
            int64_t g = task / parts, part = task % parts;
            /* As even as can be: 4 blocks are 2 and 2. */
            int64_t first = g * f_blocks / groups;
            int blocks = (int)((g + 1) * f_blocks / groups - first);
            for (int k = 0; k < blocks; k++)
                copy_block(dy, s->batch, s->filters, s->out_height * s->out_width, first + k, mine + k, blocks);
            for (int64_t c = part * c_blocks / parts; c < (part + 1) * c_blocks / parts; c++) {
                collect(s, seen, (const float *)(const void *)(xs + c * x_block), mine, blocks, collected);
                write_rows(s, collected, c, first, blocks, dw);
            }
        }
    }
}
