/* matmul_thin.c - see matmul_thin.h.  Each of the three forms walks the large matrix once, along its rows, and keeps
 * sums of 8 by 3 vectors in registers.  What is read again and again is copied first: rows of large matrices often lie
 * at distances that are powers of 2, of which the caches can hold few together.  For the same reason the large matrix
 * is fetched ahead by hand, in small pieces of several rows.
 *   bound   memory: 4 bytes an element of the large matrix */
#include "kernels/cpu/matmul_thin.h"

#include <string.h>

#include "kernels/cpu/elementwise.h"

#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* In a register once loaded, instead of loaded again for each product: there is one load a cycle, as products. */
#ifdef __AVX512F__
#define KEEP(v) __asm__("" : "+v"(v))
#else
#define KEEP(v) ((void)(v))
#endif

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

/* The first n lanes of a vector, and zeros. */
static inline void load_part(Vec *to, const float *from, int64_t n)
{
    *to = (Vec){0};
    memcpy(to, from, sizeof(float) * (size_t)least(n, LANES));
}

/* ---------------------------------------------------------------- y = x w^T: dot products of rows */
enum { DOT_X = 8, DOT_W = 3, DOT_DEPTH = 1024 };

/* Rows that a tile takes, with rows of zeros where there are fewer. */
static int64_t rows_taken(int64_t m)
{
    return (m + DOT_X / 2 - 1) / (DOT_X / 2) * (DOT_X / 2);
}

/* to[p / LANES][i] = n columns of the rows of x. */
static void pack_rows(MatmulShape s, const float *x, int64_t n, Vec *to)
{
    int64_t rows = rows_taken(s.m);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t p = 0; p < n; p += LANES)
            load_part(&to[p / LANES * rows + i], i < s.m ? x + i * s.k + p : x, i < s.m ? n - p : 0);
}

/* y[i][j] (+)= x[i] . w[j] over n terms: nx rows of x, packed `rows` at a time, of which `present` are some, and nw of
 * w, k apart.  Meanwhile n / LANES pieces of each of the rows at `ahead`, `step` apart, are fetched. */
static inline __attribute__((always_inline)) void dots(MatmulShape s, const Vec *x, int64_t rows, const float *w,
                                                       int64_t n, int nx, int nw, float *y, int64_t present,
                                                       bool first, const float *ahead, int64_t step)
{
    Vec sum[DOT_X][DOT_W] = {{{0}}}, b[DOT_W] = {{0}};
    int64_t p = 0;
    for (; p + LANES <= n; p += LANES, x += rows, ahead += step) {
#pragma GCC unroll 3
        for (int j = 0; j < nw; j++) {
            __builtin_prefetch(ahead + j * s.k, 0, 2);
            b[j] = *(const Vec *)(w + j * s.k + p);
        }
#pragma GCC unroll 8
        for (int i = 0; i < nx; i++) {
            Vec a = x[i];
            KEEP(a);
#pragma GCC unroll 3
            for (int j = 0; j < nw; j++)
                sum[i][j] += a * b[j];
        }
    }
    if (p < n) {
        for (int j = 0; j < nw; j++)
            load_part(&b[j], w + j * s.k + p, n - p);
#pragma GCC unroll 8
        for (int i = 0; i < nx; i++)
#pragma GCC unroll 3
            for (int j = 0; j < nw; j++)
                sum[i][j] += x[i] * b[j];
    }
#pragma GCC unroll 8
    for (int i = 0; i < nx; i++)
#pragma GCC unroll 3
        for (int j = 0; j < nw; j++) {
            float sums = cpu_lane_sum(&sum[i][j]), *to = y + i * s.n + j;
            if (i < present)
                *to = first ? sums : *to + sums;
        }
}

