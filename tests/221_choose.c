/* 221_choose.c - what no finite difference sees: indices out of range and from the end, equal extremes and NaN, and
 * the mistakes of ops that pad, look up and pool. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/gather.h"
#include "engine/ops/pad.h"
#include "engine/ops/pool2d.h"
#include "engine/ops/reduce.h"
#include "tests/test.h"

static const char *const devices[] = {"reference", "reference64", "cpu", "cuda"};

/* Runs f on every device of this build. */
static void everywhere(void (*f)(const char *name, Prog *p))
{
    int ran = 0;
    for (int d = 0; d < 4; d++) {
        Device *device = device_open(devices[d]);
        if (!device)
            continue;
        Store *s = store_create(devices[d], 1);
        HAVE(s);
        Prog *p = prog_create(s);
        f(devices[d], p);
        prog_free(p);
        store_free(s);
        device_close(device);
        ran++;
    }
    ck_assert_int_ge(ran, 3);
}

static void read_floats(Plan *plan, Val v, const char *name, const float *want, int n)
{
    float got[64];
    ck_assert_int_eq(shape_count(val_shape(v)), n);
    MUST(plan_read(plan, v, got));
    for (int i = 0; i < n; i++)
        ck_assert_msg(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])), "%s: element %d is %g and should be %g",
                      name, i, (double)got[i], (double)want[i]);
}

