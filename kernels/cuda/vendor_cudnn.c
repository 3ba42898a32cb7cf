/* vendor_cudnn.c - convolutions by cuDNN 9's convolution functions.  Never run without a GPU. */
#include <cudnn.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/vendor.h"

struct VendorPlan {
    VendorConv conv;
    cudnnTensorDescriptor_t x, y, bias;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t op;
    cudnnActivationDescriptor_t relu, identity;
    int algorithm;
    size_t workspace;
    bool bare;          /* cuDNN has refused an epilogue */
};

enum { DEVICES_MAX = 64, ALGORITHMS_MAX = 16 };
static cudnnHandle_t handles[DEVICES_MAX];   /* one a device, kept for the life of the process */
static const size_t WORKSPACE_MAX = (size_t)1 << 30;

static int check(cudnnStatus_t status, const char *what)
{
    char more[256] = "";
    if (status == CUDNN_STATUS_SUCCESS)
        return 0;
    cudnnGetLastErrorString(more, sizeof more);
    return fail("cuDNN: %s: %s%s%s", what, cudnnGetErrorString(status), *more ? ": " : "", more);
}

static cudnnHandle_t handle_here(void)
{
    int device;
    if (cudaGetDevice(&device) || device < 0 || device >= DEVICES_MAX) {
        fail("cuDNN: no current device");
        return NULL;
    }
    if (!handles[device] && check(cudnnCreate(&handles[device]), "starting"))
        handles[device] = NULL;
    return handles[device];
}

static int describe(VendorPlan *p)
{
    const VendorConv *c = &p->conv;
    cudnnTensorFormat_t format = c->nhwc ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
    cudnnDataType_t type = c->precision == PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    /* DEFAULT lets floats be rounded to TF32, FMA does not; TENSOR_OP is for what tensor cores take as it is. */
    cudnnMathType_t math = c->precision == PRECISION_BF16   ? CUDNN_TENSOR_OP_MATH
                           : c->precision == PRECISION_TF32 ? CUDNN_DEFAULT_MATH
                                                            : CUDNN_FMA_MATH;
    const char *what = "describing a convolution";
    return check(cudnnCreateTensorDescriptor(&p->x), what) || check(cudnnCreateTensorDescriptor(&p->y), what) ||
           check(cudnnCreateFilterDescriptor(&p->w), what) || check(cudnnCreateConvolutionDescriptor(&p->op), what) ||
           check(cudnnSetTensor4dDescriptor(p->x, format, type, c->batch, c->channels, c->height, c->width), what) ||
           check(cudnnSetTensor4dDescriptor(p->y, format, type, c->batch, c->filters, c->out_height, c->out_width),
                 what) ||
           check(cudnnSetFilter4dDescriptor(p->w, type, format, c->filters, c->channels / c->groups, c->kernel_h,
                                            c->kernel_w), what) ||
           check(cudnnSetConvolution2dDescriptor(p->op, c->padding_h, c->padding_w, c->stride, c->stride, c->dilation,
                                                 c->dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT), what) ||
           check(cudnnSetConvolutionGroupCount(p->op, c->groups), what) ||
           check(cudnnSetConvolutionMathType(p->op, math), what);
}

/* What epilogues need; a bias is of y's type and lies as one pixel. */
static int describe_epilogue(VendorPlan *p)
{
    const VendorConv *c = &p->conv;
    cudnnTensorFormat_t format = c->nhwc ? CUDNN_TENSOR_NHWC : CUDNN_TENSOR_NCHW;
    cudnnDataType_t type = c->precision == PRECISION_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    const char *what = "describing an epilogue";
    return check(cudnnCreateTensorDescriptor(&p->bias), what) ||
           check(cudnnCreateActivationDescriptor(&p->relu), what) ||
           check(cudnnCreateActivationDescriptor(&p->identity), what) ||
           check(cudnnSetTensor4dDescriptor(p->bias, format, type, 1, c->filters, 1, 1), what) ||
           check(cudnnSetActivationDescriptor(p->relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0), what) ||
           check(cudnnSetActivationDescriptor(p->identity, CUDNN_ACTIVATION_IDENTITY, CUDNN_PROPAGATE_NAN, 0), what);
}

