/* pairs.h - pairs of images to compare: of one person (matching) and of two (inventory 47, 48). */
#ifndef GUISE_PAIRS_H
#define GUISE_PAIRS_H

#include <stdint.h>

#include "data/faces.h"

typedef struct Pairs {
    int n;
    int32_t *a, *b;    /* (n), indices of images, a < b */
    uint8_t *match;    /* (n), 1: the same person */
    char *note;        /* NULL, or where they differ from what was asked for: one line to pass on to the user */
} Pairs;

/* Draws pairs without repeats.  Every set of that many matching pairs is equally likely, and so is every set of other
 * pairs: people with many images weigh more, as they do among all pairs.  Where fewer are possible than asked for,
 * all are taken, and `note` says so.  Matching pairs come first; each kind is sorted by a, then b.
 * -1: a kind is asked for of which none is possible. */
int pairs_sample(const Faces *faces, int matching, int other, uint64_t seed, Pairs *out);

/* Room for so many, to fill. */
Pairs pairs_create(int most);

/* How many pairs of the kind exist. */
int64_t pairs_possible(const Faces *faces, int match);

/* CSV with the columns a,b,match,source_a,source_b.  Loading checks every row against the set: indices, sources,
 * people, repeats.  0 or -1. */
int pairs_save(const Pairs *pairs, const Faces *faces, const char *path);
int pairs_load(const char *path, const Faces *faces, Pairs *out);

void pairs_free(Pairs *pairs);

#endif
