/* 430_precision.c - convolutions in bfloat16: what the CPU computes is the double reference's result of operands
 * rounded to bfloat16, where the plan says bf16; and other answers where it cannot be had. */
#include "tests/programs.h"
#include "tests/tolerance.h"
#include "tests/ops.h"

/* Leaves the test where the machine cannot. */
#define WANT_BF16()                                       \
    do {                                                  \
        if (engine_precision("cpu", PRECISION_BF16))      \
            SKIP("%s", error_text());                     \
    } while (0)

/* Operands and cotangent of one convolution; every value is a normal number of bfloat16 if `coarse`. */
typedef struct Case {
    Conv2dAttrs attrs;
    bool transposed;
    Shape x, w;
} Case;

typedef struct Answer {
    double *y, *dx, *dw;
    Shape ys;
    int halves;       /* convolutions that took bf16 */
} Answer;

static void write_case(Prog *p, Val v, bool coarse)
{
    int64_t n = shape_count(val_shape(v));
    float *values = normals(n, val_name(v), 3, 1);
    for (int64_t i = 0; coarse && i < n; i++)
        values[i] = bf16_value(bf16_bits(values[i]));
    MUST(prog_write(p, v, values));
    free(values);
}

static void count_halves(const void *plan, FILE *to)
{
    MUST(plan_choices(plan, to));
}

static Answer answer(const Case *c, const char *device, bool coarse)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, c->x), w = prog_input(p, "w", F32, c->w);
    Val y = c->transposed ? op_conv_transpose2d(x, w, NONE, c->attrs) : op_conv2d(x, w, NONE, c->attrs);
    Answer a = {.ys = val_shape(y)};
    Val dy = prog_input(p, "dy", F32, a.ys);
    Vals grads = prog_vjp(VALS(y), VALS(dy), VALS(x, w));
    Plan *plan = plan_must(p, VALS(y, grads.v[0], grads.v[1]), (Vals){0});
    write_case(p, x, coarse);
    write_case(p, w, coarse);
    write_case(p, dy, coarse);
    MUST(plan_run(plan));
    a.y = must_alloc(sizeof *a.y * (size_t)shape_count(a.ys));
    a.dx = must_alloc(sizeof *a.dx * (size_t)shape_count(c->x));
    a.dw = must_alloc(sizeof *a.dw * (size_t)shape_count(c->w));
    MUST(plan_read_double(plan, y, a.y));
    MUST(plan_read_double(plan, grads.v[0], a.dx));
    MUST(plan_read_double(plan, grads.v[1], a.dw));
    char *text = printed(count_halves, plan);
    a.halves = count_of(text, "\tbf16");
    free(text);
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return a;
}

static void answer_free(Answer *a)
{
    free(a->y);
    free(a->dx);
    free(a->dw);
}

static double worst(const double *a, const double *b, int64_t n)
{
    double scale = 0, bad = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs(b[i]));
        bad = fmax(bad, fabs(a[i] - b[i]));
    }
    return bad / scale;
}

