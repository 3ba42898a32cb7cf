/* random.cu - draws from the counter, and dropout.
 *   launch  a thread a Philox block of 4 elements, 256 a block
 *   bound   arithmetic: some 100 integer operations a block of 4, and memory: 4 bytes a draw, 8 for dropout
 * The counter is read on the device, so that a recorded graph goes on drawing new numbers. */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/random.h"

__global__ void rng_advance_kernel(const int32_t *rng, int32_t *next)
{
    uint64_t step = rng_step(rng) + 1;
    next[0] = rng[0];
    next[1] = rng[1];
    next[2] = (int32_t)(uint32_t)step;
    next[3] = (int32_t)(uint32_t)(step >> 32);
}

static void rng_advance(KernelCall *k)
{
    LAUNCH(rng_advance_kernel, 1, 1, 0, cuda_stream(k), INT(k->in[0]), INT(k->out[0]));
}

/* Uniform j of block i. */
__device__ static inline float draw(const int32_t *rng, uint64_t name, int64_t i, int j)
{
    return random_unit(random_bits(rng_seed(rng), name, rng_step(rng), (uint64_t)i << 2 | (uint64_t)j));
}

__global__ void random_kernel(float *y, const int32_t *rng, uint64_t name, int normal, int64_t n)
{
    int64_t i = CUDA_INDEX;
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (4 * i + j < n) {
            float u = draw(rng, name, i, j);
            y[4 * i + j] = normal ? random_normal_from(u) : u;
        }
}

static void fill_random(KernelCall *k, int normal)
{
    int64_t n = shape_count(k->out[0].shape);
    if (n)
        LAUNCH(random_kernel, cuda_grid((n + 3) / 4), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->out[0]), INT(k->in[0]),
               random_name(((const RandomAttrs *)k->attrs)->name), normal, n);
}

static void uniform(KernelCall *k)
{
    fill_random(k, 0);
}

static void normal(KernelCall *k)
{
    fill_random(k, 1);
}

__global__ void dropout_kernel(float *y, const float *x, const float *rate, const int32_t *rng, uint64_t name,
                               int64_t n)
{
    int64_t i = CUDA_INDEX;
    float r = *rate, scale = 1 / (1 - r);
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (4 * i + j < n)
            y[4 * i + j] = draw(rng, name, i, j) >= r ? x[4 * i + j] * scale : 0.0f;
}

static void dropout(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    if (n)
        LAUNCH(dropout_kernel, cuda_grid((n + 3) / 4), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->out[0]),
               FLOATS(k->in[0]), FLOATS(k->in[1]), INT(k->in[2]),
               random_name(((const DropoutAttrs *)k->attrs)->name), n);
}

KERNEL(rng_advance, cuda) = {.run = rng_advance};
KERNEL(random_uniform, cuda) = {.run = uniform};
KERNEL(random_normal, cuda) = {.run = normal};
KERNEL(dropout, cuda) = {.run = dropout, .inplace = inplace_first};
