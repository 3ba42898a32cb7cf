/* Augmentation: exact maps, hand-worked colours, PyTorch's values, probabilities, and randomness that repeats. */
#include "engine/engine.h"
#include "engine/ops/augment.h"
#include "engine/ops/constant.h"
#include "engine/ops/random.h"
#include "engine/ops/warp.h"
#include "engine/safetensors.h"
#include "tests/test.h"

#include <math.h>

static const char *const devices[] = {"reference", "reference64", "cpu"};

/* One program with one or two real inputs. */
typedef struct Bench {
    Store *s;
    Prog *p;
    Val in[2], out;
} Bench;

static Bench bench(const char *device, Shape a, Shape b)
{
    Bench t = {.s = store_create(device, 7)};
    HAVE(t.s);
    t.p = prog_create(t.s);
    t.in[0] = prog_input(t.p, "a", F32, a);
    t.in[1] = prog_input(t.p, "b", F32, b);
    return t;
}

static void bench_run(Bench t, const double *a, const double *b, double *y)
{
    ck_assert_msg(val_ok(t.out), "%s", prog_error(t.p));
    Plan *plan = plan_compile(t.p, (PlanOpts){.name = "augment", .outputs = VALS(t.out)});
    ck_assert_msg(plan != NULL, "%s / %s", prog_error(t.p) ? prog_error(t.p) : "", error_text());
    MUST(prog_write_double(t.p, t.in[0], a));
    if (b)
        MUST(prog_write_double(t.p, t.in[1], b));
    MUST(plan_run(plan));
    MUST(plan_read_double(plan, t.out, y));
    plan_free(plan);
    prog_free(t.p);
    store_free(t.s);
}

static void run_warp(const char *device, Shape x, const double *px, const double *m, int h, int w, const char *mode,
                     double fill, double *y)
{
    Bench t = bench(device, x, SHAPE(x.dim[0], 6));
    t.out = op_warp(t.in[0], t.in[1], h, w, mode, (float)fill);
    bench_run(t, px, m, y);
}

static void run_affine(const char *device, RandomAffineAttrs a, int B, int n, const double *u, double *m)
{
    Bench t = bench(device, SHAPE(B, n), SHAPE(1));
    t.out = op_random_affine(t.in[0], a);
    bench_run(t, u, NULL, m);
}

static void run_jitter(const char *device, JitterAttrs a, Shape x, const double *px, const double *u, double *y)
{
    Bench t = bench(device, x, SHAPE(x.dim[0], JITTER_UNIFORMS));
    t.out = op_jitter(t.in[0], t.in[1], a);
    bench_run(t, px, u, y);
}

static void run_blur(const char *device, GaussianBlurAttrs a, Shape x, const double *px, const double *u, double *y)
{
    Bench t = bench(device, x, SHAPE(x.dim[0], 2));
    t.out = op_gaussian_blur(t.in[0], t.in[1], a);
    bench_run(t, px, u, y);
}

static void close_to(const double *a, const double *b, int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs(a[i] - b[i]) <= tolerance, "element %ld is %.9g and should be %.9g", (long)i, a[i], b[i]);
}

/* Floats in (-1, 1), held as doubles. */
static void spread(double *x, int64_t n, double step)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)sin(step * (double)(i + 1));
}

TEST(warp_identity_and_quarter_turn)
{
    enum { S = 7, N = 2 * 3 * S * S };
    double x[N], y[N], turned[N];
    spread(x, N, 1.7);
    const double identity[12] = {1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0};
    const double quarter[12] = {0, -1, S - 1, 1, 0, 0, 0, -1, S - 1, 1, 0, 0};   /* counter-clockwise */
    for (int c = 0; c < 6; c++)
        for (int i = 0; i < S; i++)
            for (int j = 0; j < S; j++)
                turned[(c * S + i) * S + j] = x[(c * S + j) * S + S - 1 - i];
    for (int d = 0; d < 3; d++)
        for (int mode = 0; mode < 2; mode++) {
            const char *name = mode ? "nearest" : "bilinear";
            run_warp(devices[d], SHAPE(2, 3, S, S), x, identity, S, S, name, 9, y);
            close_to(y, x, N, 0);
            run_warp(devices[d], SHAPE(2, 3, S, S), x, quarter, S, S, name, 9, y);
            close_to(y, turned, N, 0);
            /* The same turn out of random_affine: 180 degrees times 2 * 0.75 - 1; scale 1, everything in place. */
            const double u[10] = {0.5, 0.75, 0.1, 0.9, 0.3, 0.5, 0.75, 0.6, 0.4, 0.8};
            double m[12];
            run_affine(devices[d], (RandomAffineAttrs){180, 1, 1, 1, 1, S, S, 0, 0, "zoom"}, 2, 5, u, m);
            close_to(m, quarter, 12, 1e-6);
            run_warp(devices[d], SHAPE(2, 3, S, S), x, m, S, S, name, 0, y);
            close_to(y, turned, N, mode ? 0 : 1e-6);
        }
}

