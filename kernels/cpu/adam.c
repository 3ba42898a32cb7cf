/* adam.c - one sweep over all tensors, cut into chunks of one size so that threads get equal shares.
 *   bound   memory: 28 bytes a parameter */
#include "engine/ops/adam.h"

#include <stdlib.h>

#include "kernels/cpu/cpu.h"

enum { CHUNK = 4096 };

typedef struct Piece {
    int tensor;
    int64_t start;
} Piece;

static int prepare(KernelCall *k)
{
    int n = ((const AdamAttrs *)k->attrs)->n;
    int64_t pieces = 0;
    for (int i = 0; i < n; i++)
        pieces += (shape_count(k->in[2 + i].shape) + CHUNK - 1) / CHUNK;
    k->state_bytes = (size_t)pieces * sizeof(Piece);
    Piece *p = k->state = must_alloc(k->state_bytes + 1);
    for (int i = 0; i < n; i++)
        for (int64_t at = 0; at < shape_count(k->in[2 + i].shape); at += CHUNK)
            *p++ = (Piece){i, at};
    return 0;
}

static void release(KernelCall *k)
{
    free(k->state);
    k->state = NULL;
}

static void run_adam(KernelCall *k)
{
    AdamAttrs a = *(const AdamAttrs *)k->attrs;
    const Piece *pieces = k->state;
    int64_t count = (int64_t)(k->state_bytes / sizeof *pieces);
    int n = a.n, t = INT(k->in[1])[0];
    double step = (double)t + 1;
    float b1 = a.beta1, b2 = a.beta2, a1 = 1 - b1, a2 = 1 - b2, epsilon = a.epsilon;
    float rate = (float)(FLOATS(k->in[0])[0] / (1 - pow(b1, step))), root = (float)(1 / sqrt(1 - pow(b2, step)));
#pragma omp parallel for if (count > CPU_SERIAL / CHUNK)
    for (int64_t c = 0; c < count; c++) {
        int i = pieces[c].tensor;
        int64_t at = pieces[c].start, left = shape_count(k->in[2 + i].shape) - at;
        const float *p = FLOATS(k->in[2 + i]) + at, *g = FLOATS(k->in[2 + n + i]) + at;
        const float *m = FLOATS(k->in[2 + 2 * n + i]) + at, *v = FLOATS(k->in[2 + 3 * n + i]) + at;
        float *new_p = FLOATS(k->out[1 + i]) + at, *new_m = FLOATS(k->out[1 + n + i]) + at;
        float *new_v = FLOATS(k->out[1 + 2 * n + i]) + at;
        /* Results lie over their operands or apart from them: no element depends on another. */
#pragma omp simd
        for (int64_t e = 0; e < (left < CHUNK ? left : CHUNK); e++) {
            float mean = b1 * m[e] + a1 * g[e], square = b2 * v[e] + a2 * g[e] * g[e];
            new_p[e] = p[e] - rate * mean / (sqrtf(square) * root + epsilon);
            new_m[e] = mean;
            new_v[e] = square;
        }
    }
    INT(k->out[0])[0] = (int32_t)((uint32_t)t + 1);
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return adam_operand(((const AdamAttrs *)k->attrs)->n, result);
}

KERNEL(adam, cpu) = {.run = run_adam, .prepare = prepare, .release = release, .inplace = inplace};
