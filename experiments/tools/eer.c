/* eer.c - the error rates of a file of scores: eer --scores FILE.csv --distance|--similarity [--json]. */
#include <math.h>
#include <stdio.h>

#include "engine/error.h"
#include "engine/json.h"
#include "experiments/common/options.h"
#include "experiments/common/scores.h"

typedef struct Result {
    Accuracy accuracy;
    Interval interval;
    int over_people;
} Result;

static void print_spread(const char *name, const Spread *s)
{
    printf("%-14s %d pairs, scores %.4f to %.4f, mean %.4f (%.4f)\n", name, s->n, s->min, s->max, s->mean, s->std);
}

static void print_text(const Result *r)
{
    const Accuracy *a = &r->accuracy;
    printf("EER            %.3f %%\n", 100 * a->eer);
    if (r->interval.replicates)
        printf("interval       %.3f %% to %.3f %% (%g %%, %d replicates over %s)\n", 100 * r->interval.low,
               100 * r->interval.high, 100 * r->interval.level, r->interval.replicates,
               r->over_people ? "people" : "pairs");
    printf("threshold      %.6g\n", a->threshold);
    printf("FMR100         %.3f %%\n", 100 * a->fmr100);
    printf("FMR1000        %.3f %%\n", 100 * a->fmr1000);
    printf("AUC            %.6f\n", a->auc);
    print_spread("matching", &a->matching);
    print_spread("non-matching", &a->other);
}

static void put(const char *name, double value)
{
    printf("\"%s\": ", name);
    json_write_number(stdout, value);
}

static void put_spread(const char *name, const Spread *s)
{
    printf(",\n \"%s\": {\"pairs\": %d, ", name, s->n);
    put("min", s->min);
    fputs(", ", stdout);
    put("max", s->max);
    fputs(", ", stdout);
    put("mean", s->mean);
    fputs(", ", stdout);
    put("std", s->std);
    putchar('}');
}

static void print_json(const Result *r)
{
    const Accuracy *a = &r->accuracy;
    const struct {
        const char *name;
        double value;
    } values[] = {{"eer", a->eer}, {"threshold", a->threshold}, {"fmr100", a->fmr100}, {"fmr1000", a->fmr1000},
                  {"auc", a->auc}};
    for (int i = 0; i < 5; i++) {
        fputs(i ? ",\n " : "{", stdout);
        put(values[i].name, values[i].value);
    }
    if (r->interval.replicates) {
        printf(",\n \"interval\": {");
        put("low", r->interval.low);
        fputs(", ", stdout);
        put("high", r->interval.high);
        fputs(", ", stdout);
        put("level", r->interval.level);
        printf(", \"replicates\": %d, \"over\": \"%s\"}", r->interval.replicates, r->over_people ? "people" : "pairs");
    }
    put_spread("matching", &a->matching);
    put_spread("non_matching", &a->other);
    puts("}");
}

int main(int argc, char **argv)
{
    static const char *path;
    static int distance, similarity, replicates = 1000;
    static double level = 0.95;
    static const Option own[] = {
        {"scores", OPTION_TEXT, "FILE", "CSV with the columns score and match (1 or 0), in any order", &path},
        {"distance", OPTION_FLAG, NULL, "small scores are alike", &distance},
        {"similarity", OPTION_FLAG, NULL, "large scores are alike", &similarity},
        {"bootstrap", OPTION_INT, "N", "replicates of the interval, 0 for none (1000)", &replicates},
        {"level", OPTION_FLOAT, "P", "level of the interval (0.95)", &level},
        {0},
    };
    static const Program program = {
        .name = "eer",
        .does = "prints error rates of scored pairs (with columns person_a and person_b, an interval over people)",
        .common = OPTIONS_SEED | OPTIONS_JSON | OPTIONS_QUIET,
        .own = own,
    };
    Options o;
    ScoreFile file;
    Result r = {0};
    options_start(&o, &program, argc, argv);
    if (!path)
        usage_error(&program, "--scores FILE is missing (--help)");
    if (distance == similarity)
        usage_error(&program, "either --distance or --similarity must say which scores are alike");
    if (replicates < 0 || replicates == 1 || replicates > 10000000)
        usage_error(&program, "--bootstrap %d: 0, or 2 to 10000000 was expected", replicates);
    if (!(level > 0 && level < 1))
        usage_error(&program, "--level %g: a number between 0 and 1 was expected", level);

    ScoreKind kind = distance ? SCORE_DISTANCE : SCORE_SIMILARITY;
    if (scores_read(path, &file))
        die("%s", error_text());
    const double *const scores = file.scores;
    Bootstrap how = {replicates, level, o.seed};
    if (accuracy_of(&file.trials, kind, scores, &r.accuracy) ||
        (replicates && eer_interval(&file.trials, kind, &scores, 1, NULL, 0, how, &r.interval)))
        die("%s: %s", path, error_text());
    r.over_people = file.trials.a != NULL;
    (o.json ? print_json : print_text)(&r);
    scores_free(&file);
    options_free(&o);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return 0;
}
