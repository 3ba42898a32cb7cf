/* 410_whole_steps.c - the project's own plans at a small size: steps 1 and 2 of synthesis, rendering, a step of
 * recognition, embedding.  Every device against double, twice the same bits, memory that grows as the batch does. */
#include "tests/steps.h"

/* ---------------------------------------------------------------- comparisons */
typedef bool Train(const char *device, Trained *t);

/* Largest difference of parameters relative to what they moved, and of the rest of the store to its size. */
static double stores_apart(const Trained *a, const Trained *b, const char **where)
{
    double worst = 0;
    ck_assert_int_eq(store_count(a->store), store_count(b->store));
    Store *start = store_create("reference", 4);
    for (int i = 0; i < store_count(a->store); i++) {
        const Entry *e = a->store->entries[i];
        store_add(start, e->name, e->dtype, e->shape, e->init, e->param);
        int64_t n = shape_count(e->shape);
        float *x[3];
        double difference = 0, scale = 0;
        for (int k = 0; k < 3; k++)
            x[k] = must_zalloc(((size_t)n + 1) * sizeof **x);
        MUST(store_read(a->store, i, x[0]));
        MUST(store_read(b->store, store_find(b->store, e->name), x[1]));
        MUST(store_read(start, i, x[2]));
        if (e->dtype != F32) {
            ck_assert_msg(!memcmp(x[0], x[1], (size_t)n * 4), "%s differs", e->name);
        } else if (!strstr(e->name,
                           "fc.bias")) {   /* without gradient before a batch norm: Adam follows its rounding */
            for (int64_t k = 0; k < n; k++) {
                ck_assert(isfinite(x[1][k]));
                difference = fmax(difference, fabs((double)x[0][k] - (double)x[1][k]));
                scale = fmax(scale, fabs((double)x[0][k] - (e->param ? (double)x[2][k] : 0)));
            }
            if (scale > 0 && difference / scale > worst) {
                worst = difference / scale;
                *where = e->name;
            }
            ck_assert(scale > 0 || difference == 0);
        }
        for (int k = 0; k < 3; k++)
            free(x[k]);
    }
    store_free(start);
    return worst;
}

