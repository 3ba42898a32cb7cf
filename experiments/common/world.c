/* world.c - see world.h. */
#include "experiments/common/world.h"

#include <stdlib.h>
#include <string.h>

#include "data/portraits.h"
#include "engine/file.h"
#include "experiments/common/pictures.h"
#include "experiments/common/progress.h"

enum { PRETRAIN, ORIGINAL, VALIDATION, TEST, SETS };
static const char *const set_names[SETS] = {"pretrain", "original", "validation", "test"};

static Faces *set_of(World *w, int i)
{
    Faces *sets[SETS] = {&w->pretrain, &w->original, &w->validation, &w->test};
    return sets[i];
}

static int render(Context *x, int set, Faces *out)
{
    const Config *c = x->config;
    char people[64], images[64];
    snprintf(people, sizeof people, "data.%s_people", set_names[set]);
    snprintf(images, sizeof images, "data.%s_images", set_names[set]);
    int n = (int)config_int(c, people), total = (int)config_int(c, images);
    PortraitPopulation population = *portrait_set(set_names[set]);
    population.people = n;
    population.images_total = total;
    if (set == PRETRAIN)
        population.images_max = 4 * (total / n + 1);
    if (set == ORIGINAL) {
        population.images_min = (int)config_int(c, "data.original_fewest");
        population.images_max = (int)config_int(c, "data.original_most");
    }
    Progress progress;
    progress_begin(&progress, set_names[set], "portraits", total, 0, x->quiet);
    int bad = portraits_faces((uint64_t)config_int(c, "data.world"), &population, (int)config_int(c, "data.size"), out,
                              pictures_watch, &progress);
    if (!bad)
        progress_end(&progress);
    return bad;
}

/* ---- the user's photographs -------------------------------------------------------------------------------------- */

static int rows_of(const Manifest *m, const char *split)
{
    int n = 0;
    for (int i = 0; i < m->n; i++)
        n += !strcmp(m->row[i].split, split);
    return n;
}

/* Divides the people of the list at random among the sets from..to - 1, in proportion to their keys; all of them if
 * `whole`, else as much of them as the keys add up to. */
static int divide(const Context *x, Manifest *m, int from, int to, int whole)
{
    static const char *const keys[SETS] = {"data.split_pretrain", "data.split_original", "data.split_validation",
                                           "data.split_test"};
    double fractions[SETS], sum = 0;
    for (int i = from; i < to; i++) {
        fractions[i] = config_float(x->config, keys[i]);
        sum += fractions[i];
        if (fractions[i] <= 0)
            return fail("%s must be above 0: every set needs people of its own", keys[i]);
    }
    if (sum > 1.000001 && !whole)
        return fail("data.split_*: the shares add up to %g; they may not exceed 1", sum);
    for (int i = from; i < to && whole; i++)
        fractions[i] /= sum;
    manifest_sort(m);
    return manifest_split(m, (uint64_t)config_int(x->config, "data.world"), set_names + from, fractions + from,
                          to - from);
}

/* Nobody is without a set, or everybody is: then the people are divided.  "train", as other data sets have it, is
 * pretraining and Original together. */
static int choose_sets(const Context *x, Manifest *m)
{
    int undecided = rows_of(m, ""), train = rows_of(m, "train"), used = 0;
    if (undecided == m->n)
        return divide(x, m, PRETRAIN, SETS, 0);
    if (undecided)
        return fail("%d of its %d pictures have no split: name one for all of them, or for none", undecided, m->n);
    if (train && (rows_of(m, "pretrain") || rows_of(m, "original")))
        return fail("the split train stands for pretrain and original: it has people beside them");
    if (train) {
        Manifest part = manifest_create(m->root), rest = manifest_create(m->root);
        int bad;
        manifest_join_split(&part, m, "train", "");
        bad = divide(x, &part, PRETRAIN, VALIDATION, 1);
        for (int i = VALIDATION; i < SETS; i++)
            manifest_join_split(&rest, m, set_names[i], set_names[i]);
        manifest_join(&rest, &part);
        manifest_free(&part);
        manifest_free(m);
        *m = rest;
        if (bad)
            return bad;
    }
    for (int i = 0; i < SETS; i++) {
        int n = rows_of(m, set_names[i]);
        used += n;
        if (!n && !(i == PRETRAIN && *config_text(x->config, "identity.weights")))
            return fail("nobody is in the split %s: it needs pretrain, original, validation and test%s", set_names[i],
                        i == PRETRAIN ? " (no pretrain where identity.weights is set)" : "");
    }
    if (used < m->n && !x->quiet)
        fprintf(stderr, "%s: %d of %d pictures are in other splits and not used\n", x->options.program->name,
                m->n - used, m->n);
    return 0;
}

/* 1 if an interrupted program began with the same pictures and the same division; else notes what they are, for the
 * next one.  -1: not written. */
static int same_pictures(const Manifest *all, const Stage *stage)
{
    char *path = stage_path(stage, "pictures.key"), key[65];
    size_t size = 0;
    manifest_key(all, key);
    char *old = file_exists(path) ? file_read(path, &size) : NULL;
    int same = old && size == 64 && !memcmp(old, key, 64);
    if (!same && file_write(path, key, 64))
        same = -1;
    free(old);
    free(path);
    return same;
}

