/* tuner.h - makes a tuning table: for every op of some plans that has a choice of algorithms, the fastest one here.
 *
 * Each op is timed alone, at its shapes, from cold caches, its algorithms in turn, so that what else the machine does
 * meets all of them.  Another algorithm than the heuristic's must be faster by 3 % in the median: below that a table
 * would record noise. */
#ifndef GUISE_TUNER_H
#define GUISE_TUNER_H

#include "engine/engine.h"

typedef struct Tuner Tuner;

/* NULL when the device cannot be had. */
Tuner *tuner_create(const char *device);
void   tuner_free(Tuner *t);

/* Times what the plan's ops can be computed with, unless an earlier plan had the same op; a line about each goes to
 * `report` (NULL: none).  The plan itself is not run.  0 or -1. */
int tuner_plan(Tuner *t, const Plan *plan, FILE *report);

/* Ops timed so far, and those of them for which another algorithm than the heuristic's is faster. */
int tuner_count(const Tuner *t);
int tuner_changed(const Tuner *t);

/* Writes the table, with comments that say where and when it holds; 0 or -1. */
int tuner_save(const Tuner *t, const char *path);

#endif
