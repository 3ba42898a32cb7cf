/* 315_upsample.c - nearest upsampling and a 3x3 convolution as four convolutions of the small map: the same numbers
 * forward and backward, put in their place where the device's kernel says that it is worth while, and nowhere else. */
#include "engine/ops/upsample_conv.h"
#include "tests/programs.h"
#include "tests/tolerance.h"

/* Both ways in one program, with the gradients of x, w and b; returns the largest difference, relative to the largest
 * number of each value. */
static double apart(const char *device, int64_t b, int64_t c, int64_t h, int64_t w, int64_t f, bool bias)
{
    Store *s = store_try(device, 1);
    if (!s)
        return -1;
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(b, c, h, w)), k = prog_input(p, "k", F32, SHAPE(f, c, 3, 3));
    Val r = bias ? prog_input(p, "r", F32, SHAPE(f)) : NONE, dy = prog_input(p, "dy", F32, SHAPE(b, f, 2 * h, 2 * w));
    Val wrt[] = {x, k, r};
    Val out[2][4] = {{op_conv2d(op_resize_nearest(x, (int)(2 * h), (int)(2 * w)), k, r, (Conv2dAttrs){.padding = 1})},
                     {op_upsample_conv2d(x, k, r)}};
    int n = bias ? 4 : 3;
    Val all[8];
    for (int i = 0; i < 2; i++) {
        Vals g = prog_vjp(VALS(out[i][0]), VALS(dy), (Vals){wrt, n - 1});
        for (int j = 1; j < n; j++)
            out[i][j] = g.v[j - 1];
        memcpy(all + i * n, out[i], sizeof *all * (size_t)n);
    }
    setenv("ENGINE_NOFUSE", "1", 1);
    Plan *plan = plan_must(p, (Vals){all, 2 * n}, (Vals){0});
    unsetenv("ENGINE_NOFUSE");
    write_normals(p, x, 1);
    write_normals(p, k, 2);
    write_normals(p, dy, 3);
    if (bias)
        write_normals(p, r, 4);
    MUST(plan_run(plan));
    double worst = 0;
    for (int j = 0; j < n; j++) {
        int64_t count = shape_count(val_shape(out[0][j]));
        double *one = must_alloc(sizeof *one * (size_t)count), *two = must_alloc(sizeof *two * (size_t)count);
        double largest = 0, off = 0;
        MUST(plan_read_double(plan, out[0][j], one));
        MUST(plan_read_double(plan, out[1][j], two));
        for (int64_t i = 0; i < count; i++) {
            largest = fmax(largest, fabs(one[i]));
            off = fmax(off, fabs(one[i] - two[i]));
        }
        worst = fmax(worst, off / largest);
        free(one);
        free(two);
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return worst;
}

