/* identity.c - see identity.h. */
#include "experiments/common/identity.h"

#include <math.h>
#include <stdlib.h>

#include "data/loader.h"
#include "engine/file.h"
#include "experiments/common/checkpoint.h"
#include "experiments/common/curve.h"
#include "experiments/common/feed.h"
#include "experiments/common/progress.h"

enum { EMBED_BATCH = 32 };

static const char *const sections[] = {"data.size", "identity", "augmentation", "run.seed", NULL};

typedef struct Training {
    Store *store;
    Feed feed;
    RecogniserStep *step;
    Loader *loader;
    Curve curve;
    bool curve_open;
} Training;

static void training_close(Training *t)
{
    if (t->curve_open)
        curve_close(&t->curve);
    loader_free(t->loader);
    recogniser_step_free(t->step);
    feed_close(&t->feed);
    store_free(t->store);
}

static int train(Context *x, const World *w, const Stage *stage, Training *t, const char *weights)
{
    static const char *const columns[] = {"loss", "rate"};
    const Config *c = x->config;
    uint64_t seed = (uint64_t)config_int(c, "run.seed");
    int batch = (int)config_int(c, "identity.batch");
    batch = batch < w->pretrain.n ? batch : w->pretrain.n;
    char *checkpoint = stage_path(stage, "checkpoint.safetensors"), *curve = stage_path(stage, "curve.csv");
    double at = 0;
    t->store = store_create(x->device, seed);
    RecogniserOpts o = context_identity(x);
    if (t->store)
        feed_open(&t->feed, x, t->store, w->pretrain.n, 0);
    o.set = t->feed.set;
    t->step = t->store ? recogniser_step_create(t->store, o, batch, w->pretrain.people) : NULL;
    t->loader = t->step ? loader_create(&w->pretrain, batch, seed) : NULL;
    int bad = !t->loader || context_reserve(x, "identity", &t->step->plan, 1) ||
              feed_fill(&t->feed, &w->pretrain, NULL);
    if (!bad && file_exists(checkpoint))
        bad = checkpoint_load(checkpoint, t->store, NULL, &at, 1);
    if (!bad) {
        bad = curve_open(&t->curve, curve, columns, 2, (int64_t)at - 1);
        t->curve_open = !bad;
    }
    long per_epoch = bad ? 1 : loader_steps_per_epoch(t->loader);
    long total = per_epoch * (long)config_int(c, "identity.epochs");
    float dropout = 0, first = (float)config_float(c, "identity.lr");
    Progress progress;
    progress_begin(&progress, "identity", "steps", total, (int64_t)at, x->quiet);
    if (!bad)
        loader_seek(t->loader, (long)at);
    for (long step = (long)at; step < total && !bad; step++) {
        const Batch *b = loader_next(t->loader);
        float rate = first * 0.5f * (1 + cosf(3.14159265f * (float)step / (float)total)), loss;
        bad = step_pictures_write(t->step->p, t->step->pixels, t->step->index, b->pixels, b->index) ||
              prog_write(t->step->p, t->step->labels, b->person) ||
              prog_write(t->step->p, t->step->rate, &rate) || prog_write(t->step->p, t->step->dropout, &dropout) ||
              plan_run(t->step->plan) || plan_read(t->step->plan, t->step->loss, &loss);
        if (!bad && !isfinite(loss))
            bad = fail("identity: the loss of step %ld is %g; lower identity.lr", step, (double)loss);
        if (!bad)
            bad = curve_row(&t->curve, step, (double[]){loss, rate});
        double next = (double)step + 1;
        if (!bad && (step + 1) % 500 == 0)
            bad = checkpoint_save(checkpoint, t->store, NULL, &next, 1);
        progress_step(&progress, step + 1, "loss %.3f", bad ? 0.0 : (double)loss);
    }
    if (!bad)
        progress_end(&progress);
    const char *metadata[] = {"guise", engine_version(), "preprocessing", "RGB, bytes / 127.5 - 1", NULL};
    bad = bad || store_save(t->store, weights, "I.", metadata);
    free(checkpoint);
    free(curve);
    return bad ? -1 : 0;
}

/* A network that was trained elsewhere: its bytes take the place of a stage. */
static int given(Context *x, const char *weights, Identity *out)
{
    size_t size;
    char *bytes = file_read(weights, &size);
    Store *s = bytes ? store_create(x->device, 1) : NULL;
    RecogniserEmbed *embed = s ? recogniser_embed_create(s, context_identity(x), 1) : NULL;
    int bad = !embed || store_load(s, weights, "I.");
    if (!bad) {
        out->weights = must_strdup(weights);
        out->hash = hash_bytes(bytes, size);
    }
    recogniser_embed_free(embed);
    store_free(s);
    free(bytes);
    return bad ? fail_in("identity.weights") : 0;
}

int identity_open(Context *x, const World *w, Identity *out)
{
    Training t = {0};
    *out = (Identity){0};
    if (*config_text(x->config, "identity.weights"))
        return given(x, config_text(x->config, "identity.weights"), out);
    Stage *stage = context_stage(x, "identity", 1, sections, NULL, &w->hash, 1);
    if (!stage)
        return -1;
    char *weights = stage_path(stage, "identity.safetensors");
    int bad = stage->done ? 0 : train(x, w, stage, &t, weights) || stage_done(stage);
    training_close(&t);
    free(weights);
    out->weights = bad ? NULL : stage_path(stage, "identity.safetensors");
    out->hash = stage->hash;
    stage_leave(stage);
    return bad ? -1 : 0;
}

void identity_free(Identity *i)
{
    free(i->weights);
    i->weights = NULL;
}

int identity_vectors(Context *x, const Identity *i, const uint8_t *pixels, int n, float *vectors)
{
    Store *s = store_create(x->device, 1);
    RecogniserEmbed *embed = s ? recogniser_embed_create(s, context_identity(x), EMBED_BATCH) : NULL;
    int bad = !embed || store_load(s, i->weights, "I.") || recogniser_embed(embed, pixels, n, vectors);
    recogniser_embed_free(embed);
    store_free(s);
    return bad ? -1 : 0;
}
