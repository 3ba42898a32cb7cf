/* merge.h - two sets of numbers, each known by count, mean and sum of squared deviations, become one (Chan, Golub,
 * LeVeque: "Updating formulae and a pairwise algorithm for computing sample variances", 1979). */
#ifndef GUISE_TUTORIAL_MERGE_H
#define GUISE_TUTORIAL_MERGE_H

#include "kernels/cuda/cu.h"

struct Moments {
    float n, mean, squares;
};

__device__ static inline Moments merge(Moments a, Moments b)
{
    if (b.n == 0)
        return a;
    float n = a.n + b.n, d = b.mean - a.mean, part = b.n / n;
    return Moments{n, a.mean + d * part, a.squares + b.squares + d * d * a.n * part};
}

#endif
