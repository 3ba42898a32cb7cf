/* recognition.h - training recognisers as section 4.2.2 of the paper, and scoring them on stored pairs.
 *
 * Adam at lr_first; after `patience` epochs without a better EER on Validation the rate falls to a tenth and training
 * goes on from the best epoch, down to lr_last (inventory items 49, 97).  The trunk begins alike in every training;
 * initialisation k is the stored beginning of head and classes, the same for every data set (items 50, 98). */
#ifndef GUISE_RECOGNITION_H
#define GUISE_RECOGNITION_H

#include "experiments/common/metrics.h"
#include "experiments/common/world.h"

typedef struct TrainingSet {
    const char *name;        /* "Original" */
    const Faces *faces;
    Hash hash;               /* of the stage that made it */
} TrainingSet;

/* One training of a table. */
typedef struct RecogniserTraining {
    const TrainingSet *set;
    int images;              /* size of the subset, 0 for all */
    int initialisation;      /* from 0 */
} RecogniserTraining;

typedef struct Recognised {
    double *validation, *test;   /* cosine distances of the stored pairs */
    double validation_eer, test_eer;
    int epochs;                  /* 0: not known */
    char *weights;               /* safetensors file */
} Recognised;

/* A trainer keeps store and plans between trainings of equal shape.  From its creation on the engine has the threads of
 * one training (x->job_threads). */
typedef struct Trainer Trainer;
Trainer *trainer_create(Context *x, const World *w);
void     trainer_free(Trainer *t);

/* Where several are trained side by side (--jobs): trains those that are not done, see jobs.h.  Else does nothing.
 * 0 or -1. */
int  recognition_all(Trainer *t, const RecogniserTraining *list, int n);

/* Finds the stage "recognition" of this training done, or trains.  0 or -1. */
int  recognition_open(Trainer *t, const RecogniserTraining *which, Recognised *out);
void recognised_free(Recognised *r);

/* Baselines on the same pairs: cosine distances of pixels less their mean over Original; and of a network that was
 * never trained (running statistics of batch norm taken from Original).  validation and test: (pairs). 0 or -1. */
int  baseline_pixels(const World *w, double *validation, double *test);
int  baseline_untrained(Trainer *t, double *validation, double *test);

/* The trials of stored pairs, for metrics; people belong to the caller. */
typedef struct PairTrials {
    Trials trials;
    int32_t *a, *b;
} PairTrials;
PairTrials pair_trials(const Pairs *pairs, const Faces *faces);
void       pair_trials_free(PairTrials *t);

#endif
