/* augment.c - the definition: maps from uniforms, jitter and blur picture by picture. */
#include "engine/ops/augment.h"

#include "engine/ops/augment_rule.h"
#include "kernels/reference/reference.h"

static void random_affine(KernelCall *k)
{
    const RandomAffineAttrs *a = k->attrs;
    int64_t B = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    const real *u = REAL(k->in[0]);
    real *m = REAL(k->out[0]);
    for (int64_t b = 0; b < B; b++) {
        double v[RANDOM_AFFINE_CROP], map[6];
        for (int64_t i = 0; i < n; i++)
            v[i] = (double)*u++;
        affine_map(a, !strcmp(a->mode, "crop"), v, map);
        for (int i = 0; i < 6; i++)
            *m++ = (real)map[i];
    }
}

static double clamp(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void jitter(KernelCall *k)
{
    const JitterAttrs *a = k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    int64_t n = d[2] * d[3];
    const real *x = REAL(k->in[0]), *u = REAL(k->in[1]);
    real *y = REAL(k->out[0]);
    for (int64_t b = 0; b < d[0]; b++, x += 3 * n, y += 3 * n, u += JITTER_UNIFORMS) {
        bool bright = u[0] < a->p_brightness, contrast = u[2] < a->p_contrast, grey = u[4] < a->p_grey;
        memcpy(y, x, (size_t)(3 * n) * sizeof *y);
        if (!bright && !contrast && !grey)
            continue;
        double f = bright ? jitter_factor((double)u[1], a->brightness) : 1;
        double g = contrast ? jitter_factor((double)u[3], a->contrast) : 1, mean = 0;
        for (int64_t i = 0; i < n && contrast; i++) {
            double v[3];
            for (int c = 0; c < 3; c++) {
                v[c] = ((double)x[c * n + i] + 1) / 2;
                if (bright)
                    v[c] = clamp(f * v[c]);
            }
            mean += ((double)GREY_RED * v[0] + (double)GREY_GREEN * v[1] + (double)GREY_BLUE * v[2]) / (double)n;
        }
        for (int64_t i = 0; i < n; i++) {
            double v[3];
            for (int c = 0; c < 3; c++) {
                v[c] = ((double)x[c * n + i] + 1) / 2;
                if (bright)
                    v[c] = clamp(f * v[c]);
                if (contrast)
                    v[c] = clamp(g * v[c] + (1 - g) * mean);
            }
            double luma = (double)GREY_RED * v[0] + (double)GREY_GREEN * v[1] + (double)GREY_BLUE * v[2];
            for (int c = 0; c < 3; c++)
                y[c * n + i] = (real)(2 * (grey ? luma : v[c]) - 1);
        }
    }
}

static void gaussian_blur(KernelCall *k)
{
    const GaussianBlurAttrs *a = k->attrs;
    const int64_t *d = k->in[0].shape.dim;
    int H = (int)d[2], W = (int)d[3], r = a->size / 2;
    const real *x = REAL(k->in[0]), *u = REAL(k->in[1]);
    real *y = REAL(k->out[0]);
    for (int64_t b = 0; b < d[0]; b++, u += 2) {
        double sigma = a->sigma_low + ((double)a->sigma_high - a->sigma_low) * (double)u[1], total = 0, w[BLUR_MAX];
        for (int j = 0; j < a->size; j++)
            total += w[j] = exp(-0.5 * (j - r) * (j - r) / (sigma * sigma));
        for (int64_t c = 0; c < d[1]; c++, x += (int64_t)H * W)
            for (int iy = 0; iy < H; iy++)
                for (int ix = 0; ix < W; ix++, y++) {
                    if (!(u[0] < a->p)) {
                        *y = x[iy * W + ix];
                        continue;
                    }
                    double sum = 0;
                    for (int j = 0; j < a->size; j++)
                        for (int i = 0; i < a->size; i++)
                            sum += w[j] * w[i] *
                                   (double)x[blur_reflect(iy + j - r, H) * W + blur_reflect(ix + i - r, W)];
                    *y = (real)(sum / (total * total));
                }
    }
}

KERNEL(random_affine, reference) = {.run = random_affine};
KERNEL(jitter, reference) = {.run = jitter};
KERNEL(gaussian_blur, reference) = {.run = gaussian_blur};
