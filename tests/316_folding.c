/* 316_folding.c - batch norm of evaluation folded into the convolution before it, with ReLU and residual behind: where
 * the device's kernel says that it is worth while and nothing else reads what lies between, and nowhere else; the same
 * numbers but for rounding. */
#include <unistd.h>

#include "engine/ops/conv2d_relu.h"
#include "tests/programs.h"
#include "tests/tolerance.h"

typedef enum Case {
    RELU,            /* convolution -> norm -> ReLU */
    BIASED,          /* the convolution has a bias */
    BARE,            /* nothing behind the norm */
    RESIDUAL,        /* norm + x -> ReLU */
    TWO_NORMS,       /* norm + norm -> ReLU: the end of a block that changes its width */
    NO_GAMMA,
    LEAKY,           /* slope 0.2: no library has that */
    TRAINING,
    MAP_READ,        /* the convolution's result is read by another */
    MAP_ASKED_FOR,   /* and an output */
    STATISTICS,      /* rstd is read */
    NO_RUNNING,      /* without running statistics there is nothing to fold */
    SMALL_MAP,       /* fewer numbers than the weights: folding would cost more */
    GRADIENT,        /* the norm's gradient needs its operand */
    CASES
} Case;

static const struct {
    const char *name;
    int folded, relu;   /* folded weights and fused rectifiers */
} expected[CASES] = {
    {"relu", 1, 1}, {"biased", 1, 1}, {"bare", 1, 0}, {"residual", 1, 1}, {"two norms", 2, 1}, {"no gamma", 1, 1},
    {"leaky", 0, 0}, {"training", 0, 0}, {"map read", 0, 0}, {"map asked for", 0, 0}, {"statistics", 0, 0},
    {"no running statistics", 0, 0}, {"small map", 0, 0}, {"gradient", 0, 0},
};

enum { C = 16 };

static BatchNorm norm(Prog *p, Val x, const char *name, Case c)
{
    int64_t n = val_dim(x, 1);
    prog_push(p, name);
    Val gamma = c == NO_GAMMA ? NONE : prog_param(p, "gamma", SHAPE(n), (Init){INIT_NORMAL, 1});
    Val beta = prog_param(p, "beta", SHAPE(n), (Init){INIT_NORMAL, 1});
    bool none = c == NO_RUNNING;
    Val mean = none ? NONE : prog_param(p, "mean", SHAPE(n), (Init){INIT_NORMAL, 1});
    Val var = none ? NONE : op_exp(prog_param(p, "log_var", SHAPE(n), (Init){INIT_NORMAL, 1}));
    prog_pop(p);
    return op_batch_norm(x, gamma, beta, mean, var, (BatchNormAttrs){.training = c == TRAINING, .eps = 1e-3f});
}

static bool build(Made *m, const char *device, Case c)
{
    *m = (Made){.store = store_try(device, 9)};
    if (!m->store)
        return false;
    Prog *p = m->p = prog_create(m->store);
    Val x = m->inputs[m->ninputs++] = prog_input(p, "x", F32, c == SMALL_MAP ? SHAPE(2, C, 3, 3) : SHAPE(2, C, 11, 9));
    Val w = prog_param(p, "w", SHAPE(C, C, 3, 3), (Init){INIT_NORMAL, 0.1f});
    Val b = c == BIASED ? prog_param(p, "b", SHAPE(C), (Init){INIT_NORMAL, 1}) : NONE;
    Val h = op_conv2d(x, w, b, (Conv2dAttrs){.padding = 1});
    BatchNorm n = norm(p, h, "bn", c);
    Val y = c == RESIDUAL ? op_add(n.y, x) : n.y;
    if (c == TWO_NORMS) {
        Val v = prog_param(p, "v", SHAPE(C, C, 1, 1), (Init){INIT_NORMAL, 0.3f});
        y = op_add(n.y, norm(p, op_conv2d(x, v, NONE, (Conv2dAttrs){0}), "bn2", c).y);
    }
    Val z = m->outputs[m->noutputs++] = c == BARE ? y : op_leaky_relu(y, c == LEAKY ? 0.2f : 0);
    if (c == MAP_READ)
        m->outputs[m->noutputs++] = op_tanh(h);
    if (c == MAP_ASKED_FOR)
        m->outputs[m->noutputs++] = h;
    if (c == STATISTICS)
        m->outputs[m->noutputs++] = n.rstd;
    if (c == GRADIENT)
        m->outputs[m->noutputs++] = prog_grad(op_mean(op_square(z)), VALS(w)).v[0];
    ck_assert_msg(!prog_error(p), "%s: %s", expected[c].name, prog_error(p));
    write_normals(p, x, 1);
    return true;
}

/* Returns the largest difference, relative to the largest number. */
static double check(const char *device, Case c, bool folds, double tolerance)
{
    Made m;
    ck_assert(build(&m, device, c));
    Gathered g[2];
    double largest = 0, worst = 0;
    for (int k = 0; k < 2; k++) {
        if (k)
            setenv("ENGINE_NOFUSE", "1", 1);
        Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
        unsetenv("ENGINE_NOFUSE");
        int folded = nodes_of(plan->q, "batch_norm_fold"), relu = nodes_of(plan->q, "conv2d_relu");
        int norms = nodes_of(plan->q, "batch_norm") + nodes_of(plan->q, "batch_norm_leaky_relu");
        bool here = folds && !k;
        ck_assert_msg(folded == here * expected[c].folded && relu == here * expected[c].relu &&
                      norms == (here && expected[c].folded ? 0 : c == TWO_NORMS ? 2 : 1),
                      "%s on %s%s: %d folded, %d with ReLU, %d norms left", expected[c].name, device,
                      k ? " without fusion" : "", folded, relu, norms);
        g[k] = made_run(&m, plan, 2);
        plan_free(plan);
    }
    ck_assert_int_eq(g[0].n, g[1].n);
    for (int64_t i = 0; i < g[1].n; i++)
        largest = fmax(largest, fabs(g[1].x[i]));
    for (int64_t i = 0; i < g[0].n; i++) {
        worst = fmax(worst, fabs(g[0].x[i] - g[1].x[i]) / largest);
        ck_assert_msg(fabs(g[0].x[i] - g[1].x[i]) <= tolerance * largest,
                      "%s on %s: number %ld is %.9g folded and %.9g not", expected[c].name, device, (long)i, g[0].x[i],
                      g[1].x[i]);
    }
    free(g[0].x);
    free(g[1].x);
    made_close(&m);
    return worst;
}

