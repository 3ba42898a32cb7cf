/* Resizing: hand-worked values, identities, transposes, and PyTorch's values. */
#include "engine/engine.h"
#include "engine/ops/resize.h"
#include "engine/safetensors.h"
#include "tests/test.h"

#include <math.h>

typedef enum Kind { NEAREST, AREA, BILINEAR, CORNERS, KINDS } Kind;

static Val forward(Kind kind, Val x, int h, int w)
{
    return kind == NEAREST ? op_resize_nearest(x, h, w)
         : kind == AREA    ? op_resize_area(x, h, w)
                           : op_resize_bilinear(x, h, w, kind == CORNERS);
}

static Val backward(Kind kind, Val dy, int h, int w)
{
    return kind == NEAREST ? op_resize_nearest_grad(dy, h, w)
         : kind == AREA    ? op_resize_area_grad(dy, h, w)
                           : op_resize_bilinear_grad(dy, h, w, kind == CORNERS);
}

typedef Val (*Resize)(Kind kind, Val x, int h, int w);

/* y = f(x) for x of `shape`, on a device. */
static void run(const char *device, Resize f, Kind kind, Shape shape, const double *x, int h, int w, double *y)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    Val in = prog_input(p, "x", F32, shape), out = f(kind, in, h, w);
    ck_assert_msg(val_ok(out), "%s", prog_error(p));
    Plan *plan = plan_compile(p, (PlanOpts){.name = "resize", .outputs = VALS(out)});
    ck_assert_msg(plan != NULL, "%s / %s", prog_error(p) ? prog_error(p) : "", error_text());
    MUST(prog_write_double(p, in, x));
    MUST(plan_run(plan));
    MUST(plan_read_double(plan, out, y));
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static void close_to(const double *a, const double *b, int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs(a[i] - b[i]) <= tolerance, "element %ld is %.9g and should be %.9g", (long)i, a[i], b[i]);
}

/* A fixed spread of numbers in [-1, 1]. */
static void spread(double *x, int64_t n, double step)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = sin(step * (double)(i + 1));
}

static const char *const devices[] = {"reference", "reference64", "cpu"};

TEST(worked)
{
    const double x[6] = {1, 2, 3, 4, 5, 6};   /* 2 x 3 */
    const Shape s = SHAPE(1, 1, 2, 3);
    for (int d = 0; d < 3; d++) {
        double y[24];
        const double up[24] = {1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6};
        run(devices[d], forward, NEAREST, s, x, 4, 6, y);
        close_to(y, up, 24, 0);
        /* Columns floor(o 3/2) = 0, 1 and rows floor(o 2/3) = 0, 0, 1. */
        const double mixed[6] = {1, 2, 1, 2, 4, 5};
        run(devices[d], forward, NEAREST, s, x, 3, 2, y);
        close_to(y, mixed, 6, 0);
        /* Columns 0..1 and 1..2; both rows. */
        const double mean[2] = {(1 + 2 + 4 + 5) / 4.0, (2 + 3 + 5 + 6) / 4.0};
        run(devices[d], forward, AREA, s, x, 1, 2, y);
        close_to(y, mean, 2, 0);
        /* Centres at -1/4, 1/4, 3/4, 5/4 rows; columns unchanged. */
        const double between[12] = {1, 2, 3, 1.75, 2.75, 3.75, 3.25, 4.25, 5.25, 4, 5, 6};
        run(devices[d], forward, BILINEAR, s, x, 4, 3, y);
        close_to(y, between, 12, 0);
        const double corners[15] = {1, 1.5, 2, 2.5, 3, 2.5, 3, 3.5, 4, 4.5, 4, 4.5, 5, 5.5, 6};
        run(devices[d], forward, CORNERS, s, x, 3, 5, y);
        close_to(y, corners, 15, 0);
        /* The gradient of "nearest, columns 0 and 1 of 3" leaves the third without a reader. */
        const double handed[6] = {1 + 3, 2 + 4, 0, 5, 6, 0};
        run(devices[d], backward, NEAREST, SHAPE(1, 1, 3, 2), x, 2, 3, y);
        close_to(y, handed, 6, 0);
        const double shared[6] = {0.25, 0.75, 0.5, 0.25, 0.75, 0.5};
        run(devices[d], backward, AREA, SHAPE(1, 1, 1, 2), x, 2, 3, y);
        close_to(y, shared, 6, 0);
    }
}

static Val there_and_back(Kind kind, Val x, int h, int w)
{
    (void)kind;
    return op_resize_area(op_resize_nearest(x, 2 * h, 2 * w), h, w);
}

TEST(up_and_down_is_identity)
{
    enum { N = 2 * 17 * 5 * 3 };
    double x[N], y[N];
    for (int i = 0; i < N; i++)
        x[i] = i % 251 - 100;   /* sums of four are exact */
    for (int d = 0; d < 3; d++) {
        run(devices[d], there_and_back, 0, SHAPE(2, 17, 5, 3), x, 5, 3, y);
        close_to(y, x, N, 0);
    }
}

TEST(constants_stay)
{
    const int side[][2] = {{1, 1}, {3, 5}, {4, 4}, {8, 8}, {11, 2}, {16, 24}};
    double x[2 * 3 * 8 * 8], y[2 * 3 * 16 * 24];
    for (int i = 0; i < 2 * 3 * 8 * 8; i++)
        x[i] = -0.625;
    for (int d = 0; d < 3; d++)
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t k = 0; k < sizeof side / sizeof *side; k++) {
                run(devices[d], forward, kind, SHAPE(2, 3, 8, 8), x, side[k][0], side[k][1], y);
                for (int i = 0; i < 6 * side[k][0] * side[k][1]; i++)
                    ck_assert_double_eq_tol(y[i], -0.625, d == 1 ? 1e-15 : 2e-7);
            }
}

