/* random.c - the definition: element i from random_bits of i. */
#include "engine/ops/random.h"

#include "kernels/reference/reference.h"

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

static float unit(const Tensor *rng, const char *name, int64_t i)
{
    return random_unit(random_bits(rng_seed(INT(*rng)), random_name(name), rng_step(INT(*rng)), (uint64_t)i));
}

static void draw_uniform(KernelCall *k)
{
    const RandomAttrs *a = k->attrs;
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++)
        y[i] = unit(&k->in[0], a->name, i);
}

static void draw_normal(KernelCall *k)
{
    const RandomAttrs *a = k->attrs;
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++)
        y[i] = random_normal_from(unit(&k->in[0], a->name, i));
}

static void dropout(KernelCall *k)
{
    const DropoutAttrs *a = k->attrs;
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]), rate = REAL(k->in[1])[0];
    for (int64_t i = 0, n = COUNT(k->in[0]); i < n; i++)
        y[i] = unit(&k->in[2], a->name, i) >= (float)rate ? x[i] * (1 / (1 - rate)) : 0;
}

KERNEL(rng_advance, reference) = {.run = rng_advance};
KERNEL(random_uniform, reference) = {.run = draw_uniform};
KERNEL(random_normal, reference) = {.run = draw_normal};
KERNEL(dropout, reference) = {.run = dropout};
