/* conv_weights.c - see conv_weights.h.
 *
 * A tile is 8 channels of x by up to 3 blocks of 16 filters under one tap: 24 vectors that stay in registers while
 * the pixels of all pictures go by, 3 loads and 8 broadcasts for 24 multiplications.  All taps of 16 channels are
 * collected before they are written, so that rows of the plain weights get whole lines.  dw is written once and
 * nothing is packed or unpacked; oneDNN's kernels write it twice and find too few pixels to amortise that. */
#include "kernels/cpu/conv_weights.h"

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

enum { CHANNELS = 8, BLOCKS = 3, TAPS_MAX = 25 };

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

bool conv_weights_takes(const ConvShape *s)
{
    return s->groups == 1 && s->out_height * s->out_width <= CONV_WEIGHTS_PIXELS &&
           s->kernel_h * s->kernel_w <= TAPS_MAX;
}

/* The pixels of y that see x under one tap, and what they see: offsets in vectors of 16 channels. */
typedef struct Seen {
    int n;
    int32_t x[CONV_WEIGHTS_PIXELS], y[CONV_WEIGHTS_PIXELS];
} Seen;

static void find_seen(const ConvShape *s, int64_t tap, Seen *seen)
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

/* sums[c][k] = sum over pictures and pixels of x[c] y[block k], channels first to first + CHANNELS of x's block.
 * x_step, y_step: vectors from a picture to the next; y_block: from a block of filters to the next. */
#define TILE(blocks)                                                                                            \
    static void tile_##blocks(const Seen *seen, const float *x, const Vector *y, int64_t batch, int64_t x_step, \
                              int64_t y_step, int64_t y_block, Vector *restrict sums)                           \
    {                                                                                                           \
        Vector sum[CHANNELS][blocks] = {{{0}}};                                                                 \
        for (int64_t b = 0; b < batch; b++, x += x_step * LANES, y += y_step)                                   \
            for (int i = 0; i < seen->n; i++) {                                                                 \
                const float *at = x + (int64_t)seen->x[i] * LANES;                                              \
                const Vector *from = y + seen->y[i];                                                            \
                _Pragma("GCC unroll 3")                                                                         \
                for (int k = 0; k < blocks; k++) {                                                              \
                    Vector v = from[k * y_block];                                                               \
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

/* Filters of up to 3 blocks by 16 channels, all taps: collected as [tap][channel][block] vectors of filters. */
static void collect(const ConvShape *s, const Seen *seen, const float *x, const float *dy, int64_t c_block,
                    int64_t f_block, int blocks, Vector *collected)
{
    int64_t x_pixels = s->height * s->width, y_pixels = s->out_height * s->out_width;
    int64_t x_step = channel_blocks(s->channels) * x_pixels, y_step = channel_blocks(s->filters) * y_pixels;
    const Vector *y = (const Vector *)(const void *)dy + f_block * y_pixels;
    int64_t taps = s->kernel_h * s->kernel_w;
    for (int64_t t = 0; t < taps; t++)
        for (int c = 0; c < LANES; c += CHANNELS) {
            const float *from = x + c_block * x_pixels * LANES + c;
            Vector *to = collected + (t * LANES + c) * blocks;
            if (blocks == 3)
                tile_3(&seen[t], from, y, s->batch, x_step, y_step, y_pixels, to);
            else if (blocks == 2)
                tile_2(&seen[t], from, y, s->batch, x_step, y_step, y_pixels, to);
            else
                tile_1(&seen[t], from, y, s->batch, x_step, y_step, y_pixels, to);
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

void conv_weights_run(const ConvShape *s, const float *x, const float *dy, float *dw)
{
    Seen seen[TAPS_MAX];
    for (int64_t t = 0; t < s->kernel_h * s->kernel_w; t++)
        find_seen(s, t, &seen[t]);
    int64_t c_blocks = channel_blocks(s->channels), f_blocks = channel_blocks(s->filters);
    int64_t groups = (f_blocks + BLOCKS - 1) / BLOCKS;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t g = 0; g < groups; g++)
        for (int64_t c = 0; c < c_blocks; c++) {
            Vector collected[TAPS_MAX * LANES * BLOCKS];
            /* As even as can be: 4 blocks are 2 and 2. */
            int64_t first = g * f_blocks / groups, blocks = (g + 1) * f_blocks / groups - first;
            collect(s, seen, x, dy, c, first, (int)blocks, collected);
            write_rows(s, collected, c, first, (int)blocks, dw);
        }
}