TEST(warp_outside)
{
    const double x[4] = {1, 2, 3, 4};
    /* Half a pixel to the left and up: the first row and column are half outside. */
    const double half[6] = {1, 0, -0.5, 0, 1, -0.5}, far[6] = {1, 0, 1e30, 0, 1, 0};
    const double expected[9] = {0.25 * 1 + 0.75 * 8, 0.25 * 3 + 4, 0.25 * 2 + 6, 0.25 * 4 + 4, 2.5, 0.25 * 6 + 4,
                                0.25 * 3 + 6, 0.25 * 7 + 4, 0.25 * 4 + 6};
    const double nearest[9] = {1, 2, 8, 3, 4, 8, 8, 8, 8};
    double y[9], lost[6] = {NAN, INFINITY, 0, 1, 1, 1};
    for (int d = 0; d < 3; d++) {
        run_warp(devices[d], SHAPE(1, 1, 2, 2), x, half, 3, 3, "bilinear", 8, y);
        close_to(y, expected, 9, 0);
        run_warp(devices[d], SHAPE(1, 1, 2, 2), x, half, 3, 3, "nearest", 8, y);
        close_to(y, nearest, 9, 0);
        for (int mode = 0; mode < 4; mode++) {
            run_warp(devices[d], SHAPE(1, 1, 2, 2), x, mode < 2 ? far : lost, 3, 3,
                     mode % 2 ? "nearest" : "bilinear", 8, y);
            for (int i = 0; i < 9; i++)
                ck_assert_double_eq(y[i], 8);
        }
    }
}

TEST(windows)
{
    double m[6], u[24];
    for (int i = 0; i < 24; i++)
        u[i] = 0.5;
    for (int d = 0; d < 3; d++) {
        /* Zoom 1/2 with the picture in the upper left: result pixel 0 shows between picture pixels 0 and 1. */
        const double small[5] = {0.5, 0.5, 1e-9, 1e-9, 0.5}, shrunk[6] = {2, 0, 0.5, 0, 2, 0.5};
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 0.5f, 0.5f, 1, 8, 8, 0, 0, "zoom"}, 1, 5, small, m);
        close_to(m, shrunk, 6, 1e-6);
        /* Zoom 2, in the middle whatever u2 and u3 say: result columns 0..7 show picture columns 1.75..5.25. */
        const double grown[6] = {0.5, 0, 1.75, 0, 0.5, 1.75};
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 2, 2, 0, 8, 8, 0, 0, "zoom"}, 1, 5, small, m);
        close_to(m, grown, 6, 1e-6);
        /* Crop a quarter of the area of 16 x 16, ratio 1, at the far corner, to 8 x 8: the identity there. */
        u[2] = u[3] = 0.999;
        const double corner[6] = {1, 0, 8, 0, 1, 8};
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 0.25f, 0.25f, 1, 16, 16, 8, 8, "crop"}, 1, 24, u, m);
        close_to(m, corner, 6, 1e-6);
        /* Nothing fits: all of a square; of 12 x 40 the middle 12 x 16. */
        const double all[6] = {1, 0, 0, 0, 1, 0}, middle[6] = {2, 0, 12.5, 0, 1.5, 0.25};
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 3, 4, 1, 16, 16, 0, 0, "crop"}, 1, 24, u, m);
        close_to(m, all, 6, 0);
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 3, 4, 1, 12, 40, 8, 8, "crop"}, 1, 24, u, m);
        close_to(m, middle, 6, 1e-6);
    }
}