static void compare(const char *device, const char *what, Train train)
{
    Trained want, got, again;
    const char *where = "";
    if (!train(device, &got))
        SKIP("%s: %s", device, error_text());
    train(device, &again);
    train("reference64", &want);
    double loss = 0;
    for (int64_t i = 0; i < want.losses.n; i++) {
        loss = fmax(loss, fabs(want.losses.x[i] - got.losses.x[i]) / fabs(want.losses.x[i]));
        ck_assert_msg(fabs(want.losses.x[i] - got.losses.x[i]) <= TOLERANCE_WHOLE_LOSS * fabs(want.losses.x[i]),
                      "%s on %s: loss %ld is %.9g and must be %.9g", what, device, (long)i, got.losses.x[i],
                          want.losses.x[i]);
    }
    double picture = far_apart(want.picture.x, got.picture.x, want.picture.n);
    double store = stores_apart(&want, &got, &where);
    printf("%s on %s: losses %.2g off, pictures or vectors %.2g, parameters %.2g of what they moved (%s)\n", what,
           device,
           loss, picture, store, where);
    ck_assert_msg(picture <= TOLERANCE_WHOLE_PICTURE, "%s on %s: pictures or vectors are %.3g off", what, device,
                  picture);
    ck_assert_msg(store <= TOLERANCE_WHOLE_MOVED, "%s on %s: %s is %.3g off", what, device, where, store);
    /* Again from the start: the same bits. */
    size_t n, m;
    char *x = store_bits(got.store, &n), *y = store_bits(again.store, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_msg(!memcmp(x, y, n), "%s on %s: trained again, the store differs", what, device);
    ck_assert_mem_eq(got.losses.x, again.losses.x, (size_t)got.losses.n * sizeof(double));
    ck_assert_mem_eq(got.picture.x, again.picture.x, (size_t)got.picture.n * sizeof(double));
    free(x);
    free(y);
    trained_free(&want);
    trained_free(&got);
    trained_free(&again);
}

TEST(synthesis_on_reference) { compare("reference", "synthesis", synthesise); }
TEST(synthesis_on_cpu) { compare("cpu", "synthesis", synthesise); }
TEST(synthesis_on_cuda) { compare("cuda", "synthesis", synthesise); }
TEST(recognition_on_reference) { compare("reference", "recognition", recognise); }
TEST(recognition_on_cpu) { compare("cpu", "recognition", recognise); }
TEST(recognition_on_cuda) { compare("cuda", "recognition", recognise); }

/* ---------------------------------------------------------------- what must not move */
TEST(frozen_and_separate_networks)
{
    Store *s = store_create("cpu", 4);
    SynthesisOpts o = options();
    o.lambda_kl = 1;
    SynthesisStep *step = synthesis_step_create(s, o, BATCH, 1), *two = synthesis_step_create(s, o, BATCH, 2);
    HAVE(step);
    HAVE(two);
    Store *before = store_create("cpu", 4);
    for (int i = 0; i < store_count(s); i++)
        store_add(before, store_name(s, i), store_dtype(s, i), store_shape(s, i), s->entries[i]->init, false);
    for (int round = 0; round < 2; round++) {
        SynthesisStep *k = round ? two : step;
        MUST(store_copy(before, s, ""));
        write_pixels(k->p, k->pixels, 1);
        write_identity(k->p, k->identity, 1);
        write_rate(k->p, k->rate_ag, 1e-4f);
        if (!round)
            write_rate(k->p, k->rate_d, 1e-4f);
        MUST(plan_run(k->plan));
        for (int i = 0; i < store_count(s); i++) {
            const char *name = store_name(s, i);
            size_t bytes = (size_t)shape_count(store_shape(s, i)) * 4;
            char *x = must_alloc(bytes), *y = must_alloc(bytes);
            MUST(store_read(s, i, x));
            MUST(store_read(before, store_find(before, name), y));
            bool moved = memcmp(x, y, bytes) != 0, own = !strncmp(name, "A.", 2) || !strncmp(name, "G.", 2);
            bool may = own || (!round && (!strncmp(name, "D.", 2))) || !strncmp(name, "adam.ag", 7) ||
                       (!round && !strncmp(name, "adam.d", 6)) || !strcmp(name, "rng");
            ck_assert_msg(may || !moved, "step %d moved %s", round + 1, name);
            ck_assert_msg(moved || !store_is_param(s, i) || !may, "step %d left %s where it was", round + 1, name);
            free(x);
            free(y);
        }
    }
    synthesis_step_free(step);
    synthesis_step_free(two);
    store_free(before);
    store_free(s);
}

TEST(memory_grows_with_the_batch)
{
    static const char *const devices[] = {"cpu", "cuda"};
    for (int d = 0; d < 2; d++) {
        size_t bytes[3][2];
        Store *s = store_try(devices[d], 4);
        if (!s) {
            printf("without cuda: %s\n", error_text());
            continue;
        }
        for (int k = 0; k < 2; k++) {
            SynthesisOpts o = options();
            o.encoder.width = o.generator.width = 4;   /* of weights and their gradients there is one copy */
            for (int kind = 1; kind <= 2; kind++) {
                SynthesisStep *step = synthesis_step_create(s, o, k ? 256 : 64, kind);
                HAVE(step);
                bytes[kind - 1][k] = plan_arena_bytes(step->plan);
                synthesis_step_free(step);
            }
            RecogniserStep *step = recogniser_step_create(s, recogniser_options(32, 8), k ? 64 : 16, CLASSES);
            HAVE(step);
            bytes[2][k] = plan_arena_bytes(step->plan);
            recogniser_step_free(step);
        }
        for (int i = 0; i < 3; i++) {
            double ratio = (double)bytes[i][1] / (double)bytes[i][0];
            printf("%s: plan %d needs %.2f and %.2f MiB\n", devices[d], i, (double)bytes[i][0] / 1048576,
                   (double)bytes[i][1] / 1048576);
            /* Linear in the batch; the workspaces of some convolutions have no batch in them. */
            ck_assert_msg(ratio > 1.3 && ratio < 4.2, "plan %d on %s: memory times %.2f at four times the batch", i,
                          devices[d], ratio);
        }
        store_free(s);
    }
}

TEST_MAIN("whole steps", synthesis_on_reference, synthesis_on_cpu, synthesis_on_cuda, recognition_on_reference,
          recognition_on_cpu, recognition_on_cuda, frozen_and_separate_networks, memory_grows_with_the_batch)
