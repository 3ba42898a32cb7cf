/* 530_recognition.c - how a recogniser's training goes on, on error rates of our own making: rates, patience, the way
 * back to the best epoch, the end; and what its initialisations have in common. */
#include <math.h>

#include "engine/safetensors.h"
#include "experiments/common/schedule.h"
#include "experiments/common/trunk.h"
#include "tests/pictures.h"

/* ---------------------------------------------------------------- schedule */
typedef struct Loop {
    Config *c;
    Store *store;
    Prog *p;
    Snapshot *best;
    Schedule s;
    int weight, moment;
} Loop;

static void put(Loop *l, int entry, float value)
{
    MUST(store_write(l->store, entry, &value));
}

static float get(const Loop *l, int entry)
{
    float value;
    MUST(store_read(l->store, entry, &value));
    return value;
}

static Loop loop_open(const char *const *settings)
{
    Loop l = {.c = config_create(), .store = store_create("reference", 1)};
    HAVE(l.store);
    for (; *settings; settings++)
        MUST(config_set(l.c, *settings));
    l.p = prog_create(l.store);
    prog_param(l.p, "w", SHAPE(1), (Init){0});
    prog_state(l.p, "adam.m", F32, SHAPE(1), (Init){0});
    l.weight = store_find(l.store, "w");
    l.moment = store_find(l.store, "adam.m");
    ck_assert(l.weight >= 0 && l.moment >= 0);
    l.s = schedule_begin(l.c);
    return l;
}

static void loop_close(Loop *l)
{
    snapshot_free(l->best);
    prog_free(l->p);
    store_free(l->store);
    config_free(l->c);
}

/* One epoch that leaves its number in weight and moment and ends with this EER. */
static void epoch(Loop *l, double eer)
{
    put(l, l->weight, (float)l->s.epoch + 1);
    put(l, l->moment, (float)l->s.epoch + 1);
    MUST(schedule_epoch(&l->s, l->c, eer, l->store, &l->best));
}

/* Rate of each epoch, what the weight is behind it, and whether training ends there. */
static void follow(Loop *l, bool fresh)
{
    static const struct {
        double eer, rate, weight;
        bool end;
    } steps[] = {
        {.50, 1e-3, 1, 0}, {.40, 1e-3, 2, 0},                       /* better, better */
        {.40, 1e-3, 3, 0}, {.45, 1e-3, 4, 0}, {.41, 1e-3, 2, 0},    /* equal is not better; back to epoch 2 */
        {.42, 1e-4, 6, 0}, {.43, 1e-4, 7, 0}, {.39, 1e-4, 8, 0},    /* a new count; better at the last moment */
        {.50, 1e-4, 9, 0}, {.50, 1e-4, 10, 0}, {.50, 1e-4, 8, 0},   /* back to epoch 8 */
        {.40, 1e-5, 12, 0}, {.40, 1e-5, 13, 0}, {.40, 1e-5, 8, 1},  /* the last rate: the end, with epoch 8 */
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        ck_assert_msg(!l->s.finished, "finished before epoch %zu", i + 1);
        ck_assert_double_eq_tol(l->s.rate / steps[i].rate, 1, 1e-12);
        epoch(l, steps[i].eer);
        ck_assert_msg(get(l, l->weight) == (float)steps[i].weight, "epoch %zu leaves the weight of epoch %g, not of %g",
                      i + 1, (double)get(l, l->weight), steps[i].weight);
        bool back = steps[i].weight != (double)(i + 1);
        ck_assert_float_eq(get(l, l->moment), back && fresh ? 0 : (float)steps[i].weight);
        ck_assert_int_eq(l->s.finished != 0, steps[i].end);
    }
    ck_assert_double_eq(l->s.best_eer, .39);
    ck_assert_double_eq(l->s.best_epoch, 8);
}

TEST(rates_fall_and_training_goes_back)
{
    Loop l = loop_open((const char *[]){"recognition.patience=3", "recognition.lr_last=1e-5", NULL});
    follow(&l, true);
    loop_close(&l);
    l = loop_open((const char *[]){"recognition.patience=3", "recognition.lr_last=1e-5", "recognition.fresh_adam=no",
                                   NULL});
    follow(&l, false);
    loop_close(&l);
}

