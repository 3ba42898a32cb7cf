/* conv2d.c - the definition: which pixel of x meets which pixel of y under which tap, and three sums over that. */
#include "engine/ops/conv2d.h"

#include "kernels/reference/reference.h"

/* Offset of the pixel of x (within its plane) that tap (ky, kx) of window (oy, ox) sees; -1: padding. */
static int64_t seen(const ConvShape *c, int64_t oy, int64_t ox, int64_t ky, int64_t kx)
{
    int64_t y = oy * c->stride - c->padding_h + ky * c->dilation;
    int64_t x = ox * c->stride - c->padding_w + kx * c->dilation;
    return y < 0 || y >= c->height || x < 0 || x >= c->width ? -1 : y * c->width + x;
}

static void conv2d(KernelCall *k)
{
    ConvShape c = conv2d_shape(k->attrs, k->in[0].shape, k->in[1].shape, k->out[0].shape);
    const real *x = REAL(k->in[0]), *w = REAL(k->in[1]), *bias = k->nin > 2 ? REAL(k->in[2]) : NULL;
    real *y = REAL(k->out[0]);
    int64_t group_c = c.channels / c.groups, group_f = c.filters / c.groups, plane = c.height * c.width;
    for (int64_t b = 0; b < c.batch; b++)
        for (int64_t f = 0; f < c.filters; f++)
            for (int64_t oy = 0; oy < c.out_height; oy++)
                for (int64_t ox = 0; ox < c.out_width; ox++) {
                    double sum = bias ? bias[f] : 0;
                    for (int64_t i = 0; i < group_c; i++)
                        for (int64_t ky = 0; ky < c.kernel_h; ky++)
                            for (int64_t kx = 0; kx < c.kernel_w; kx++) {
                                int64_t at = seen(&c, oy, ox, ky, kx), channel = f / group_f * group_c + i;
                                if (at >= 0)
                                    sum += (double)x[(b * c.channels + channel) * plane + at] *
                                           w[((f * group_c + i) * c.kernel_h + ky) * c.kernel_w + kx];
                            }
                    *y++ = (real)sum;
                }
}

static void conv2d_relu(KernelCall *k)
{
    const real *added = k->nin > 3 ? REAL(k->in[3]) : NULL;
    real *y = REAL(k->out[0]);
    conv2d(k);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        real z = y[i] + (added ? added[i] : 0);
        y[i] = z <= 0 ? 0 : z;
    }
}

/* For each result pixel the windows that see it: (y + padding - dilation k) / stride where that is whole. */
static void conv_transpose2d(KernelCall *k)
{
    ConvShape c = conv2d_shape(k->attrs, k->out[0].shape, k->in[1].shape, k->in[0].shape);
    const real *x = REAL(k->in[0]), *w = REAL(k->in[1]), *bias = k->nin > 2 ? REAL(k->in[2]) : NULL;
    real *y = REAL(k->out[0]);
    int64_t group_c = c.channels / c.groups, group_f = c.filters / c.groups;
    for (int64_t b = 0; b < c.batch; b++)
        for (int64_t ch = 0; ch < c.channels; ch++)
            for (int64_t py = 0; py < c.height; py++)
                for (int64_t px = 0; px < c.width; px++) {
                    double sum = bias ? bias[ch] : 0;
                    for (int64_t ky = 0; ky < c.kernel_h; ky++)
                        for (int64_t kx = 0; kx < c.kernel_w; kx++) {
                            int64_t oy = py + c.padding_h - ky * c.dilation, ox = px + c.padding_w - kx * c.dilation;
                            if (oy < 0 || ox < 0 || oy % c.stride || ox % c.stride)
                                continue;
                            oy /= c.stride;
                            ox /= c.stride;
                            if (oy >= c.out_height || ox >= c.out_width)
                                continue;
                            for (int64_t i = 0; i < group_f; i++) {
                                int64_t f = ch / group_c * group_f + i;
                                sum += (double)x[((b * c.filters + f) * c.out_height + oy) * c.out_width + ox] *
                                       w[((f * group_c + ch % group_c) * c.kernel_h + ky) * c.kernel_w + kx];
                            }
                        }
                    *y++ = (real)sum;
                }
}

static void conv2d_weight_grad(KernelCall *k)
{
    ConvShape c = conv2d_shape(k->attrs, k->in[0].shape, k->out[0].shape, k->in[1].shape);
    const real *x = REAL(k->in[0]), *dy = REAL(k->in[1]);
    real *dw = REAL(k->out[0]);
    int64_t group_c = c.channels / c.groups, group_f = c.filters / c.groups, plane = c.height * c.width;
    for (int64_t f = 0; f < c.filters; f++)
        for (int64_t i = 0; i < group_c; i++)
            for (int64_t ky = 0; ky < c.kernel_h; ky++)
                for (int64_t kx = 0; kx < c.kernel_w; kx++) {
                    double sum = 0;
                    for (int64_t b = 0; b < c.batch; b++)
                        for (int64_t oy = 0; oy < c.out_height; oy++)
                            for (int64_t ox = 0; ox < c.out_width; ox++) {
                                int64_t at = seen(&c, oy, ox, ky, kx), channel = f / group_f * group_c + i;
                                if (at >= 0)
                                    sum += (double)x[(b * c.channels + channel) * plane + at] *
                                           dy[((b * c.filters + f) * c.out_height + oy) * c.out_width + ox];
                            }
                    *dw++ = (real)sum;
                }
}

KERNEL(conv2d, reference) = {.run = conv2d};
KERNEL(conv2d_relu, reference) = {.run = conv2d_relu};
KERNEL(conv_transpose2d, reference) = {.run = conv_transpose2d};
KERNEL(conv2d_weight_grad, reference) = {.run = conv2d_weight_grad};
