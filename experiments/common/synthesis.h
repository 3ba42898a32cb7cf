/* synthesis.h - training the face-synthesis network on Original, and making face sets with it. */
#ifndef GUISE_SYNTHESIS_STAGE_H
#define GUISE_SYNTHESIS_STAGE_H

#include "experiments/common/identity.h"

typedef struct Synthesis {
    char *weights;          /* safetensors file of "A.*", "G.*", "D.*" */
    char *samples;          /* last sheet of samples, PNG */
    Hash hash;
} Synthesis;

/* Finds the stage "synthesis" done or trains it: pairs of step 1 (x^a = x^s) and step 2 (x^a != x^s), inventory items
 * 22 and 107.  0 or -1. */
int  synthesis_open(Context *x, const World *w, const Identity *i, Synthesis *out);
void synthesis_free(Synthesis *s);

/* x' = G(identity, A(x^a)) for n pictures: attributes (n,3,S,S) bytes, vectors (n,D) -> made (n,3,S,S) bytes;
 * attributes at their mean or drawn, as synthesis.render says.  name: for the progress line.  0 or -1. */
int  synthesis_render(Context *x, const Synthesis *s, const uint8_t *attributes, const float *vectors, int n,
                      uint8_t *made, const char *name);

typedef struct Datasets {
    Faces reconstructed;    /* x^a = x^s: every image of Original (item 36) */
    Faces new_faces;        /* the mean identity vector of each person with the images of another (item 37) */
    char *picture;          /* sheet: rows of Original, Reconstructed, New Faces */
    Hash hash;
} Datasets;

/* Finds the stage "datasets" done or renders it.  0 or -1. */
int  datasets_open(Context *x, const World *w, const Identity *i, const Synthesis *s, Datasets *out);
void datasets_free(Datasets *d);

#endif
