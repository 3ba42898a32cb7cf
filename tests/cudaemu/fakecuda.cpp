/* fakecuda.cpp - the CUDA runtime on the CPU: work, streams, captures and memory.  See fakecuda_state.h.
 * CUDA's own functions are in fakecuda_api.cpp. */
#include "fakecuda_state.h"

#include <algorithm>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cuda_emu.h"

#ifdef EMU_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace fake {

long from_environment(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

State &S()
{
    static State *state = new State;   /* never destroyed: programs free their objects in exit handlers */
    return *state;
}

__thread cudaError_t last_error;
__thread int current_device;

cudaError_t refuse(cudaError_t error, const char *format, ...)
{
    if (from_environment("FAKECUDA_LOG", 0)) {
        va_list arguments;
        va_start(arguments, format);
        fprintf(stderr, "fakecuda: %s: ", cudaGetErrorName(error));
        vfprintf(stderr, format, arguments);
        fprintf(stderr, "\n");
        va_end(arguments);
    }
    S().counts.refused++;
    return last_error = error;
}

/* ---------------------------------------------------------------- doing work */
namespace {
enum Mode { EAGER, LAZY, RANDOM };
Mode mode()
{
    const char *name = getenv("FAKECUDA");
    if (!name || !*name || !strcmp(name, "eager"))
        return EAGER;
    if (!strcmp(name, "lazy"))
        return LAZY;
    if (!strcmp(name, "rand"))
        return RANDOM;
    fprintf(stderr, "fakecuda: FAKECUDA=%s: eager, lazy or rand\n", name);
    abort();
}
uint64_t random_below(uint64_t n)
{
    uint64_t &s = S().random;
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return (s >> 11) % n;
}

void set_poison(char *p, size_t size, bool poisoned)
{
#ifdef EMU_ASAN
    if (poisoned)
        ASAN_POISON_MEMORY_REGION(p, size);
    else
        ASAN_UNPOISON_MEMORY_REGION(p, size);
#else
    (void)p, (void)size, (void)poisoned;
#endif
}
/* Device memory is accessible while one of these lives. */
struct Running {
    Running()
    {
        if (!S().running++)
            for (auto &a : S().device)
                set_poison(a.first, a.second.size, false);
    }
    ~Running()
    {
        if (!--S().running)
            for (auto &a : S().device)
                set_poison(a.first, a.second.size, true);
    }
};

/* Calls run(i) for i in 0..n-1 so that i comes after all of after(i), which are smaller. */
template <class After, class Run> void in_some_order(int n, After after, Run run)
{
    Mode m = mode();
    std::vector<int> missing(n, 0), ready;
    std::vector<std::vector<int>> next(n);
    for (int i = 0; i < n; i++) {
        for (int k : after(i)) {
            next[k].push_back(i);
            missing[i]++;
        }
    }
    for (int i = n - 1; i >= 0; i--)
        if (!missing[i])
            ready.push_back(i);
    if (m == EAGER) {
        for (int i = 0; i < n; i++)
            run(i);
        return;
    }
    while (!ready.empty()) {
        size_t pick = m == RANDOM ? random_below(ready.size())
                                  : (size_t)(std::max_element(ready.begin(), ready.end()) - ready.begin());
        int i = ready[pick];
        ready[pick] = ready.back();
        ready.pop_back();
        run(i);
        for (int k : next[i])
            if (!--missing[k])
                ready.push_back(k);
    }
}

}   // namespace

void finish(Frontier wanted)
{
    State &s = S();
    if (mode() == RANDOM)
        for (auto &p : s.pending)
            if (!random_below(4))
                wanted.push_back(p.first);
    std::set<uint64_t> needed;
    while (!wanted.empty()) {
        uint64_t number = wanted.back();
        wanted.pop_back();
        auto p = s.pending.find(number);
        if (p != s.pending.end() && needed.insert(number).second)
            wanted.insert(wanted.end(), p->second.after.begin(), p->second.after.end());
    }
    if (needed.empty())
        return;
    std::vector<uint64_t> numbers(needed.begin(), needed.end());
    auto after = [&](int i) {
        std::vector<int> list;
        for (uint64_t number : s.pending[numbers[i]].after) {
            auto at = std::lower_bound(numbers.begin(), numbers.end(), number);
            if (at != numbers.end() && *at == number)
                list.push_back((int)(at - numbers.begin()));
        }
        return list;
    };
    Running running;
    in_some_order((int)numbers.size(), after, [&](int i) {
        std::function<void()> run = std::move(s.pending[numbers[i]].run);
        run();
        s.pending.erase(numbers[i]);
    });
}
void run_graph(const Graph &graph)
{
    auto after = [&](int i) {
        std::vector<int> list;
        for (uint64_t n : graph.nodes[i].after)
            list.push_back((int)n - 1);
        return list;
    };
    in_some_order((int)graph.nodes.size(), after, [&](int i) { graph.nodes[i].run(); });
}
void finish_device(int device)
{
    Frontier all;
    for (auto &p : S().pending)
        if (p.second.device == device)
            all.push_back(p.first);
    finish(all);
}
bool is_done(const Frontier &f)
{
    return std::none_of(f.begin(), f.end(), [](uint64_t number) { return S().pending.count(number) > 0; });
}

/* ---------------------------------------------------------------- streams */
Stream *stream_of(cudaStream_t handle)
{
    if (!handle || handle == cudaStreamLegacy)
        return &S().legacy[current_device];
    Stream *x = (Stream *)handle;
    return S().streams.count(x) ? x : NULL;
}
bool is_legacy(const Stream *x)
{
    return !S().streams.count((Stream *)x);
}

Frontier frontier_of(Stream *x)
{
    Frontier f = x->last;
    if (x->capture)
        return f;
    if (is_legacy(x)) {
        for (Stream *y : S().streams)
            if (y->blocking && y->device == x->device && !y->capture)
                f.insert(f.end(), y->last.begin(), y->last.end());
    } else if (x->blocking) {
        const Frontier &l = S().legacy[x->device].last;
        f.insert(f.end(), l.begin(), l.end());
    }
    std::sort(f.begin(), f.end());
    f.erase(std::unique(f.begin(), f.end()), f.end());
    f.erase(std::remove_if(f.begin(), f.end(), [](uint64_t number) { return !S().pending.count(number); }), f.end());
    return f;
}

cudaError_t spoil(Graph *g, cudaError_t error, const char *what)
{
    g->broken = cudaErrorStreamCaptureInvalidated;
    return refuse(error, "%s during a capture", what);
}
cudaError_t forbidden_by_capture(const char *what)
{
    cudaError_t error = cudaSuccess;
    for (Graph *g : S().capturing)
        if (g->mode == cudaStreamCaptureModeGlobal ||
            (g->mode == cudaStreamCaptureModeThreadLocal && g->thread == std::this_thread::get_id()))
            error = spoil(g, cudaErrorStreamCaptureUnsupported, what);
    return error;
}
cudaError_t forbidden_to_legacy(const char *what)
{
    for (Stream *x : S().streams)
        if (x->capture && x->blocking)
            return spoil(x->capture, cudaErrorStreamCaptureImplicit, what);
    return cudaSuccess;
}

cudaError_t submit(Stream *x, const char *what, std::function<void()> run, Frontier also)
{
    State &s = S();
    if (Graph *g = x->capture) {
        if (g->broken)
            return refuse(cudaErrorStreamCaptureInvalidated, "%s: the capture is spoilt", what);
        g->nodes.push_back({what, std::move(run), x->last, x->device});
        x->last = {g->nodes.size()};
        return cudaSuccess;
    }
    if (is_legacy(x))
        if (cudaError_t error = forbidden_to_legacy(what))
            return error;
    Frontier after = frontier_of(x);
    after.insert(after.end(), also.begin(), also.end());
    uint64_t number = ++s.submitted;
    s.pending[number] = {what, std::move(run), after, x->device};
    x->last = {number};
    if (mode() == EAGER)
        finish({number});
    else if (mode() == RANDOM && !random_below(8))
        finish({});
    return cudaSuccess;
}

/* ---------------------------------------------------------------- memory */
namespace {
/* The allocation that holds p, or whose end p is. */
Allocations::iterator holder(Allocations &list, const void *p)
{
    auto a = list.upper_bound((char *)p);
    if (a == list.begin())
        return list.end();
    --a;
    return (char *)p <= a->first + a->second.size ? a : list.end();
}
bool holds(Allocations &list, const void *p, size_t n)
{
    auto a = holder(list, p);
    return a != list.end() && n <= a->second.size - (size_t)((char *)p - a->first);
}
bool touches(Allocations &list, const void *p, size_t n)
{
    auto a = list.lower_bound((char *)p + n);
    return a != list.begin() && (--a, a->first + a->second.size > (char *)p);
}

}   // namespace

cudaError_t allocate(Allocations &list, void **p, size_t n, const char *what)
{
    if (cudaError_t error = forbidden_by_capture(what))
        return error;
    State &s = S();
    s.counts.mallocs++;
    *p = NULL;
    if (!n)
        return cudaSuccess;
    bool on_device = &list == &s.device;
    if ((on_device && (n > s.capacity || s.used > s.capacity - n)) || posix_memalign(p, 256, n))
        return refuse(cudaErrorMemoryAllocation, "%s: %zu bytes, %zu of %zu are in use", what, n, s.used, s.capacity);
    memset(*p, 0xFF, n);
    list[(char *)*p] = {n, current_device};
    if (on_device) {
        s.used += n;
        set_poison((char *)*p, n, true);
    }
    return cudaSuccess;
}
cudaError_t release(Allocations &list, void *p, const char *what)
{
    if (!p)
        return cudaSuccess;
    if (cudaError_t error = forbidden_by_capture(what))
        return error;
    auto a = list.find((char *)p);
    if (a == list.end())
        return refuse(cudaErrorInvalidValue, "%s: %p was not allocated, or freed before", what, p);
    S().counts.frees++;
    S().counts.syncs++;
    finish_device(a->second.device);
    if (&list == &S().device)
        S().used -= a->second.size;
    set_poison((char *)p, a->second.size, false);
    memset(p, 0xFF, a->second.size);
    list.erase(a);
    free(p);
    return cudaSuccess;
}

cudaError_t copy(void *to, const void *from, size_t n, cudaMemcpyKind kind, Stream *x, const char *what)
{
    State &s = S();
    if (!n)
        return cudaSuccess;
    bool to_device = touches(s.device, to, n), from_device = touches(s.device, from, n);
    if ((to_device && !holds(s.device, to, n)) || (from_device && !holds(s.device, from, n)))
        return refuse(cudaErrorInvalidValue, "%s: %zu bytes reach beyond the device memory allocated there", what, n);
    if (kind != cudaMemcpyDefault) {
        bool wants_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
        bool wants_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
        if (wants_to != to_device || wants_from != from_device)
            return refuse(cudaErrorInvalidValue, "%s: the pointers do not fit the direction %d", what, (int)kind);
    }
    bool to_pageable = !to_device && !holds(s.pinned, to, n);
    bool from_pageable = !from_device && !holds(s.pinned, from, n);
    if (x->capture && (to_pageable || from_pageable))
        return spoil(x->capture, cudaErrorStreamCaptureUnsupported, "a copy with pageable memory");
    s.counts.copies++;
    s.counts.syncs += to_pageable || from_pageable;
    cudaError_t error;
    if (from_pageable) {   /* read before the call returns */
        auto bytes = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + n);
        error = submit(x, what, [to, bytes] { memcpy(to, bytes->data(), bytes->size()); });
    } else {
        error = submit(x, what, [to, from, n] { memmove(to, from, n); });
    }
    if (!error && to_pageable)
        finish(x->last);
    return error;
}

