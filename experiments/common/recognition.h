/* recognition.h - training recognisers as section 4.2.2 of the paper, and scoring them on stored pairs.
 *
 * Adam; what an epoch's EER on Validation changes is in schedule.h.  The trunk begins alike in every training;
 * initialisation k is the stored beginning of head and classes, the same for every data set (trunk.h). */
#ifndef GUISE_RECOGNITION_H
#define GUISE_RECOGNITION_H

#include "experiments/common/metrics.h"
#include "experiments/common/trunk.h"
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

/* A trainer keeps store and plans between trainings of equal shape.  Creating one opens the trunk of
 * recognition.trunk, which may mean to train it; NULL with error_text(). */
typedef struct Trainer Trainer;
Trainer *trainer_create(Context *x, const World *w);
void     trainer_free(Trainer *t);
const Trunk *trainer_trunk(const Trainer *t);

/* Gives the engine the threads of one training (x->job_threads) from here on.  Where several are trained side by
 * side (--jobs), trains those that are not done, see jobs.h.  0 or -1. */
int  recognition_all(Trainer *t, const RecogniserTraining *list, int n);

/* Finds the stage "recognition" of this training done, or trains.  0 or -1. */
int  recognition_open(Trainer *t, const RecogniserTraining *which, Recognised *out);
void recognised_free(Recognised *r);

/* Baselines on the same pairs: cosine distances of pixels less their mean over Original; and of a network with
 * its first weights (running statistics of batch norm taken from Original).  validation and test: (pairs). 0 or -1. */
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
