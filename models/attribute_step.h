/* attribute_step.h - a recogniser's trunk that learns what changes from picture to picture (pose, light, expression),
 * not who it is: least squares on attribute vectors, behind an average over the last map. */
#ifndef MODELS_ATTRIBUTE_STEP_H
#define MODELS_ATTRIBUTE_STEP_H

#include "models/recogniser_step.h"

typedef struct AttributeStep {
    Prog *p;
    Plan *plan;
    int batch;
    Val pixels;               /* U8 (B,3,S,S) */
    Val targets;              /* (B,N) */
    Val rate;                 /* (1) */
    Val loss;                 /* rank 0: mean of (guess - target)^2 */
} AttributeStep;

/* One step of Adam on pictures as they are (an augmentation would change the attributes).  Parameters: the trunk's
 * under torchvision's names, and attributes.weight, attributes.bias.  NULL with error_text(). */
AttributeStep *attribute_step_create(Store *s, ResnetOpts trunk, int size, int attributes, int batch);
void attribute_step_free(AttributeStep *t);

/* The guesses, (B,N) with running statistics, in the place of vectors: recogniser_embed runs it on any number of
 * pictures, recogniser_embed_free frees it.  NULL with error_text(). */
RecogniserEmbed *attribute_guess_create(Store *s, ResnetOpts trunk, int size, int attributes, int batch);

#endif
