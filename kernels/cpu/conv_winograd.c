/* conv_winograd.c - see conv_winograd.h.
 *
 * A stride of 2 splits x into four phases, x_p(i) = x(2i + p - 1) along either axis, and the kernel alike, k = 2a + p:
 * y(o) = sum over p, a of w_p(a) x_p(o + a), a 2x2 convolution at stride 1 of four times the channels.  A stride of 1
 * has one phase, with three taps.  Tiles of 4 results are made from 5 or 6 points (Toom-Cook on polynomials: Winograd,
 * "Arithmetic Complexity of Computations", 1980; Lavin, Gray, "Fast Algorithms for Convolutional Neural Networks",
 * 2015): with the matrices below
 *   y = a^T ((g w) (b x)),  x's gradient b^T ((g w) (a y)),  w's gradient g^T ((b x) (a y)),
 * in two dimensions both ways, products point by point, sums over channels and phases, filters, or tiles: 25 or 36
 * matrix products.  Points 0, -1, 1/2, 2 and infinity; 0, 1, -1, 1/2, -2 and infinity: small numbers with little error
 * (Barabasz and others, "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020).
 *
 * What has tiles is kept as [point][12 tiles][16 columns], so that a product of 12 tiles by 32 columns has all its
 * addresses at fixed distances.  Forward and x's gradient go through the tiles in chunks whose transforms stay near the
 * cores, and read the packed weights once a chunk.
 *   bound   arithmetic with many tiles and channels; with few tiles (under some 64) the memory of the packed weights,
 *           with few channels (under some 128) the transforms */
#include "kernels/cpu/conv_winograd.h"

#include <omp.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

enum {
    TILE = 4, POINTS_MAX = 6, ALL_MAX = POINTS_MAX * POINTS_MAX, TAPS_MAX = 3, KERNEL_MAX = 16,
    ROWS = 12,                 /* tiles of a product */
    CHUNK_GROUPS = 12,         /* of ROWS tiles */
    SUM_GROUPS = 48,           /* the same for the gradient of weights, whose sums go over tiles */
    DEPTH = 16,                /* blocks of 16 terms, whose weights for 32 columns are 32 KiB */
};

/* Registers hold STEP tiles by WIDE vectors of sums. */
#if defined __AVX512F__
enum { STEP = 12, WIDE = 2, CHANNELS = 8 };
#elif defined __AVX__
enum { STEP = 6, WIDE = 1, CHANNELS = 4 };
#else
enum { STEP = 2, WIDE = 1, CHANNELS = 2 };
#endif

typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

/* One of the two convolutions; along either axis. */
typedef struct Form {
    int stride, taps, points;          /* taps of a phase */
    const float *a, *b, *g;            /* (points, TILE), (points, points), (points, taps) */
} Form;

static const Form stride_1 = {
    1, 3, 6,
    (const float[]){
        1, 0, 0, 0,
        1, 1, 1, 1,
        1, -1, 1, -1,
        1, 0.5f, 0.25f, 0.125f,
        1, -2, 4, -8,
        0, 0, 0, 1,
    },
    (const float[]){
        1, -1.5f, -2, 1.5f, 1, 0,
        0, -1, 0.5f, 2.5f, 1, 0,
        0, 1, -2.5f, 0.5f, 1, 0,
        0, -2, -1, 2, 1, 0,
        0, 0.5f, -1, -0.5f, 1, 0,
        0, 1, -1.5f, -2, 1.5f, 1,
    },
    (const float[]){
        1, 0, 0,
        1 / 3.0f, 1 / 3.0f, 1 / 3.0f,
        -1 / 3.0f, 1 / 3.0f, -1 / 3.0f,
        -16 / 15.0f, -8 / 15.0f, -4 / 15.0f,
        1 / 15.0f, -2 / 15.0f, 4 / 15.0f,
        0, 0, 1,
    },
};
static const Form stride_2 = {
    2, 2, 5,
    (const float[]){
        1, 0, 0, 0,
        1, -1, 1, -1,
        1, 0.5f, 0.25f, 0.125f,
        1, 2, 4, 8,
        0, 0, 0, 1,
    },
    (const float[]){
        1, -1.5f, -1.5f, 1, 0,
        0, 1, -2.5f, 1, 0,
        0, -2, -1, 1, 0,
        0, -0.5f, 0.5f, 1, 0,
        0, 1, -1.5f, -1.5f, 1,
    },
    (const float[]){
        1, 0,
        -2 / 9.0f, 2 / 9.0f,
        -8 / 9.0f, -4 / 9.0f,
        1 / 9.0f, 2 / 9.0f,
        0, 1,
    },
};

