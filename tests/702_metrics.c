/* 702_metrics.c - error rates against cases worked by hand, definitions by brute force, and intervals over people. */
#include "tests/test.h"

#include <math.h>

#include "engine/random.h"
#include "experiments/common/metrics.h"

static Accuracy accuracy(int n, const double *scores, const uint8_t *match, ScoreKind kind)
{
    Trials t = {.n = n, .match = match};
    Accuracy a;
    MUST(accuracy_of(&t, kind, scores, &a));
    return a;
}

TEST(cases_by_hand)
{
    static const struct {
        int n;
        double scores[4];
        uint8_t match[4];
        double eer, threshold, auc;
    } cases[] = {
        {4, {0.9, 0.8, 0.1, 0.2}, {1, 1, 0, 0}, 0, 0.8, 1},             /* apart */
        {4, {0.9, 0.8, 0.1, 0.2}, {0, 0, 1, 1}, 1, 0.8, 0},             /* the wrong way round */
        {4, {3, 1, 2, 0}, {1, 1, 0, 0}, 0.5, 2, 0.75},                  /* a point with FMR = FNMR */
        {4, {1.5, 2, 1, 0}, {1, 0, 0, 0}, 1.0 / 3, 5.0 / 3, 2.0 / 3},   /* between (1/3, 1) and (1/3, 0) */
        {4, {1, 1, 1, 0}, {1, 1, 0, 0}, 1.0 / 3, 1, 0.75},              /* ties: from (0, 1) to (1/2, 0) at once */
        {2, {5, 5}, {1, 0}, 0.5, 5, 0.5},                               /* nothing but a tie */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Accuracy a = accuracy(cases[i].n, cases[i].scores, cases[i].match, SCORE_SIMILARITY);
        ck_assert_double_eq_tol(a.eer, cases[i].eer, 1e-15);
        ck_assert_double_eq_tol(a.threshold, cases[i].threshold, 1e-15);
        ck_assert_double_eq_tol(a.auc, cases[i].auc, 1e-15);
        double distances[4];
        for (int k = 0; k < cases[i].n; k++)
            distances[k] = -cases[i].scores[k];
        Accuracy d = accuracy(cases[i].n, distances, cases[i].match, SCORE_DISTANCE);
        ck_assert_double_eq(d.eer, a.eer);
        ck_assert_double_eq(d.threshold, -a.threshold);
        ck_assert_double_eq(d.auc, a.auc);
    }
}

TEST(false_match_rates_by_hand)
{
    /* 1000 non-matching pairs 0..999; matching pairs above 999, above 998, above 990, above 989, below all */
    enum { N = 1005 };
    double scores[N];
    uint8_t match[N] = {0};
    for (int i = 0; i < 1000; i++)
        scores[i] = i;
    static const double matching[] = {999.5, 998.5, 990.5, 989.5, -1};
    for (int i = 0; i < 5; i++) {
        scores[1000 + i] = matching[i];
        match[1000 + i] = 1;
    }
    Accuracy a = accuracy(N, scores, match, SCORE_SIMILARITY);
    ck_assert_double_eq_tol(a.fmr1000, 3.0 / 5, 1e-15);   /* one false match: 999 */
    ck_assert_double_eq_tol(a.fmr100, 1.0 / 5, 1e-15);    /* ten: 990 to 999, so that 989.5 is still accepted */
    ck_assert_int_eq(a.other.n, 1000);
    ck_assert_double_eq(a.other.min, 0);
    ck_assert_double_eq(a.other.max, 999);
    ck_assert_double_eq_tol(a.other.mean, 499.5, 1e-12);
    ck_assert_double_eq_tol(a.other.std, sqrt(1000.0 * 1001 / 12), 1e-10);
    /* with 999 non-matching pairs, one false match is more than 0.1 % */
    a = accuracy(N - 1, scores + 1, match + 1, SCORE_SIMILARITY);
    ck_assert_double_eq_tol(a.fmr1000, 4.0 / 5, 1e-15);
}

/* Rates at a threshold, and the EER, from the definition alone. */
static void rates(int n, const double *s, const uint8_t *match, double t, double *fmr, double *fnmr)
{
    int m = 0, o = 0, rejected = 0, accepted = 0;
    for (int i = 0; i < n; i++) {
        m += match[i];
        o += !match[i];
        rejected += match[i] && s[i] < t;
        accepted += !match[i] && s[i] >= t;
    }
    *fmr = (double)accepted / o;
    *fnmr = (double)rejected / m;
}

