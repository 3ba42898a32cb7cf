/* warp.c - the definition.  The products are fused in this order on every backend, so that in "nearest" all of them
 * choose the same pixel. */
#include "engine/ops/warp.h"

#include <tgmath.h>

#include "kernels/reference/reference.h"

/* x[row][column], or fill outside; row and column are whole numbers. */
static double pixel(const real *x, int H, int W, real row, real column, double fill)
{
    if (!(row >= 0 && row < H && column >= 0 && column < W))
        return fill;
    return (double)x[(int64_t)row * W + (int64_t)column];
}

static void warp(KernelCall *k)
{
    const WarpAttrs *a = k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    int64_t B = d[0], C = d[1];
    int H = (int)d[2], W = (int)d[3];
    bool nearest = !strcmp(a->mode, "nearest");
    const real *x = REAL(k->in[0]), *m = REAL(k->in[1]);
    real *y = REAL(k->out[0]);
    for (int64_t b = 0; b < B; b++, m += 6)
        for (int64_t c = 0; c < C; c++, x += (int64_t)H * W)
            for (int oy = 0; oy < a->height; oy++)
                for (int ox = 0; ox < a->width; ox++, y++) {
                    real sx = fma(m[0], (real)ox, fma(m[1], (real)oy, m[2]));
                    real sy = fma(m[3], (real)ox, fma(m[4], (real)oy, m[5]));
                    if (nearest) {
                        *y = (real)pixel(x, H, W, floor(sy + (real)0.5), floor(sx + (real)0.5), a->fill);
                        continue;
                    }
                    if (!(sx > -1 && sx < W && sy > -1 && sy < H)) {
                        *y = a->fill;
                        continue;
                    }
                    real row = floor(sy), column = floor(sx);
                    double ty = sy - row, tx = sx - column;
                    *y = (real)((1 - ty) * (1 - tx) * pixel(x, H, W, row, column, a->fill) +
                                (1 - ty) * tx * pixel(x, H, W, row, column + 1, a->fill) +
                                ty * (1 - tx) * pixel(x, H, W, row + 1, column, a->fill) +
                                ty * tx * pixel(x, H, W, row + 1, column + 1, a->fill));
                }
}

KERNEL(warp, reference) = {.run = warp};
