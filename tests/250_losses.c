/* 250_losses.c - softmax cross-entropy, ArcFace and the composed losses beyond their cases: labels out of range, the
 * two gradients of the margin against their formulas, its fallback, large logits. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/arcface.h"
#include "engine/ops/l2_normalize.h"
#include "engine/ops/losses.h"
#include "engine/ops/matmul.h"
#include "engine/ops/reduce.h"
#include "engine/ops/softmax.h"
#include "engine/ops/softmax_cross_entropy.h"
#include "engine/random.h"
#include "tests/test.h"

static const char *const devices[] = {"reference64", "reference", "cpu", "cuda"};
enum { DEVICES = 4 };

/* A store and a program on a device; false, with a line, when the device is not here. */
typedef struct Bench {
    const char *device;
    Store *s;
    Prog *p;
    Plan *plan;
} Bench;

static bool bench_open(Bench *b, const char *device)
{
    *b = (Bench){.device = device, .s = store_create(device, 1)};
    if (!b->s) {
        printf("SKIP %s: %s\n", device, error_text());
        return false;
    }
    b->p = prog_create(b->s);
    return true;
}

static void bench_run(Bench *b, Vals outputs)
{
    b->plan = plan_compile(b->p, (PlanOpts){.name = "losses", .outputs = outputs});
    ck_assert_msg(b->plan != NULL, "%s: %s", b->device, prog_error(b->p) ? prog_error(b->p) : error_text());
    MUST(plan_run(b->plan));
}

static void bench_close(Bench *b)
{
    plan_free(b->plan);
    prog_free(b->p);
    store_free(b->s);
}

static Val reals(Bench *b, const char *name, Shape shape, const double *x)
{
    Val v = prog_input(b->p, name, F32, shape);
    MUST(prog_write_double(b->p, v, x));
    return v;
}

static Val labels(Bench *b, int n, const int32_t *x)
{
    Val v = prog_input(b->p, "labels", I32, SHAPE(n));
    MUST(prog_write(b->p, v, x));
    return v;
}

static void read(Bench *b, Val v, double *x)
{
    MUST(plan_read_double(b->plan, v, x));
}

static void near(const Bench *b, const char *what, int i, double got, double want, double tolerance)
{
    ck_assert_msg(fabs(got - want) <= tolerance * fmax(1, fabs(want)), "%s: %s %d is %.12g and should be %.12g",
                  b->device, what, i, got, want);
}

/* How near: float arithmetic, or double on reference64. */
static double unit(const Bench *b)
{
    return strcmp(b->device, "reference64") ? 1e-6 : 1e-12;
}

/* ---------------------------------------------------------------- softmax cross-entropy */
TEST(labels_out_of_range_are_nan)
{
    enum { B = 6, N = 5 };
    static const int32_t label[B] = {0, -1, 5, 4, INT32_MAX, INT32_MIN};
    double x[B * N], y[B], dx[B * N], one[B];
    for (int i = 0; i < B * N; i++)
        x[i] = sin(i);
    for (int i = 0; i < B; i++)
        one[i] = 1;
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        Val logits = reals(&b, "x", SHAPE(B, N), x), which = labels(&b, B, label);
        Val loss = op_softmax_cross_entropy(op_arcface_margin(logits, which, (ArcfaceAttrs){.s = 2, .m = 0}), which);
        Vals g = prog_vjp(VALS(loss), VALS(reals(&b, "dy", SHAPE(B), one)), VALS(logits));
        bench_run(&b, VALS(loss, g.v[0]));
        read(&b, loss, y);
        read(&b, g.v[0], dx);
        for (int i = 0; i < B; i++) {
            bool bad = label[i] < 0 || label[i] >= N;
            double sum = 0;
            for (int j = 0; j < N; j++) {
                ck_assert_msg(!isnan(dx[i * N + j]) == !bad, "%s: gradient of row %d", b.device, i);
                sum += exp(2 * x[i * N + j]);
            }
            ck_assert_msg(!isnan(y[i]) == !bad, "%s: loss of row %d is %g", b.device, i, y[i]);
            if (!bad)
                near(&b, "loss", i, y[i], log(sum) - 2 * x[i * N + label[i]], unit(&b));
        }
        bench_close(&b);
    }
}

