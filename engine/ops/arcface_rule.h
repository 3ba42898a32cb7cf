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

/* cos(theta + m), or cos(theta) - m sin(m) where theta + m > pi, which is cos(theta) < cos(pi - m). */
ARCFACE_FN double arcface_true(double cosine, double m)
{
    if (m == 0)
        return cosine;
    return cosine < -cos(m) ? cosine - m * sin(m) : cosine * cos(m) - arcface_sine(cosine) * sin(m);
}

/* Its derivative, sin(theta + m) / sin(theta), or 1. */
ARCFACE_FN double arcface_slope(double cosine, double m)
{
    if (m == 0)
        return 1;
    return cosine < -cos(m) ? 1 : cos(m) + cosine * sin(m) / arcface_sine(cosine);
}

#endif