TEST(colours)
{
    const double never = 1 - 1e-6, always = 1e-6;
    for (int d = 0; d < 3; d++) {
        double y[6];
        /* Brightness 0.5 + 0.75 = 1.25 on 0.6, 0.3, 0.9. */
        const double x[3] = {0.2, -0.4, 0.8}, bright[3] = {0.5, -0.25, 1};
        const double u[5] = {always, 0.75, never, 0.5, never};
        JitterAttrs a = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
        run_jitter(devices[d], a, SHAPE(1, 3, 1, 1), x, u, y);
        close_to(y, bright, 3, 1e-6);
        /* Contrast 0.5 + 0.25 = 0.75 about the mean 0.3 of greys 0.5 and 0.1: 0.45 and 0.15. */
        const double pair[6] = {0, -0.8, 0, -0.8, 0, -0.8}, pale[6] = {-0.1, -0.7, -0.1, -0.7, -0.1, -0.7};
        const double v[5] = {never, 0.5, always, 0.25, never};
        run_jitter(devices[d], a, SHAPE(1, 3, 1, 2), pair, v, y);
        close_to(y, pale, 6, 1e-6);
        /* Grey of 0.6, 0.3, 0.9: 0.1794 + 0.1761 + 0.1026 = 0.4581. */
        const double w[5] = {never, 0.5, never, 0.25, always}, grey[3] = {-0.0838, -0.0838, -0.0838};
        run_jitter(devices[d], a, SHAPE(1, 3, 1, 1), x, w, y);
        close_to(y, grey, 3, 1e-6);
        /* Strength above 1: the factor begins at 0. */
        const double z[5] = {always, 1e-7, never, 0.25, never}, black[3] = {-1, -1, -1};
        a.brightness = 2;
        run_jitter(devices[d], a, SHAPE(1, 3, 1, 1), x, z, y);
        close_to(y, black, 3, 1e-6);
    }
}

TEST(never_and_always)
{
    enum { B = 64, S = 6, N = B * 3 * S * S };
    double *x = must_alloc(N * sizeof *x), *y = must_alloc(N * sizeof *y), *u = must_alloc(B * 24 * sizeof *u);
    spread(x, N, 1.7);
    for (int d = 0; d < 3; d++) {
        for (int i = 0; i < 24 * B; i++)
            u[i] = (random_bits(3, 1, 0, (uint64_t)i) + 0.5) / 4294967296.0;
        run_jitter(devices[d], (JitterAttrs){1, 1, 0, 0, 0}, SHAPE(B, 3, S, S), x, u, y);
        close_to(y, x, N, 0);
        run_blur(devices[d], (GaussianBlurAttrs){0, 1, 2, 5}, SHAPE(B, 3, S, S), x, u, y);
        close_to(y, x, N, 0);
        run_affine(devices[d], (RandomAffineAttrs){15, 0, 1, 1, 1, S, S, 0, 0, "zoom"}, B, 5, u, y);
        for (int b = 0; b < B; b++)
            close_to(y + 6 * b, (const double[]){1, 0, 0, 0, 1, 0}, 6, 0);

        run_blur(devices[d], (GaussianBlurAttrs){1, 1, 2, 5}, SHAPE(B, 3, S, S), x, u, y);
        for (int b = 0; b < B; b++)
            ck_assert_double_ne(y[b * 3 * S * S], x[b * 3 * S * S]);
        run_affine(devices[d], (RandomAffineAttrs){15, 1, 1, 1, 1, S, S, 0, 0, "zoom"}, B, 5, u, y);
        for (int b = 0; b < B; b++)
            ck_assert_double_ne(y[6 * b + 1], 0);
        run_jitter(devices[d], (JitterAttrs){1, 1, 1, 1, 1}, SHAPE(B, 3, S, S), x, u, y);
        for (int b = 0; b < B; b++)
            ck_assert_double_eq(y[b * 3 * S * S], y[b * 3 * S * S + S * S]);
    }
    free(x);
    free(y);
    free(u);
}