static int workspace_size(VendorPlan *p, cudnnHandle_t handle)
{
    const char *what = "the size of its workspace";
    if (p->conv.direction == VENDOR_FORWARD)
        return check(cudnnGetConvolutionForwardWorkspaceSize(handle, p->x, p->w, p->op, p->y,
                                                             (cudnnConvolutionFwdAlgo_t)p->algorithm, &p->workspace),
                     what);
    if (p->conv.direction == VENDOR_BACKWARD_DATA)
        return check(cudnnGetConvolutionBackwardDataWorkspaceSize(handle, p->w, p->y, p->op, p->x,
                                                                  (cudnnConvolutionBwdDataAlgo_t)p->algorithm,
                                                                  &p->workspace), what);
    return check(cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, p->x, p->y, p->op, p->w,
                                                                (cudnnConvolutionBwdFilterAlgo_t)p->algorithm,
                                                                &p->workspace), what);
}

/* Takes an answer of the heuristics: algorithm and kind of product belong together.  FMA stays where it was asked for,
 * whatever the answer says, so that FP32 is FP32. */
static int take(VendorPlan *p, cudnnHandle_t handle, int algorithm, cudnnMathType_t math)
{
    p->algorithm = algorithm;
    if (p->conv.precision != PRECISION_FP32 && check(cudnnSetConvolutionMathType(p->op, math), "setting precision"))
        return -1;
    return workspace_size(p, handle);
}

/* The three directions differ in types only: the fastest answer, as cuDNN guesses, that fits the workspace and repeats
 * bit for bit where that is asked for; or the one that the tuning table names. */
#define CHOOSE(Perf, query)                                                                                    \
    do {                                                                                                       \
        Perf found[ALGORITHMS_MAX];                                                                            \
        int n = 0;                                                                                             \
        if (check(query, "choosing an algorithm"))                                                             \
            return -1;                                                                                         \
        for (int i = 0; i < n; i++)                                                                            \
            if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].memory <= WORKSPACE_MAX &&                 \
                (!p->conv.deterministic || found[i].determinism == CUDNN_DETERMINISTIC) &&                     \
                (!tuning || atoi(tuning) == (int)found[i].algo) &&                                             \
                !take(p, handle, (int)found[i].algo, found[i].mathType))                                       \
                return 0;                                                                                      \
    } while (0)

static int choose(VendorPlan *p, cudnnHandle_t handle, const char *tuning)
{
    if (p->conv.direction == VENDOR_FORWARD)
        CHOOSE(cudnnConvolutionFwdAlgoPerf_t,
               cudnnGetConvolutionForwardAlgorithm_v7(handle, p->x, p->w, p->op, p->y, ALGORITHMS_MAX, &n, found));
    else if (p->conv.direction == VENDOR_BACKWARD_DATA)
        CHOOSE(cudnnConvolutionBwdDataAlgoPerf_t,
               cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, p->w, p->y, p->op, p->x, ALGORITHMS_MAX, &n,
                                                           found));
    else
        CHOOSE(cudnnConvolutionBwdFilterAlgoPerf_t,
               cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, p->x, p->y, p->op, p->w, ALGORITHMS_MAX, &n,
                                                             found));
    return fail("cuDNN: it has no %salgorithm%s%s for this convolution in %s%s%s",
                p->conv.deterministic ? "repeatable " : "", tuning ? " " : "", tuning ? tuning : "",
                precision_name(p->conv.precision),
                tuning ? ": delete its line in the tuning table" : ": use another --precision",
                p->conv.deterministic ? ", or admit those that do not repeat (--deterministic no)" : "");
}

/* Whether cuDNN makes a y of our sizes from these descriptors. */
static int check_sizes(const VendorPlan *p)
{
    const VendorConv *c = &p->conv;
    int batch, filters, height, width;
    if (check(cudnnGetConvolution2dForwardOutputDim(p->op, p->x, p->w, &batch, &filters, &height, &width),
              "the sizes of a convolution"))
        return -1;
    if (batch == c->batch && filters == c->filters && height == c->out_height && width == c->out_width)
        return 0;
    return fail("cuDNN: the result of a convolution is (%d, %d, %d, %d) to it and (%d, %d, %d, %d) to us", batch,
                filters, height, width, c->batch, c->filters, c->out_height, c->out_width);
}

