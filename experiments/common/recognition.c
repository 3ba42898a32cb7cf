/* recognition.c - see recognition.h. */
#include "experiments/common/recognition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"
#include "engine/file.h"
#include "experiments/common/checkpoint.h"
#include "experiments/common/curve.h"
#include "experiments/common/feed.h"
#include "experiments/common/jobs.h"
#include "experiments/common/progress.h"
#include "experiments/common/schedule.h"
#include "experiments/common/scores.h"

enum { EMBED_BATCH = 32 };

static const char *const sections[] = {"data.size", "recognition", "augmentation", "run.seed", NULL};

struct Trainer {
    Context *x;
    const World *w;
    Trunk trunk;
    RecogniserOpts opts;
    Store *store;              /* of the present shape */
    Feed feed;
    RecogniserStep *step;
    RecogniserEmbed *embed;
    int batch, classes;
    PairTrials validation, test;
};

PairTrials pair_trials(const Pairs *pairs, const Faces *faces)
{
    PairTrials t = {0};
    t.a = must_alloc(sizeof *t.a * (size_t)(pairs->n + 1));
    t.b = must_alloc(sizeof *t.b * (size_t)(pairs->n + 1));
    for (int i = 0; i < pairs->n; i++) {
        t.a[i] = faces->person[pairs->a[i]];
        t.b[i] = faces->person[pairs->b[i]];
    }
    t.trials = (Trials){.n = pairs->n, .match = pairs->match, .a = t.a, .b = t.b, .people = faces->people};
    return t;
}

void pair_trials_free(PairTrials *t)
{
    free(t->a);
    free(t->b);
    *t = (PairTrials){0};
}

Trainer *trainer_create(Context *x, const World *w)
{
    Trainer *t = must_zalloc(sizeof *t);
    t->x = x;
    t->w = w;
    if (trunk_open(x, &t->trunk)) {
        free(t);
        return NULL;
    }
    t->opts = context_recogniser(x);
    t->validation = pair_trials(&w->validation_pairs, &w->validation);
    t->test = pair_trials(&w->test_pairs, &w->test);
    return t;
}

const Trunk *trainer_trunk(const Trainer *t)
{
    return &t->trunk;
}

static void forget_plans(Trainer *t)
{
    recogniser_step_free(t->step);
    recogniser_embed_free(t->embed);
    feed_close(&t->feed);
    store_free(t->store);
    t->step = NULL;
    t->embed = NULL;
    t->store = NULL;
}

void trainer_free(Trainer *t)
{
    if (!t)
        return;
    forget_plans(t);
    trunk_free(&t->trunk);
    pair_trials_free(&t->validation);
    pair_trials_free(&t->test);
    free(t);
}

/* Store and plans for this shape, with the set's pictures and the beginnings of initialisation k. */
static int prepare(Trainer *t, const Faces *set, int batch, int k)
{
    uint64_t seed = (uint64_t)config_int(t->x->config, "run.seed");
    int classes = set->people;
    if (!t->store || batch != t->batch || classes != t->classes ||
        feed_outgrown(&t->feed, t->x, t->store, set->n, 0)) {
        forget_plans(t);
        t->store = store_create(t->x->device, seed);
        if (t->store)
            feed_open(&t->feed, t->x, t->store, set->n, 0);
        t->opts.set = t->feed.set;
        t->step = t->store ? recogniser_step_create(t->store, t->opts, batch, classes) : NULL;
        t->embed = t->step ? recogniser_embed_create(t->store, t->opts, EMBED_BATCH) : NULL;
        if (!t->embed || context_reserve(t->x, "recognition", (Plan *[]){t->step->plan, t->embed->plan}, 2))
            return -1;
        t->batch = batch;
        t->classes = classes;
    }
    return feed_fill(&t->feed, set, NULL) || trunk_begin(&t->trunk, t->store, seed, k) ? -1 : 0;
}

