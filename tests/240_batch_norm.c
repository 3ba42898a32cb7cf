/* 240_batch_norm.c - batch normalisation beyond its cases: groups against separate calls, running statistics,
 * evaluation, large means, the fused op, and mistakes. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/batch_norm_leaky_relu.h"
#include "engine/ops/leaky_relu.h"
#include "engine/ops/reduce.h"
#include "engine/random.h"
#include "tests/test.h"

static const char *const devices[] = {"reference", "cpu", "cuda"};
enum { DEVICES = 3 };

/* False, with a line, when the device is not here. */
static bool have(const char *name)
{
    Device *d = device_open(name);
    if (!d)
        printf("SKIP %s: %s\n", name, error_text());
    device_close(d);
    return d != NULL;
}

static float *normals(const char *name, int64_t n, double mean, double deviation)
{
    float *x = must_alloc((size_t)n * sizeof *x);
    Random r = random_stream(7, name, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(mean + deviation * (double)random_normal(&r));
    return x;
}

static Val input(Prog *p, const char *name, Shape shape, double mean, double deviation)
{
    Val v = prog_input(p, name, F32, shape);
    float *x = normals(name, shape_count(shape), mean, deviation);
    MUST(prog_write(p, v, x));
    free(x);
    return v;
}

static float *output(Plan *plan, Val v)
{
    float *x = must_alloc((size_t)shape_count(val_shape(v)) * sizeof *x);
    MUST(plan_read(plan, v, x));
    return x;
}

static void expect_near(const char *what, const float *a, const float *b, int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)a[i] - (double)b[i]) <= tolerance * fmax(1, fabs((double)b[i])),
                      "%s: element %ld is %.9g and should be %.9g", what, (long)i, (double)a[i], (double)b[i]);
}

/* ---------------------------------------------------------------- groups */
enum { CHANNELS = 17, PIXELS = 15 };

/* Two halves of a batch: as one call with two groups, or as two calls of which the second takes what the first made
 * of the running statistics.  All results, and the gradients of x, gamma and beta. */
typedef struct Halves {
    float *y, *mean, *rstd, *new_mean, *new_var, *dx, *dgamma, *dbeta;
} Halves;

static void halves_free(Halves *h)
{
    float *all[] = {h->y, h->mean, h->rstd, h->new_mean, h->new_var, h->dx, h->dgamma, h->dbeta};
    for (int i = 0; i < 8; i++)
        free(all[i]);
}

/* b behind a. */
static float *joined(float *a, float *b, int64_t n)
{
    float *x = must_alloc(2 * (size_t)n * sizeof *x);
    memcpy(x, a, (size_t)n * sizeof *x);
    memcpy(x + n, b, (size_t)n * sizeof *x);
    free(a);
    free(b);
    return x;
}

