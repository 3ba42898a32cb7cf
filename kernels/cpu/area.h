/* area.h - sums over blocks of pixels: resizing by areas, its use in losses, and the gradient of nearest resizing. */
#ifndef KERNELS_CPU_AREA_H
#define KERNELS_CPU_AREA_H

#include <stdint.h>
#include <string.h>

/* y = scale times the sums of the blocks of fy x fx pixels under one result row; rows first, so that long sums
 * are sums of short ones.  x: the first of the fy rows, `stride` apart; n: pixels of y; fx up to AREA_TILE. */
enum { AREA_TILE = 512 };
static inline void area_row(const float *restrict x, float *restrict y, int n, int fy, int fx, int64_t stride,
                            float scale)
{
    float sum[AREA_TILE];
    int pixels = AREA_TILE / fx;
    for (int o = 0; o < n; o += pixels) {
        int m = n - o < pixels ? n - o : pixels, w = m * fx;
        const float *p = x + (int64_t)o * fx;
        memcpy(sum, p, (size_t)w * sizeof *sum);
        for (int r = 1; r < fy; r++)
#pragma omp simd
            for (int i = 0; i < w; i++)
                sum[i] += p[r * stride + i];
        if (fx == 2) {
#pragma omp simd
            for (int i = 0; i < m; i++)
                y[o + i] = scale * (sum[2 * i] + sum[2 * i + 1]);
        } else {
            for (int i = 0; i < m; i++) {
                float s = 0;
                for (int c = 0; c < fx; c++)
                    s += sum[i * fx + c];
                y[o + i] = scale * s;
            }
        }
    }
}

#endif
