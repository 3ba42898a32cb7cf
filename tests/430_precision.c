/* 430_precision.c - convolutions in bfloat16: what the CPU computes is the double reference's result of operands
 * rounded to bfloat16, where the plan says bf16; what CUDA stores in bfloat16, and how far whole steps are from double
 * then; and other answers where it cannot be had. */
#include <dlfcn.h>

#include "tests/steps.h"
#include "tests/tolerance.h"

/* Leaves the test where the machine cannot; where it is only slow, that is no reason. */
#define WANT_BF16()                                       \
    do {                                                  \
        setenv("ENGINE_BF16", "1", 1);                    \
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
    int halves;       /* convolutions that took operands in bfloat16 */
    int own;          /* gradients of weights among them in bfloat16 by conv_weights.c */
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
    a.own = count_of(text, "\tsmall-map-bf16");
    a.halves = count_of(text, "\tbf16") + a.own;
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

/* Channels, filters, pixels and pictures in multiples of what vectors hold, and not; tiles of 1, 2 and 3 blocks. */
static const Case cases[] = {
    {{.stride = 1, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {6, 33, 11, 10}}, {4, {18, 33, 3, 3}}},
    {{.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {3, 16, 28, 28}}, {4, {32, 16, 4, 4}}},
    {{.stride = 1, .dilation = 1, .groups = 1}, false, {4, {2, 64, 6, 6}}, {4, {48, 64, 1, 1}}},
    {{.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, true, {4, {3, 32, 14, 14}}, {4, {32, 20, 4, 4}}},
    {{.stride = 1, .dilation = 1, .groups = 1}, false, {4, {5, 70, 7, 5}}, {4, {75, 70, 1, 1}}},
    {{.stride = 2, .dilation = 1, .groups = 1}, false, {4, {3, 48, 9, 8}}, {4, {33, 48, 1, 1}}},
    {{.stride = 1, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {16, 96, 4, 4}}, {4, {40, 96, 3, 3}}},
    {{.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, false, {4, {3, 41, 9, 7}}, {4, {24, 41, 3, 3}}},
    {{.stride = 1, .padding = 2, .dilation = 2, .groups = 1}, false, {4, {2, 17, 10, 11}}, {4, {50, 17, 3, 3}}},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Products of rounded operands are exact in float; sums differ by their order alone. */
TEST(operands_are_rounded_and_nothing_else)
{
    WANT_BF16();
    int by_own_kernel = 0;
    for (int i = 0; i < CASES; i++) {
        const Case *c = &cases[i];
        MUST(engine_precision("cpu", PRECISION_BF16));
        Answer fine = answer(c, "cpu", false), half = answer(c, "cpu", true);
        MUST(engine_precision("cpu", PRECISION_FP32));
        Answer right = answer(c, "reference64", true), exact = answer(c, "reference64", false);
        ck_assert_msg(half.halves == 3, "case %d: %d of 3 convolutions took bfloat16", i, half.halves);
        by_own_kernel += half.own;
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
    printf("gradients of weights by conv_weights.c: %d of %d\n", by_own_kernel, CASES);
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

/* ---------------------------------------------------------------- CUDA */
#define WANT_CUDA(precision)                          \
    do {                                              \
        Device *here = device_open("cuda");           \
        if (!here)                                    \
            SKIP("cuda: %s", error_text());           \
        device_close(here);                           \
        if (engine_precision("cuda", precision))      \
            SKIP("%s", error_text());                 \
    } while (0)

/* Activations and their gradients lie in bfloat16 from layer to layer; what is not of rank 4 is float. */
static void check_formats(const Prog *q)
{
    static const char *const layers[] = {"conv2d", "conv_transpose2d", "batch_norm", "batch_norm_leaky_relu",
                                         "batch_norm_grad", "batch_norm_leaky_relu_grad", "leaky_relu",
                                         "leaky_relu_grad", "max_pool2d", "max_pool2d_grad", "add"};
    int halves = 0, odd = 0;
    for (int n = 0; n < q->nnodes; n++)
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
            const Value *v = &q->values[q->nodes[n].out[0]];
            if (strcmp(q->nodes[n].op->name, layers[i]) || v->shape.rank != 4)
                continue;
            bool whole = v->shape.dim[1] % 8 == 0;
            ck_assert_msg(!whole || v->format == NHWC_BF16, "%s of %ld channels is in format %d", layers[i],
                          (long)v->shape.dim[1], (int)v->format);
            halves += whole;
            odd += !whole && format_half(v->format);
        }
    ck_assert_int_gt(halves, 20);
    ck_assert_int_eq(odd, 0);
}

TEST(values_between_layers_are_stored_in_bfloat16)
{
    WANT_CUDA(PRECISION_BF16);
    Store *s = store_create("cuda", 4);
    SynthesisStep *step = synthesis_step_create(s, options(), BATCH, 1);
    RecogniserStep *r = recogniser_step_create(s, recogniser_options(SIDE, 16), 8, CLASSES);
    HAVE(step);
    HAVE(r);
    MUST(engine_precision("cuda", PRECISION_FP32));
    SynthesisStep *whole = synthesis_step_create(s, options(), BATCH, 1);
    HAVE(whole);
    check_formats(step->plan->q);
    check_formats(r->plan->q);
    /* Of weights one copy in bfloat16 is kept for both passes: more than half of the scratch goes all the same. */
    printf("scratch: %zu KiB in bf16, %zu in fp32\n", plan_arena_bytes(step->plan) >> 10,
           plan_arena_bytes(whole->plan) >> 10);
    synthesis_step_free(step);
    synthesis_step_free(whole);
    recogniser_step_free(r);
    store_free(s);
}

/* Cosine between what two stores hold under names with this prefix, all of it as one vector; *least: of one name. */
static double cosine(const Store *a, const Store *b, const char *prefix, double *least, const char **where)
{
    double all[3] = {0};
    *least = 1;
    for (int i = 0; i < store_count(a); i++) {
        const char *name = store_name(a, i);
        if (strncmp(name, prefix, strlen(prefix)) || strstr(name, "fc.bias"))   /* no gradient before a batch norm */
            continue;
        int64_t n = shape_count(store_shape(a, i));
        float *x = must_alloc(((size_t)n + 1) * sizeof *x), *y = must_alloc(((size_t)n + 1) * sizeof *y);
        double one[3] = {0};
        MUST(store_read(a, i, x));
        MUST(store_read(b, store_find(b, name), y));
        for (int64_t k = 0; k < n; k++) {
            one[0] += (double)x[k] * (double)y[k];
            one[1] += (double)x[k] * (double)x[k];
            one[2] += (double)y[k] * (double)y[k];
        }
        for (int k = 0; k < 3; k++)
            all[k] += one[k];
        if (one[2] > 0 && one[0] / sqrt(one[1] * one[2]) < *least) {
            *least = one[0] / sqrt(one[1] * one[2]);
            *where = name;
        }
        free(x);
        free(y);
    }
    ck_assert_double_gt(all[2], 0);
    return all[0] / sqrt(all[1] * all[2]);
}

/* One step: losses, and gradients by Adam's first moments, which are a tenth of them. */
static void compare_step(bool (*train)(const char *, Trained *, int), Precision p, const char *const *prefixes,
                         double loss_limit, double cosine_limit, double least_limit)
{
    Trained half, again, want;
    MUST(engine_precision("cuda", p));
    train("cuda", &half, 1);
    train("cuda", &again, 1);
    MUST(engine_precision("cuda", PRECISION_FP32));
    train("reference64", &want, 1);
    double loss = 0, least = 1;
    for (int64_t i = 0; i < want.losses.n; i++)
        loss = fmax(loss, fabs(half.losses.x[i] - want.losses.x[i]) / fabs(want.losses.x[i]));
    ck_assert_msg(loss <= loss_limit, "a loss in %s is %.3g off", precision_name(p), loss);
    for (; *prefixes; prefixes++) {
        const char *where = "";
        double c = cosine(half.store, want.store, *prefixes, &least, &where);
        printf("%s in %s: losses %.2g off, cosine of gradients %.4f, least %.4f (%s)\n", *prefixes, precision_name(p),
               loss, c, least, where);
        ck_assert_msg(c >= cosine_limit && least >= least_limit, "gradients %s in %s: cosine %.4f, least %.4f (%s)",
                      *prefixes, precision_name(p), c, least, where);
    }
    size_t n, m;
    char *x = store_bits(half.store, &n), *y = store_bits(again.store, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_msg(!memcmp(x, y, n), "trained again, the store differs");
    free(x);
    free(y);
    trained_free(&half);
    trained_free(&again);
    trained_free(&want);
}

static const char *const synthesis_moments[] = {"adam.ag.m.A.", "adam.ag.m.G.", "adam.d.m.", NULL};
static const char *const recognition_moments[] = {"adam.m.", NULL};

TEST(whole_steps_in_bfloat16)
{
    WANT_CUDA(PRECISION_BF16);
    compare_step(synthesise_steps, PRECISION_BF16, synthesis_moments, TOLERANCE_BF16_LOSS, TOLERANCE_BF16_COSINE,
                 TOLERANCE_BF16_LEAST_COSINE);
    compare_step(recognise_steps, PRECISION_BF16, recognition_moments, TOLERANCE_BF16_LOSS, TOLERANCE_BF16_COSINE,
                 TOLERANCE_BF16_LEAST_COSINE);
}

/* Where products of floats keep all bits (emulated ones do), padding channels to groups of 4 changes nothing. */
TEST(whole_steps_with_padded_channels)
{
    WANT_CUDA(PRECISION_TF32);
    compare_step(synthesise_steps, PRECISION_TF32, synthesis_moments, TOLERANCE_TF32_LOSS, TOLERANCE_TF32_COSINE,
                 TOLERANCE_TF32_COSINE);
    compare_step(recognise_steps, PRECISION_TF32, recognition_moments, TOLERANCE_TF32_LOSS, TOLERANCE_TF32_COSINE,
                 TOLERANCE_TF32_COSINE);
}

/* Both ways of making a matrix product while convolutions are in bfloat16: from floats, or rounded first. */
TEST(matrix_products_beside_bfloat16)
{
    WANT_CUDA(PRECISION_BF16);
    enum { M = 5, K = 33, N = 17 };
    Store *s = store_create("cuda", 1);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(M, K)), w = prog_input(p, "w", F32, SHAPE(K, N));
    Val b = prog_input(p, "b", F32, SHAPE(N)), y = op_matmul(x, w, b, (MatmulAttrs){0});
    float *xs = normals(M * K, "x", 1, 1), *ws = normals(K * N, "w", 1, 1), *bs = normals(N, "b", 1, 1);
    char path[] = "/tmp/guise-tuning-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    FILE *table = fdopen(file, "w");
    for (int rounds = 0; rounds < 2; rounds++) {
        Plan *plan = plan_compile(p, (PlanOpts){.name = "product", .outputs = VALS(y), .tuning = rounds ? path : NULL});
        HAVE(plan);
        char *lines = printed(count_halves, plan);
        ck_assert_ptr_nonnull(strstr(lines, rounds ? "\tbf16" : "\ttf32"));
        if (!rounds) {   /* the same line with the other algorithm */
            memcpy(strstr(lines, "\ttf32") + 1, "bf16", 4);
            fputs(lines, table);
            fclose(table);
        }
        free(lines);
        MUST(prog_write(p, x, xs));
        MUST(prog_write(p, w, ws));
        MUST(prog_write(p, b, bs));
        MUST(plan_run(plan));
        double got[M * N], want[M * N], exact[M * N];
        MUST(plan_read_double(plan, y, got));
        for (int i = 0; i < M * N; i++) {
            want[i] = exact[i] = (double)bs[i % N];
            for (int k = 0; k < K; k++) {
                float a = xs[i / N * K + k], c = ws[k * N + i % N];
                exact[i] += (double)a * (double)c;
                want[i] += (double)bf16_value(bf16_bits(a)) * (double)bf16_value(bf16_bits(c));
            }
        }
        double limit = rounds ? TOLERANCE_FLOAT : TOLERANCE_TF32_PRODUCT;
        ck_assert_double_lt(worst(got, rounds ? want : exact, M * N), limit);
        if (rounds)
            ck_assert_double_gt(worst(got, exact, M * N), 1e-4);
        plan_free(plan);
    }
    MUST(engine_precision("cuda", PRECISION_FP32));
    remove(path);
    free(xs);
    free(ws);
    free(bs);
    prog_free(p);
    store_free(s);
}

TEST(older_gpus_multiply_in_float)
{
    if (!dlsym(RTLD_DEFAULT, "fakecuda_mark"))
        SKIP("only an emulated device can say that it is an older one");
    setenv("FAKECUDA_CC", "75", 1);
    ck_assert_int_eq(engine_precision("cuda:0", PRECISION_BF16), -1);
    ck_assert_int_eq(engine_precision("cuda", PRECISION_TF32), -1);
    MUST(engine_precision("cuda:0", PRECISION_FP32));
    setenv("FAKECUDA_CC", "80", 1);
    MUST(engine_precision("cuda:0", PRECISION_BF16));
    MUST(engine_precision("cuda:0", PRECISION_FP32));
    unsetenv("FAKECUDA_CC");
}

TEST(devices_say_what_they_cannot)
{
    ck_assert_int_eq(engine_precision("reference", PRECISION_BF16), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "reference"));
    ck_assert_ptr_nonnull(strstr(error_text(), "bf16"));
    ck_assert_int_eq(engine_precision("cpu", PRECISION_TF32), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "fp32 or bf16"));
    /* Whether this processor is slow at bfloat16 or not: with the switch it takes it if it has it at all. */
    setenv("ENGINE_BF16", "0", 1);
    bool by_itself = !engine_precision("cpu", PRECISION_BF16);
    if (!by_itself)
        ck_assert_msg(strstr(error_text(), "bfloat16 slower than float") || strstr(error_text(), "AVX512_BF16"), "%s",
                      error_text());
    setenv("ENGINE_BF16", "1", 1);
    bool asked = !engine_precision("cpu", PRECISION_BF16);
    ck_assert(asked || (!by_itself && strstr(error_text(), "AVX512_BF16")));
    unsetenv("ENGINE_BF16");
    ck_assert_int_eq(engine_precision("nowhere", PRECISION_FP32), -1);
    MUST(engine_precision("cpu", PRECISION_FP32));
}

TEST_MAIN("precision", operands_are_rounded_and_nothing_else, extreme_values_round_as_they_should,
          rounding_at_once_is_rounding_afterwards, values_between_layers_are_stored_in_bfloat16,
          whole_steps_in_bfloat16, whole_steps_with_padded_channels, matrix_products_beside_bfloat16,
          older_gpus_multiply_in_float, devices_say_what_they_cannot)
