/* matmul.c - matmul_thin.c for the layers of a small batch; else oneDNN's sgemm where there is one, or gemm.c. */
#include "engine/ops/matmul.h"

#include <omp.h>
#include <stdlib.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/matmul_thin.h"
#include "kernels/cpu/onednn.h"

static bool takes(const KernelCall *k, const char *algorithm)
{
    return !strcmp(k->chosen, algorithm);
}

/* The workspace serves as many threads as there are now. */
static int prepare(KernelCall *k)
{
    MatmulShape c = matmul_shape(k->attrs, k->in[0].shape, k->in[1].shape);
    bool here = strcmp(onednn_version(), "none");
    const char *best = matmul_thin_takes(k->attrs, c) ? "thin" : here ? "sgemm" : "own";
    bool can = k->tuning && (!strcmp(k->tuning, "own") || !strcmp(k->tuning, best) ||
                             (here && !strcmp(k->tuning, "sgemm")));
    snprintf(k->chosen, sizeof k->chosen, "%s", can ? k->tuning : best);
    if (takes(k, "own")) {
        int threads = omp_get_max_threads();
        int *kept = must_alloc(sizeof *kept);
        *kept = threads;
        k->state = kept;
        k->state_bytes = sizeof *kept;
        k->workspace_bytes = gemm_workspace(c.m, c.k, threads);
    }
    return 0;
}

static void release(KernelCall *k)
{
    free(k->state);
    k->state = NULL;
}

static void matmul(KernelCall *k)
{
    const MatmulAttrs *a = k->attrs;
    MatmulShape c = matmul_shape(a, k->in[0].shape, k->in[1].shape);
    const float *x = FLOATS(k->in[0]), *w = FLOATS(k->in[1]), *b = k->nin > 2 ? FLOATS(k->in[2]) : NULL;
    float *y = FLOATS(k->out[0]);
    if (takes(k, "thin")) {
        matmul_thin_run(a, c, x, w, b, y);
        return;
    }
    if (takes(k, "own")) {
        gemm_matrices(a->transpose_x, a->transpose_w, c.m, c.n, c.k, x, w, b, y, *(int *)k->state, k->workspace);
        return;
    }
    int bad;
    onednn_sgemm(a->transpose_x, a->transpose_w, c.m, c.n, c.k, x, a->transpose_x ? c.m : c.k, w,
                 a->transpose_w ? c.k : c.n, y, c.n, &bad);
    if (bad)
        die("%s: %s", k->name, error_text());
    if (!b)
        return;
#pragma omp parallel for if (c.m * c.n > CPU_SERIAL)
    for (int64_t i = 0; i < c.m; i++)
        for (int64_t j = 0; j < c.n; j++)
            y[i * c.n + j] += b[j];
}

KERNEL(matmul, cpu) = {.run = matmul, .prepare = prepare, .release = release, .algorithms = "sgemm thin own"};
