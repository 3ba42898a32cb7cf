/* synthesis.c - the training loop of the synthesis network, its curves, checkpoints and sample sheets. */
#include "experiments/common/synthesis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/loader.h"
#include "engine/file.h"
#include "engine/random.h"
#include "experiments/common/checkpoint.h"
#include "experiments/common/curve.h"
#include "experiments/common/feed.h"
#include "experiments/common/progress.h"
#include "experiments/common/sheet.h"

enum { SAMPLE_COLUMNS = 8, RENDER_BATCH = 16 };

static const char *const sections[] = {"data.size", "identity", "synthesis", "run.seed", NULL};

typedef struct Training {
    Store *store;
    Feed feed;
    SynthesisStep *first, *same, *other, *render;    /* D alone if it goes first, step 1, step 2, samples */
    Loader *loader;
    Curve curve;
    bool curve_open;
    float *vectors;                          /* (n, D): f_I of every image of Original */
    float *rows;                             /* (B, D): of a batch */
    int dim;
} Training;

static void training_close(Training *t)
{
    if (t->curve_open)
        curve_close(&t->curve);
    loader_free(t->loader);
    synthesis_step_free(t->first);
    synthesis_step_free(t->same);
    synthesis_step_free(t->other);
    synthesis_step_free(t->render);
    feed_close(&t->feed);
    store_free(t->store);
    free(t->vectors);
    free(t->rows);
}

static int training_open(Context *x, const World *w, const Identity *id, Training *t)
{
    const Config *c = x->config;
    uint64_t seed = (uint64_t)config_int(c, "run.seed");
    SynthesisOpts o = context_synthesis(x);
    int batch = (int)config_int(c, "synthesis.batch");
    t->dim = o.identity.embedding;
    t->vectors = must_alloc(sizeof(float) * (size_t)w->original.n * (size_t)t->dim);
    t->rows = must_alloc(sizeof(float) * (size_t)batch * (size_t)t->dim);
    t->store = store_create(x->device, seed);
    if (t->store)
        feed_open(&t->feed, x, t->store, w->original.n, t->dim);
    o.set = t->feed.set;
    o.vectors = t->feed.vectors;
    t->same = t->store ? synthesis_step_create(t->store, o, batch, 1) : NULL;
    if (t->same && o.d_first && !(t->first = synthesis_step_create(t->store, o, batch, 3)))
        return -1;
    t->other = t->same ? synthesis_step_create(t->store, o, batch, 2) : NULL;
    t->render = t->other ? synthesis_render_create(t->store, o, SAMPLE_COLUMNS, false) : NULL;
    t->loader = t->render ? loader_create(&w->original, batch, seed) : NULL;
    Plan *plans[] = {t->first ? t->first->plan : NULL, t->same ? t->same->plan : NULL, t->other ? t->other->plan : NULL,
                     t->render ? t->render->plan : NULL};
    return !t->loader || context_reserve(x, "synthesis", plans, 4) ||
           store_load(t->store, id->weights, "I.") ||
           identity_vectors(x, id, w->original.pixels, w->original.n, t->vectors) ||
           feed_fill(&t->feed, &w->original, t->vectors) ? -1 : 0;
}

/* Pictures and identities of a step. */
static int give(Training *t, SynthesisStep *s, const Batch *b, const int32_t *from)
{
    if (val_ok(s->from))
        return prog_write(s->p, s->index, b->index) || prog_write(s->p, s->from, from);
    for (int i = 0; i < s->batch; i++)
        memcpy(t->rows + (size_t)i * (size_t)t->dim, t->vectors + (size_t)from[i] * (size_t)t->dim,
               sizeof(float) * (size_t)t->dim);
    return prog_write(s->p, s->pixels, b->pixels) || prog_write(s->p, s->identity, t->rows);
}

/* Writes what a step needs and runs it; from[i] is the image whose identity batch row i takes. */
static int run(Training *t, SynthesisStep *s, const Batch *b, const int32_t *from, float rate_ag, float rate_d)
{
    return give(t, s, b, from) ||
           (val_ok(s->rate_ag) && prog_write(s->p, s->rate_ag, &rate_ag)) || (val_ok(s->rate_d) && prog_write(s->p, s->rate_d, &rate_d)) ||
           plan_run(s->plan);
}

/* Top: images of Original; middle: their reconstructions; bottom: each with the identity of the next person. */
static int sample_sheet(const World *w, Training *t, const char *path)
{
    const Faces *f = &w->original;
    int side = f->size, *first = faces_first(f);
    int32_t from[SAMPLE_COLUMNS], next[SAMPLE_COLUMNS];
    uint8_t *pixels = must_zalloc(faces_bytes(f) * SAMPLE_COLUMNS);
    float *made = must_alloc(sizeof *made * 3 * (size_t)side * (size_t)side * SAMPLE_COLUMNS);
    Sheet sheet = sheet_create(SAMPLE_COLUMNS, 3, side, 2);
    for (int i = 0; i < SAMPLE_COLUMNS; i++) {
        from[i] = first[i % f->people];
        next[i] = first[(i + 1) % f->people];
        memcpy(pixels + faces_bytes(f) * (size_t)i, f->pixels + faces_bytes(f) * (size_t)from[i], faces_bytes(f));
        sheet_bytes(&sheet, i, 0, pixels + faces_bytes(f) * (size_t)i);
    }
    int bad = 0;
    for (int row = 1; row <= 2 && !bad; row++) {
        const int32_t *who = row == 1 ? from : next;
        float *rows = must_alloc(sizeof *rows * (size_t)t->dim * SAMPLE_COLUMNS);
        for (int i = 0; i < SAMPLE_COLUMNS; i++)
            memcpy(rows + (size_t)i * (size_t)t->dim, t->vectors + (size_t)who[i] * (size_t)t->dim,
                   sizeof *rows * (size_t)t->dim);
        bad = prog_write(t->render->p, t->render->pixels, pixels) ||
              prog_write(t->render->p, t->render->identity, rows) || plan_run(t->render->plan) ||
              plan_read(t->render->plan, t->render->image, made);
        for (int i = 0; i < SAMPLE_COLUMNS; i++)
            sheet_floats(&sheet, i, row, made + (size_t)i * 3 * (size_t)side * (size_t)side);
        free(rows);
    }
    bad = bad || sheet_write(&sheet, path);
    sheet_free(&sheet);
    free(pixels);
    free(made);
    free(first);
    return bad;
}

