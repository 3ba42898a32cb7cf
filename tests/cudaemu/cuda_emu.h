/* cuda_emu.h - CUDA's kernel language for an ordinary C++20 compiler: .cu files run on the CPU, for tests.
 *
 * A kernel is a function, a CUDA thread a call of it.  The threads of a block run one after another on one thread of
 * the system; one that meets a barrier or a warp operation is left on its own stack until the others have come
 * (fiber.h, emu.cpp).  Blocks run on all OpenMP threads in the plain build and one by one under sanitizers.
 * Streams, events, memory and graphs are fakecuda.cpp's.  What is supported, and what each build can find, is in
 * README.md; kernel sources include kernels/cuda/cu.h, never this file.
 *
 * Shared memory: a static __shared__ variable is a thread-local in the plain build.  Under sanitizers it is an
 * ordinary static, so that AddressSanitizer puts redzones around it, in the section .noinit, where the emulator
 * finds it again to fill it with 0xFF (NaN) before every block.  GCC drops section("...") on the statics of
 * templates but keeps the attribute noinit, which names that section. */
#ifndef GUISE_CUDA_EMU_H
#define GUISE_CUDA_EMU_H

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <limits>
#include <tuple>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "fakecuda.h"
#include "fiber.h"

/* ---------------------------------------------------------------- words of the language */
#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#undef __shared__
#undef __launch_bounds__
#undef __forceinline__
#undef __align__
#define __global__
#define __device__
#define __host__
#define __constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))

#if !defined(EMU_ASAN) && !defined(EMU_TSAN)
#define __shared__ static thread_local
#elif defined(__clang__)
#define __shared__ static __attribute__((section(".noinit")))
#else
#define __shared__ static __attribute__((noinit))
#endif

/* ---------------------------------------------------------------- where a kernel runs */
struct EmuThread {
    uint3 index;
};
struct EmuBlock {
    uint3 index;
    dim3 size, grid;
    unsigned char *shared;      /* dynamic shared memory */
};
/* The running CUDA thread and its block, NULL outside kernels.  Reached without a call from a shared library too, at a
 * price: one that programs load with dlopen, not by linking, must be compiled with -DEMU_DLOPEN. */
#ifdef EMU_DLOPEN
#define EMU_TLS
#else
#define EMU_TLS __attribute__((tls_model("initial-exec")))
#endif
extern __thread EmuThread *emu_thread EMU_TLS;
extern __thread EmuBlock *emu_block EMU_TLS;

#define threadIdx (*(const uint3 *)&emu_thread->index)
#define blockIdx (*(const uint3 *)&emu_block->index)
#define blockDim (*(const dim3 *)&emu_block->size)
#define gridDim (*(const dim3 *)&emu_block->grid)
static constexpr int warpSize = 32;

/* Type and name as in cu.h; the memory is as large as the launch said, aligned to 128 bytes. */
#define SHARED_DYN(T, name) T *name = reinterpret_cast<T *>(emu_block->shared)

/* ---------------------------------------------------------------- launching */
struct EmuLaunch {
    const char *name;           /* as spelled in LAUNCH */
    const void *kernel;         /* its address, for cudaFuncSetAttribute */
    dim3 grid, block;
    size_t shared;
};

/* Runs call(arguments) once for every thread of the grid (emu.cpp). */
void emu_run(const EmuLaunch &launch, void (*call)(const void *), const void *arguments);
/* Checks the launch as the runtime would, with those of its arguments that are pointers, then submits `work` to the
 * stream; what is wrong goes to cudaGetLastError (fakecuda.cpp). */
void emu_submit(const EmuLaunch &launch, cudaStream_t stream, const void *const *pointers, int n_pointers,
                std::function<void()> work);