static const Form *form_of(const ConvShape *s)
{
    return s->stride == 1 ? &stride_1 : &stride_2;
}

/* A function written for any form, compiled for each. */
#define FOR_FORM(form, function, ...) \
    ((form) == &stride_1 ? function(&stride_1, __VA_ARGS__) : function(&stride_2, __VA_ARGS__))

#define INLINE static inline __attribute__((always_inline))

/* Stores past the caches, for more than they hold: a third of the time, since nothing is read to be overwritten. */
INLINE void stream(Vector *to, const Vector *from)
{
#ifdef __AVX512F__
    _mm512_stream_ps((float *)to, (__m512)*from);
#else
    *to = *from;
#endif
}

/* Before other threads read what was stored so. */
INLINE void stream_end(void)
{
#ifdef __AVX512F__
    _mm_sfence();
#endif
}

/* Element `to` of m (points, n) times a line of n numbers, or of its transpose times a line of points.  Unrolled, the
 * matrix is constants, and its zeros cost nothing. */
INLINE void line(const float *m, int points, int n, bool to_points, const Vector *from, int step, int to,
                 Vector *result)
{
    const int length = to_points ? n : points;
    Vector sum = {0};
#pragma GCC unroll 6
    for (int i = 0; i < length; i++) {
        float factor = to_points ? m[to * n + i] : m[i * n + to];
        if (factor != 0)
            sum += factor * from[i * step];
    }
    *result = sum;
}

/* n x n numbers to points x points, or back. */
INLINE void change(const float *m, int points, int n, bool to_points, const Vector *from, Vector *to)
{
    const int rows = to_points ? n : points, columns = to_points ? points : n;
    Vector half[ALL_MAX];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 6
        for (int c = 0; c < columns; c++)
            line(m, points, n, to_points, from + r * rows, 1, c, &half[r * columns + c]);
#pragma GCC unroll 6
    for (int r = 0; r < columns; r++)
#pragma GCC unroll 6
        for (int c = 0; c < columns; c++)
            line(m, points, n, to_points, half + c, columns, r, &to[r * columns + c]);
}

INLINE void put_points(const Form *f, const Vector *points, Vector *to, int64_t step)
{
    for (int p = 0; p < f->points * f->points; p++)
        to[p * step] = points[p];
}

INLINE void get_points(const Form *f, const Vector *from, int64_t step, Vector *points)
{
    for (int p = 0; p < f->points * f->points; p++)
        points[p] = from[p * step];
}

/* ---------------------------------------------------------------- sizes */
typedef struct Sizes {
    int64_t phases, points;            /* of both axes */
    int64_t down, across, tiles;       /* a picture, and all */
    int64_t c_blocks, f_blocks;        /* of 16 */
    int64_t k_blocks, n_blocks;        /* of the matrix products: terms and columns */
    int64_t groups;                    /* of ROWS tiles in a chunk */
} Sizes;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static Sizes sizes_of(const ConvShape *s, ConvDirection direction)
{
    const Form *f = form_of(s);
    Sizes z = {.phases = f->stride * f->stride, .points = f->points * f->points,
               .down = ceil_div(s->out_height, TILE), .across = ceil_div(s->out_width, TILE),
               .c_blocks = channel_blocks(s->channels), .f_blocks = channel_blocks(s->filters)};
    z.tiles = s->batch * z.down * z.across;
    z.k_blocks = direction == CONV_BACKWARD_DATA ? z.f_blocks : z.phases * z.c_blocks;
    z.n_blocks = (direction == CONV_BACKWARD_DATA ? z.phases * z.c_blocks : z.f_blocks) + 1;
    z.n_blocks -= z.n_blocks % 2;
    int64_t groups = ceil_div(z.tiles, ROWS);
    z.groups = ceil_div(groups, ceil_div(groups, direction == CONV_BACKWARD_WEIGHTS ? SUM_GROUPS : CHUNK_GROUPS));
    return z;
}

