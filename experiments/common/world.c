/* world.c - see world.h. */
#include "experiments/common/world.h"

#include <stdlib.h>
#include <string.h>

#include "data/portraits.h"
#include "experiments/common/progress.h"

enum { PRETRAIN, ORIGINAL, VALIDATION, TEST, SETS };
static const char *const set_names[SETS] = {"pretrain", "original", "validation", "test"};

static Faces *set_of(World *w, int i)
{
    Faces *sets[SETS] = {&w->pretrain, &w->original, &w->validation, &w->test};
    return sets[i];
}

typedef struct Watch {
    Progress progress;
} Watch;

static int watch(void *context, int done, int total)
{
    Watch *w = context;
    w->progress.total = total;
    progress_step(&w->progress, done, " ");
    return 0;
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
    Watch w;
    progress_begin(&w.progress, set_names[set], "portraits", total, 0, x->quiet);
    int bad = portraits_faces((uint64_t)config_int(c, "data.world"), &population, (int)config_int(c, "data.size"), out,
                              watch, &w);
    if (!bad)
        progress_end(&w.progress);
    return bad;
}

/* The user's photographs, divided by person. */
static int divide(Context *x, World *w)
{
    static const char *const keys[SETS] = {"data.split_pretrain", "data.split_original", "data.split_validation",
                                           "data.split_test"};
    double fractions[SETS], sum = 0;
    for (int i = 0; i < SETS; i++) {
        fractions[i] = config_float(x->config, keys[i]);
        sum += fractions[i];
        if (fractions[i] <= 0)
            return fail("%s must be above 0 with --data folder: every set needs people of its own", keys[i]);
    }
    if (sum > 1.000001)
        return fail("data.split_*: the shares add up to %g; they may not exceed 1", sum);
    Faces all = {0}, parts[SETS] = {{0}};
    Watch watcher;
    progress_begin(&watcher.progress, "reading pictures", "pictures", 0, 0, x->quiet);
    if (faces_from_folder(x->options.data_path, (int)config_int(x->config, "data.size"), &all, watch, &watcher))
        return -1;
    progress_end(&watcher.progress);
    int bad = faces_split(&all, (uint64_t)config_int(x->config, "data.world"), fractions, SETS, parts);
    faces_free(&all);
    for (int i = 0; i < SETS && !bad; i++)
        *set_of(w, i) = parts[i];
    return bad ? fail_in("%s", x->options.data_path) : 0;
}

static int make(Context *x, World *w, const Stage *stage)
{
    int bad = 0;
    if (x->options.data == DATA_MANIFEST)
        return fail("--data manifest: manifests are not read by this version; use folder:PATH");
    if (x->options.data == DATA_FOLDER)
        bad = divide(x, w);
    for (int i = 0; i < SETS && !bad; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.faces", set_names[i]);
        char *path = stage_path(stage, file);
        if (x->options.data == DATA_PORTRAITS) {
            /* Sets are drawn one by one: those that an interrupted program finished are taken as they are. */
            bad = stage->begun && !faces_load(path, set_of(w, i)) ? 0 : render(x, i, set_of(w, i)) ||
                                                                         faces_save(set_of(w, i), path);
        } else {
            bad = faces_save(set_of(w, i), path);
        }
        free(path);
    }
    for (int i = VALIDATION; i <= TEST && !bad; i++) {
        Pairs *pairs = i == VALIDATION ? &w->validation_pairs : &w->test_pairs;
        char file[64];
        snprintf(file, sizeof file, "%s_pairs.csv", set_names[i]);
        char *path = stage_path(stage, file);
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
        char file[64];
        snprintf(file, sizeof file, "%s.faces", set_names[i]);
        char *path = stage_path(stage, file);
        bad = faces_load(path, set_of(w, i));
        free(path);
    }
    for (int i = VALIDATION; i <= TEST && !bad; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s_pairs.csv", set_names[i]);
        char *path = stage_path(stage, file);
        bad = pairs_load(path, set_of(w, i), i == VALIDATION ? &w->validation_pairs : &w->test_pairs);
        free(path);
    }
    return bad;
}

int world_open(Context *x, World *w)
{
    static const char *const sections[] = {"data", "evaluation.matching", "evaluation.non_matching", "evaluation.seed",
                                           NULL};
    char extra[64];
    memset(w, 0, sizeof *w);
    snprintf(extra, sizeof extra, "%s, portraits %d", x->options.data_spec ? x->options.data_spec : "portraits",
             PORTRAIT_VERSION);
    Stage *stage = stage_begin(x->run, &(StageKey){.name = "data", .version = 1, .sections = sections, .extra = extra});
    if (!stage)
        return -1;
    int bad = !stage->done ? make(x, w, stage) || stage_done(stage) : load(w, stage) ? stage_damaged(stage) : 0;
    w->hash = stage->hash;
    stage_leave(stage);
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
