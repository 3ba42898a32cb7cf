/* recogniser_step.h - training a recogniser on labelled faces, and asking it for embeddings. */
#ifndef MODELS_RECOGNISER_STEP_H
#define MODELS_RECOGNISER_STEP_H

#include "models/recogniser.h"

typedef struct RecogniserOpts {
    const char *scope;        /* of all its parameters: "" or "I" */
    int size;                 /* S */
    ResnetOpts trunk;
    int embedding;            /* D */
    bool pool;                /* the last map is averaged before the head instead of flattened (inventory item 95) */
    MarginOpts margin;
    AugmentOpts augment;      /* of training pictures */
    Val set;                  /* training: U8 (n,3,S,S), an input of another program on this device, from which each
                               * step takes pictures by their numbers; NONE: each step is given pictures */
} RecogniserOpts;

typedef struct RecogniserStep {
    Prog *p;
    Plan *plan;
    int batch;
    Val pixels;               /* U8 (B,3,S,S), or NONE with a set */
    Val index;                /* I32 (B), numbers of pictures of the set, or NONE */
    Val labels;               /* I32 (B), 0..classes-1 */
    Val rate, dropout;        /* (1) */
    Val loss;                 /* rank 0: mean ArcFace loss */
} RecogniserStep;

/* One step of Adam on augmented pictures (section 4.2.2).  NULL with error_text(). */
RecogniserStep *recogniser_step_create(Store *s, RecogniserOpts o, int batch, int classes);
void recogniser_step_free(RecogniserStep *t);

/* Pictures of a training step: U8 (batch,3,S,S) as an input *pixels, or out of `set` by an input *index. */
Val step_pictures(Prog *p, Val set, int batch, int size, Val *pixels, Val *index);
/* Gives them: pixels (B,3,S,S), and their numbers in the set; what the step does not take may be NULL.  0 or -1. */
int step_pictures_write(Prog *p, Val pixels_input, Val index_input, const uint8_t *pixels, const int32_t *index);

typedef struct RecogniserEmbed {
    Prog *p;
    Plan *plan;
    int batch, embedding;
    Val pixels, vectors;      /* U8 (B,3,S,S); (B,D) on the unit sphere */
} RecogniserEmbed;

RecogniserEmbed *recogniser_embed_create(Store *s, RecogniserOpts o, int batch);
void recogniser_embed_free(RecogniserEmbed *t);
/* Embeddings of n pictures (n,3,S,S) into vectors (n,D); the last batch is filled up and its surplus dropped.
 * 0 or -1. */
int recogniser_embed(RecogniserEmbed *t, const uint8_t *pixels, int n, float *vectors);

/* Embeddings inside a program: x (B,3,S,S) in [-1,1] -> (B,D), not normalised; parameters under o.scope. */
Val recogniser_forward(Val x, Mode mode, RecogniserOpts o, Val dropout, Val rng);

/* Blocks a stage of a network of that many layers (8, 11, 14, 26, 50 or 101); a 0 in the first place: no such one. */
ResnetOpts resnet_of_depth(int depth, int width, int size);

#endif
