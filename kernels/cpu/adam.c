/* adam.c - one sweep over all tensors, cut into chunks of one size so that threads get equal shares.
 *   bound   memory: 28 bytes a parameter */
#include "engine/ops/adam.h"

#include "kernels/cpu/pieces.h"

static int prepare(KernelCall *k)
{
    return pieces_prepare(k, 2, ((const AdamAttrs *)k->attrs)->n);
}

static void run_adam(KernelCall *k)
{
    AdamAttrs a = *(const AdamAttrs *)k->attrs;
    int64_t count = pieces_count(k);
    int n = a.n, t = INT(k->in[1])[0];
    double step = (double)t + 1;
    float b1 = a.beta1, b2 = a.beta2, a1 = 1 - b1, a2 = 1 - b2, epsilon = a.epsilon;
    float rate = (float)(FLOATS(k->in[0])[0] / (1 - pow(b1, step))), root = (float)(1 / sqrt(1 - pow(b2, step)));
#pragma omp parallel for if (count > CPU_SERIAL / PIECE)
    for (int64_t c = 0; c < count; c++) {
        Piece piece = piece_at(k, c);
        int i = piece.tensor;
        int64_t at = piece.start, end = piece.n;
        const float *p = FLOATS(k->in[2 + i]) + at, *g = FLOATS(k->in[2 + n + i]) + at;
        const float *m = FLOATS(k->in[2 + 2 * n + i]) + at, *v = FLOATS(k->in[2 + 3 * n + i]) + at;
        float *new_p = FLOATS(k->out[1 + i]) + at, *new_m = FLOATS(k->out[1 + n + i]) + at;
        float *new_v = FLOATS(k->out[1 + 2 * n + i]) + at;
        /* Results lie over their operands or apart from them: no element depends on another. */
#pragma omp simd
        for (int64_t e = 0; e < end; e++) {
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

KERNEL(adam, cpu) = {.run = run_adam, .prepare = prepare, .release = pieces_release, .inplace = inplace};
