/* 220_basic_ops.c - what the small cases of elementwise, moving and summing ops cannot show: accuracy over the whole
 * range of floats, formats, long sums, many tensors in one Adam step, other dtypes, and messages of mistakes. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/adam.h"
#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/constant.h"
#include "engine/ops/prelu.h"
#include "engine/ops/random.h"
#include "engine/ops/reduce.h"
#include "engine/ops/shape.h"
#include "engine/ops/unary.h"
#include "engine/ops/view.h"
#include "tests/ops.h"

static Plan *compile(Prog *p, Vals outputs, Vals updates)
{
    Plan *plan = plan_compile(p, (PlanOpts){.name = "test", .outputs = outputs, .updates = updates});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    return plan;
}

/* True if the device can be opened: "cuda" only with a GPU or in the emulator. */
static bool have(const char *device)
{
    Device *d = device_open(device);
    if (d)
        device_close(d);
    return d != NULL;
}

/* ---------------------------------------------------------------- unary functions */
static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* Units in the last place of the float nearest to the exact value; denormals have the smallest normal's. */
static double ulps(float got, double want)
{
    bool overflow = isinf(got) && fabs(want) > 3.4028235e38 && got * want > 0;
    if ((isnan(got) && isnan(want)) || (double)got == want || overflow)
        return 0;
    if (isnan(got) || isnan(want) || isinf(got))
        return INFINITY;
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

enum { SWEEP = 1 << 17 };

/* Every so many bits of all floats, both signs, infinities and NaN; 128 special ones first. */
static void check_unary(const char *device, double limit)
{
    static const struct {
        const char *name;
        Val (*build)(Val x);
        double (*exact)(double x);
    } functions[] = {
        {"exp", op_exp, exp}, {"log", op_log, log}, {"tanh", op_tanh, tanh}, {"sigmoid", op_sigmoid, exact_sigmoid},
        {"softplus", op_softplus, exact_softplus}, {"sqrt", op_sqrt, sqrt},
    };
    float *x = must_alloc(SWEEP * sizeof *x), *y = must_alloc(SWEEP * sizeof *y);
    for (uint32_t i = 0; i < SWEEP; i++) {
        uint32_t bits = i * 32749u;
        memcpy(&x[i], &bits, 4);
        if (i % 2)   /* half of them where these functions are not constant */
            x[i] = ((float)i / SWEEP - 0.5f) * 220;
    }
    static const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1, -1, 1e-45f, -1e-45f, 88.72283f, 88.72284f,
                                    -87.4f, -103.9f, -104.5f, 1e38f, -1e38f, 1.1754944e-38f, 0.99999994f, 1.0000001f};
    memcpy(x, special, sizeof special);
    Store *s = store_create(device, 0);
    HAVE(s);
    for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
        Prog *p = prog_create(s);
        Val in = prog_input(p, "x", F32, SHAPE(SWEEP)), out = functions[f].build(in);
        Plan *plan = compile(p, VALS(out), (Vals){0});
        MUST(prog_write(p, in, x));
        MUST(plan_run(plan));
        MUST(plan_read(plan, out, y));
        double worst = 0;
        float where = 0;
        for (int i = 0; i < SWEEP; i++) {
            double u = ulps(y[i], functions[f].exact((double)x[i]));
            if (u > worst) {
                worst = u;
                where = x[i];
            }
        }
        printf("%s on %s: worst %.2f ulp at %.9g\n", functions[f].name, device, worst, where);
        ck_assert_msg(worst <= limit, "%s(%.9g) on %s is %.1f ulp off", functions[f].name, where, device, worst);
        plan_free(plan);
        prog_free(p);
    }
    store_free(s);
    free(x);
    free(y);
}

TEST(unary_accuracy)
{
    check_unary("reference", 0.51);
    check_unary("cpu", 3);
    if (have("cuda"))
        check_unary("cuda", 4);
}

/* ---------------------------------------------------------------- formats */
/* Place of channel c of pixel i of image b in memory, and floats that the memory holds. */
static int64_t place(Format f, int64_t C, int64_t area, int64_t b, int64_t c, int64_t i)
{
    return format_layout(f) == C16    ? ((b * ((C + 15) / 16) + c / 16) * area + i) * 16 + c % 16
           : format_layout(f) == NHWC ? (b * area + i) * C + c
                                      : (b * C + c) * area + i;
}