/* Vectors from one point to the next: an odd number, so that the points of a tile fall on different sets of a cache. */
static int64_t tiles_step(const Sizes *z, int64_t blocks)
{
    return z->groups * blocks * ROWS + 1;
}

static int64_t weights_step(const Sizes *z)
{
    return z->k_blocks * LANES * z->n_blocks + 1;
}

static int64_t tile_at(int64_t tile, int64_t blocks, int64_t block)
{
    return (tile / ROWS * blocks + block) * ROWS + tile % ROWS;
}

bool conv_winograd_takes(const ConvShape *s)
{
    return s->stride <= 2 && s->kernel_h == s->stride + 2 && s->kernel_w == s->kernel_h && s->dilation == 1 &&
           s->groups == 1 && s->padding_h == 1 && s->padding_w == 1;
}

size_t conv_winograd_packed_bytes(const ConvShape *s, ConvDirection direction)
{
    Sizes z = sizes_of(s, direction);
    return sizeof(Vector) * (size_t)(z.points * weights_step(&z));
}

size_t conv_winograd_workspace(const ConvShape *s, ConvDirection direction)
{
    Sizes z = sizes_of(s, direction);
    int64_t vectors = tiles_step(&z, z.k_blocks) + tiles_step(&z, z.n_blocks);
    if (direction == CONV_BACKWARD_WEIGHTS)
        vectors += weights_step(&z);
    return sizeof(Vector) * (size_t)(z.points * vectors);
}

/* The gradient of x at stride 1 is a convolution itself, of y with the flipped kernel: fewer results a tile and no sums
 * of them. */
static bool is_turned(const ConvShape *s, ConvDirection direction)
{
    return direction == CONV_BACKWARD_DATA && s->stride == 1;
}

static ConvShape turned(const ConvShape *s)
{
    ConvShape t = *s;
    t.channels = s->filters, t.height = s->out_height, t.width = s->out_width;
    t.filters = s->channels, t.out_height = s->height, t.out_width = s->width;
    return t;
}

/* ---------------------------------------------------------------- weights */
/* Tap t of a phase, in the kernel. */
INLINE int tap_of(const Form *f, int phase, int t)
{
    int kernel = f->stride * f->taps, row = t / f->taps, column = t % f->taps;
    return (f->stride * row + phase / f->stride) * kernel + f->stride * column + phase % f->stride;
}

/* All taps of 16 terms by 16 lanes, `row` and `lane` floats apart, from the last to the first if flipped; zeros
 * beyond. */
typedef struct Taps {
    float of[LANES][KERNEL_MAX][LANES] __attribute__((aligned(64)));
} Taps;

static void load_taps(const float *w, int kernel, bool flip, int64_t row, int64_t rows, int64_t lane, int64_t lanes,
                      Taps *taps)
{
    for (int64_t l = 0; l < LANES; l++)
        for (int64_t k = 0; k < LANES; k++)
            for (int t = 0; t < kernel; t++)
                taps->of[k][t][l] = l < lanes && k < rows ? w[l * lane + k * row + (flip ? kernel - 1 - t : t)] : 0;
}

/* 16 terms of a phase to every second vector of `to`. */
INLINE void pack_block(const Form *f, const Taps *taps, int phase, Vector *to, int64_t step)
{
    for (int i = 0; i < LANES; i++, to += 2) {
        const Vector *from = (const Vector *)(const void *)taps->of[i];
        Vector g[TAPS_MAX * TAPS_MAX], points[ALL_MAX];
        for (int t = 0; t < f->taps * f->taps; t++)
            g[t] = from[tap_of(f, phase, t)];
        change(f->g, f->points, f->taps, true, g, points);
        for (int p = 0; p < f->points * f->points; p++)
            stream(to + p * step, &points[p]);
    }
}

