/* device.c - the backend "cuda": a stream for kernels, one for uploads, plans recorded as graphs.
 *
 * Host code against the CUDA runtime API alone; it is the same in the emulator (tests/cudaemu).
 *
 * Uploads overlap compute: data goes through a ring of stages, pinned memory -> (upload stream) -> device memory of the
 * stage -> (kernel stream) -> where it is wanted.  Only the last, short copy waits for the kernels before it, so a
 * recorded graph that still runs reads what it was given, and the transfer of the next step's data goes beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined __has_include
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define HAVE_NVTX
#endif
#endif

#include "kernels/cuda/cuda.h"

enum { STAGES = 8, OLDEST = 75 };   /* eight: two steps of four inputs */
static const size_t STAGE_MOST = (size_t)8 << 20, STAGE_LEAST = (size_t)64 << 10, FREE_LEAST = (size_t)128 << 20;

#ifndef CUDA_ARCHS   /* of the Makefile: what the kernels were compiled for */
#define CUDA_ARCHS "75"
#endif

typedef struct Stage {
    void *pinned, *device;
    size_t bytes;
    cudaEvent_t arrived, taken;   /* in the device's memory of the stage; out of it again */
    bool used;
} Stage;

typedef struct Cuda {
    int index;
    cudaStream_t stream, uploads;
    Stage stage[STAGES];
    int next;
    cudaEvent_t *marks;
    int nmarks;
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

/* ---------------------------------------------------------------- uploads */
static void stage_free(Stage *s)
{
    cudaFreeHost(s->pinned);
    cudaFree(s->device);
    s->pinned = s->device = NULL;
    s->bytes = 0;
}

/* The next stage of at least `bytes` whose pinned memory may be written; NULL with error_text(). */
static Stage *stage_take(Cuda *c, size_t bytes)
{
    Stage *s = &c->stage[c->next];
    c->next = (c->next + 1) % STAGES;
    if (s->used && check(cudaEventSynchronize(s->arrived), "waiting for an upload"))
        return NULL;
    if (s->bytes >= bytes)
        return s;
    size_t room = STAGE_LEAST;
    while (room < bytes)
        room *= 2;
    if (s->used && check(cudaEventSynchronize(s->taken), "waiting for an upload"))
        return NULL;
    stage_free(s);
    if (check(cudaMallocHost(&s->pinned, room), "pinned memory") ||
        check(cudaMalloc(&s->device, room), "upload memory"))
        return NULL;
    s->bytes = room;
    return s;
}

static int upload_piece(Cuda *c, void *to, const void *from, size_t bytes)
{
    const char *what = "upload";
    Stage *s = stage_take(c, bytes);
    if (!s)
        return -1;
    memcpy(s->pinned, from, bytes);
    int bad = (s->used && check(cudaStreamWaitEvent(c->uploads, s->taken, 0), what)) ||
              check(cudaMemcpyAsync(s->device, s->pinned, bytes, cudaMemcpyHostToDevice, c->uploads), what) ||
              check(cudaEventRecord(s->arrived, c->uploads), what) ||
              check(cudaStreamWaitEvent(c->stream, s->arrived, 0), what) ||
              check(cudaMemcpyAsync(to, s->device, bytes, cudaMemcpyDeviceToDevice, c->stream), what) ||
              check(cudaEventRecord(s->taken, c->stream), what);
    s->used = true;
    return bad ? -1 : 0;
}

static int cuda_upload(Device *d, void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += STAGE_MOST) {
        size_t n = bytes - at < STAGE_MOST ? bytes - at : STAGE_MOST;
        if (upload_piece(d->impl, (char *)to + at, (const char *)from + at, n))
            return -1;
    }
    return 0;
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

/* What the launch of a kernel said; waits for nothing. */
static int cuda_launched(Device *d, const char *what)
{
    return first_error(d->impl) || check(cudaGetLastError(), what) ? -1 : 0;
}

static void cuda_memory(Device *d, size_t *available, size_t *total)
{
    (void)d;
    *available = *total = 0;
    if (cudaMemGetInfo(available, total))
        cudaGetLastError();
}

static void cuda_about(Device *d, char *text, size_t size)
{
    Cuda *c = d->impl;
    struct cudaDeviceProp p;
    int driver = 0;
    if (cudaGetDeviceProperties(&p, c->index) || cudaDriverGetVersion(&driver)) {
        cudaGetLastError();
        snprintf(text, size, "cuda:%d", c->index);
        return;
    }
    snprintf(text, size, "%s (sm_%d%d, %.0f MiB), driver for CUDA %d.%d", p.name, p.major, p.minor,
             (double)p.totalGlobalMem / 1048576, driver / 1000, driver % 1000 / 10);
}

/* ---------------------------------------------------------------- times and ranges */
static int cuda_mark(Device *d, int i)
{
    Cuda *c = d->impl;
    if (i >= c->nmarks) {
        c->marks = must_realloc(c->marks, sizeof *c->marks * (size_t)(i + 1));
        for (; c->nmarks <= i; c->nmarks++)
            if (check(cudaEventCreate(&c->marks[c->nmarks]), "event"))
                return -1;
    }
    return check(cudaEventRecord(c->marks[i], c->stream), "event");
}

static double cuda_between(Device *d, int i, int j)
{
    Cuda *c = d->impl;
    float ms = 0;
    if (check(cudaEventSynchronize(c->marks[j]), "waiting for an event") ||
        check(cudaEventElapsedTime(&ms, c->marks[i], c->marks[j]), "time between events"))
        return -1;
    return 1e-3 * (double)ms;
}

#ifdef HAVE_NVTX
static void cuda_range(Device *d, const char *name)
{
    (void)d;
    if (name)
        nvtxRangePushA(name);
    else
        nvtxRangePop();
}
#else
#define cuda_range NULL
#endif

/* ---------------------------------------------------------------- graphs */
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

/* ---------------------------------------------------------------- opening */
static void cuda_close(Device *d)
{
    Cuda *c = d->impl;
    if (c->uploads)
        cudaStreamSynchronize(c->uploads);
    if (c->stream)
        cudaStreamSynchronize(c->stream);
    for (int i = 0; i < STAGES; i++) {
        stage_free(&c->stage[i]);
        if (c->stage[i].arrived)
            cudaEventDestroy(c->stage[i].arrived);
        if (c->stage[i].taken)
            cudaEventDestroy(c->stage[i].taken);
    }
    for (int i = 0; i < c->nmarks; i++)
        cudaEventDestroy(c->marks[i]);
    free(c->marks);
    if (c->uploads)
        cudaStreamDestroy(c->uploads);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
    free(d);
}

/* How many GPUs there are, or 0 with error_text() saying what is missing. */
static int count_gpus(void)
{
    static const char advice[] = "or run with --device cpu";
    int count = 0, driver = 0, runtime = 0;
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0)
        return count;
    cudaGetLastError();
    if (status == cudaErrorInsufficientDriver) {
        cudaDriverGetVersion(&driver);
        cudaRuntimeGetVersion(&runtime);
        if (!driver)
            fail("cuda: no usable GPU: no NVIDIA driver is installed here (libcuda.so.1): install it, %s", advice);
        else
            fail("cuda: no usable GPU: the driver is too old: it knows CUDA up to %d.%d and this build needs %d.%d: "
                 "update the driver, build with an older nvcc, %s", driver / 1000, driver % 1000 / 10, runtime / 1000,
                 runtime % 1000 / 10, advice);
    } else if (status == cudaErrorNoDevice || status == cudaSuccess) {
        if (visible)
            fail("cuda: no usable GPU: the driver shows none, CUDA_VISIBLE_DEVICES=%s: change that, %s", visible,
                 advice);
        else
            fail("cuda: no usable GPU: the driver is here and sees none: nvidia-smi says what it has, %s", advice);
    } else {
        fail("cuda: no usable GPU: %s: nvidia-smi may say more, %s", cudaGetErrorString(status), advice);
    }
    return 0;
}

