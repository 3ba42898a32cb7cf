/* recogniser.h - the paper's recognition network: a ResNet of bottleneck blocks, a head, ArcFace.
 *
 * Names: torchvision's for the trunk (conv1, bn1, layer1.0.conv1, ...), so that its files load as they are; "head."
 * and "classes." for what the paper puts behind it. */
#ifndef MODELS_RECOGNISER_H
#define MODELS_RECOGNISER_H

#include "models/layers.h"

typedef struct ResnetOpts {
    int blocks[4];    /* bottleneck blocks a stage; ResNet-50 is 3, 4, 6, 3; a 0 ends the network */
    int width;        /* channels of the stem, 64 in every published ResNet */
    bool small_stem;  /* 3x3 stride 1 without pooling instead of 7x7 stride 2 with it, for sides under 64 */
} ResnetOpts;
#define RESNET50 ((ResnetOpts){.blocks = {3, 4, 6, 3}, .width = 64})

/* x (B,3,S,S) -> the last map (B, 4 * 2^(stages-1) * width, S/32, S/32) (S/8 with the small stem and all stages).
 * He, Zhang, Ren, Sun, 2016; stride in the 3x3 convolution as in torchvision ("v1.5"). */
Val resnet(Val x, Mode mode, ResnetOpts o);
/* The same, averaged over the map, and a layer "fc" with biases -> (B, classes): torchvision's whole network,
 * 25,557,032 parameters with RESNET50 and 1000 classes.  Its published weights expect x = (RGB / 255 - mean) /
 * deviation with means 0.485, 0.456, 0.406 and deviations 0.229, 0.224, 0.225. */
Val resnet_classifier(Val x, Mode mode, ResnetOpts o, int classes);

typedef struct HeadOpts {
    int embedding;    /* D, the paper's 512 */
    Val dropout;      /* (1), rate; data, so that one plan serves with and without */
} HeadOpts;

/* BN-Dropout-FC-BN (inventory item 19; insightface's head E): map (B,C,H,W) -> (B,D), not normalised. */
Val recogniser_head(Val map, Mode mode, HeadOpts o, Val rng);

/* trunk and head in one; EVAL needs neither dropout nor rng. */
Val recogniser(Val x, Mode mode, ResnetOpts r, HeadOpts h, Val rng);

typedef struct MarginOpts {
    float s, m;             /* 64 and 0.5 in Deng et al., 2019 */
    bool easy_gradient;     /* inventory item 94 */
} MarginOpts;

/* Mean ArcFace loss of embeddings z (B,D) for labels I32 (B) over n identities; parameter classes.weight (n,D). */
Val recogniser_loss(Val z, Val labels, int n, MarginOpts o);

#endif
