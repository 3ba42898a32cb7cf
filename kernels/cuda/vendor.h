/* vendor.h - convolution and matrix product of the device's maker, behind structs of our own: cuDNN and cuBLAS in
 * vendor_cudnn.c and vendor_cublas.c; plain loops in tests/cudaemu/fake_vendor.cpp where CUDA is emulated.
 *
 * Running neither allocates nor waits, so that it can be recorded into a graph; creating may do both. */
#ifndef CUDA_VENDOR_H
#define CUDA_VENDOR_H

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VendorDirection {
    VENDOR_FORWARD,            /* a = x, b = w, result y */
    VENDOR_BACKWARD_DATA,      /* a = y, b = w, result x */
    VENDOR_BACKWARD_WEIGHTS,   /* a = x, b = y, result w */
} VendorDirection;

/* x (batch, channels, height, width), y (batch, filters, out_height, out_width),
 * w (filters, channels / groups, kernel_h, kernel_w); with nhwc, channels come last in all three.
 * precision: FP32 products and sums of floats; TF32 the same with products of 10 bits of mantissa; BF16 x, y and w are
 * bfloat16 in memory, sums are float and are rounded once, the result's. */
typedef struct VendorConv {
    int batch, channels, height, width, filters, out_height, out_width, kernel_h, kernel_w;
    int stride, padding_h, padding_w, dilation, groups;
    bool nhwc;
    bool deterministic;        /* only algorithms that repeat bit for bit */
    Precision precision;
    VendorDirection direction;
} VendorConv;

typedef struct VendorPlan VendorPlan;
/* tuning: the algorithm's number as text, or NULL for the library's heuristics; chosen (32 bytes) gets the one
 * taken.  NULL with error_text(). */
VendorPlan *vendor_conv_create(const VendorConv *c, const char *tuning, char *chosen);
/* 0 if the library describes this convolution as we do, sizes of its result included; needs no GPU. */
int vendor_conv_check(const VendorConv *c);
void vendor_conv_free(VendorPlan *p);
size_t vendor_conv_workspace(const VendorPlan *p);
/* What may be done with the sums of VENDOR_FORWARD before they are written: bias, one a filter, is added, then `added`,
 * which lies as y does (NULL: nothing), and ReLU comes last.  Both are of y's type. */
typedef struct VendorEpilogue {
    const void *bias, *added;
    bool relu;
} VendorEpilogue;
/* Whether it is worth asking for an epilogue. */
bool vendor_conv_offers(const VendorPlan *p, bool relu);
/* epilogue: NULL for none.  0; VENDOR_BARE where the library refused the epilogue and the result is the bare sums; -1
 * with error_text(). */
enum { VENDOR_BARE = 1 };
int vendor_conv_run(cudaStream_t stream, VendorPlan *p, const void *a, const void *b, void *result, void *workspace,
                    const VendorEpilogue *epilogue);

/* Row-major c (m,n) = op(a) op(b): op(a) is (m,k) and op(b) is (k,n), where op transposes if asked to.
 * precision: FP32 and TF32 as above; BF16: a and b are bfloat16 in memory.  c is float. */
typedef struct VendorGemm {
    int m, n, k;
    bool transpose_a, transpose_b;
    Precision precision;
} VendorGemm;
/* Readies the library for vendor_gemm on the current device; 0 or -1 with error_text(). */
int vendor_gemm_prepare(void);
int vendor_gemm(cudaStream_t stream, const VendorGemm *g, const void *a, const void *b, float *c);

#ifdef __cplusplus
}
#endif
#endif