int vendor_conv_check(const VendorConv *c)
{
    VendorPlan *p = must_zalloc(sizeof *p);
    p->conv = *c;
    int bad = describe(p) || describe_epilogue(p) || check_sizes(p);
    vendor_conv_free(p);
    return bad ? -1 : 0;
}

VendorPlan *vendor_conv_create(const VendorConv *c, const char *tuning, char *chosen)
{
    cudnnHandle_t handle = handle_here();
    if (!handle)
        return NULL;
    VendorPlan *p = must_zalloc(sizeof *p);
    p->conv = *c;
    if (describe(p) || describe_epilogue(p) || check_sizes(p) || choose(p, handle, tuning)) {
        vendor_conv_free(p);
        return NULL;
    }
    snprintf(chosen, 32, "%d", p->algorithm);
    return p;
}

void vendor_conv_free(VendorPlan *p)
{
    if (!p)
        return;
    if (p->x)
        cudnnDestroyTensorDescriptor(p->x);
    if (p->y)
        cudnnDestroyTensorDescriptor(p->y);
    if (p->w)
        cudnnDestroyFilterDescriptor(p->w);
    if (p->op)
        cudnnDestroyConvolutionDescriptor(p->op);
    if (p->bias)
        cudnnDestroyTensorDescriptor(p->bias);
    if (p->relu)
        cudnnDestroyActivationDescriptor(p->relu);
    if (p->identity)
        cudnnDestroyActivationDescriptor(p->identity);
    free(p);
}

size_t vendor_conv_workspace(const VendorPlan *p)
{
    return p->workspace;
}

/* Without ReLU cuDNN adds a bias in one algorithm only. */
bool vendor_conv_offers(const VendorPlan *p, bool relu)
{
    return p->conv.direction == VENDOR_FORWARD && !p->bare &&
           (relu || p->algorithm == (int)CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
}

/* y = act(1 conv(x, w) + alpha z + bias); z is named even where alpha is 0, and is y there. */
static cudnnStatus_t forward_fused(cudnnHandle_t handle, VendorPlan *p, const void *x, const void *w, void *y,
                                   void *workspace, const VendorEpilogue *e)
{
    const float one = 1, alpha = e->added ? 1 : 0;
    return cudnnConvolutionBiasActivationForward(handle, &one, p->x, x, p->w, w, p->op,
                                                 (cudnnConvolutionFwdAlgo_t)p->algorithm, workspace, p->workspace,
                                                 &alpha, p->y, e->added ? e->added : y, p->bias, e->bias,
                                                 e->relu ? p->relu : p->identity, p->y, y);
}

int vendor_conv_run(cudaStream_t stream, VendorPlan *p, const void *a, const void *b, void *result, void *workspace,
                    const VendorEpilogue *epilogue)
{
    const float one = 1, zero = 0;
    cudnnHandle_t handle = handle_here();
    if (!handle || check(cudnnSetStream(handle, stream), "taking a stream"))
        return -1;
    if (epilogue) {
        cudnnStatus_t status = forward_fused(handle, p, a, b, result, workspace, epilogue);
        if (CUDNN_STATUS_CATEGORY(status) != CUDNN_STATUS_NOT_SUPPORTED)
            return check(status, "convolution with an epilogue");
        p->bare = true;
    }
    if (p->conv.direction == VENDOR_FORWARD) {
        int bad = check(cudnnConvolutionForward(handle, &one, p->x, a, p->w, b, p->op,
                                                (cudnnConvolutionFwdAlgo_t)p->algorithm, workspace, p->workspace, &zero,
                                                p->y, result), "convolution");
        return bad ? -1 : epilogue ? VENDOR_BARE : 0;
    }
    if (p->conv.direction == VENDOR_BACKWARD_DATA)
        return check(cudnnConvolutionBackwardData(handle, &one, p->w, b, p->y, a, p->op,
                                                  (cudnnConvolutionBwdDataAlgo_t)p->algorithm, workspace, p->workspace,
                                                  &zero, p->x, result), "transposed convolution");
    return check(cudnnConvolutionBackwardFilter(handle, &one, p->x, a, p->y, b, p->op,
                                                (cudnnConvolutionBwdFilterAlgo_t)p->algorithm, workspace, p->workspace,
                                                &zero, p->w, result), "gradient of weights");
}