/* [point][32 columns][term][32], terms and columns being channels of phases and filters, or the other way round. */
void conv_winograd_pack(const ConvShape *s, ConvDirection direction, const float *w, void *packed, int threads)
{
    Sizes z = sizes_of(s, direction);
    bool forward = direction == CONV_FORWARD, flip = is_turned(s, direction);
    int64_t kernel = s->kernel_h * s->kernel_w, filter = s->channels * kernel, step = weights_step(&z);
    int64_t row = forward ? kernel : filter, rows = forward ? s->channels : s->filters;
    int64_t lane = forward ? filter : kernel, lanes = forward ? s->filters : s->channels;
    int64_t blocks = forward ? z.n_blocks : z.n_blocks / z.phases;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for collapse(2) nowait
        for (int64_t k = 0; k < (forward ? z.c_blocks : z.f_blocks); k++)
            for (int64_t n = 0; n < blocks; n++) {
                Taps taps;
                load_taps(w + n * LANES * lane + k * LANES * row, (int)kernel, flip, row, rows - k * LANES, lane,
                          lanes - n * LANES, &taps);
                for (int phase = 0; phase < z.phases; phase++) {
                    int64_t k_block = forward ? phase * z.c_blocks + k : k;
                    int64_t block = forward ? n : phase * z.c_blocks + n;
                    FOR_FORM(form_of(s), pack_block, &taps, phase, (Vector *)packed +
                             (block / 2 * z.k_blocks + k_block) * LANES * 2 + block % 2, step);
                }
            }
        stream_end();
    }
}

/* ---------------------------------------------------------------- pictures to points and back */
typedef struct Job {
    const ConvShape *s;
    const Form *form;
    Sizes z;
    int64_t first, count;              /* tiles of the chunk */
} Job;

/* Rows and columns of a tile of y, and of its window of a phase in x. */
typedef struct Place {
    int64_t picture, row, column;
} Place;

static Place place_of(const Job *j, int64_t tile)
{
    int64_t t = j->first + tile, area = j->z.down * j->z.across;
    return (Place){t / area, t % area / j->z.across * TILE, t % j->z.across * TILE};
}

/* n x n pixels, `by` apart, of a map that has zeros around it. */
INLINE void window(const Vector *map, int64_t height, int64_t width, int64_t row, int64_t column, int by, int n,
                   Vector *to)
{
    bool inside = row >= 0 && column >= 0 && row + (n - 1) * by < height && column + (n - 1) * by < width;
    for (int r = 0; r < n; r++)
        for (int c = 0; c < n; c++) {
            int64_t y = row + r * by, x = column + c * by;
            if (inside || (y >= 0 && y < height && x >= 0 && x < width))
                to[r * n + c] = map[y * width + x];
            else
                to[r * n + c] = (Vector){0};
        }
}

/* One block of channels of a group of tiles.  A phase after the other, so that few pages are written at a time. */
INLINE void x_to_points(const Form *f, const Job *j, const Vector *x, int64_t block, int64_t group, Vector *to)
{
    const ConvShape *s = j->s;
    int64_t blocks = j->z.k_blocks, step = tiles_step(&j->z, blocks);
    for (int phase = 0; phase < f->stride * f->stride; phase++)
        for (int64_t t = group * ROWS; t < (group + 1) * ROWS; t++) {
            Place at = place_of(j, t);
            Vector d[ALL_MAX] = {{0}}, points[ALL_MAX];
            if (t < j->count)
                window(x + (at.picture * j->z.c_blocks + block) * s->height * s->width, s->height, s->width,
                       f->stride * at.row + phase / f->stride - 1, f->stride * at.column + phase % f->stride - 1,
                       f->stride, f->points, d);
            change(f->b, f->points, f->points, true, d, points);
            put_points(f, points, to + tile_at(t, blocks, phase * j->z.c_blocks + block), step);
        }
}

INLINE void y_to_points(const Form *f, const Job *j, const Vector *y, int64_t blocks, int64_t block, int64_t group,
                        Vector *to)
{
    const ConvShape *s = j->s;
    int64_t step = tiles_step(&j->z, blocks);
    for (int64_t t = group * ROWS; t < (group + 1) * ROWS; t++) {
        Place at = place_of(j, t);
        Vector d[TILE * TILE] = {{0}}, points[ALL_MAX];
        if (t < j->count && block < j->z.f_blocks)
            window(y + (at.picture * j->z.f_blocks + block) * s->out_height * s->out_width, s->out_height,
                   s->out_width, at.row, at.column, 1, TILE, d);
        change(f->a, f->points, TILE, true, d, points);
        put_points(f, points, to + tile_at(t, blocks, block), step);
    }
}

