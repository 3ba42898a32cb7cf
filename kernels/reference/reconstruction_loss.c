/* reconstruction_loss.c - the definition. */
#include "engine/ops/reconstruction_loss.h"

#include "engine/ops/resize_rule.h"
#include "kernels/reference/reference.h"

/* The target's mean under element i of a picture of shape s. */
static double target_mean(const Tensor *target, Shape s, int64_t i)
{
    int H = (int)target->shape.dim[2], W = (int)target->shape.dim[3], h = (int)s.dim[2], w = (int)s.dim[3];
    const real *t = REAL(*target) + i / w / h * H * W;
    ResizeRange ry = resize_reads(RESIZE_AREA, (int)(i / w % h), H, h);
    ResizeRange rx = resize_reads(RESIZE_AREA, (int)(i % w), W, w);
    double sum = 0;
    for (int y = ry.first; y < ry.end; y++)
        for (int x = rx.first; x < rx.end; x++)
            sum += t[y * W + x];
    return sum / ((ry.end - ry.first) * (rx.end - rx.first));
}

static void reconstruction_loss(KernelCall *k)
{
    double loss = 0;
    for (int i = 1; i < k->nin; i++) {
        double sum = 0;
        for (int64_t e = 0, count = COUNT(k->in[i]); e < count; e++) {
            double d = target_mean(&k->in[0], k->in[i].shape, e) - REAL(k->in[i])[e];
            sum += d * d;
        }
        loss += reconstruction_weight(k->attrs, k->in[i].shape, k->nin - 1) * sum;
    }
    REAL(k->out[0])[0] = (real)loss;
}

static void reconstruction_loss_grad(KernelCall *k)
{
    for (int j = 0; j < k->nout; j++) {
        const Tensor *made = &k->in[2 + j];
        double by = 2 * reconstruction_weight(k->attrs, made->shape, k->nout) * REAL(k->in[1])[0];
        for (int64_t e = 0, count = COUNT(*made); e < count; e++)
            REAL(k->out[j])[e] = (real)(by * (REAL(*made)[e] - target_mean(&k->in[0], made->shape, e)));
    }
}

KERNEL(reconstruction_loss, reference) = {.run = reconstruction_loss};
KERNEL(reconstruction_loss_grad, reference) = {.run = reconstruction_loss_grad};
