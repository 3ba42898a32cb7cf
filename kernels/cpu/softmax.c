/* softmax.c - a thread a row; along other axes than the last a thread takes a tile of neighbouring rows at once.
 *   bound   arithmetic: an exponential an element, about 20 operations */
#include "engine/ops/softmax.h"

#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/softmax.h"

enum { COLUMNS = 64 };

static void row(const float *x, float *y, int64_t n, bool logarithm)
{
    float top = softmax_top(x, n);
    double sum = softmax_exponentials(x, n, top, logarithm ? NULL : y);
    float by = (float)(1 / sum), less = (float)log(sum);
#pragma omp simd
    for (int64_t j = 0; j < n; j++)
        y[j] = logarithm ? (x[j] - top) - less : y[j] * by;
}

/* `columns` rows side by side, whose elements lie `stride` apart. */
static void rows(const float *x, float *y, int64_t n, int64_t stride, int columns, bool logarithm)
{
    float top[COLUMNS];
    double sum[COLUMNS] = {0};
    memcpy(top, x, (size_t)columns * sizeof *top);
    for (int64_t j = 1; j < n; j++)
        for (int c = 0; c < columns; c++)
            top[c] = x[j * stride + c] > top[c] ? x[j * stride + c] : top[c];
    for (int64_t j = 0; j < n; j++) {
        const float *from = x + j * stride;
        float *to = y + j * stride;
#pragma omp simd
        for (int c = 0; c < columns; c++) {
            float less = from[c] - top[c], e = vm_exp(less);
            sum[c] += e;
            to[c] = logarithm ? less : e;
        }
    }
    float by[COLUMNS];
    for (int c = 0; c < columns; c++)
        by[c] = (float)(logarithm ? log(sum[c]) : 1 / sum[c]);
    for (int64_t j = 0; j < n; j++) {
        float *to = y + j * stride;
#pragma omp simd
        for (int c = 0; c < columns; c++)
            to[c] = logarithm ? to[c] - by[c] : to[c] * by[c];
    }
}

static void run(KernelCall *k, bool logarithm)
{
    const Tensor *x = &k->in[0];
    int dim = ((const SoftmaxAttrs *)k->attrs)->dim;
    Span s = span_of(x, dim < 0 ? dim + x->shape.rank : dim);
    int64_t count = shape_count(x->shape), tiles = (s.inner + COLUMNS - 1) / COLUMNS;
    if (!count)
        return;
#pragma omp parallel for if (count > CPU_SERIAL)
    for (int64_t i = 0; i < s.outer * tiles; i++) {
        int64_t first = i % tiles * COLUMNS, at = i / tiles * s.extent * s.inner + first;
        int columns = (int)(s.inner - first < COLUMNS ? s.inner - first : COLUMNS);
        if (s.inner == 1)
            row(FLOATS(*x) + at, FLOATS(k->out[0]) + at, s.extent, logarithm);
        else
            rows(FLOATS(*x) + at, FLOATS(k->out[0]) + at, s.extent, s.inner, columns, logarithm);
    }
}

static void softmax(KernelCall *k)
{
    run(k, false);
}

static void log_softmax(KernelCall *k)
{
    run(k, true);
}

KERNEL(softmax, cpu) = {.run = softmax, .inplace = inplace_first};
KERNEL(log_softmax, cpu) = {.run = log_softmax, .inplace = inplace_first};
