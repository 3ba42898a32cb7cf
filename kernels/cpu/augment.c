/* augment.c - jitter a picture a thread, in one or two passes; blur by rows, the vertical sums of a row feeding its
 * horizontal ones while they are in the first-level cache. */
#include "engine/ops/augment.h"

#include "engine/ops/augment_rule.h"
#include "kernels/cpu/cpu.h"

static void random_affine(KernelCall *k)
{
    const RandomAffineAttrs *a = k->attrs;
    int64_t B = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    const float *u = FLOATS(k->in[0]);
    float *m = FLOATS(k->out[0]);
    bool crop = !strcmp(a->mode, "crop");
    for (int64_t b = 0; b < B; b++) {
        double v[RANDOM_AFFINE_CROP], map[6];
        for (int64_t i = 0; i < n; i++)
            v[i] = u[b * n + i];
        affine_map(a, crop, v, map);
        for (int i = 0; i < 6; i++)
            m[6 * b + i] = (float)map[i];
    }
}

/* ---------------------------------------------------------------- jitter */
static inline float clamp(float v)
{
    v = v < 0 ? 0 : v;
    return v > 1 ? 1 : v;
}

/* f (x + 1) / 2 with half = f / 2, clamped; without brightness half is 1/2. */
static inline float brightened(float x, float half, bool bright)
{
    float v = half * x + half;
    return bright ? clamp(v) : v;
}

/* Sums of 256 pixels in float, then in double. */
static double grey_mean(const float *x, int64_t n, float half, bool bright)
{
    double total = 0;
    for (int64_t first = 0; first < n; first += 256) {
        int64_t end = first + 256 < n ? first + 256 : n;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = first; i < end; i++)
            sum += GREY_RED * brightened(x[i], half, bright) + GREY_GREEN * brightened(x[n + i], half, bright) +
                   GREY_BLUE * brightened(x[2 * n + i], half, bright);
        total += (double)sum;
    }
    return total / (double)n;
}

static inline float contrasted(float v, float g, float shift, bool contrast)
{
    return contrast ? clamp(g * v + shift) : v;
}

static void jitter_picture(const float *x, float *y, const float *u, int64_t n, const JitterAttrs *a)
{
    bool bright = u[0] < a->p_brightness, contrast = u[2] < a->p_contrast, grey = u[4] < a->p_grey;
    if (!bright && !contrast && !grey) {
        if (y != x)
            memcpy(y, x, (size_t)(3 * n) * sizeof *y);
        return;
    }
    float half = bright ? (float)(0.5 * jitter_factor(u[1], a->brightness)) : 0.5f, g = 1, shift = 0;
    if (contrast) {
        double factor = jitter_factor(u[3], a->contrast);
        g = (float)factor;
        shift = (float)((1 - factor) * grey_mean(x, n, half, bright));
    }
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float red = contrasted(brightened(x[i], half, bright), g, shift, contrast);
        float green = contrasted(brightened(x[n + i], half, bright), g, shift, contrast);
        float blue = contrasted(brightened(x[2 * n + i], half, bright), g, shift, contrast);
        if (grey)
            red = green = blue = GREY_RED * red + GREY_GREEN * green + GREY_BLUE * blue;
        y[i] = 2 * red - 1;
        y[n + i] = 2 * green - 1;
        y[2 * n + i] = 2 * blue - 1;
    }
}

static void jitter(KernelCall *k)
{
    const int64_t *d = k->in[0].shape.dim;
    int64_t n = d[2] * d[3];
    const float *x = FLOATS(k->in[0]), *u = FLOATS(k->in[1]);
    float *y = FLOATS(k->out[0]);
#pragma omp parallel for if (d[0] * n > CPU_SERIAL)
    for (int64_t b = 0; b < d[0]; b++)
        jitter_picture(x + 3 * n * b, y + 3 * n * b, u + JITTER_UNIFORMS * b, n, k->attrs);
}

/* ---------------------------------------------------------------- blur */
enum { STRETCH = 512 };

/* Result row iy, columns first .. first + n - 1, of one plane. */
static void blur_row(const float *x, float *y, const float *w, int r, int iy, int first, int n, int H, int W)
{
    float column[STRETCH + 2 * BLUR_MAX];   /* vertical sums of columns first - r .. first + n + r - 1 */
    int low = first - r < 0 ? 0 : first - r, high = first + n + r > W ? W : first + n + r;
    float *inner = column + (low - (first - r));
    for (int i = 0; i < high - low; i++)
        inner[i] = 0;
    for (int j = -r; j <= r; j++) {
        const float *p = x + (int64_t)blur_reflect(iy + j, H) * W + low;
        float weight = w[j + r];
#pragma omp simd
        for (int i = 0; i < high - low; i++)
            inner[i] += weight * p[i];
    }
    for (int c = first - r; c < first + n + r; c++)
        if (c < 0 || c >= W) {   /* mirrored columns lie further in, maybe before this stretch */
            float sum = 0;
            for (int j = -r; j <= r; j++)
                sum += w[j + r] * x[(int64_t)blur_reflect(iy + j, H) * W + blur_reflect(c, W)];
            column[c - (first - r)] = sum;
        }
    for (int i = 0; i < n; i++)
        y[i] = 0;
    for (int j = 0; j <= 2 * r; j++)
#pragma omp simd
        for (int i = 0; i < n; i++)
            y[i] += w[j] * column[i + j];
}

static void gaussian_blur(KernelCall *k)
{
    const GaussianBlurAttrs *a = k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    int64_t C = d[1], planes = d[0] * C, plane = d[2] * d[3];
    int H = (int)d[2], W = (int)d[3], r = a->size / 2;
#pragma omp parallel for schedule(dynamic) if (planes * plane > CPU_SERIAL)
    for (int64_t p = 0; p < planes; p++) {
        const float *x = FLOATS(k->in[0]) + p * plane, *u = FLOATS(k->in[1]) + 2 * (p / C);
        float *y = FLOATS(k->out[0]) + p * plane;
        if (!(u[0] < a->p)) {
            memcpy(y, x, (size_t)plane * sizeof *y);
            continue;
        }
        double sigma = a->sigma_low + ((double)a->sigma_high - a->sigma_low) * u[1], total = 0, exact[BLUR_MAX];
        float w[BLUR_MAX];
        for (int j = 0; j < a->size; j++)
            total += exact[j] = exp(-0.5 * (j - r) * (j - r) / (sigma * sigma));
        for (int j = 0; j < a->size; j++)
            w[j] = (float)(exact[j] / total);
        for (int iy = 0; iy < H; iy++)
            for (int first = 0; first < W; first += STRETCH)
                blur_row(x, y + (int64_t)iy * W + first, w, r, iy, first, W - first < STRETCH ? W - first : STRETCH, H,
                         W);
    }
}

KERNEL(random_affine, cpu) = {.run = random_affine};
KERNEL(jitter, cpu) = {.run = jitter, .inplace = inplace_first};
KERNEL(gaussian_blur, cpu) = {.run = gaussian_blur};
