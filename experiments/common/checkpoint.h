/* checkpoint.h - everything that a training needs to go on to the bit, in one safetensors file, written whole.
 *
 * A store (parameters, moments, running statistics, random counter), an optional second copy of it (the best epoch),
 * and the loop's own numbers, exact. */
#ifndef GUISE_CHECKPOINT_H
#define GUISE_CHECKPOINT_H

#include "engine/engine.h"

/* A copy of a store's values in host memory. */
typedef struct Snapshot Snapshot;
Snapshot *snapshot_take(const Store *s);
int       snapshot_restore(const Snapshot *n, Store *s);   /* 0 or -1 */
void      snapshot_free(Snapshot *n);

/* best may be NULL.  numbers: n doubles of the loop.  0 or -1. */
int checkpoint_save(const char *path, const Store *s, const Snapshot *best, const double *numbers, int n);
/* The store must have its entries (its programs must be recorded).  *best is set if the file has one and best is not
 * NULL.  0 or -1, the store unchanged. */
int checkpoint_load(const char *path, Store *s, Snapshot **best, double *numbers, int n);

#endif
