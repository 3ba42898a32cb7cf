/* cuda.h - what every .cu file and the host side of the CUDA backend include (behind cu.h in .cu files).
 *
 * Sources stay within what both nvcc and the emulator in tests/cudaemu run.  All work goes to one stream; a launcher
 * neither allocates nor waits, so that it can be recorded into a graph.  No float atomics: results repeat. */
#ifndef KERNELS_CUDA_H
#define KERNELS_CUDA_H

#include <cuda_runtime_api.h>

#include "engine/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The stream of the device that a call runs on. */
cudaStream_t cuda_stream(const KernelCall *k);
/* Versions of cuDNN, cuBLAS and the runtime, on which results may depend (vendor_versions.c). */
const char *cuda_libraries(void);

#ifdef __cplusplus
}

#define FLOATS(t) ((float *)(t).data)
#define INT(t) ((int32_t *)(t).data)
#define BYTES(t) ((uint8_t *)(t).data)

enum { CUDA_BLOCK = 256 };
/* Blocks that cover n elements, one element a thread; n up to 2^31 * 256. */
static inline unsigned cuda_grid(int64_t n)
{
    return (unsigned)((n + CUDA_BLOCK - 1) / CUDA_BLOCK);
}
/* Physical elements, whatever the format. */
static inline int64_t cuda_elements(const Tensor *t)
{
    return (int64_t)(tensor_bytes(t, 4) / (format_half(t->format) ? 2 : 4));
}
/* Index of this thread in a grid of one dimension. */
#define CUDA_INDEX ((int64_t)blockIdx.x * blockDim.x + threadIdx.x)
#endif

#endif
