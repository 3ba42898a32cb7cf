/* random.h - random numbers inside programs, drawn from the counter of prog_rng.
 *
 * Element i (in C order) of a draw called `name` is a function of the seed, the name, the step and i alone:
 * random_bits(seed, random_name(name), step, i) of engine/random.h, whatever the backend, format or thread. */
#ifndef OPS_RANDOM_H
#define OPS_RANDOM_H

#include "engine/op.h"
#include "engine/random.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct RandomAttrs {
    const char *name;
    AttrInts shape;
} RandomAttrs;

typedef struct DropoutAttrs {
    const char *name;
} DropoutAttrs;

/* rng everywhere: I32 (4), the bits of seed low, seed high, step low, step high. */

/* The counter one step further. */
Val op_rng_advance(Val rng);
/* Uniform in (0, 1), never 0 or 1. */
Val op_random_uniform(Val rng, const char *name, Shape shape);
/* Standard normal. */
Val op_random_normal(Val rng, const char *name, Shape shape);
/* y = x / (1 - rate) where a uniform draw is at least `rate`, else 0.  rate: F32 (1), data: 0 is the identity
 * exactly, 1 and more give zeros.  Its gradient draws the same numbers again. */
Val op_dropout(Val x, Val rate, Val rng, const char *name);

/* For kernels: the counter's parts. */
RANDOM_FN uint64_t rng_seed(const int32_t *rng)
{
    return (uint64_t)(uint32_t)rng[1] << 32 | (uint32_t)rng[0];
}
RANDOM_FN uint64_t rng_step(const int32_t *rng)
{
    return (uint64_t)(uint32_t)rng[3] << 32 | (uint32_t)rng[2];
}

#ifdef __cplusplus
}
#endif
#endif
