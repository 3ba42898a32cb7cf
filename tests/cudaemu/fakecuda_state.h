/* fakecuda_state.h - what fakecuda.cpp (work, streams, memory) offers to fakecuda_api.cpp (CUDA's entry points).
 *
 * Work is a closure with the numbers of the work it comes after.  Numbers ascend with submission, so ascending order
 * is one valid order.  A stream is the set of work that the next submission comes after (its frontier), and an event
 * a copy of a frontier; done work is no longer in `pending`, which is all there is to know about it.  While a stream
 * is captured, its frontier counts nodes of the graph instead.
 *
 * Device memory is host memory, filled with 0xFF (NaN).  Under AddressSanitizer it is poisoned except while work is
 * being done, so that host code that touches it is caught. */
#ifndef GUISE_FAKECUDA_STATE_H
#define GUISE_FAKECUDA_STATE_H

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fakecuda.h"

namespace fake {

using Frontier = std::vector<uint64_t>;

struct Work {
    const char *what;
    std::function<void()> run;
    Frontier after;            /* numbers of pending work, or of nodes of the same graph */
    int device;
};

struct Stream;
struct Graph {
    std::vector<Work> nodes;   /* number of a node: its index + 1 */
    uint64_t capture;          /* number of the capture that made it */
    Stream *origin;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    cudaError_t broken;        /* why the capture can only fail */
};
struct Executable {
    std::shared_ptr<const Graph> graph;
    Frontier last;             /* its last launch: launches of one executable never overlap */
};
struct Stream {
    int device;
    bool blocking;             /* waits for the legacy stream, and it for this one */
    Frontier last;
    Graph *capture;
    Frontier outside;          /* while captured: the frontier of the work before the capture */
};
struct Event {
    bool timing, recorded;
    Frontier at;
    uint64_t capture;          /* recorded in this capture, 0: in none */
    std::chrono::steady_clock::time_point time;
};
struct Allocation {
    size_t size;
    int device;
};
using Allocations = std::map<char *, Allocation>;

/* The variable as a number, `otherwise` where it is not set. */
long from_environment(const char *name, long otherwise);

struct State {
    std::recursive_mutex mutex;
    long devices = from_environment("FAKECUDA_DEVICES", 1);
    size_t capacity = (size_t)from_environment("FAKECUDA_MEMORY", 4096) << 20;
    uint64_t random = (uint64_t)from_environment("FAKECUDA_SEED", 1) * 0x9e3779b97f4a7c15ull + 0x2545f4914f6cdd1dull;
    Allocations device, pinned;
    size_t used = 0;
    std::map<uint64_t, Work> pending;
    uint64_t submitted = 0, captures = 0;
    int running = 0;           /* > 0 while work is being done */
    std::set<Stream *> streams;
    std::set<Event *> events;
    std::set<Graph *> graphs, capturing;
    std::set<Executable *> executables;
    std::vector<Stream> legacy;            /* stream 0 of each device */
    std::unordered_map<const void *, int> shared_limit;
    FakecudaCounts counts = {}, mark = {};
    int ranges_open = 0;

    State()
    {
        for (int i = 0; i < devices; i++)
            legacy.push_back({i, true, {}, NULL, {}});
    }
};
State &S();                            /* the one there is */
extern __thread cudaError_t last_error;
extern __thread int current_device;

const int DEVICE_THREADS = 1024, DEVICE_PROCESSORS = 4;
const int SHARED_DEFAULT = 48 << 10, SHARED_OPT_IN = 227 << 10;

/* Records an error of the runtime and returns it; the reason goes to standard error where FAKECUDA_LOG=1. */
cudaError_t refuse(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Every entry point but those about errors and versions begins with this. */
#define ENTER(name)                                                              \
    std::lock_guard<std::recursive_mutex> lock(S().mutex);                       \
    if (!S().devices)                                                            \
        return refuse(cudaErrorNoDevice, name ": there is no device");           \
    if (S().running)                                                             \
        return refuse(cudaErrorNotPermitted, name ": called from a host function of a stream")

/* ---- work */
/* Does the wanted work, as far as it is pending, and what it comes after. */
void finish(Frontier wanted);
void finish_device(int device);
bool is_done(const Frontier &f);
/* Submits to a stream, or to the graph that captures it; it comes after the stream's frontier and after `also`. */
cudaError_t submit(Stream *x, const char *what, std::function<void()> run, Frontier also = {});
/* Does the nodes of a graph in an order that its edges and FAKECUDA allow. */
void run_graph(const Graph &graph);

/* ---- streams and captures */
/* The stream of a handle, NULL when there is none of that name. */
Stream *stream_of(cudaStream_t handle);
bool is_legacy(const Stream *x);
/* What new work in the stream comes after, itself pending. */
Frontier frontier_of(Stream *x);
/* A capture is spoilt by a call that it forbids, and will end with an error. */
cudaError_t spoil(Graph *g, cudaError_t error, const char *what);
/* Calls that a capture in global or thread-local mode forbids: allocation and waiting. */
cudaError_t forbidden_by_capture(const char *what);
/* Work in the legacy stream would wait for a captured blocking stream. */
cudaError_t forbidden_to_legacy(const char *what);

/* ---- memory */
cudaError_t allocate(Allocations &list, void **p, size_t n, const char *what);
cudaError_t release(Allocations &list, void *p, const char *what);
cudaError_t copy(void *to, const void *from, size_t n, cudaMemcpyKind kind, Stream *x, const char *what);
cudaError_t fill(void *p, int value, size_t n, Stream *x, const char *what);

}   // namespace fake
#endif
