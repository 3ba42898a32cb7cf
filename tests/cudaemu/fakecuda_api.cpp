/* fakecuda_api.cpp - CUDA's entry points, each as little as it takes; see fakecuda_state.h for how work is kept.
 * Where NVIDIA's headers are at hand this file compiles against them too: the compiler checks the prototypes. */
#include "fakecuda_state.h"

#include <algorithm>

#include <stdio.h>
#include <string.h>

using namespace fake;

#define API extern "C" cudaError_t

/* ---------------------------------------------------------------- devices and errors */
static int compute_capability()
{
    return (int)from_environment("FAKECUDA_CC", 90);
}

static int driver_version()
{
    return (int)from_environment("FAKECUDA_DRIVER", CUDART_VERSION);
}

API cudaGetDeviceCount(int *count)
{
    *count = 0;
    if (driver_version() < CUDART_VERSION)
        return refuse(cudaErrorInsufficientDriver, "cudaGetDeviceCount: the driver's version is %d", driver_version());
    ENTER("cudaGetDeviceCount");
    *count = (int)S().devices;
    return cudaSuccess;
}
API cudaGetDevice(int *device)
{
    ENTER("cudaGetDevice");
    *device = current_device;
    return cudaSuccess;
}
API cudaSetDevice(int device)
{
    ENTER("cudaSetDevice");
    if (device < 0 || device >= S().devices)
        return refuse(cudaErrorInvalidDevice, "cudaSetDevice: %d", device);
    current_device = device;
    return cudaSuccess;
}
API cudaGetDeviceProperties(struct cudaDeviceProp *p, int device)
{
    ENTER("cudaGetDeviceProperties");
    if (device < 0 || device >= S().devices)
        return refuse(cudaErrorInvalidDevice, "cudaGetDeviceProperties: %d", device);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "emulated CUDA device");
    p->totalGlobalMem = S().capacity;
    p->sharedMemPerBlock = SHARED_DEFAULT;
    p->sharedMemPerBlockOptin = SHARED_OPT_IN;
    p->sharedMemPerMultiprocessor = 228 << 10;
    p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = DEVICE_THREADS;
    p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 0x7fffffff;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->major = compute_capability() / 10;
    p->minor = compute_capability() % 10;
    p->multiProcessorCount = DEVICE_PROCESSORS;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxBlocksPerMultiProcessor = 32;
    p->concurrentKernels = p->asyncEngineCount = p->unifiedAddressing = 1;
    p->memoryBusWidth = 64;
    p->l2CacheSize = 1 << 20;
    return cudaSuccess;
}
API cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    ENTER("cudaDeviceGetAttribute");
    if (device < 0 || device >= S().devices)
        return refuse(cudaErrorInvalidDevice, "cudaDeviceGetAttribute: %d", device);
    switch ((int)attribute) {
    case cudaDevAttrMaxThreadsPerBlock:               *value = DEVICE_THREADS; break;
    case cudaDevAttrMaxSharedMemoryPerBlock:          *value = SHARED_DEFAULT; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:     *value = SHARED_OPT_IN; break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = 228 << 10; break;
    case cudaDevAttrWarpSize:                         *value = 32; break;
    case cudaDevAttrMaxRegistersPerBlock:             *value = 65536; break;
    case cudaDevAttrClockRate:                        *value = 1000000; break;
    case cudaDevAttrMemoryClockRate:                  *value = 1000000; break;
    case cudaDevAttrGlobalMemoryBusWidth:             *value = 64; break;
    case cudaDevAttrMultiProcessorCount:              *value = DEVICE_PROCESSORS; break;
    case cudaDevAttrL2CacheSize:                      *value = 1 << 20; break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:      *value = 2048; break;
    case cudaDevAttrComputeCapabilityMajor:           *value = compute_capability() / 10; break;
    case cudaDevAttrComputeCapabilityMinor:           *value = compute_capability() % 10; break;
    default: return refuse(cudaErrorInvalidValue, "cudaDeviceGetAttribute: attribute %d is not emulated", attribute);
    }
    return cudaSuccess;
}
API cudaDeviceSynchronize(void)
{
    ENTER("cudaDeviceSynchronize");
    if (cudaError_t error = forbidden_by_capture("cudaDeviceSynchronize"))
        return error;
    S().counts.syncs++;
    finish_device(current_device);
    return cudaSuccess;
}
API cudaDriverGetVersion(int *version)
{
    *version = driver_version();
    return cudaSuccess;
}
API cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}
API cudaGetLastError(void)
{
    cudaError_t error = last_error;
    last_error = cudaSuccess;
    return error;
}
API cudaPeekAtLastError(void)
{
    return last_error;
}

