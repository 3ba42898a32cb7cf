/* world.h - the data of an experiment: who is in which set, from portraits or from the user's photographs.
 *
 * Four sets without a person in common: pretrain (the identity network's people), original (the paper's Original),
 * validation and test; and the stored pairs of the last two (inventory items 35, 44, 47). */
#ifndef GUISE_WORLD_H
#define GUISE_WORLD_H

#include "data/faces.h"
#include "data/pairs.h"
#include "experiments/common/context.h"

typedef struct World {
    Faces pretrain, original, validation, test;
    Pairs validation_pairs, test_pairs;
    Hash hash;            /* of the stage, for the stages that read it */
} World;

/* Finds the stage "data" done or makes it.  0 or -1. */
int  world_open(Context *x, World *w);
void world_free(World *w);

#endif
