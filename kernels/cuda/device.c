/* device.c - the backend "cuda": one stream, stream-ordered copies, plans recorded as graphs.
 *
 * Host code against the CUDA runtime API alone; it is the same in the emulator (tests/cudaemu).  Uploads pass through
 * two pinned buffers in turn, so that the caller may change its data at once and the copy overlaps the next one's
 * preparation; an event a buffer says when it is free again. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"

enum { STAGES = 2 };

typedef struct Cuda {
    int index;
    cudaStream_t stream;
    struct {
        void *pinned;
        size_t bytes;
        cudaEvent_t done;
        bool used;
    } stage[STAGES];
    int next;
    char first_error[256];
} Cuda;

static int check(cudaError_t status, const char *what)
{
    if (status == cudaSuccess)
        return 0;
    cudaGetLastError();
    return fail("cuda: %s: %s", what, cudaGetErrorString(status));
}

cudaStream_t cuda_stream(const KernelCall *k)
{
    return ((Cuda *)k->device->impl)->stream;
}

static void *cuda_alloc(Device *d, size_t bytes)
{
    void *p = NULL;
    size_t available = 0, total = 0;
    (void)d;
    if (cudaMalloc(&p, bytes ? bytes : 1) == cudaSuccess)
        return p;
    cudaGetLastError();
    cudaMemGetInfo(&available, &total);
    fail("cuda: %.0f MiB do not fit: %.0f of %.0f MiB are free; use a smaller batch, image size or preset",
         (double)bytes / 1048576, (double)available / 1048576, (double)total / 1048576);
    return NULL;
}

static void cuda_free(Device *d, void *p)
{
    (void)d;
    cudaFree(p);
}

/* A pinned buffer of at least `bytes` whose last copy has finished. */
static void *staging(Cuda *c, size_t bytes, int *which)
{
    *which = c->next;
    c->next = (c->next + 1) % STAGES;
    if (c->stage[*which].used && check(cudaEventSynchronize(c->stage[*which].done), "waiting for an upload"))
        return NULL;
    if (c->stage[*which].bytes < bytes) {
        cudaFreeHost(c->stage[*which].pinned);
        c->stage[*which].pinned = NULL;
        c->stage[*which].bytes = 0;
        if (check(cudaMallocHost(&c->stage[*which].pinned, bytes), "pinned memory"))
            return NULL;
        c->stage[*which].bytes = bytes;
    }
    return c->stage[*which].pinned;
}

static int cuda_upload(Device *d, void *to, const void *from, size_t bytes)
{
    Cuda *c = d->impl;
    int which;
    if (!bytes)
        return 0;
    void *pinned = staging(c, bytes, &which);
    if (!pinned)
        return -1;
    memcpy(pinned, from, bytes);
    c->stage[which].used = true;
    return check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, c->stream), "upload") ||
           check(cudaEventRecord(c->stage[which].done, c->stream), "upload") ? -1 : 0;
}

static int cuda_download(Device *d, void *to, const void *from, size_t bytes)
{
    Cuda *c = d->impl;
    if (check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, c->stream), "download"))
        return -1;
    return check(cudaStreamSynchronize(c->stream), "download");
}

static void remember(Cuda *c, cudaError_t status, const char *what)
{
    if (status != cudaSuccess && !*c->first_error)
        snprintf(c->first_error, sizeof c->first_error, "%s: %s", what, cudaGetErrorString(status));
}

static void cuda_copy(Device *d, void *to, const void *from, size_t bytes)
{
    Cuda *c = d->impl;
    remember(c, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, c->stream), "copy");
}

static void cuda_fill(Device *d, void *to, int byte, size_t bytes)
{
    Cuda *c = d->impl;
    remember(c, cudaMemsetAsync(to, byte, bytes, c->stream), "fill");
}

static int first_error(Cuda *c)
{
    if (!*c->first_error)
        return 0;
    fail("cuda: %s", c->first_error);
    *c->first_error = 0;
    return -1;
}

static int cuda_sync(Device *d, const char *what)
{
    Cuda *c = d->impl;
    return first_error(c) || check(cudaGetLastError(), what) || check(cudaStreamSynchronize(c->stream), what) ? -1 : 0;
}

static int graph_begin(Device *d)
{
    Cuda *c = d->impl;
    if (first_error(c))
        return -1;
    return check(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "recording a graph");
}

static void *graph_end(Device *d)
{
    Cuda *c = d->impl;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    if (check(cudaStreamEndCapture(c->stream, &graph), "recording a graph") || first_error(c))
        return NULL;
    int bad = check(cudaGraphInstantiate(&exec, graph, 0), "making a graph ready");
    cudaGraphDestroy(graph);
    return bad ? NULL : exec;
}

static int graph_launch(Device *d, void *graph)
{
    Cuda *c = d->impl;
    return check(cudaGraphLaunch(graph, c->stream), "graph launch");
}

static void graph_free(Device *d, void *graph)
{
    Cuda *c = d->impl;
    cudaStreamSynchronize(c->stream);
    cudaGraphExecDestroy(graph);
}

static void cuda_close(Device *d)
{
    Cuda *c = d->impl;
    cudaStreamSynchronize(c->stream);
    for (int i = 0; i < STAGES; i++) {
        cudaFreeHost(c->stage[i].pinned);
        if (c->stage[i].done)
            cudaEventDestroy(c->stage[i].done);
    }
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
    free(d);
}

static Device *open_cuda(const char *argument)
{
    int count = 0, index = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        cudaGetLastError();
        fail("cuda: no usable GPU: %s; run with --device cpu, or install NVIDIA's driver",
             status == cudaSuccess ? "none found" : cudaGetErrorString(status));
        return NULL;
    }
    if (argument) {
        char *end;
        index = (int)strtol(argument, &end, 10);
        if (end == argument || *end || index < 0 || index >= count) {
            fail("cuda:%s: GPUs here are numbered 0 to %d", argument, count - 1);
            return NULL;
        }
    }
    Cuda *c = must_zalloc(sizeof *c);
    Device *d = must_zalloc(sizeof *d);
    *d = (Device){
        .backend = "cuda", .fallback = NULL, .real_bytes = 4, .host_memory = false, .alignment = 256, .impl = c,
        .alloc = cuda_alloc, .free = cuda_free, .upload = cuda_upload, .download = cuda_download, .copy = cuda_copy,
        .fill = cuda_fill, .sync = cuda_sync, .close = cuda_close, .graph_begin = graph_begin,
        .graph_end = graph_end, .graph_launch = graph_launch, .graph_free = graph_free,
    };
    c->index = index;
    int bad = check(cudaSetDevice(index), "choosing the GPU") ||
              check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream");
    for (int i = 0; i < STAGES && !bad; i++)
        bad = check(cudaEventCreateWithFlags(&c->stage[i].done, cudaEventDisableTiming), "event");
    if (!bad)
        return d;
    cuda_close(d);
    return NULL;
}

/* Tensor cores for TF32 and bfloat16 came with sm_80. */
static bool computes(const char *argument, Precision p)
{
    int major = 0, index = argument ? atoi(argument) : 0;
    if (p == PRECISION_FP32)
        return true;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index) != cudaSuccess) {
        cudaGetLastError();
        return false;
    }
    return major >= 8;
}

BACKEND(cuda) = {.open = open_cuda, .doc = "NVIDIA GPU, one graph a plan", .computes = computes};
