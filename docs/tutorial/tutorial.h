/* tutorial.h - what the steps share: the problem, its answer by plain loops, and the counting of bytes.
 *
 * Each step computes y = leaky_relu(batch_norm(x)) of a map x with B images, C channels and P pixels, training mode:
 * per channel, mean and variance are those of its B P numbers.  A step reads and writes maps through load() and store(),
 * which under the emulator count the bytes that they move.  With nvcc and a GPU the time of a large map is measured
 * too.  Run by docs/tutorial/run.sh. */
#ifndef GUISE_TUTORIAL_H
#define GUISE_TUTORIAL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#include "kernels/cuda/cu.h"

struct Problem {
    int images, channels, pixels;
    float eps, slope;
};

/* What a step gets on the device: maps of B C P numbers, the rest of C numbers. */
struct Maps {
    const float *x, *gamma, *beta;
    float *y, *mean, *rstd;
    float *scratch;   /* for whatever a step puts aside: as large as a map */
};

/* ---------------------------------------------------------------- bytes */
#ifdef __CUDACC__
__device__ static inline float load(const float *p) { return *p; }
__device__ static inline void store(float *p, float v) { *p = v; }
__device__ static inline float4 load4(const float *p) { return *(const float4 *)p; }
__device__ static inline void store4(float *p, float4 v) { *(float4 *)p = v; }
#else
static long moved;
static inline void count(long bytes) { __atomic_fetch_add(&moved, bytes, __ATOMIC_RELAXED); }
static inline float load(const float *p) { count(4); return *p; }
static inline void store(float *p, float v) { count(4); *p = v; }
static inline float4 load4(const float *p) { count(16); return *(const float4 *)p; }
static inline void store4(float *p, float4 v) { count(16); *(float4 *)p = v; }
#endif

/* ---------------------------------------------------------------- the answer */
/* The loop of kernels/reference/batch_norm.c, then the leaky ReLU; place(b, c, i) is where an element lies. */
template <class Place>
static void answer(const Problem &p, const float *x, const float *gamma, const float *beta, float *y, Place place)
{
    for (int c = 0; c < p.channels; c++) {
        double n = (double)p.images * p.pixels, mean = 0, squares = 0;
        for (int b = 0; b < p.images; b++)
            for (int i = 0; i < p.pixels; i++)
                mean += x[place(b, c, i)] / n;
        for (int b = 0; b < p.images; b++)
            for (int i = 0; i < p.pixels; i++)
                squares += (x[place(b, c, i)] - mean) * (x[place(b, c, i)] - mean);
        double rstd = 1 / sqrt(squares / n + p.eps);
        for (int b = 0; b < p.images; b++)
            for (int i = 0; i < p.pixels; i++) {
                double z = (x[place(b, c, i)] - mean) * rstd * gamma[c] + beta[c];
                y[place(b, c, i)] = (float)(z > 0 ? z : p.slope * z);
            }
    }
}

