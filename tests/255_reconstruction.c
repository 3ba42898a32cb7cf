/* 255_reconstruction.c - the fused loss of all scales against the same loss made of ordinary ops, values and gradients
 * of all pictures and of the target, with each option of the models; one value in several places; its mistakes. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/reconstruction_loss.h"
#include "engine/ops/reduce.h"
#include "engine/ops/resize.h"
#include "engine/ops/unary.h"
#include "engine/random.h"
#include "models/synthesis_step.h"
#include "tests/ops.h"

/* Equation 4 with an op for each step of it. */
static Val composed(Val target, Vals made, bool sum_pixels)
{
    Val sum = NONE;
    for (int i = 0; i < made.n; i++) {
        Val small = op_resize_area(target, (int)val_dim(made.v[i], 2), (int)val_dim(made.v[i], 3));
        Val square = op_square(op_sub(small, made.v[i]));
        Val scale = sum_pixels ? op_scale(op_sum(square), 1 / (float)val_dim(target, 0)) : op_mean(square);
        sum = val_ok(sum) ? op_add(sum, scale) : scale;
    }
    return op_scale(sum, 0.5f / (float)made.n);
}

enum { MOST = 6, BATCH = 2, CHANNELS = 3 };
typedef struct Sizes {
    int n;
    int side[1 + MOST][2];   /* the target's, then the pictures' */
} Sizes;
static const Sizes sizes[] = {
    {6, {{32, 32}, {1, 1}, {2, 2}, {4, 4}, {8, 8}, {16, 16}, {32, 32}}},   /* the paper's scales, a quarter as large */
    {6, {{33, 21}, {5, 4}, {7, 21}, {33, 1}, {11, 7}, {32, 20}, {33, 21}}},
    {1, {{32, 32}, {32, 32}}},
    {2, {{3, 260}, {6, 130}, {2, 259}}},   /* longer than a piece of a row; larger than the target */
};

static void fill(Prog *p, Val v, const char *name)
{
    int64_t n = shape_count(val_shape(v));
    double *x = must_alloc((size_t)n * sizeof *x);
    Random r = random_stream(5, name, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = random_normal(&r);
    MUST(prog_write_double(p, v, x));
    free(x);
}

/* Both losses and the gradients of three times each. */
static void check(const char *device, const Sizes *s, bool sum_pixels)
{
    Store *store = store_create(device, 1);
    HAVE(store);
    Prog *p = prog_create(store);
    Val x[1 + MOST], outputs[4 + 2 * MOST];
    for (int i = 0; i <= s->n; i++) {
        char name[8];
        snprintf(name, sizeof name, "x%d", i);
        x[i] = prog_input(p, name, F32, SHAPE(BATCH, CHANNELS, s->side[i][0], s->side[i][1]));
        fill(p, x[i], name);
    }
    Vals made = {x + 1, s->n}, all = {x, s->n + 1};
    Val fused = op_reconstruction_loss(x[0], made, (ReconstructionLossAttrs){sum_pixels});
    Val parts = composed(x[0], made, sum_pixels);
    outputs[0] = fused;
    outputs[1] = parts;
    Vals a = prog_grad(op_scale(fused, 3), all), b = prog_grad(op_scale(parts, 3), all);
    for (int i = 0; i < all.n; i++) {
        outputs[2 + 2 * i] = a.v[i];
        outputs[3 + 2 * i] = b.v[i];
    }
    Plan *plan = plan_compile(p, (PlanOpts){.name = "reconstruction", .outputs = {outputs, 2 + 2 * all.n}});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    MUST(plan_run(plan));
    for (int i = 0; i < 2 + 2 * all.n; i += 2) {
        int64_t n = shape_count(val_shape(outputs[i]));
        double *got = must_alloc((size_t)n * sizeof *got), *want = must_alloc((size_t)n * sizeof *want);
        MUST(plan_read_double(plan, outputs[i], got));
        MUST(plan_read_double(plan, outputs[i + 1], want));
        double apart = far_apart(got, want, n);
        ck_assert_msg(apart <= 1e-6, "%s, %d pictures%s, %s %d: %.3g apart", device, s->n, sum_pixels ? ", sums" : "",
                      i ? "gradient" : "value", i / 2 - 1, apart);
        bool zero = true;
        for (int64_t e = 0; e < n; e++)
            zero &= got[e] == 0;
        ck_assert(!zero);
        free(got);
        free(want);
    }
    plan_free(plan);
    prog_free(p);
    store_free(store);
}

static void check_device(const char *device)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check(device, &sizes[i], false);
        check(device, &sizes[i], true);
    }
}

TEST(fused_is_composed)
{
    check_device("reference64");
    check_device("reference");
    check_device("cpu");
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    check_device("cuda");
    device_close(d);
}

