/* pictures.h - the user's photographs: what --data folder:PATH and --data manifest:PATH name. */
#ifndef GUISE_PICTURES_H
#define GUISE_PICTURES_H

#include "data/faces.h"
#include "experiments/common/context.h"

/* Lists them.  What lies in wrong places in a folder, and every mistake in a manifest, is a line on standard error.
 * 0, or -1: also for --data portraits, which are no files. */
int pictures_list(const Options *o, Manifest *out);

/* faces_read and faces_pack with progress under the name `what`. */
int pictures_read(const Context *x, const char *what, Manifest *list, int size, Faces *out);
int pictures_pack(const Context *x, const char *what, Manifest *list, int size, const char *path);

/* The same for other work on lists: the Progress is given to manifest.h's functions with pictures_watch. */
int pictures_watch(void *progress, int done, int total);

#endif
