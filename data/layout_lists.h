/* layout_lists.h - the text files that come with data sets: CelebA's tables, lists of names, pairs of LFW. */
#ifndef GUISE_LAYOUT_LISTS_H
#define GUISE_LAYOUT_LISTS_H

#include "data/layouts.h"
#include "data/pairs.h"

/* CelebA: the tables in root, root/Anno, root/Eval or root/anno; the pictures in img_align_celeba, Img/img_align_celeba
 * or img_celeba.  Partitions 0, 1, 2 become the splits train, validation, test.  Lines that say nothing are told, and
 * are an error. */
int celeba_read(const char *root, const LayoutOpts *opts, Manifest *out);

/* Keeps of a list the pictures that opts->lists name: text with a name or path in each line, or a signature set of FRGC
 * (XML, file-name="...").  A name without a folder means every picture of that name; endings (.jpg, .JPG) do not
 * count.  Names that no picture has are told.  0, or -1: a list cannot be read, nothing is left. */
int lists_apply(Manifest *m, const LayoutOpts *opts);

/* pairs.txt of LFW ("View 2"): folds of as many matching as other pairs.  Pictures are looked up in a sorted list by
 * identity and number; pairs that are not there are told.  Of `out` the note is NULL, pairs stand in the order of the
 * file, a < b as pairs.h has it; fold (n), which the caller frees, says of which fold, from 0; folds: how many.
 * 0, or -1: mistakes in the file, or pictures that are missing. */
int lfw_pairs_load(const char *path, const Manifest *m, Told *told, Pairs *out, int **fold, int *folds);
int lfw_pairs_parse(const void *bytes, size_t size, const char *name, const Manifest *m, Told *told, Pairs *out,
                    int **fold, int *folds);

#endif