#define FOR_EACH_ERROR(X)                                                                                            \
    X(cudaSuccess) X(cudaErrorInvalidValue) X(cudaErrorMemoryAllocation) X(cudaErrorInitializationError)             \
    X(cudaErrorInvalidConfiguration) X(cudaErrorInvalidMemcpyDirection) X(cudaErrorInsufficientDriver)               \
    X(cudaErrorInvalidDeviceFunction) X(cudaErrorNoDevice) X(cudaErrorInvalidDevice) X(cudaErrorInvalidKernelImage)  \
    X(cudaErrorNoKernelImageForDevice) X(cudaErrorECCUncorrectable) X(cudaErrorInvalidResourceHandle)                \
    X(cudaErrorIllegalState) X(cudaErrorNotReady) X(cudaErrorIllegalAddress) X(cudaErrorLaunchOutOfResources)        \
    X(cudaErrorLaunchFailure) X(cudaErrorNotPermitted) X(cudaErrorNotSupported)                                      \
    X(cudaErrorStreamCaptureUnsupported) X(cudaErrorStreamCaptureInvalidated) X(cudaErrorStreamCaptureMerge)         \
    X(cudaErrorStreamCaptureUnmatched) X(cudaErrorStreamCaptureUnjoined) X(cudaErrorStreamCaptureIsolation)          \
    X(cudaErrorStreamCaptureImplicit) X(cudaErrorCapturedEvent) X(cudaErrorStreamCaptureWrongThread)                 \
    X(cudaErrorUnknown)
extern "C" const char *cudaGetErrorName(cudaError_t error)
{
    switch ((int)error) {
#define NAME_CASE(name) case name: return #name;
        FOR_EACH_ERROR(NAME_CASE)
    default: return "unrecognized error code";
    }
}
extern "C" const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : cudaGetErrorName(error);
}

/* ---------------------------------------------------------------- memory */
API cudaMalloc(void **p, size_t n)
{
    ENTER("cudaMalloc");
    return allocate(S().device, p, n, "cudaMalloc");
}
API cudaFree(void *p)
{
    ENTER("cudaFree");
    return release(S().device, p, "cudaFree");
}
API cudaMallocHost(void **p, size_t n)
{
    ENTER("cudaMallocHost");
    return allocate(S().pinned, p, n, "cudaMallocHost");
}
API cudaHostAlloc(void **p, size_t n, unsigned int)
{
    ENTER("cudaHostAlloc");
    return allocate(S().pinned, p, n, "cudaHostAlloc");
}
API cudaFreeHost(void *p)
{
    ENTER("cudaFreeHost");
    return release(S().pinned, p, "cudaFreeHost");
}
API cudaMemGetInfo(size_t *available, size_t *total)
{
    ENTER("cudaMemGetInfo");
    *total = S().capacity;
    *available = S().capacity - S().used;
    return cudaSuccess;
}
API cudaMemcpy(void *to, const void *from, size_t n, enum cudaMemcpyKind kind)
{
    ENTER("cudaMemcpy");
    if (cudaError_t error = forbidden_by_capture("cudaMemcpy"))
        return error;
    Stream *x = &S().legacy[current_device];
    long syncs = S().counts.syncs;
    cudaError_t error = copy(to, from, n, kind, x, "cudaMemcpy");
    if (!error) {
        S().counts.syncs = syncs + 1;
        finish(x->last);
    }
    return error;
}
API cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    ENTER("cudaMemcpyAsync");
    Stream *x = stream_of(stream);
    if (!x)
        return refuse(cudaErrorInvalidResourceHandle, "cudaMemcpyAsync: no such stream");
    return copy(to, from, n, kind, x, "cudaMemcpyAsync");
}
API cudaMemset(void *p, int value, size_t n)
{
    ENTER("cudaMemset");
    return fill(p, value, n, &S().legacy[current_device], "cudaMemset");
}
API cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t stream)
{
    ENTER("cudaMemsetAsync");
    Stream *x = stream_of(stream);
    if (!x)
        return refuse(cudaErrorInvalidResourceHandle, "cudaMemsetAsync: no such stream");
    return fill(p, value, n, x, "cudaMemsetAsync");
}

