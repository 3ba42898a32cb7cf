/* conv2d.cu - the convolutions themselves are the device maker's (vendor.h); here are formats, padding and bias.
 *
 * Products run on tensor cores when channels lie last in whole groups of 4 floats (TF32) or 8 bfloat16.  A side of the
 * convolution whose channels are whole groups is taken and given in NHWC or NHWC_BF16, weights and their gradient
 * too: (F,C,KH,KW) channels last is the (F,KH,KW,C) that the library wants, so the plan reorders a weight once for all
 * who read it.  Another side (pictures of 3 channels) is any float and is padded with channels of zeros on its way
 * into or out of the workspace.  In FP32 nothing is gained by padding: one odd side makes all of it plain, as groups
 * do.
 * Algorithms are cuDNN's numbers.  What comes behind the sums (bias, a value added, ReLU) is cuDNN's own epilogue
 * where it offers one, and otherwise a launch over y.
 *   launch  epilogue: a thread 16 bytes of y, 256 a block; padding: reorder.cu
 *   bound   epilogue: memory, 8 bytes an element of y, 12 with a value added; half of that in bfloat16 */
#include "kernels/cuda/reorder.h"
#include "kernels/cuda/vector.h"

#include <stdlib.h>

#include "engine/ops/conv2d.h"
#include "kernels/cuda/vendor.h"

