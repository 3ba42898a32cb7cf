/* metrics.h - from scores of pairs to error rates, with intervals over people.
 *
 * A pair is accepted as matching at threshold t if its similarity is t or more (its distance t or less).
 *   FMR(t)   share of the non-matching pairs that are accepted
 *   FNMR(t)  share of the matching pairs that are rejected
 * The operating points are those of all distinct scores, and the point at which nothing is accepted; equal scores
 * are accepted together.  Between neighbouring points both rates are interpolated along a straight line.
 *   EER      the rate at which FMR = FNMR on that line; its threshold is interpolated alike (where a point itself
 *            has FMR = FNMR, it is that point's score)
 *   FMR100, FMR1000   the lowest FNMR of all operating points with FMR <= 1 % and <= 0.1 % (not interpolated)
 *   AUC      the probability that a matching pair is more alike than a non-matching one, ties counting half
 * The paper leaves interpolation, ties and the divisor of standard deviations open; this reading changes nothing when
 * distances become similarities.  Standard deviations divide by n - 1. */
#ifndef GUISE_METRICS_H
#define GUISE_METRICS_H

#include <stdint.h>

typedef enum ScoreKind { SCORE_SIMILARITY, SCORE_DISTANCE } ScoreKind;

/* The pairs that were scored. */
typedef struct Trials {
    int            n;
    const uint8_t *match;     /* (n), 1: the same person */
    const int32_t *a, *b;     /* (n), the people, 0..people-1; NULL if they are not known */
    int            people;
} Trials;

typedef struct Spread {
    int    n;
    double min, max, mean, std;   /* NaN of none; std NaN below 2 */
} Spread;

typedef struct Accuracy {
    double eer, threshold, fmr100, fmr1000, auc;   /* rates as shares, not per cent */
    Spread matching, other;                        /* of the scores as given */
} Accuracy;

Spread spread_of(const double *values, int n);

/* Accuracy of scores (n) of the trials.  -1: a kind of pair is missing, or a score is not finite. */
int accuracy_of(const Trials *trials, ScoreKind kind, const double *scores, Accuracy *out);

typedef struct Bootstrap {
    int      replicates;
    double   level;      /* 0.95 */
    uint64_t seed;
} Bootstrap;

typedef struct Interval {
    double value, low, high, level;
    double p;            /* of a difference: two-sided, for "there is none"; else NaN */
    int    replicates;
} Interval;

/* Interval of the mean EER of n_ours scorers of the same pairs, or, with n_theirs > 0, of its difference to the mean
 * EER of others (ours - theirs), paired: all share the replicates.  ours and theirs are lists of scores (n).
 *
 * Percentile bootstrap over people: identities are drawn with replacement, and a pair of two people weighs the
 * product of their multiplicities, a pair of one person its multiplicity (Snijders and Borgatti: "Non-parametric
 * standard errors and tests for network statistics", Connections 22, 1999; that people are the units: Poh, Martin and
 * Bengio, IEEE PAMI 29, 2007).  Pairs of two copies of one person are left out.  A draw that has only one kind of
 * pair is drawn again.
 * Where the people are not known, pairs are the units, drawn within each kind; pairs that share people make such an
 * interval too narrow.
 * p is twice the smaller share of replicates on either side of 0, (k + 1) / (replicates + 1) each, at most 1.
 * -1: as accuracy_of; fewer than 2 people; a matching pair of two people; no usable draw. */
int eer_interval(const Trials *trials, ScoreKind kind, const double *const *ours, int n_ours,
                 const double *const *theirs, int n_theirs, Bootstrap how, Interval *out);

/* Distances of two vectors (d): 1 - cosine (1 for a vector of zeros), and Euclidean. */
double distance_cosine(const float *a, const float *b, int d);
double distance_euclidean(const float *a, const float *b, int d);
/* Distances of the pairs (a[i], b[i]), i < n, of rows of embeddings (rows, d) into out (n). */
void distances_of_pairs(const float *embeddings, int d, const int32_t *a, const int32_t *b, int n,
                        double (*distance)(const float *, const float *, int), double *out);

#endif