/* A whole number up to 256, which bfloat16 holds as it is. */
static void put(void *data, Format f, int64_t at, int number)
{
    if (format_half(f))
        ((uint16_t *)data)[at] = bf16_bits((float)number);
    else
        ((float *)data)[at] = (float)number;
}

/* Each device has one layout in bfloat16. */
static bool not_here(const Device *d, Format from, Format to)
{
    Format absent = strcmp(d->backend, "cuda") ? NHWC_BF16 : C16_BF16;
    bool cuda = absent == C16_BF16;
    return from == absent || to == absent || (cuda && ((from == C16 && format_half(to)) ||
                                                       (to == C16 && format_half(from))));
}

static void check_reorder(const char *device)
{
    static const int64_t shapes[][4] = {{2, 3, 4, 5}, {2, 17, 3, 3}, {1, 32, 1, 1}, {3, 40, 7, 5}, {1, 1, 1, 1},
                                         {2, 70, 9, 9}, {2, 130, 1, 3}, {1, 3, 40, 30},
                                         {5, 1500, 1, 2}, {2, 300, 3, 3}, {70, 33, 1, 1}, {2, 1, 50, 50}};
    Device *d = device_open(device);
    HAVE(d);
    const KernelDef *kernel = kernel_find("reorder", d, NULL);
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int from = PLAIN; from < FORMATS; from++)
            for (int to = PLAIN; to < FORMATS; to++) {
                if (not_here(d, (Format)from, (Format)to))
                    continue;
                Tensor x = {.dtype = F32, .format = (Format)from, .shape = shape_make(shapes[s], 4)}, y = x;
                int64_t C = shapes[s][1], area = shapes[s][2] * shapes[s][3], n = shape_count(x.shape);
                y.format = (Format)to;
                size_t x_bytes = tensor_bytes(&x, 4), y_bytes = tensor_bytes(&y, 4);
                void *in = must_zalloc(x_bytes), *out = must_zalloc(y_bytes), *want = must_zalloc(y_bytes);
                for (int64_t i = 0; i < n; i++) {
                    int64_t b = i / (C * area), c = i / area % C, p = i % area;
                    put(in, x.format, place(x.format, C, area, b, c, p), (int)(i % 256) + 1);
                    put(want, y.format, place(y.format, C, area, b, c, p), (int)(i % 256) + 1);
                }
                HAVE(x.data = d->alloc(d, x_bytes));
                HAVE(y.data = d->alloc(d, y_bytes));
                MUST(d->upload(d, x.data, in, x_bytes));
                d->fill(d, y.data, 0xff, y_bytes);
                kernel->run(&(KernelCall){.kernel = kernel, .nin = 1, .nout = 1, .in = &x, .out = &y, .device = d});
                MUST(d->download(d, out, y.data, y_bytes));
                ck_assert_msg(!memcmp(out, want, y_bytes), "%s: reorder of shape %zu from format %d to %d", device, s,
                              from, to);
                d->free(d, x.data);
                d->free(d, y.data);
                free(in);
                free(out);
                free(want);
            }
    device_close(d);
}

TEST(reorder_between_all_formats)
{
    check_reorder("cpu");
    if (have("cuda"))
        check_reorder("cuda");
}

/* ---------------------------------------------------------------- long sums */
/* Sums of normals that do not fit one chunk, over each pattern of axes, against sums in long double. */
static void check_sums(const char *device, float *first, bool keep)
{
    enum { B = 3, C = 5, H = 130, W = 67, N = B * C * H * W };
    float *x = must_alloc(N * sizeof *x);
    Random r = random_stream(1, "sums", 0);
    for (int i = 0; i < N; i++)
        x[i] = random_normal(&r) + 0.5f;
    Store *s = store_create(device, 0);
    HAVE(s);
    Prog *p = prog_create(s);
    Val in = prog_input(p, "x", F32, SHAPE(B, C, H, W));
    unsigned done = 0;
    for (unsigned mask = 1; mask < 16; mask++) {
        AttrInts axes = {0};
        for (int i = 0; i < 4; i++)
            if (mask >> i & 1)
                axes.v[axes.n++] = i;
        Val y = op_reduce_sum(in, axes, mask % 2);
        Plan *plan = compile(p, VALS(y), (Vals){0});
        MUST(prog_write(p, in, x));
        MUST(plan_run(plan));
        int64_t n = shape_count(val_shape(y));
        float *got = must_alloc((size_t)n * sizeof *got);
        long double *want = must_zalloc((size_t)n * sizeof *want), *size = must_zalloc((size_t)n * sizeof *size);
        MUST(plan_read(plan, y, got));
        for (int i = 0; i < N; i++) {
            int at[4] = {i / (C * H * W), i / (H * W) % C, i / W % H, i % W}, dims[4] = {B, C, H, W};
            int64_t o = 0;
            for (int k = 0; k < 4; k++)
                if (!(mask >> k & 1))
                    o = o * dims[k] + at[k];
            want[o] += x[i];
            size[o] += fabsf(x[i]);
        }
        for (int64_t o = 0; o < n; o++)
            ck_assert_msg(fabsl(got[o] - want[o]) <= 3e-7L * size[o], "%s: axes %x, sum %ld is %.9g, not %.9Lg", device,
                          mask, (long)o, got[o], want[o]);
        for (int64_t o = 0; o < n && o < 8; o++, done++) {
            if (keep)
                first[done] = got[o];
            else
                ck_assert_msg(first[done] == got[o], "%s: axes %x depend on the number of threads", device, mask);
        }
        plan_free(plan);
        free(got);
        free(want);
        free(size);
    }
    prog_free(p);
    store_free(s);
    free(x);
}