/* 0 if the GPU runs this build's kernels: machine code of its own generation, or the intermediate code of the newest
 * one, which the driver compiles. */
static int check_generation(int index)
{
    int major = 0, minor = 0, newest = 0;
    bool known = false;
    if (check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "the GPU's generation") ||
        check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index), "the GPU's generation"))
        return -1;
    int here = 10 * major + minor;
    if (here < OLDEST)
        return fail("cuda:%d: no usable GPU: it is an sm_%d and the oldest that guise runs on is sm_%d: use another GPU, "
                    "or --device cpu", index, here, OLDEST);
    for (const char *at = CUDA_ARCHS; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        int arch = atoi(at);
        known = known || (arch / 10 == major && arch <= here);
        newest = arch > newest ? arch : newest;
    }
    if (known || here > newest)
        return 0;
    return fail("cuda:%d: no usable GPU: it is an sm_%d and this build holds kernels for %s: build with "
                "make ARCHS=\"%d\", or run with --device cpu", index, here, CUDA_ARCHS, here);
}

static int check_memory(int index)
{
    size_t available = 0, total = 0;
    if (check(cudaMemGetInfo(&available, &total), "memory of the GPU"))
        return fail_in("cuda:%d: no usable GPU", index);
    if (available >= FREE_LEAST)
        return 0;
    return fail("cuda:%d: no usable GPU: %.0f of its %.0f MiB are free and %.0f are the least: other programs hold them "
                "(nvidia-smi), or run with --device cpu", index, (double)available / 1048576, (double)total / 1048576,
                (double)FREE_LEAST / 1048576);
}

