/* trunk.c - see trunk.h. */
#include "experiments/common/trunk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "data/loader.h"
#include "data/portraits.h"
#include "engine/file.h"
#include "experiments/common/checkpoint.h"
#include "experiments/common/curve.h"
#include "experiments/common/progress.h"
#include "models/attribute_step.h"

enum { GUESS_BATCH = 32, MIXED_CAMERA = 4 };
#define TRUNK_NAMES "conv|bn|layer"

static const char *const sections[] = {"data.size", "data.world", "recognition.depth", "recognition.width", "trunk",
                                       "run.seed", NULL};

/* What is learned: of a look, what shows in every picture.  Hues are angles and are left out; glasses count as worn or
 * not, and the few pictures that missed the focus as the least sharp of the others: their squares would drown these. */
static const char *const attributes[] = {
    "yaw", "pitch", "roll", "smile", "mouth_open", "smirk", "pucker", "squint", "brow_side", "jaw_side", "brow_raise",
    "lid_close", "gaze_x", "gaze_y", "light_side", "light_height", "light_power", "light_fill", "light_warm",
    "hair_puff", "hair_mess", "glasses", "back_vivid", "back_light", "back_shade", "cloth_light", "exposure",
    "white_red", "white_green", "blur", "noise", "shift_x", "shift_y", "zoom",
};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

/* ---------------------------------------------------------------- drawn people and their attributes */
typedef struct Sitters {
    Faces faces;
    float *targets;       /* (n, ATTRIBUTES) */
} Sitters;

static void sitters_free(Sitters *s)
{
    faces_free(&s->faces);
    free(s->targets);
    *s = (Sitters){0};
}

static const PortraitField *field_of(const char *name)
{
    for (int i = 0; i < portrait_look_field_count; i++)
        if (!strcmp(portrait_look_fields[i].name, name))
            return &portrait_look_fields[i];
    die("portraits have no attribute %s", name);
}

static int watch(void *progress, int done, int total)
{
    ((Progress *)progress)->total = total;
    progress_step(progress, done, " ");
    return 0;
}

/* Draws a population, or takes its pictures from the stage that an earlier program left. */
static int sitters_draw(Context *x, const Stage *stage, const char *name, int people, int images, Sitters *out)
{
    uint64_t world = (uint64_t)config_int(x->config, "data.world");
    PortraitPopulation p = {.name = name, .people = people, .images_total = images, .images_min = 1,
                            .images_max = 4 * (images / people + 1), .camera = MIXED_CAMERA};
    char *file = must_printf("%s.faces", name), *path = stage_path(stage, file);
    Progress progress;
    free(file);
    int bad = stage->begun && file_exists(path) && !faces_load(path, &out->faces) ? 0 : 1;
    if (bad) {
        progress_begin(&progress, name, "portraits", images, 0, x->quiet);
        bad = portraits_faces(world, &p, (int)config_int(x->config, "data.size"), &out->faces, watch, &progress) ||
              faces_save(&out->faces, path);
        if (!bad)
            progress_end(&progress);
    }
    free(path);
    if (bad)
        return -1;
    out->targets = must_alloc(sizeof(float) * ATTRIBUTES * (size_t)out->faces.n);
    int *first = faces_first(&out->faces);
    for (int i = 0; i < out->faces.n; i++) {
        PortraitLook look;
        portrait_look(world, name, out->faces.person[i], i - first[out->faces.person[i]], &look);
        for (int k = 0; k < ATTRIBUTES; k++) {
            float value;
            memcpy(&value, (const char *)&look + field_of(attributes[k])->offset, sizeof value);
            if (!strcmp(attributes[k], "glasses"))
                value = value <= PORTRAIT_GLASSES;
            else if (!strcmp(attributes[k], "blur"))
                value = value < PORTRAIT_SHARP ? value : PORTRAIT_SHARP;
            out->targets[i * ATTRIBUTES + k] = value;
        }
    }
    free(first);
    return 0;
}

