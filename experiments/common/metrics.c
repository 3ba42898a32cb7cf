/* metrics.c - see metrics.h. */
#include "experiments/common/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/random.h"

Spread spread_of(const double *values, int n)
{
    Spread s = {n, NAN, NAN, NAN, NAN};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        s.min = i && s.min < values[i] ? s.min : values[i];
        s.max = i && s.max > values[i] ? s.max : values[i];
        sum += values[i];
    }
    if (n)
        s.mean = sum / n;
    for (int i = 0; i < n; i++)
        squares += (values[i] - s.mean) * (values[i] - s.mean);
    if (n > 1)
        s.std = sqrt(squares / (n - 1));
    return s;
}

/* ---- the sweep over all thresholds ---- */

/* A pair under its similarity (the negative of a distance). */
typedef struct Ranked {
    double likeness;
    int pair;
} Ranked;

static int by_likeness(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    if (x->likeness != y->likeness)
        return x->likeness > y->likeness ? -1 : 1;
    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

/* Pairs from the most alike; the caller frees them.  NULL if a score is not finite. */
static Ranked *rank(const Trials *t, ScoreKind kind, const double *scores)
{
    Ranked *r = must_alloc((size_t)t->n * sizeof *r);
    for (int i = 0; i < t->n; i++) {
        if (!isfinite(scores[i])) {
            fail("the score of pair %d is not finite", i);
            free(r);
            return NULL;
        }
        r[i] = (Ranked){kind == SCORE_DISTANCE ? -scores[i] : scores[i], i};
    }
    if (t->n)
        qsort(r, (size_t)t->n, sizeof *r, by_likeness);
    return r;
}

/* Weights of all pairs of each kind.  Weights are whole numbers: sums and the products below are exact in double as
 * long as matching * other stays under 2^53. */
typedef struct Totals {
    double matching, other;
} Totals;

static Totals totals_of(const Trials *t, const double *weight)
{
    Totals all = {0, 0};
    for (int i = 0; i < t->n; i++)
        *(t->match[i] ? &all.matching : &all.other) += weight ? weight[i] : 1;
    return all;
}

/* Weights of what is accepted down to and including the group of equal scores that begins at *i, which moves on. */
static void accept_group(const Trials *t, const Ranked *r, const double *weight, int *i, Totals *accepted)
{
    double likeness = r[*i].likeness;
    for (; *i < t->n && r[*i].likeness == likeness; ++*i)
        *(t->match[r[*i].pair] ? &accepted->matching : &accepted->other) += weight ? weight[r[*i].pair] : 1;
}

static double eer_of(const Trials *t, const Ranked *r, const double *weight, Totals all, double *threshold)
{
    Totals accepted = {0, 0}, before = accepted;
    double gap = all.matching * all.other;   /* (FNMR - FMR) matching other: falls from point to point */
    double likeness = t->n ? r[0].likeness : 0;
    for (int i = 0; i < t->n;) {
        double next = r[i].likeness, before_gap = gap;
        accept_group(t, r, weight, &i, &accepted);
        gap = (all.matching - accepted.matching) * all.other - accepted.other * all.matching;
        if (gap <= 0) {
            double part = before_gap / (before_gap - gap);
            if (threshold)
                *threshold = gap == 0 ? next : likeness + part * (next - likeness);
            return (before.other + part * (accepted.other - before.other)) / all.other;
        }
        before = accepted;
        likeness = next;
    }
    return NAN;   /* not reached with both kinds: at the last point the gap is negative */
}

/* The lowest FNMR of the points with FMR <= 1 / `one_in`. */
static double fnmr_at(const Trials *t, const Ranked *r, Totals all, int one_in)
{
    Totals accepted = {0, 0};
    double fnmr = 1;
    for (int i = 0; i < t->n;) {
        accept_group(t, r, NULL, &i, &accepted);
        if (accepted.other * one_in > all.other)
            break;
        fnmr = (all.matching - accepted.matching) / all.matching;
    }
    return fnmr;
}

static double auc_of(const Trials *t, const Ranked *r, Totals all)
{
    Totals accepted = {0, 0}, before = accepted;
    double area = 0;
    for (int i = 0; i < t->n; before = accepted) {
        accept_group(t, r, NULL, &i, &accepted);
        area += (accepted.other - before.other) * 0.5 * (before.matching + accepted.matching);
    }
    return area / (all.matching * all.other);
}

static int check_kinds(Totals all)
{
    if (all.matching > 0 && all.other > 0)
        return 0;
    return fail("there are no %s pairs: an error rate needs both kinds",
                all.matching > 0 ? "non-matching" : "matching");
}

int accuracy_of(const Trials *t, ScoreKind kind, const double *scores, Accuracy *out)
{
    Totals all = totals_of(t, NULL);
    Ranked *r;
    if (check_kinds(all) || !(r = rank(t, kind, scores)))
        return -1;
    out->eer = eer_of(t, r, NULL, all, &out->threshold);
    if (kind == SCORE_DISTANCE)
        out->threshold = -out->threshold;
    out->fmr100 = fnmr_at(t, r, all, 100);
    out->fmr1000 = fnmr_at(t, r, all, 1000);
    out->auc = auc_of(t, r, all);
    double *values = must_alloc((size_t)t->n * sizeof *values);
    for (int match = 0; match < 2; match++) {
        int n = 0;
        for (int i = 0; i < t->n; i++)
            if (!t->match[i] == !match)
                values[n++] = scores[i];
        *(match ? &out->matching : &out->other) = spread_of(values, n);
    }
    free(values);
    free(r);
    return 0;
}

/* ---- intervals ---- */

static int check_people(const Trials *t)
{
    if (!t->a)
        return 0;
    if (t->people < 2)
        return fail("the pairs are of %d people: an interval over people needs 2 or more", t->people);
    for (int i = 0; i < t->n; i++) {
        if (t->a[i] < 0 || t->a[i] >= t->people || t->b[i] < 0 || t->b[i] >= t->people)
            return fail("pair %d: there is no person %d or %d of %d", i, (int)t->a[i], (int)t->b[i], t->people);
        if (!t->match[i] != (t->a[i] != t->b[i]))
            return fail("pair %d: %s", i, t->match[i] ? "it matches, but is of two people"
                                                      : "it does not match, but is of one person");
    }
    return 0;
}

/* Draws units and turns their multiplicities into the weights of the pairs. */
static void draw(const Trials *t, Random *random, int *times, double *weight)
{
    if (t->a) {
        memset(times, 0, (size_t)t->people * sizeof *times);
        for (int i = 0; i < t->people; i++)
            times[random_below(random, (uint32_t)t->people)]++;
        for (int i = 0; i < t->n; i++)
            weight[i] = t->a[i] == t->b[i] ? times[t->a[i]] : (double)times[t->a[i]] * times[t->b[i]];
        return;
    }
    memset(weight, 0, (size_t)t->n * sizeof *weight);
    for (int match = 0; match < 2; match++) {
        int n = 0;
        for (int i = 0; i < t->n; i++)
            if (!t->match[i] == !match)
                times[n++] = i;
        for (int i = 0; i < n; i++)
            weight[times[random_below(random, (uint32_t)n)]]++;
    }
}

static double mean_difference(const Trials *t, Ranked *const *ranked, int n_ours, int n_theirs, const double *weight,
                              Totals all)
{
    double ours = 0, theirs = 0;
    for (int i = 0; i < n_ours + n_theirs; i++)
        *(i < n_ours ? &ours : &theirs) += eer_of(t, ranked[i], weight, all, NULL);
    return ours / n_ours - (n_theirs ? theirs / n_theirs : 0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Quantile with linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996). */
static double quantile(const double *sorted, int n, double share)
{
    double at = share * (n - 1);
    int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

/* Fills `values` with one statistic per replicate. */
static int replicate(const Trials *t, Ranked *const *ranked, int n_ours, int n_theirs, Bootstrap how, double *values)
{
    int units = t->a && t->people > t->n ? t->people : t->n, bad = 0;
    int *times = must_alloc((size_t)units * sizeof *times);
    double *weight = must_alloc((size_t)t->n * sizeof *weight);
    for (int k = 0; k < how.replicates && !bad; k++) {
        Random random = random_stream(how.seed, "bootstrap", (uint64_t)k);
        Totals all = {0, 0};
        for (int tries = 0; tries < 1000 && (all.matching == 0 || all.other == 0); tries++) {
            draw(t, &random, times, weight);
            all = totals_of(t, weight);
        }
        if (all.matching == 0 || all.other == 0)
            bad = fail("no draw of the people has both matching and non-matching pairs: too few people");
        else
            values[k] = mean_difference(t, ranked, n_ours, n_theirs, weight, all);
    }
    free(times);
    free(weight);
    return bad;
}

int eer_interval(const Trials *t, ScoreKind kind, const double *const *ours, int n_ours,
                 const double *const *theirs, int n_theirs, Bootstrap how, Interval *out)
{
    Totals all = totals_of(t, NULL);
    int n = n_ours + n_theirs, bad = check_kinds(all) || check_people(t);
    if (!bad && (n_ours < 1 || how.replicates < 2 || how.level <= 0 || how.level >= 1))
        bad = fail("an interval needs scores, 2 or more replicates and a level between 0 and 1");
    if (bad)
        return -1;
    Ranked **ranked = must_zalloc((size_t)n * sizeof *ranked);
    for (int i = 0; i < n && !bad; i++) {
        ranked[i] = rank(t, kind, i < n_ours ? ours[i] : theirs[i - n_ours]);
        bad = !ranked[i];
    }
    double *values = must_alloc((size_t)how.replicates * sizeof *values);
    if (!bad && !(bad = replicate(t, ranked, n_ours, n_theirs, how, values))) {
        int below = 0, above = 0;
        for (int k = 0; k < how.replicates; k++) {
            below += values[k] <= 0;
            above += values[k] >= 0;
        }
        qsort(values, (size_t)how.replicates, sizeof *values, by_value);
        double p = 2.0 * ((below < above ? below : above) + 1) / (how.replicates + 1);
        *out = (Interval){
            .value = mean_difference(t, ranked, n_ours, n_theirs, NULL, all),
            .low = quantile(values, how.replicates, (1 - how.level) / 2),
            .high = quantile(values, how.replicates, (1 + how.level) / 2),
            .level = how.level,
            .p = !n_theirs ? NAN : p < 1 ? p : 1,
            .replicates = how.replicates,
        };
    }
    for (int i = 0; i < n; i++)
        free(ranked[i]);
    free(ranked);
    free(values);
    return bad ? -1 : 0;
}

/* ---- distances ---- */

double distance_cosine(const float *a, const float *b, int d)
{
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < d; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return aa > 0 && bb > 0 ? 1 - dot / sqrt(aa * bb) : 1;
}

double distance_euclidean(const float *a, const float *b, int d)
{
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}

void distances_of_pairs(const float *embeddings, int d, const int32_t *a, const int32_t *b, int n,
                        double (*distance)(const float *, const float *, int), double *out)
{
    for (int i = 0; i < n; i++)
        out[i] = distance(embeddings + (size_t)a[i] * (size_t)d, embeddings + (size_t)b[i] * (size_t)d, d);
}
