/* vendor_cublas.c - matrix products by cuBLAS.  It thinks in columns: a row-major product is its transpose there. */
#include <cublas_v2.h>

#include "kernels/cuda/vendor.h"

enum { DEVICES_MAX = 64 };
/* One handle a device, with a workspace of its own, so that recorded graphs allocate nothing and results repeat. */
static struct {
    cublasHandle_t handle;
    void *workspace;
} opened[DEVICES_MAX];
static const size_t WORKSPACE = (size_t)32 << 20;   /* what NVIDIA recommends for its largest devices */

static int check(cublasStatus_t status, const char *what)
{
    return status == CUBLAS_STATUS_SUCCESS ? 0 : fail("cuBLAS: %s: %s", what, cublasGetStatusString(status));
}

static cublasHandle_t handle_here(void)
{
    int device;
    if (cudaGetDevice(&device) || device < 0 || device >= DEVICES_MAX) {
        fail("cuBLAS: no current device");
        return NULL;
    }
    if (!opened[device].handle) {
        if (check(cublasCreate(&opened[device].handle), "starting")) {
            opened[device].handle = NULL;
            return NULL;
        }
        if (cudaMalloc(&opened[device].workspace, WORKSPACE)) {
            fail("cuBLAS: no device memory for its workspace: use a smaller batch");
            cublasDestroy(opened[device].handle);
            opened[device].handle = NULL;
            return NULL;
        }
    }
    return opened[device].handle;
}

int vendor_gemm_prepare(void)
{
    return handle_here() ? 0 : -1;
}

int vendor_gemm(cudaStream_t stream, const VendorGemm *g, const void *a, const void *b, float *c)
{
    const float one = 1, zero = 0;
    int device = 0;
    cublasHandle_t handle = handle_here();
    bool half = g->precision == PRECISION_BF16;
    cudaDataType_t type = half ? CUDA_R_16BF : CUDA_R_32F;
    cublasComputeType_t compute = g->precision == PRECISION_FP32   ? CUBLAS_COMPUTE_32F_PEDANTIC
                                  : g->precision == PRECISION_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                   : CUBLAS_COMPUTE_32F;
    if (!handle || cudaGetDevice(&device))
        return -1;
    /* A change of stream forgets the workspace. */
    if (check(cublasSetStream(handle, stream), "taking a stream") ||
        check(cublasSetWorkspace(handle, opened[device].workspace, WORKSPACE), "taking a workspace"))
        return -1;
    return check(cublasGemmEx(handle, g->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                              g->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, g->n, g->m, g->k, &one, b, type,
                              g->transpose_b ? g->k : g->n, a, type, g->transpose_a ? g->m : g->k, &zero, c, CUDA_R_32F,
                              g->n, compute, CUBLAS_GEMM_DEFAULT), "matrix product");
}
