/* 520_halves.c - A and G in programs of their own give what the rendering of both gives, to the bit; what of D
 * equation 5 compares. */
#include "models/synthesis_step.h"
#include "engine/random.h"
#include "tests/test.h"

enum { BATCH = 3, SIDE = 16, Z = 8, D = 12 };

static SynthesisOpts small(void)
{
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = SIDE, .width = 4, .z = Z};
    o.generator = (GeneratorOpts){.size = SIDE, .width = 2};
    o.identity = (RecogniserOpts){.scope = "I", .size = SIDE, .trunk = resnet_of_depth(8, 4, SIDE), .embedding = D,
                                  .pool = true};
    return o;
}

static void numbers(uint8_t *pixels, float *identity)
{
    Random r = random_stream(1, "halves", 0);
    for (int i = 0; i < BATCH * 3 * SIDE * SIDE; i++)
        pixels[i] = (uint8_t)random_below(&r, 256);
    for (int i = 0; i < BATCH * D; i++)
        identity[i] = random_normal(&r);
}

/* Initial weights are so small that every picture would be grey. */
static void enlarge(Store *s)
{
    for (int i = 0; i < store_count(s); i++) {
        int64_t n = shape_count(store_shape(s, i));
        float *x = must_alloc(sizeof *x * (size_t)(n + 1));
        if (store_dtype(s, i) == F32) {
            MUST(store_read(s, i, x));
            for (int64_t k = 0; k < n; k++)
                x[k] *= store_is_param(s, i) ? 8 : 1;
            MUST(store_write(s, i, x));
        }
        free(x);
    }
}

TEST(halves_are_the_whole)
{
    for (int bilinear = 0; bilinear < 2; bilinear++) {
        uint8_t pixels[BATCH * 3 * SIDE * SIDE];
        float identity[BATCH * D], z[BATCH * Z], whole[sizeof pixels], made[sizeof pixels];
        SynthesisOpts o = small();
        o.generator.bilinear = bilinear;
        Store *s = store_create("cpu", 3);
        HAVE(s);
        SynthesisStep *render = synthesis_render_create(s, o, BATCH, false);
        HAVE(render);
        SynthesisStep *a = synthesis_attributes_create(s, o, BATCH, false), *g = synthesis_faces_create(s, o, BATCH);
        HAVE(a);
        HAVE(g);
        enlarge(s);
        numbers(pixels, identity);
        MUST(prog_write(render->p, render->pixels, pixels));
        MUST(prog_write(render->p, render->identity, identity));
        MUST(plan_run(render->plan));
        MUST(plan_read(render->plan, render->image, whole));
        MUST(prog_write(a->p, a->pixels, pixels));
        MUST(plan_run(a->plan));
        MUST(plan_read(a->plan, a->attributes, z));
        MUST(prog_write(g->p, g->identity, identity));
        MUST(prog_write(g->p, g->attributes, z));
        MUST(plan_run(g->plan));
        MUST(plan_read(g->plan, g->image, made));
        float largest = 0;
        for (size_t i = 0; i < sizeof pixels; i++)
            largest = made[i] > largest ? made[i] : largest;
        ck_assert_float_gt(largest, 0.01f);
        ck_assert(!memcmp(whole, made, sizeof whole));
        synthesis_step_free(render);
        synthesis_step_free(a);
        synthesis_step_free(g);
        store_free(s);
    }
}

/* The three readings of f_D give three losses; that of the sigmoid is within ((1 - 0)^2) / 2. */
TEST(what_of_d_is_compared)
{
    float gd[3], rate = 0;
    for (int feature = 0; feature < 3; feature++) {
        uint8_t pixels[BATCH * 3 * SIDE * SIDE];
        float identity[BATCH * D];
        SynthesisOpts o = small();
        o.feature = feature == 0 ? FEATURE_VECTOR : feature == 1 ? FEATURE_LOGIT : FEATURE_SIGMOID;
        Store *s = store_create("reference", 3);
        HAVE(s);
        SynthesisStep *t = synthesis_step_create(s, o, BATCH, 1);
        HAVE(t);
        numbers(pixels, identity);
        MUST(prog_write(t->p, t->pixels, pixels));
        MUST(prog_write(t->p, t->identity, identity));
        MUST(prog_write(t->p, t->rate_ag, &rate));
        MUST(prog_write(t->p, t->rate_d, &rate));
        MUST(plan_run(t->plan));
        MUST(plan_read(t->plan, t->gd, &gd[feature]));
        synthesis_step_free(t);
        store_free(s);
    }
    ck_assert_float_gt(gd[0], gd[1]);    /* a vector of 16 against its one projection by small weights */
    ck_assert_float_gt(gd[1], gd[2]);    /* the sigmoid is a contraction, by 4 at least */
    ck_assert_float_le(gd[2], gd[1] / 16 * 1.00001f);
    ck_assert_float_gt(gd[2], 0);
}

TEST_MAIN("halves", halves_are_the_whole, what_of_d_is_compared)
