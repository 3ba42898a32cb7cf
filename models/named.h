/* named.h - the paper's networks by name, for programs that are told which one. */
#ifndef MODELS_NAMED_H
#define MODELS_NAMED_H

#include "models/recogniser.h"
#include "models/synthesis.h"

/* Each network reads the fields that concern it. */
typedef struct NetworkOpts {
    int size;            /* S */
    int width;           /* channels: of the first map; of the generator's last; of a ResNet's stem */
    int z;               /* Z, length of the attribute vector */
    int identity;        /* D, length of the identity vector or embedding */
    int classes;         /* of a classifier's last layer */
    int blocks[4];       /* of a ResNet's stages */
    bool small_stem;     /* of a ResNet */
    bool bias;           /* of convolutions */
} NetworkOpts;

enum { NETWORK_RESULTS = SCALES_MAX };
typedef struct NetworkResults {
    int n;
    char name[NETWORK_RESULTS][24];
    Val v[NETWORK_RESULTS];
} NetworkResults;

typedef struct Network {
    const char *name, *doc;
    NetworkOpts paper;                                        /* the paper's sizes */
    Shape (*input)(const NetworkOpts *o, int64_t batch);      /* of x */
    /* Results: mean and log_variance; logit and feature; image_4, image_8, ...; logits; embedding. */
    void (*build)(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out);
} Network;

/* attribute_encoder, discriminator, generator (x is identity and attributes side by side, (B,D+Z)), resnet50
 * (torchvision's, with its classifier), recogniser; ended by a name of NULL. */
extern const Network network_table[];
const Network *network_find(const char *name);   /* NULL if there is none */

#endif