static Halves run_halves(const char *device, bool groups, float slope)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    int64_t half = 3 * CHANNELS * PIXELS;
    float *x = normals("x", 2 * half, 0.3, 1.7), *d = normals("d", 2 * half, 0, 1);
    Val gamma = input(p, "gamma", SHAPE(CHANNELS), 1, 0.5), beta = input(p, "beta", SHAPE(CHANNELS), 0, 1);
    Val mean = input(p, "running_mean", SHAPE(CHANNELS), 0, 1), var = input(p, "running_var", SHAPE(CHANNELS), 2, 0.1);
    int calls = groups ? 1 : 2;
    BatchNorm n[2];
    Val xs[2], ys[2], dys[2], outputs[16];
    int count = 0;
    for (int i = 0; i < calls; i++) {
        Shape shape = SHAPE(groups ? 6 : 3, CHANNELS, 5, 3);
        xs[i] = prog_input(p, i ? "x1" : "x0", F32, shape);
        dys[i] = prog_input(p, i ? "d1" : "d0", F32, shape);
        BatchNormAttrs a = BATCH_NORM_TRAINING;
        a.groups = groups ? 2 : 1;
        a.momentum = 0.25f;
        n[i] = op_batch_norm(xs[i], gamma, beta, mean, var, a);
        mean = n[i].new_running_mean;
        var = n[i].new_running_var;
        ys[i] = slope == 1 ? n[i].y : op_leaky_relu(n[i].y, slope);
    }
    Vals grads = prog_vjp((Vals){ys, calls}, (Vals){dys, calls}, VALS(xs[0], gamma, beta, xs[calls - 1]));
    for (int i = 0; i < calls; i++) {
        outputs[count++] = ys[i];
        outputs[count++] = n[i].mean;
        outputs[count++] = n[i].rstd;
    }
    outputs[count++] = mean;
    outputs[count++] = var;
    for (int i = 0; i < 4; i++)
        outputs[count++] = grads.v[i];
    Plan *plan = plan_compile(p, (PlanOpts){.name = "halves", .outputs = {outputs, count}});
    ck_assert_msg(plan != NULL, "%s: %s", device, prog_error(p) ? prog_error(p) : error_text());
    for (int i = 0; i < calls; i++) {
        MUST(prog_write(p, xs[i], x + i * half));
        MUST(prog_write(p, dys[i], d + i * half));
    }
    MUST(plan_run(plan));
    Halves h = {output(plan, ys[0]), output(plan, n[0].mean), output(plan, n[0].rstd), output(plan, mean),
                output(plan, var), output(plan, grads.v[0]), output(plan, grads.v[1]), output(plan, grads.v[2])};
    if (!groups) {
        h.y = joined(h.y, output(plan, ys[1]), half);
        h.mean = joined(h.mean, output(plan, n[1].mean), CHANNELS);
        h.rstd = joined(h.rstd, output(plan, n[1].rstd), CHANNELS);
        h.dx = joined(h.dx, output(plan, grads.v[3]), half);
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
    free(x);
    free(d);
    return h;
}

static void compare_halves(const Halves *a, const Halves *b, double tolerance)
{
    int64_t all = 6 * CHANNELS * PIXELS;
    expect_near("y", a->y, b->y, all, tolerance);
    expect_near("mean", a->mean, b->mean, 2 * CHANNELS, tolerance);
    expect_near("rstd", a->rstd, b->rstd, 2 * CHANNELS, tolerance);
    expect_near("running mean", a->new_mean, b->new_mean, CHANNELS, tolerance);
    expect_near("running variance", a->new_var, b->new_var, CHANNELS, tolerance);
    expect_near("dx", a->dx, b->dx, all, tolerance);
    expect_near("dgamma", a->dgamma, b->dgamma, CHANNELS, 4 * tolerance);
    expect_near("dbeta", a->dbeta, b->dbeta, CHANNELS, 4 * tolerance);
}

TEST(two_groups_are_two_calls)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!have(devices[d]))
            continue;
        for (int leaky = 0; leaky < 2; leaky++) {
            float slope = leaky ? 0.2f : 1;
            Halves one = run_halves(devices[d], true, slope), two = run_halves(devices[d], false, slope);
            compare_halves(&one, &two, 1e-6);
            halves_free(&one);
            halves_free(&two);
        }
    }
}

/* ---------------------------------------------------------------- fusion */
TEST(fused_is_unfused)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!have(devices[d]))
            continue;
        Halves fused = run_halves(devices[d], true, 0.2f);
        setenv("ENGINE_NOFUSE", "1", 1);
        Halves plain = run_halves(devices[d], true, 0.2f);
        unsetenv("ENGINE_NOFUSE");
        compare_halves(&fused, &plain, 1e-6);
        halves_free(&fused);
        halves_free(&plain);
    }
}

