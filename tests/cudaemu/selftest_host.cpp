/* selftest_host.cpp - runs the kernels of selftest.cu, and streams and graphs, with a mistake or without.
 *
 *     selftest list          number, case and description of every mistake
 *     selftest N             makes mistake N (0: none, all cases); status 0 when nothing was noticed
 *     selftest time          nanoseconds of the emulator's own work */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <memory>
#include <vector>

#include "fakecuda.h"
#include "selftest.h"

#define MUST(call)                                                                               \
    do {                                                                                         \
        cudaError_t error_ = (call);                                                             \
        if (error_ != cudaSuccess) {                                                             \
            printf("line %d: %s: %s\n", __LINE__, #call, cudaGetErrorName(error_));              \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

static int failures;

static void check(const char *what, bool good)
{
    if (!good)
        printf("wrong: %s\n", what);
    failures += !good;
}
static void check_values(const char *what, const std::vector<float> &got, const std::vector<float> &want)
{
    for (size_t i = 0; i < want.size(); i++) {
        if (!(fabsf(got[i] - want[i]) <= 1e-4f)) {
            printf("wrong: %s[%zu] is %g, should be %g\n", what, i, got[i], want[i]);
            failures++;
            return;
        }
    }
}
static std::vector<float> numbers(int n, int seed)
{
    std::vector<float> v(n);
    for (int i = 0; i < n; i++)
        v[i] = (float)((i * 37 + seed * 11) % 101) / 50.0f - 1.0f;
    return v;
}

/* Device memory with the values of a vector, freed at the end of the scope. */
struct Device {
    float *p = NULL;
    size_t n;
    explicit Device(size_t n) : n(n) { MUST(cudaMalloc((void **)&p, n * 4)); }
    explicit Device(const std::vector<float> &v) : Device(v.size())
    {
        MUST(cudaMemcpy(p, v.data(), n * 4, cudaMemcpyHostToDevice));
    }
    Device(const Device &) = delete;
    ~Device() { MUST(cudaFree(p)); }
    std::vector<float> read() const
    {
        std::vector<float> v(n);
        MUST(cudaMemcpy(v.data(), p, n * 4, cudaMemcpyDeviceToHost));
        return v;
    }
};

/* ---------------------------------------------------------------- kernels */
static void scale(int bug)
{
    std::vector<float> x = numbers(1000, 1), want(x);
    for (float &v : want)
        v *= 3.0f;
    Device dx(x), dy(x.size());
    launch_scale(dy.p, dx.p, 3.0f, (int)x.size(), bug, 0);
    MUST(cudaGetLastError());
    check_values("scale", dy.read(), want);
}
static void sum(int bug)
{
    int rows = 5, n = 300;
    std::vector<float> x = numbers(rows * n, 2), total(rows), norm(rows);
    for (int i = 0; i < rows * n; i++) {
        total[i / n] += x[i];
        norm[i / n] += x[i] * x[i];
    }
    Device dx(x), dt(rows), dn(rows);
    launch_sum(dt.p, dn.p, dx.p, rows, n, bug, 0);
    MUST(cudaGetLastError());
    check_values("sum", dt.read(), total);
    check_values("sum of squares", dn.read(), norm);
}
static void transpose(int bug)
{
    int rows = 32, cols = 37;
    std::vector<float> x = numbers(rows * cols, 3), want(x.size());
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            want[c * rows + r] = x[r * cols + c];
    Device dx(x), dy(x.size());
    launch_transpose(dy.p, dx.p, rows, cols, bug, 0);
    MUST(cudaGetLastError());
    check_values("transpose", dy.read(), want);
}
static void multiply(int bug)
{
    int m = 19, n = 13, k = 21;
    std::vector<float> a = numbers(m * k, 4), b = numbers(k * n, 5), want(m * n);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            for (int q = 0; q < k; q++)
                want[i * n + j] += a[i * k + q] * b[q * n + j];
    Device da(a), db(b), dc(want.size());
    launch_multiply(dc.p, da.p, db.p, m, n, k, bug, 0);
    MUST(cudaGetLastError());
    check_values("product", dc.read(), want);
}
static void filter(int bug)
{
    int planes = 2, h = 11, w = 18;
    std::vector<float> x = numbers(planes * h * w, 6), f = numbers(planes * 9, 7), want(x.size());
    for (int p = 0; p < planes; p++)
        for (int i = 0; i < h * w; i++)
            for (int q = 0; q < 9; q++) {
                int iy = i / w + q / 3 - 1, ix = i % w + q % 3 - 1;
                if (iy >= 0 && iy < h && ix >= 0 && ix < w)
                    want[p * h * w + i] += f[p * 9 + q] * x[(p * h + iy) * w + ix];
            }
    Device dx(x), df(f), dy(x.size());
    launch_filter(dy.p, dx.p, df.p, planes, h, w, bug, 0);
    MUST(cudaGetLastError());
    check_values("filter", dy.read(), want);
}
static void count(int bug)
{
    int n = 1000, blocks = (n + COUNT_BLOCK - 1) / COUNT_BLOCK, positive = 0;
    std::vector<float> x = numbers(n, 8), want(1);
    for (float v : x) {
        positive += v > 0.0f;
        want[0] += v > 0.0f ? v : 0.0f;
    }
    Device dx(x), dcounters(2), dpartial(blocks), dsum(1);
    MUST(cudaMemset(dcounters.p, 0, 8));
    launch_count((int *)dcounters.p, dsum.p, dpartial.p, (unsigned *)dcounters.p + 1, dx.p, n, bug, 0);
    MUST(cudaGetLastError());
    int got[2];
    MUST(cudaMemcpy(got, dcounters.p, 8, cudaMemcpyDeviceToHost));
    check("number of positive elements", got[0] == positive);
    check_values("sum of positive elements", dsum.read(), want);
}
static void warp(int bug)
{
    int n = 256;
    std::vector<float> x = numbers(n, 9), want(n);
    for (int i = 0; i < n; i++)
        want[i] = x[i ^ 1] + x[i ^ 2];
    Device dx(x), dy(n);
    launch_warp(dy.p, dx.p, n, bug, 0);
    MUST(cudaGetLastError());
    check_values("warp", dy.read(), want);
}

/* ---------------------------------------------------------------- streams: copy on one, compute on another */
enum { ROWS = 24, COLS = 40, N = ROWS * COLS };

struct Pinned {
    float *p = NULL;
    Pinned() { MUST(cudaMallocHost((void **)&p, N * 4)); }
    Pinned(const Pinned &) = delete;
    ~Pinned() { MUST(cudaFreeHost(p)); }
    std::vector<float> values() const { return std::vector<float>(p, p + N); }
};

static void streams(int bug)
{
    Pinned in, out;
    std::vector<float> x = numbers(N, 10), want(N);
    memcpy(in.p, x.data(), N * 4);
    memset(out.p, 0, N * 4);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            want[c * ROWS + r] = x[r * COLS + c];
    cudaStream_t first, second;
    cudaEvent_t copied;
    MUST(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    MUST(cudaEventCreateWithFlags(&copied, cudaEventDisableTiming));
    {
        Device a(N), b(N);
        MUST(cudaMemcpyAsync(a.p, in.p, N * 4, bug == WRONG_DIRECTION ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice,
                             first));
        if (bug == BUFFER_REUSED)
            in.p[5] = 99.0f;
        MUST(cudaEventRecord(copied, first));
        if (bug != MISSING_EVENT)
            MUST(cudaStreamWaitEvent(second, copied, 0));
        launch_transpose(b.p, bug == DEVICE_READS_HOST ? x.data() : a.p, ROWS, COLS, NO_BUG, second);
        MUST(cudaGetLastError());
        if (bug == EMPTY_GRID) {
            launch_sum(b.p, b.p, a.p, 0, 1, NO_BUG, second);
            MUST(cudaGetLastError());
        }
        MUST(cudaMemcpyAsync(out.p, b.p, N * 4, cudaMemcpyDeviceToHost, second));
        if (bug == READ_TOO_EARLY)
            check_values("result of two streams", out.values(), want);
        MUST(cudaStreamSynchronize(bug == WRONG_STREAM_SYNC ? first : second));
        check_values("result of two streams", out.values(), want);
        if (bug == HOST_READS_DEVICE)
            check("device memory read by the host", b.p[3] == want[3]);
    }
    if (bug == KERNEL_AFTER_FREE) {
        float *a, *b;
        MUST(cudaMalloc((void **)&a, 256));
        MUST(cudaMalloc((void **)&b, 256));
        cudaGraph_t graph;
        cudaGraphExec_t run;
        MUST(cudaStreamBeginCapture(first, cudaStreamCaptureModeGlobal));
        launch_scale(b, a, 1.0f, 64, NO_BUG, first);
        MUST(cudaStreamEndCapture(first, &graph));
        MUST(cudaGraphInstantiate(&run, graph, 0));
        MUST(cudaFree(b));
        MUST(cudaGraphLaunch(run, first));
        MUST(cudaStreamSynchronize(first));
        MUST(cudaGraphExecDestroy(run));
        MUST(cudaGraphDestroy(graph));
        MUST(cudaFree(a));
    }
    if (bug == FREED_TWICE) {
        float *a;
        MUST(cudaMalloc((void **)&a, 256));
        MUST(cudaFree(a));
        MUST(cudaFree(a));
    }
    MUST(cudaEventDestroy(copied));
    MUST(cudaStreamDestroy(first));
    MUST(cudaStreamDestroy(second));
}

/* ---------------------------------------------------------------- graph: fork, join, three launches */
static void graph(int bug)
{
    Pinned in, out;
    cudaStream_t main, side;
    cudaEvent_t fork, join;
    MUST(cudaStreamCreateWithFlags(&main, cudaStreamNonBlocking));
    MUST(cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking));
    MUST(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
    MUST(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
    auto a = std::make_unique<Device>(N), b = std::make_unique<Device>(N), c = std::make_unique<Device>(N);

    /* out = transpose(transpose(2 in)): the first half on the side stream. */
    cudaGraph_t recorded;
    cudaGraphExec_t run;
    MUST(cudaStreamBeginCapture(main, cudaStreamCaptureModeGlobal));
    MUST(cudaMemcpyAsync(a->p, in.p, N * 4, cudaMemcpyHostToDevice, main));
    MUST(cudaEventRecord(fork, main));
    MUST(cudaStreamWaitEvent(side, fork, 0));
    if (bug == MALLOC_IN_CAPTURE) {
        void *more;
        MUST(cudaMalloc(&more, 64));
    }
    if (bug == SYNC_IN_CAPTURE)
        MUST(cudaStreamSynchronize(side));
    launch_scale(b->p, a->p, 2.0f, N, NO_BUG, side);
    if (bug == EVENT_TOO_EARLY)
        MUST(cudaEventRecord(join, side));
    launch_transpose(c->p, b->p, ROWS, COLS, NO_BUG, side);
    if (bug != EVENT_TOO_EARLY)
        MUST(cudaEventRecord(join, side));
    if (bug != UNJOINED)
        MUST(cudaStreamWaitEvent(main, join, 0));
    launch_transpose(a->p, c->p, COLS, ROWS, NO_BUG, main);
    MUST(cudaMemcpyAsync(out.p, a->p, N * 4, cudaMemcpyDeviceToHost, main));
    if (bug == EVENT_TOO_EARLY) {   /* joined in name: the last kernel of the side stream is waited for too late */
        MUST(cudaEventRecord(join, side));
        MUST(cudaStreamWaitEvent(main, join, 0));
    }
    MUST(cudaStreamEndCapture(main, &recorded));
    MUST(cudaGetLastError());
    size_t nodes = 0;
    MUST(cudaGraphGetNodes(recorded, NULL, &nodes));
    check("5 nodes in the graph", nodes == 5);
    MUST(cudaGraphInstantiate(&run, recorded, 0));

    for (int step = 0; step < 3; step++) {
        std::vector<float> x = numbers(N, 20 + step), want(x);
        for (float &v : want)
            v *= 2.0f;
        memcpy(in.p, x.data(), N * 4);
        fakecuda_mark();
        MUST(cudaGraphLaunch(run, main));
        if (bug == STEP_ALLOCATES)
            Device more(16);
        if (bug == STEP_SYNCHRONISES)
            MUST(cudaDeviceSynchronize());
        FakecudaCounts counts = fakecuda_counts();
        check("a step allocates nothing", !counts.mallocs && !counts.frees);
        check("a step does not synchronise", !counts.syncs);
        check("a step is one graph launch", counts.graph_launches == 1 && !counts.launches && !counts.copies);
        if (bug == NEVER_AWAITED && step == 2)
            break;
        MUST(cudaStreamSynchronize(main));
        check_values("result of the graph", out.values(), want);
    }
    check("all work was waited for", fakecuda_live().pending == 0);
    MUST(cudaGraphExecDestroy(run));
    if (bug != GRAPH_LEAKED)
        MUST(cudaGraphDestroy(recorded));
    MUST(cudaEventDestroy(fork));
    if (bug != EVENT_LEAKED)
        MUST(cudaEventDestroy(join));
    MUST(cudaStreamDestroy(main));
    MUST(cudaStreamDestroy(side));
}

/* ---------------------------------------------------------------- what the runtime itself must say */
static void host_function(void *where)
{
    ++*(int *)where;
    int device;
    *(int *)where += cudaGetDevice(&device) == cudaErrorNotPermitted ? 10 : 0;
}
static void rules(int)
{
    struct cudaDeviceProp properties;
    int n = 0;
    MUST(cudaGetDeviceCount(&n));
    MUST(cudaGetDeviceProperties(&properties, 0));
    check("one device, warps of 32", n == 1 && properties.warpSize == 32);
    check("device 1 refused", cudaSetDevice(1) == cudaErrorInvalidDevice);
    check("that is the last error, once", cudaGetLastError() == cudaErrorInvalidDevice && !cudaGetLastError());
    void *p = &n;
    check("too much memory refused", cudaMalloc(&p, (size_t)1 << 60) == cudaErrorMemoryAllocation && !p);
    Device a(64), b(64);
    check("new memory is NaN", isnan(a.read()[63]));
    check("copy beyond the end refused",
          cudaMemcpy(a.p, b.p + 1, 256, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    check("too much dynamic shared memory for cudaFuncSetAttribute refused",
          cudaFuncSetAttribute((const void *)launch_sum, cudaFuncAttributeMaxDynamicSharedMemorySize, 300 << 10) ==
              cudaErrorInvalidValue);

    /* Stream 0 waits for blocking streams, and they for it; host functions run in order. */
    cudaStream_t blocking;
    cudaEvent_t begin, end;
    float ms = 0.0f;
    int calls = 0;
    MUST(cudaStreamCreate(&blocking));
    MUST(cudaEventCreate(&begin));
    MUST(cudaEventCreate(&end));
    MUST(cudaEventRecord(begin, blocking));
    MUST(cudaMemsetAsync(a.p, 0, 256, blocking));
    launch_scale(b.p, a.p, 1.0f, 64, NO_BUG, 0);
    MUST(cudaLaunchHostFunc(blocking, host_function, &calls));
    MUST(cudaEventRecord(end, blocking));
    while (cudaEventQuery(end) == cudaErrorNotReady)
        ;
    check("host function called once, and refused the runtime", calls == 11);
    check("stream 0 came between", b.read()[0] == 0.0f);
    MUST(cudaEventElapsedTime(&ms, begin, end));
    check("time between events", ms > 0.0f);

    /* The fake of a vendor's function: ordered and captured as a launch is. */
    cudaGraph_t graph;
    cudaGraphExec_t run;
    float *p64 = a.p;
    auto add_one = [p64] { p64[0] += 1.0f; };
    MUST(cudaMemset(a.p, 0, 256));
    MUST(fakecuda_submit(blocking, "add one", add_one));
    MUST(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
    MUST(fakecuda_submit(blocking, "add one", add_one));
    MUST(fakecuda_submit(blocking, "add one", add_one));
    MUST(cudaStreamEndCapture(blocking, &graph));
    MUST(cudaGraphInstantiate(&run, graph, 0));
    MUST(cudaGraphDestroy(graph));
    MUST(cudaGraphLaunch(run, blocking));
    MUST(cudaGraphLaunch(run, blocking));
    MUST(cudaGraphExecDestroy(run));
    check("vendor work: once directly, four times by graphs", a.read()[0] == 5.0f);

    /* Captures: stream 0 is implicated, events from outside are not allowed, wrong ends are noticed. */
    check("end without begin refused", cudaStreamEndCapture(blocking, &graph) == cudaErrorIllegalState);
    MUST(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeGlobal));
    launch_scale(b.p, a.p, 1.0f, 64, NO_BUG, 0);
    (void)cudaGetLastError();
    check("stream 0 during a capture", cudaStreamEndCapture(blocking, &graph) == cudaErrorStreamCaptureInvalidated);
    MUST(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeGlobal));
    check("event from outside", cudaStreamWaitEvent(blocking, end, 0) == cudaErrorStreamCaptureIsolation);
    enum cudaStreamCaptureStatus status;
    MUST(cudaStreamIsCapturing(blocking, &status));
    check("capture invalidated", status == cudaStreamCaptureStatusInvalidated);
    check("no graph", cudaStreamEndCapture(blocking, &graph) == cudaErrorStreamCaptureInvalidated && !graph);
    (void)cudaGetLastError();
    MUST(cudaEventDestroy(begin));
    MUST(cudaEventDestroy(end));
    check("destroyed event refused", cudaEventRecord(end, blocking) == cudaErrorInvalidResourceHandle);
    (void)cudaGetLastError();
    MUST(cudaStreamDestroy(blocking));

    /* Ten thousand pieces of pending work: no recursion. */
    for (int i = 0; i < 10000; i++)
        MUST(cudaMemsetAsync(a.p, i & 1, 256, 0));
    check("long queue", a.read()[0] != 0.0f);
}

/* ---------------------------------------------------------------- cost: time of all processors together */
static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}
static void timing(void)
{
    int n = 1 << 22;
    Device x(n), y(n), z(1024);
    MUST(cudaMemset(x.p, 0, (size_t)n * 4));
    for (int what = 0; what < 3; what++) {
        double best = 1e9;
        for (int i = 0; i < 5; i++) {
            double start = seconds();
            if (what == 0)
                launch_scale(y.p, x.p, 2.0f, n, NO_BUG, 0);
            else if (what == 1)
                launch_multiply(y.p, x.p, x.p, 256, 256, 64, NO_BUG, 0);
            else
                launch_sum(z.p, z.p + 512, x.p, 512, 128, NO_BUG, 0);
            MUST(cudaDeviceSynchronize());
            double took = seconds() - start;
            best = took < best ? took : best;
        }
        static const char *const names[] = {"thread without barrier",
                                            "thread and __syncthreads, with its share of work",
                                            "thread and shuffle (10 of them, 4 barriers)"};
        double units[] = {(double)n / 4, 256.0 * 256 * 16, 512.0 * 128 * 10};
        printf("%6.1f ns  %s\n", best / units[what] * 1e9, names[what]);
    }
}

typedef void (*Case)(int bug);
static const struct {
    const char *name, *text;
    Case run;
} bugs[] = {
    {"all", "no mistake", NULL},
#define BUG_ENTRY(name, where, text) {#where, text, where},
    KERNEL_BUGS(BUG_ENTRY) HOST_BUGS(BUG_ENTRY)
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && !strcmp(argv[1], "list")) {
        for (int i = 1; i < N_BUGS; i++)
            printf("%d|%s|%s|%s\n", i, i < MISSING_EVENT ? "kernel" : "host", bugs[i].name, bugs[i].text);
        return 0;
    }
    if (argc == 2 && !strcmp(argv[1], "time")) {
        timing();
        return 0;
    }
    int bug = argc == 2 ? atoi(argv[1]) : -1;
    if (bug < 0 || bug >= N_BUGS) {
        fprintf(stderr, "selftest: list, time, or a number below %d\n", N_BUGS);
        return 2;
    }
    if (bug) {
        bugs[bug].run(bug);
    } else {
        static const Case all[] = {scale, sum, transpose, multiply, filter, count, warp, streams, graph, rules};
        for (Case run : all)
            run(NO_BUG);
    }
    return failures != 0;
}