TEST(long_sums)
{
    float first[200];
    engine_threads(1);
    check_sums("cpu", first, true);
    engine_threads(2);
    check_sums("cpu", first, false);
    check_sums("reference", first, true);
    if (have("cuda"))
        check_sums("cuda", first, true);
}

/* ---------------------------------------------------------------- Adam */
enum { TENSORS = 90, STEPS = 3 };

/* More tensors than one CUDA launch takes, of many sizes, in place over the store, against the formula in double. */
static void check_adam(const char *device)
{
    Store *s = store_create(device, 3);
    HAVE(s);
    Prog *p = prog_create(s);
    Val rate = prog_input(p, "rate", F32, SHAPE(1)), t = prog_state(p, "t", I32, SHAPE(1), (Init){0});
    Val param[TENSORS], grad[TENSORS], m[TENSORS], v[TENSORS], update[1 + 3 * TENSORS];
    int64_t count[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        char name[40];
        count[i] = i == 1 ? 9000 : 1 + i * i % 1500;
        Shape shape = SHAPE(count[i]);
        snprintf(name, sizeof name, "w%d", i);
        param[i] = prog_param(p, name, shape, (Init){INIT_NORMAL, 1});
        snprintf(name, sizeof name, "g%d", i);
        grad[i] = prog_input(p, name, F32, shape);
        snprintf(name, sizeof name, "m%d", i);
        m[i] = prog_state(p, name, F32, shape, (Init){0});
        snprintf(name, sizeof name, "v%d", i);
        v[i] = prog_state(p, name, F32, shape, (Init){0});
    }
    AdamAttrs a = {.beta1 = 0.5f, .beta2 = 0.999f, .epsilon = 1e-8f};
    Vals r = op_adam(rate, t, (Vals){param, TENSORS}, (Vals){grad, TENSORS}, (Vals){m, TENSORS}, (Vals){v, TENSORS}, a);
    ck_assert_msg(r.n == 1 + 3 * TENSORS, "%s", prog_error(p));
    update[0] = op_assign(t, r.v[0]);
    for (int i = 0; i < TENSORS; i++) {
        update[1 + i] = op_assign(param[i], r.v[1 + i]);
        update[1 + TENSORS + i] = op_assign(m[i], r.v[1 + TENSORS + i]);
        update[1 + 2 * TENSORS + i] = op_assign(v[i], r.v[1 + 2 * TENSORS + i]);
    }
    Plan *plan = compile(p, (Vals){0}, (Vals){update, 1 + 3 * TENSORS});
    double *want[TENSORS], *mean[TENSORS], *square[TENSORS];
    float *w = must_alloc(9000 * sizeof *w), *g = must_alloc(9000 * sizeof *g);
    for (int i = 0; i < TENSORS; i++) {
        char name[40];
        want[i] = must_zalloc((size_t)count[i] * 8);
        mean[i] = must_zalloc((size_t)count[i] * 8);
        square[i] = must_zalloc((size_t)count[i] * 8);
        snprintf(name, sizeof name, "w%d", i);
        MUST(store_read(s, store_find(s, name), w));
        for (int64_t e = 0; e < count[i]; e++)
            want[i][e] = w[e];
    }
    for (int step = 1; step <= STEPS; step++) {
        float lr = 0.01f / (float)step;
        double c1 = 1 - pow(a.beta1, step), c2 = 1 - pow((double)a.beta2, step);
        MUST(prog_write(p, rate, &lr));
        for (int i = 0; i < TENSORS; i++) {
            for (int64_t e = 0; e < count[i]; e++) {
                g[e] = random_normal_from(random_unit(random_bits((uint64_t)step, (uint64_t)i, 0, (uint64_t)e)));
                mean[i][e] = a.beta1 * mean[i][e] + (1 - (double)a.beta1) * g[e];
                square[i][e] = a.beta2 * square[i][e] + (1 - (double)a.beta2) * g[e] * g[e];
                want[i][e] -= lr * (mean[i][e] / c1) / (sqrt(square[i][e] / c2) + a.epsilon);
            }
            MUST(prog_write(p, grad[i], g));
        }
        MUST(plan_run(plan));
    }
    int32_t steps;
    MUST(store_read(s, store_find(s, "t"), &steps));
    ck_assert_int_eq(steps, STEPS);
    for (int i = 0; i < TENSORS; i++) {
        char name[40];
        snprintf(name, sizeof name, "w%d", i);
        MUST(store_read(s, store_find(s, name), w));
        for (int64_t e = 0; e < count[i]; e++)   /* roundings of w itself, and 1e-5 of the steps taken */
            ck_assert_msg(fabs(w[e] - want[i][e]) <= 2e-7 * fabs(want[i][e]) + 1e-5 * 0.0183,
                          "%s: parameter %d, element %ld: %.9g, not %.9g", device, i, (long)e, w[e], want[i][e]);
        free(want[i]);
        free(mean[i]);
        free(square[i]);
    }
    free(w);
    free(g);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(adam_over_many_tensors)
{
    check_adam("reference");
    check_adam("cpu");
    if (have("cuda"))
        check_adam("cuda");
}

/* ---------------------------------------------------------------- other dtypes */
static void check_bytes(const char *device)
{
    Store *s = store_create(device, 0);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", U8, SHAPE(2, 3, 5)), k = prog_input(p, "k", I32, SHAPE(9, 11));
    Val y = op_transpose(op_concat(VALS(x, op_slice(x, 1, 1, 2)), 1), INTS(2, 0, 1));
    Val z = op_transpose(op_broadcast_to(op_reshape(k, SHAPE(9, 1, 11)), SHAPE(9, 10, 11)), INTS(2, 1, 0));
    Val real = op_bytes_to_real(y, 2 / 255.0f, -1);
    Plan *plan = compile(p, VALS(y, z, real), (Vals){0});
    uint8_t bytes[30], joined[40];
    int32_t ints[99], turned[990];
    float reals[40];
    for (int i = 0; i < 30; i++)
        bytes[i] = (uint8_t)(255 - 7 * i);
    for (int i = 0; i < 99; i++)
        ints[i] = -1000000007 + 20000003 * i;
    MUST(prog_write(p, x, bytes));
    MUST(prog_write(p, k, ints));
    MUST(plan_run(plan));
    MUST(plan_read(plan, y, joined));
    MUST(plan_read(plan, z, turned));
    MUST(plan_read(plan, real, reals));
    for (int i = 0; i < 40; i++) {   /* y (5, 2, 4): axis 2 is row 0, 1, 2, 1 of x */
        int c = i / 8, b = i / 4 % 2, row = i % 4 == 3 ? 1 : i % 4;
        ck_assert_msg(joined[i] == bytes[(b * 3 + row) * 5 + c], "%s: byte %d", device, i);
        /* Roundings of 2/255, of a product below 2 and of the sum: 2^-23 each. */
        ck_assert_msg(fabs(reals[i] - (2 * joined[i] / 255.0 - 1)) <= 3 * 0x1p-23, "%s: real %d", device, i);
    }
    for (int i = 0; i < 990; i++)
        ck_assert_msg(turned[i] == ints[i % 9 * 11 + i / 90], "%s: integer %d", device, i);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(bytes_and_integers)
{
    check_bytes("reference");
    check_bytes("reference64");
    check_bytes("cpu");
    if (have("cuda"))
        check_bytes("cuda");
}

/* ---------------------------------------------------------------- not a number */
/* What comparisons make of NaN: maximum, minimum and clamp keep it, steps over it are whole. */
static void check_nan(const char *device)
{
    Store *s = store_create(device, 0);
    HAVE(s);
    Prog *p = prog_create(s);
    Val a = prog_input(p, "a", F32, SHAPE(4)), b = prog_input(p, "b", F32, SHAPE(4));
    Val kept[] = {op_maximum(a, b), op_minimum(a, b), op_clamp(op_add(a, b), (ClampAttrs){-1, 1})};
    Val step = op_step(a, b);
    Plan *plan = compile(p, VALS(kept[0], kept[1], kept[2], step), (Vals){0});
    MUST(prog_write(p, a, (const float[]){NAN, 2, NAN, INFINITY}));
    MUST(prog_write(p, b, (const float[]){2, NAN, NAN, 3}));
    MUST(plan_run(plan));
    float x[4];
    for (int i = 0; i < 3; i++) {
        MUST(plan_read(plan, kept[i], x));
        ck_assert_msg(isnan(x[0]) && isnan(x[1]) && isnan(x[2]) && x[3] == (i == 0 ? INFINITY : i == 1 ? 3 : 1),
                      "%s: result %d: %g %g %g %g", device, i, x[0], x[1], x[2], x[3]);
    }
    MUST(plan_read(plan, step, x));
    ck_assert(x[0] == 1 && x[1] == 1 && x[2] == 1 && x[3] == 1);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(comparisons_with_nan)
{
    check_nan("reference");
    check_nan("cpu");
    if (have("cuda"))
        check_nan("cuda");
}

/* ---------------------------------------------------------------- mistakes */
/* Builds one mistake in a fresh program; the message must hold the op's name and both words. */
#define MISTAKE(build, op, word, other)                                                                \
    do {                                                                                               \
        Prog *p = prog_create(s);                                                                      \
        Val a = prog_input(p, "a", F32, SHAPE(2, 3)), b = prog_input(p, "b", F32, SHAPE(4, 3));        \
        Val n = prog_input(p, "n", I32, SHAPE(4)), t = prog_input(p, "t", I32, SHAPE(1));              \
        (void)a, (void)b, (void)n, (void)t;                                                            \
        build;                                                                                         \
        const char *text = prog_error(p) ? prog_error(p) : "";                                         \
        ck_assert_msg(strstr(text, op) && strstr(text, word) && strstr(text, other), "%s: %s", #build, text); \
        prog_free(p);                                                                                  \
    } while (0)

TEST(mistakes_are_named)
{
    Store *s = store_create("cpu", 0);
    HAVE(s);
    MISTAKE(op_exp(n), "exp", "int32", "real");
    MISTAKE(op_add(a, b), "add", "broadcast", "(4, 3)");
    MISTAKE(op_mul(a, n), "mul", "int32", "real");
    MISTAKE(op_maximum(a, b), "maximum", "broadcast", "(4, 3)");
    MISTAKE(op_clamp(a, (ClampAttrs){NAN, 1}), "clamp", "min", "numbers");
    MISTAKE(op_pow(a, INFINITY), "pow", "exponent", "finite");
    MISTAKE(op_relu6(n), "clamp", "int32", "real");
    MISTAKE(op_prelu(a, b), "prelu", "slope", "rank 2");
    MISTAKE(op_prelu(a, op_fill(p, SHAPE(2), 0)), "prelu", "2 slopes", "3 channels");
    MISTAKE(op_prelu(op_fill(p, SHAPE(2), 0), op_fill(p, SHAPE(2), 0)), "prelu", "2 slopes", "1 channels");
    MISTAKE(op_reduce_sum(a, INTS(2), false), "reduce_sum", "axes", "(2, 3)");
    MISTAKE(op_reduce_sum(a, INTS(1, -1), false), "reduce_sum", "axes", "different");
    MISTAKE(op_reshape(a, SHAPE(4, -1)), "reshape", "6 elements", "(4, 1)");
    MISTAKE(op_reshape(a, SHAPE(-1, -1)), "reshape", "-1", "dimension 1");
    MISTAKE(op_reshape(a, SHAPE(0, -1)), "reshape", "6 elements", "(0, 0)");
    MISTAKE(op_reshape(a, SHAPE(INT64_C(1) << 62, INT64_C(1) << 62)), "reshape", "dimension 1", "shape");
    MISTAKE(op_flatten(op_sum(a)), "flatten", "rank 0", "batch");
    MISTAKE(op_broadcast_to(a, SHAPE(2, 4)), "broadcast_to", "(2, 4)", "(2, 3)");
    MISTAKE(op_broadcast_to(a, SHAPE(3)), "broadcast_to", "(3)", "(2, 3)");
    MISTAKE(op_transpose(a, INTS(0, 0)), "transpose", "permutation", "once");
    MISTAKE(op_transpose(a, INTS(0)), "transpose", "permutation", "2 axes");
    MISTAKE(op_concat(VALS(a, b), 1), "concat", "operand 1", "axis 1");
    MISTAKE(op_concat(VALS(a, a), 2), "concat", "axis 2", "2 axes");
    MISTAKE(op_slice(a, 1, 2, 5), "slice", "2 .. 5", "size 3");
    MISTAKE(op_slice(a, -3, 0, 1), "slice", "axis", "(2, 3)");
    MISTAKE(op_slice(a, 0, 0, INT64_C(1) << 40), "slice", "axis 0", "size 2");
    MISTAKE(op_pad_slice(a, 1, 3, 5), "pad_slice", "3 elements", "size 5");
    MISTAKE(op_pad_slice_step(a, 1, 0, 4, 2), "pad_slice", "3 elements", "size 4");
    MISTAKE(op_slice_step(a, 1, 0, 3, 0), "slice", "step is 0", "at least 1");
    MISTAKE(op_unsqueeze(a, INTS(1, 1)), "unsqueeze", "axis 1", "twice");
    MISTAKE(op_squeeze(a, INTS(2)), "squeeze", "axis 2", "2 axes");
    MISTAKE(op_flatten_dims(a, 1, 0), "flatten", "1 to 0", "2 of x");
    MISTAKE(op_reduce_max(a, INTS(1, -1), false), "reduce_max", "different", "(2, 3)");
    MISTAKE(op_fill(p, SHAPE(2, -1), 0), "fill", "dimension 1", "negative");
    MISTAKE(op_assign(a, b), "assign", "shape", "(4, 3)");
    MISTAKE(op_assign(n, NONE), "assign", "value", "missing");
    MISTAKE(op_reorder(a, C16), "reorder", "rank", "4");
    MISTAKE(op_bytes_to_real(a, 1, 0), "bytes_to_real", "real", "bytes");
    MISTAKE(op_rng_advance(t), "rng_advance", "4 integers", "(1)");
    MISTAKE(op_random_normal(n, "x", SHAPE(2, -5)), "random_normal", "dimension 1", "negative");
    MISTAKE(op_dropout(a, b, n, "x"), "dropout", "rate", "one number");
    MISTAKE(op_adam(b, t, (Vals){0}, (Vals){0}, (Vals){0}, (Vals){0}, (AdamAttrs){0}), "adam", "rate", "one number");
    MISTAKE(op_adam(op_sum(a), t, VALS(a), VALS(b), VALS(a), VALS(a), (AdamAttrs){0}), "adam", "operand 3",
            "parameter");
    MISTAKE(op_adam(op_sum(a), t, VALS(a), VALS(a), VALS(a), VALS(a), (AdamAttrs){.beta1 = 1}), "adam", "beta1",
            "[0, 1)");
    MISTAKE(op_adam(op_sum(a), t, VALS(a, a), VALS(a), VALS(a), VALS(a), (AdamAttrs){0}), "adam", "2 parameters",
            "1 grad");
    store_free(s);
}

/* What costs nothing leaves no op behind. */
TEST(identities_vanish)
{
    Store *s = store_create("cpu", 0);
    HAVE(s);
    Prog *p = prog_create(s);
    Val a = prog_input(p, "a", F32, SHAPE(2, 3));
    ck_assert_int_eq(op_affine(a, 1, 0).id, a.id);
    ck_assert_int_eq(op_reshape(a, SHAPE(2, 3)).id, a.id);
    ck_assert_int_eq(op_flatten(a).id, a.id);
    ck_assert_int_eq(op_broadcast_to(a, SHAPE(2, 3)).id, a.id);
    ck_assert_int_eq(op_slice(a, -1, 0, 3).id, a.id);
    ck_assert_int_eq(op_reduce_to(a, SHAPE(2, 3)).id, a.id);
    Val two = op_add(op_reduce_sum(a, INTS(0, 1), false), op_reduce_sum(a, INTS(-1, -2), false));
    Plan *plan = compile(p, VALS(two), (Vals){0});
    ck_assert_int_eq(plan_ops(plan), 2);   /* one sum, one addition */
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST_MAIN("basic ops", unary_accuracy, reorder_between_all_formats, long_sums, adam_over_many_tensors,
          bytes_and_integers, comparisons_with_nan, mistakes_are_named, identities_vanish)
