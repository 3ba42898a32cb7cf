/* conv_gemm.c - see conv_gemm.h.  Per group, with taps = (KH, KW) and pixels over the whole batch:
 *   forward           y (F/g, pixels of y)    = w (F/g, C/g taps)        x gathered (C/g taps, pixels of y)
 *   backward data     x (C/g, pixels of x)    = w^T (C/g, F/g taps)      y gathered (F/g taps, pixels of x)
 *   backward weights  w (F/g, C/g taps)       = y (F/g, pixels of y)     x gathered^T (pixels of y, C/g taps)
 * Backward data multiplies zeros where a stride skips pixels. */
#include "kernels/cpu/conv_gemm.h"

#include <string.h>

#include "kernels/cpu/gemm.h"

/* Planes of a rank-4 tensor in either format: element (b, c, p) lies at view_plane(...)[p * step]. */
typedef struct View {
    float *data;
    int64_t channels, pixels, step;
} View;

static View view_of(float *data, Format format, int64_t channels, int64_t pixels)
{
    return (View){data, channels, pixels, format == C16 ? 16 : 1};
}

static inline float *view_plane(const View *v, int64_t b, int64_t c)
{
    if (v->step == 1)
        return v->data + (b * v->channels + c) * v->pixels;
    return v->data + (b * ((v->channels + 15) / 16) + c / 16) * v->pixels * 16 + c % 16;
}

typedef struct Job {
    const ConvGemm *c;
    ConvShape s;
    View x, y;
    int64_t group, group_c, group_f, taps;
} Job;

