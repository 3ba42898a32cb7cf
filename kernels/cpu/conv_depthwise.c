/* conv_depthwise.c - see conv_depthwise.h.
 *
 * A plane is first copied with its zeros around it, its columns sorted by their remainder modulo the stride, so that
 * every tap reads LANES neighbours, whatever the stride.  Backward data is a forward convolution of dy, spread by the
 * stride, with the kernel turned about: with stride 2 three of four products are with zeros, still far cheaper than
 * scattered writes.  Each plane and each filter's gradient belongs to one thread: results do not depend on how many
 * there are. */
#include "kernels/cpu/conv_depthwise.h"

#include <omp.h>
#include <string.h>

#include "kernels/layout.h"

enum { TAPS_MAX = 128 };

typedef float Vector __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Columns c of a row lie at (c % phases) width + c / phases. */
typedef struct Plane {
    float *data;
    int64_t rows, phases, width;
} Plane;

bool conv_depthwise_serves(const ConvShape *s, Format x, Format y)
{
    return s->groups > 1 && s->groups == s->channels && x == PLAIN && y == PLAIN &&
           s->kernel_h * s->kernel_w <= TAPS_MAX;
}

static int64_t whole_lanes(int64_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* The plane that a result of height x width is convolved from. */
static Plane plane_of(const ConvShape *s, int64_t height, int64_t width, int64_t stride)
{
    int64_t reach = (s->kernel_w - 1) * s->dilation / stride + 1;
    return (Plane){NULL, (height - 1) * stride + (s->kernel_h - 1) * s->dilation + 1, stride,
                   whole_lanes(whole_lanes(width) + reach)};
}

static Plane plane_for(const ConvShape *s, ConvDirection direction)
{
    return direction == CONV_BACKWARD_DATA ? plane_of(s, s->height, s->width, 1)
                                           : plane_of(s, s->out_height, s->out_width, s->stride);
}

static int64_t plane_floats(const Plane *p)
{
    return p->rows * p->phases * p->width;
}

size_t conv_depthwise_workspace(const ConvShape *s, ConvDirection direction, int threads)
{
    Plane p = plane_for(s, direction);
    return sizeof(float) * (size_t)(plane_floats(&p) * threads);
}

/* A row of pixels to columns left, left + spread, ... of a row without phases; what falls outside is not needed. */
static void row_spread(const Plane *p, float *to, const float *from, int64_t width, int64_t spread, int64_t left)
{
    int64_t first = left < 0 ? (spread - 1 - left) / spread : 0, end = (p->width - 1 - left) / spread + 1;
    end = end < width ? end : width;
    if (spread == 1 && first < end)
        memcpy(to + left + first, from + first, sizeof *to * (size_t)(end - first));
    else
        for (int64_t j = first; j < end; j++)
            to[left + j * spread] = from[j];
}

/* A row of pixels to columns left, left + 1, ..., sorted by phase; left >= 0.  No window sees what has no room. */
static void row_sort(const Plane *p, float *to, const float *from, int64_t width, int64_t left)
{
    for (int64_t phase = 0; phase < p->phases; phase++) {
        int64_t skip = ((phase - left) % p->phases + p->phases) % p->phases, at = (left + skip) / p->phases;
        float *line = to + phase * p->width;
        for (int64_t j = skip; j < width && at < p->width; j += p->phases)
            line[at++] = from[j];
    }
}

/* Pixel (i, j) to (top + i spread, left + j spread), zeros elsewhere. */
static void plane_fill(const Plane *p, const float *from, int64_t height, int64_t width, int64_t spread, int64_t top,
                       int64_t left)
{
    memset(p->data, 0, sizeof(float) * (size_t)plane_floats(p));
    for (int64_t i = 0; i < height; i++) {
        int64_t row = top + i * spread;
        if (row < 0 || row >= p->rows)
            continue;
        float *to = p->data + row * p->phases * p->width;
        if (p->phases == 1)
            row_spread(p, to, from + i * width, width, spread, left);
        else
            row_sort(p, to, from + i * width, width, left);
    }
}

/* Where taps lie as seen from the first, in the plane. */
static void tap_places(const Plane *p, const ConvShape *s, int64_t *at)
{
    for (int64_t k = 0; k < s->kernel_h * s->kernel_w; k++) {
        int64_t row = k / s->kernel_w * s->dilation, column = k % s->kernel_w * s->dilation;
        at[k] = (row * p->phases + column % p->phases) * p->width + column / p->phases;
    }
}

/* y = start (or y, if start is NULL) + the plane convolved with w[0], w[step], ... */
static void convolve(const Plane *p, const int64_t *at, int64_t taps, const float *w, int64_t step, const float *start,
                     float *y, int64_t height, int64_t width)
{
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j += LANES) {
            const float *from = p->data + i * p->phases * p->phases * p->width + j;
            float *to = y + i * width + j;
            int64_t n = width - j < LANES ? width - j : LANES;
            Vector sum = {0};
            if (start)
                sum += *start;
            else
                memcpy(&sum, to, sizeof *to * (size_t)n);
            for (int64_t k = 0; k < taps; k++)
                sum += w[k * step] * *(const Vector *)(from + at[k]);
            memcpy(to, &sum, sizeof *to * (size_t)n);
        }
}