/* Cosine distances of stored pairs by the network as it stands. */
static int distances(Trainer *t, const Faces *f, const Pairs *pairs, double *out)
{
    float *z = must_alloc(sizeof *z * (size_t)f->n * (size_t)t->opts.embedding);
    int bad = recogniser_embed(t->embed, f->pixels, f->n, z);
    if (!bad)
        distances_of_pairs(z, t->opts.embedding, pairs->a, pairs->b, pairs->n, distance_cosine, out);
    free(z);
    return bad;
}

static int eer_of(const PairTrials *t, const double *scores, double *eer)
{
    Accuracy a;
    if (accuracy_of(&t->trials, SCORE_DISTANCE, scores, &a))
        return -1;
    *eer = a.eer;
    return 0;
}

static int epoch(Trainer *t, Loader *loader, const Schedule *l, double *mean_loss)
{
    RecogniserStep *s = t->step;
    long steps = loader_steps_per_epoch(loader);
    float rate = (float)l->rate, dropout = (float)config_float(t->x->config, "recognition.dropout");
    double sum = 0;
    loader_seek(loader, (long)l->epoch * steps);
    if (prog_write(s->p, s->rate, &rate) || prog_write(s->p, s->dropout, &dropout))
        return -1;
    for (long i = 0; i <= steps; i++) {   /* the next batch is on its way while a step runs, and then its loss is read */
        const Batch *b = i < steps ? loader_next(loader) : NULL;
        float loss;
        if (b && (step_pictures_write(s->p, s->pixels, s->index, b->pixels, b->index) ||
                  prog_write(s->p, s->labels, b->person)))
            return -1;
        if (i > 0 && plan_read(s->plan, s->loss, &loss))
            return -1;
        if (b && plan_run(s->plan))
            return -1;
        if (!i)
            continue;
        if (!isfinite(loss))
            return fail("recognition: the loss of epoch %.0f is %g; lower recognition.lr_first", l->epoch, (double)loss);
        sum += loss;
    }
    *mean_loss = sum / (double)steps;
    return 0;
}

static int train(Trainer *t, const Stage *stage, const Faces *set, int k, const char *label, Recognised *out)
{
    static const char *const columns[] = {"loss", "validation_eer", "rate"};
    const Config *c = t->x->config;
    uint64_t seed = (uint64_t)config_int(c, "run.seed");
    int batch = (int)config_int(c, "recognition.batch");
    batch = batch < set->n ? batch : set->n;
    char *checkpoint = stage_path(stage, "checkpoint.safetensors"), *curve_path = stage_path(stage, "curve.csv");
    char *weights = stage_path(stage, "recogniser.safetensors");
    Schedule l = schedule_begin(c);
    Snapshot *best = NULL;
    Curve curve;
    bool open = false, stop = false;
    Loader *loader = NULL;
    int bad = prepare(t, set, batch, k) || !(loader = loader_create(set, batch, seed + (uint64_t)k));
    if (!bad && file_exists(checkpoint))
        bad = checkpoint_load(checkpoint, t->store, &best, (double *)&l, SCHEDULE_NUMBERS);
    if (!bad)
        bad = curve_open(&curve, curve_path, columns, 3, (int64_t)l.epoch);
    open = !bad;
    Progress progress;
    int64_t most = config_int(c, "recognition.max_epochs");
    progress_begin(&progress, label, "epochs", most, (int64_t)l.epoch, t->x->quiet);
    while (!bad && !l.finished && !(stop = jobs_stopping(t->x))) {
        double loss = 0, eer = 0, rate = l.rate;
        bad = epoch(t, loader, &l, &loss) || distances(t, &t->w->validation, &t->w->validation_pairs, out->validation) ||
              eer_of(&t->validation, out->validation, &eer) || schedule_epoch(&l, c, eer, t->store, &best) ||
              curve_row(&curve, (int64_t)l.epoch, (double[]){loss, eer, rate});
        if (!bad && !l.finished)
            bad = checkpoint_save(checkpoint, t->store, best, (double *)&l, SCHEDULE_NUMBERS);
        progress_step(&progress, (int64_t)l.epoch, "loss %.2f EER %.2f %% best %.2f %%", loss, 100 * eer,
                      100 * l.best_eer);
    }
    if (stop)
        bad = fail("stopped after epoch %.0f, since another training failed: run again to go on", l.epoch);
    if (!bad)
        progress_end(&progress);
    bad = bad || distances(t, &t->w->validation, &t->w->validation_pairs, out->validation) ||
          distances(t, &t->w->test, &t->w->test_pairs, out->test) ||
          store_save(t->store, weights, "conv|bn|layer|head", (const char *[]){"guise", engine_version(), NULL});
    if (open)
        bad = curve_close(&curve) || bad;
    loader_free(loader);
    snapshot_free(best);
    free(checkpoint);
    free(curve_path);
    free(weights);
    return bad ? -1 : 0;
}