/* Both sets less the mean of the first, over its deviation. */
static void standardise(Sitters *seen, Sitters *unseen)
{
    for (int k = 0; k < ATTRIBUTES; k++) {
        double sum = 0, squares = 0, n = seen->faces.n;
        for (int i = 0; i < seen->faces.n; i++)
            sum += (double)seen->targets[i * ATTRIBUTES + k];
        for (int i = 0; i < seen->faces.n; i++)
            squares += pow((double)seen->targets[i * ATTRIBUTES + k] - sum / n, 2);
        double deviation = squares > 0 ? sqrt(squares / n) : 1;
        Sitters *both[] = {seen, unseen};
        for (int b = 0; b < 2; b++)
            for (int i = 0; i < both[b]->faces.n; i++) {
                float *t = &both[b]->targets[i * ATTRIBUTES + k];
                *t = (float)(((double)*t - sum / n) / deviation);
            }
    }
}

/* ---------------------------------------------------------------- training */
typedef struct Training {
    Context *x;
    Store *store;
    AttributeStep *step;
    RecogniserEmbed *guess;
    Loader *loader;
    Sitters seen, unseen;
    double error[ATTRIBUTES];   /* of each attribute on unseen people, relative to guessing the mean of the seen */
} Training;

static void training_free(Training *t)
{
    loader_free(t->loader);
    recogniser_embed_free(t->guess);
    attribute_step_free(t->step);
    store_free(t->store);
    sitters_free(&t->seen);
    sitters_free(&t->unseen);
}

static int training_open(Training *t, const Stage *stage)
{
    const Config *c = t->x->config;
    int people = (int)config_int(c, "trunk.people"), images = (int)config_int(c, "trunk.images");
    int size = (int)config_int(c, "data.size"), batch = (int)config_int(c, "trunk.batch");
    uint64_t seed = (uint64_t)config_int(c, "run.seed");
    if (images < people)
        return fail("trunk.images: %d pictures of trunk.people = %d people: there must be one of each", images, people);
    if (sitters_draw(t->x, stage, "trunk", people, images, &t->seen) ||
        sitters_draw(t->x, stage, "trunk-validation", people / 10 + 1, images / 10 + people / 10 + 1, &t->unseen))
        return -1;
    standardise(&t->seen, &t->unseen);
    batch = batch < t->seen.faces.n ? batch : t->seen.faces.n;
    ResnetOpts trunk = context_recogniser(t->x).trunk;
    t->store = store_create(t->x->device, seed);
    t->step = t->store ? attribute_step_create(t->store, trunk, size, ATTRIBUTES, batch) : NULL;
    t->guess = t->step ? attribute_guess_create(t->store, trunk, size, ATTRIBUTES, GUESS_BATCH) : NULL;
    t->loader = t->guess ? loader_create(&t->seen.faces, batch, seed) : NULL;
    return t->loader ? 0 : -1;
}

/* Adam's rate falls to 0 along a cosine. */
static int epoch(Training *t, int number, Progress *progress, double *mean_loss, double *last_rate)
{
    long steps = loader_steps_per_epoch(t->loader), total = steps * (long)config_int(t->x->config, "trunk.epochs");
    float *targets = must_alloc(sizeof *targets * ATTRIBUTES * (size_t)t->step->batch);
    AttributeStep *s = t->step;
    int bad = 0;
    *mean_loss = 0;
    loader_seek(t->loader, number * steps);
    for (long i = 0; i < steps && !bad; i++) {
        const Batch *b = loader_next(t->loader);
        double at = (double)(number * steps + i) / (double)total;
        float loss = 0, rate = (float)(config_float(t->x->config, "trunk.lr") * 0.5 * (1 + cos(3.14159265358979 * at)));
        for (int k = 0; k < s->batch; k++)
            memcpy(targets + k * ATTRIBUTES, t->seen.targets + b->index[k] * ATTRIBUTES, sizeof *targets * ATTRIBUTES);
        bad = prog_write(s->p, s->pixels, b->pixels) || prog_write(s->p, s->targets, targets) ||
              prog_write(s->p, s->rate, &rate) || plan_run(s->plan) || plan_read(s->plan, s->loss, &loss);
        if (!bad && !isfinite(loss))
            bad = fail("trunk: the loss of epoch %d is %g; lower trunk.lr", number + 1, (double)loss);
        *mean_loss += (double)loss / (double)steps;
        *last_rate = (double)rate;
        progress_step(progress, number * steps + i + 1, "loss %.3f", (double)loss);
    }
    free(targets);
    return bad ? -1 : 0;
}

