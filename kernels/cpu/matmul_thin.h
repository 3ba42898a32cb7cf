/* matmul_thin.h - products in which one matrix is large and the other has few rows: fully connected layers of a
 * batch, whose time is that of reading or writing the large one once. */
#ifndef CPU_MATMUL_THIN_H
#define CPU_MATMUL_THIN_H

#include <stdbool.h>

#include "engine/ops/matmul.h"

/* Whether matmul_thin_run takes c (m,n) = op(x) op(w): at most THIN_MOST rows of x (transpose_x: at most that many
 * terms), and not both transposed. */
enum { THIN_MOST = 32 };
bool matmul_thin_takes(const MatmulAttrs *a, MatmulShape s);

/* As op_matmul; b may be NULL.  Sums run in one order whatever the number of threads. */
void matmul_thin_run(const MatmulAttrs *a, MatmulShape s, const float *x, const float *w, const float *b, float *y);

#endif
