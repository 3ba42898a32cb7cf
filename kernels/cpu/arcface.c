/* arcface.c - scales a row and then sets the element of its label.
 *   bound   memory: 8 bytes an element, forward and backward (the gradient reads one cosine a row) */
#include "engine/ops/arcface.h"

#include "engine/ops/arcface_rule.h"
#include "kernels/cpu/cpu.h"

static void arcface_margin(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *cosine = FLOATS(k->in[0]) + b * n;
        float *y = FLOATS(k->out[0]) + b * n, s = a->s;
        int64_t label = INT(k->in[1])[b];
        bool good = label >= 0 && label < n;
        double own = good ? arcface_true(cosine[label], a->m) : 0;
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            y[j] = s * cosine[j];
        if (good)
            y[label] = (float)(s * own);
    }
}

static void arcface_margin_grad(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *dy = FLOATS(k->in[2]) + b * n;
        float *dcosine = FLOATS(k->out[0]) + b * n, s = a->s;
        int64_t label = INT(k->in[1])[b];
        bool exact = label >= 0 && label < n && !a->easy_gradient;
        double own = exact ? arcface_slope(FLOATS(k->in[0])[b * n + label], a->m) * dy[label] : 0;
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dcosine[j] = s * dy[j];
        if (exact)
            dcosine[label] = (float)(s * own);
    }
}

/* dcosine may take the buffer of dy. */
static int inplace_dy(const KernelCall *k, int result)
{
    (void)k;
    return result == 0 ? 2 : -1;
}

KERNEL(arcface_margin, cpu) = {.run = arcface_margin, .inplace = inplace_first};
KERNEL(arcface_margin_grad, cpu) = {.run = arcface_margin_grad, .inplace = inplace_dy};