static int train(Context *x, const World *w, const Identity *id, const Stage *stage, Training *t, const char *weights)
{
    static const char *const columns[] = {"reconstruction", "kl", "feature", "identity", "discriminator",
                                          "reconstruction_other"};
    const Config *c = x->config;
    uint64_t seed = (uint64_t)config_int(c, "run.seed");
    long total = (long)config_int(c, "synthesis.steps"), every = (long)config_int(c, "synthesis.checkpoint_every");
    long sample_every = (long)config_int(c, "synthesis.sample_every");
    float rate_ag = (float)config_float(c, "synthesis.lr_ag"), rate_d = (float)config_float(c, "synthesis.lr_d");
    char *checkpoint = stage_path(stage, "checkpoint.safetensors"), *curve = stage_path(stage, "curve.csv");
    char *samples = stage_path(stage, "samples.png");
    double at = 0;
    int bad = training_open(x, w, id, t);
    if (!bad && file_exists(checkpoint))
        bad = checkpoint_load(checkpoint, t->store, NULL, &at, 1);
    if (!bad) {
        bad = curve_open(&t->curve, curve, columns, 6, (int64_t)at - 1);
        t->curve_open = !bad;
    }
    Progress progress;
    progress_begin(&progress, "synthesis", "pairs of steps", total, (int64_t)at, x->quiet);
    int32_t *other = must_alloc(sizeof *other * (size_t)config_int(c, "synthesis.batch"));
    for (long step = (long)at; step < total && !bad; step++) {
        float loss[6] = {0};
        loader_seek(t->loader, 2 * step);
        const Batch *b = loader_next(t->loader);
        bad = (t->first && run(t, t->first, b, b->index, rate_ag, rate_d)) ||
              run(t, t->same, b, b->index, rate_ag, rate_d);
        if (bad)
            break;
        b = loader_next(t->loader);
        Random r = random_stream(seed, "identity of another image", (uint64_t)step);
        for (int i = 0; i < t->other->batch; i++) {   /* uniform over all images but x^a itself */
            other[i] = (int32_t)random_below(&r, (uint32_t)w->original.n - 1);
            other[i] += other[i] >= b->index[i];
        }
        /* Losses are read when both steps are on their way: a GPU goes from one to the next without waiting. */
        bad = run(t, t->other, b, other, rate_ag, rate_d) || plan_read(t->same->plan, t->same->gr, &loss[0]) ||
              plan_read(t->same->plan, t->same->kl, &loss[1]) || plan_read(t->same->plan, t->same->gd, &loss[2]) ||
              plan_read(t->same->plan, t->same->gi, &loss[3]) || plan_read(t->same->plan, t->same->d, &loss[4]) ||
              plan_read(t->other->plan, t->other->gr, &loss[5]);
        for (int i = 0; i < 6 && !bad; i++)
            if (!isfinite(loss[i]))
                bad = fail("synthesis: the loss \"%s\" of step %ld is %g; lower synthesis.lr_ag or synthesis.lr_d",
                           columns[i], step, (double)loss[i]);
        if (!bad)
            bad = curve_row(&t->curve, step, (double[]){loss[0], loss[1], loss[2], loss[3], loss[4], loss[5]});
        double next = (double)step + 1;
        if (!bad && every && (step + 1) % every == 0)
            bad = checkpoint_save(checkpoint, t->store, NULL, &next, 1);
        if (!bad && sample_every && ((step + 1) % sample_every == 0 || step + 1 == total))
            bad = sample_sheet(w, t, samples);
        progress_step(&progress, step + 1, "reconstruction %.4f identity %.3f discriminator %.3f", (double)loss[0],
                      (double)loss[3], (double)loss[4]);
    }
    if (!bad)
        progress_end(&progress);
    const char *metadata[] = {"guise", engine_version(), "preprocessing", "RGB, bytes / 127.5 - 1", NULL};
    /* Without the optimizer's state, and without I, which lies in a file of its own. */
    bad = bad || store_save(t->store, weights, "A.|D.|G.", metadata);
    free(other);
    free(checkpoint);
    free(curve);
    free(samples);
    return bad ? -1 : 0;
}

int synthesis_open(Context *x, const World *w, const Identity *id, Synthesis *out)
{
    Training t = {0};
    Hash inputs[] = {w->hash, id->hash};
    *out = (Synthesis){0};
    Stage *stage = context_stage(x, "synthesis", 1, sections, NULL, inputs, 2);
    if (!stage)
        return -1;
    char *weights = stage_path(stage, "synthesis.safetensors");
    int bad = stage->done ? 0 : train(x, w, id, stage, &t, weights) || stage_done(stage);
    training_close(&t);
    free(weights);
    out->weights = stage_path(stage, "synthesis.safetensors");
    out->samples = stage_path(stage, "samples.png");
    out->hash = stage->hash;
    stage_leave(stage);
    if (bad)
        synthesis_free(out);
    return bad ? -1 : 0;
}

void synthesis_free(Synthesis *s)
{
    free(s->weights);
    free(s->samples);
    *s = (Synthesis){0};
}
