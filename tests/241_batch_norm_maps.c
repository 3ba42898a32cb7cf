/* 241_batch_norm_maps.c - batch normalisation of maps so large that fast kernels cut them into slices, and of small
 * ones: with groups, residual and leaky ReLU, forward and backward, on cpu and cuda against the double reference; on
 * cuda in bfloat16 too, between convolutions that change nothing. */
#include "engine/ops/batch_norm_leaky_relu.h"
#include "engine/ops/binary.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/leaky_relu.h"
#include "tests/ops.h"
#include "tests/programs.h"

enum { RESULTS = 9 };
typedef struct Answer {
    double *value[RESULTS];
    int64_t count[RESULTS];
} Answer;

static const char *const names[RESULTS] = {"y", "mean", "rstd", "new mean", "new var", "dx", "dresidual", "dgamma",
                                           "dbeta"};

/* Normals that bfloat16 holds. */
static Val rounded_input(Prog *p, const char *name, Shape shape, float mean, float deviation)
{
    Val v = prog_input(p, name, F32, shape);
    int64_t n = shape_count(shape);
    float *x = normals(n, name, 5, deviation);
    for (int64_t i = 0; i < n; i++)
        x[i] = bf16_value(bf16_bits(x[i] + mean));
    MUST(prog_write(p, v, x));
    free(x);
    return v;
}

static Val identity(Prog *p, int64_t channels)
{
    Val w = prog_input(p, "identity", F32, SHAPE(channels, channels, 1, 1));
    float *x = must_zalloc((size_t)(channels * channels) * sizeof *x);
    for (int64_t c = 0; c < channels; c++)
        x[c * channels + c] = 1;
    MUST(prog_write(p, w, x));
    free(x);
    return w;
}

static void answer(const char *device, Shape shape, int groups, bool residual, Answer *a)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    int64_t C = shape.dim[1];
    Val x = rounded_input(p, "x", shape, 3, 0.5f), r = rounded_input(p, "r", shape, 0, 1), w = identity(p, C);
    Val dy = rounded_input(p, "dy", shape, 0.1f, 1), gamma = rounded_input(p, "gamma", SHAPE(C), 1, 0.3f);
    Val beta = rounded_input(p, "beta", SHAPE(C), 0, 1), mean = rounded_input(p, "mean", SHAPE(C), 0, 1);
    Val var = rounded_input(p, "var", SHAPE(C), 2, 0.1f);
    BatchNorm n = op_batch_norm(op_conv2d(x, w, NONE, (Conv2dAttrs){0}), gamma, beta, mean, var,
                                (BatchNormAttrs){.training = true, .update = true, .groups = groups});
    Val y = residual ? op_add(n.y, op_conv2d(r, w, NONE, (Conv2dAttrs){0})) : n.y;
    y = op_leaky_relu(y, 0.25f);
    Vals g = prog_vjp(VALS(y), VALS(dy), VALS(x, r, gamma, beta));
    Val all[RESULTS] = {y, n.mean, n.rstd, n.new_running_mean, n.new_running_var, g.v[0], g.v[1], g.v[2], g.v[3]};
    Plan *plan = plan_must(p, (Vals){all, RESULTS}, (Vals){0});
    ck_assert_int_eq(nodes_of(plan->q, "batch_norm_leaky_relu"), 1);
    ck_assert_int_eq(nodes_of(plan->q, "batch_norm_leaky_relu_grad"), 1);
    MUST(plan_run(plan));   /* once: a second run would find the first one's results where it should have waited */
    for (int i = 0; i < RESULTS; i++) {
        a->count[i] = shape_count(val_shape(all[i]));
        a->value[i] = must_zalloc((size_t)(a->count[i] + 1) * sizeof *a->value[i]);
        MUST(plan_read_double(plan, all[i], a->value[i]));
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static void answer_free(Answer *a)
{
    for (int i = 0; i < RESULTS; i++)
        free(a->value[i]);
}

/* Maps of bfloat16 may be rounded once. */
static void check(const char *device, Precision precision)
{
    static const int64_t shapes[][4] = {{4, 24, 40, 36}, {6, 17, 30, 31}, {2, 136, 20, 19}, {4, 40, 5, 5},
                                        {2, 520, 2, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int which = 0; which < 4; which++) {
            Answer got, want;
            Shape shape = shape_make(shapes[i], 4);
            int groups = 1 + which % 2;
            MUST(engine_precision(device, precision));
            answer(device, shape, groups, which / 2, &got);
            MUST(engine_precision(device, PRECISION_FP32));
            answer("reference64", shape, groups, which / 2, &want);
            for (int k = 0; k < RESULTS; k++) {
                bool half = precision == PRECISION_BF16 && (k == 0 || k == 5 || k == 6);
                for (int64_t e = 0; e < got.count[k] && half; e++)
                    if (fabs(got.value[k][e] - want.value[k][e]) <= TOLERANCE_BF16_ROUNDING * fabs(want.value[k][e]))
                        got.value[k][e] = want.value[k][e];
                double apart = far_apart(want.value[k], got.value[k], got.count[k]);
                ck_assert_msg(apart <= TOLERANCE_FLOAT, "%s in %s: shape %zu, %d groups, residual %d: %s is %.3g off",
                              device, precision_name(precision), i, groups, which / 2, names[k], apart);
            }
            answer_free(&got);
            answer_free(&want);
        }
}

static bool have_cuda(void)
{
    Device *d = device_open("cuda");
    if (d)
        device_close(d);
    return d != NULL;
}

TEST(on_cpu)
{
    check("cpu", PRECISION_FP32);
}

TEST(on_cuda)
{
    if (!have_cuda())
        SKIP("cuda: %s", error_text());
    check("cuda", PRECISION_FP32);
}

TEST(on_cuda_in_bfloat16)
{
    if (!have_cuda() || engine_precision("cuda", PRECISION_BF16))
        SKIP("cuda: %s", error_text());
    check("cuda", PRECISION_BF16);
}

TEST_MAIN("batch norm maps", on_cpu, on_cuda, on_cuda_in_bfloat16)