namespace {

/* What comes behind the sums; b, one a filter, and added, of y's format, may be null. */
struct Epilogue {
    const float *b;
    const void *added;
    bool relu;
};

/* No number stays none. */
__device__ inline float rectified(float z, bool relu)
{
    return relu && z <= 0 ? 0 : z;
}

/* Over rows of channels; V divides them. */
template <int V, typename T>
__global__ void conv2d_epilogue_rows_kernel(T *y, Epilogue e, int channels, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    float v[V], more[V] = {};
    int c = (int)(i % channels);
    load(y + i, v);
    if (e.added)
        load((const T *)e.added + i, more);
#pragma unroll
    for (int l = 0; l < V; l++)
        v[l] = rectified(v[l] + (e.b ? e.b[c + l] : 0) + more[l], e.relu);
    store(y + i, v);
}

/* Where a channel is a plane of pixels. */
__global__ void conv2d_epilogue_planes_kernel(float *y, Epilogue e, int64_t channels, int64_t pixels, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    float z = y[i] + (e.b ? e.b[i / pixels % channels] : 0);
    y[i] = rectified(e.added ? z + ((const float *)e.added)[i] : z, e.relu);
}

template <typename T>
void epilogue_rows(cudaStream_t stream, T *y, Epilogue e, int channels, int64_t n)
{
    constexpr int V = LANES_OF<T>;
    if (channels % V == 0 && vectors_fit<V>(y) && vectors_fit<V>((const T *)e.added))
        LAUNCH((conv2d_epilogue_rows_kernel<V, T>), cuda_grid(n / V), CUDA_BLOCK, 0, stream, y, e, channels, n);
    else
        LAUNCH((conv2d_epilogue_rows_kernel<1, T>), cuda_grid(n), CUDA_BLOCK, 0, stream, y, e, channels, n);
}

void epilogue_by_hand(cudaStream_t stream, const Tensor *y, Epilogue e)
{
    int64_t n = shape_count(y->shape), channels = y->shape.dim[1], pixels = y->shape.dim[2] * y->shape.dim[3];
    if (y->format == NHWC_BF16)
        epilogue_rows(stream, HALVES(*y), e, (int)channels, n);
    else if (y->format == NHWC)
        epilogue_rows(stream, FLOATS(*y), e, (int)channels, n);
    else
        LAUNCH(conv2d_epilogue_planes_kernel, cuda_grid(n), CUDA_BLOCK, 0, stream, FLOATS(*y), e, channels, pixels, n);
}

/* ---------------------------------------------------------------- sides */
enum { X, W, Y, SIDES };

/* A tensor as the library sees it: itself, or padded in the workspace. */
struct Side {
    bool staged;
    size_t at, bytes;                        /* in the workspace, if staged */
    int64_t images, pixels, channels;        /* logical; of w: filters, taps, channels of a group */
    int64_t padded_images, padded_channels;
};

struct CudaConv {
    VendorPlan *plan;
    bool half;
    Side side[SIDES];
    size_t bias_at;                          /* in the workspace: the bias in bfloat16, where the library adds it */
};

/* Channels of a group of 16 bytes. */
int64_t lanes_of(Precision p)
{
    return p == PRECISION_BF16 ? 8 : p == PRECISION_TF32 ? 4 : 1;
}

int64_t padded(int64_t n, int64_t lanes)
{
    return (n + lanes - 1) / lanes * lanes;
}

/* What products of a call are made in: groups and what lies plain stay float. */
Precision products(Precision asked, int64_t groups)
{
    return groups > 1 && asked == PRECISION_BF16 ? PRECISION_TF32 : asked;
}

/* Plain throughout: in FP32 with an odd side, and with groups. */
bool all_plain(Precision p, const ConvShape *s)
{
    return s->groups > 1 || (p == PRECISION_FP32 && (s->channels % 4 || s->filters % 4));
}

void conv_release(KernelCall *k)
{
    CudaConv *c = (CudaConv *)k->state;
    if (!c)
        return;
    vendor_conv_free(c->plan);
    free(c);
    k->state = NULL;
}

/* Where so many bytes more begin in the workspace. */
size_t reserve(size_t *workspace, size_t bytes)
{
    size_t at = (*workspace + 255) / 256 * 256;
    *workspace = at + bytes;
    return at;
}

void make_side(CudaConv *c, int which, const Tensor *t, int64_t lanes, size_t *workspace)
{
    Side *s = &c->side[which];
    s->images = t->shape.dim[0];
    s->channels = t->shape.dim[1];
    s->pixels = t->shape.dim[2] * t->shape.dim[3];
    s->padded_channels = padded(s->channels, lanes);
    s->padded_images = which == W ? padded(s->images, lanes) : s->images;
    bool as_it_is = format_half(t->format) == c->half && (format_layout(t->format) == NHWC || s->pixels == 1);
    s->staged = !as_it_is || s->padded_channels != s->channels || s->padded_images != s->images;
    if (!s->staged)
        return;
    s->bytes = (size_t)(s->padded_images * s->padded_channels * s->pixels) * (c->half ? 2 : 4);
    s->at = reserve(workspace, s->bytes);
}

/* The bias of the two ops that may have one. */
const Tensor *bias_of(const KernelCall *k)
{
    return k->nin > 2 && tensor_here(&k->in[2]) ? &k->in[2] : nullptr;
}

int conv_prepare(KernelCall *k, VendorDirection direction, const Tensor *x, const Tensor *w, const Tensor *y)
{
    ConvShape s = conv2d_shape((const Conv2dAttrs *)k->attrs, x->shape, w->shape, y->shape);
    Precision precision = products(k->precision, s.groups);
    bool plain = all_plain(precision, &s);
    int64_t lanes = plain ? 1 : lanes_of(precision);
    int64_t channels = padded(s.channels, lanes), filters = padded(s.filters, lanes);
    int64_t x_elements = s.batch * channels * s.height * s.width, taps = s.kernel_h * s.kernel_w;
    int64_t y_elements = s.batch * filters * s.out_height * s.out_width;
    if (x_elements > INT32_MAX || y_elements > INT32_MAX || filters * (channels / s.groups) * taps > INT32_MAX)
        return fail("%s: an operand has more than 2^31 elements: use a smaller batch", k->name);
    CudaConv *c = (CudaConv *)must_zalloc(sizeof *c);
    VendorConv v = {};
    k->state = c;
    k->state_bytes = sizeof *c;
    v.batch = (int)s.batch;
    v.channels = (int)channels;
    v.height = (int)s.height;
    v.width = (int)s.width;
    v.filters = (int)filters;
    v.out_height = (int)s.out_height;
    v.out_width = (int)s.out_width;
    v.kernel_h = (int)s.kernel_h;
    v.kernel_w = (int)s.kernel_w;
    v.stride = (int)s.stride;
    v.padding_h = (int)s.padding_h;
    v.padding_w = (int)s.padding_w;
    v.dilation = (int)s.dilation;
    v.groups = (int)s.groups;
    v.nhwc = !plain;
    v.deterministic = engine_deterministic_now();
    v.precision = precision;
    v.direction = direction;
    c->plan = vendor_conv_create(&v, k->tuning, k->chosen);
    if (!c->plan) {
        conv_release(k);
        return fail_in("%s", k->name);
    }
    c->half = precision == PRECISION_BF16;
    k->workspace_bytes = vendor_conv_workspace(c->plan);
    if (!plain) {
        make_side(c, X, x, lanes, &k->workspace_bytes);
        make_side(c, W, w, lanes, &k->workspace_bytes);
        make_side(c, Y, y, lanes, &k->workspace_bytes);
    }
    if (c->half && direction == VENDOR_FORWARD && bias_of(k))
        c->bias_at = reserve(&k->workspace_bytes, (size_t)filters * sizeof(bf16));
    return 0;
}

ReorderSide staged_side(const KernelCall *k, const CudaConv *c, const Side *s)
{
    return ReorderSide{(char *)k->workspace + s->at, true, c->half, s->padded_channels};
}

/* Where the library reads an operand. */
const void *enter(KernelCall *k, const CudaConv *c, int which, const Tensor *t)
{
    const Side *s = &c->side[which];
    if (!s->staged)
        return t->data;
    ReorderSide to = staged_side(k, c, s);
    size_t filled = s->bytes / (size_t)s->padded_images * (size_t)s->images;
    reorder_run(cuda_stream(k), to, reorder_side(t), s->images, s->pixels);
    if (filled < s->bytes)
        k->device->fill(k->device, (char *)to.data + filled, 0, s->bytes - filled);
    return to.data;
}

/* The epilogue as the library takes it. */
VendorEpilogue in_library(KernelCall *k, const CudaConv *c, const Epilogue &e)
{
    VendorEpilogue v = {e.b, e.added, e.relu};
    if (!c->half)
        return v;
    int64_t filters = c->side[Y].padded_channels;
    ReorderSide to = {(char *)k->workspace + c->bias_at, true, true, filters};
    reorder_run(cuda_stream(k), to, ReorderSide{(void *)e.b, true, false, filters}, 1, 1);
    v.bias = to.data;
    return v;
}

void conv_run(KernelCall *k, const CudaConv *c, int first, int second, int result, bool relu)
{
    const void *a = enter(k, c, first, &k->in[0]), *b = enter(k, c, second, &k->in[1]);
    const Side *s = &c->side[result];
    void *to = s->staged ? (char *)k->workspace + s->at : k->out[0].data;
    const Tensor *bias = bias_of(k);
    Epilogue e = {bias ? FLOATS(*bias) : nullptr,
                  relu && k->nin > 3 && tensor_here(&k->in[3]) ? k->in[3].data : nullptr, relu};
    bool here = e.b && result == Y && !s->staged && vendor_conv_offers(c->plan, relu);
    VendorEpilogue v = here ? in_library(k, c, e) : VendorEpilogue{};
    int status = vendor_conv_run(cuda_stream(k), c->plan, a, b, to, k->workspace, here ? &v : nullptr);
    if (status < 0)
        die("%s (%s): %s", k->op->name, k->name, error_text());
    if (s->staged)
        reorder_run(cuda_stream(k), reorder_side(&k->out[0]), staged_side(k, c, s), s->images, s->pixels);
    if ((e.b || e.added || e.relu) && (!here || status == VENDOR_BARE))
        epilogue_by_hand(cuda_stream(k), &k->out[0], e);
}

/* ---------------------------------------------------------------- the ops */
void run_forward(KernelCall *k)
{
    conv_run(k, (const CudaConv *)k->state, X, W, Y, false);
}

void run_relu(KernelCall *k)
{
    conv_run(k, (const CudaConv *)k->state, X, W, Y, true);
}

void run_transpose(KernelCall *k)
{
    conv_run(k, (const CudaConv *)k->state, Y, W, X, false);
}

void run_weights(KernelCall *k)
{
    conv_run(k, (const CudaConv *)k->state, X, Y, W, false);
}

int prepare_forward(KernelCall *k)
{
    return conv_prepare(k, VENDOR_FORWARD, &k->in[0], &k->in[1], &k->out[0]);
}

int prepare_transpose(KernelCall *k)
{
    return conv_prepare(k, VENDOR_BACKWARD_DATA, &k->out[0], &k->in[1], &k->in[0]);
}

int prepare_weights(KernelCall *k)
{
    return conv_prepare(k, VENDOR_BACKWARD_WEIGHTS, &k->in[0], &k->out[0], &k->in[1]);
}

/* Of the operands and the result that are x, w and y; an odd operand stays as it comes if that is float. */
void choose_formats(const FormatChoice *f, Format *x, Format *w, Format *y, const ConvShape *s)
{
    Precision precision = products(f->precision, s->groups);
    if (all_plain(precision, s)) {
        *x = *w = *y = PLAIN;
        return;
    }
    int64_t lanes = lanes_of(precision);
    Format whole = precision == PRECISION_BF16 ? NHWC_BF16 : NHWC;
    bool same = s->kernel_h * s->kernel_w == 1 && whole == NHWC;   /* one tap: plain is channels last */
    *x = s->channels % lanes == 0 ? whole : format_layout(*x);
    *y = s->filters % lanes == 0 ? whole : format_layout(*y);
    *w = s->channels % lanes || s->filters % lanes || same ? PLAIN : whole;
}

void formats_forward(FormatChoice *f)
{
    ConvShape s = conv2d_shape((const Conv2dAttrs *)f->attrs, f->in_shape[0], f->in_shape[1], f->out_shape[0]);
    choose_formats(f, &f->in[0], &f->in[1], &f->out[0], &s);
    if (f->nin > 3)
        f->in[3] = f->out[0];   /* what conv2d_relu adds */
}

void formats_transpose(FormatChoice *f)
{
    ConvShape s = conv2d_shape((const Conv2dAttrs *)f->attrs, f->out_shape[0], f->in_shape[1], f->in_shape[0]);
    choose_formats(f, &f->out[0], &f->in[1], &f->in[0], &s);
}

void formats_weights(FormatChoice *f)
{
    ConvShape s = conv2d_shape((const Conv2dAttrs *)f->attrs, f->in_shape[0], f->out_shape[0], f->in_shape[1]);
    choose_formats(f, &f->in[0], &f->out[0], &f->in[1], &s);
}

}   // namespace

KERNEL(conv2d, cuda) = {
    .run = run_forward, .prepare = prepare_forward, .release = conv_release, .formats = formats_forward,
    .halves = true, .algorithms = "0 1 2 3 4 5 6 7",
};
KERNEL(conv2d_relu, cuda) = {
    .run = run_relu, .prepare = prepare_forward, .release = conv_release, .formats = formats_forward,
    .halves = true, .algorithms = "0 1 2 3 4 5 6 7",
};
KERNEL(conv_transpose2d, cuda) = {
    .run = run_transpose, .prepare = prepare_transpose, .release = conv_release, .formats = formats_transpose,
    .halves = true, .algorithms = "0 1 2 3 4 5",
};
KERNEL(conv2d_weight_grad, cuda) = {
    .run = run_weights, .prepare = prepare_weights, .release = conv_release, .formats = formats_weights,
    .halves = true, .algorithms = "0 1 2 3 4 5 6",
};
