/* fakecuda.h - what tests and fakes of other libraries need beyond CUDA's own functions.
 *
 * fakecuda.cpp plays the CUDA runtime on the CPU.  Work submitted to a stream is kept with what it must come after
 * and done when FAKECUDA (read at every submission) says:
 *     eager   at once; the default
 *     lazy    when a synchronisation needs it, exactly what is needed, the newest first where there is a choice
 *     rand    as lazy, in random order, with other pending work mixed in at random moments (FAKECUDA_SEED=n)
 * A program that synchronises correctly gives the same bits in all three.
 *     FAKECUDA_DEVICES=n    devices in the machine, default 1; 0 is a machine without a GPU
 *     FAKECUDA_DRIVER=n     newest CUDA that the driver knows, as 12040 for 12.4; 0: no driver; default: new enough
 *     FAKECUDA_CC=75        compute capability, default 90
 *     FAKECUDA_MEMORY=n     device memory in MiB, default 4096
 *     FAKECUDA_LOG=1        every refused call is explained on standard error
 *     FAKECUDA_STRICT=1     at exit, work never waited for and objects never freed end the program with status 98 */
#ifndef GUISE_FAKECUDA_H
#define GUISE_FAKECUDA_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calls since the last fakecuda_mark (or the start).  Running a plan must neither allocate nor free, and synchronise
 * only where its results are read: tests hold these against 0. */
typedef struct FakecudaCounts {
    long mallocs;        /* cudaMalloc, cudaMallocHost, cudaHostAlloc */
    long frees;          /* cudaFree, cudaFreeHost */
    long syncs;          /* calls that wait for the device: *Synchronize, cudaMemcpy, copies with pageable memory,
                          * and both kinds of free */
    long launches;       /* kernels and fakecuda_submit into a stream, captured or not */
    long copies;         /* cudaMemcpy* and cudaMemset* into a stream, captured or not */
    long graph_launches;
    long instantiations; /* cudaGraphInstantiate */
    long refused;        /* calls that returned an error other than cudaErrorNotReady */
    long ranges;         /* nvtxRangePushA */
} FakecudaCounts;
void fakecuda_mark(void);
FakecudaCounts fakecuda_counts(void);

/* What exists now; all zero at the end of a clean program. */
typedef struct FakecudaLive {
    long device_blocks, pinned_blocks, streams, events, graphs, executables;
    long pending;        /* work submitted that nothing has waited for */
    long ranges;         /* NVTX ranges that are open */
    size_t device_bytes, pinned_bytes;
} FakecudaLive;
FakecudaLive fakecuda_live(void);

/* 1 if all n bytes from p lie in one live block of device memory. */
int fakecuda_is_device(const void *p, size_t n);

#ifdef __cplusplus
}

#include <functional>

/* Submits `work` to the stream as a kernel launch would be: ordered, deferred or captured by the same rules.  The fake
 * of a vendor's function checks its arguments at the call, copies host scalars into the closure and reads device
 * memory only inside it.  `what` must outlive the program (a literal); it names the work in messages.
 * Returns what the runtime would say of the launch; cudaGetLastError has it too. */
cudaError_t fakecuda_submit(cudaStream_t stream, const char *what, std::function<void()> work);
#endif
#endif