static inline __attribute__((always_inline)) void all_dots(MatmulShape s, const Vec *x, const float *w, int64_t n,
                                                           int nw, float *y, bool first, const float *ahead)
{
    int64_t rows = rows_taken(s.m), passes = (rows + DOT_X - 1) / DOT_X;
    for (int64_t i = 0; i < rows; i += DOT_X) {
        const float *part = ahead + i / DOT_X * (n / passes);
        if (rows - i >= DOT_X)
            dots(s, x + i, rows, w, n, DOT_X, nw, y + i * s.n, s.m - i, first, part, LANES / passes);
        else
            dots(s, x + i, rows, w, n, DOT_X / 2, nw, y + i * s.n, s.m - i, first, part, LANES / passes);
    }
}

static void rows_by_rows(MatmulShape s, const float *x, const float *w, float *y)
{
    int64_t groups = (s.n + DOT_W - 1) / DOT_W;
#pragma omp parallel if (s.n * s.k > CPU_SERIAL)
    {
        _Alignas(64) float room[THIN_MOST * DOT_DEPTH];
        Vec *xs = (Vec *)room;
        for (int64_t p = 0; p < s.k; p += DOT_DEPTH) {
            int64_t n = least(DOT_DEPTH, s.k - p);
            pack_rows(s, x + p, n, xs);
#pragma omp for schedule(static) nowait
            for (int64_t g = 0; g < groups; g++) {
                int64_t j = g * DOT_W, nw = least(DOT_W, s.n - j);
                const float *ws = w + j * s.k + p, *ahead = s.n - j >= 2 * DOT_W ? ws + DOT_W * s.k : ws;
                if (nw == DOT_W)
                    all_dots(s, xs, ws, n, DOT_W, y + j, !p, ahead);
                else
                    for (int64_t q = 0; q < nw; q++)
                        all_dots(s, xs, ws + q * s.k, n, 1, y + j + q, !p, ahead);
            }
        }
    }
}

/* ---------------------------------------------------------------- y = x w: few rows of sums */
enum { STEP = 3 * LANES, COLUMNS = 4 * STEP, AHEAD = 2 * STEP, DEPTH = 8 };