#define MUST_CUDA(call)                                                                                       \
    do {                                                                                                      \
        cudaError_t e_ = (call);                                                                              \
        if (e_ != cudaSuccess) {                                                                              \
            printf("%s: %s\n", #call, cudaGetErrorString(e_));                                                \
            exit(e_ == cudaErrorInsufficientDriver || e_ == cudaErrorNoDevice ? 77 : 1);                      \
        }                                                                                                     \
    } while (0)

static inline float *on_device(const std::vector<float> &host)
{
    float *p;
    MUST_CUDA(cudaMalloc((void **)&p, host.size() * sizeof(float)));
    MUST_CUDA(cudaMemcpy(p, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice));
    return p;
}

typedef void (*StepFunction)(const Problem &p, const Maps &m, cudaStream_t stream);

/* Runs the step once (and, on a GPU, many times if it is to be timed); 0 if it is right to 1e-5 and moved the bytes per
 * element that it says. */
static int solve(const Problem &p, const char *what, bool channels_last, StepFunction step, double bytes, bool timed)
{
    size_t n = (size_t)p.images * p.channels * p.pixels;
    std::vector<float> x(n), y(n), want(n), gamma(p.channels), beta(p.channels), zeros(n);
    unsigned seed = 1;
    auto next = [&] { return (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1; };
    for (float &v : x)
        v = 3 + 2 * next();   /* a mean that is not 0: one-pass formulas that subtract squares would show */
    for (int c = 0; c < p.channels; c++) {
        gamma[c] = 1 + 0.5f * next();
        beta[c] = next();
    }
    auto plain = [&](int b, int c, int i) { return ((size_t)b * p.channels + c) * p.pixels + i; };
    auto last = [&](int b, int c, int i) { return ((size_t)b * p.pixels + i) * p.channels + c; };
    if (channels_last)
        answer(p, x.data(), gamma.data(), beta.data(), want.data(), last);
    else
        answer(p, x.data(), gamma.data(), beta.data(), want.data(), plain);

    cudaStream_t stream;
    MUST_CUDA(cudaStreamCreate(&stream));
    Maps m = {on_device(x), on_device(gamma), on_device(beta), on_device(zeros), on_device(gamma), on_device(gamma),
              on_device(zeros)};
#ifndef __CUDACC__
    moved = 0;
#endif
    step(p, m, stream);
    MUST_CUDA(cudaGetLastError());
    MUST_CUDA(cudaStreamSynchronize(stream));
    MUST_CUDA(cudaMemcpy(y.data(), m.y, n * sizeof(float), cudaMemcpyDeviceToHost));
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)y[i] - want[i]) / (1 + fabs(want[i]));
        worst = fmax(worst, off < 1e9 ? off : 1e9);   /* not a number counts as far off */
    }
    bool right = worst < 1e-5;
    printf("%-52s (%d, %d, %d): largest error %.1e%s", what, p.images, p.channels, p.pixels, worst,
           right ? "" : ": WRONG");
#ifndef __CUDACC__
    double counted = (double)moved / (double)n;
    printf(", %.2f bytes an element%s", counted, counted == bytes ? "" : ": NOT WHAT IT SAYS");
    right = right && counted == bytes;
#else
    if (timed) {
        const int RUNS = 20;
        cudaEvent_t start, end;
        float ms = 0;
        MUST_CUDA(cudaEventCreate(&start));
        MUST_CUDA(cudaEventCreate(&end));
        MUST_CUDA(cudaEventRecord(start, stream));
        for (int i = 0; i < RUNS; i++)
            step(p, m, stream);
        MUST_CUDA(cudaEventRecord(end, stream));
        MUST_CUDA(cudaEventSynchronize(end));
        MUST_CUDA(cudaEventElapsedTime(&ms, start, end));
        printf(", %.1f us, %.0f GB/s", 1e3 * ms / RUNS, bytes * (double)n * RUNS / ms / 1e6);
        cudaEventDestroy(start);
        cudaEventDestroy(end);
    }
#endif
    (void)timed;
    printf("\n");
    for (const float *f : {m.x, m.gamma, m.beta, (const float *)m.y, (const float *)m.mean, (const float *)m.rstd,
                           (const float *)m.scratch})
        cudaFree((void *)f);
    cudaStreamDestroy(stream);
    return right ? 0 : 1;
}

/* The step on maps with odd sizes and, on a GPU, on one of the discriminator's. */
static int tutorial(const char *what, bool channels_last, StepFunction step, double bytes, int multiple = 1)
{
    int odd = multiple > 1 ? multiple * 9 : 37;
    int bad = solve({3, odd, 25, 1e-5f, 0.2f}, what, channels_last, step, bytes, false) |
              solve({2, multiple > 1 ? multiple : 1, 301, 1e-5f, 0.2f}, what, channels_last, step, bytes, false);
#ifdef __CUDACC__
    bad |= solve({16, 64, 64 * 64, 1e-5f, 0.2f}, what, channels_last, step, bytes, true);
#endif
    return bad;
}

/* The leaky ReLU as a kernel of its own, for the steps that have not fused it. */
__global__ static void leaky_relu_kernel(float *y, float slope, long n)
{
    long i = (long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float z = load(y + i);
        store(y + i, z > 0 ? z : slope * z);
    }
}
static inline void leaky_relu(const Problem &p, float *y, cudaStream_t stream)
{
    long n = (long)p.images * p.channels * p.pixels;
    LAUNCH(leaky_relu_kernel, (unsigned)((n + 255) / 256), 256, 0, stream, y, p.slope, n);
}

#endif
