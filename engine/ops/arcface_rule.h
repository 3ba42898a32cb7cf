/* arcface_rule.h - the margin of one cosine, for the kernels of every backend: in double, as it is one element a
 * sample. */
#ifndef OPS_ARCFACE_RULE_H
#define OPS_ARCFACE_RULE_H

#include <math.h>

#ifdef __CUDACC__
#define ARCFACE_FN static __host__ __device__ inline
#else
#define ARCFACE_FN static inline
#endif

ARCFACE_FN double arcface_sine(double cosine)
{
    double most = 1 - 1e-7, c = cosine > most ? most : cosine < -most ? -most : cosine;
    return sqrt((1 - c) * (1 + c));
}

/* cos(theta + m), or cos(theta) - m sin(m) where theta + m > pi, which is cos(theta) < cos(pi - m); cos_m and sin_m
 * are those of m. */
ARCFACE_FN double arcface_true_by(double cosine, double m, double cos_m, double sin_m)
{
    if (m == 0)
        return cosine;
    return cosine < -cos_m ? cosine - m * sin_m : cosine * cos_m - arcface_sine(cosine) * sin_m;
}

/* Its derivative, sin(theta + m) / sin(theta), or 1. */
ARCFACE_FN double arcface_slope_by(double cosine, double m, double cos_m, double sin_m)
{
    if (m == 0)
        return 1;
    return cosine < -cos_m ? 1 : cos_m + cosine * sin_m / arcface_sine(cosine);
}

ARCFACE_FN double arcface_true(double cosine, double m)
{
    return arcface_true_by(cosine, m, cos(m), sin(m));
}

ARCFACE_FN double arcface_slope(double cosine, double m)
{
    return arcface_slope_by(cosine, m, cos(m), sin(m));
}

#endif