/* sums[i] += x[i] w of DEPTH rows of w and `vectors` vectors of their columns. */
static inline __attribute__((always_inline)) void add_rows(MatmulShape s, const float *x, const float *w, int vectors,
                                                           float sums[][COLUMNS], const float *ahead)
{
    Vec b[DEPTH][STEP / LANES] = {{{0}}};
#pragma GCC unroll 8
    for (int q = 0; q < DEPTH; q++)
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++) {
            __builtin_prefetch(ahead + q * s.n + v * LANES, 0, 3);
            b[q][v] = *(const Vec *)(w + q * s.n + v * LANES);
        }
    for (int64_t i = 0; i < s.m; i++) {
        Vec sum[STEP / LANES];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            sum[v] = *(const Vec *)&sums[i][v * LANES];
#pragma GCC unroll 8
        for (int q = 0; q < DEPTH; q++)
#pragma GCC unroll 3
            for (int v = 0; v < vectors; v++)
                sum[v] += x[i * s.k + q] * b[q][v];
#pragma GCC unroll 3
        for (int v = 0; v < vectors; v++)
            *(Vec *)&sums[i][v * LANES] = sum[v];
    }
}

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
            for (int64_t v = 0; v < whole && depth == DEPTH;) {
                bool below = v + AHEAD >= whole && p + 2 * DEPTH <= s.k;
                const float *ahead = below ? rows + DEPTH * s.n + v + AHEAD - whole : rows + v + AHEAD;
                float (*to)[COLUMNS] = (float (*)[COLUMNS])(void *)&sums[0][v];
                if (whole - v >= STEP) {
                    add_rows(s, x + p, rows + v, STEP / LANES, to, ahead);
                    v += STEP;
                } else {
                    add_rows(s, x + p, rows + v, 1, to, ahead);
                    v += LANES;
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
enum { OUTER_ROWS = 8, OUTER_STRIPS = 16, OUTER_TILES = 10 };

/* Up to STEP floats of a row of y. */
static inline __attribute__((always_inline)) void put_row(float *y, const Vec *sum, int64_t columns, bool stream)
{
    if (columns < STEP) {
        memcpy(y, sum, sizeof(float) * (size_t)columns);
        return;
    }
#ifdef __AVX512F__
    if (stream) {
#pragma GCC unroll 3
        for (int v = 0; v < STEP / LANES; v++)
            _mm512_stream_ps(y + v * LANES, (__m512)sum[v]);
        return;
    }
#endif
    (void)stream;
#pragma GCC unroll 3
    for (int v = 0; v < STEP / LANES; v++)
        *(Vec *)(y + v * LANES) = sum[v];
}

/* rows by columns of y, at most OUTER_ROWS by STEP, from x (k,OUTER_ROWS) and w (k,STEP). */
static void outer(MatmulShape s, const float *x, const float *w, float *y, int64_t rows, int64_t columns, bool stream)
{
    Vec sum[OUTER_ROWS][STEP / LANES] = {{{0}}};
    for (int64_t p = 0; p < s.k; p++, x += OUTER_ROWS, w += STEP) {
        Vec b[STEP / LANES];
#pragma GCC unroll 3
        for (int v = 0; v < STEP / LANES; v++)
            b[v] = *(const Vec *)(w + v * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < OUTER_ROWS; i++)
#pragma GCC unroll 3
            for (int v = 0; v < STEP / LANES; v++)
                sum[i][v] += x[i] * b[v];
    }
#pragma GCC unroll 8
    for (int i = 0; i < OUTER_ROWS; i++)
        if (i < rows)
            put_row(y + i * s.n, sum[i], columns, stream);
}

/* to[tile][p] = columns of the k rows of w, `width` a tile, zeros behind the last. */
static void pack_columns(int64_t k, int64_t n, const float *w, int64_t columns, int64_t width, float *to)
{
    for (int64_t c = 0; c < columns; c += width)
        for (int64_t p = 0; p < k; p++, to += width) {
            int64_t there = least(width, columns - c);
            memcpy(to, w + p * n + c, sizeof(float) * (size_t)there);
            memset(to + there, 0, sizeof(float) * (size_t)(width - there));
        }
}

/* A result that is larger than the caches goes past them. */
static bool streams(MatmulShape s, const float *y)
{
    enum { LARGE = 4 << 20 };
    return s.m * s.n >= LARGE && s.n % LANES == 0 && (uintptr_t)y % sizeof(Vec) == 0;
}

static void sums_of_outer(MatmulShape s, const float *x, const float *w, float *y)
{
    enum { ROWS = OUTER_STRIPS * OUTER_ROWS, WIDTH = OUTER_TILES * STEP };
    bool stream = streams(s, y);
#pragma omp parallel if (s.n * s.m > CPU_SERIAL)
    {
        _Alignas(64) float ws[THIN_MOST * WIDTH], xs[THIN_MOST * OUTER_ROWS];
#pragma omp for collapse(2) schedule(static)
        for (int64_t c = 0; c < s.n; c += WIDTH)
            for (int64_t r = 0; r < s.m; r += ROWS) {
                int64_t columns = least(WIDTH, s.n - c), end = least(r + ROWS, s.m);
                pack_columns(s.k, s.n, w + c, columns, STEP, ws);
                for (int64_t i = r; i < end; i += OUTER_ROWS) {
                    int64_t rows = least(OUTER_ROWS, end - i);
                    pack_columns(s.k, s.m, x + i, rows, OUTER_ROWS, xs);
                    for (int64_t t = 0; t < columns; t += STEP)
                        outer(s, xs, ws + t * s.k, y + i * s.n + c + t, rows, least(STEP, columns - t), stream);
                }
            }
#ifdef __AVX512F__
        _mm_sfence();
#endif
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
