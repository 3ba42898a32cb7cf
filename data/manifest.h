/* manifest.h - the list of a data set's pictures: who is on each, in which set, from which collection.
 *
 * Folders and the layouts of known data sets (layouts.h) are read into such a list, and sets of faces are made from
 * nothing else.  As a file it is CSV (csv.h) whose first line names its columns, in any order:
 *
 *     path      of the picture; a relative one begins at the folder of the manifest
 *     identity  who it shows: equal texts are one person, whatever their source
 *     split     the set it belongs to: pretrain, original, validation, test, any other name, or empty: not decided
 *     source    the collection it comes from, or empty
 *     sha256    of the file (sha256.h), or empty
 *
 * path and identity must be there; further columns are allowed and not read.  Nobody is in two splits. */
#ifndef GUISE_MANIFEST_H
#define GUISE_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "data/image.h"

typedef struct ManifestRow {
    char *path, *identity, *split, *source, *sha256;   /* never NULL */
    int line;                                          /* of the file it was read from; 0: of none */
} ManifestRow;

typedef struct Manifest {
    char *root;        /* the folder that relative paths begin at, "." if none is known */
    int n;
    ManifestRow *row;
    int strict;        /* it came from a file: every picture must be there and be the one that is meant */
} Manifest;

/* What is wrong is told line by line on standard error, at most `most` lines (0: all of them; below
 * 0: none), and counted. */
typedef struct Told {
    int n, most;
    const char *what;   /* the beginning of each line: "left out" */
} Told;
/* The text without control characters, so that one fault is one line whatever is in the name of a file. */
void tell(Told *told, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- lists ------------------------------------------------------------------------------------------------------ */

Manifest manifest_create(const char *root);
/* NULL is "". */
void manifest_add(Manifest *m, const char *path, const char *identity, const char *split, const char *source,
                  const char *sha256);
void manifest_free(Manifest *m);

/* Adds the rows of `from`, with paths that are right in `to`. */
void manifest_join(Manifest *to, const Manifest *from);
/* The same with those of one split, which becomes `split` in `to`. */
void manifest_join_split(Manifest *to, const Manifest *from, const char *from_split, const char *split);

/* Takes out the rows whose why[i] is not NULL. */
void manifest_leave_out(Manifest *m, char *const *why);

/* The name to open row i by; the caller frees it. */
char *manifest_path(const Manifest *m, int i);

/* By the bytes of identities, then of paths: the order of the sets made of it. */
void manifest_sort(Manifest *m);
/* By identity, then path, numbers within them by their value: 2 before 10. */
void manifest_sort_naturally(Manifest *m);

/* Of a sorted list: how many people it holds; first (people + 1), if not NULL, receives where each one's rows begin
 * and how many rows there are.  The caller frees *first. */
int manifest_people(const Manifest *m, int **first);

/* Divides the people of a sorted list at random: fractions[k] of them (above 0, together at most 1) get the split
 * names[k]; those left over get "".  -1 if a part would have fewer than 2 people. */
int manifest_split(Manifest *m, uint64_t seed, const char *const *names, const double *fractions, int parts);

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* Reads and checks everything but the pictures.  Mistakes are told line by line; then, and where it cannot be read at
 * all, -1 with *out empty. */
int manifest_load(const char *path, Manifest *out, int most_lines);
/* The same from memory; `name` stands in messages, `root` is where its paths begin. */
int manifest_parse(const void *bytes, size_t size, const char *name, const char *root, Manifest *out, int most_lines);
/* The folder of a file, where the paths of a manifest there begin; the caller frees it. */
char *manifest_root(const char *path);
/* The five columns.  Paths are written as they are, so `path` should lie in m->root.  0 or -1. */
int manifest_save(const Manifest *m, const char *path);

/* ---- pictures --------------------------------------------------------------------------------------------------- */

/* Called from one thread, from time to time and at the end; a result other than 0 stops the work. */
typedef int (*ManifestProgress)(void *context, int done, int total);

/* Called for row i with its picture, by whichever thread has it.  0, or -1 and a message. */
typedef int (*ManifestTake)(void *context, int i, const Image *picture);

/* Reads every picture, on as many threads as OpenMP has, none of which holds more than one.  A file that is no whole
 * picture, that is not the one of the row's sha256, or that `take` refuses, is told; why[i] (n, NULL before; the
 * caller frees them) says why.  Rows whose why[i] is not NULL before are passed over; so are those with skip[i], if
 * skip is not NULL.  The number of faults, or -1 if `progress` stopped it. */
int manifest_read(const Manifest *m, const uint8_t *skip, ManifestTake take, void *context, char **why,
                  ManifestProgress progress, void *progress_context);

/* Fills the column sha256 where it is empty and reads every picture as manifest_read does; those at fault are told and
 * taken out.  How many there were, or -1. */
int manifest_fill(Manifest *m, Told *told, ManifestProgress progress, void *context);

/* 64 digits that change with anything in the list, and with its files: those without a sha256 are known by size and
 * time of change.  Opens none of them. */
void manifest_key(const Manifest *m, char key[65]);

/* Compares every file with its sha256, and tells what is missing, other or without one, and equal files of two people
 * or two splits.  The number of faults, or -1 if stopped. */
int manifest_verify(const Manifest *m, Told *told, ManifestProgress progress, void *context);

#endif