/* count of n is within five standard deviations of p n. */
static void plausible(const char *what, int count, int n, double p)
{
    double deviation = sqrt(n * p * (1 - p));
    ck_assert_msg(fabs(count - n * p) < 5 * deviation, "%s: %d of %d, expected %g +- %g", what, count, n, n * p,
                  deviation);
}

TEST(frequencies)
{
    enum { B = 4096, S = 5, ONE = 3 * S * S };
    Store *s = store_create("cpu", 11);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(B, 3, S, S)), rng = prog_rng(p);
    Val blurred = op_gaussian_blur(x, op_random_uniform(rng, "blur", SHAPE(B, 2)), (GaussianBlurAttrs){0.2f, 1, 2, 5});
    Val grey = op_jitter(x, op_random_uniform(rng, "grey", SHAPE(B, 5)), (JitterAttrs){1, 1, 0, 0, 0.05f});
    Val bright = op_jitter(x, op_random_uniform(rng, "bright", SHAPE(B, 5)), (JitterAttrs){0.5f, 1, 0.5f, 0, 0});
    Val u = op_random_uniform(rng, "affine", SHAPE(B, RANDOM_AFFINE_CROP));
    Val turn = op_random_affine(u, (RandomAffineAttrs){15, 0.8f, 0.8f, 1.2f, 1, 128, 128, 0, 0, "crop"});
    Val crop = op_random_affine(u, (RandomAffineAttrs){15, 0, 0.8f, 1.2f, 1, 128, 128, 0, 0, "crop"});
    Plan *plan = plan_compile(p, (PlanOpts){.name = "frequencies", .outputs = VALS(blurred, grey, bright, turn, crop)});
    ck_assert_msg(plan != NULL, "%s", prog_error(p));
    double *in = must_alloc(B * ONE * sizeof *in), *out = must_alloc(B * ONE * sizeof *out);
    spread(in, B * ONE, 1.7);
    for (int i = 0; i < B * ONE; i++)
        in[i] = (float)(in[i] / 4 - 0.7);   /* dark: 1.5 times as bright is not clamped */
    MUST(prog_write_double(p, x, in));
    MUST(plan_run(plan));

    MUST(plan_read_double(plan, blurred, out));
    int count = 0;
    for (int b = 0; b < B; b++)
        count += out[b * ONE] != in[b * ONE];
    plausible("blur", count, B, (float)0.2f);

    MUST(plan_read_double(plan, grey, out));
    count = 0;
    for (int b = 0; b < B; b++)
        count += out[b * ONE] == out[b * ONE + S * S];
    plausible("grey", count, B, (float)0.05f);

    MUST(plan_read_double(plan, bright, out));
    count = 0;
    double mean = 0;
    for (int b = 0; b < B; b++) {
        double f = (out[b * ONE] + 1) / (in[b * ONE] + 1);
        ck_assert(f > 0.4999 && f < 1.5001);
        count += out[b * ONE] != in[b * ONE];
        mean += f / B;
    }
    plausible("brightness", count, B, 0.5);
    ck_assert_double_eq_tol(mean, 1, 5 * sqrt(0.5 / 12 / B));

    MUST(plan_read_double(plan, turn, out));
    count = 0;
    for (int b = 0; b < B; b++)
        count += out[6 * b + 1] != 0;
    plausible("rotation", count, B, (float)0.8f);

    /* Simulated with torchvision's rule on 128 x 128: no window fits in 10.6 % of the pictures; the mean area of the
     * others is 0.868, their aspect ratios lie in 0.80 .. 1.25. */
    MUST(plan_read_double(plan, crop, out));
    count = 0;
    double area = 0;
    for (int b = 0; b < B; b++) {
        const double *m = out + 6 * b;
        ck_assert(m[0] <= 1 && m[4] <= 1 && m[2] >= -0.5 && m[5] >= -0.5);
        ck_assert(m[0] * 127 + m[2] <= 127.5 && m[4] * 127 + m[5] <= 127.5);
        ck_assert(m[0] / m[4] > 0.79 && m[0] / m[4] < 1.27);
        if (m[0] == 1 && m[4] == 1)
            count++;
        else
            area += m[0] * m[4];
    }
    plausible("whole picture", count, B, 0.106);
    ck_assert_double_eq_tol(area / (B - count), 0.868, 0.004);
    free(in);
    free(out);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