INLINE void points_to_y(const Form *f, const Job *j, const Vector *from, int64_t block, int64_t group,
                        const float *bias, Vector *y)
{
    const ConvShape *s = j->s;
    int64_t step = tiles_step(&j->z, j->z.n_blocks);
    Vector add = {0};
    for (int64_t l = 0; bias && l < LANES && block * LANES + l < s->filters; l++)
        add[l] = bias[block * LANES + l];
    for (int64_t t = group * ROWS; t < (group + 1) * ROWS && t < j->count; t++) {
        Place at = place_of(j, t);
        Vector points[ALL_MAX], d[TILE * TILE];
        get_points(f, from + tile_at(t, j->z.n_blocks, block), step, points);
        change(f->a, f->points, TILE, false, points, d);
        Vector *map = y + (at.picture * j->z.f_blocks + block) * s->out_height * s->out_width;
        for (int64_t r = 0; r < TILE && at.row + r < s->out_height; r++)
            for (int64_t c = 0; c < TILE && at.column + c < s->out_width; c++)
                map[(at.row + r) * s->out_width + at.column + c] = d[r * TILE + c] + add;
    }
}

/* Windows of neighbours share rows and columns of x's phase, which get a sum of both: the tiles of a picture come one
 * after the other. */
static void points_to_x(const Job *j, const Vector *from, int64_t block, int phase, int64_t picture, Vector *x)
{
    const Form *f = &stride_2;
    const ConvShape *s = j->s;
    int64_t step = tiles_step(&j->z, j->z.n_blocks), area = j->z.down * j->z.across;
    int64_t t = picture * area - j->first, end = t + area;
    Vector *map = x + (picture * j->z.c_blocks + block) * s->height * s->width;
    for (t = t < 0 ? 0 : t; t < end && t < j->count; t++) {
        Place at = place_of(j, t);
        Vector points[ALL_MAX], d[ALL_MAX];
        get_points(f, from + tile_at(t, j->z.n_blocks, phase * j->z.c_blocks + block), step, points);
        change(f->b, f->points, f->points, false, points, d);
        for (int r = 0; r < f->points; r++)
            for (int c = 0; c < f->points; c++) {
                int64_t row = f->stride * (at.row + r) + phase / f->stride - 1;
                int64_t column = f->stride * (at.column + c) + phase % f->stride - 1;
                if (row < 0 || row >= s->height || column < 0 || column >= s->width)
                    continue;
                bool there = (at.row && r < f->taps - 1) || (at.column && c < f->taps - 1);
                Vector *to = map + row * s->width + column;
                *to = there ? *to + d[r * f->points + c] : d[r * f->points + c];
            }
    }
}

/* ---------------------------------------------------------------- products */
/* m (12 tiles, 32 columns) = or += v (12 tiles, blocks of 16 terms) w (terms, 32 columns). */
static void product(const float *v, const Vector *w, int64_t blocks, Vector *m, bool add, const Vector *ahead,
                    int64_t share)
{
    for (int row = 0; row < ROWS; row += STEP)
        for (int column = 0; column < 2; column += WIDE) {
            Vector sum[STEP][WIDE];
#pragma GCC unroll 12
            for (int r = 0; r < STEP; r++)
#pragma GCC unroll 2
                for (int c = 0; c < WIDE; c++)
                    sum[r][c] = add ? m[(column + c) * ROWS + row + r] : (Vector){0};
            const float *from = v + row * LANES;
            const Vector *with = w + column;
            for (int64_t b = 0; b < blocks; b++, from += (ROWS - 1) * LANES) {
                for (int64_t i = 0; i < share && !row && !column; i++)
                    __builtin_prefetch(ahead++, 0, 2);
                for (int k = 0; k < LANES; k++, from++, with += 2) {
#pragma GCC unroll 12
                    for (int r = 0; r < STEP; r++)
#pragma GCC unroll 2
                        for (int c = 0; c < WIDE; c++)
                            sum[r][c] += from[r * LANES] * with[c];
                }
            }
#pragma GCC unroll 12
            for (int r = 0; r < STEP; r++)
#pragma GCC unroll 2
                for (int c = 0; c < WIDE; c++)
                    m[(column + c) * ROWS + row + r] = sum[r][c];
        }
}

