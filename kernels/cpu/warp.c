/* warp.c - the four pixels and weights of a stretch of a result row are found once and serve all channels. */
#include "engine/ops/warp.h"

#include "kernels/cpu/cpu.h"

enum { STRETCH = 128 };
typedef struct Taps {
    int32_t at[4][STRETCH];      /* offsets into a plane; 0 where the pixel is outside, with weight 0 */
    float weight[4][STRETCH];
    float outside[STRETCH];      /* weight of the pixels outside, times fill */
} Taps;

/* Pixel (row, column) with weight w as tap t of result i. */
static void taps_set(Taps *taps, int t, int i, float row, float column, float w, int H, int W, float fill)
{
    bool inside = row >= 0 && row < (float)H && column >= 0 && column < (float)W;
    taps->at[t][i] = inside ? (int32_t)row * W + (int32_t)column : 0;
    taps->weight[t][i] = inside ? w : 0;
    taps->outside[i] += inside ? 0 : w * fill;
}

/* Taps of result pixels (oy, first) .. (oy, first + n - 1). */
static void taps_find(Taps *taps, const float *m, const WarpAttrs *a, bool nearest, int oy, int first, int n, int H,
                      int W)
{
    float kx = fmaf(m[1], (float)oy, m[2]), ky = fmaf(m[4], (float)oy, m[5]);
    for (int i = 0; i < n; i++) {
        float sx = fmaf(m[0], (float)(first + i), kx), sy = fmaf(m[3], (float)(first + i), ky);
        taps->outside[i] = 0;
        if (nearest) {
            taps_set(taps, 0, i, floorf(sy + 0.5f), floorf(sx + 0.5f), 1, H, W, a->fill);
            continue;
        }
        if (!(sx > -1 && sx < (float)W && sy > -1 && sy < (float)H)) {
            for (int t = 0; t < 4; t++)
                taps_set(taps, t, i, -1, -1, t == 0, H, W, a->fill);
            continue;
        }
        float row = floorf(sy), column = floorf(sx), ty = sy - row, tx = sx - column;
        taps_set(taps, 0, i, row, column, (1 - ty) * (1 - tx), H, W, a->fill);
        taps_set(taps, 1, i, row, column + 1, (1 - ty) * tx, H, W, a->fill);
        taps_set(taps, 2, i, row + 1, column, ty * (1 - tx), H, W, a->fill);
        taps_set(taps, 3, i, row + 1, column + 1, ty * tx, H, W, a->fill);
    }
}

static void warp(KernelCall *k)
{
    const WarpAttrs *a = k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    int64_t B = d[0], C = d[1], plane = d[2] * d[3], out_plane = (int64_t)a->height * a->width;
    int H = (int)d[2], W = (int)d[3];
    bool nearest = !strcmp(a->mode, "nearest");
#pragma omp parallel for collapse(2) if (B * C * out_plane > CPU_SERIAL)
    for (int64_t b = 0; b < B; b++)
        for (int oy = 0; oy < a->height; oy++)
            for (int first = 0; first < a->width; first += STRETCH) {
                int n = a->width - first < STRETCH ? a->width - first : STRETCH;
                Taps t;
                taps_find(&t, FLOATS(k->in[1]) + 6 * b, a, nearest, oy, first, n, H, W);
                const float *x = FLOATS(k->in[0]) + b * C * plane;
                float *y = FLOATS(k->out[0]) + b * C * out_plane + (int64_t)oy * a->width + first;
                for (int64_t c = 0; c < C; c++, x += plane, y += out_plane) {
                    if (nearest) {
                        for (int i = 0; i < n; i++)
                            y[i] = t.weight[0][i] * x[t.at[0][i]] + t.outside[i];
                    } else {
                        for (int i = 0; i < n; i++)
                            y[i] = t.weight[0][i] * x[t.at[0][i]] + t.weight[1][i] * x[t.at[1][i]] +
                                   t.weight[2][i] * x[t.at[2][i]] + t.weight[3][i] * x[t.at[3][i]] + t.outside[i];
                    }
                }
            }
}

KERNEL(warp, cpu) = {.run = warp};
