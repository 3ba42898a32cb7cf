/* cu.h - what every .cu file includes first: real CUDA under nvcc, the emulator under any other C++ compiler.
 *
 * Kernels differ from ordinary CUDA in two spellings only:
 *     LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...);      for kernel<<<...>>>(...)
 *     SHARED_DYN(float, tile);                                              for extern __shared__ float tile[]
 * A template kernel with a comma in its name goes in parentheses: LAUNCH((sum_kernel<float, 4>), ...).
 * What the emulator supports is listed in tests/cudaemu/README.md. */
#ifndef GUISE_CU_H
#define GUISE_CU_H

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    kernel<<<(grid), (block), (shared_bytes), (stream)>>>(__VA_ARGS__)

/* One array of one type for the whole file, because CUDA lets no two kernels of a file declare different ones. */
#define SHARED_DYN(T, name)                                           \
    extern __shared__ __align__(16) unsigned char cu_shared_dynamic[]; \
    T *name = reinterpret_cast<T *>(cu_shared_dynamic)

#else

#include "cuda_emu.h"

#endif
#endif
