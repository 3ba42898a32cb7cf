/* 515_resident.c - pictures that lie on the device and are taken by their numbers: trainings leave the same bits as
 * with pictures written for each step. */
#include "models/synthesis_step.h"
#include "tests/programs.h"

enum { SIDE = 16, BATCH = 4, N = 11, D = 16, PIXELS = 3 * SIDE * SIDE, STEPS = 3 };

static uint8_t pictures[N * PIXELS];
static float vectors[N * D];
static const int32_t taken[STEPS][BATCH] = {{0, 10, 3, 3}, {7, 1, 2, 9}, {4, 4, 10, 0}};
static const int32_t others[STEPS][BATCH] = {{5, 1, 2, 8}, {0, 10, 3, 6}, {1, 2, 9, 7}};

static void draw(void)
{
    for (int i = 0; i < N * PIXELS; i++)
        pictures[i] = (uint8_t)((i * 7 + i / PIXELS * 31 + (i % 13) * (i % 5)) % 256);
    for (int i = 0; i < N * D; i++)
        vectors[i] = (float)((i * 5) % 17 - 8) / 20;
}

/* The set on a device; a program of its own holds it for all others. */
typedef struct Set {
    Prog *p;
    Val pictures, vectors;
} Set;

static Set set_open(Store *s)
{
    Set t = {.p = prog_create(s)};
    t.pictures = prog_input(t.p, "set", U8, SHAPE(N + 2, 3, SIDE, SIDE));   /* room for more */
    t.vectors = prog_input(t.p, "vectors", F32, SHAPE(N + 2, D));
    MUST(prog_write_rows(t.p, t.pictures, 0, 5, pictures));
    MUST(prog_write_rows(t.p, t.pictures, 5, N - 5, pictures + 5 * PIXELS));
    MUST(prog_write_rows(t.p, t.vectors, 0, N, vectors));
    return t;
}

static void rows_of(const int32_t *from, uint8_t *x, float *z)
{
    for (int i = 0; i < BATCH; i++) {
        memcpy(x + i * PIXELS, pictures + from[i] * PIXELS, PIXELS);
        memcpy(z + i * D, vectors + from[i] * D, D * sizeof *z);
    }
}

static char *recognised(const char *device, bool resident, size_t *size)
{
    Store *s = store_try(device, 5);
    if (!s)
        return NULL;
    Set set = set_open(s);
    RecogniserOpts o = {.scope = "", .size = SIDE, .embedding = D, .margin = {.s = 16, .m = 0.3f},
                        .trunk = {.blocks = {1, 1, 0, 0}, .width = 4, .small_stem = true}, .augment = {.size = SIDE},
                        .set = resident ? set.pictures : NONE};
    RecogniserStep *t = recogniser_step_create(s, o, BATCH, N);
    HAVE(t);
    ck_assert(val_ok(t->index) == resident && val_ok(t->pixels) == !resident);
    float rate = 1e-3f, none = 0;
    MUST(prog_write(t->p, t->rate, &rate));
    MUST(prog_write(t->p, t->dropout, &none));
    for (int i = 0; i < STEPS; i++) {
        uint8_t x[BATCH * PIXELS];
        float z[BATCH * D];
        rows_of(taken[i], x, z);
        MUST(step_pictures_write(t->p, t->pixels, t->index, resident ? NULL : x, resident ? taken[i] : NULL));
        MUST(prog_write(t->p, t->labels, taken[i]));
        MUST(plan_run(t->plan));
    }
    char *bits = store_bits(s, size);
    recogniser_step_free(t);
    prog_free(set.p);
    store_free(s);
    return bits;
}