cudaError_t fill(void *p, int value, size_t n, Stream *x, const char *what)
{
    if (!n)
        return cudaSuccess;
    if (!holds(S().device, p, n))
        return refuse(cudaErrorInvalidValue, "%s: %zu bytes from %p are not device memory", what, n, p);
    S().counts.copies++;
    return submit(x, what, [p, value, n] { memset(p, value, n); });
}

/* ---------------------------------------------------------------- leftovers */
namespace {
struct AtExit {
    AtExit()
    {
        S();
        if (from_environment("FAKECUDA_STRICT", 0))
            atexit(report);
    }
    static void report()
    {
        FakecudaLive l = fakecuda_live();
        if (!(l.device_blocks + l.pinned_blocks + l.streams + l.events + l.graphs + l.executables + l.pending))
            return;
        fprintf(stderr, "fakecuda: left at exit: %ld device blocks, %ld pinned blocks, %ld streams, %ld events, "
                "%ld graphs, %ld executables; %ld pieces of work never waited for\n", l.device_blocks,
                l.pinned_blocks, l.streams, l.events, l.graphs, l.executables, l.pending);
        fflush(NULL);
        _exit(98);
    }
} at_exit;
}   // namespace

}   // namespace fake
using namespace fake;

/* ---------------------------------------------------------------- launching */
cudaError_t fakecuda_submit(cudaStream_t stream, const char *what, std::function<void()> work)
{
    ENTER("launch");
    Stream *x = stream_of(stream);
    if (!x)
        return refuse(cudaErrorInvalidResourceHandle, "%s: no such stream", what);
    if (x->device != current_device)
        return refuse(cudaErrorInvalidResourceHandle, "%s: the stream belongs to device %d, %d is current", what,
                      x->device, current_device);
    S().counts.launches++;
    return submit(x, what, std::move(work));
}

