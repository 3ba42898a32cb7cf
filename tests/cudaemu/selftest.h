/* selftest.h - the mistakes that the emulator must find, and the kernels they are planted in.
 *
 * One program holds them all: `selftest N` makes mistake N, `selftest 0` makes none and runs every case.
 * CUDA forbids none of these at compile time. */
#ifndef GUISE_SELFTEST_H
#define GUISE_SELFTEST_H

#include <cuda_runtime_api.h>

/* name, case, description */
#define KERNEL_BUGS(X)                                                                       \
    X(GLOBAL_OVERRUN, scale, "global memory: guard off by one")                              \
    X(MISALIGNED_FLOAT4, scale, "float4 load from an address that is no multiple of 16")     \
    X(SYNC_AFTER_PARTIALS, sum, "missing __syncthreads between writing and reading partials") \
    X(SYNC_BEFORE_REUSE, sum, "missing __syncthreads before shared memory is written again") \
    X(BARRIER_IN_BRANCH, sum, "__syncthreads in a branch that half of the block takes")      \
    X(BARRIERS_DIFFER, sum, "two halves of a block wait at different __syncthreads")         \
    X(ABSENT_LANES, sum, "shuffle with a mask of lanes that have left")                      \
    X(NOT_IN_MASK, sum, "shuffle by a lane that is not in its mask")                         \
    X(STATIC_OVERRUN, transpose, "static shared array one row too small")                    \
    X(SYNC_IN_TRANSPOSE, transpose, "missing __syncthreads between the halves of a transpose") \
    X(TILE_REUSE, multiply, "missing __syncthreads before the next tile is loaded")          \
    X(DYNAMIC_TOO_SMALL, multiply, "launch asks for 4 bytes too little dynamic shared memory") \
    X(PARTIAL_FILL, filter, "shared memory read that nobody wrote, in a template kernel")    \
    X(INNER_OVERRUN, filter, "inner index beyond its row, inside the array")                 \
    X(LOCAL_OVERRUN, filter, "local array of a thread overrun")                              \
    X(RACE_WARPS, count, "plain += instead of atomicAdd, warps of one block")                \
    X(RACE_BLOCKS, count, "plain += instead of atomicAdd, one thread of each block")         \
    X(MISSING_FENCE, count, "last block reads the others' results without a fence")          \
    X(SYNC_IN_WARP, warp, "missing __syncwarp between lanes that exchange through memory")

#define HOST_BUGS(X)                                                                         \
    X(MISSING_EVENT, streams, "second stream does not wait for the first")                   \
    X(BUFFER_REUSED, streams, "host buffer changed before the copy from it ran")             \
    X(READ_TOO_EARLY, streams, "result read without synchronising")                          \
    X(WRONG_STREAM_SYNC, streams, "another stream synchronised than the one of the result")  \
    X(KERNEL_AFTER_FREE, streams, "kernel writes memory that has been freed")                \
    X(HOST_READS_DEVICE, streams, "host reads device memory")                                \
    X(DEVICE_READS_HOST, streams, "kernel gets a pointer to the host's memory")              \
    X(WRONG_DIRECTION, streams, "copy in the wrong direction")                               \
    X(EMPTY_GRID, streams, "launch of a grid without blocks")                                \
    X(FREED_TWICE, streams, "device memory freed twice")                                     \
    X(MALLOC_IN_CAPTURE, graph, "cudaMalloc during a capture")                               \
    X(SYNC_IN_CAPTURE, graph, "cudaStreamSynchronize during a capture")                      \
    X(UNJOINED, graph, "captured side stream not joined before the capture ends")            \
    X(EVENT_TOO_EARLY, graph, "side stream joined by an event recorded before its kernel")   \
    X(EVENT_LEAKED, graph, "event never destroyed")                                          \
    X(GRAPH_LEAKED, graph, "graph never destroyed")                                          \
    X(NEVER_AWAITED, graph, "last launch never waited for")                                  \
    X(STEP_ALLOCATES, graph, "a step allocates memory")                                      \
    X(STEP_SYNCHRONISES, graph, "a step waits for the device")

enum {
    NO_BUG,
#define BUG_NUMBER(name, where, text) name,
    KERNEL_BUGS(BUG_NUMBER)
    HOST_BUGS(BUG_NUMBER)
    N_BUGS
#undef BUG_NUMBER
};

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = s x[i], n a multiple of 4. */
void launch_scale(float *y, const float *x, float s, int n, int bug, cudaStream_t stream);
/* total[r] = sum of x (rows, n) over row r, and norm[r] = sum of squares. */
void launch_sum(float *total, float *norm, const float *x, int rows, int n, int bug, cudaStream_t stream);
/* y (cols, rows) = transpose of x (rows, cols). */
void launch_transpose(float *y, const float *x, int rows, int cols, int bug, cudaStream_t stream);
/* c (m, n) = a (m, k) b (k, n). */
void launch_multiply(float *c, const float *a, const float *b, int m, int n, int k, int bug, cudaStream_t stream);
/* y (planes, h, w): 3x3 cross-correlation of x (planes, h, w) with f (planes, 3, 3), zero padding. */
void launch_filter(float *y, const float *x, const float *f, int planes, int h, int w, int bug, cudaStream_t stream);
/* *positive += how many x[i] > 0; *sum = their sum, added up by the block that finishes last.  Scratch: one partial
 * for each COUNT_BLOCK elements, *ticket = 0. */
void launch_count(int *positive, float *sum, float *partial, unsigned *ticket, const float *x, int n, int bug,
                  cudaStream_t stream);
enum { COUNT_BLOCK = 64 };
/* y[i] = x[i ^ 1] + x[i ^ 2] within each warp, n a multiple of 64. */
void launch_warp(float *y, const float *x, int n, int bug, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