static double eer_by_definition(int n, const double *s, const uint8_t *match)
{
    /* the points nearest to FMR = FNMR on either side */
    double low_fmr = 0, low_fnmr = 1, high_fmr = 1, high_fnmr = 0;
    for (int i = 0; i < n; i++) {
        double fmr, fnmr;
        rates(n, s, match, s[i], &fmr, &fnmr);
        if (fmr <= fnmr && fnmr - fmr < low_fnmr - low_fmr) {
            low_fmr = fmr;
            low_fnmr = fnmr;
        }
        if (fmr >= fnmr && fmr - fnmr < high_fmr - high_fnmr) {
            high_fmr = fmr;
            high_fnmr = fnmr;
        }
    }
    double down = low_fnmr - low_fmr, up = high_fmr - high_fnmr;
    return down == 0 ? low_fmr : up == 0 ? high_fmr : low_fmr + down / (down + up) * (high_fmr - low_fmr);
}

TEST(every_threshold_by_brute_force)
{
    Random r = random_stream(1, "brute force", 0);
    for (int round = 0; round < 500; round++) {
        double s[40];
        uint8_t match[40];
        int n = 4 + (int)random_below(&r, 37), levels = round % 2 ? 6 : 100000;
        for (int i = 0; i < n; i++) {
            match[i] = i < 2 ? (uint8_t)i : random_below(&r, 3) == 0;
            s[i] = random_below(&r, (uint32_t)levels) + match[i] * 0.4 * random_below(&r, (uint32_t)levels);
        }
        Accuracy a = accuracy(n, s, match, SCORE_SIMILARITY);
        ck_assert_double_eq_tol(a.eer, eer_by_definition(n, s, match), 1e-14);

        double higher = 0, pairs = 0, best100 = 1, fmr, fnmr;
        for (int i = 0; i < n; i++) {
            rates(n, s, match, s[i], &fmr, &fnmr);
            if (fmr <= 0.01 && fnmr < best100)
                best100 = fnmr;
            for (int k = 0; k < n; k++)
                if (match[i] && !match[k]) {
                    higher += s[i] > s[k] ? 1 : s[i] == s[k] ? 0.5 : 0;
                    pairs++;
                }
        }
        ck_assert_double_eq_tol(a.auc, higher / pairs, 1e-14);
        ck_assert_double_eq_tol(a.fmr100, best100, 1e-15);
        /* the EER lies between the rates on either side of its threshold */
        rates(n, s, match, a.threshold, &fmr, &fnmr);
        double above_fmr, above_fnmr;
        rates(n, s, match, nextafter(a.threshold, INFINITY), &above_fmr, &above_fnmr);
        ck_assert(a.eer <= fmax(fmr, fnmr) + 1e-14 && a.eer >= fmin(above_fmr, above_fnmr) - 1e-14);
    }
}

TEST(refuses_what_has_no_rate)
{
    double scores[2] = {1, 2};
    uint8_t one_kind[2] = {1, 1}, both[2] = {1, 0};
    Trials t = {.n = 2, .match = one_kind};
    Accuracy a;
    ck_assert_int_eq(accuracy_of(&t, SCORE_DISTANCE, scores, &a), -1);
    t.match = both;
    scores[1] = NAN;
    ck_assert_int_eq(accuracy_of(&t, SCORE_DISTANCE, scores, &a), -1);
    ck_assert_str_eq(error_text(), "the score of pair 1 is not finite");
    t.n = 0;
    ck_assert_int_eq(accuracy_of(&t, SCORE_DISTANCE, scores, &a), -1);
    Spread none = spread_of(scores, 0), one = spread_of(scores, 1);
    ck_assert(isnan(none.mean) && isnan(none.min) && one.mean == 1 && isnan(one.std));
}

/* ---- intervals ---- */

enum { MOST = 4000 };

/* People with 4 matching pairs each and 4 pairs with others.  Matching scores are N(1, 1 + 1/2), the half being a
 * trait of the person; others N(-1, 1 + 1/4 + 1/4), a quarter being a trait of either person: the population's EER is
 * Phi(-1 / sqrt(1.5)). */
typedef struct World {
    Trials trials;
    double scores[MOST];
    uint8_t match[MOST];
    int32_t a[MOST], b[MOST];
} World;

static const double true_eer = 0.20710808912;

static World *make_world(int people, uint64_t seed)
{
    World *w = must_zalloc(sizeof *w);
    Random r = random_stream(seed, "world", 0);
    int n = 0;
    float trait[MOST / 8], other[MOST / 8];
    for (int i = 0; i < people; i++) {
        trait[i] = random_normal(&r);
        other[i] = random_normal(&r);
    }
    for (int i = 0; i < people; i++)
        for (int k = 0; k < 8; k++, n++) {
            int partner = (i + 1 + (int)random_below(&r, (uint32_t)people - 1)) % people;
            w->match[n] = k < 4;
            w->a[n] = i;
            w->b[n] = k < 4 ? i : partner;
            double shared = k < 4 ? 1 + sqrt(0.5) * trait[i] : -1 + 0.5 * (other[i] + other[partner]);
            w->scores[n] = shared + random_normal(&r);
        }
    w->trials = (Trials){n, w->match, w->a, w->b, people};
    return w;
}