/* More pixels than conv_weights.c would take in float. */
static const Case cases[] = {
    {{.stride = 1, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {6, 33, 11, 10}}, {4, {18, 33, 3, 3}}},
    {{.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {3, 16, 28, 28}}, {4, {32, 16, 4, 4}}},
    {{.stride = 1, .dilation = 1, .groups = 1}, false, {4, {2, 64, 6, 6}}, {4, {48, 64, 1, 1}}},
    {{.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, true, {4, {3, 32, 14, 14}}, {4, {32, 20, 4, 4}}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Products of rounded operands are exact in float; sums differ by their order alone. */
TEST(operands_are_rounded_and_nothing_else)
{
    WANT_BF16();
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        MUST(engine_precision("cpu", PRECISION_BF16));
        Answer fine = answer(c, "cpu", false), half = answer(c, "cpu", true);
        MUST(engine_precision("cpu", PRECISION_FP32));
        Answer right = answer(c, "reference64", true), exact = answer(c, "reference64", false);
        ck_assert_int_eq(half.halves, 3);
        ck_assert_double_lt(worst(half.y, right.y, shape_count(right.ys)), TOLERANCE_FLOAT);
        ck_assert_double_lt(worst(half.dx, right.dx, shape_count(c->x)), TOLERANCE_FLOAT);
        ck_assert_double_lt(worst(half.dw, right.dw, shape_count(c->w)), TOLERANCE_FLOAT);
        /* The same operands before rounding give the same bits: they are rounded on the way, to nearest. */
        ck_assert_mem_eq(fine.y, half.y, sizeof *fine.y * (size_t)shape_count(right.ys));
        ck_assert_mem_eq(fine.dx, half.dx, sizeof *fine.dx * (size_t)shape_count(c->x));
        ck_assert_mem_eq(fine.dw, half.dw, sizeof *fine.dw * (size_t)shape_count(c->w));
        ck_assert_double_gt(worst(fine.y, exact.y, shape_count(right.ys)), 1e-4);
        answer_free(&fine);
        answer_free(&half);
        answer_free(&right);
        answer_free(&exact);
    }
}

/* NaN, infinity and what rounds up to it. */
TEST(extreme_values_round_as_they_should)
{
    WANT_BF16();
    Store *s = store_create("cpu", 1);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(1, 16, 1, 8)), w = prog_input(p, "w", F32, SHAPE(16, 16, 1, 1));
    Val y = op_conv2d(x, w, NONE, (Conv2dAttrs){0});
    Plan *plan = plan_must(p, VALS(y), (Vals){0});
    MUST(engine_precision("cpu", PRECISION_FP32));
    const float given[8] = {1.00390625f, 1.01171875f, -3.4e38f, 3.39e38f, INFINITY, -INFINITY, 1e-39f, 0};
    float xs[16 * 8] = {0}, ws[16 * 16] = {0}, ys[16 * 8];
    memcpy(xs, given, sizeof given);
    ws[0] = 1;
    MUST(prog_write(p, x, xs));
    MUST(prog_write(p, w, ws));
    MUST(plan_run(plan));
    MUST(plan_read(plan, y, ys));
    ck_assert(ys[0] == 1 && ys[1] == 1.015625f);          /* ties to even, down and up */
    ck_assert(ys[2] == -INFINITY && ys[3] == 3.3895313892515355e38f);
    ck_assert(ys[4] == INFINITY && ys[5] == -INFINITY && ys[6] == 0 && ys[7] == 0);
    xs[0] = NAN;
    MUST(prog_write(p, x, xs));
    MUST(plan_run(plan));
    MUST(plan_read(plan, y, ys));
    ck_assert(isnan(ys[0]) && ys[1] == 1.015625f);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

/* A batch norm that only convolutions read writes bfloat16 itself, and dx of its gradient too; where its result is
 * asked for as well, a reorder does.  Both give the same bits. */
TEST(rounding_at_once_is_rounding_afterwards)
{
    WANT_BF16();
    Store *s = store_create("cpu", 1);
    Prog *p = prog_create(s);
    enum { F = 48, LARGE = 24 * F * 32 * 32 };   /* large enough for results that go past the caches */
    Val x = prog_input(p, "x", F32, SHAPE(24, 32, 32, 32));
    Val w1 = prog_param(p, "w1", SHAPE(F, 32, 1, 1), (Init){INIT_NORMAL, 0.2f});
    Val w2 = prog_param(p, "w2", SHAPE(32, F, 1, 1), (Init){INIT_NORMAL, 0.2f});
    Val gamma = prog_param(p, "gamma", SHAPE(F), (Init){INIT_NORMAL, 1});
    Val beta = prog_param(p, "beta", SHAPE(F), (Init){INIT_NORMAL, 1});
    Val h = op_conv2d(x, w1, NONE, (Conv2dAttrs){0});
    Val y = op_leaky_relu(op_batch_norm(h, gamma, beta, NONE, NONE, BATCH_NORM_TRAINING).y, 0.2f);
    Val z = op_conv2d(y, w2, NONE, (Conv2dAttrs){0});
    Vals g = prog_grad(op_mean(op_square(z)), VALS(w1, w2, gamma, x, h));
    Plan *once = plan_must(p, VALS(z, g.v[0], g.v[1], g.v[2], g.v[3]), (Vals){0});
    Plan *after = plan_must(p, VALS(z, g.v[0], g.v[1], g.v[2], g.v[3], y, g.v[4]), (Vals){0});
    MUST(engine_precision("cpu", PRECISION_FP32));
    /* Beside x, z's cotangent and what enters and leaves the plan, y and the gradient of h are left to round. */
    ck_assert_int_eq(nodes_of(after->q, "reorder") - nodes_of(once->q, "reorder"), 4);
    write_normals(p, x, 1);
    MUST(plan_run(once));
    MUST(plan_run(after));
    Val same[] = {z, g.v[0], g.v[1], g.v[2], g.v[3]};
    float *a = must_alloc(sizeof *a * LARGE), *b = must_alloc(sizeof *b * LARGE);
    for (int i = 0; i < 5; i++) {
        size_t bytes = sizeof *a * (size_t)shape_count(val_shape(same[i]));
        MUST(plan_read(once, same[i], a));
        MUST(plan_read(after, same[i], b));
        ck_assert_msg(!memcmp(a, b, bytes), "value %d differs", i);
    }
    free(a);
    free(b);
    plan_free(once);
    plan_free(after);
    prog_free(p);
    store_free(s);
}

TEST(devices_say_what_they_cannot)
{
    ck_assert_int_eq(engine_precision("reference", PRECISION_BF16), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "reference"));
    ck_assert_ptr_nonnull(strstr(error_text(), "bf16"));
    ck_assert_int_eq(engine_precision("cpu", PRECISION_TF32), -1);
    ck_assert_int_eq(engine_precision("nowhere", PRECISION_FP32), -1);
    MUST(engine_precision("cpu", PRECISION_FP32));
}

TEST_MAIN("precision", operands_are_rounded_and_nothing_else, extreme_values_round_as_they_should,
          rounding_at_once_is_rounding_afterwards, devices_say_what_they_cannot)