static char *synthesised(const char *device, bool resident, size_t *size)
{
    Store *s = store_try(device, 5);
    if (!s)
        return NULL;
    Set set = set_open(s);
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = SIDE, .width = 4, .z = 8};
    o.generator = (GeneratorOpts){.size = SIDE, .width = 4};
    o.identity = (RecogniserOpts){.scope = "I", .size = SIDE, .embedding = D,
                                  .trunk = {.blocks = {1, 1, 0, 0}, .width = 4, .small_stem = true}};
    o.set = resident ? set.pictures : NONE;
    o.vectors = resident ? set.vectors : NONE;
    SynthesisStep *kinds[2] = {synthesis_step_create(s, o, BATCH, 1), synthesis_step_create(s, o, BATCH, 2)};
    float rate = 1e-4f;
    for (int k = 0; k < 2; k++) {
        HAVE(kinds[k]);
        MUST(prog_write(kinds[k]->p, kinds[k]->rate_ag, &rate));
    }
    MUST(prog_write(kinds[0]->p, kinds[0]->rate_d, &rate));
    for (int i = 0; i < STEPS; i++) {
        SynthesisStep *t = kinds[i % 2];
        uint8_t x[BATCH * PIXELS], unused[BATCH * PIXELS];
        float z[BATCH * D];
        rows_of(taken[i], x, z);
        rows_of(others[i], unused, z);
        if (resident) {
            MUST(prog_write(t->p, t->index, taken[i]));
            MUST(prog_write(t->p, t->from, others[i]));
        } else {
            MUST(prog_write(t->p, t->pixels, x));
            MUST(prog_write(t->p, t->identity, z));
        }
        MUST(plan_run(t->plan));
    }
    char *bits = store_bits(s, size);
    synthesis_step_free(kinds[0]);
    synthesis_step_free(kinds[1]);
    prog_free(set.p);
    store_free(s);
    return bits;
}

static void same(const char *device, const char *what, char *(*train)(const char *, bool, size_t *))
{
    size_t size[2];
    draw();
    char *given = train(device, false, &size[0]), *resident = given ? train(device, true, &size[1]) : NULL;
    if (!given)
        SKIP("%s: %s", device, error_text());
    ck_assert_uint_eq(size[0], size[1]);
    for (size_t i = 0; i < size[0]; i++)
        ck_assert_msg(given[i] == resident[i], "%s on %s: byte %zu of the store differs", what, device, i);
    free(given);
    free(resident);
}

TEST(recognition_on_cpu) { same("cpu", "recognition", recognised); }
TEST(recognition_on_cuda) { same("cuda", "recognition", recognised); }
TEST(synthesis_on_cpu) { same("cpu", "synthesis", synthesised); }
TEST(synthesis_on_cuda) { same("cuda", "synthesis", synthesised); }

/* ---------------------------------------------------------------- shared inputs */
TEST(mistakes)
{
    Store *s = store_try("cpu", 1), *other = store_try("reference", 1);
    Prog *owner = prog_create(s), *p = prog_create(s), *q = prog_create(other);
    Val x = prog_input(owner, "x", U8, SHAPE(3, 4));
    ck_assert(val_ok(prog_input_shared(p, x)));
    ck_assert(!val_ok(prog_input_shared(p, x)) && strstr(prog_error(p), "already"));
    ck_assert(!val_ok(prog_input_shared(q, x)) && strstr(prog_error(q), "device"));
    uint8_t rows[12] = {0};
    MUST(prog_write_rows(owner, x, 1, 2, rows));
    MUST(prog_write_rows(owner, x, 3, 0, rows));
    ck_assert_int_eq(prog_write_rows(owner, x, 2, 2, rows), -1);
    ck_assert(strstr(error_text(), "rows 2 to 3 of 3"));
    ck_assert_int_eq(prog_write_rows(owner, x, -1, 1, rows), -1);
    prog_free(p);
    prog_free(q);
    prog_free(owner);
    store_free(other);
    store_free(s);
}

TEST_MAIN("resident", recognition_on_cpu, recognition_on_cuda, synthesis_on_cpu, synthesis_on_cuda, mistakes)
