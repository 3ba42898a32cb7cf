/* loader.h - batches of bytes for training, fetched ahead by a thread.
 *
 * Epoch e goes through the permutation keyed on (seed, "loader", e); its last, partial batch is dropped.  A batch is
 * therefore a function of (set, batch size, seed, step): a resumed training seeks to its step and goes on. */
#ifndef GUISE_LOADER_H
#define GUISE_LOADER_H

#include <stdint.h>

#include "data/faces.h"

typedef struct Batch {
    uint8_t *pixels;   /* (B, 3, S, S) */
    int32_t *person;   /* (B) */
    int32_t *index;    /* (B), of the images in the set */
    long step;         /* from 0 */
} Batch;

typedef struct Loader Loader;

/* Borrows the set for its own lifetime.  NULL if the batch is not 1 to n images, or if no thread can be had. */
Loader *loader_create(const Faces *faces, int batch, uint64_t seed);
void    loader_free(Loader *loader);

/* The next batch, valid until the next call of any of these. */
const Batch *loader_next(Loader *loader);
/* The next batch is that of `step` (>= 0). */
void loader_seek(Loader *loader, long step);

long loader_steps_per_epoch(const Loader *loader);

#endif
