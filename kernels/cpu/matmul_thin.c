/* matmul_thin.c - see matmul_thin.h.  Nothing is packed: each of the three forms walks the large matrix along its
 * rows, a few at a time, and keeps the small one in the caches.
 *   bound   memory: 4 bytes an element of the large matrix */
#include "kernels/cpu/matmul_thin.h"

#include <string.h>

#include "kernels/cpu/elementwise.h"

typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool matmul_thin_takes(const MatmulAttrs *a, MatmulShape s)
{
    if (a->transpose_x)
        return !a->transpose_w && s.k <= THIN_MOST && s.n >= 256;
    return s.m <= THIN_MOST && (a->transpose_w ? s.k >= 256 : s.n >= 256);
}

/* ---------------------------------------------------------------- y = x w^T: dot products of rows */
enum { DOT_X = 4, DOT_W = 4, DOT_DEPTH = 2048 };

/* y[i][j] (+)= x[i] . w[j] over n terms; rows of x and w lie k apart, those of y y_step. */
static inline __attribute__((always_inline)) void dots(const float *x, const float *w, int64_t k, int64_t n, int nx,
                                                       int nw, float *y, int64_t y_step, bool first)
{
    Vec sum[DOT_X][DOT_W] = {{{0}}};
    int64_t p = 0;
    for (; p + LANES <= n; p += LANES) {
        Vec a[DOT_X] = {{0}};
#pragma GCC unroll 4
        for (int i = 0; i < nx; i++)
            a[i] = *(const Vec *)(x + i * k + p);
#pragma GCC unroll 4
        for (int j = 0; j < nw; j++) {
            Vec b = *(const Vec *)(w + j * k + p);
#pragma GCC unroll 4
            for (int i = 0; i < nx; i++)
                sum[i][j] += a[i] * b;
        }
    }
    for (int i = 0; i < nx; i++)
        for (int j = 0; j < nw; j++) {
            float s = cpu_lane_sum(&sum[i][j]);
            for (int64_t q = p; q < n; q++)
                s += x[i * k + q] * w[j * k + q];
            y[i * y_step + j] = first ? s : y[i * y_step + j] + s;
        }
}

static void rows_by_rows(MatmulShape s, const float *x, const float *w, float *y)
{
    int64_t groups = (s.n + DOT_W - 1) / DOT_W;
#pragma omp parallel for if (s.n * s.k > CPU_SERIAL)
    for (int64_t g = 0; g < groups; g++) {
        int64_t j = g * DOT_W;
        int nw = (int)least(DOT_W, s.n - j);
        for (int64_t p = 0; p < s.k; p += DOT_DEPTH)
            for (int64_t i = 0; i < s.m; i += DOT_X) {
                int nx = (int)least(DOT_X, s.m - i);
                const float *xs = x + i * s.k + p, *ws = w + j * s.k + p;
                float *to = y + i * s.n + j;
                if (nx == DOT_X && nw == DOT_W)
                    dots(xs, ws, s.k, least(DOT_DEPTH, s.k - p), DOT_X, DOT_W, to, s.n, !p);
                else
                    dots(xs, ws, s.k, least(DOT_DEPTH, s.k - p), nx, nw, to, s.n, !p);
            }
    }
}

/* ---------------------------------------------------------------- y = x w: few rows of sums */
enum { COLUMNS = 256, DEPTH = 8 };

