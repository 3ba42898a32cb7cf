/* arcface_cross_entropy.c - the definition: the margin's logits, their cross-entropy, and its gradient. */
#include "engine/ops/arcface.h"

#include "engine/ops/arcface_rule.h"
#include "kernels/reference/reference.h"

static double logit(const ArcfaceAttrs *a, const real *cosine, int64_t j, int64_t label)
{
    return (double)a->s * (j == label ? arcface_true(cosine[j], a->m) : (double)cosine[j]);
}

static void arcface_cross_entropy(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *cosine = REAL(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        double top = logit(a, cosine, 0, label), sum = 0;
        for (int64_t j = 1; j < n; j++)
            top = fmax(top, logit(a, cosine, j, label));
        for (int64_t j = 0; j < n; j++)
            sum += exp(logit(a, cosine, j, label) - top);
        bool bad = label < 0 || label >= n;
        REAL(k->out[0])[b] = bad ? (real)NAN : (real)(log(sum) + (top - logit(a, cosine, label, label)));
        REAL(k->out[1])[2 * b] = (real)top;
        REAL(k->out[1])[2 * b + 1] = (real)sum;
    }
}

static void arcface_cross_entropy_grad(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
    for (int64_t b = 0; b < batch; b++) {
        const real *cosine = REAL(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        double top = REAL(k->in[2])[2 * b], sum = REAL(k->in[2])[2 * b + 1];
        double dy = label < 0 || label >= n ? NAN : (double)REAL(k->in[3])[b];
        for (int64_t j = 0; j < n; j++) {
            double slope = j == label && !a->easy_gradient ? arcface_slope(cosine[j], a->m) : 1;
            double p = exp(logit(a, cosine, j, label) - top) / sum;
            REAL(k->out[0])[b * n + j] = (real)((double)a->s * slope * dy * (p - (j == label)));
        }
    }
}

KERNEL(arcface_cross_entropy, reference) = {.run = arcface_cross_entropy};
KERNEL(arcface_cross_entropy_grad, reference) = {.run = arcface_cross_entropy_grad};