/* The paper's numbers: 1e-3 to 1e-7, ten epochs each without a better one, no other limit. */
TEST(the_papers_schedule)
{
    Loop l = loop_open((const char *[]){NULL});
    MUST(config_read_preset(l.c, "paper"));
    ck_assert_int_eq(config_int(l.c, "recognition.batch"), 128);
    ck_assert_int_eq(config_int(l.c, "recognition.initialisations"), 5);
    ck_assert_double_eq(config_float(l.c, "recognition.dropout"), .5);
    double rates[80];
    while (!l.s.finished && l.s.epoch < 80) {
        rates[(int)l.s.epoch] = l.s.rate;
        epoch(&l, l.s.epoch ? .3 : .2);   /* the first epoch stays the best */
    }
    ck_assert_double_eq(l.s.epoch, 1 + 5 * 10);
    for (int i = 0; i < 51; i++)
        ck_assert_double_eq_tol(log10(rates[i]), i < 11 ? -3 : -3 - (i - 1) / 10, 1e-9);
    ck_assert_float_eq(get(&l, l.weight), 1);
    loop_close(&l);
}

TEST(a_limit_of_epochs)
{
    Loop l = loop_open((const char *[]){"recognition.max_epochs=4", NULL});
    double eer[] = {.5, .3, .4, .4};
    for (int i = 0; i < 4; i++) {
        ck_assert(!l.s.finished);
        epoch(&l, eer[i]);
    }
    ck_assert(l.s.finished);
    ck_assert_float_eq(get(&l, l.weight), 2);
    loop_close(&l);
}

TEST(an_error_rate_that_is_none)
{
    Loop l = loop_open((const char *[]){NULL});
    ck_assert_int_eq(schedule_epoch(&l.s, l.c, NAN, l.store, &l.best), -1);
    ck_assert_msg(strstr(error_text(), "epoch 1 is not a number; lower recognition.lr_first") != NULL, "%s",
                  error_text());
    loop_close(&l);
}

/* ---------------------------------------------------------------- initialisations */
typedef struct Built {
    Store *store;
    RecogniserStep *step;
} Built;

static Built build(int classes)
{
    RecogniserOpts o = {.scope = "", .size = 16, .embedding = 8, .trunk = resnet_of_depth(11, 4, 16),
                        .margin = {.s = 16, .m = 0.3f}};
    Built b = {.store = store_create("cpu", 5)};
    HAVE(b.store);
    b.step = recogniser_step_create(b.store, o, 4, classes);
    HAVE(b.step);
    return b;
}

static void built_free(Built *b)
{
    recogniser_step_free(b->step);
    store_free(b->store);
}

static bool same(const Store *a, const Store *b, const char *name, int64_t most)
{
    int i = store_find(a, name), k = store_find(b, name);
    ck_assert_msg(i >= 0 && k >= 0, "no %s", name);
    int64_t na = shape_count(store_shape(a, i)), nb = shape_count(store_shape(b, k)), n = na < nb ? na : nb;
    float *x = must_alloc(sizeof *x * (size_t)(na + 1)), *y = must_alloc(sizeof *y * (size_t)(nb + 1));
    MUST(store_read(a, i, x));
    MUST(store_read(b, k, y));
    bool equal = !memcmp(x, y, sizeof *x * (size_t)(n < most ? n : most));
    free(x);
    free(y);
    return equal;
}