TEST(large_logits_stay_finite)
{
    enum { B = 3, N = 4 };
    static const int32_t label[B] = {0, 1, 3};
    static const double x[B * N] = {3e4, -3e4, 0, 3e4, 1000, -1000, 1000, 999, -1e30, -1e30, -1e30, -1e30};
    const double want[B] = {log(2), 2000 + log(2 + exp(-1)), log(4)};
    double y[B], dx[B * N], one[B] = {1, 1, 1};
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        Val logits = reals(&b, "x", SHAPE(B, N), x), loss = op_softmax_cross_entropy(logits, labels(&b, B, label));
        Vals g = prog_vjp(VALS(loss), VALS(reals(&b, "dy", SHAPE(B), one)), VALS(logits));
        bench_run(&b, VALS(loss, g.v[0]));
        read(&b, loss, y);
        read(&b, g.v[0], dx);
        for (int i = 0; i < B; i++)
            near(&b, "loss", i, y[i], want[i], unit(&b));
        near(&b, "gradient", 0, dx[0], -0.5, unit(&b));
        near(&b, "gradient", 5, dx[5], -1, unit(&b));
        near(&b, "gradient", 11, dx[11], -0.75, unit(&b));
        bench_close(&b);
    }
}

/* ---------------------------------------------------------------- margin */
enum { ROWS = 9, CLASSES = 3 };
static const int32_t own[ROWS] = {0, 1, 2, 0, 1, 2, 0, 1, 2};

/* Cosines of true classes over the whole range: in the fallback (theta + m > pi), at both ends, and beyond 1 by
 * rounding; others are 0.25. */
static void cosines(double *c)
{
    static const double of_true[ROWS] = {0.9, 0.3, -0.4, -0.85, -0.9, -0.999, 1, 1 + 1e-7, -1};
    for (int i = 0; i < ROWS * CLASSES; i++)
        c[i] = i % CLASSES == own[i / CLASSES] ? of_true[i / CLASSES] : 0.25;
}

static void margin(double m, bool easy)
{
    double c[ROWS * CLASSES], dy[ROWS * CLASSES], y[ROWS * CLASSES], dc[ROWS * CLASSES];
    int fallbacks = 0;
    cosines(c);
    for (int i = 0; i < ROWS * CLASSES; i++)
        dy[i] = 1 + 0.1 * i;
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        ArcfaceAttrs a = {.s = 64, .m = (float)m, .easy_gradient = easy};
        Val cosine = reals(&b, "cosine", SHAPE(ROWS, CLASSES), c), which = labels(&b, ROWS, own);
        Val logits = op_arcface_margin(cosine, which, a);
        Vals g = prog_vjp(VALS(logits), VALS(reals(&b, "dy", SHAPE(ROWS, CLASSES), dy)), VALS(cosine));
        bench_run(&b, VALS(logits, g.v[0], cosine));
        read(&b, logits, y);
        read(&b, g.v[0], dc);
        double held[ROWS * CLASSES];
        read(&b, cosine, held);   /* what the device made of the cosines: floats on most */
        for (int i = 0; i < ROWS * CLASSES; i++) {
            double want = held[i], slope = 1, mm = a.m;
            if (i % CLASSES == own[i / CLASSES] && m > 0) {
                double most = 1 - 1e-7, theta = acos(fmax(-most, fmin(most, held[i])));
                bool beyond = held[i] < cos(M_PI - mm);
                fallbacks += beyond;
                want = beyond ? held[i] - mm * sin(M_PI - mm) : held[i] * cos(mm) - sin(theta) * sin(mm);
                if (!beyond && fabs(held[i]) < 0.9999)
                    ck_assert_double_eq_tol(want, cos(theta + mm), 1e-12);
                slope = easy || beyond ? 1 : cos(mm) + held[i] / sin(theta) * sin(mm);
                if (!easy && !beyond && fabs(held[i]) < 0.9999)
                    ck_assert_double_eq_tol(slope, sin(theta + mm) / sin(theta), 1e-12);
            }
            /* acos and sin lose to rounding what the kernels' square root does not: 1e-10 near the ends. */
            ck_assert_msg(fabs(y[i] - 64 * want) <= (d ? 64 * 1e-6 : 64 * 1e-10),
                          "%s: m %g: logit %d is %.12g not %.12g", b.device, m, i, y[i], 64 * want);
            ck_assert_msg(fabs(dc[i] - 64 * slope * dy[i]) <= (d ? 1e-6 : 1e-8) * fabs(64 * slope * dy[i]),
                          "%s: m %g, %s gradient: element %d is %.12g not %.12g", b.device, m, easy ? "easy" : "exact",
                          i, dc[i], 64 * slope * dy[i]);
        }
        bench_close(&b);
    }
    ck_assert(m == 0 || fallbacks >= 3);
}

TEST(margin_and_exact_gradient)
{
    margin(0.5, false);
    margin(0.35, false);
    margin(0, false);
}

