/* assemble.h - the paper's Validation and Test, put together from three collections (inventory 44). */
#ifndef GUISE_ASSEMBLE_H
#define GUISE_ASSEMBLE_H

#include "data/manifest.h"

/* What the paper counts: Validation 230 people and 1,281 images, Test 230 and 1,230. */
enum { ASSEMBLE_PEOPLE = 230, ASSEMBLE_VALIDATION = 1281, ASSEMBLE_TEST = 1230 };

/* Gives the people of the sources london, multipie and frav2d in `m` the splits validation and test, and keeps of each
 * person the first two, five and twelve pictures (in the order of the numbers in their names).  Each source is divided
 * evenly at random; then people of one source change places until the images are divided as the paper's, 1,281 to
 * 1,230, as nearly as can be [R: the paper says "split evenly", and its counts of images].  Rows of other sources stay
 * as they are.  Where counts are not the paper's, that is told.
 * 0, or -1: one of the sources is missing. */
int manifest_assemble(Manifest *m, uint64_t seed, Told *notes);

#endif
