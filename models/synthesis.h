/* synthesis.h - the three networks of face synthesis, Tables 6 and 7 of the paper, at any power of two from 16.
 *
 * At S = 128 with the default widths they are the paper's; smaller sides drop layers from the middle, smaller widths
 * divide every channel count.  Pictures are (B, 3, S, S) in [-1, 1]. */
#ifndef MODELS_SYNTHESIS_H
#define MODELS_SYNTHESIS_H

#include "models/layers.h"

typedef struct EncoderOpts {
    int size;      /* S */
    int width;     /* channels of the first layer; the paper's 128 */
    int z;         /* Z, length of the attribute vector; the paper's 128 */
    bool bias;     /* biases in convolutions; the paper does not say, DCGAN has none */
} EncoderOpts;

typedef struct Attributes {
    Val mean, log_variance;    /* (B, Z) */
} Attributes;

/* What A and D share: strided convolutions, (B,3,S,S) -> (B, 8 width, 4, 4). */
Val encoder_trunk(Val x, Mode mode, EncoderOpts o);

/* Table 6, left.  x (B,3,S,S) -> mean, log variance (B,Z) of the attribute distribution. */
Attributes attribute_encoder(Val x, Mode mode, EncoderOpts o);
/* Equation 2: mean + r exp(log_variance / 2), r standard normal of the stream `name`; NONE for rng: the mean. */
Val attribute_sample(Attributes a, Val rng, const char *name);

typedef struct Discriminator {
    Val logit;      /* (B, 1): before the sigmoid */
    Val feature;    /* (B, 4 width): f_D of equation 5, the vector before the last layer (inventory item 81) */
} Discriminator;

/* Table 6, right.  x (B,3,S,S); o.z is not used. */
Discriminator discriminator(Val x, Mode mode, EncoderOpts o);

typedef struct GeneratorOpts {
    int size;      /* S */
    int width;     /* channels of the last map; the paper's 64 */
    bool bias;
    bool bilinear; /* upsampling, instead of nearest (inventory item 85) */
} GeneratorOpts;

enum { SCALES_MAX = 8 };
typedef struct Pyramid {
    int n;                     /* scales: sides 4, 8, ..., S */
    Val image[SCALES_MAX];     /* (B, 3, 4 << i, 4 << i) in [-1, 1] */
} Pyramid;

/* Table 7.  identity (B,D), attributes (B,Z) -> pictures at every scale; the last is x'. */
Pyramid generator(Val identity, Val attributes, Mode mode, GeneratorOpts o);

#endif