/* ---------------------------------------------------------------- streams */
#define FIND_STREAM(x, name)                                                             \
    Stream *x = stream_of(stream);                                                       \
    if (!x)                                                                              \
        return refuse(cudaErrorInvalidResourceHandle, name ": no such stream, or destroyed")

API cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int flags)
{
    ENTER("cudaStreamCreateWithFlags");
    Stream *x = new Stream{current_device, !(flags & cudaStreamNonBlocking), {}, NULL, {}};
    S().streams.insert(x);
    *stream = (cudaStream_t)x;
    return cudaSuccess;
}
API cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}
/* The work of a destroyed stream stays to be done. */
API cudaStreamDestroy(cudaStream_t stream)
{
    ENTER("cudaStreamDestroy");
    FIND_STREAM(x, "cudaStreamDestroy");
    if (is_legacy(x))
        return refuse(cudaErrorInvalidResourceHandle, "cudaStreamDestroy: stream 0");
    if (x->capture)
        return spoil(x->capture, cudaErrorStreamCaptureUnsupported, "cudaStreamDestroy");
    S().streams.erase(x);
    delete x;
    return cudaSuccess;
}
API cudaStreamSynchronize(cudaStream_t stream)
{
    ENTER("cudaStreamSynchronize");
    FIND_STREAM(x, "cudaStreamSynchronize");
    if (x->capture)
        return spoil(x->capture, cudaErrorStreamCaptureUnsupported, "cudaStreamSynchronize");
    if (cudaError_t error = forbidden_by_capture("cudaStreamSynchronize"))
        return error;
    S().counts.syncs++;
    finish(frontier_of(x));
    return cudaSuccess;
}
/* Answers truly; and since a program may ask until the answer is yes, each no lets the oldest of the work be done. */
static cudaError_t query(const Frontier &f)
{
    for (uint64_t number : f) {
        if (S().pending.count(number)) {
            Frontier oldest = {number};
            for (;;) {
                const Frontier &after = S().pending[oldest[0]].after;
                auto p = std::find_if(after.begin(), after.end(), [](uint64_t a) { return S().pending.count(a) > 0; });
                if (p == after.end())
                    break;
                oldest[0] = *p;
            }
            finish(oldest);
            return cudaErrorNotReady;
        }
    }
    return cudaSuccess;
}
API cudaStreamQuery(cudaStream_t stream)
{
    ENTER("cudaStreamQuery");
    FIND_STREAM(x, "cudaStreamQuery");
    if (x->capture)
        return spoil(x->capture, cudaErrorStreamCaptureUnsupported, "cudaStreamQuery");
    return query(frontier_of(x));
}
API cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    ENTER("cudaLaunchHostFunc");
    FIND_STREAM(x, "cudaLaunchHostFunc");
    return submit(x, "cudaLaunchHostFunc", [function, data] { function(data); });
}
API cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value)
{
    ENTER("cudaFuncSetAttribute");
    if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value < 0 || value > SHARED_OPT_IN)
            return refuse(cudaErrorInvalidValue, "cudaFuncSetAttribute: %d bytes of shared memory", value);
        S().shared_limit[kernel] = value;
    }
    return cudaSuccess;
}

/* ---------------------------------------------------------------- events */
#define FIND_EVENT(x, handle, name)                                                      \
    Event *x = (Event *)(handle);                                                        \
    if (!S().events.count(x))                                                            \
        return refuse(cudaErrorInvalidResourceHandle, name ": no such event, or destroyed")

API cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    ENTER("cudaEventCreateWithFlags");
    Event *e = new Event{!(flags & cudaEventDisableTiming), false, {}, 0, {}};
    S().events.insert(e);
    *event = (cudaEvent_t)e;
    return cudaSuccess;
}
API cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}
API cudaEventDestroy(cudaEvent_t event)
{
    ENTER("cudaEventDestroy");
    FIND_EVENT(e, event, "cudaEventDestroy");
    S().events.erase(e);
    delete e;
    return cudaSuccess;
}
API cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    ENTER("cudaEventRecord");
    FIND_EVENT(e, event, "cudaEventRecord");
    FIND_STREAM(x, "cudaEventRecord");
    if (is_legacy(x))
        if (cudaError_t error = forbidden_to_legacy("cudaEventRecord"))
            return error;
    e->at = frontier_of(x);
    e->capture = x->capture ? x->capture->capture : 0;
    e->recorded = true;
    e->time = std::chrono::steady_clock::now();
    return cudaSuccess;
}
/* What the stream has pending stays outside of the graph and comes back when the capture ends. */
static void enter_capture(Stream *x, Graph *g)
{
    x->capture = g;
    x->outside.swap(x->last);
    x->last.clear();
}
API cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int)
{
    ENTER("cudaStreamWaitEvent");
    FIND_STREAM(x, "cudaStreamWaitEvent");
    FIND_EVENT(e, event, "cudaStreamWaitEvent");
    if (!e->recorded)
        return cudaSuccess;
    if (e->capture) {
        Graph *g = NULL;
        for (Graph *c : S().capturing)
            g = c->capture == e->capture ? c : g;
        if (!g)
            return refuse(cudaErrorCapturedEvent, "cudaStreamWaitEvent: the event's capture has ended");
        if (x->capture && x->capture != g)
            return spoil(g, cudaErrorStreamCaptureMerge, "cudaStreamWaitEvent between two captures");
        if (is_legacy(x))
            return spoil(g, cudaErrorStreamCaptureImplicit, "cudaStreamWaitEvent in stream 0");
        if (!x->capture)
            enter_capture(x, g);
    } else if (x->capture) {
        return spoil(x->capture, cudaErrorStreamCaptureIsolation, "cudaStreamWaitEvent on an event from outside");
    }
    x->last.insert(x->last.end(), e->at.begin(), e->at.end());
    return cudaSuccess;
}
API cudaEventSynchronize(cudaEvent_t event)
{
    ENTER("cudaEventSynchronize");
    FIND_EVENT(e, event, "cudaEventSynchronize");
    if (e->capture)
        return refuse(cudaErrorCapturedEvent, "cudaEventSynchronize");
    if (cudaError_t error = forbidden_by_capture("cudaEventSynchronize"))
        return error;
    S().counts.syncs++;
    finish(e->at);
    return cudaSuccess;
}
API cudaEventQuery(cudaEvent_t event)
{
    ENTER("cudaEventQuery");
    FIND_EVENT(e, event, "cudaEventQuery");
    if (e->capture)
        return refuse(cudaErrorCapturedEvent, "cudaEventQuery");
    return query(e->at);
}
/* The time between the two calls of cudaEventRecord: enough for a number to be there. */
API cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    ENTER("cudaEventElapsedTime");
    FIND_EVENT(a, start, "cudaEventElapsedTime");
    FIND_EVENT(b, end, "cudaEventElapsedTime");
    if (!a->recorded || !b->recorded || !a->timing || !b->timing || a->capture || b->capture)
        return refuse(cudaErrorInvalidResourceHandle, "cudaEventElapsedTime: an event without a time");
    if (!is_done(a->at) || !is_done(b->at))
        return cudaErrorNotReady;
    *ms = std::max(1e-3f, std::chrono::duration<float, std::milli>(b->time - a->time).count());
    return cudaSuccess;
}

