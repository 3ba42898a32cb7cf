/* binary.h - kernels of two operands that are broadcast to one result: a row of arithmetic, and the loops around it. */
#ifndef KERNELS_CPU_BINARY_H
#define KERNELS_CPU_BINARY_H

#include "kernels/cpu/elementwise.h"

/* n elements of y; a and b advance by 0 or 1 (or, for what formats never ask, by any stride). */
typedef void Row(float *y, const float *a, const float *b, int64_t sa, int64_t sb, int64_t n);

/* name_row: y = expression in a and b. */
#define ROW(name, expression)                                                                             \
    static void name##_row(float *y, const float *as, const float *bs, int64_t sa, int64_t sb, int64_t n) \
    {                                                                                                     \
        if (sa == 1 && sb == 1) {                                                                         \
            _Pragma("omp simd")                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                             \
                float a = as[i], b = bs[i];                                                               \
                y[i] = expression;                                                                        \
            }                                                                                             \
        } else if (sa == 1 && sb == 0) {                                                                  \
            float b = *bs;                                                                                \
            _Pragma("omp simd")                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                             \
                float a = as[i];                                                                          \
                y[i] = expression;                                                                        \
            }                                                                                             \
        } else if (sa == 0 && sb == 1) {                                                                  \
            float a = *as;                                                                                \
            _Pragma("omp simd")                                                                           \
            for (int64_t i = 0; i < n; i++) {                                                             \
                float b = bs[i];                                                                          \
                y[i] = expression;                                                                        \
            }                                                                                             \
        } else {                                                                                          \
            for (int64_t i = 0; i < n; i++) {                                                             \
                float a = as[i * sa], b = bs[i * sb];                                                     \
                y[i] = expression;                                                                        \
            }                                                                                             \
        }                                                                                                 \
    }

/* Result 0 from operands 0 and 1, in the formats that formats_broadcast gives. */
void binary_run(KernelCall *k, Row *row);

#endif
