/* softmax_cross_entropy.c - the definition. */
#include "kernels/reference/reference.h"

/* Largest logit and sum of exp(x - largest). */
static double largest(const real *x, int64_t n, double *sum)
{
    double top = x[0];
    for (int64_t j = 1; j < n; j++)
        top = x[j] > top ? x[j] : top;
    *sum = 0;
    for (int64_t j = 0; j < n; j++)
        *sum += exp(x[j] - top);
    return top;
}

static void softmax_cross_entropy(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *x = REAL(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        double sum, top = largest(x, n, &sum);
        REAL(k->out[0])[b] = label < 0 || label >= n ? (real)NAN : (real)(log(sum) + (top - x[label]));
    }
}

static void softmax_cross_entropy_grad(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *x = REAL(k->in[0]) + b * n;
        real *dx = REAL(k->out[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        double sum, top = largest(x, n, &sum), dy = label < 0 || label >= n ? NAN : (double)REAL(k->in[2])[b];
        for (int64_t j = 0; j < n; j++)
            dx[j] = (real)(dy * (exp(x[j] - top) / sum - (j == label)));
    }
}

KERNEL(softmax_cross_entropy, reference) = {.run = softmax_cross_entropy};
KERNEL(softmax_cross_entropy_grad, reference) = {.run = softmax_cross_entropy_grad};