/* The models' options choose the pictures and the reduction. */
TEST(options_of_the_models)
{
    Store *store = store_create("reference64", 1);
    HAVE(store);
    Prog *p = prog_create(store);
    Pyramid made = {.n = 3};
    Val target = prog_input(p, "target", F32, SHAPE(2, 3, 16, 16)), losses[8];
    fill(p, target, "target");
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        made.image[i] = prog_input(p, names[i], F32, SHAPE(2, 3, 4 << i, 4 << i));
        fill(p, made.image[i], names[i]);
    }
    for (int i = 0; i < 4; i++) {
        SynthesisOpts o = {.single_scale = i & 1, .sum_pixels = i >> 1};
        Vals pictures = o.single_scale ? VALS(made.image[2]) : (Vals){made.image, 3};
        losses[2 * i] = loss_reconstruction(target, made, o);
        losses[2 * i + 1] = composed(target, pictures, o.sum_pixels);
    }
    Plan *plan = plan_compile(p, (PlanOpts){.name = "options", .outputs = {losses, 8}});
    HAVE(plan);
    MUST(plan_run(plan));
    double first = 0;
    for (int i = 0; i < 4; i++) {
        double got, want;
        MUST(plan_read_double(plan, losses[2 * i], &got));
        MUST(plan_read_double(plan, losses[2 * i + 1], &want));
        ck_assert_double_eq_tol(got / want, 1, 1e-6);
        ck_assert(i == 0 || fabs(got - first) > 1e-3);
        first = i ? first : got;
    }
    plan_free(plan);
    prog_free(p);
    store_free(store);
}

/* One value as target and as several pictures: no buffer may be taken over by a gradient. */
TEST(one_value_in_several_places)
{
    static const char *const devices[] = {"reference", "cpu"};
    for (int d = 0; d < 2; d++) {
        Store *store = store_create(devices[d], 1);
        HAVE(store);
        Prog *p = prog_create(store);
        Val in = prog_input(p, "x", F32, SHAPE(1, 3, 8, 8)), other = prog_input(p, "t", F32, SHAPE(1, 3, 8, 8));
        fill(p, in, "x");
        fill(p, other, "t");
        Val x = op_tanh(in);
        Vals twice = op_reconstruction_loss_grad(other, op_mean(in), VALS(x, x), (ReconstructionLossAttrs){false});
        Vals self = op_reconstruction_loss_grad(x, op_mean(in), VALS(x), (ReconstructionLossAttrs){false});
        ck_assert_int_eq(twice.n, 2);
        Val same = op_sub(twice.v[0], twice.v[1]);
        Plan *plan = plan_compile(p, (PlanOpts){.name = "places", .outputs = VALS(same, self.v[0])});
        HAVE(plan);
        MUST(plan_run(plan));
        float a[192], b[192];
        MUST(plan_read(plan, same, a));
        MUST(plan_read(plan, self.v[0], b));
        for (int i = 0; i < 192; i++)
            ck_assert(a[i] == 0 && b[i] == 0);
        plan_free(plan);
        prog_free(p);
        store_free(store);
    }
}

TEST(mistakes)
{
    static const char *const words[] = {"made pictures", "batch or channels", "rank 2", "sides of", "one number"};
    for (int i = 0; i < 5; i++) {
        Store *store = store_create("cpu", 1);
        HAVE(store);
        Prog *p = prog_create(store);
        Val t = prog_input(p, "t", F32, SHAPE(2, 3, 8, 8)), flat = prog_input(p, "flat", F32, SHAPE(2, 3));
        Val gray = prog_input(p, "gray", F32, SHAPE(2, 1, 8, 8)), none = prog_input(p, "none", F32, SHAPE(2, 3, 0, 8));
        ReconstructionLossAttrs a = {false};
        Val loss = i == 0   ? op_reconstruction_loss(t, (Vals){0}, a)
                   : i == 1 ? op_reconstruction_loss(t, VALS(t, gray), a)
                   : i == 2 ? op_reconstruction_loss(t, VALS(flat), a)
                   : i == 3 ? op_reconstruction_loss(t, VALS(none), a)
                            : NONE;
        if (i == 4)
            ck_assert_int_eq(op_reconstruction_loss_grad(t, flat, VALS(t), a).n, 0);
        ck_assert(!val_ok(loss));
        const char *text = prog_error(p) ? prog_error(p) : "none";
        ck_assert_msg(strstr(text, words[i]) != NULL, "%s is not in: %s", words[i], text);
        prog_free(p);
        store_free(store);
    }
}

TEST_MAIN("reconstruction loss", fused_is_composed, options_of_the_models, one_value_in_several_places, mistakes)