/* Mean of t->error, which it fills. */
static int validate(Training *t, double *mean)
{
    const Sitters *u = &t->unseen;
    float *guess = must_alloc(sizeof *guess * ATTRIBUTES * (size_t)u->faces.n);
    int bad = recogniser_embed(t->guess, u->faces.pixels, u->faces.n, guess);
    *mean = 0;
    for (int k = 0; k < ATTRIBUTES && !bad; k++) {
        double left = 0, all = 0;
        for (int i = k; i < ATTRIBUTES * u->faces.n; i += ATTRIBUTES) {
            left += pow((double)guess[i] - (double)u->targets[i], 2);
            all += pow((double)u->targets[i], 2);
        }
        t->error[k] = all > 0 ? left / all : 1;
        *mean += t->error[k] / ATTRIBUTES;
    }
    free(guess);
    return bad;
}

static int errors_write(const Stage *stage, const double *error)
{
    char *path = stage_path(stage, "attributes.csv");
    FileWriter w;
    int bad = file_open(&w, path);
    free(path);
    if (bad)
        return -1;
    fprintf(w.stream, "attribute,error\n");
    for (int k = 0; k < ATTRIBUTES; k++)
        fprintf(w.stream, "%s,%.9g\n", attributes[k], error[k]);
    return file_commit(&w);
}

/* Mean of the errors of a finished stage. */
static int errors_read(const Stage *stage, double *mean)
{
    static const char *const names[] = {"attribute", "error"};
    char *path = stage_path(stage, "attributes.csv"), *field[2];
    Csv csv;
    int n = 0, bad = csv_open(&csv, path);
    free(path);
    if (bad)
        return -1;
    *mean = 0;
    bad = csv_header(&csv, names, 2, field, 2) < 0;
    while (!bad && csv_row(&csv, field, 2) == 2) {
        *mean += atof(field[1]);
        n++;
    }
    csv_close(&csv);
    *mean /= n ? n : 1;
    return bad ? -1 : 0;
}

/* Pictures are as easily drawn again: a finished stage does not keep them. */
static int forget_pictures(const Stage *stage)
{
    static const char *const files[] = {"trunk.faces", "trunk-validation.faces"};
    for (int i = 0; i < 2; i++) {
        char *path = stage_path(stage, files[i]);
        remove(path);
        free(path);
    }
    return 0;
}

static int train(Context *x, const Stage *stage)
{
    static const char *const columns[] = {"loss", "validation_error", "rate"};
    Training t = {.x = x};
    Curve curve;
    Progress progress;
    double at = 0, loss = 0, error = 0, rate = 0;
    char *checkpoint = stage_path(stage, "checkpoint.safetensors"), *curve_path = stage_path(stage, "curve.csv");
    char *weights = stage_path(stage, "trunk.safetensors");
    int epochs = (int)config_int(x->config, "trunk.epochs"), bad = training_open(&t, stage);
    if (!bad && file_exists(checkpoint))
        bad = checkpoint_load(checkpoint, t.store, NULL, &at, 1);
    int open = !bad && !(bad = curve_open(&curve, curve_path, columns, 3, (int64_t)at));
    long steps = bad ? 0 : loader_steps_per_epoch(t.loader);
    progress_begin(&progress, "trunk", "steps", epochs * steps, (int64_t)at * steps, x->quiet);
    while (!bad && at < epochs) {
        bad = epoch(&t, (int)at, &progress, &loss, &rate) || validate(&t, &error);
        at++;
        bad = bad || curve_row(&curve, (int64_t)at, (double[]){loss, error, rate}) ||
              checkpoint_save(checkpoint, t.store, NULL, &at, 1);
        if (!bad)
            progress_step(&progress, (int64_t)at * steps, "loss %.3f error %.3f of the mean's", loss, error);
    }
    if (!bad)
        progress_end(&progress);
    const char *metadata[] = {"guise", engine_version(), "preprocessing", "RGB, bytes / 127.5 - 1", NULL};
    bad = bad || validate(&t, &error) || errors_write(stage, t.error) ||
          store_save(t.store, weights, TRUNK_NAMES, metadata) || forget_pictures(stage);
    if (open)
        bad = curve_close(&curve) || bad;
    training_free(&t);
    free(checkpoint);
    free(curve_path);
    free(weights);
    return bad ? -1 : 0;
}