/* Text of a plan that normalises and leaks; extra: what else reads y. */
static char *plan_text(int extra)
{
    Store *s = store_create("cpu", 1);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_param(p, "x", SHAPE(2, 3, 4, 5), (Init){INIT_NORMAL, 1});
    Val gamma = prog_param(p, "gamma", SHAPE(3), (Init){INIT_CONSTANT, 1});
    BatchNorm n = op_batch_norm(x, gamma, NONE, NONE, NONE, BATCH_NORM_TRAINING);
    Val y = op_leaky_relu(n.y, 0.2f), loss = op_mean(y);
    Val outputs[4] = {loss};
    int count = 1;
    if (extra == 1)
        outputs[count++] = n.y;
    if (extra == 2)
        outputs[count++] = op_leaky_relu(n.y, 0.1f);
    if (extra == 3)
        outputs[count++] = op_leaky_relu_grad(n.y, x, 0.2f);
    Vals g = prog_grad(loss, VALS(x, gamma));
    outputs[count++] = g.v[0];
    outputs[count++] = g.v[1];
    Plan *plan = plan_compile(p, (PlanOpts){.name = "leaks", .outputs = {outputs, count}});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    MUST(plan_run(plan));
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    plan_print(plan, f);
    fclose(f);
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return text;
}

TEST(fuses_only_when_y_is_not_needed)
{
    for (int extra = 0; extra < 4; extra++) {
        char *text = plan_text(extra);
        bool forward = strstr(text, "batch_norm_leaky_relu(") != NULL;
        bool backward = strstr(text, "batch_norm_leaky_relu_grad(") != NULL;
        ck_assert_msg(forward == (extra == 0) && backward == (extra == 0), "extra reader %d:\n%s", extra, text);
        free(text);
    }
}

/* ---------------------------------------------------------------- values */
/* y, mean, rstd and running statistics of one call against plain double loops. */
static void against_doubles(const char *device, Shape shape, bool training, double mean, double deviation,
                            double tolerance)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    int64_t B = shape.dim[0], C = shape.dim[1], P = shape.rank == 4 ? shape.dim[2] * shape.dim[3] : 1;
    Val x = input(p, "x", shape, mean, deviation), gamma = input(p, "gamma", SHAPE(C), 1, 0.1);
    Val beta = input(p, "beta", SHAPE(C), 0, 1), rm = input(p, "rm", SHAPE(C), mean, deviation);
    Val rv = input(p, "rv", SHAPE(C), 2 * deviation * deviation, 0.01 * deviation * deviation);
    BatchNorm n = op_batch_norm(x, gamma, beta, rm, rv, (BatchNormAttrs){.training = training, .update = true});
    Plan *plan = plan_compile(p, (PlanOpts){.name = "bn", .outputs = VALS(n.y, n.mean, n.rstd, n.new_running_mean,
                                                                         n.new_running_var, x, gamma, beta, rm, rv)});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    MUST(plan_run(plan));
    Val vals[10] = {n.y, n.mean, n.rstd, n.new_running_mean, n.new_running_var, x, gamma, beta, rm, rv};
    float *v[10];
    for (int i = 0; i < 10; i++)
        v[i] = output(plan, vals[i]);
    for (int64_t c = 0; c < C; c++) {
        double m = v[8][c], var = v[9][c], new_mean = m, new_var = var, count = (double)(B * P);
        if (training) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < B * P; i++)
                sum += (double)v[5][(i / P * C + c) * P + i % P];
            m = sum / count;
            for (int64_t i = 0; i < B * P; i++)
                squares += pow((double)v[5][(i / P * C + c) * P + i % P] - m, 2);
            var = squares / count;
            new_mean = 0.9 * new_mean + 0.1 * m;
            new_var = 0.9 * new_var + 0.1 * squares / (count - 1);
        }
        double rstd = 1 / sqrt(var + 1e-5);
        const double want[4] = {m, rstd, new_mean, new_var};
        static const char *const names[4] = {"mean", "rstd", "new running mean", "new running variance"};
        for (int j = 0; j < 4; j++)
            ck_assert_msg(fabs((double)v[1 + j][c] - want[j]) <= 1e-6 * fabs(want[j]) + 1e-7,
                          "%s: %s of channel %ld is %.9g and should be %.9g", device, names[j], (long)c,
                          (double)v[1 + j][c], want[j]);
        for (int64_t i = 0; i < B * P; i++) {
            int64_t e = (i / P * C + c) * P + i % P;
            double y = ((double)v[5][e] - m) * rstd * (double)v[6][c] + (double)v[7][c];
            ck_assert_msg(fabs((double)v[0][e] - y) <= tolerance,
                          "%s: y of channel %ld, value %ld is %.9g and should be %.9g", device, (long)c, (long)i,
                          (double)v[0][e], y);
        }
    }
    for (int i = 0; i < 10; i++)
        free(v[i]);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(statistics_are_those_of_double_loops)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!have(devices[d]))
            continue;
        for (int training = 0; training < 2; training++) {
            against_doubles(devices[d], SHAPE(3, 5, 7, 9), training, 0.5, 2, 3e-6);
            against_doubles(devices[d], SHAPE(2, 20, 19, 31), training, 0.5, 2, 3e-6);
            against_doubles(devices[d], SHAPE(4, 33, 1, 1), training, 0.5, 2, 3e-6);
            against_doubles(devices[d], SHAPE(300, 21), training, 0.5, 2, 3e-6);   /* more rows than a chunk has */
        }
    }
}

