/* random.c - four numbers a Philox block, blocks side by side in vector registers. */
#include "engine/ops/random.h"

#include "kernels/cpu/elementwise.h"

static void rng_advance(KernelCall *k)
{
    const int32_t *rng = INT(k->in[0]);
    int32_t *next = INT(k->out[0]);
    uint64_t step = rng_step(rng) + 1;
    next[0] = rng[0];
    next[1] = rng[1];
    next[2] = (int32_t)(uint32_t)step;
    next[3] = (int32_t)(uint32_t)(step >> 32);
}

enum { BATCH = 256 };   /* numbers drawn at once: as many as stay in the first cache, a multiple of 4 */

/* u[i] = uniform draw first + i of the stream; first is a multiple of 4.  Spelled so that compilers see that four
 * neighbours need one block. */
static void draw(float *u, uint64_t seed, uint64_t name, uint64_t step, int64_t first)
{
    uint64_t block = (uint64_t)first >> 2;
    for (int i = 0; i < BATCH / 4; i++) {
        u[4 * i] = random_unit(random_bits(seed, name, step, (block + (uint64_t)i) << 2));
        u[4 * i + 1] = random_unit(random_bits(seed, name, step, (block + (uint64_t)i) << 2 | 1));
        u[4 * i + 2] = random_unit(random_bits(seed, name, step, (block + (uint64_t)i) << 2 | 2));
        u[4 * i + 3] = random_unit(random_bits(seed, name, step, (block + (uint64_t)i) << 2 | 3));
    }
}

/* Runs `body` over the elements e of a batch of n, whose uniforms are u and whose first element is `at`. */
#define DRAWS(rng, stream, count, body)                                                    \
    do {                                                                                   \
        uint64_t seed = rng_seed(INT(rng)), step = rng_step(INT(rng)), name = random_name(stream); \
        int64_t total = (count);                                                           \
        _Pragma("omp parallel for if (total > CPU_SERIAL / 8)")                            \
        for (int64_t at = 0; at < total; at += BATCH) {                                    \
            float u[BATCH];                                                                \
            int n = total - at < BATCH ? (int)(total - at) : BATCH;                        \
            draw(u, seed, name, step, at);                                                 \
            body                                                                           \
        }                                                                                  \
    } while (0)

static void uniform(KernelCall *k)
{
    float *y = FLOATS(k->out[0]);
    DRAWS(k->in[0], ((const RandomAttrs *)k->attrs)->name, shape_count(k->out[0].shape), {
        memcpy(y + at, u, (size_t)n * sizeof *u);
    });
}

static void normal(KernelCall *k)
{
    float *y = FLOATS(k->out[0]);
    DRAWS(k->in[0], ((const RandomAttrs *)k->attrs)->name, shape_count(k->out[0].shape), {
        for (int e = 0; e < n; e++)
            y[at + e] = random_normal_from(u[e]);
    });
}

static void dropout(KernelCall *k)
{
    const float *x = FLOATS(k->in[0]);
    float *y = FLOATS(k->out[0]), rate = FLOATS(k->in[1])[0], scale = 1 / (1 - rate);
    DRAWS(k->in[2], ((const DropoutAttrs *)k->attrs)->name, shape_count(k->out[0].shape), {
        for (int e = 0; e < n; e++)
            y[at + e] = u[e] >= rate ? x[at + e] * scale : 0;
    });
}

KERNEL(rng_advance, cpu) = {.run = rng_advance};
KERNEL(random_uniform, cpu) = {.run = uniform};
KERNEL(random_normal, cpu) = {.run = normal};
KERNEL(dropout, cpu) = {.run = dropout, .inplace = inplace_first};