/* <resize(x), y> = <x, grad(y)>: exact up to rounding in double; and all backends gather the same gradient. */
TEST(transposes)
{
    const int side[][4] = {{4, 5, 8, 10}, {8, 8, 2, 4}, {7, 5, 3, 9}, {5, 6, 1, 1}, {1, 3, 4, 7}, {13, 12, 6, 12}};
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t k = 0; k < sizeof side / sizeof *side; k++) {
            int H = side[k][0], W = side[k][1], OH = side[k][2], OW = side[k][3];
            enum { C = 17, MOST = C * 13 * 12 };
            double x[MOST], y[MOST], rx[MOST], gy[MOST], fast[MOST], left = 0, right = 0;
            spread(x, C * H * W, 1.7);
            spread(y, C * OH * OW, 2.3);
            run("reference64", forward, kind, SHAPE(1, C, H, W), x, OH, OW, rx);
            run("reference64", backward, kind, SHAPE(1, C, OH, OW), y, H, W, gy);
            for (int i = 0; i < C * OH * OW; i++)
                left += rx[i] * y[i];
            for (int i = 0; i < C * H * W; i++)
                right += x[i] * gy[i];
            ck_assert_double_eq_tol(left, right, 1e-12 * C * H * W);
            run("cpu", backward, kind, SHAPE(1, C, OH, OW), y, H, W, fast);
            close_to(fast, gy, C * H * W, 2e-6);
            run("cpu", forward, kind, SHAPE(1, C, H, W), x, OH, OW, fast);
            close_to(fast, rx, C * OH * OW, 2e-6);
        }
}

/* prog_grad of sum(resize(x) y) is the gradient op's answer, and its own gradient is the forward op. */
TEST(gradients)
{
    for (int kind = 0; kind < KINDS; kind++) {
        Store *s = store_create("reference64", 1);
        HAVE(s);
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", F32, SHAPE(1, 2, 5, 4)), dy = prog_input(p, "dy", F32, SHAPE(1, 2, 3, 9));
        Val y = forward(kind, x, 3, 9);
        Vals dx = prog_vjp(VALS(y), VALS(dy), VALS(x));
        Vals ddy = prog_vjp(VALS(dx.v[0]), VALS(x), VALS(dy));   /* J (J^T)^T x = y */
        Plan *plan = plan_compile(p, (PlanOpts){.name = "gradients", .outputs = VALS(y, dx.v[0], ddy.v[0])});
        ck_assert_msg(plan != NULL, "%s", prog_error(p));
        double a[40], b[54], out[54], again[54], expected[40], got[40];
        spread(a, 40, 1.7);
        spread(b, 54, 2.3);
        MUST(prog_write_double(p, x, a));
        MUST(prog_write_double(p, dy, b));
        MUST(plan_run(plan));
        MUST(plan_read_double(plan, y, out));
        MUST(plan_read_double(plan, dx.v[0], got));
        MUST(plan_read_double(plan, ddy.v[0], again));
        run("reference64", backward, kind, SHAPE(1, 2, 3, 9), b, 5, 4, expected);
        close_to(got, expected, 40, 0);
        close_to(again, out, 54, 0);
        plan_free(plan);
        prog_free(p);
        store_free(s);
    }
}

TEST(mistakes)
{
    Store *s = store_create("reference", 1);
    HAVE(s);
    for (int bad = 0; bad < 4; bad++) {
        Prog *p = prog_create(s);
        Val x = prog_input(p, "x", bad == 3 ? U8 : F32, bad == 2 ? SHAPE(3, 4, 4) : SHAPE(1, 3, 4, 4));
        Val y = op_resize_area(x, bad == 0 ? 0 : 2, bad == 1 ? 1 << 30 : 2);
        ck_assert(!val_ok(y));
        HAVE(prog_error(p));
        ck_assert_msg(strstr(prog_error(p), "resize_area") != NULL, "%s", prog_error(p));
        prog_free(p);
    }
    store_free(s);
}

static double *tensor(const SafeFile *f, const char *op, int n, const char *what, Shape *shape)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%d.%s", op, n, what);
    const SafeTensor *t = safetensors_find(f, name);
    if (!t)
        return NULL;
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
    static const char *const op[KINDS] = {"resize_nearest", "resize_area", "resize_bilinear", "resize_corners"};
    int compared = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 0;; n++) {
            Shape in, out;
            double *x = tensor(f, op[kind], n, "x", &in);
            if (!x)
                break;
            double *y = tensor(f, op[kind], n, "y", &out), *dy = tensor(f, op[kind], n, "dy", &out);
            double *dx = tensor(f, op[kind], n, "dx", &in), *got = must_alloc(4096 * sizeof *got);
            for (int d = 0; d < 3; d++) {
                double tolerance = d == 1 ? 1e-13 : 1e-5;
                run(devices[d], forward, kind, in, x, (int)out.dim[2], (int)out.dim[3], got);
                close_to(got, y, shape_count(out), tolerance);
                run(devices[d], backward, kind, out, dy, (int)in.dim[2], (int)in.dim[3], got);
                close_to(got, dx, shape_count(in), tolerance);
                compared++;
            }
            free(x);
            free(y);
            free(dy);
            free(dx);
            free(got);
        }
    ck_assert_int_eq(compared, 4 * 6 * 3);
    safetensors_close(f);
}

TEST_MAIN("resize", worked, up_and_down_is_identity, constants_stay, transposes, gradients, mistakes, pytorch)
