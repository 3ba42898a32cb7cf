/* scores.h - scored pairs in a CSV file: columns score and match, in any order, and person_a, person_b if known;
 * further columns are passed over.  match is 1 or 0, true or false. */
#ifndef GUISE_SCORES_H
#define GUISE_SCORES_H

#include "experiments/common/metrics.h"

typedef struct ScoreFile {
    Trials   trials;   /* a and b NULL without the columns of people */
    double  *scores;   /* (trials.n) */
    uint8_t *match;
    int32_t *a, *b;
} ScoreFile;

/* 0, or -1 with the file, the line and the reason. */
int  scores_read(const char *path, ScoreFile *out);
void scores_free(ScoreFile *file);

/* Writes score,match[,person_a,person_b]; people by their names, or by number where names is NULL.  Scores read back
 * equal.  0 or -1. */
int scores_write(const char *path, const Trials *trials, const double *scores, const char *const *names);

#endif
