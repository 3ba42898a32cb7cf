/* steps.h - the project's own plans at a small size, trained for some steps on drawn numbers: what tests of whole
 * steps share. */
#ifndef GUISE_TEST_STEPS_H
#define GUISE_TEST_STEPS_H

#include "models/synthesis_step.h"
#include "tests/programs.h"
#include "tests/ops.h"

enum { SIDE = 16, BATCH = 4, CLASSES = 5, D = 16 };

static inline SynthesisOpts options(void)
{
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = SIDE, .width = 8, .z = 8};
    o.generator = (GeneratorOpts){.size = SIDE, .width = 8};
    o.identity = (RecogniserOpts){.scope = "I", .size = SIDE, .embedding = D,
                                  .trunk = {.blocks = {1, 1, 0, 0}, .width = 4, .small_stem = true}};
    return o;
}

static inline RecogniserOpts recogniser_options(int side, int width)
{
    return (RecogniserOpts){.scope = "", .size = side, .embedding = D, .margin = {.s = 16, .m = 0.3f},
                            .trunk = {.blocks = {1, 1, 1, 0}, .width = width, .small_stem = true},
                            .augment = {.size = side}};
}

/* ---------------------------------------------------------------- data */
static inline void write_rate(Prog *p, Val rate, float value)
{
    MUST(prog_write(p, rate, &value));
}

static inline void write_pixels(Prog *p, Val pixels, uint64_t step)
{
    int64_t n = shape_count(val_shape(pixels)), side = val_dim(pixels, 2);
    uint8_t *x = must_alloc((size_t)n + 1);
    Random r = random_stream(2, "pixels", step);
    for (int64_t i = 0; i < n; i++) {   /* smooth pictures with some noise */
        int64_t col = i % side, row = i / side % side, picture = i / (side * side);
        double wave = sin(0.3 * (double)(col + picture) + 0.2 * (double)row * (double)(1 + picture % 3));
        x[i] = (uint8_t)(128 + 90 * wave + 30 * (double)random_uniform(&r));
    }
    MUST(prog_write(p, pixels, x));
    free(x);
}

static inline void write_identity(Prog *p, Val identity, uint64_t step)
{
    int64_t n = shape_count(val_shape(identity));
    float *x = normals(n, "identity", step, 1);
    for (int64_t i = 0; i < n; i += D) {
        double length = 0;
        for (int k = 0; k < D; k++)
            length += (double)x[i + k] * (double)x[i + k];
        for (int k = 0; k < D; k++)
            x[i + k] /= (float)sqrt(length);
    }
    MUST(prog_write(p, identity, x));
    free(x);
}

/* ---------------------------------------------------------------- what a training leaves */
typedef struct Trained {
    Gathered losses, picture;
    Store *store;
} Trained;

static inline void gather_value(Gathered *g, Plan *plan, Val v)
{
    int64_t n = shape_count(val_shape(v));
    double *x = must_zalloc(((size_t)n + 1) * sizeof *x);
    MUST(plan_read_double(plan, v, x));
    gather(g, x, n);
    free(x);
}

static inline bool synthesise_steps(const char *device, Trained *t, int steps)
{
    *t = (Trained){.store = store_try(device, 4)};
    if (!t->store)
        return false;
    SynthesisOpts o = options();
    SynthesisStep *kinds[2] = {synthesis_step_create(t->store, o, BATCH, 1), synthesis_step_create(t->store, o, BATCH,
                                                                                                   2)};
    HAVE(kinds[0]);
    HAVE(kinds[1]);
    for (int step = 0; step < steps; step++) {
        SynthesisStep *k = kinds[step % 2];
        write_pixels(k->p, k->pixels, (uint64_t)step);
        write_identity(k->p, k->identity, (uint64_t)step);
        write_rate(k->p, k->rate_ag, 1e-4f);
        if (val_ok(k->rate_d))
            write_rate(k->p, k->rate_d, 2e-4f);
        MUST(plan_run(k->plan));
        Val all[] = {k->gr, k->kl, k->gd, k->gi, k->d};
        for (int i = 0; i < (step % 2 ? 1 : 5); i++)
            gather_value(&t->losses, k->plan, all[i]);
    }
    for (int sampled = 0; sampled < 2; sampled++) {
        SynthesisStep *r = synthesis_render_create(t->store, o, 3, sampled);
        HAVE(r);
        write_pixels(r->p, r->pixels, 9);
        write_identity(r->p, r->identity, 9);
        MUST(plan_run(r->plan));
        gather_value(&t->picture, r->plan, r->image);
        synthesis_step_free(r);
    }
    synthesis_step_free(kinds[0]);
    synthesis_step_free(kinds[1]);
    return true;
}

/* Embeddings of four pictures, a batch of three and a filled up one.  Before training: afterwards the bias that has no
 * gradient (see stores_apart) would count. */
static inline void embed(Trained *t, RecogniserOpts o)
{
    RecogniserEmbed *e = recogniser_embed_create(t->store, o, 3);
    HAVE(e);
    uint8_t pixels[4 * 3 * SIDE * SIDE];
    for (int i = 0; i < 4 * 3 * SIDE * SIDE; i++)
        pixels[i] = (uint8_t)(i * 7 % 251);
    float vectors[4 * D];
    MUST(recogniser_embed(e, pixels, 4, vectors));
    for (int i = 0; i < 4 * D; i++)
        gather(&t->picture, &(double){vectors[i]}, 1);
    for (int i = 0; i < 4; i++) {
        double length = 0;
        for (int k = 0; k < D; k++)
            length += (double)vectors[i * D + k] * (double)vectors[i * D + k];
        ck_assert_double_eq_tol(length, 1, 1e-6);
    }
    recogniser_embed_free(e);
}

static inline bool recognise_steps(const char *device, Trained *t, int steps)
{
    *t = (Trained){.store = store_try(device, 4)};
    if (!t->store)
        return false;
    RecogniserOpts o = recogniser_options(SIDE, 16);
    RecogniserStep *step = recogniser_step_create(t->store, o, 8, CLASSES);
    HAVE(step);
    embed(t, o);
    for (int i = 0; i < steps; i++) {
        int32_t labels[8];
        for (int k = 0; k < 8; k++)
            labels[k] = (k + i) % CLASSES;
        write_pixels(step->p, step->pixels, (uint64_t)i);
        MUST(prog_write(step->p, step->labels, labels));
        write_rate(step->p, step->rate, 1e-4f);
        write_rate(step->p, step->dropout, 0.4f);   /* without, head.bn1.bias would have no gradient either */
        MUST(plan_run(step->plan));
        gather_value(&t->losses, step->plan, step->loss);
    }
    recogniser_step_free(step);
    return true;
}

static inline bool synthesise(const char *device, Trained *t) { return synthesise_steps(device, t, 3); }
static inline bool recognise(const char *device, Trained *t) { return recognise_steps(device, t, 3); }

static inline void trained_free(Trained *t)
{
    free(t->losses.x);
    free(t->picture.x);
    store_free(t->store);
}

#endif