void emu_submit(const EmuLaunch &l, cudaStream_t stream, const void *const *pointers, int n_pointers,
                std::function<void()> work)
{
    State &s = S();
    std::lock_guard<std::recursive_mutex> lock(s.mutex);
    uint64_t threads = (uint64_t)l.block.x * l.block.y * l.block.z;
    bool fits = l.grid.x && l.grid.y && l.grid.z && threads && l.grid.x <= 0x7fffffffu && l.grid.y <= 65535 &&
                l.grid.z <= 65535 && l.block.x <= 1024 && l.block.y <= 1024 && l.block.z <= 64 &&
                threads <= DEVICE_THREADS;
    if (!fits) {
        refuse(cudaErrorInvalidConfiguration, "%s: grid (%u, %u, %u), block (%u, %u, %u)", l.name, l.grid.x, l.grid.y,
               l.grid.z, l.block.x, l.block.y, l.block.z);
        return;
    }
    auto raised = s.shared_limit.find(l.kernel);
    size_t limit = raised == s.shared_limit.end() ? SHARED_DEFAULT : (size_t)raised->second;
    if (l.shared > limit) {
        refuse(cudaErrorInvalidValue, "%s: %zu bytes of dynamic shared memory, the limit is %zu", l.name, l.shared,
               limit);
        return;
    }
    for (int i = 0; i < n_pointers; i++) {
        auto a = holder(s.device, pointers[i]);
        bool here = a != s.device.end() && a->second.device == current_device;
        if (pointers[i] && !here && holder(s.pinned, pointers[i]) == s.pinned.end()) {
            fprintf(stderr, "fakecuda: %s: pointer argument %d (%p) is not memory of this device\n", l.name, i + 1,
                    pointers[i]);
            refuse(cudaErrorIllegalAddress, "%s: a pointer that the device cannot follow", l.name);
            return;
        }
    }
    fakecuda_submit(stream, l.name, std::move(work));
}