static Device *open_cuda(const char *argument)
{
    int count = count_gpus(), index = 0;
    if (!count)
        return NULL;
    if (argument) {
        char *end;
        index = (int)strtol(argument, &end, 10);
        if (end == argument || *end || index < 0 || index >= count) {
            fail("cuda:%s: GPUs here are numbered 0 to %d", argument, count - 1);
            return NULL;
        }
    }
    if (check_generation(index) || check(cudaSetDevice(index), "choosing the GPU") || check_memory(index))
        return NULL;
    Cuda *c = must_zalloc(sizeof *c);
    Device *d = must_zalloc(sizeof *d);
    *d = (Device){
        .backend = "cuda", .fallback = NULL, .real_bytes = 4, .host_memory = false, .alignment = 256, .impl = c,
        .alloc = cuda_alloc, .free = cuda_free, .upload = cuda_upload, .download = cuda_download, .copy = cuda_copy,
        .fill = cuda_fill, .sync = cuda_sync, .close = cuda_close, .launched = cuda_launched, .memory = cuda_memory,
        .about = cuda_about, .mark = cuda_mark, .between = cuda_between, .range = cuda_range,
        .graph_begin = graph_begin, .graph_end = graph_end, .graph_launch = graph_launch, .graph_free = graph_free,
    };
    c->index = index;
    int bad = check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream") ||
              check(cudaStreamCreateWithFlags(&c->uploads, cudaStreamNonBlocking), "stream");
    for (int i = 0; i < STAGES && !bad; i++)
        bad = check(cudaEventCreateWithFlags(&c->stage[i].arrived, cudaEventDisableTiming), "event") ||
              check(cudaEventCreateWithFlags(&c->stage[i].taken, cudaEventDisableTiming), "event");
    if (!bad)
        return d;
    cuda_close(d);
    return NULL;
}

/* Tensor cores for TF32 and bfloat16 came with sm_80. */
static const char *lacks(const char *argument, Precision p)
{
    int major = 0, index = argument ? atoi(argument) : 0;
    (void)p;
    if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index) != cudaSuccess) {
        cudaGetLastError();
        return "there is no usable GPU of that number";
    }
    return major >= 8 ? NULL : "its GPU has no tensor cores for it (sm_80 and later have)";
}

BACKEND(cuda) = {.open = open_cuda, .doc = "NVIDIA GPU, one graph a plan", .lacks = lacks,
                 .libraries = cuda_libraries};
