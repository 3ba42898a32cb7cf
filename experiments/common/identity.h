/* identity.h - the identity network f_I: for now a recogniser trained on people whom no other set contains. */
#ifndef GUISE_IDENTITY_H
#define GUISE_IDENTITY_H

#include "experiments/common/world.h"

typedef struct Identity {
    char *weights;        /* safetensors file of the parameters "I.*" */
    Hash hash;
} Identity;

/* The network of identity.weights if that is given; else finds the stage "identity" done or trains it.  0 or -1. */
int  identity_open(Context *x, const World *w, Identity *out);
void identity_free(Identity *i);

/* f_I of n pictures (n,3,S,S) into vectors (n,D).  0 or -1. */
int  identity_vectors(Context *x, const Identity *i, const uint8_t *pixels, int n, float *vectors);

#endif