/* ---------------------------------------------------------------- fakecuda.h */
#define FOR_EACH_COUNT(X) \
    X(mallocs) X(frees) X(syncs) X(launches) X(copies) X(graph_launches) X(instantiations) X(refused) \
    X(ranges)
void fakecuda_mark(void)
{
    std::lock_guard<std::recursive_mutex> lock(S().mutex);
    S().mark = S().counts;
}
FakecudaCounts fakecuda_counts(void)
{
    std::lock_guard<std::recursive_mutex> lock(S().mutex);
    FakecudaCounts c = S().counts;
#define SINCE_MARK(field) c.field -= S().mark.field;
    FOR_EACH_COUNT(SINCE_MARK)
    return c;
}
FakecudaLive fakecuda_live(void)
{
    State &s = S();
    std::lock_guard<std::recursive_mutex> lock(s.mutex);
    FakecudaLive l = {};
    l.device_blocks = (long)s.device.size();
    l.pinned_blocks = (long)s.pinned.size();
    l.streams = (long)s.streams.size();
    l.events = (long)s.events.size();
    l.graphs = (long)s.graphs.size();
    l.executables = (long)s.executables.size();
    l.pending = (long)s.pending.size();
    l.ranges = s.ranges_open;
    l.device_bytes = s.used;
    for (auto &a : s.pinned)
        l.pinned_bytes += a.second.size;
    return l;
}
int fakecuda_is_device(const void *p, size_t n)
{
    std::lock_guard<std::recursive_mutex> lock(S().mutex);
    return holds(S().device, p, n);
}
