/* synthesis_step.h - the training steps of face synthesis: equations 1 to 10 of the paper, with their asymmetries.
 *
 * A store holds four networks: "A" (attribute encoder), "G" (generator), "D" (discriminator), trained here, and "I"
 * (identity network), frozen: gradients pass through it to the picture.  f_I(x^s) comes from outside, since it can be
 * computed once for all images (inventory item 108).
 *
 *   step 1, x^a = x^s     L_A = L_GR + lambda_kl L_KL                         into A alone     (7)
 *                         L_G = L_GR + lambda_gd L_GD + lambda_gi L_GI        into G alone     (8)
 *                         L_D, equation 6, on x^a and x'                      into D alone
 *   step 2, x^a != x^s    L_A = L_G = lambda_a L_GR                           into A and G     (9, 10)
 * All gradients of a step come from one forward pass, and all networks move together (inventory item 111). */
#ifndef MODELS_SYNTHESIS_STEP_H
#define MODELS_SYNTHESIS_STEP_H

#include "models/recogniser_step.h"
#include "models/synthesis.h"

typedef struct SynthesisOpts {
    EncoderOpts encoder;          /* of A and D */
    GeneratorOpts generator;
    RecogniserOpts identity;      /* I */
    bool single_scale;            /* L_GR at the largest scale alone (inventory item 72) */
    bool sum_pixels;              /* L_GR's square summed over the pixels instead of averaged (item 79) */
    bool mean_vector;             /* L_GI's square averaged over the vector instead of summed (item 80) */
    enum { FEATURE_VECTOR, FEATURE_LOGIT, FEATURE_SIGMOID } feature;   /* f_D of equation 5 (item 81) */
    bool d_first;                 /* D moves before A and G, which then meet the new D (item 111): kinds 3 and 1 */
    bool d_joint;                 /* real and made pictures share D's batch statistics (item 112) */
    float lambda_kl, lambda_gd, lambda_gi, lambda_a;
    float beta1, beta2;           /* of Adam */
    Val set;                      /* as in RecogniserOpts, for the steps of training */
    Val vectors;                  /* with it: (n,D), an input of another program too: f_I of every picture */
    bool noise_input;             /* r of equation 2 as an input (B,Z), for comparisons; else drawn in the program */
} SynthesisOpts;
/* Section 4.1.2 and Appendix A. */
SynthesisOpts synthesis_paper(void);

typedef struct SynthesisStep {
    Prog *p;
    Plan *plan;
    int batch;
    Val pixels;                   /* U8 (B,3,S,S): x^a; NONE with a set */
    Val identity;                 /* (B,D): f_I(x^s); of training steps with a set, not an input */
    Val index, from;              /* with a set: I32 (B), numbers of x^a and of x^s in it; else NONE */
    Val attributes;               /* (B,Z): of the two halves below alone */
    Val noise;                    /* (B,Z), or NONE */
    Val rate_ag, rate_d;          /* (1): learning rates; rate_d only in step 1 */
    Val gr, kl, gd, gi, d;        /* losses, rank 0, without their lambdas; step 2 has gr alone */
    Val image;                    /* x' (B,3,S,S) in [-1,1] */
} SynthesisStep;

/* kind 1 or 2; with d_first, kind 3 moves D alone (r drawn anew) and is to be run before kind 1, which then leaves D
 * and its running statistics as they are.  NULL with error_text(). */
SynthesisStep *synthesis_step_create(Store *s, SynthesisOpts o, int batch, int kind);
void synthesis_step_free(SynthesisStep *step);

/* x' = G(identity, A(x^a)) with running statistics, what data sets are made of; attributes drawn from their
 * distribution (each run of the plan draws anew) or at its mean.  Only pixels, identity and image are set. */
SynthesisStep *synthesis_render_create(Store *s, SynthesisOpts o, int batch, bool sampled);

/* The two halves of it, for walks between faces.  A alone: pixels -> attributes, its mean or drawn; only these are set.
 * G alone, with running statistics: identity, attributes -> image. */
SynthesisStep *synthesis_attributes_create(Store *s, SynthesisOpts o, int batch, bool sampled);
SynthesisStep *synthesis_faces_create(Store *s, SynthesisOpts o, int batch);

/* f_I(x) (B,D) on the unit sphere, x (B,3,S,S) in [-1,1]; parameters under "I". */
Val identity_vector(Val x, SynthesisOpts o);

/* The losses, for other programs and tests: each is a number of rank 0. */
Val loss_reconstruction(Val target, Pyramid made, SynthesisOpts o);   /* (4): 1/(2N) sum of the scales' mean squares */
Val loss_kl(Attributes a);                                /* (3), batch mean */
Val loss_vector(Val target, Val made);                    /* (1), (5): half the squared distance, batch mean */

#endif
