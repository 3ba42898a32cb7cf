/* sgd.c - one sweep over all tensors, cut into chunks of one size.
 *   bound   memory: 20 bytes a parameter, 12 without momentum */
#include "engine/ops/sgd.h"

#include "kernels/cpu/pieces.h"

static int prepare(KernelCall *k)
{
    return pieces_prepare(k, 1, ((const SgdAttrs *)k->attrs)->n);
}

static void run_sgd(KernelCall *k)
{
    SgdAttrs a = *(const SgdAttrs *)k->attrs;
    int n = a.n;
    int64_t count = pieces_count(k);
    float rate = FLOATS(k->in[0])[0], momentum = a.momentum, decay = a.weight_decay;
    /* way = own slope + by velocity */
    float own = a.nesterov ? 1.0f : 0.0f, by = a.nesterov ? momentum : 1.0f;
#pragma omp parallel for if (count > CPU_SERIAL / PIECE)
    for (int64_t c = 0; c < count; c++) {
        Piece piece = piece_at(k, c);
        int i = piece.tensor;
        int64_t at = piece.start, end = piece.n;
        const float *p = FLOATS(k->in[1 + i]) + at, *g = FLOATS(k->in[1 + n + i]) + at;
        float *new_p = FLOATS(k->out[i]) + at;
        /* Results lie over their operands or apart from them: no element depends on another. */
        if (momentum > 0) {
            const float *m = FLOATS(k->in[1 + 2 * n + i]) + at;
            float *new_m = FLOATS(k->out[n + i]) + at;
#pragma omp simd
            for (int64_t e = 0; e < end; e++) {
                float slope = g[e] + decay * p[e], velocity = momentum * m[e] + slope;
                new_p[e] = p[e] - rate * (own * slope + by * velocity);
                new_m[e] = velocity;
            }
        } else {
#pragma omp simd
            for (int64_t e = 0; e < end; e++)
                new_p[e] = p[e] - rate * (g[e] + decay * p[e]);
        }
    }
}

/* Every result over the old value of what it replaces. */
static int inplace(const KernelCall *k, int result)
{
    return sgd_operand(((const SgdAttrs *)k->attrs)->n, result);
}

KERNEL(sgd, cpu) = {.run = run_sgd, .prepare = prepare, .release = pieces_release, .inplace = inplace};