static void indices(const char *name, Prog *p)
{
    Val x = prog_input(p, "x", F32, SHAPE(3, 2)), index = prog_input(p, "index", I32, SHAPE(5));
    Val two = prog_input(p, "two", I32, SHAPE(2, 2));
    Val dy = prog_input(p, "dy", F32, SHAPE(5, 2)), dz = prog_input(p, "dz", F32, SHAPE(2, 2));
    Val y = op_index_select(x, index, 0), z = op_gather(x, two, 0);
    Val dx = prog_vjp(VALS(y), VALS(dy), VALS(x)).v[0], ds = prog_vjp(VALS(z), VALS(dz), VALS(x)).v[0];
    Plan *plan = plan_compile(p, (PlanOpts){.name = "indices", .outputs = VALS(y, z, dx, ds)});
    ck_assert_msg(plan != NULL, "%s: %s", name, prog_error(p) ? prog_error(p) : error_text());
    const float numbers[6] = {1, 2, 3, 4, 5, 6}, rise[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    MUST(prog_write(p, x, numbers));
    MUST(prog_write(p, index, (const int32_t[]){-1, 3, 0, -4, 2}));
    MUST(prog_write(p, two, (const int32_t[]){2, -3, INT32_MIN, INT32_MAX}));
    MUST(prog_write(p, dy, rise));
    MUST(prog_write(p, dz, rise));
    MUST(plan_run(plan));
    read_floats(plan, y, name, (const float[]){5, 6, NAN, NAN, 1, 2, NAN, NAN, 5, 6}, 10);
    read_floats(plan, z, name, (const float[]){5, 2, NAN, NAN}, 4);
    read_floats(plan, dx, name, (const float[]){5, 6, 0, 0, 10, 12}, 6);
    read_floats(plan, ds, name, (const float[]){0, 2, 0, 0, 1, 0}, 6);
    plan_free(plan);
}

TEST(indices_out_of_range)
{
    everywhere(indices);
}

/* Rows: two equal maxima; a NaN; all equal, -inf among others; by columns too. */
static void extremes(const char *name, Prog *p)
{
    Val x = prog_input(p, "x", F32, SHAPE(3, 4)), dy = prog_input(p, "dy", F32, SHAPE(3));
    Val dz = prog_input(p, "dz", F32, SHAPE(4));
    Val y = op_reduce_max(x, INTS(1), false), z = op_reduce_max(x, INTS(0), false);
    Val low = op_reduce_min(x, INTS(1), false);
    Val dx = prog_vjp(VALS(y), VALS(dy), VALS(x)).v[0], ds = prog_vjp(VALS(z), VALS(dz), VALS(x)).v[0];
    Plan *plan = plan_compile(p, (PlanOpts){.name = "extremes", .outputs = VALS(y, z, low, dx, ds)});
    ck_assert_msg(plan != NULL, "%s: %s", name, prog_error(p) ? prog_error(p) : error_text());
    const float values[12] = {1, 7, 7, -2, NAN, 9, 0, 1, -INFINITY, 7, 7, -2};
    MUST(prog_write(p, x, values));
    MUST(prog_write(p, dy, (const float[]){4, 3, 2}));
    MUST(prog_write(p, dz, (const float[]){1, 2, 8, 3}));
    MUST(plan_run(plan));
    read_floats(plan, y, name, (const float[]){7, NAN, 7}, 3);
    read_floats(plan, z, name, (const float[]){NAN, 9, 7, 1}, 4);
    read_floats(plan, low, name, (const float[]){-2, NAN, -INFINITY}, 3);
    read_floats(plan, dx, name, (const float[]){0, 2, 2, 0, 3, 0, 0, 0, 0, 1, 1, 0}, 12);
    read_floats(plan, ds, name, (const float[]){0, 0, 4, 0, 1, 2, 0, 3, 0, 0, 4, 0}, 12);
    plan_free(plan);
}

TEST(equal_extremes_and_nan)
{
    everywhere(extremes);
}

/* A NaN and the maximum in a long row, so that vectors, chunks and warps meet them in every place. */
static void long_rows(const char *name, Prog *p)
{
    enum { N = 10000 };
    static float values[2 * N];
    Val x = prog_input(p, "x", F32, SHAPE(2, N)), y = op_reduce_max(x, INTS(1), false);
    Plan *plan = plan_compile(p, (PlanOpts){.name = "long", .outputs = VALS(y)});
    HAVE(plan);
    for (int at = 3; at < N; at += 1237) {
        for (int i = 0; i < 2 * N; i++)
            values[i] = -1 - (float)(i % 7);
        values[at] = -0.5f;
        values[N + at] = NAN;
        MUST(prog_write(p, x, values));
        MUST(plan_run(plan));
        read_floats(plan, y, name, (const float[]){-0.5f, NAN}, 2);
    }
    plan_free(plan);
}

TEST(extremes_anywhere)
{
    everywhere(long_rows);
}

TEST(mistakes)
{
    Store *s = store_create("reference", 1);
    HAVE(s);
    for (int bad = 0; bad < 15; bad++) {
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", F32, SHAPE(2, 3, 4, 5)), i = prog_input(p, "i", I32, SHAPE(3)), y = x;
        Val j = prog_input(p, "j", I32, SHAPE(2, 4, 4, 5)), none = prog_input(p, "none", F32, SHAPE(2, 0));
        const char *op = bad < 5 ? "pad" : bad < 9 ? "gather" : bad < 11 ? "index_select" : "pool2d";
        switch (bad) {
        case 0: y = op_pad(x, (PadAttrs){.pad = INTS(1, 2, 3)}); break;
        case 1: y = op_pad(x, (PadAttrs){.pad = INTS(-3, -3)}); break;
        case 2: y = op_pad(x, (PadAttrs){.pad = INTS(5, 0), .mode = "reflect"}); break;
        case 3: y = op_pad(x, (PadAttrs){.pad = INTS(1, 1), .mode = "edge"}); break;
        case 4: y = op_pad(x, (PadAttrs){.pad = INTS(INT64_MAX, INT64_MAX)}); break;
        case 5: y = op_gather(x, i, 0); break;
        case 6: y = op_gather(x, j, 0); break;
        case 7: y = op_gather(x, x, 1); break;
        case 8: y = op_gather(x, j, 4); break;
        case 9: y = op_index_select(x, j, 0); break;
        case 10: y = op_index_select(x, i, -5); break;
        case 11: y = op_adaptive_max_pool2d(x, 0, 1); break;
        case 12: y = op_max_pool2d(x, (Pool2dAttrs){.kernel = 3, .padding_w = 2}); break;
        case 13: y = op_avg_pool2d(x, (Pool2dAttrs){.kernel_h = 2}); break;
        case 14: y = op_reduce_max(none, INTS(1), false); op = "reduce_max"; break;
        }
        ck_assert_msg(!val_ok(y), "mistake %d was not noticed", bad);
        HAVE(prog_error(p));
        ck_assert_msg(strstr(prog_error(p), op) != NULL, "mistake %d: %s", bad, prog_error(p));
        prog_free(p);
    }
    store_free(s);
}

TEST_MAIN("choosing", indices_out_of_range, equal_extremes_and_nan, extremes_anywhere, mistakes)