/* All tiles of the chunk, one point, 32 columns. */
static void product_of_point(const Job *j, const Vector *v, const Vector *w, Vector *m)
{
    int64_t k_blocks = j->z.k_blocks;
    int64_t groups = ceil_div(j->count, ROWS), share = ceil_div(2 * LANES, groups);
    for (int64_t k = 0; k < k_blocks; k += DEPTH) {
        int64_t blocks = k_blocks - k < DEPTH ? k_blocks - k : DEPTH;
        const Vector *now = w + k * LANES * 2, *ahead = now + blocks * LANES * 2;
        for (int64_t g = 0; g < groups; g++)
            product((const float *)(const void *)(v + (g * k_blocks + k) * ROWS), now, blocks,
                    m + g * j->z.n_blocks * ROWS, k > 0, ahead + g * blocks * share, share);
    }
}

/* dw (16 channels, 32 filters) = or += v^T y over all tiles of the chunk, one point. */
static void product_over_tiles(const Job *j, const Vector *v, const Vector *y, Vector *dw, bool add)
{
    for (int channel = 0; channel < LANES; channel += CHANNELS)
        for (int column = 0; column < 2; column += WIDE) {
            Vector sum[CHANNELS][WIDE];
#pragma GCC unroll 8
            for (int r = 0; r < CHANNELS; r++)
#pragma GCC unroll 2
                for (int c = 0; c < WIDE; c++)
                    sum[r][c] = add ? dw[(channel + r) * 2 + column + c] : (Vector){0};
            for (int64_t g = 0; g < ceil_div(j->count, ROWS); g++) {
                const float *from = (const float *)(const void *)(v + g * j->z.k_blocks * ROWS) + channel;
                const Vector *with = y + (g * j->z.n_blocks + column) * ROWS;
#pragma GCC unroll 4
                for (int t = 0; t < ROWS; t++, from += LANES, with++) {
#pragma GCC unroll 8
                    for (int r = 0; r < CHANNELS; r++)
#pragma GCC unroll 2
                        for (int c = 0; c < WIDE; c++)
                            sum[r][c] += from[r] * with[c * ROWS];
                }
            }
#pragma GCC unroll 8
            for (int r = 0; r < CHANNELS; r++)
#pragma GCC unroll 2
                for (int c = 0; c < WIDE; c++)
                    dw[(channel + r) * 2 + column + c] = sum[r][c];
        }
}

typedef struct Collected {
    Vector of[2][LANES][KERNEL_MAX];
} Collected;

INLINE void collect_phase(const Form *f, const Vector *from, int phase, int64_t step, Collected *collected)
{
    for (int i = 0; i < 2 * LANES; i++) {
        Vector points[ALL_MAX], g[TAPS_MAX * TAPS_MAX];
        get_points(f, from + i, step, points);
        change(f->g, f->points, f->taps, false, points, g);
        for (int t = 0; t < f->taps * f->taps; t++)
            collected->of[i % 2][i / 2][tap_of(f, phase, t)] = g[t];
    }
}

/* The gradient of 16 channels by 32 filters, from all points to rows of w. */
static void points_to_weights(const Job *j, const Vector *from, int64_t block, int64_t panel, float *dw)
{
    const ConvShape *s = j->s;
    int64_t kernel = s->kernel_h * s->kernel_w;
    Collected collected;
    for (int phase = 0; phase < j->z.phases; phase++)
        FOR_FORM(j->form, collect_phase, from + (panel * j->z.k_blocks + phase * j->z.c_blocks + block) * LANES * 2,
                 phase, weights_step(&j->z), &collected);
    for (int64_t f = panel * 2 * LANES; f < (panel + 1) * 2 * LANES && f < s->filters; f++)
        for (int64_t c = 0; c < LANES && block * LANES + c < s->channels; c++)
            for (int t = 0; t < kernel; t++)
                dw[(f * s->channels + block * LANES + c) * kernel + t] = collected.of[f / LANES % 2][c][t][f % LANES];
}