static Interval interval(const World *w, Bootstrap how)
{
    const double *scores = w->scores;
    Interval i;
    MUST(eer_interval(&w->trials, SCORE_SIMILARITY, &scores, 1, NULL, 0, how, &i));
    return i;
}

/* Two replicates are recovered from the quantiles 1/4 and 3/4, and must be the EERs of pairs copied out one by one. */
TEST(weights_are_copies_of_pairs)
{
    for (int over_people = 0; over_people < 2; over_people++) {
        World *w = make_world(12, 5);
        Bootstrap how = {2, 0.5, 77};
        if (!over_people)
            w->trials.a = w->trials.b = NULL;
        Interval i = interval(w, how);
        double found[2] = {i.low - 0.5 * (i.high - i.low), i.high + 0.5 * (i.high - i.low)}, wanted[2];
        for (int k = 0; k < 2; k++) {
            Random r = random_stream(77, "bootstrap", (uint64_t)k);
            static double scores[200000];
            static uint8_t match[200000];
            int times[MOST] = {0}, n = 0;
            if (over_people) {
                for (int p = 0; p < 12; p++)
                    times[random_below(&r, 12)]++;
            } else {
                /* the world's pairs come four of one kind and four of the other in turn */
                for (int kind = 0; kind < 2; kind++)
                    for (int p = 0; p < 48; p++) {
                        int drawn = (int)random_below(&r, 48);
                        times[drawn / 4 * 8 + drawn % 4 + (kind ? 0 : 4)]++;
                    }
            }
            for (int p = 0; p < w->trials.n; p++) {
                int a = w->a[p], b = w->b[p];
                int copies = !over_people ? times[p] : a == b ? times[a] : times[a] * times[b];
                for (; copies > 0; copies--, n++) {
                    scores[n] = w->scores[p];
                    match[n] = w->match[p];
                }
            }
            wanted[k] = accuracy(n, scores, match, SCORE_SIMILARITY).eer;
        }
        ck_assert_double_eq_tol(found[0], fmin(wanted[0], wanted[1]), 1e-12);
        ck_assert_double_eq_tol(found[1], fmax(wanted[0], wanted[1]), 1e-12);
        free(w);
    }
}

TEST(intervals_shrink_with_people)
{
    double width[2];
    for (int big = 0; big < 2; big++) {
        World *w = make_world(big ? 400 : 25, 9);
        Interval i = interval(w, (Bootstrap){400, 0.95, 1});
        ck_assert(i.low <= i.value && i.value <= i.high);
        ck_assert(isnan(i.p) && i.replicates == 400 && i.level == 0.95);
        Interval again = interval(w, (Bootstrap){400, 0.95, 1}), narrower = interval(w, (Bootstrap){400, 0.5, 1});
        ck_assert(again.low == i.low && again.high == i.high);
        ck_assert(narrower.low > i.low && narrower.high < i.high);
        width[big] = i.high - i.low;
        free(w);
    }
    ck_assert_double_lt(width[1], width[0] / 2.5);   /* 16 times the people: a quarter, give or take */
    ck_assert_double_gt(width[1], width[0] / 8);
}

/* 95 % intervals over people hold the population's EER in about 95 % of 200 worlds; those over pairs hold it less
 * often, since pairs of one person are alike. */
TEST(intervals_cover_the_truth)
{
    int people = 0, pairs = 0, worlds = 200;
    for (int i = 0; i < worlds; i++) {
        World *w = make_world(60, 1000 + (uint64_t)i);
        Interval over = interval(w, (Bootstrap){200, 0.95, (uint64_t)i});
        people += over.low <= true_eer && true_eer <= over.high;
        w->trials.a = w->trials.b = NULL;
        over = interval(w, (Bootstrap){200, 0.95, (uint64_t)i});
        pairs += over.low <= true_eer && true_eer <= over.high;
        free(w);
    }
    printf("the truth lies in %d intervals over people and %d over pairs of %d\n", people, pairs, worlds);
    ck_assert_int_ge(people, 180);
    ck_assert_int_le(people, 199);
    ck_assert_int_lt(pairs, people - 10);
}