/* ---------------------------------------------------------------- graphs */
API cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode capture_mode)
{
    ENTER("cudaStreamBeginCapture");
    FIND_STREAM(x, "cudaStreamBeginCapture");
    if (is_legacy(x))
        return refuse(cudaErrorStreamCaptureUnsupported, "cudaStreamBeginCapture: stream 0");
    if (x->capture)
        return refuse(cudaErrorIllegalState, "cudaStreamBeginCapture: the stream is captured already");
    Graph *g = new Graph{{}, ++S().captures, x, capture_mode, std::this_thread::get_id(), cudaSuccess};
    S().capturing.insert(g);
    enter_capture(x, g);
    return cudaSuccess;
}
API cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    ENTER("cudaStreamEndCapture");
    FIND_STREAM(x, "cudaStreamEndCapture");
    *graph = NULL;
    Graph *g = x->capture;
    if (!g)
        return refuse(cudaErrorIllegalState, "cudaStreamEndCapture: the stream is not captured");
    if (g->origin != x)
        return refuse(cudaErrorStreamCaptureUnmatched, "cudaStreamEndCapture: the capture began in another stream");
    if (g->mode != cudaStreamCaptureModeRelaxed && g->thread != std::this_thread::get_id())
        return refuse(cudaErrorStreamCaptureWrongThread, "cudaStreamEndCapture");

    std::vector<bool> joined(g->nodes.size() + 1, false);
    Frontier todo = x->last;
    while (!todo.empty()) {
        uint64_t n = todo.back();
        todo.pop_back();
        if (!joined[n]) {
            joined[n] = true;
            todo.insert(todo.end(), g->nodes[n - 1].after.begin(), g->nodes[n - 1].after.end());
        }
    }
    size_t loose = std::count(joined.begin() + 1, joined.end(), false);
    for (Stream *y : S().streams) {
        if (y->capture == g) {
            y->capture = NULL;
            y->last.swap(y->outside);
            y->outside.clear();
        }
    }
    S().capturing.erase(g);
    cudaError_t error = g->broken;
    if (error)
        refuse(error, "cudaStreamEndCapture: the capture was spoilt");
    else if (loose)
        error = refuse(cudaErrorStreamCaptureUnjoined, "cudaStreamEndCapture: %zu nodes on streams not joined again",
                       loose);
    if (error) {
        delete g;
        return error;
    }
    S().graphs.insert(g);
    *graph = (cudaGraph_t)g;
    return cudaSuccess;
}
API cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    ENTER("cudaStreamIsCapturing");
    FIND_STREAM(x, "cudaStreamIsCapturing");
    *status = !x->capture          ? cudaStreamCaptureStatusNone
              : x->capture->broken ? cudaStreamCaptureStatusInvalidated
                                   : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
API cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    ENTER("cudaGraphInstantiate");
    if (!S().graphs.count((Graph *)graph))
        return refuse(cudaErrorInvalidValue, "cudaGraphInstantiate: no such graph, or destroyed");
    S().counts.instantiations++;
    Executable *e = new Executable{std::make_shared<const Graph>(*(Graph *)graph), {}};
    S().executables.insert(e);
    *executable = (cudaGraphExec_t)e;
    return cudaSuccess;
}
API cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    ENTER("cudaGraphLaunch");
    FIND_STREAM(x, "cudaGraphLaunch");
    Executable *e = (Executable *)executable;
    if (!S().executables.count(e))
        return refuse(cudaErrorInvalidValue, "cudaGraphLaunch: no such executable, or destroyed");
    if (x->capture)
        return spoil(x->capture, cudaErrorStreamCaptureUnsupported, "cudaGraphLaunch");
    S().counts.graph_launches++;
    auto run = [graph = e->graph] { run_graph(*graph); };
    cudaError_t error = submit(x, "graph", run, e->last);
    if (!error)
        e->last = x->last;
    return error;
}
/* Nodes have no handles here: only their number is answered. */
API cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    ENTER("cudaGraphGetNodes");
    if (!S().graphs.count((Graph *)graph) || nodes)
        return refuse(cudaErrorInvalidValue, "cudaGraphGetNodes: no such graph, or nodes asked for");
    *count = ((Graph *)graph)->nodes.size();
    return cudaSuccess;
}
API cudaGraphDestroy(cudaGraph_t graph)
{
    ENTER("cudaGraphDestroy");
    if (!S().graphs.erase((Graph *)graph))
        return refuse(cudaErrorInvalidValue, "cudaGraphDestroy: no such graph, or destroyed");
    delete (Graph *)graph;
    return cudaSuccess;
}
/* Launches that are still pending keep what they need. */
API cudaGraphExecDestroy(cudaGraphExec_t executable)
{
    ENTER("cudaGraphExecDestroy");
    if (!S().executables.erase((Executable *)executable))
        return refuse(cudaErrorInvalidValue, "cudaGraphExecDestroy: no such executable, or destroyed");
    delete (Executable *)executable;
    return cudaSuccess;
}

/* ---------------------------------------------------------------- NVTX */
extern "C" int nvtxRangePushA(const char *)
{
    std::lock_guard<std::recursive_mutex> lock(S().mutex);
    S().counts.ranges++;
    return S().ranges_open++;
}
extern "C" int nvtxRangePop(void)
{
    std::lock_guard<std::recursive_mutex> lock(S().mutex);
    return S().ranges_open > 0 ? --S().ranges_open : -2;
}