/* ---------------------------------------------------------------- runs */
static void run_weights(Job *job, const Vector *x, const Vector *y, float *dw, int threads, Vector *workspace)
{
    const Sizes *z = &job->z;
    int64_t v_step = tiles_step(z, z->k_blocks), y_step = tiles_step(z, z->n_blocks), w_step = weights_step(z);
    Vector *vs = workspace, *ys = vs + z->points * v_step, *ws = ys + z->points * y_step;
#pragma omp parallel num_threads(threads)
    {
        for (int64_t first = 0; first < z->tiles; first += z->groups * ROWS) {
            Job j = *job;
            j.first = first;
            j.count = z->tiles - first < z->groups * ROWS ? z->tiles - first : z->groups * ROWS;
            int64_t groups = ceil_div(j.count, ROWS);
#pragma omp for collapse(2) nowait
            for (int64_t g = 0; g < groups; g++)
                for (int64_t c = 0; c < z->c_blocks; c++)
                    FOR_FORM(j.form, x_to_points, &j, x, c, g, vs);
#pragma omp for collapse(2)
            for (int64_t g = 0; g < groups; g++)
                for (int64_t f = 0; f < z->n_blocks; f++)
                    FOR_FORM(j.form, y_to_points, &j, y, z->n_blocks, f, g, ys);
#pragma omp for collapse(2) schedule(static)
            for (int64_t p = 0; p < z->points; p++)
                for (int64_t k = 0; k < z->k_blocks; k++)
                    for (int64_t n = 0; n < z->n_blocks; n += 2)
                        product_over_tiles(&j, vs + p * v_step + k * ROWS, ys + p * y_step + n * ROWS,
                                           ws + p * w_step + (n / 2 * z->k_blocks + k) * LANES * 2, first > 0);
        }
#pragma omp for collapse(2)
        for (int64_t n = 0; n < z->n_blocks / 2; n++)
            for (int64_t c = 0; c < z->c_blocks; c++)
                points_to_weights(job, ws, c, n, dw);
    }
}

static void run_pictures(Job *job, bool forward, Vector *x, const Vector *w, const float *bias, Vector *y, int threads,
                         Vector *workspace)
{
    const Sizes *z = &job->z;
    int64_t v_step = tiles_step(z, z->k_blocks), m_step = tiles_step(z, z->n_blocks), w_step = weights_step(z);
    int64_t area = z->down * z->across, in_blocks = forward ? z->c_blocks : z->f_blocks;
    Vector *vs = workspace, *ms = vs + z->points * v_step;
#pragma omp parallel num_threads(threads)
    for (int64_t first = 0; first < z->tiles; first += z->groups * ROWS) {
        Job j = *job;
        j.first = first;
        j.count = z->tiles - first < z->groups * ROWS ? z->tiles - first : z->groups * ROWS;
        int64_t groups = ceil_div(j.count, ROWS), pictures = (first + j.count - 1) / area + 1;
#pragma omp for collapse(2)
        for (int64_t g = 0; g < groups; g++)
            for (int64_t k = 0; k < in_blocks; k++) {
                if (forward)
                    FOR_FORM(j.form, x_to_points, &j, x, k, g, vs);
                else
                    FOR_FORM(j.form, y_to_points, &j, y, z->k_blocks, k, g, vs);
            }
#pragma omp for collapse(2) schedule(static)
        for (int64_t p = 0; p < z->points; p++)
            for (int64_t n = 0; n < z->n_blocks; n += 2)
                product_of_point(&j, vs + p * v_step, w + p * w_step + n * z->k_blocks * LANES,
                                 ms + p * m_step + n * ROWS);
        if (forward) {
#pragma omp for collapse(2)
            for (int64_t g = 0; g < groups; g++)
                for (int64_t n = 0; n < z->f_blocks; n++)
                    FOR_FORM(j.form, points_to_y, &j, ms, n, g, bias, y);
        } else {
#pragma omp for collapse(3)
            for (int64_t b = first / area; b < pictures; b++)
                for (int64_t c = 0; c < z->c_blocks; c++)
                    for (int phase = 0; phase < z->phases; phase++)
                        points_to_x(&j, ms, c, phase, b, x);
        }
    }
}

void conv_winograd_run(const ConvShape *s, ConvDirection direction, float *x, void *w, const float *bias, float *y,
                       int threads, void *workspace)
{
    ConvShape other = turned(s);
    if (is_turned(s, direction)) {
        conv_winograd_run(&other, CONV_FORWARD, y, w, NULL, x, threads, workspace);
        return;
    }
    Job job = {s, form_of(s), sizes_of(s, direction), 0, 0};
    if (direction == CONV_BACKWARD_WEIGHTS)
        run_weights(&job, (Vector *)(void *)x, (Vector *)(void *)y, w, threads, workspace);
    else
        run_pictures(&job, direction == CONV_FORWARD, (Vector *)(void *)x, w, bias, (Vector *)(void *)y, threads,
                     workspace);
}
