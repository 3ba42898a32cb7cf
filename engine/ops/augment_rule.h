/* augment_rule.h - from uniforms to what happens to one picture; one rule for the kernels of all backends.
 *
 * Computed in double, a few operations a picture, so that roundings and comparisons fall the same way everywhere.
 * Included by C, C++ and CUDA sources alike. */
#ifndef OPS_AUGMENT_RULE_H
#define OPS_AUGMENT_RULE_H

#include <math.h>

#include "engine/ops/augment.h"

#ifdef __CUDACC__
#define AUGMENT_FN static __host__ __device__ inline
#else
#define AUGMENT_FN static inline
#endif

/* ITU-R BT.601 luma. */
#define GREY_RED 0.299f
#define GREY_GREEN 0.587f
#define GREY_BLUE 0.114f

enum { BLUR_MAX = 33 };   /* largest kernel size of gaussian_blur */

/* Uniform in [max(0, 1 - strength), 1 + strength]: the factor of torchvision's ColorJitter. */
AUGMENT_FN double jitter_factor(double u, double strength)
{
    double low = strength < 1 ? 1 - strength : 0;
    return low + (1 + strength - low) * u;
}

/* Index of the pixel that stands for `i` outside [0, n) when the picture is mirrored at its first and last pixel;
 * i may be outside by less than n. */
AUGMENT_FN int blur_reflect(int i, int n)
{
    i = i < 0 ? -i : i;
    return i >= n ? 2 * n - 2 - i : i;
}

/* Where a window of `window` pixels starts within `side` of them: anywhere (shift 1) to the middle (shift 0). */
AUGMENT_FN int crop_start(int side, int window, double shift, double u)
{
    int room = side - window, reach = (int)floor(shift * room);
    return (room - reach) / 2 + (int)floor(u * (reach + 1));
}

/* The window of torchvision's RandomResizedCrop.get_params: up to ten tries at a rectangle of a share of the area
 * uniform in [scale_low, scale_high] and an aspect ratio log-uniform in [3/4, 4/3]; when none fits, all of the
 * picture, cut to that range of ratios.  u: uniforms [2..23] of random_affine. */
AUGMENT_FN void crop_window(const RandomAffineAttrs *a, const double *u, int *top, int *left, int *height, int *width)
{
    const double ratio = 4.0 / 3.0;
    int h = 0, w = 0;
    for (int attempt = 0; attempt < 10; attempt++) {
        double share = a->scale_low + (a->scale_high - a->scale_low) * u[4 + 2 * attempt];
        double area = share * a->height * a->width;
        double aspect = exp(log(ratio) * (2 * u[5 + 2 * attempt] - 1));
        w = (int)rint(sqrt(area * aspect));
        h = (int)rint(sqrt(area / aspect));
        if (w > 0 && w <= a->width && h > 0 && h <= a->height)
            break;
        w = h = 0;
    }
    if (w == 0) {
        w = a->width;
        h = a->height;
        if (w < h / ratio)
            h = (int)rint(w * ratio);
        else if (w > h * ratio)
            w = (int)rint(h * ratio);
        *top = (a->height - h) / 2;
        *left = (a->width - w) / 2;
    } else {
        *left = crop_start(a->width, w, a->shift, u[2]);
        *top = crop_start(a->height, h, a->shift, u[3]);
    }
    *height = h;
    *width = w;
}

/* The map of warp for one picture; u: RANDOM_AFFINE_ZOOM or RANDOM_AFFINE_CROP uniforms; see random_affine. */
AUGMENT_FN void affine_map(const RandomAffineAttrs *a, bool crop, const double *u, double *m)
{
    int OH = a->out_height ? a->out_height : a->height, OW = a->out_width ? a->out_width : a->width;
    double ax, ay, tx, ty;   /* unrotated: sx = ax ox + tx, sy = ay oy + ty */
    if (crop) {
        int top, left, height, width;
        crop_window(a, u, &top, &left, &height, &width);
        ax = (double)width / OW;
        ay = (double)height / OH;
        tx = left + 0.5 * ax - 0.5;
        ty = top + 0.5 * ay - 0.5;
    } else {
        double zoom = a->scale_low + (a->scale_high - a->scale_low) * u[4];
        double left = (1 - zoom) * OW * (0.5 + a->shift * (u[2] - 0.5));
        double top = (1 - zoom) * OH * (0.5 + a->shift * (u[3] - 0.5));
        ax = a->width / (zoom * OW);
        ay = a->height / (zoom * OH);
        tx = (0.5 - left) * ax - 0.5;
        ty = (0.5 - top) * ay - 0.5;
    }
    double cosine = 1, sine = 0, cx = 0.5 * (a->width - 1), cy = 0.5 * (a->height - 1);
    if (u[0] < a->rotate_p) {
        double angle = a->degrees * (2 * u[1] - 1) * 0.017453292519943295;
        cosine = cos(angle);
        sine = sin(angle);
    }
    /* Turning the picture to the left is looking to the right: s = c + R (p - c). */
    m[0] = cosine * ax;
    m[1] = -sine * ay;
    m[2] = cx + cosine * (tx - cx) - sine * (ty - cy);
    m[3] = sine * ax;
    m[4] = cosine * ay;
    m[5] = cy + sine * (tx - cx) + cosine * (ty - cy);
}

#endif
