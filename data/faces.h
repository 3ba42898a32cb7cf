/* faces.h - sets of face images of people: in memory, from folders, packed in one file, and parts of sets.
 *
 * Shape alphabet: n images, S the side of each, P people.
 * Every set keeps this order: by person, so that a person's images are neighbours and `person` ascends from 0 to
 * P - 1 with nobody missing.  All draws are functions of the seed and of the counts of images alone: sets with equal
 * counts (a set and its reconstruction) are divided alike. */
#ifndef GUISE_FACES_H
#define GUISE_FACES_H

#include <stddef.h>
#include <stdint.h>

#include "data/image.h"
#include "data/manifest.h"

#define FACES_MAX_SIDE 4096

typedef struct Faces {
    int n, size, people;
    uint8_t *pixels;    /* (n, 3, S, S), bytes 0..255, planes of red, green and blue */
    int32_t *person;    /* (n), 0..P-1, ascending */
    char **names;       /* (P) */
    char **sources;     /* (n), where each picture came from */
    void *map;          /* of faces_load: the file's memory, which holds `pixels`; else NULL */
    size_t map_bytes;
} Faces;

/* ---- making ---------------------------------------------------------------------------------------------------- */

/* An empty set to fill: arrays in place, all zero, names and sources NULL (faces_set, must_strdup). */
Faces faces_create(int n, int size, int people);
void  faces_free(Faces *faces);

/* Image i: the largest square in the middle of `image`, resampled to S x S. */
void faces_set(Faces *faces, int i, const Image *image);
/* Image i as a picture, which the caller frees. */
void faces_image(const Faces *faces, int i, Image *out);
/* Bytes of one image: 3 * S * S. */
size_t faces_bytes(const Faces *faces);
/* first (P + 1): where each person's images begin; the last entry is n.  The caller frees it. */
int *faces_first(const Faces *faces);

/* The same as bytes: to (3, size, size). */
void face_bytes(const Image *image, int size, uint8_t *to);

/* Reads all pictures of the list (which it sorts) into memory, on as many threads as OpenMP has; sources are paths as
 * the list has them.  Of a strict list every picture must be what the list says.  Of others, files that are no pictures
 * or broken are left out, and so are people of whom nothing is left.  Either way each fault is a line on standard error
 * (the first FACES_MAX_LINES) and there is a total.  0, or -1: nothing usable, or stopped. */
#define FACES_MAX_LINES 100
int faces_read(Manifest *list, int size, Faces *out, ManifestProgress progress, void *context);

/* For those who read lists themselves: tells of the pictures whose why[i] is not NULL.  0 if a set is to be made
 * without them, -1 if it is not. */
int faces_told(const Manifest *list, char *const *why);

/* The same of a plain folder, root/identity/picture (layouts.h). */
int faces_from_folder(const char *root, int size, Faces *out, ManifestProgress progress, void *context);

/* ---- packed files ---------------------------------------------------------------------------------------------- */

/* One file: header, people and sources, a CRC-32 for each image and one for the rest, and the pixels; the format is
 * described in packed.c.  Written whole or not at all. */
int faces_save(const Faces *faces, const char *path);
/* Reads the pictures of a list as faces_read does, into such a file and not into memory: the set may be larger than
 * that.  Until the file is complete it is PATH.part; called again with the same list, size and path after an
 * interruption, it goes on there.  0 or -1. */
int faces_pack(Manifest *list, int size, const char *path, ManifestProgress progress, void *context);
/* Maps the file and checks every byte; an error names the image and its source.  Changes of `pixels` stay private. */
int faces_load(const char *path, Faces *out);

/* ---- parts ----------------------------------------------------------------------------------------------------- */

/* Copies the images index[0..n-1], sorted by person (stable).  The people that occur are numbered anew, in their old
 * order. */
Faces faces_select(const Faces *faces, const int *index, int n);

/* All images of both, `a`'s before `b`'s for each person; people of equal names are one person (inventory 40, 55).
 * People keep `a`'s order, then come the others in `b`'s.  -1 if the sizes differ. */
int faces_join(const Faces *a, const Faces *b, Faces *out);

/* Divides people at random: part (people) receives 0 to parts - 1 for `fractions` of them each (above 0, together at
 * most 1), -1 for those left over.  -1 if a part would have fewer than 2 people. */
int people_split(int people, uint64_t seed, const double *fractions, int parts, int *part);

/* Half, quarter, eighth (1, 2, 3 halvings) of n images, rounded: 18,143 gives 9,072, 4,536, 2,268 (inventory 41). */
int subset_size(int n, int halvings);
/* One image of each person in turn until there are n, people and images in random order (inventory 41).
 * index (n) ascends.  With one seed, a smaller subset lies within every larger one.  -1 if n is not 1 to faces->n. */
int faces_subset(const Faces *faces, int n, uint64_t seed, int *index);

/* Thirds of the people at random, 482 into 161, 161, 160 (inventory 42).  index (faces->n): the images of the first
 * third, of the second and of the last, each ascending; count: how many there are of each.  -1 below 6 people. */
int faces_thirds(const Faces *faces, uint64_t seed, int *index, int count[3]);

/* more (people): how many images each person lacks to `each` (inventory 39: 200 for everybody of Original); 0 for those
 * who have as many.  Returns their sum. */
int faces_top_up(const Faces *faces, int each, int *more);

/* A permutation of 0..n-1, n >= 0, uniformly random: element `step` of the stream `name` (engine/random.h). */
void permutation(int n, uint64_t seed, const char *name, uint64_t step, int *to);
/* The same among those that leave nothing in its place; n >= 2 (inventory 100). */
void derangement(int n, uint64_t seed, int *to);

#endif
