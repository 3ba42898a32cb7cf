/* trunk.h - what the trunks of all recognisers begin with (inventory items 19, 50, 116).
 *
 * recognition.trunk is "none" (random weights), a safetensors file under torchvision's names (conv1.weight, bn1.*,
 * layer1.0.conv1.weight, ...; fc.* and num_batches_tracked are passed over), or "attributes": a trunk that has learned,
 * on drawn people of its own, what changes from picture to picture (pose, expression, light, glasses ...) and not who
 * they are.  Every training of a run begins with the same one. */
#ifndef GUISE_TRUNK_H
#define GUISE_TRUNK_H

#include "experiments/common/context.h"

typedef struct Trunk {
    char *weights;        /* safetensors file; NULL: random weights */
    char *about;          /* a sentence for tables */
    Hash hash;            /* of the file or of the stage, for the stages that read it; unset without weights */
} Trunk;

/* --trunk of programs that train recognisers. */
#define TRUNK_OPTION                                                                                                   \
    {"trunk", OPTION_KEY, "WHAT", "first weights of trunks: none, a safetensors FILE under torchvision's names, or "   \
                                  "attributes, learned on drawn people (none)", "recognition.trunk"}

/* The trunk of recognition.trunk: checks the file, or finds the stage "trunk" done or trains it.  0 or -1. */
int  trunk_open(Context *x, Trunk *out);
void trunk_free(Trunk *t);

/* The stage "trunk" whatever recognition.trunk says: about names its file and its error on people whom it has not
 * seen, relative to guessing the mean.  0 or -1. */
int  trunk_pretrain(Context *x, Trunk *out);

/* First values of initialisation k for a store of a recogniser (models/recogniser_step.h with scope ""), whatever it
 * held before: the trunk's from the file, or from `seed`; head, classes and the random counter from seed and k.
 * Two initialisations differ in these alone, and one k is the same for every data set (items 50, 98).  0 or -1. */
int  trunk_begin(const Trunk *t, Store *s, uint64_t seed, int k);

#endif