/* A set that an interrupted program finished is taken as it is (`keep`); one that it began is gone on with. */
static int pack_set(Context *x, const Manifest *all, int set, int keep, const char *path, Faces *out)
{
    Manifest part = manifest_create(all->root);
    manifest_join_split(&part, all, set_names[set], set_names[set]);
    int bad = 0;
    if (part.n && !(keep && file_exists(path)))
        bad = pictures_pack(x, set_names[set], &part, (int)config_int(x->config, "data.size"), path);
    bad = bad || (part.n && faces_load(path, out));
    if (!bad && part.n && out->people < 2)
        bad = fail("%s: it has %d person and needs 2: take more people or others", set_names[set], out->people);
    manifest_free(&part);
    return bad;
}

/* ---- all sets --------------------------------------------------------------------------------------------------- */

static char *set_path(const Stage *stage, int set, const char *ending)
{
    char file[64];
    snprintf(file, sizeof file, "%s%s", set_names[set], ending);
    return stage_path(stage, file);
}

static int make_sets(Context *x, World *w, const Stage *stage)
{
    Manifest all = {0};
    int bad = 0, keep = 0;
    if (x->options.data != DATA_PORTRAITS) {
        bad = pictures_list(&x->options, &all) || (choose_sets(x, &all) && fail_in("%s", x->options.data_path)) ||
              (keep = same_pictures(&all, stage)) < 0;
        keep &= stage->begun;
    }
    for (int i = 0; i < SETS && !bad; i++) {
        char *path = set_path(stage, i, ".faces");
        if (x->options.data != DATA_PORTRAITS)
            bad = pack_set(x, &all, i, keep, path, set_of(w, i)) ? fail_in("%s", x->options.data_path) : 0;
        else   /* sets are drawn one by one: those that an interrupted program finished are taken as they are */
            bad = stage->begun && !faces_load(path, set_of(w, i)) ? 0 : render(x, i, set_of(w, i)) ||
                                                                         faces_save(set_of(w, i), path);
        free(path);
    }
    manifest_free(&all);
    return bad;
}

static int make(Context *x, World *w, const Stage *stage)
{
    int bad = make_sets(x, w, stage);
    for (int i = VALIDATION; i <= TEST && !bad; i++) {
        Pairs *pairs = i == VALIDATION ? &w->validation_pairs : &w->test_pairs;
        char *path = set_path(stage, i, "_pairs.csv");
        bad = pairs_sample(set_of(w, i), (int)config_int(x->config, "evaluation.matching"),
                           (int)config_int(x->config, "evaluation.non_matching"),
                           (uint64_t)config_int(x->config, "evaluation.seed") + (uint64_t)i, pairs) ||
              pairs_save(pairs, set_of(w, i), path);
        if (!bad && pairs->note && !x->quiet)
            fprintf(stderr, "%s: %s: %s\n", x->options.program->name, set_names[i], pairs->note);
        free(path);
    }
    return bad;
}

static int load(World *w, const Stage *stage)
{
    int bad = 0;
    for (int i = 0; i < SETS && !bad; i++) {
        char *path = set_path(stage, i, ".faces");
        if (i != PRETRAIN || file_exists(path))   /* a manifest may do without pretrain */
            bad = faces_load(path, set_of(w, i));
        free(path);
    }
    for (int i = VALIDATION; i <= TEST && !bad; i++) {
        char *path = set_path(stage, i, "_pairs.csv");
        bad = pairs_load(path, set_of(w, i), i == VALIDATION ? &w->validation_pairs : &w->test_pairs);
        free(path);
    }
    return bad;
}

/* What the stage is made from besides the configuration: a manifest counts by its contents. */
static char *made_from(const Context *x)
{
    const char *spec = x->options.data_spec ? x->options.data_spec : "portraits";
    char hash[33];
    size_t size;
    if (x->options.data != DATA_MANIFEST)
        return must_printf("%s, portraits %d", spec, PORTRAIT_VERSION);
    char *bytes = file_read(x->options.data_path, &size);
    if (!bytes)
        return NULL;
    hash_print(hash_bytes(bytes, size), hash);
    free(bytes);
    return must_printf("%s, manifest %s", spec, hash);
}

int world_open(Context *x, World *w)
{
    static const char *const sections[] = {"data", "evaluation.matching", "evaluation.non_matching", "evaluation.seed",
                                           NULL};
    memset(w, 0, sizeof *w);
    char *extra = made_from(x);
    Stage *stage = extra ? stage_begin(x->run, &(StageKey){.name = "data", .version = 1, .sections = sections,
                                                           .extra = extra}) : NULL;
    free(extra);
    if (!stage)
        return -1;
    int bad = !stage->done ? make(x, w, stage) || stage_done(stage) : load(w, stage) ? stage_damaged(stage) : 0;
    w->hash = stage->hash;
    stage_leave(stage);
    if (!bad && !w->pretrain.n && !*config_text(x->config, "identity.weights"))
        bad = fail("%s: nobody is in the split pretrain, and identity.weights is not set", x->options.data_path);
    if (bad)
        world_free(w);
    return bad ? -1 : 0;
}

void world_free(World *w)
{
    for (int i = 0; i < SETS; i++)
        faces_free(set_of(w, i));
    pairs_free(&w->validation_pairs);
    pairs_free(&w->test_pairs);
}
