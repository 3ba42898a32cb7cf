/* vendor_cudnn.c - convolutions by cuDNN 9's convolution functions.  Never run without a GPU. */
#include <cudnn.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/vendor.h"

struct VendorPlan {
    VendorConv conv;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t op;
    int algorithm;
    size_t workspace;
};

enum { DEVICES_MAX = 64, ALGORITHMS_MAX = 16 };
static cudnnHandle_t handles[DEVICES_MAX];   /* one a device, kept for the life of the process */
static const size_t WORKSPACE_MAX = (size_t)1 << 30;

static int check(cudnnStatus_t status, const char *what)
{
    return status == CUDNN_STATUS_SUCCESS ? 0 : fail("cuDNN: %s: %s", what, cudnnGetErrorString(status));
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
    const char *what = "describing a convolution";
    return check(cudnnCreateTensorDescriptor(&p->x), what) || check(cudnnCreateTensorDescriptor(&p->y), what) ||
           check(cudnnCreateFilterDescriptor(&p->w), what) || check(cudnnCreateConvolutionDescriptor(&p->op), what) ||
           check(cudnnSetTensor4dDescriptor(p->x, format, CUDNN_DATA_FLOAT, c->batch, c->channels, c->height,
                                            c->width), what) ||
           check(cudnnSetTensor4dDescriptor(p->y, format, CUDNN_DATA_FLOAT, c->batch, c->filters, c->out_height,
                                            c->out_width), what) ||
           check(cudnnSetFilter4dDescriptor(p->w, CUDNN_DATA_FLOAT, format, c->filters, c->channels / c->groups,
                                            c->kernel_h, c->kernel_w), what) ||
           check(cudnnSetConvolution2dDescriptor(p->op, c->padding_h, c->padding_w, c->stride, c->stride, c->dilation,
                                                 c->dilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT), what) ||
           check(cudnnSetConvolutionGroupCount(p->op, c->groups), what) ||
           /* The default admits TF32, FMA forbids it. */
           check(cudnnSetConvolutionMathType(p->op, c->tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH), what);
}

/* The three directions differ in types only: the first answer that repeats bit for bit and fits the workspace, or
 * the one that the tuning table names. */
#define CHOOSE(Perf, query)                                                                                    \
    do {                                                                                                       \
        Perf found[ALGORITHMS_MAX];                                                                            \
        int n = 0;                                                                                             \
        if (check(query, "choosing an algorithm"))                                                             \
            return -1;                                                                                         \
        for (int i = 0; i < n; i++)                                                                            \
            if (found[i].status == CUDNN_STATUS_SUCCESS && found[i].determinism == CUDNN_DETERMINISTIC &&      \
                found[i].memory <= WORKSPACE_MAX && (!tuning || atoi(tuning) == (int)found[i].algo)) {         \
                p->algorithm = (int)found[i].algo;                                                             \
                p->workspace = found[i].memory;                                                                \
                return check(cudnnSetConvolutionMathType(p->op, found[i].mathType), "setting precision");      \
            }                                                                                                  \
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
    return fail("cuDNN: no repeatable algorithm for this convolution%s%s", tuning ? ": the tuning table asks for " : "",
                tuning ? tuning : "");
}

VendorPlan *vendor_conv_create(const VendorConv *c, const char *tuning, char *chosen)
{
    cudnnHandle_t handle = handle_here();
    if (!handle)
        return NULL;
    VendorPlan *p = must_zalloc(sizeof *p);
    p->conv = *c;
    if (describe(p) || choose(p, handle, tuning)) {
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
    free(p);
}

size_t vendor_conv_workspace(const VendorPlan *p)
{
    return p->workspace;
}

int vendor_conv_run(cudaStream_t stream, VendorPlan *p, const float *a, const float *b, float *result,
                    void *workspace)
{
    const float one = 1, zero = 0;
    cudnnHandle_t handle = handle_here();
    if (!handle || check(cudnnSetStream(handle, stream), "taking a stream"))
        return -1;
    if (p->conv.direction == VENDOR_FORWARD)
        return check(cudnnConvolutionForward(handle, &one, p->x, a, p->w, b, p->op,
                                             (cudnnConvolutionFwdAlgo_t)p->algorithm, workspace, p->workspace, &zero,
                                             p->y, result), "convolution");
    if (p->conv.direction == VENDOR_BACKWARD_DATA)
        return check(cudnnConvolutionBackwardData(handle, &one, p->w, b, p->y, a, p->op,
                                                  (cudnnConvolutionBwdDataAlgo_t)p->algorithm, workspace, p->workspace,
                                                  &zero, p->x, result), "transposed convolution");
    return check(cudnnConvolutionBackwardFilter(handle, &one, p->x, a, p->y, b, p->op,
                                                (cudnnConvolutionBwdFilterAlgo_t)p->algorithm, workspace, p->workspace,
                                                &zero, p->w, result), "gradient of weights");
}
