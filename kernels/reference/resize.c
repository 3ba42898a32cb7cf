/* resize.c - the definition: every result pixel reads its pixels; every gradient is handed back along the same way. */
#include "engine/ops/resize.h"

#include "engine/ops/resize_rule.h"
#include "kernels/reference/reference.h"

static double weight(ResizeKind kind, int o, int i, int in, int out)
{
    ResizeFraction w = resize_weight(kind, o, i, in, out);
    return (double)w.above / w.below;
}

static void resize(KernelCall *k, ResizeKind kind)
{
    const int64_t *xd = k->in[0].shape.dim, *yd = k->out[0].shape.dim;
    int H = (int)xd[2], W = (int)xd[3], OH = (int)yd[2], OW = (int)yd[3];
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t plane = 0; plane < xd[0] * xd[1]; plane++, x += (int64_t)H * W)
        for (int oy = 0; oy < OH; oy++)
            for (int ox = 0; ox < OW; ox++) {
                ResizeRange ry = resize_reads(kind, oy, H, OH), rx = resize_reads(kind, ox, W, OW);
                double sum = 0;
                for (int iy = ry.first; iy < ry.end; iy++)
                    for (int ix = rx.first; ix < rx.end; ix++)
                        sum += weight(kind, oy, iy, H, OH) * weight(kind, ox, ix, W, OW) * (double)x[iy * W + ix];
                *y++ = (real)sum;
            }
}

/* The workspace holds one plane of dx in double. */
static int resize_grad_prepare(KernelCall *k)
{
    k->workspace_bytes = (size_t)(k->out[0].shape.dim[2] * k->out[0].shape.dim[3]) * sizeof(double);
    return 0;
}

static void resize_grad(KernelCall *k, ResizeKind kind)
{
    const int64_t *yd = k->in[0].shape.dim, *xd = k->out[0].shape.dim;
    int H = (int)xd[2], W = (int)xd[3], OH = (int)yd[2], OW = (int)yd[3];
    const real *dy = REAL(k->in[0]);
    real *dx = REAL(k->out[0]);
    double *sum = k->workspace;
    for (int64_t plane = 0; plane < xd[0] * xd[1]; plane++) {
        memset(sum, 0, (size_t)H * (size_t)W * sizeof *sum);
        for (int oy = 0; oy < OH; oy++)
            for (int ox = 0; ox < OW; ox++, dy++) {
                ResizeRange ry = resize_reads(kind, oy, H, OH), rx = resize_reads(kind, ox, W, OW);
                for (int iy = ry.first; iy < ry.end; iy++)
                    for (int ix = rx.first; ix < rx.end; ix++)
                        sum[iy * W + ix] += weight(kind, oy, iy, H, OH) * weight(kind, ox, ix, W, OW) * (double)*dy;
            }
        for (int i = 0; i < H * W; i++)
            *dx++ = (real)sum[i];
    }
}

static ResizeKind bilinear_kind(const KernelCall *k)
{
    return ((const ResizeAttrs *)k->attrs)->align_corners ? RESIZE_CORNERS : RESIZE_BILINEAR;
}

static void nearest(KernelCall *k) { resize(k, RESIZE_NEAREST); }
static void nearest_grad(KernelCall *k) { resize_grad(k, RESIZE_NEAREST); }
static void area(KernelCall *k) { resize(k, RESIZE_AREA); }
static void area_grad(KernelCall *k) { resize_grad(k, RESIZE_AREA); }
static void bilinear(KernelCall *k) { resize(k, bilinear_kind(k)); }
static void bilinear_grad(KernelCall *k) { resize_grad(k, bilinear_kind(k)); }

KERNEL(resize_nearest, reference) = {.run = nearest};
KERNEL(resize_nearest_grad, reference) = {.run = nearest_grad, .prepare = resize_grad_prepare};
KERNEL(resize_area, reference) = {.run = area};
KERNEL(resize_area_grad, reference) = {.run = area_grad, .prepare = resize_grad_prepare};
KERNEL(resize_bilinear, reference) = {.run = bilinear};
KERNEL(resize_bilinear_grad, reference) = {.run = bilinear_grad, .prepare = resize_grad_prepare};