/* RandomResizedCrop's rule on side x side, worked out here on a fine grid of area and log aspect ratio: the share of
 * tries that fit, of those that happen to be the whole picture, and the mean area of the others. */
static void crop_odds(double low, double high, int side, double *fits, double *full, double *area)
{
    enum { GRID = 2000 };
    double count = 0, whole = 0, sum = 0, widest = log(4.0 / 3.0);
    for (int i = 0; i < GRID; i++)
        for (int j = 0; j < GRID; j++) {
            double target = (low + (high - low) * (i + 0.5) / GRID) * side * side;
            double root = exp(widest * ((j + 0.5) / GRID - 0.5));
            double w = floor(sqrt(target) * root + 0.5), h = floor(sqrt(target) / root + 0.5);
            if (w <= side && h <= side) {
                count++;
                whole += w * h == side * side;
                sum += w * h / side / side;
            }
        }
    *fits = count / GRID / GRID;
    *full = whole / GRID / GRID;
    *area = (sum - whole) / (count - whole);
}

/* "Randomly resized [80%, 120%]" read as RandomResizedCrop: a fifth of the tries fit, a tenth of the pictures stay
 * whole, and the rest keep 0.868 of their area; read as a zoom, factors are uniform in 0.8 .. 1.2 and all windows lie
 * within the picture, or around it.  Bounds are five standard deviations. */
TEST(two_readings_of_randomly_resized)
{
    enum { B = 20000 };
    double fits, full, area, *u = must_alloc(B * 24 * sizeof *u), *m = must_alloc(B * 6 * sizeof *m);
    crop_odds(0.8f, 1.2f, 128, &fits, &full, &area);
    double none = pow(1 - fits, 10);
    ck_assert_double_eq_tol(fits, 0.20, 0.005);
    ck_assert_double_eq_tol(none, 0.106, 0.002);
    ck_assert_double_eq_tol(area, 0.868, 0.001);
    RandomAffineAttrs a = {15, 0, 0.8f, 1.2f, 1, 128, 128, 0, 0, "crop"};
    for (int once = 0; once < 2; once++) {
        int whole = 0;
        double sum = 0, squares = 0;
        for (int i = 0; i < B * 24; i++)   /* once: all tries but the first ask for more than there is */
            u[i] = once && i % 24 >= 6 ? 0.9999
                                       : (random_bits(5, 91, (uint64_t)once, (uint64_t)i) + 0.5) / 4294967296.0;
        run_affine("cpu", a, B, 24, u, m);
        for (int b = 0; b < B; b++) {
            double part = m[6 * b] * m[6 * b + 4];
            whole += part == 1;
            sum += part == 1 ? 0 : part;
            squares += part == 1 ? 0 : part * part;
        }
        plausible(once ? "tries that fail" : "whole pictures", whole, B,
                  once ? 1 - fits + full : none + (1 - none) * full / fits);
        double n = B - whole, mean = sum / n, deviation = sqrt((squares / n - mean * mean) / n);
        ck_assert_msg(fabs(mean - area) < 5 * deviation, "mean area %g, expected %g +- %g", mean, area, deviation);
    }
    a.mode = "zoom";
    for (int i = 0; i < B * 5; i++)
        u[i] = (random_bits(5, 91, 2, (uint64_t)i) + 0.5) / 4294967296.0;
    run_affine("cpu", a, B, 5, u, m);
    double sum = 0;
    for (int b = 0; b < B; b++) {
        const double *t = m + 6 * b, zoom = 1 / t[0], first = t[2] + 0.5 - t[0] / 2, last = first + 128 * t[0];
        ck_assert_double_eq(t[0], t[4]);
        ck_assert(zoom > 0.7999 && zoom < 1.2001);
        if (zoom > 1)   /* a window within the picture, or the picture within the result */
            ck_assert(first > -1e-3 && last < 128 + 1e-3);
        else
            ck_assert(first < 1e-3 && last > 128 - 1e-3);
        sum += zoom;
    }
    ck_assert_double_eq_tol(sum / B, 1, 5 * 0.4 / sqrt(12.0 * B));
    free(u);
    free(m);
}

