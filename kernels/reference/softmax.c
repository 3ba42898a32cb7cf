/* softmax.c - the definition. */
#include "engine/ops/softmax.h"

#include "kernels/reference/reference.h"

static void run(KernelCall *k, bool logarithm)
{
    Shape s = k->in[0].shape;
    int dim = ((const SoftmaxAttrs *)k->attrs)->dim;
    dim = dim < 0 ? dim + s.rank : dim;
    int64_t n = s.dim[dim], inner = 1;
    for (int i = dim + 1; i < s.rank; i++)
        inner *= s.dim[i];
    int64_t rows = n ? COUNT(k->in[0]) / n : 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t first = row / inner * n * inner + row % inner;
        const real *x = REAL(k->in[0]) + first;
        real *y = REAL(k->out[0]) + first;
        double top = x[0], sum = 0;
        for (int64_t j = 1; j < n; j++)
            top = x[j * inner] > top ? x[j * inner] : top;
        for (int64_t j = 0; j < n; j++)
            sum += exp(x[j * inner] - top);
        for (int64_t j = 0; j < n; j++)
            y[j * inner] = (real)(logarithm ? x[j * inner] - top - log(sum) : exp(x[j * inner] - top) / sum);
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

KERNEL(softmax, reference) = {.run = softmax};
KERNEL(log_softmax, reference) = {.run = log_softmax};
