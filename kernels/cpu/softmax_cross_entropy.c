/* softmax_cross_entropy.c - a thread a row; the gradient writes the exponentials into dx and scales them there.
 *   bound   arithmetic: an exponential an element, about 20 operations */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vector_math.h"

enum { PART = 4096 };   /* floats are added up in parts of this size, parts in double */

static float largest(const float *x, int64_t n)
{
    enum { LANES = 16 };
    float top[LANES];
    int64_t j = 0;
    for (int l = 0; l < LANES; l++)
        top[l] = x[0];
    for (; j + LANES <= n; j += LANES)
#pragma omp simd
        for (int l = 0; l < LANES; l++)
            top[l] = x[j + l] > top[l] ? x[j + l] : top[l];
    for (; j < n; j++)
        top[0] = x[j] > top[0] ? x[j] : top[0];
    for (int l = 1; l < LANES; l++)
        top[0] = top[l] > top[0] ? top[l] : top[0];
    return top[0];
}

/* Sum of exp(x - top), which also go to e unless it is NULL; e may be x. */
static double exponentials(const float *x, int64_t n, float top, float *e)
{
    double sum = 0;
    for (int64_t from = 0; from < n; from += PART) {
        int64_t end = n - from < PART ? n : from + PART;
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

static void softmax_cross_entropy(KernelCall *k)
{
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *x = FLOATS(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        float top = largest(x, n);
        FLOATS(k->out[0])[b] = label < 0 || label >= n ? NAN
                               : (float)(log(exponentials(x, n, top, NULL)) + ((double)top - x[label]));
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
        double sum = exponentials(x, n, largest(x, n), dx);
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
