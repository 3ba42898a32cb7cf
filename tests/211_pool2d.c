/* 211_pool2d.c - pooling between convolutions, where values are blocked or channels-last, against plain double; ties
 * and NaN of the maximum. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/pool2d.h"
#include "engine/random.h"
#include "tests/test.h"

enum { B = 2, C = 20, SIDE = 13, MAX_VALUES = B * C * SIDE * SIDE };

/* x -> 1x1 convolution to C channels -> maximum -> mean -> 3x3 convolution -> mean over all; outputs: the result and
 * the gradients of x and of both weights under a random cotangent.  Returns how many numbers. */
static int chain(const char *device, double *numbers)
{
    Store *s = store_create(device, 3);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(B, 3, SIDE, SIDE)), dy = prog_input(p, "dy", F32, SHAPE(B, C));
    Val w1 = prog_param(p, "w1", SHAPE(C, 3, 1, 1), (Init){INIT_NORMAL, 1});
    Val w2 = prog_param(p, "w2", SHAPE(C, C, 3, 3), (Init){INIT_NORMAL, 0.1f});
    Val h = op_conv2d(x, w1, NONE, (Conv2dAttrs){0});
    h = op_max_pool2d(h, (Pool2dAttrs){.kernel = 3, .stride = 2, .padding = 1});
    h = op_avg_pool2d(h, (Pool2dAttrs){.kernel = 2, .stride = 1, .ceil_mode = true, .count_include_pad = true});
    h = op_conv2d(h, w2, NONE, (Conv2dAttrs){.padding = 1});
    h = op_max_pool2d(h, (Pool2dAttrs){.kernel = 2, .ceil_mode = true});
    Val y = op_global_avg_pool(h);
    Vals grads = prog_vjp(VALS(y), VALS(dy), VALS(x, w1, w2));
    Val out[] = {y, grads.v[0], grads.v[1], grads.v[2]};
    Plan *plan = plan_compile(p, (PlanOpts){.name = "chain", .outputs = {out, 4}});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    static double data[MAX_VALUES];
    Random r = random_stream(5, "chain", 0);
    for (int i = 0; i < B * 3 * SIDE * SIDE; i++)
        data[i] = random_normal(&r);
    MUST(prog_write_double(p, x, data));
    for (int i = 0; i < B * C; i++)
        data[i] = random_normal(&r);
    MUST(prog_write_double(p, dy, data));
    int n = 0;
    MUST(plan_run(plan));
    for (int i = 0; i < 4; i++) {
        MUST(plan_read_double(plan, out[i], numbers + n));
        n += (int)shape_count(val_shape(out[i]));
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return n;
}

static void compare(const char *device)
{
    static double want[8 * MAX_VALUES], got[8 * MAX_VALUES];
    int n = chain("reference64", want);
    ck_assert_int_eq(chain(device, got), n);
    double scale = 0;
    for (int i = 0; i < n; i++)
        scale = fmax(scale, fabs(want[i]));
    for (int i = 0; i < n; i++)
        ck_assert_msg(fabs(want[i] - got[i]) <= 2e-6 * scale, "%s: number %d is %g and should be %g", device, i, got[i],
                      want[i]);
}

TEST(cpu)
{
    compare("cpu");
}

TEST(cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    compare("cuda");
    device_close(d);
}

/* The first of equal maxima gets the gradient; NaN wins over everything, and the first NaN gets the gradient. */
TEST(ties_and_nan)
{
    static const char *const devices[] = {"reference", "cpu", "cuda"};
    for (int d = 0; d < 3; d++) {
        Device *device = device_open(devices[d]);
        if (!device)
            continue;
        Store *s = store_create(devices[d], 1);
        HAVE(s);
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", F32, SHAPE(1, 1, 2, 6)), dy = prog_input(p, "dy", F32, SHAPE(1, 1, 1, 3));
        Val y = op_max_pool2d(x, (Pool2dAttrs){.kernel = 2});
        Val dx = prog_vjp(VALS(y), VALS(dy), VALS(x)).v[0];
        Plan *plan = plan_compile(p, (PlanOpts){.name = "ties", .outputs = VALS(y, dx)});
        HAVE(plan);
        const float values[12] = {1, 5, 7, NAN, 0, 0, 5, 2, NAN, 9, 0, 0}, ones[3] = {1, 2, 3};
        const float want[12] = {0, 1, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0};
        float top[3], got[12];
        MUST(prog_write(p, x, values));
        MUST(prog_write(p, dy, ones));
        MUST(plan_run(plan));
        MUST(plan_read(plan, y, top));
        MUST(plan_read(plan, dx, got));
        ck_assert_msg(top[0] == 5 && isnan(top[1]) && top[2] == 0, "%s: %g %g %g", devices[d], top[0], top[1], top[2]);
        for (int i = 0; i < 12; i++)
            ck_assert_msg(got[i] == want[i], "%s: gradient %d is %g", devices[d], i, got[i]);
        plan_free(plan);
        prog_free(p);
        store_free(s);
        device_close(device);
    }
}

/* Sizes that make no sense are mistakes with a message, not crashes. */
TEST(mistakes)
{
    Store *s = store_create("reference", 1);
    HAVE(s);
    const Pool2dAttrs bad[] = {{.kernel = 0}, {.kernel = -1}, {.kernel = 2, .stride = -1}, {.kernel = 2, .padding = 2},
                               {.kernel = 9}, {.kernel = 2, .padding = -1}};
    const Conv2dAttrs wrong[] = {{.stride = -1}, {.dilation = -3}, {.groups = 2}, {.padding = -1}, {.dilation = 4}};
    for (int i = 0; i < 11; i++) {
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", F32, SHAPE(1, 3, 6, 6)), w = prog_input(p, "w", F32, SHAPE(2, 3, 3, 3));
        Val y = i < 6 ? op_max_pool2d(x, bad[i]) : op_conv2d(x, w, NONE, wrong[i - 6]);
        ck_assert_int_eq(y.id, 0);
        ck_assert_ptr_nonnull(prog_error(p));
        ck_assert_ptr_nonnull(strstr(prog_error(p), i < 6 ? "max_pool2d: " : "conv2d: "));
        prog_free(p);
    }
    store_free(s);
}

TEST_MAIN("pooling", cpu, cuda, ties_and_nan, mistakes)
