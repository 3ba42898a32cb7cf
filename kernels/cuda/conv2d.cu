/* conv2d.cu - the convolutions themselves are the device maker's (vendor.h); here are formats, packing and bias.
 * Activations are NHWC where channels on both sides are multiples of 4 and groups is 1, else plain; with NHWC,
 * weights (F,C/g,KH,KW) are packed to (F,KH,KW,C/g) in the workspace on every run, and their gradient back.
 *   launch  a thread an element, 256 a block
 *   bound   memory: packing 8 bytes an element of w; bias 8 bytes an element of y */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include <stdlib.h>

#include "engine/ops/conv2d.h"
#include "kernels/cuda/vendor.h"

/* w (f, c, tap) to packed (f, tap, c), or back. */
__global__ void conv2d_pack_kernel(const float *from, float *to, int64_t channels, int64_t taps, bool back, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    int64_t c = i % channels, tap = i / channels % taps, f = i / channels / taps;
    int64_t plain = (f * channels + c) * taps + tap;
    if (back)
        to[plain] = from[i];
    else
        to[i] = from[plain];
}

/* y += b, the channel being (i / inner) % channels: inner is 1 in NHWC, the pixels of a plane in plain. */
__global__ void conv2d_bias_kernel(float *y, const float *b, int64_t channels, int64_t inner, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] += b[i / inner % channels];
}

struct CudaConv {
    VendorPlan *plan;
    int64_t weights, group_channels, taps;
    bool pack;
    size_t at_w;                     /* of the packed weights in the workspace, behind the library's scratch */
};

static void conv_release(KernelCall *k)
{
    CudaConv *c = (CudaConv *)k->state;
    if (!c)
        return;
    vendor_conv_free(c->plan);
    free(c);
    k->state = NULL;
}

static int conv_prepare(KernelCall *k, VendorDirection direction, const Tensor *x, const Tensor *w, const Tensor *y)
{
    ConvShape s = conv2d_shape((const Conv2dAttrs *)k->attrs, x->shape, w->shape, y->shape);
    if (shape_count(x->shape) > INT32_MAX || shape_count(w->shape) > INT32_MAX || shape_count(y->shape) > INT32_MAX)
        return fail("%s: an operand has more than 2^31 elements: use a smaller batch", k->name);
    VendorConv v = {};
    v.batch = (int)s.batch;
    v.channels = (int)s.channels;
    v.height = (int)s.height;
    v.width = (int)s.width;
    v.filters = (int)s.filters;
    v.out_height = (int)s.out_height;
    v.out_width = (int)s.out_width;
    v.kernel_h = (int)s.kernel_h;
    v.kernel_w = (int)s.kernel_w;
    v.stride = (int)s.stride;
    v.padding_h = (int)s.padding_h;
    v.padding_w = (int)s.padding_w;
    v.dilation = (int)s.dilation;
    v.groups = (int)s.groups;
    v.nhwc = x->format == NHWC;
    v.tf32 = k->precision == PRECISION_TF32;
    v.direction = direction;
    CudaConv *c = (CudaConv *)must_zalloc(sizeof *c);
    k->state = c;
    k->state_bytes = sizeof *c;
    c->plan = vendor_conv_create(&v, k->tuning, k->chosen);
    if (!c->plan) {
        conv_release(k);
        return fail_in("%s", k->name);
    }
    c->weights = shape_count(w->shape);
    c->group_channels = s.channels / s.groups;
    c->taps = s.kernel_h * s.kernel_w;
    c->pack = v.nhwc && c->taps > 1;
    c->at_w = (vendor_conv_workspace(c->plan) + 255) / 256 * 256;
    k->workspace_bytes = c->at_w + (c->pack ? (size_t)c->weights * sizeof(float) : 0);
    return 0;
}

static void run(KernelCall *k, const CudaConv *c, const float *a, const float *b, float *result)
{
    if (vendor_conv_run(cuda_stream(k), c->plan, a, b, result, k->workspace))
        die("%s: %s", k->name, error_text());
}

/* conv2d and conv_transpose2d: the second operand is w. */
static void conv_run(KernelCall *k)
{
    const CudaConv *c = (const CudaConv *)k->state;
    const float *w = FLOATS(k->in[1]);
    float *y = FLOATS(k->out[0]);
    if (c->pack) {
        float *packed = (float *)((char *)k->workspace + c->at_w);
        LAUNCH(conv2d_pack_kernel, cuda_grid(c->weights), CUDA_BLOCK, 0, cuda_stream(k), w, packed, c->group_channels,
               c->taps, false, c->weights);
        w = packed;
    }
    run(k, c, FLOATS(k->in[0]), w, y);
    if (k->nin > 2 && tensor_here(&k->in[2])) {
        const Shape *s = &k->out[0].shape;
        int64_t n = shape_count(*s), inner = k->out[0].format == NHWC ? 1 : s->dim[2] * s->dim[3];
        LAUNCH(conv2d_bias_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), y, FLOATS(k->in[2]), s->dim[1], inner,
               n);
    }
}

static void weights_run(KernelCall *k)
{
    const CudaConv *c = (const CudaConv *)k->state;
    float *dw = FLOATS(k->out[0]), *packed = c->pack ? (float *)((char *)k->workspace + c->at_w) : dw;
    run(k, c, FLOATS(k->in[0]), FLOATS(k->in[1]), packed);
    if (c->pack)
        LAUNCH(conv2d_pack_kernel, cuda_grid(c->weights), CUDA_BLOCK, 0, cuda_stream(k), packed, dw,
               c->group_channels, c->taps, true, c->weights);
}

static int prepare_forward(KernelCall *k)
{
    return conv_prepare(k, VENDOR_FORWARD, &k->in[0], &k->in[1], &k->out[0]);
}

static int prepare_transpose(KernelCall *k)
{
    return conv_prepare(k, VENDOR_BACKWARD_DATA, &k->out[0], &k->in[1], &k->in[0]);
}

static int prepare_weights(KernelCall *k)
{
    return conv_prepare(k, VENDOR_BACKWARD_WEIGHTS, &k->in[0], &k->out[0], &k->in[1]);
}

static Format format_for(const FormatChoice *f, const Shape *a, const Shape *b)
{
    bool whole = a->dim[1] % 4 == 0 && b->dim[1] % 4 == 0;
    return whole && ((const Conv2dAttrs *)f->attrs)->groups == 1 ? NHWC : PLAIN;
}

static void formats_conv(FormatChoice *f)
{
    f->in[0] = f->out[0] = format_for(f, &f->in_shape[0], &f->out_shape[0]);
    f->in[1] = PLAIN;
}

static void formats_weights(FormatChoice *f)
{
    f->in[0] = f->in[1] = format_for(f, &f->in_shape[0], &f->in_shape[1]);
}

KERNEL(conv2d, cuda) = {
    .run = conv_run, .prepare = prepare_forward, .release = conv_release, .formats = formats_conv,
};
KERNEL(conv_transpose2d, cuda) = {
    .run = conv_run, .prepare = prepare_transpose, .release = conv_release, .formats = formats_conv,
};
KERNEL(conv2d_weight_grad, cuda) = {
    .run = weights_run, .prepare = prepare_weights, .release = conv_release, .formats = formats_weights,
};