TEST(shuffled_labels_give_one_half)
{
    World *w = make_world(300, 3);
    Random r = random_stream(4, "shuffle", 0);
    for (int i = w->trials.n - 1; i > 0; i--) {
        int k = (int)random_below(&r, (uint32_t)i + 1);
        uint8_t keep = w->match[i];
        w->match[i] = w->match[k];
        w->match[k] = keep;
    }
    w->trials.a = w->trials.b = NULL;   /* the people no longer agree with the labels */
    Interval i = interval(w, (Bootstrap){300, 0.99, 2});
    ck_assert_double_eq_tol(i.value, 0.5, 0.05);
    ck_assert(i.low < 0.5 && 0.5 < i.high);
    free(w);
}

TEST(differences_are_paired)
{
    World *w = make_world(100, 21);
    double worse[MOST], alike[MOST];
    Random r = random_stream(6, "noise", 0);
    for (int i = 0; i < w->trials.n; i++) {
        worse[i] = w->scores[i] + 2 * random_normal(&r);
        alike[i] = w->scores[i] + 0.05 * random_normal(&r);
    }
    const double *ours[2] = {w->scores, alike}, *theirs[1] = {worse}, *same[1] = {w->scores}, *nearly[1] = {alike};
    Bootstrap how = {500, 0.95, 3};
    Interval i, back;
    MUST(eer_interval(&w->trials, SCORE_SIMILARITY, same, 1, same, 1, how, &i));
    ck_assert(i.value == 0 && i.low == 0 && i.high == 0 && i.p == 1);
    MUST(eer_interval(&w->trials, SCORE_SIMILARITY, ours, 2, theirs, 1, how, &i));
    ck_assert(i.high < 0 && i.low < i.value && i.value < i.high);
    ck_assert_double_eq_tol(i.p, 2.0 / 501, 1e-15);
    MUST(eer_interval(&w->trials, SCORE_SIMILARITY, theirs, 1, ours, 2, how, &back));
    ck_assert_double_eq_tol(back.low, -i.high, 1e-15);
    ck_assert_double_eq_tol(back.high, -i.low, 1e-15);
    /* pairing makes the difference of two nearly equal scorers far better known than either */
    MUST(eer_interval(&w->trials, SCORE_SIMILARITY, same, 1, nearly, 1, how, &i));
    Interval single = interval(w, how);
    ck_assert_double_lt(i.high - i.low, (single.high - single.low) / 3);
    ck_assert(i.low <= 0 && 0 <= i.high && i.p > 0.05);
    free(w);
}

TEST(refuses_people_that_do_not_fit)
{
    World *w = make_world(10, 1);
    const double *scores = w->scores;
    Bootstrap how = {10, 0.95, 1};
    Interval i;
    w->a[0] = 10;
    ck_assert_int_eq(eer_interval(&w->trials, SCORE_SIMILARITY, &scores, 1, NULL, 0, how, &i), -1);
    w->a[0] = 1;
    ck_assert_int_eq(eer_interval(&w->trials, SCORE_SIMILARITY, &scores, 1, NULL, 0, how, &i), -1);
    ck_assert_str_eq(error_text(), "pair 0: it matches, but is of two people");
    w->a[0] = 0;
    how.replicates = 1;
    ck_assert_int_eq(eer_interval(&w->trials, SCORE_SIMILARITY, &scores, 1, NULL, 0, how, &i), -1);
    how.replicates = 10;
    w->trials.people = 1;
    ck_assert_int_eq(eer_interval(&w->trials, SCORE_SIMILARITY, &scores, 1, NULL, 0, how, &i), -1);
    free(w);
}

TEST(distances_by_hand)
{
    static const float e[4][2] = {{3, 4}, {4, -3}, {0, 0}, {6, 8}};
    static const int32_t a[3] = {0, 0, 0}, b[3] = {1, 2, 3};
    double d[3];
    distances_of_pairs(&e[0][0], 2, a, b, 3, distance_cosine, d);
    ck_assert_double_eq_tol(d[0], 1, 1e-15);
    ck_assert_double_eq_tol(d[1], 1, 1e-15);
    ck_assert_double_eq_tol(d[2], 0, 1e-15);
    distances_of_pairs(&e[0][0], 2, a, b, 3, distance_euclidean, d);
    ck_assert_double_eq_tol(d[0], sqrt(50), 1e-14);
    ck_assert_double_eq_tol(d[1], 5, 1e-15);
    ck_assert_double_eq_tol(d[2], 5, 1e-15);
}

TEST_MAIN("metrics", cases_by_hand, false_match_rates_by_hand, every_threshold_by_brute_force, refuses_what_has_no_rate,
          weights_are_copies_of_pairs, intervals_shrink_with_people, intervals_cover_the_truth,
          shuffled_labels_give_one_half, differences_are_paired, refuses_people_that_do_not_fit, distances_by_hand)