/* Mean 1000, deviation 0.05: sums of squares in float would leave nothing of the variance 0.0025.  The mean result has
 * float's spacing there, 6e-5, of which y sees half: 3e-5 / 0.05 = 6e-4. */
TEST(large_mean_small_variance)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!have(devices[d]))
            continue;
        against_doubles(devices[d], SHAPE(4, 20, 16, 16), true, 1000, 0.05, 1.5e-3);
        against_doubles(devices[d], SHAPE(4, 3, 40, 50), true, 1000, 0.05, 1.5e-3);
        against_doubles(devices[d], SHAPE(600, 3), true, 1000, 0.05, 1.5e-3);
    }
}

TEST(update_false_keeps_running_statistics)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!have(devices[d]))
            continue;
        Store *s = store_create(devices[d], 1);
        HAVE(s);
        Prog *p = prog_create(s);
        Val x = input(p, "x", SHAPE(4, 6), 1, 1), rm = input(p, "rm", SHAPE(6), 0, 1);
        Val rv = input(p, "rv", SHAPE(6), 3, 0.1);
        BatchNorm kept = op_batch_norm(x, NONE, NONE, rm, rv, (BatchNormAttrs){.training = true});
        BatchNorm moved = op_batch_norm(x, NONE, NONE, rm, rv, BATCH_NORM_TRAINING);
        BatchNorm fresh = op_batch_norm(x, NONE, NONE, NONE, NONE, (BatchNormAttrs){.training = true});
        Plan *plan = plan_compile(p, (PlanOpts){.name = "kept", .outputs = VALS(kept.y, kept.new_running_mean,
                                      kept.new_running_var, moved.y, moved.new_running_mean, fresh.new_running_mean,
                                      fresh.new_running_var)});
        ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
        MUST(plan_run(plan));
        float *mean = normals("rm", 6, 0, 1), *var = normals("rv", 6, 3, 0.1);
        float *a = output(plan, kept.new_running_mean), *b = output(plan, kept.new_running_var);
        float *c = output(plan, moved.new_running_mean), *y = output(plan, kept.y), *z = output(plan, moved.y);
        float *zero = output(plan, fresh.new_running_mean), *one = output(plan, fresh.new_running_var);
        for (int i = 0; i < 6; i++) {
            ck_assert(a[i] == mean[i] && b[i] == var[i] && c[i] != mean[i]);
            ck_assert(zero[i] == 0 && one[i] == 1);
        }
        ck_assert(!memcmp(y, z, 24 * sizeof *y));
        float *all[] = {mean, var, a, b, c, y, z, zero, one};
        for (int i = 0; i < 9; i++)
            free(all[i]);
        plan_free(plan);
        prog_free(p);
        store_free(s);
    }
}