/* No tests where the device is not here. */
static bool here(const char *device)
{
    Store *s = store_try(device, 1);
    store_free(s);
    return s != NULL;
}

TEST(on_cuda)
{
    if (!here("cuda"))
        SKIP("cuda: %s", error_text());
    double worst = 0;
    for (Case c = 0; c < CASES; c++)
        worst = fmax(worst, check("cuda", c, true, TOLERANCE_FLOAT));
    printf("largest difference %.2g\n", worst);
}

/* Whose kernels do not say that it pays. */
TEST(not_elsewhere)
{
    for (Case c = 0; c < CASES; c++) {
        check("cpu", c, false, TOLERANCE_FLOAT);
        check("reference", c, false, TOLERANCE_FLOAT);
    }
}

/* Rounded operands and results: weights, sums and y to 8 bits of mantissa, each way at other places. */
TEST(in_bfloat16)
{
    if (!here("cuda"))
        SKIP("cuda: %s", error_text());
    MUST(engine_precision("cuda", PRECISION_BF16));
    double worst = 0;
    for (Case c = RELU; c <= NO_GAMMA; c++)
        worst = fmax(worst, check("cuda", c, true, TOLERANCE_FOLDED_BF16));
    printf("largest difference %.2g\n", worst);
    MUST(engine_precision("cuda", PRECISION_FP32));
}

/* Weights change between runs: what was folded before is not used again. */
TEST(weights_may_change)
{
    Made m;
    if (!build(&m, "cuda", RELU))
        SKIP("cuda: %s", error_text());
    Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
    enum { N = 2 * C * 11 * 9 };
    static float y[2][N];
    for (int i = 0; i < 3; i++) {   /* plain, recorded, launched */
        float *w = normals(C, "gamma", (uint64_t)i, 1);
        MUST(store_write(m.store, store_find(m.store, "bn.gamma"), w));
        MUST(plan_run(plan));
        MUST(plan_read(plan, m.outputs[0], y[i % 2]));
        ck_assert_int_ne(memcmp(y[0], y[1], sizeof y[0]), 0);
        free(w);
    }
    plan_free(plan);
    made_close(&m);
}

static void print_choices(const void *plan, FILE *to)
{
    MUST(plan_choices(plan, to));
}

/* Each way to add what comes behind the sums: cuDNN's (algorithm 1 for a bias alone), by hand. */
TEST(epilogues)
{
    Made m;
    if (!here("cuda"))
        SKIP("cuda: %s", error_text());
    for (int relu = 0; relu < 2; relu++) {
        Gathered g[2];
        for (int k = 0; k < 2; k++) {
            m = (Made){.store = store_try("cuda", 9)};
            Prog *p = m.p = prog_create(m.store);
            Val x = m.inputs[m.ninputs++] = prog_input(p, "x", F32, SHAPE(2, C, 5, 6));
            Val w = prog_param(p, "w", SHAPE(C, C, 3, 3), (Init){INIT_NORMAL, 0.1f});
            Val b = prog_param(p, "b", SHAPE(C), (Init){INIT_NORMAL, 1});
            Val y = relu ? op_conv2d_relu(x, w, b, x, (Conv2dAttrs){.padding = 1})
                         : op_conv2d(x, w, b, (Conv2dAttrs){.padding = 1});
            m.outputs[m.noutputs++] = y;
            write_normals(p, x, 1);
            Plan *plan = plan_must(p, VALS(y), (Vals){0});
            char table[] = "/tmp/guise-folding-XXXXXX";
            int f = mkstemp(table);
            ck_assert_int_ge(f, 0);
            char *text = printed(print_choices, plan), *tab = strchr(text, '\t');
            ck_assert_ptr_nonnull(tab);
            FILE *out = fdopen(f, "w");
            fprintf(out, "%.*s\t%d\n", (int)(tab - text), text, k);
            fclose(out);
            plan_free(plan);
            plan = plan_compile(p, (PlanOpts){.name = "test", .outputs = VALS(y), .tuning = table});
            HAVE(plan);
            g[k] = made_run(&m, plan, 2);
            plan_free(plan);
            unlink(table);
            free(text);
            made_close(&m);
        }
        ck_assert_int_eq(g[0].n, g[1].n);
        for (int64_t i = 0; i < g[0].n; i++)
            ck_assert_msg(fabs(g[0].x[i] - g[1].x[i]) <= 1e-6 * (1 + fabs(g[1].x[i])),
                          "relu %d: number %ld is %.9g and %.9g", relu, (long)i, g[0].x[i], g[1].x[i]);
        free(g[0].x);
        free(g[1].x);
    }
}

TEST_MAIN("folding", on_cuda, not_elsewhere, in_bfloat16, weights_may_change, epilogues)
