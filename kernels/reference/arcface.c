/* arcface.c - the definition of the margin and its gradients. */
#include "engine/ops/arcface.h"

#include "engine/ops/arcface_rule.h"
#include "kernels/reference/reference.h"

static void arcface_margin(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *cosine = REAL(k->in[0]) + b * n;
        real *y = REAL(k->out[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        for (int64_t j = 0; j < n; j++)
            y[j] = (real)((double)a->s * (j == label ? arcface_true(cosine[j], a->m) : (double)cosine[j]));
    }
}

static void arcface_margin_grad(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *cosine = REAL(k->in[0]) + b * n, *dy = REAL(k->in[2]) + b * n;
        real *dcosine = REAL(k->out[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        for (int64_t j = 0; j < n; j++) {
            double slope = j == label && !a->easy_gradient ? arcface_slope(cosine[j], a->m) : 1;
            dcosine[j] = (real)((double)a->s * slope * dy[j]);
        }
    }
}

KERNEL(arcface_margin, reference) = {.run = arcface_margin};
KERNEL(arcface_margin_grad, reference) = {.run = arcface_margin_grad};