/* Scores are the stage's result: they are written exactly and read back. */
static int scores_file(const Stage *stage, const char *file, const PairTrials *t, double *scores, bool write)
{
    char *path = stage_path(stage, file);
    ScoreFile f = {0};
    int bad = write ? scores_write(path, &t->trials, scores, NULL) : scores_read(path, &f);
    if (!bad && !write && f.trials.n != t->trials.n)
        bad = fail("%s: holds %d pairs and must hold %d", path, f.trials.n, t->trials.n);
    if (!bad && !write)
        memcpy(scores, f.scores, sizeof *scores * (size_t)f.trials.n);
    if (!write)
        scores_free(&f);
    free(path);
    return bad;
}

static int images_of(const RecogniserTraining *r)
{
    return r->images ? r->images : r->set->faces->n;
}

static void label_of(const RecogniserTraining *r, char text[JOB_LABEL])
{
    snprintf(text, JOB_LABEL, "%s %d, init %d", r->set->name, images_of(r), r->initialisation + 1);
}

/* What a training's stage depends on besides the configuration. */
typedef struct Depends {
    char extra[200];
    Hash inputs[3];
    int ninputs;
} Depends;

static Depends depends_of(const Trainer *t, const RecogniserTraining *r)
{
    Depends d = {.inputs = {t->w->hash, r->set->hash, t->trunk.hash}, .ninputs = t->trunk.weights ? 3 : 2};
    snprintf(d.extra, sizeof d.extra, "set %s, %d images, initialisation %d", r->set->name, images_of(r),
             r->initialisation);
    return d;
}

int recognition_open(Trainer *t, const RecogniserTraining *which, Recognised *out)
{
    char label[JOB_LABEL];
    const TrainingSet *set = which->set;
    int n = images_of(which), k = which->initialisation;
    Depends d = depends_of(t, which);
    *out = (Recognised){0};
    label_of(which, label);
    Stage *stage = context_stage(t->x, "recognition", 1, sections, d.extra, d.inputs, d.ninputs);
    if (!stage)
        return -1;
    out->validation = must_alloc(sizeof(double) * (size_t)(t->w->validation_pairs.n + 1));
    out->test = must_alloc(sizeof(double) * (size_t)(t->w->test_pairs.n + 1));
    int bad = 0;
    if (!stage->done) {
        int *index = must_alloc(sizeof *index * (size_t)n);
        bad = faces_subset(set->faces, n, (uint64_t)config_int(t->x->config, "run.seed"), index);
        Faces some = bad ? (Faces){0} : faces_select(set->faces, index, n);
        bad = bad || train(t, stage, &some, k, label, out) ||
              scores_file(stage, "validation_scores.csv", &t->validation, out->validation, true) ||
              scores_file(stage, "test_scores.csv", &t->test, out->test, true) || stage_done(stage);
        faces_free(&some);
        free(index);
    }
    bad = bad || scores_file(stage, "validation_scores.csv", &t->validation, out->validation, false) ||
          scores_file(stage, "test_scores.csv", &t->test, out->test, false) ||
          eer_of(&t->validation, out->validation, &out->validation_eer) || eer_of(&t->test, out->test, &out->test_eer);
    out->weights = stage_path(stage, "recogniser.safetensors");
    char *curve = stage_path(stage, "curve.csv");
    int64_t epochs = curve_last(curve);
    out->epochs = epochs > 0 ? (int)epochs : 0;
    free(curve);
    stage_leave(stage);
    if (bad)
        recognised_free(out);
    return bad ? -1 : 0;
}

