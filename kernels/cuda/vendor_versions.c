/* vendor_versions.c - which of the maker's libraries are loaded. */
#include <cublas_v2.h>
#include <cudnn.h>
#include <stdio.h>

#include "kernels/cuda/cuda.h"

const char *cuda_libraries(void)
{
    static char text[100];
    size_t dnn = cudnnGetVersion();   /* 91900: 9.19.0 */
    int runtime = 0, blas[2] = {0};
    cudaRuntimeGetVersion(&runtime);
    cublasGetProperty(MAJOR_VERSION, &blas[0]);
    cublasGetProperty(MINOR_VERSION, &blas[1]);
    snprintf(text, sizeof text, "cuDNN %zu.%zu.%zu, cuBLAS %d.%d, CUDA %d.%d", dnn / 10000, dnn / 100 % 100, dnn % 100,
             blas[0], blas[1], runtime / 1000, runtime % 1000 / 10);
    return text;
}
