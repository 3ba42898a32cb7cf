/* l2_normalize.c - a thread a row, sums in double.
 *   bound   memory: 8 bytes an element forward, 12 backward (a row is read again from the cache) */
#include "engine/ops/l2_normalize.h"

#include "kernels/cpu/cpu.h"

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Rows of length *n. */
static int64_t rows(const KernelCall *k, int64_t *n)
{
    *n = k->in[0].shape.dim[k->in[0].shape.rank - 1];
    return *n ? shape_count(k->in[0].shape) / *n : 0;
}

static void l2_normalize(KernelCall *k)
{
    double eps = ((const L2NormalizeAttrs *)k->attrs)->eps;
    int64_t n, count = rows(k, &n);
#pragma omp parallel for if (count * n > CPU_SERIAL)
    for (int64_t row = 0; row < count; row++) {
        const float *x = FLOATS(k->in[0]) + row * n;
        float *y = FLOATS(k->out[0]) + row * n;
        double norm = sqrt(dot(x, x, n)), by = 1 / (norm > eps ? norm : eps);
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)(x[i] * by);
    }
}

static void l2_normalize_grad(KernelCall *k)
{
    double eps = ((const L2NormalizeAttrs *)k->attrs)->eps;
    int64_t n, count = rows(k, &n);
#pragma omp parallel for if (count * n > CPU_SERIAL)
    for (int64_t row = 0; row < count; row++) {
        const float *x = FLOATS(k->in[0]) + row * n, *dy = FLOATS(k->in[1]) + row * n;
        float *dx = FLOATS(k->out[0]) + row * n;
        double squares = dot(x, x, n), norm = sqrt(squares), by = 1 / (norm > eps ? norm : eps);
        double along = norm > eps ? dot(x, dy, n) / squares : 0;
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] = (float)((dy[i] - x[i] * along) * by);
    }
}

KERNEL(l2_normalize, cpu) = {.run = l2_normalize, .inplace = inplace_first};
KERNEL(l2_normalize_grad, cpu) = {.run = l2_normalize_grad, .inplace = inplace_first};