/* insightface's present code: the gradient of the true class is s, without sin(theta + m) / sin(theta). */
TEST(easy_gradient_lacks_the_factor)
{
    margin(0.5, true);
    margin(0, true);
}

/* The slope of the fallback against finite differences, which the cases' cosines do not reach. */
TEST(fallback_against_finite_differences)
{
    static const double c[2] = {-0.95, 0.1};
    static const int32_t label[1] = {0};
    double y[3], dc[2], h = 1e-5;
    for (int k = 0; k < 3; k++) {
        Bench b;
        if (!bench_open(&b, "reference64"))
            ck_abort();
        double moved[2] = {c[0] + (k - 1) * h, c[1]}, one = 1;
        Val cosine = reals(&b, "cosine", SHAPE(1, 2), moved), which = labels(&b, 1, label);
        Val loss = op_softmax_cross_entropy(op_arcface_margin(cosine, which, (ArcfaceAttrs){.s = 4, .m = 0.5f}), which);
        Vals g = prog_vjp(VALS(loss), VALS(reals(&b, "dy", SHAPE(1), &one)), VALS(cosine));
        bench_run(&b, VALS(loss, g.v[0]));
        read(&b, loss, &y[k]);
        if (k == 1)
            read(&b, g.v[0], dc);
        bench_close(&b);
    }
    ck_assert_double_eq_tol(dc[0], (y[2] - y[0]) / (2 * h), 1e-8);
}

/* ---------------------------------------------------------------- the whole loss */
static void normals(double *x, int n, const char *name)
{
    Random r = random_stream(3, name, 0);
    for (int i = 0; i < n; i++)
        x[i] = (double)random_normal(&r);
}

TEST(no_margin_is_scaled_cosines)
{
    enum { B = 4, N = 7, D = 12 };
    static const int32_t label[B] = {6, 0, 3, 3};
    double x[B * D], w[N * D], y[B];
    normals(x, B * D, "x");
    normals(w, N * D, "w");
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        Val loss = op_arcface(reals(&b, "x", SHAPE(B, D), x), reals(&b, "w", SHAPE(N, D), w), labels(&b, B, label),
                              (ArcfaceAttrs){.s = 10, .m = 0});
        bench_run(&b, VALS(loss));
        read(&b, loss, y);
        for (int i = 0; i < B; i++) {
            double sum = 0, mine = 0;
            for (int j = 0; j < N; j++) {
                double dot = 0, xx = 0, ww = 0;
                for (int k = 0; k < D; k++) {
                    dot += x[i * D + k] * w[j * D + k];
                    xx += x[i * D + k] * x[i * D + k];
                    ww += w[j * D + k] * w[j * D + k];
                }
                double cosine = dot / sqrt(xx * ww);
                sum += exp(10 * cosine);
                mine = j == label[i] ? cosine : mine;
            }
            near(&b, "loss", i, y[i], log(sum) - 10 * mine, 3 * unit(&b));
        }
        bench_close(&b);
    }
}

/* A zero embedding has no angle: loss and gradient stay finite. */
TEST(zero_embedding)
{
    enum { N = 3, D = 4 };
    static const int32_t label[1] = {1};
    double x[D] = {0}, w[N * D], y, dw[N * D], one = 1;
    normals(w, N * D, "w");
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        Val centres = reals(&b, "w", SHAPE(N, D), w);
        Val loss = op_arcface(reals(&b, "x", SHAPE(1, D), x), centres, labels(&b, 1, label), (ArcfaceAttrs){.m = 0.5f});
        Vals g = prog_vjp(VALS(loss), VALS(reals(&b, "dy", SHAPE(1), &one)), VALS(centres));
        bench_run(&b, VALS(loss, g.v[0]));
        read(&b, loss, &y);
        read(&b, g.v[0], dw);
        near(&b, "loss", 0, y, log(2 + exp(-64 * sin(0.5))) + 64 * sin(0.5), unit(&b));
        for (int i = 0; i < N * D; i++)
            ck_assert(isfinite(dw[i]) && dw[i] == 0);
        bench_close(&b);
    }
}