TEST(the_same_numbers)
{
    static const struct {
        int64_t b, c, h, w, f;
        bool bias;
    } cases[] = {{2, 3, 4, 5, 6, true}, {1, 1, 1, 1, 1, false}, {2, 16, 3, 3, 32, true}, {1, 8, 1, 6, 4, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double exact = apart("reference64", cases[i].b, cases[i].c, cases[i].h, cases[i].w, cases[i].f, cases[i].bias);
        ck_assert_msg(exact >= 0 && exact < 1e-14, "case %d in double: %.3g", (int)i, exact);
        for (int d = 0; d < 2; d++) {
            double rounded = apart(d ? "cuda" : "cpu", cases[i].b, cases[i].c, cases[i].h, cases[i].w, cases[i].f,
                                   cases[i].bias);
            ck_assert_msg(rounded < TOLERANCE_FLOAT, "case %d on %s: %.3g", (int)i, d ? "cuda" : "cpu", rounded);
        }
    }
}

/* ---------------------------------------------------------------- pattern */
typedef enum Case { FORWARD, TRAINED, READ, OTHER_SIZE, STRIDED, FEW, WIDE, CASES } Case;

static const struct {
    const char *name;
    int conv;      /* interleaved maps forward */
    int grad;      /* and backward: one for both gradients */
} expected[CASES] = {
    {"forward", 1, 0}, {"trained", 1, 1}, {"map is read", 0, 1}, {"four times the size", 0, 0}, {"stride 2", 0, 0},
    {"few channels", 0, 0}, {"as many filters", 0, 0},
};   /* where the large map is read, the gradient of x alone can do without it */

static bool build(Made *m, const char *device, Case c)
{
    *m = (Made){.store = store_try(device, 9)};
    if (!m->store)
        return false;
    Prog *p = m->p = prog_create(m->store);
    int64_t channels = c == FEW ? 2 : c == WIDE ? 32 : 64, filters = c == WIDE ? 32 : 16;
    int times = c == OTHER_SIZE ? 4 : 2;
    Val x = m->inputs[m->ninputs++] = prog_input(p, "x", F32, SHAPE(2, channels, 8, 8));
    Val w = prog_param(p, "w", SHAPE(filters, channels, 3, 3), (Init){INIT_NORMAL, 0.1f});
    Val b = prog_param(p, "b", SHAPE(filters), (Init){INIT_NORMAL, 1}), h = op_leaky_relu(x, 0.2f);
    Val up = op_resize_nearest(h, 8 * times, 8 * times);
    Val y = op_conv2d(up, w, b, (Conv2dAttrs){.padding = 1, .stride = c == STRIDED ? 2 : 1});
    m->outputs[m->noutputs++] = y;
    if (c == READ)
        m->outputs[m->noutputs++] = up;
    Vals g = prog_grad(op_mean(op_square(op_tanh(y))), VALS(w, b, x));
    for (int i = 0; i < (c == FORWARD ? 0 : g.n); i++)
        m->outputs[m->noutputs++] = g.v[i];
    ck_assert_msg(!prog_error(p), "%s: %s", expected[c].name, prog_error(p));
    write_normals(p, x, 1);
    return true;
}

static void fuse(const char *device, bool wins)
{
    for (Case c = 0; c < CASES; c++) {
        Made m;
        if (!build(&m, device, c))
            SKIP("%s: %s", device, error_text());
        Gathered g[2];
        double largest = 0;
        for (int k = 0; k < 2; k++) {
            if (k)
                setenv("ENGINE_NOFUSE", "1", 1);
            Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
            unsetenv("ENGINE_NOFUSE");
            int conv = nodes_of(plan->q, "upsample_interleave"), grad = nodes_of(plan->q, "upsample_interleave_grad"),
                weights = nodes_of(plan->q, "upsample_weights"), up = nodes_of(plan->q, "resize_nearest");
            bool here = wins && !k;
            ck_assert_msg(conv == here * expected[c].conv && grad == here * expected[c].grad &&
                          weights == here * (expected[c].conv || expected[c].grad) &&
                          up == (here && expected[c].conv ? 0 : 1),
                          "%s on %s%s: %d and %d interleaved, %d of weights, %d upsampled", expected[c].name, device,
                          k ? " without fusion" : "", conv, grad, weights, up);
            g[k] = made_run(&m, plan, 2);
            plan_free(plan);
        }
        ck_assert_int_eq(g[0].n, g[1].n);
        for (int64_t i = 0; i < g[1].n; i++)
            largest = fmax(largest, fabs(g[1].x[i]));
        for (int64_t i = 0; i < g[0].n; i++)
            ck_assert_msg(fabs(g[0].x[i] - g[1].x[i]) <= 1e-6 * largest,
                          "%s on %s: number %ld is %.9g fused and %.9g not", expected[c].name, device, (long)i,
                          g[0].x[i], g[1].x[i]);
        free(g[0].x);
        free(g[1].x);
        made_close(&m);
    }
}

TEST(on_cuda) { fuse("cuda", true); }
TEST(on_the_cpu) { fuse("cpu", true); }
TEST(not_on_reference) { fuse("reference", false); }

TEST_MAIN("upsample", the_same_numbers, on_cuda, on_the_cpu, not_on_reference)