/* ---------------------------------------------------------------- threads and mistakes */
TEST(thread_count_changes_nothing)
{
    float *y[2] = {0}, *dx[2] = {0};
    int64_t n = 4 * 40 * 33 * 17;
    for (int t = 0; t < 2; t++) {
        engine_threads(t + 1);
        Store *s = store_create("cpu", 1);
        HAVE(s);
        Prog *p = prog_create(s);
        Val x = input(p, "x", SHAPE(4, 40, 33, 17), 0, 1), d = input(p, "d", SHAPE(4, 40, 33, 17), 0, 1);
        BatchNorm b = op_batch_norm(x, NONE, NONE, NONE, NONE, (BatchNormAttrs){.training = true, .groups = 2});
        Vals g = prog_vjp(VALS(b.y), VALS(d), VALS(x));
        Plan *plan = plan_compile(p, (PlanOpts){.name = "threads", .outputs = VALS(b.y, g.v[0])});
        ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
        MUST(plan_run(plan));
        y[t] = output(plan, b.y);
        dx[t] = output(plan, g.v[0]);
        plan_free(plan);
        prog_free(p);
        store_free(s);
    }
    ck_assert(!memcmp(y[0], y[1], (size_t)n * sizeof(float)));
    ck_assert(!memcmp(dx[0], dx[1], (size_t)n * sizeof(float)));
    for (int t = 0; t < 2; t++) {
        free(y[t]);
        free(dx[t]);
    }
}

/* Makes one mistake; its message must hold `words`. */
static void expect_mistake(int which, const char *words)
{
    Store *s = store_create("reference", 1);
    HAVE(s);
    Prog *p = prog_create(s);
    BatchNormAttrs a = BATCH_NORM_TRAINING;
    Val x = prog_input(p, "x", F32, SHAPE(6, 3, 2, 2)), c = prog_input(p, "c", F32, SHAPE(3));
    Val flat = prog_input(p, "flat", F32, SHAPE(1, 3)), line = prog_input(p, "line", F32, SHAPE(3, 3, 3));
    Val five = prog_input(p, "five", F32, SHAPE(5)), whole = prog_input(p, "whole", I32, SHAPE(3));
    BatchNorm n;
    switch (which) {
    case 0: a.groups = 4; op_batch_norm(x, c, c, c, c, a); break;
    case 1: a.groups = -1; op_batch_norm(x, c, c, c, c, a); break;
    case 2: op_batch_norm(flat, c, c, c, c, a); break;
    case 3: op_batch_norm(line, c, c, c, c, a); break;
    case 4: op_batch_norm(x, five, c, c, c, a); break;
    case 5: op_batch_norm(x, c, whole, c, c, a); break;
    case 6: op_batch_norm(x, c, c, c, NONE, a); break;
    case 7: a.eps = -1; op_batch_norm(x, c, c, c, c, a); break;
    case 8: a.momentum = 2; op_batch_norm(x, c, c, c, c, a); break;
    case 9: op_batch_norm_grad(x, c, c, c, flat, (BatchNormGradAttrs){1, true}); break;
    case 10: op_batch_norm_grad(x, c, c, c, x, (BatchNormGradAttrs){2, true}); break;
    case 11: op_batch_norm_grad(x, c, c, c, x, (BatchNormGradAttrs){0, true}); break;
    default:
        n = op_batch_norm(x, c, c, c, c, a);
        prog_grad(op_mean(which == 12 ? n.mean : which == 13 ? n.rstd : n.new_running_var), VALS(x));
    }
    ck_assert_msg(prog_error(p) && strstr(prog_error(p), words), "mistake %d: %s", which,
                  prog_error(p) ? prog_error(p) : "none");
    prog_free(p);
    store_free(s);
}

TEST(mistakes)
{
    static const char *const words[] = {
        "4 equal groups", "-1 equal groups", "more than one value", "rank 3", "operand gamma holds 5", "operand beta",
        "both", "eps", "momentum", "operand dy", "operand mean holds 3", "0 equal groups", "only y", "only y", "only y",
    };
    for (int i = 0; i < 15; i++)
        expect_mistake(i, words[i]);
}

TEST_MAIN("batch norm", two_groups_are_two_calls, fused_is_unfused, fuses_only_when_y_is_not_needed,
          statistics_are_those_of_double_loops, large_mean_small_variance, update_false_keeps_running_statistics,
          thread_count_changes_nothing, mistakes)
