/* softmax.h - the largest value of a row and the exponentials over it: what softmax and its losses share. */
#ifndef KERNELS_CPU_SOFTMAX_H
#define KERNELS_CPU_SOFTMAX_H

#include "kernels/cpu/vector_math.h"

enum { SOFTMAX_PART = 4096 };   /* floats are added up in parts of this size, parts in double */

/* Of n values, n > 0. */
static inline float softmax_top(const float *x, int64_t n)
{
    enum { WIDE = 16 };
    float top[WIDE];
    int64_t j = 0;
    for (int l = 0; l < WIDE; l++)
        top[l] = x[0];
    for (; j + WIDE <= n; j += WIDE)
#pragma omp simd
        for (int l = 0; l < WIDE; l++)
            top[l] = x[j + l] > top[l] ? x[j + l] : top[l];
    for (; j < n; j++)
        top[0] = x[j] > top[0] ? x[j] : top[0];
    for (int l = 1; l < WIDE; l++)
        top[0] = top[l] > top[0] ? top[l] : top[0];
    return top[0];
}

/* Sum of exp(x - top), which also go to e unless it is NULL; e may be x. */
static inline double softmax_exponentials(const float *x, int64_t n, float top, float *e)
{
    double sum = 0;
    for (int64_t from = 0; from < n; from += SOFTMAX_PART) {
        int64_t end = n - from < SOFTMAX_PART ? n : from + SOFTMAX_PART;
        float part = 0;
        if (e) {
#pragma omp simd reduction(+ : part)
            for (int64_t j = from; j < end; j++) {
                float v = vm_exp(x[j] - top);
                e[j] = v;
                part += v;
            }
        } else {
#pragma omp simd reduction(+ : part)
            for (int64_t j = from; j < end; j++)
                part += vm_exp(x[j] - top);
        }
        sum += (double)part;
    }
    return sum;
}

#endif