enum { AB = 12, AS = 24, AN = AB * 3 * AS * AS };

/* The pictures of the first `steps` runs of op_augment; reads the last. */
static void augmented(const char *device, uint64_t seed, AugmentOpts o, int steps, double *y)
{
    static uint8_t bytes[AN];
    for (int i = 0; i < AN; i++)
        bytes[i] = (uint8_t)(127.5 + 90 * sin(0.01 * i) + 37 * sin(0.7 * i));
    Store *s = store_create(device, seed);
    HAVE(s);
    Prog *p = prog_create(s);
    Val in = prog_input(p, "pictures", U8, SHAPE(AB, 3, AS, AS));
    Val out = op_augment(in, prog_rng(p), "augment", o);
    ck_assert_msg(val_ok(out), "%s", prog_error(p));
    Plan *plan = plan_compile(p, (PlanOpts){.name = "augment", .outputs = VALS(out), .updates = prog_updates(p)});
    ck_assert_msg(plan != NULL, "%s", prog_error(p));
    MUST(prog_write(p, in, bytes));
    for (int i = 0; i < steps; i++)
        MUST(plan_run(plan));
    MUST(plan_read_double(plan, out, y));
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static int differing(const double *a, const double *b)
{
    int n = 0;
    for (int i = 0; i < AB; i++)
        n += memcmp(a + i * 3 * AS * AS, b + i * 3 * AS * AS, 3 * AS * AS * sizeof *a) != 0;
    return n;
}

TEST(repeats)
{
    static double first[AN], again[AN], other[AN];
    for (int d = 0; d < 3; d++) {
        augmented(devices[d], 5, (AugmentOpts){0}, 1, first);
        augmented(devices[d], 5, (AugmentOpts){0}, 1, again);
        ck_assert_int_eq(differing(first, again), 0);
        augmented(devices[d], 5, (AugmentOpts){0}, 2, other);
        ck_assert_int_ge(differing(first, other), AB - 1);
        augmented(devices[d], 6, (AugmentOpts){0}, 1, other);
        ck_assert_int_ge(differing(first, other), AB - 1);
        for (int i = 0; i < AN; i++)
            ck_assert(first[i] >= -1 - 1e-6 && first[i] <= 1 + 1e-6);
    }
}

TEST(cpu_equals_reference)
{
    static double expected[AN], got[AN];
    const AugmentOpts o[] = {
        {0}, {.resize = "zoom"}, {.resize = "zoom", .blur_p = 1, .rotate_p = 1, .brightness_p = 1, .contrast_p = 1},
        {.size = 17, .blur_p = 1, .blur_size = 9, .contrast_p = 1, .grey_p = 1, .fill = 0.5f},
        {.size = 31, .off = true}, {.size = 12, .off = true},
    };
    for (size_t i = 0; i < sizeof o / sizeof *o; i++)
        for (uint64_t seed = 1; seed < 4; seed++) {
            int side = o[i].size ? o[i].size : AS, n = AB * 3 * (side < AS ? side * side : AS * AS);
            double *a = side > AS ? must_alloc(sizeof *a * (size_t)(AB * 3 * side * side)) : expected;
            double *b = side > AS ? must_alloc(sizeof *b * (size_t)(AB * 3 * side * side)) : got;
            augmented("reference", seed, o[i], 1, a);
            augmented("cpu", seed, o[i], 1, b);
            close_to(b, a, n, 4e-6);
            if (side > AS) {
                free(a);
                free(b);
            }
        }
}

/* Nothing switched on: the normalised bytes, through all ops and without them. */
TEST(off)
{
    static double plain[AN], through[AN];
    for (int d = 0; d < 3; d++) {
        augmented(devices[d], 5, (AugmentOpts){.off = true}, 1, plain);
        for (int i = 0; i < 300; i++) {
            double byte = (uint8_t)(127.5 + 90 * sin(0.01 * i) + 37 * sin(0.7 * i));
            ck_assert_double_eq_tol(plain[i], byte / 127.5 - 1, 2e-7);
        }
        augmented(devices[d], 5, (AugmentOpts){.blur_p = -1, .rotate_p = -1, .brightness_p = -1, .contrast_p = -1,
                                               .grey_p = -1, .resize = "zoom", .scale_low = 1, .scale_high = 1}, 1,
                  through);
        ck_assert_int_eq(differing(plain, through), 0);
    }
}

static double *tensor(const SafeFile *f, const char *name, Shape *shape)
{
    const SafeTensor *t = safetensors_find(f, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    double *x = must_alloc((size_t)safetensors_elements(t) * sizeof *x);
    MUST(safetensors_doubles(t, x));
    *shape = shape_make(t->shape, t->rank);
    return x;
}

/* tests/peers/resize.py wrote the fixture. */
TEST(pytorch)
{
    SafeFile *f = safetensors_open("tests/fixtures/resize.safetensors");
    HAVE(f);
    for (int n = 0; n < 2; n++) {
        Shape in, out, s;
        double *x = tensor(f, n ? "warp.1.x" : "warp.0.x", &in), *y = tensor(f, n ? "warp.1.y" : "warp.0.y", &out);
        double *m = tensor(f, n ? "warp.1.m" : "warp.0.m", &s), *got = must_alloc(8192 * sizeof *got);
        for (int d = 0; d < 3; d++) {
            run_warp(devices[d], in, x, m, (int)out.dim[2], (int)out.dim[3], n ? "nearest" : "bilinear", 0, got);
            close_to(got, y, shape_count(out), d == 1 ? 1e-12 : 1e-5);
        }
        free(x);
        free(y);
        free(m);
        x = tensor(f, n ? "blur.1.x" : "blur.0.x", &in);
        y = tensor(f, n ? "blur.1.y" : "blur.0.y", &out);
        double *sigma = tensor(f, n ? "blur.1.sigma" : "blur.0.sigma", &s);
        const double u[2] = {0.5, *sigma - 1};
        for (int d = 0; d < 3; d++) {
            run_blur(devices[d], (GaussianBlurAttrs){1, 1, 2, 5}, in, x, u, got);
            close_to(got, y, shape_count(out), d == 1 ? 1e-13 : 2e-6);
        }
        free(x);
        free(y);
        free(sigma);
        free(got);
    }
    safetensors_close(f);
}

TEST(mistakes)
{
    Store *s = store_create("reference", 1);
    HAVE(s);
    for (int bad = 0; bad < 9; bad++) {
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", F32, SHAPE(2, 3, 4, 4)), u = prog_input(p, "u", F32, SHAPE(2, 5));
        Val m = prog_input(p, "m", F32, SHAPE(2, 6)), v = prog_input(p, "v", F32, SHAPE(2, 2)), y = x;
        Val bytes = prog_input(p, "bytes", U8, SHAPE(2, 3, 4, 6));
        switch (bad) {
        case 0: y = op_warp(x, m, 4, 4, "bicubic", 0); break;
        case 1: y = op_warp(x, u, 4, 4, "nearest", 0); break;
        case 2: y = op_jitter(x, u, (JitterAttrs){0.4f, 0.4f, 1.5f, 0, 0}); break;
        case 3: y = op_jitter(x, m, (JitterAttrs){0.4f, 0.4f, 0.5f, 0, 0}); break;
        case 4: y = op_gaussian_blur(x, v, (GaussianBlurAttrs){0.2f, 1, 2, 9}); break;
        case 5: y = op_gaussian_blur(x, v, (GaussianBlurAttrs){0.2f, 2, 1, 3}); break;
        case 6: y = op_random_affine(u, (RandomAffineAttrs){15, NAN, 1, 1, 1, 4, 4, 0, 0, "zoom"}); break;
        case 7: y = op_random_affine(u, (RandomAffineAttrs){15, 0, 1, 1, 1, 4, 4, 0, 0, "crop"}); break;
        case 8: y = op_augment(bytes, prog_rng(p), "a", (AugmentOpts){0}); break;
        }
        ck_assert_msg(!val_ok(y), "mistake %d was not noticed", bad);
        HAVE(prog_error(p));
        prog_free(p);
    }
    store_free(s);
}

TEST_MAIN("augment", warp_identity_and_quarter_turn, warp_outside, windows, colours, never_and_always, frequencies,
          two_readings_of_randomly_resized, repeats, cpu_equals_reference, off, pytorch, mistakes)
