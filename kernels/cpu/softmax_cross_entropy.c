/* softmax_cross_entropy.c - a thread a row; the gradient writes the exponentials into dx and scales them there.
 *   bound   arithmetic: an exponential an element, about 20 operations */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/softmax.h"

static void softmax_cross_entropy(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *x = FLOATS(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        float top = softmax_top(x, n);
        FLOATS(k->out[0])[b] = label < 0 || label >= n ? NAN
                               : (float)(log(softmax_exponentials(x, n, top, NULL)) + ((double)top - x[label]));
    }
}

static void softmax_cross_entropy_grad(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *x = FLOATS(k->in[0]) + b * n;
        float *dx = FLOATS(k->out[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        bool bad = label < 0 || label >= n;
        double sum = softmax_exponentials(x, n, softmax_top(x, n), dx);
        float dy = bad ? NAN : FLOATS(k->in[2])[b], scale = (float)(dy / sum);
        double own = bad ? 0 : dx[label] / sum;
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dx[j] *= scale;
        if (!bad)
            dx[label] = (float)(dy * (own - 1));
    }
}

KERNEL(softmax_cross_entropy, cpu) = {.run = softmax_cross_entropy};
KERNEL(softmax_cross_entropy_grad, cpu) = {.run = softmax_cross_entropy_grad, .inplace = inplace_first};
