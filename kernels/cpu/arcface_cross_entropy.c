/* arcface_cross_entropy.c - a thread a row, whose logits are made in parts that stay in the first-level cache, once for
 * the largest and once for the exponentials.
 *   bound   arithmetic: an exponential an element, about 20 operations, forward and backward */
#include "engine/ops/arcface.h"

#include "engine/ops/arcface_rule.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/softmax.h"

/* Logits [from, end) of a row; `own` is the one of the label. */
static void logits(float *z, const float *cosine, int64_t from, int64_t end, float s, int64_t label, float own)
{
#pragma omp simd
    for (int64_t j = from; j < end; j++)
        z[j - from] = s * cosine[j];
    if (label >= from && label < end)
        z[label - from] = own;
}

static float own_logit(const ArcfaceAttrs *a, const float *cosine, int64_t n, int64_t label)
{
    return label < 0 || label >= n ? NAN : (float)(a->s * arcface_true(cosine[label], a->m));
}

static int64_t part_end(int64_t from, int64_t n)
{
    return n - from < SOFTMAX_PART ? n : from + SOFTMAX_PART;
}

static void arcface_cross_entropy(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *cosine = FLOATS(k->in[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        float z[SOFTMAX_PART], own = own_logit(a, cosine, n, label), top = -INFINITY;
        double sum = 0;
        for (int64_t from = 0; from < n; from += SOFTMAX_PART) {
            int64_t end = part_end(from, n);
            logits(z, cosine, from, end, a->s, label, own);
            float most = softmax_top(z, end - from);
            top = most > top ? most : top;
        }
        for (int64_t from = 0; from < n; from += SOFTMAX_PART) {
            int64_t end = part_end(from, n);
            if (n > SOFTMAX_PART)
                logits(z, cosine, from, end, a->s, label, own);
            sum += softmax_exponentials(z, end - from, top, NULL);
        }
        FLOATS(k->out[0])[b] = (float)(log(sum) + ((double)top - own));
        FLOATS(k->out[1])[2 * b] = top;
        FLOATS(k->out[1])[2 * b + 1] = (float)sum;
    }
}

static void arcface_cross_entropy_grad(KernelCall *k)
{
    const ArcfaceAttrs *a = k->attrs;
    int64_t batch = k->in[0].shape.dim[0], n = k->in[0].shape.dim[1];
#pragma omp parallel for if (batch * n > CPU_SERIAL)
    for (int64_t b = 0; b < batch; b++) {
        const float *cosine = FLOATS(k->in[0]) + b * n, *row = FLOATS(k->in[2]) + 2 * b;
        float *dcosine = FLOATS(k->out[0]) + b * n;
        int64_t label = INT(k->in[1])[b];
        bool bad = label < 0 || label >= n;
        float dy = bad ? NAN : FLOATS(k->in[3])[b], top = row[0], scale = dy / row[1], s = a->s;
        float own = own_logit(a, cosine, n, label);
        double p = exp((double)own - top) / row[1];
        double slope = bad || a->easy_gradient ? 1 : arcface_slope(cosine[label], a->m);
#pragma omp simd
        for (int64_t j = 0; j < n; j++)
            dcosine[j] = s * (vm_exp(s * cosine[j] - top) * scale);
        if (!bad)
            dcosine[label] = (float)(s * slope * (dy * (p - 1)));
    }
}

KERNEL(arcface_cross_entropy, cpu) = {.run = arcface_cross_entropy};
KERNEL(arcface_cross_entropy_grad, cpu) = {.run = arcface_cross_entropy_grad, .inplace = inplace_first};