static int64_t ceil_div(int64_t a, int64_t b)   /* b > 0; a of any sign */
{
    return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

/* ---------------------------------------------------------------- gathering */
/* Where a pixel `o` of the result looks under a tap: (o mul + add) / div, if that is whole and inside [0, size). */
typedef struct Axis {
    int64_t mul, div, size;
} Axis;

/* Steps of o from `first` in which the looked-at pixel exists: o = begin, begin + every, ... < end, seen at
 * at, at + advance, ... */
typedef struct Run {
    int64_t begin, end, every, at, advance;
} Run;

static Run run_of(Axis a, int64_t add, int64_t first, int64_t last)
{
    Run r = {.every = a.div, .advance = a.mul};   /* one of mul and div is 1 */
    if (a.mul == 1 && a.div == 1) {
        r.begin = first > -add ? first : -add;
        r.end = last < a.size - add ? last : a.size - add;
        r.at = r.begin + add;
        return r;
    }
    /* 0 <= o mul + add <= (size - 1) div */
    int64_t low = ceil_div(-add, a.mul), high = ((a.size - 1) * a.div - add) < 0
                ? -1 : ((a.size - 1) * a.div - add) / a.mul;
    r.begin = first > low ? first : low;
    r.end = last < high + 1 ? last : high + 1;
    if (a.div > 1 && r.begin < r.end) {
        int64_t miss = (r.begin + add) % a.div;   /* not negative: begin >= low */
        r.begin += miss ? a.div - miss : 0;
    }
    r.at = (r.begin * a.mul + add) / a.div;
    return r;
}

/* The gather of one direction: which planes are read, how pixels of the result map, how taps shift. */
typedef struct Gather {
    const View *from;
    int64_t from_width, first_plane, out_pixels, out_width, kernel_w, taps;
    Axis row, column;
    int64_t row_shift, column_shift, tap_shift;   /* add = shift + tap tap_shift */
} Gather;

static Gather gather_of(const Job *j)
{
    const ConvShape *s = &j->s;
    if (j->c->direction == CONV_BACKWARD_DATA)
        return (Gather){
            .from = &j->y, .from_width = s->out_width, .first_plane = j->group * j->group_f,
            .out_pixels = s->height * s->width, .out_width = s->width, .kernel_w = s->kernel_w, .taps = j->taps,
            .row = {1, s->stride, s->out_height}, .column = {1, s->stride, s->out_width},
            .row_shift = s->padding_h, .column_shift = s->padding_w, .tap_shift = -s->dilation,
        };
    return (Gather){
        .from = &j->x, .from_width = s->width, .first_plane = j->group * j->group_c,
        .out_pixels = s->out_height * s->out_width, .out_width = s->out_width, .kernel_w = s->kernel_w,
        .taps = j->taps, .row = {s->stride, 1, s->height}, .column = {s->stride, 1, s->width},
        .row_shift = -s->padding_h, .column_shift = -s->padding_w, .tap_shift = s->dilation,
    };
}

/* Element (plane, tap) of the gathered matrix for `count` result pixels from number `pixel` on, batch included, to
 * to[0], to[stride], ...: zeros are written too. */
static void gather(const Gather *g, int64_t plane_tap, int64_t pixel, int64_t count, float *to, int64_t stride)
{
    int64_t tap = plane_tap % g->taps, plane = g->first_plane + plane_tap / g->taps;
    int64_t row_add = g->row_shift + tap / g->kernel_w * g->tap_shift;
    int64_t column_add = g->column_shift + tap % g->kernel_w * g->tap_shift;
    while (count > 0) {
        int64_t b = pixel / g->out_pixels, o = pixel % g->out_pixels, oy = o / g->out_width, ox = o % g->out_width;
        int64_t n = g->out_width - ox < count ? g->out_width - ox : count;
        Run rows = run_of(g->row, row_add, oy, oy + 1), columns = {0};
        if (rows.begin < rows.end)
            columns = run_of(g->column, column_add, ox, ox + n);
        int64_t i = ox;
        if (columns.begin < columns.end) {
            const View *v = g->from;
            const float *line = view_plane(v, b, plane) + rows.at * g->from_width * v->step;
            const float *seen = line + columns.at * v->step;
            int64_t advance = columns.advance * v->step;
            if (columns.every == 1) {
                for (; i < columns.begin; i++)
                    to[(i - ox) * stride] = 0;
                if (advance == 1 && stride == 1)
                    memcpy(to + (i - ox), seen, sizeof(float) * (size_t)(columns.end - i));
                else
                    for (int64_t k = i; k < columns.end; k++, seen += advance)
                        to[(k - ox) * stride] = *seen;
                i = columns.end;
            } else {
                for (int64_t k = i; k < ox + n; k++)
                    to[(k - ox) * stride] = 0;
                for (int64_t k = columns.begin; k < columns.end; k += columns.every, seen += advance)
                    to[(k - ox) * stride] = *seen;
                i = ox + n;
            }
        }
        for (; i < ox + n; i++)
            to[(i - ox) * stride] = 0;
        to += n * stride;
        pixel += n;
        count -= n;
    }
}

/* ---------------------------------------------------------------- forward and backward data */
/* Row r of w is contiguous over k for the forward product; backward data walks the taps of one filter at a time. */
static void pack_weights(const void *context, int64_t row, int rows, int64_t k0, int64_t kc, float *to)
{
    const Job *j = context;
    const float *w = j->c->w + j->group * j->group_f * j->group_c * j->taps;
    bool forward = j->c->direction == CONV_FORWARD;
    for (int r = 0; r < rows; r++)
        for (int64_t p = 0; p < kc;) {
            int64_t f = forward ? row + r : (k0 + p) / j->taps, skip = forward ? 0 : (k0 + p) % j->taps;
            int64_t n = forward || j->taps - skip > kc - p ? kc - p : j->taps - skip;
            const float *from = forward ? w + f * j->group_c * j->taps + k0
                                        : w + (f * j->group_c + row + r) * j->taps + skip;
            for (int64_t i = 0; i < n; i++)
                to[(p + i) * GEMM_MR + r] = from[i];
            p += n;
        }
}

static void pack_pixels(const void *context, int64_t column, int columns, int64_t k0, int64_t kc, float *to)
{
    Gather g = gather_of(context);
    for (int64_t p = 0; p < kc; p++)
        gather(&g, k0 + p, column, columns, to + p * GEMM_NR, 1);
}

static void store_pixels(const void *context, int64_t row, int rows, int64_t column, int columns,
                         const float tile[GEMM_MR][GEMM_NR])
{
    const Job *j = context;
    bool forward = j->c->direction == CONV_FORWARD;
    const View *v = forward ? &j->y : &j->x;
    int64_t first = j->group * (forward ? j->group_f : j->group_c) + row;
    for (int c = 0; c < columns;) {
        int64_t b = (column + c) / v->pixels, o = (column + c) % v->pixels;
        int n = v->pixels - o < columns - c ? (int)(v->pixels - o) : columns - c;
        for (int r = 0; r < rows; r++) {
            float *to = view_plane(v, b, first + r) + o * v->step, add = j->c->bias ? j->c->bias[first + r] : 0;
            for (int i = 0; i < n; i++)
                to[i * v->step] = tile[r][c + i] + add;
        }
        c += n;
    }
}

/* ---------------------------------------------------------------- backward weights */
static void pack_filters(const void *context, int64_t row, int rows, int64_t k0, int64_t kc, float *to)
{
    const Job *j = context;
    const View *v = &j->y;
    for (int r = 0; r < rows; r++)
        for (int64_t p = 0; p < kc;) {
            int64_t b = (k0 + p) / v->pixels, o = (k0 + p) % v->pixels;
            int64_t n = v->pixels - o < kc - p ? v->pixels - o : kc - p;
            const float *from = view_plane(v, b, j->group * j->group_f + row + r) + o * v->step;
            for (int64_t i = 0; i < n; i++)
                to[(p + i) * GEMM_MR + r] = from[i * v->step];
            p += n;
        }
}

static void pack_taps(const void *context, int64_t column, int columns, int64_t k0, int64_t kc, float *to)
{
    Gather g = gather_of(context);
    for (int c = 0; c < columns; c++)
        gather(&g, column + c, k0, kc, to + c, GEMM_NR);
}

static void store_weights(const void *context, int64_t row, int rows, int64_t column, int columns,
                          const float tile[GEMM_MR][GEMM_NR])
{
    const Job *j = context;
    for (int r = 0; r < rows; r++)
        memcpy(j->c->w + (j->group * j->group_f + row + r) * j->group_c * j->taps + column, tile[r],
               sizeof(float) * (size_t)columns);
}

/* ---------------------------------------------------------------- */
static Gemm gemm_of(const ConvShape *s, ConvDirection direction)
{
    int64_t group_c = s->channels / s->groups, group_f = s->filters / s->groups, taps = s->kernel_h * s->kernel_w;
    if (direction == CONV_FORWARD)
        return (Gemm){.m = group_f, .n = s->batch * s->out_height * s->out_width, .k = group_c * taps,
                      .pack_a = pack_weights, .pack_b = pack_pixels, .store = store_pixels};
    if (direction == CONV_BACKWARD_DATA)
        return (Gemm){.m = group_c, .n = s->batch * s->height * s->width, .k = group_f * taps,
                      .pack_a = pack_weights, .pack_b = pack_pixels, .store = store_pixels};
    return (Gemm){.m = group_f, .n = group_c * taps, .k = s->batch * s->out_height * s->out_width,
                  .pack_a = pack_filters, .pack_b = pack_taps, .store = store_weights};
}

size_t conv_gemm_workspace(const ConvShape *s, ConvDirection direction, int threads)
{
    Gemm g = gemm_of(s, direction);
    return gemm_workspace(g.m, g.k, threads);
}

/* Tiles write real channels only: what lies beyond in the last block of C16 must be zero. */
static void clear_padding(const View *v, int64_t batch)
{
    if (v->step == 1 || v->channels % 16 == 0)
        return;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = v->channels; c < (v->channels + 15) / 16 * 16; c++) {
            float *p = view_plane(v, b, c);
            for (int64_t i = 0; i < v->pixels; i++)
                p[i * 16] = 0;
        }
}

void conv_gemm_run(const ConvGemm *c, int threads, void *workspace)
{
    const ConvShape *s = &c->shape;
    Job j = {
        .c = c, .s = *s, .x = view_of(c->x, c->x_format, s->channels, s->height * s->width),
        .y = view_of(c->y, c->y_format, s->filters, s->out_height * s->out_width),
        .group_c = s->channels / s->groups, .group_f = s->filters / s->groups, .taps = s->kernel_h * s->kernel_w,
    };
    Gemm g = gemm_of(s, c->direction);
    g.context = &j;
    if (c->direction != CONV_BACKWARD_WEIGHTS)
        clear_padding(c->direction == CONV_FORWARD ? &j.y : &j.x, s->batch);
    for (j.group = 0; j.group < s->groups; j.group++)
        gemm_run(&g, threads, workspace);
}
