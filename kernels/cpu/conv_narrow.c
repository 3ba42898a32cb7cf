/* conv_narrow.c - see conv_narrow.h.
 *
 * Lanes are filters, which are summed across at the end: with three channels there are too few results a pixel for
 * lanes of results.  A tile is PIXELS pixels of one row that see the same taps (a stride apart) by the channels; one
 * vector of dy serves all channels, one of the weights all pixels.
 *   bound   arithmetic: PIXELS + C loads for PIXELS C multiplications of vectors */
#include "kernels/cpu/conv_narrow.h"

#include "kernels/cpu/elementwise.h"

enum { PIXELS = 6, CHANNELS = 4 };

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

bool conv_narrow_takes(const ConvShape *s)
{
    return s->groups == 1 && s->channels <= CHANNELS;
}

size_t conv_narrow_workspace(const ConvShape *s)
{
    return sizeof(Vector) * (size_t)(channel_blocks(s->filters) * s->kernel_h * s->kernel_w * s->channels);
}

/* w as vectors of filters [block][tap][channel], zeros beyond F. */
static void pack(const ConvShape *s, const float *w, float *to)
{
    int64_t taps = s->kernel_h * s->kernel_w;
    for (int64_t b = 0; b < channel_blocks(s->filters); b++)
        for (int64_t t = 0; t < taps; t++)
            for (int64_t c = 0; c < s->channels; c++)
                for (int64_t l = 0; l < LANES; l++, to++)
                    *to = b * LANES + l < s->filters ? w[((b * LANES + l) * s->channels + c) * taps + t] : 0;
}

/* Where a tap of one axis looks from pixel i: o = (i + padding - dilation k) / stride, if that is whole. */
static bool looks_at(int64_t i, int64_t padding, int64_t k, const ConvShape *s, int64_t *o)
{
    int64_t at = i + padding - k * s->dilation;
    *o = at / s->stride;
    return at >= 0 ? at % s->stride == 0 : (*o = -((-at) / s->stride), at % s->stride == 0);
}

typedef struct Row {
    const ConvShape *s;
    const Vector *dy, *w;      /* of the picture; packed */
    const float *bias;
    float *dx;                 /* the picture's first channel, this row */
    int64_t iy;
} Row;

/* Pixels ix, ix + stride, ..., n of them; all taps that some of them sees. */
static inline __attribute__((always_inline)) void tile(const Row *r, int64_t ix, int n, int channels, bool inside)
{
    const ConvShape *s = r->s;
    int64_t blocks = channel_blocks(s->filters), taps = s->kernel_h * s->kernel_w, oy, ox;
    Vector sum[PIXELS][CHANNELS] = {{{0}}};
    for (int64_t ky = 0; ky < s->kernel_h; ky++) {
        if (!looks_at(r->iy, s->padding_h, ky, s, &oy) || oy < 0 || oy >= s->out_height)
            continue;
        for (int64_t kx = 0; kx < s->kernel_w; kx++) {
            if (!looks_at(ix, s->padding_w, kx, s, &ox) || ox + n <= 0 || ox >= s->out_width)
                continue;
            const Vector *from = r->dy + oy * s->out_width + ox;
            const Vector *w = r->w + (ky * s->kernel_w + kx) * channels;
            for (int64_t b = 0; b < blocks; b++, from += s->out_height * s->out_width, w += taps * channels) {
#pragma GCC unroll 6
                for (int p = 0; p < n; p++) {
                    if (!inside && (ox + p < 0 || ox + p >= s->out_width))
                        continue;
                    Vector v = from[p];
#pragma GCC unroll 4
                    for (int c = 0; c < channels; c++)
                        sum[p][c] += v * w[c];
                }
            }
        }
    }
    for (int c = 0; c < channels; c++)
        for (int p = 0; p < n; p++)
            r->dx[c * s->height * s->width + ix + p * s->stride] = cpu_lane_sum(&sum[p][c]) + (r->bias ? r->bias[c] : 0);
}

/* Whether all pixels of a tile see dy under every tap. */
static bool is_inside(const ConvShape *s, int64_t ix)
{
    int64_t first = ix + s->padding_w - (s->kernel_w - 1) * s->dilation;
    int64_t last = ix + (PIXELS - 1) * s->stride + s->padding_w;
    return first >= 0 && last < s->out_width * s->stride;
}

static void row(const Row *r)
{
    const ConvShape *s = r->s;
    for (int64_t phase = 0; phase < s->stride; phase++)
        for (int64_t ix = phase; ix < s->width; ix += PIXELS * s->stride) {
            int64_t left = (s->width - ix + s->stride - 1) / s->stride;
            bool inside = left >= PIXELS && is_inside(s, ix);
            if (inside && s->channels == 3)
                tile(r, ix, PIXELS, 3, true);
            else if (inside && s->channels == 1)
                tile(r, ix, PIXELS, 1, true);
            else
                tile(r, ix, (int)(left < PIXELS ? left : PIXELS), (int)s->channels, false);
        }
}

void conv_narrow_run(const ConvShape *s, const float *dy, const float *w, const float *bias, float *dx,
                     void *workspace)
{
    pack(s, w, workspace);
    const Vector *all = (const Vector *)(const void *)dy;
    int64_t picture = channel_blocks(s->filters) * s->out_height * s->out_width;
#pragma omp parallel for
    for (int64_t i = 0; i < s->batch * s->height; i++) {
        int64_t b = i / s->height, iy = i % s->height;
        row(&(Row){s, all + b * picture, workspace, bias, dx + (b * s->channels * s->height + iy) * s->width, iy});
    }
}