/* ---------------------------------------------------------------- composed losses */
/* To float accuracy everywhere: 1/n in a mean is an attribute, and those are floats. */
TEST(composed)
{
    enum { B = 2, N = 3 };
    static const double a[B * N] = {1, -2, 0.5, 40, -40, 0}, c[B * N] = {0, 1, 0.5, 39, -40, 2};
    double bce[3] = {0}, mse = 0, distance[B] = {0}, kl[B] = {0}, got[B];
    for (int i = 0; i < B * N; i++) {
        double yes = log1p(exp(-fabs(a[i]))) + fmax(-a[i], 0), no = log1p(exp(-fabs(a[i]))) + fmax(a[i], 0);
        bce[0] += no / (B * N);
        bce[1] += yes / (B * N);
        bce[2] += (0.75 * yes + 0.25 * no) / (B * N);
        mse += (a[i] - c[i]) * (a[i] - c[i]) / (B * N);
        distance[i / N] += (a[i] - c[i]) * (a[i] - c[i]);
        kl[i / N] += 0.5 * (exp(0.1 * i) + a[i] * a[i] - 1 - 0.1 * i);
    }
    for (int d = 0; d < DEVICES; d++) {
        Bench b;
        if (!bench_open(&b, devices[d]))
            continue;
        double spread[B * N];
        for (int i = 0; i < B * N; i++)
            spread[i] = 0.1 * i;
        Val x = reals(&b, "a", SHAPE(B, N), a), y = reals(&b, "c", SHAPE(B, N), c);
        Val outputs[] = {op_bce_with_logits(x, 0), op_bce_with_logits(x, 1), op_bce_with_logits(x, 0.75f),
                         op_mse_loss(x, y, "mean"),
                         op_squared_distance(x, y), op_kl_normal(x, reals(&b, "s", SHAPE(B, N), spread))};
        bench_run(&b, (Vals){outputs, 6});
        for (int i = 0; i < 3; i++) {
            read(&b, outputs[i], got);
            near(&b, "bce", i, got[0], bce[i], 1e-6);
        }
        read(&b, outputs[3], got);
        near(&b, "mse", 0, got[0], mse, 1e-6);
        for (int i = 0; i < B; i++) {
            read(&b, outputs[4], got);
            near(&b, "squared distance", i, got[i], distance[i], 1e-6);
            read(&b, outputs[5], got);
            near(&b, "kl", i, got[i], kl[i], 1e-6);
        }
        bench_close(&b);
    }
}

static void expect_mistake(int which, const char *words)
{
    Bench b;
    if (!bench_open(&b, "reference"))
        ck_abort();
    Val x = prog_input(b.p, "x", F32, SHAPE(2, 3)), i = prog_input(b.p, "i", I32, SHAPE(2));
    Val i3 = prog_input(b.p, "i3", I32, SHAPE(3)), none = prog_input(b.p, "none", F32, SHAPE(2, 0));
    Val w = prog_input(b.p, "w", F32, SHAPE(5, 4)), one = prog_input(b.p, "one", F32, SHAPE(1));
    switch (which) {
    case 0: op_softmax_cross_entropy(x, i3); break;
    case 1: op_softmax_cross_entropy(x, x); break;
    case 2: op_softmax_cross_entropy(none, i); break;
    case 3: op_softmax_cross_entropy_grad(x, i, one); break;
    case 4: op_arcface_margin(x, i, (ArcfaceAttrs){.s = -1}); break;
    case 5: op_arcface_margin(x, i, (ArcfaceAttrs){.m = 4}); break;
    case 6: op_arcface_margin(x, i, (ArcfaceAttrs){.m = -0.5f}); break;
    case 7: op_arcface(x, w, i, (ArcfaceAttrs){.m = 0.5f}); break;
    case 8: op_l2_normalize(op_mean(x)); break;
    case 9: op_bce_with_logits(x, 2); break;
    case 10: op_mse_loss(x, one, "mean"); break;
    case 12: op_l1_loss(x, x, "median"); break;
    case 13: op_softmax(x, 2); break;
    case 11: op_arcface_margin_grad(x, i, w, (ArcfaceAttrs){.m = 0.5f}); break;
    }
    ck_assert_msg(prog_error(b.p) && strstr(prog_error(b.p), words), "mistake %d: %s", which,
                  prog_error(b.p) ? prog_error(b.p) : "none");
    bench_close(&b);
}

TEST(mistakes)
{
    static const char *const words[] = {"3 labels for 2", "int32", "no classes", "1 cotangents", "s=-1", "m=4",
                                        "m=-0.5", "(5, 4)", "axis", "target", "shape", "shape", "median", "dim is 2"};
    for (int i = 0; i < 14; i++)
        expect_mistake(i, words[i]);
}

TEST_MAIN("losses", labels_out_of_range_are_nan, large_logits_stay_finite, margin_and_exact_gradient,
          easy_gradient_lacks_the_factor, fallback_against_finite_differences, no_margin_is_scaled_cosines,
          zero_embedding, composed, mistakes)