void recognised_free(Recognised *r)
{
    free(r->validation);
    free(r->test);
    free(r->weights);
    *r = (Recognised){0};
}

/* ---------------------------------------------------------------- side by side */
typedef struct Side {
    Trainer *t;
    const RecogniserTraining *list;
} Side;

static int side_made(void *of, int i)
{
    const Side *s = of;
    const RecogniserTraining *r = &s->list[i];
    Depends d = depends_of(s->t, r);
    return context_made(s->t->x, "recognition", 1, sections, d.extra, d.inputs, d.ninputs);
}

static int side_make(void *of, int i)
{
    const Side *s = of;
    Recognised made;
    int bad = recognition_open(s->t, &s->list[i], &made);
    if (!bad)
        recognised_free(&made);
    return bad;
}

static void side_label(void *of, int i, char text[JOB_LABEL])
{
    const Side *s = of;
    label_of(&s->list[i], text);
}

int recognition_all(Trainer *t, const RecogniserTraining *list, int n)
{
    Side s = {t, list};
    context_threads(t->x, t->x->job_threads);
    return jobs_run(t->x, &(Jobs){.name = "recognition", .unit = "trainings", .n = n, .of = &s, .made = side_made,
                                  .make = side_make, .label = side_label});
}

/* ---------------------------------------------------------------- baselines */
static void centred(const Faces *f, const double *mean, float *out)
{
    size_t image = faces_bytes(f);
    for (size_t i = 0; i < (size_t)f->n; i++)
        for (size_t k = 0; k < image; k++)
            out[i * image + k] = (float)(f->pixels[i * image + k] - mean[k]);
}

int baseline_pixels(const World *w, double *validation, double *test)
{
    const Faces *o = &w->original;
    size_t image = faces_bytes(o);
    double *mean = must_zalloc(sizeof *mean * image);
    for (size_t i = 0; i < (size_t)o->n; i++)
        for (size_t k = 0; k < image; k++)
            mean[k] += o->pixels[i * image + k] / (double)o->n;
    for (int which = 0; which < 2; which++) {
        const Faces *f = which ? &w->test : &w->validation;
        const Pairs *pairs = which ? &w->test_pairs : &w->validation_pairs;
        float *rows = must_alloc(sizeof *rows * image * (size_t)f->n);
        centred(f, mean, rows);
        distances_of_pairs(rows, (int)image, pairs->a, pairs->b, pairs->n, distance_cosine, which ? test : validation);
        free(rows);
    }
    free(mean);
    return 0;
}

int baseline_untrained(Trainer *t, double *validation, double *test)
{
    const Faces *set = &t->w->original;
    int batch = (int)config_int(t->x->config, "recognition.batch");
    Schedule still = {.rate = 0};   /* a rate of 0 moves nothing but the running statistics */
    double loss;
    Loader *loader = NULL;
    batch = batch < set->n ? batch : set->n;
    int bad = prepare(t, set, batch, 0) || !(loader = loader_create(set, batch, 1));
    for (int i = 0; i < 10 && !bad; i++, still.epoch++)   /* running statistics forget their beginning by a tenth a step */
        bad = epoch(t, loader, &still, &loss);
    bad = bad || distances(t, &t->w->validation, &t->w->validation_pairs, validation) ||
          distances(t, &t->w->test, &t->w->test_pairs, test);
    loader_free(loader);
    return bad ? -1 : 0;
}
