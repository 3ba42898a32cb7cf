/* reconstruction_loss.c - a thread a row of a picture: the target's rows above it become one, beside which it is laid.
 *   bound   memory: the target once a picture, which the caches hold, and the pictures */
#include "engine/ops/reconstruction_loss.h"

#include "engine/ops/resize_rule.h"
#include "kernels/cpu/area.h"
#include "kernels/cpu/cpu.h"

enum { PART = 256 };   /* pixels of a row at a time */

/* Rows of all pictures, one behind the other. */
typedef struct Rows {
    const KernelCall *k;
    int first;                                 /* picture 0 is this operand */
    int n;
    int64_t before[RECONSTRUCTION_MOST + 1];   /* rows in earlier pictures */
} Rows;

static Rows rows_of(const KernelCall *k, int first)
{
    Rows r = {.k = k, .first = first, .n = k->nin - first};
    for (int i = 0; i < r.n; i++) {
        const int64_t *d = k->in[first + i].shape.dim;
        r.before[i + 1] = r.before[i] + d[0] * d[1] * d[2];
    }
    return r;
}

/* Picture of row `row`; *at becomes the row's index in it. */
static int picture_of(const Rows *r, int64_t row, int64_t *at)
{
    int i = 0;
    while (row >= r->before[i + 1])
        i++;
    *at = row - r->before[i];
    return i;
}

/* Pixels ox .. ox + n - 1 of row oy of the plane t resized to (h, w), where n is at most PART. */
static void target_part(const float *t, int H, int W, int h, int w, int oy, int ox, int n, float *mean)
{
    ResizeRange ry = resize_reads(RESIZE_AREA, oy, H, h);
    int fy = ry.end - ry.first;
    const float *from = t + (int64_t)ry.first * W;
    if (w == W && fy == 1) {
        memcpy(mean, from + ox, (size_t)n * sizeof *mean);
    } else if (W % w == 0 && W / w <= AREA_TILE) {
        int fx = W / w;
        area_row(from + (int64_t)ox * fx, mean, n, fy, fx, W, 1.0f / ((float)fy * (float)fx));
    } else {
        for (int i = 0; i < n; i++) {
            ResizeRange rx = resize_reads(RESIZE_AREA, ox + i, W, w);
            double sum = 0;
            for (int y = 0; y < fy; y++)
                for (int x = rx.first; x < rx.end; x++)
                    sum += from[(int64_t)y * W + x];
            mean[i] = (float)(sum / ((double)fy * (rx.end - rx.first)));
        }
    }
}

/* Sum of squares of a row, or its gradient: by (made - mean), into d unless that is NULL. */
static double row(const Rows *r, int64_t index, double dy, float *const *d)
{
    const ReconstructionLossAttrs *a = r->k->attrs;
    const Tensor *target = &r->k->in[0];
    int64_t at;
    int i = picture_of(r, index, &at);
    const Tensor *made = &r->k->in[r->first + i];
    int H = (int)target->shape.dim[2], W = (int)target->shape.dim[3];
    int h = (int)made->shape.dim[2], w = (int)made->shape.dim[3];
    const float *t = FLOATS(*target) + at / h * H * W, *x = FLOATS(*made) + at * w;
    double weight = reconstruction_weight(a, made->shape, r->n), sum = 0;
    float by = (float)(2 * weight * dy), mean[PART];
    for (int ox = 0; ox < w; ox += PART) {
        int n = w - ox < PART ? w - ox : PART;
        target_part(t, H, W, h, w, (int)(at % h), ox, n, mean);
        if (d) {
            float *to = d[i] + at * w + ox;
#pragma omp simd
            for (int e = 0; e < n; e++)
                to[e] = by * (x[ox + e] - mean[e]);
        } else {
            float part = 0;
#pragma omp simd reduction(+ : part)
            for (int e = 0; e < n; e++)
                part += (mean[e] - x[ox + e]) * (mean[e] - x[ox + e]);
            sum += part;
        }
    }
    return weight * sum;
}

/* One number a row. */
static int prepare(KernelCall *k)
{
    Rows r = rows_of(k, 1);
    k->workspace_bytes = (size_t)r.before[r.n] * sizeof(double);
    return 0;
}

static void reconstruction_loss(KernelCall *k)
{
    Rows r = rows_of(k, 1);
    double *sums = k->workspace, sum = 0;
    int64_t count = r.before[r.n];
#pragma omp parallel for schedule(dynamic, 16) if (shape_count(k->in[0].shape) * r.n > CPU_SERIAL)
    for (int64_t i = 0; i < count; i++)
        sums[i] = row(&r, i, 0, NULL);
    for (int64_t i = 0; i < count; i++)
        sum += sums[i];
    FLOATS(k->out[0])[0] = (float)sum;
}

static void reconstruction_loss_grad(KernelCall *k)
{
    Rows r = rows_of(k, 2);
    double dy = FLOATS(k->in[1])[0];
    float *d[RECONSTRUCTION_MOST];
    for (int j = 0; j < r.n; j++)
        d[j] = FLOATS(k->out[j]);
#pragma omp parallel for schedule(dynamic, 16) if (shape_count(k->in[0].shape) * r.n > CPU_SERIAL)
    for (int64_t i = 0; i < r.before[r.n]; i++)
        row(&r, i, dy, d);
}

/* Each gradient over its picture. */
static int inplace(const KernelCall *k, int result)
{
    (void)k;
    return 2 + result;
}

KERNEL(reconstruction_loss, cpu) = {.run = reconstruction_loss, .prepare = prepare};
KERNEL(reconstruction_loss_grad, cpu) = {.run = reconstruction_loss_grad, .inplace = inplace};