static void rows_of_sums(MatmulShape s, const float *x, const float *w, float *y)
{
    int64_t chunks = (s.n + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for if (s.n * s.k > CPU_SERIAL)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t first = c * COLUMNS, columns = least(COLUMNS, s.n - first), whole = columns / LANES * LANES;
        float sums[THIN_MOST][COLUMNS];
        memset(sums, 0, sizeof sums[0] * (size_t)s.m);
        for (int64_t p = 0; p < s.k; p += DEPTH) {
            int64_t depth = least(DEPTH, s.k - p);
            const float *rows = w + p * s.n + first;
            for (int64_t v = 0; v < whole && depth == DEPTH; v += LANES) {
                Vec b[DEPTH];
#pragma GCC unroll 8
                for (int q = 0; q < DEPTH; q++)
                    b[q] = *(const Vec *)(rows + q * s.n + v);
                for (int64_t i = 0; i < s.m; i++) {
                    const float *a = x + i * s.k + p;
                    Vec sum = *(const Vec *)&sums[i][v];
#pragma GCC unroll 8
                    for (int q = 0; q < DEPTH; q++)
                        sum += a[q] * b[q];
                    *(Vec *)&sums[i][v] = sum;
                }
            }
            for (int64_t i = 0; i < s.m; i++)
                for (int64_t q = 0; q < depth; q++)
                    for (int64_t v = depth == DEPTH ? whole : 0; v < columns; v++)
                        sums[i][v] += x[i * s.k + p + q] * rows[q * s.n + v];
        }
        for (int64_t i = 0; i < s.m; i++)
            memcpy(y + i * s.n + first, sums[i], sizeof(float) * (size_t)columns);
    }
}

/* ---------------------------------------------------------------- y = x^T w: sums of few outer products */
enum { OUTER_ROWS = 8, OUTER_VECTORS = 3, OUTER_COLUMNS = 3072 };

/* rows of y from one strip of OUTER_ROWS columns of x. */
static inline __attribute__((always_inline)) void outer(MatmulShape s, const float *x, const float *w, float *y,
                                                        int rows, int vectors)
{
    Vec sum[OUTER_ROWS][OUTER_VECTORS] = {{{0}}};
    for (int64_t p = 0; p < s.k; p++, x += s.m, w += s.n) {
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) {
            Vec b = *(const Vec *)(w + v * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < rows; i++)
                sum[i][v] += x[i] * b;
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            *(Vec *)(y + i * s.n + v * LANES) = sum[i][v];
}

static void outer_tail(MatmulShape s, const float *x, const float *w, float *y, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++) {
        memset(y + i * s.n, 0, sizeof(float) * (size_t)columns);
        for (int64_t p = 0; p < s.k; p++)
            for (int64_t v = 0; v < columns; v++)
                y[i * s.n + v] += x[p * s.m + i] * w[p * s.n + v];
    }
}

static void sums_of_outer(MatmulShape s, const float *x, const float *w, float *y)
{
    int64_t strips = (s.m + OUTER_ROWS - 1) / OUTER_ROWS, blocks = (s.n + OUTER_COLUMNS - 1) / OUTER_COLUMNS;
    enum { STEP = OUTER_VECTORS * LANES };
#pragma omp parallel for collapse(2) schedule(static) if (s.n * s.m > CPU_SERIAL)
    for (int64_t c = 0; c < blocks; c++)
        for (int64_t r = 0; r < strips; r++) {
            int64_t i = r * OUTER_ROWS, at = c * OUTER_COLUMNS, end = at + least(OUTER_COLUMNS, s.n - at);
            int rows = (int)least(OUTER_ROWS, s.m - i);
            for (; at + STEP <= end && rows == OUTER_ROWS; at += STEP)
                outer(s, x + i, w + at, y + i * s.n + at, OUTER_ROWS, OUTER_VECTORS);
            for (; at + LANES <= end; at += LANES)
                outer(s, x + i, w + at, y + i * s.n + at, rows, 1);
            if (at < end)
                outer_tail(s, x + i, w + at, y + i * s.n + at, rows, end - at);
        }
}

void matmul_thin_run(const MatmulAttrs *a, MatmulShape s, const float *x, const float *w, const float *b, float *y)
{
    if (a->transpose_x)
        sums_of_outer(s, x, w, y);
    else if (a->transpose_w)
        rows_by_rows(s, x, w, y);
    else
        rows_of_sums(s, x, w, y);
    for (int64_t i = 0; b && i < s.m; i++)
        for (int64_t j = 0; j < s.n; j++)
            y[i * s.n + j] += b[j];
}