static bool starts(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/* Differences between two initialisations are those of the head's and the classes' weights (item 50); the same
 * initialisation for two data sets is the same, however many people they have (items 50, 98). */
static void check_beginnings(const Trunk *trunk)
{
    Built a = build(5), b = build(5), other = build(9);
    MUST(trunk_begin(trunk, a.store, 1, 0));
    MUST(trunk_begin(trunk, b.store, 1, 1));
    MUST(trunk_begin(trunk, other.store, 1, 0));
    int differ = 0, trunks = 0;
    for (int i = 0; i < store_count(a.store); i++) {
        const char *name = store_name(a.store, i);
        bool random = !strcmp(name, "head.fc.weight") || !strcmp(name, "classes.weight") || !strcmp(name, "rng");
        ck_assert_msg(same(a.store, b.store, name, INT64_MAX) != random, "%s is %s in two initialisations", name,
                      random ? "the same" : "different");
        if (!starts(name, "adam.") || store_find(other.store, name) >= 0)
            ck_assert_msg(same(a.store, other.store, name, INT64_MAX), "%s depends on the number of people", name);
        differ += random;
        trunks += starts(name, "conv") || starts(name, "bn") || starts(name, "layer");
    }
    ck_assert_int_eq(differ, 3);
    ck_assert_int_gt(trunks, 50);
    built_free(&a);
    built_free(&b);
    built_free(&other);
}

TEST(initialisations_share_the_trunk)
{
    check_beginnings(&(Trunk){0});
}

/* A file as torchvision writes it: counters and a classifier beside the trunk. */
TEST(a_file_of_torchvisions_names)
{
    char *folder = folder_make(), *path = must_printf("%s/w.safetensors", folder);
    Trunk trunk = {.weights = path};
    Built a = build(5);
    int n = 0;
    SafeTensor *t = must_zalloc(sizeof *t * (size_t)(store_count(a.store) + 2));
    float fc[12] = {1};
    int64_t counter = 3;
    for (int i = 0; i < store_count(a.store); i++) {
        const char *name = store_name(a.store, i);
        if (!starts(name, "conv") && !starts(name, "bn") && !starts(name, "layer"))
            continue;
        Shape shape = store_shape(a.store, i);
        float *x = must_alloc(sizeof *x * (size_t)(shape_count(shape) + 1));
        for (int64_t k = 0; k < shape_count(shape); k++)
            x[k] = (float)(i + 1) + 0.5f * (float)k;
        t[n] = (SafeTensor){.name = name, .dtype = SAFE_F32, .rank = shape.rank, .data = x};
        memcpy(t[n++].shape, shape.dim, sizeof shape.dim);
    }
    int trunks = n;
    t[n++] = (SafeTensor){.name = "fc.weight", .dtype = SAFE_F32, .rank = 2, .shape = {3, 4}, .data = fc};
    t[n++] = (SafeTensor){.name = "bn1.num_batches_tracked", .dtype = SAFE_I64, .data = &counter};
    MUST(safetensors_write(path, t, n, NULL));
    check_beginnings(&trunk);
    MUST(trunk_begin(&trunk, a.store, 1, 0));
    for (int i = 0; i < trunks; i++) {
        int64_t count = shape_count(shape_make(t[i].shape, t[i].rank));
        int at = store_find(a.store, t[i].name);
        float *x = must_alloc(sizeof *x * (size_t)(count + 1));
        MUST(store_read(a.store, at, x));
        ck_assert_msg(!memcmp(x, t[i].data, sizeof *x * (size_t)count), "%s is not the file's", t[i].name);
        free(x);
    }
    /* without one tensor, and with one of another shape */
    MUST(safetensors_write(path, t + 1, n - 1, NULL));
    ck_assert_int_eq(trunk_begin(&trunk, a.store, 1, 0), -1);
    ck_assert_msg(strstr(error_text(), "holds no tensor") && strstr(error_text(), t[0].name), "%s", error_text());
    int64_t rows = t[0].shape[0];
    t[0].shape[0] = 1;
    MUST(safetensors_write(path, t, n, NULL));
    ck_assert_int_eq(trunk_begin(&trunk, a.store, 1, 0), -1);
    ck_assert_msg(strstr(error_text(), t[0].name) && strstr(error_text(), "and must have"), "%s", error_text());
    t[0].shape[0] = rows;
    for (int i = 0; i < trunks; i++)
        free((void *)t[i].data);
    free(t);
    built_free(&a);
    free(path);
    folder_remove(folder);
}

TEST_MAIN("recognition", rates_fall_and_training_goes_back, the_papers_schedule, a_limit_of_epochs,
          an_error_rate_that_is_none, initialisations_share_the_trunk, a_file_of_torchvisions_names)