/* dw[k] += the products of dy with the plane under tap k: lanes in float within a plane, planes in double. */
static void correlate(const Plane *p, const int64_t *at, int64_t taps, const float *dy, int64_t height, int64_t width,
                      double *dw)
{
    Vector lanes[TAPS_MAX];
    memset(lanes, 0, sizeof lanes[0] * (size_t)taps);
    for (int64_t i = 0; i < height; i++)
        for (int64_t j = 0; j < width; j += LANES) {
            const float *from = p->data + i * p->phases * p->phases * p->width + j;
            Vector d = {0};
            memcpy(&d, dy + i * width + j, sizeof(float) * (size_t)(width - j < LANES ? width - j : LANES));
            for (int64_t k = 0; k < taps; k++)
                lanes[k] += d * *(const Vector *)(from + at[k]);
        }
    for (int64_t k = 0; k < taps; k++)
        for (int l = 0; l < LANES; l++)
            dw[k] += lanes[k][l];
}

static void forward(const ConvGemm *c, Plane p, int threads, float *scratch, const int64_t *at)
{
    const ConvShape *s = &c->shape;
    int64_t pixels = s->height * s->width, out = s->out_height * s->out_width, taps = s->kernel_h * s->kernel_w;
    int64_t multiple = s->filters / s->channels;
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < s->batch * s->channels; i++) {
        Plane mine = p;
        mine.data = scratch + omp_get_thread_num() * plane_floats(&p);
        plane_fill(&mine, c->x + i * pixels, s->height, s->width, 1, s->padding_h, s->padding_w);
        for (int64_t m = 0; m < multiple; m++) {
            int64_t f = i % s->channels * multiple + m;
            float start = c->bias ? c->bias[f] : 0;
            convolve(&mine, at, taps, c->w + f * taps, 1, &start, c->y + (i * multiple + m) * out, s->out_height,
                     s->out_width);
        }
    }
}

static void backward_data(const ConvGemm *c, Plane p, int threads, float *scratch, const int64_t *at)
{
    const ConvShape *s = &c->shape;
    int64_t pixels = s->height * s->width, out = s->out_height * s->out_width, taps = s->kernel_h * s->kernel_w;
    int64_t multiple = s->filters / s->channels;
    int64_t top = (s->kernel_h - 1) * s->dilation - s->padding_h, left = (s->kernel_w - 1) * s->dilation - s->padding_w;
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < s->batch * s->channels; i++) {
        Plane mine = p;
        mine.data = scratch + omp_get_thread_num() * plane_floats(&p);
        float start = c->bias ? c->bias[i % s->channels] : 0;
        for (int64_t m = 0; m < multiple; m++) {
            int64_t f = i % s->channels * multiple + m;
            plane_fill(&mine, c->y + (i * multiple + m) * out, s->out_height, s->out_width, s->stride, top, left);
            convolve(&mine, at, taps, c->w + f * taps + taps - 1, -1, m ? NULL : &start, c->x + i * pixels, s->height,
                     s->width);
        }
    }
}

static void backward_weights(const ConvGemm *c, Plane p, int threads, float *scratch, const int64_t *at)
{
    const ConvShape *s = &c->shape;
    int64_t pixels = s->height * s->width, out = s->out_height * s->out_width, taps = s->kernel_h * s->kernel_w;
    int64_t multiple = s->filters / s->channels;
#pragma omp parallel for num_threads(threads)
    for (int64_t f = 0; f < s->filters; f++) {
        Plane mine = p;
        mine.data = scratch + omp_get_thread_num() * plane_floats(&p);
        double dw[TAPS_MAX] = {0};
        for (int64_t b = 0; b < s->batch; b++) {
            plane_fill(&mine, c->x + (b * s->channels + f / multiple) * pixels, s->height, s->width, 1, s->padding_h,
                       s->padding_w);
            correlate(&mine, at, taps, c->y + (b * s->filters + f) * out, s->out_height, s->out_width, dw);
        }
        for (int64_t k = 0; k < taps; k++)
            c->w[f * taps + k] = (float)dw[k];
    }
}

void conv_depthwise_run(const ConvGemm *c, int threads, void *workspace)
{
    Plane p = plane_for(&c->shape, c->direction);
    int64_t at[TAPS_MAX];
    tap_places(&p, &c->shape, at);
    if (c->direction == CONV_FORWARD)
        forward(c, p, threads, workspace, at);
    else if (c->direction == CONV_BACKWARD_DATA)
        backward_data(c, p, threads, workspace, at);
    else
        backward_weights(c, p, threads, workspace, at);
}
