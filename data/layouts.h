/* layouts.h - data sets as their makers hand them out, read into a manifest (docs/datasets.md says what each is). */
#ifndef GUISE_LAYOUTS_H
#define GUISE_LAYOUTS_H

#include "data/manifest.h"

typedef struct LayoutOpts {
    const char *const *lists;   /* (n_lists) files that name the pictures to take; none: all */
    int n_lists;
    Told *told;                 /* what is not at its place; not NULL */
} LayoutOpts;

typedef struct Layout {
    const char *name, *doc;     /* "lfw"; where the pictures lie, in a line */
    int (*read)(const char *root, const LayoutOpts *opts, Manifest *out);
} Layout;

/* folder, lfw, celeba, frgc, multipie, frav2d, london; ended by a name of NULL. */
extern const Layout layouts[];

/* Lists the pictures below `root`, which becomes the manifest's root, sorted as sets are; none is opened.  Layouts that
 * give people numbers put their own name before them ("frgc-04201"), so that lists of several can be joined.
 * 0, or -1: no such layout, no such folder, nothing there, mistakes in the set's own lists. */
int layout_read(const char *name, const char *root, const LayoutOpts *opts, Manifest *out);

#endif