int trunk_pretrain(Context *x, Trunk *out)
{
    char extra[60];
    double error = 0;
    *out = (Trunk){0};
    snprintf(extra, sizeof extra, "portraits %d, %d attributes", PORTRAIT_VERSION, ATTRIBUTES);
    Stage *stage = context_stage(x, "trunk", 1, sections, extra, NULL, 0);
    if (!stage)
        return -1;
    int bad = (!stage->done && (train(x, stage) || stage_done(stage))) || errors_read(stage, &error);
    if (!bad) {
        out->weights = stage_path(stage, "trunk.safetensors");
        out->hash = stage->hash;
        out->about = must_printf("The trunk was pretrained on %d attributes (not identities) of %ld drawn people of "
                                 "its own; on unseen people its squared error is %.2f of that of guessing the mean.",
                                 ATTRIBUTES, (long)config_int(x->config, "trunk.people"), error);
    }
    stage_leave(stage);
    return bad ? -1 : 0;
}

/* ---------------------------------------------------------------- use */
/* A file from elsewhere: its bytes take the place of a stage. */
static int given(Context *x, const char *path, Trunk *out)
{
    size_t size;
    RecogniserOpts o = context_recogniser(x);
    if (!file_exists(path))
        return fail("recognition.trunk: %s: no such file; none, attributes or a safetensors file was expected", path);
    char *bytes = file_read(path, &size);
    Store *s = bytes ? store_create(x->device, 1) : NULL;
    RecogniserEmbed *embed = s ? recogniser_embed_create(s, o, 1) : NULL;
    int bad = !embed;
    if (!bad && store_load(s, path, TRUNK_NAMES)) {
        char *why = must_strdup(error_text());
        bad = fail("recognition.trunk: %s: the trunk here is a ResNet of %s layers, %ld channels wide, with a stem of "
                   "%s (recognition.depth, recognition.width, data.size): give a file of that one, or --trunk none", why,
                   config_text(x->config, "recognition.depth"), (long)config_int(x->config, "recognition.width"),
                   o.trunk.small_stem ? "3x3, as pictures below 64 have it" : "7x7, torchvision's");
        free(why);
    }
    if (!bad) {
        out->weights = must_strdup(path);
        out->hash = hash_bytes(bytes, size);
        out->about = must_printf("The trunk of every recogniser begins with the weights of %s.", path);
    }
    recogniser_embed_free(embed);
    store_free(s);
    free(bytes);
    return bad ? -1 : 0;
}

int trunk_open(Context *x, Trunk *out)
{
    const char *choice = config_text(x->config, "recognition.trunk");
    *out = (Trunk){0};
    if (!strcmp(choice, "attributes"))
        return trunk_pretrain(x, out);
    if (strcmp(choice, "none"))
        return given(x, choice, out);
    out->about = must_strdup("No trunk was pretrained: each recogniser begins from random weights.");
    return 0;
}

void trunk_free(Trunk *t)
{
    free(t->weights);
    free(t->about);
    *t = (Trunk){0};
}

int trunk_begin(const Trunk *t, Store *s, uint64_t seed, int k)
{
    return store_reset(s, "", seed) || (t->weights && store_load(s, t->weights, TRUNK_NAMES)) ||
           store_reset(s, "head.|classes.|rng", seed + 1000003u * (uint64_t)(k + 1)) ? -1 : 0;
}