/* The kernel with its configuration; the call converts the arguments exactly as a call of the kernel would. */
template <class... P> struct EmuKernel {
    EmuLaunch launch;
    cudaStream_t stream;
    void (*kernel)(P...);

    void operator()(P... arguments) const
    {
        struct Call {
            void (*kernel)(P...);
            std::tuple<std::remove_cv_t<P>...> arguments;
        } call = {kernel, {arguments...}};
        const void *pointers[sizeof...(P) + 1];
        int n = 0;
        (emu_keep_pointer(pointers, n, arguments), ...);
        emu_submit(launch, stream, pointers, n, [launch = launch, call] {
            emu_run(launch, [](const void *c) { std::apply(((const Call *)c)->kernel, ((const Call *)c)->arguments); },
                    &call);
        });
    }

  private:
    template <class T> static void emu_keep_pointer(const void **list, int &n, const T &value)
    {
        if constexpr (std::is_pointer_v<T> && !std::is_function_v<std::remove_pointer_t<T>>)
            list[n++] = (const void *)value;
        else
            (void)list, (void)n, (void)value;
    }
};
template <class... P>
EmuKernel<P...> emu_configure(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                              cudaStream_t stream)
{
    return {{name, (const void *)kernel, grid, block, shared}, stream, kernel};
}
#define LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
    emu_configure(#kernel, kernel, grid, block, shared_bytes, stream)(__VA_ARGS__)

/* ---------------------------------------------------------------- barriers and warps (emu.cpp) */
enum EmuWarpOp { EMU_SYNCWARP, EMU_SHUFFLE, EMU_SHUFFLE_UP, EMU_SHUFFLE_DOWN, EMU_SHUFFLE_XOR, EMU_BALLOT };

/* Waits for the block; returns for how many threads `vote` was not 0. */
int emu_syncthreads(int vote, const char *file, int line);
/* Waits for the lanes of `mask`; for shuffles returns the value of the lane that op, argument and width choose. */
uint64_t emu_warp(EmuWarpOp op, unsigned mask, uint64_t value, int argument, int width, const char *file, int line);

#define __syncthreads() ((void)emu_syncthreads(0, __FILE__, __LINE__))
#define __syncthreads_count(p) emu_syncthreads(!!(p), __FILE__, __LINE__)
#define __syncthreads_or(p) (emu_syncthreads(!!(p), __FILE__, __LINE__) != 0)
#define __syncthreads_and(p) (emu_syncthreads(!(p), __FILE__, __LINE__) == 0)

#define EMU_FIRST(a, ...) a
#define __syncwarp(...) \
    ((void)emu_warp(EMU_SYNCWARP, EMU_FIRST(__VA_ARGS__ __VA_OPT__(, ) 0xffffffffu), 0, 0, 32, __FILE__, __LINE__))
#define __ballot_sync(mask, p) ((unsigned)emu_warp(EMU_BALLOT, mask, !!(p), 0, 32, __FILE__, __LINE__))
#define __any_sync(mask, p) ((int)(emu_warp(EMU_BALLOT, mask, !!(p), 0, 32, __FILE__, __LINE__) != 0))
#define __all_sync(mask, p) ((int)(emu_warp(EMU_BALLOT, mask, !(p), 0, 32, __FILE__, __LINE__) == 0))

template <class T> inline T emu_shuffle(EmuWarpOp op, unsigned mask, T value, const char *file, int line, int argument,
                                        int width = 32)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "CUDA shuffles 4 and 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emu_warp(op, mask, bits, argument, width, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}
#define __shfl_sync(mask, value, ...) emu_shuffle(EMU_SHUFFLE, mask, value, __FILE__, __LINE__, __VA_ARGS__)
#define __shfl_up_sync(mask, value, ...) emu_shuffle(EMU_SHUFFLE_UP, mask, value, __FILE__, __LINE__, __VA_ARGS__)
#define __shfl_down_sync(mask, value, ...) emu_shuffle(EMU_SHUFFLE_DOWN, mask, value, __FILE__, __LINE__, __VA_ARGS__)
#define __shfl_xor_sync(mask, value, ...) emu_shuffle(EMU_SHUFFLE_XOR, mask, value, __FILE__, __LINE__, __VA_ARGS__)

#include "cuda_emu_math.h"

#endif
