/* 300_passes.c - the improved program computes what the recorded one says: equal ops merge, dead ones go, formats and
 * buffers change nothing, on hundreds of random programs and each device.
 * GUISE_PROGRAMS=n sets how many; GUISE_PROGRAM=n runs one. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/programs.h"
#include "tests/tolerance.h"

/* ---------------------------------------------------------------- random programs */
static int first, programs;

static void read_environment(int n_default)
{
    const char *n = getenv("GUISE_PROGRAMS"), *one = getenv("GUISE_PROGRAM");
    programs = n && *n ? atoi(n) : n_default;
    if (one && *one) {
        first = atoi(one);
        programs = 1;
    }
}

static Gathered under(Made *m, const char *variable, int number, int *fused)
{
    MUST(store_reset(m->store, "", 5));
    if (variable)
        setenv(variable, "1", 1);
    Plan *plan = plan_compile(m->p, (PlanOpts){.name = "random", .outputs = {m->outputs, m->noutputs},
                                               .updates = m->updates});
    if (variable)
        unsetenv(variable);
    ck_assert_msg(plan != NULL, "program %d: %s", number, error_text());
    *fused = nodes_of(plan->q, "batch_norm_leaky_relu");
    Gathered g = made_run(m, plan, 2);
    plan_free(plan);
    return g;
}

static void same(Gathered want, Gathered got, const char *device, const char *variable, int number)
{
    ck_assert_int_eq(want.n, got.n);
    for (int64_t i = 0; i < want.n; i++)
        ck_assert_msg(!memcmp(&want.x[i], &got.x[i], sizeof *want.x),
                      "program %d on %s: number %ld of %ld is %.9g, with %s %.9g", number, device, (long)i,
                          (long)want.n,
                      want.x[i], variable, got.x[i]);
}

/* Buffers shared or not, dead bytes poisoned or not, fused or not, op by op or as a graph: the same bits. */
static void variants(const char *device, int n_default)
{
    static const char *const all[] = {"ENGINE_NOPLAN", "ENGINE_POISON", "ENGINE_NOFUSE", "ENGINE_SYNC"};
    read_environment(n_default);
    int64_t numbers = 0;
    int fused = 0;
    for (int i = first; i < first + programs; i++) {
        Made m;
        if (!made_open(&m, device, i, 6 + i % 25, i % 3 != 0))
            SKIP("%s: %s", device, error_text());
        int found, none;
        Gathered want = under(&m, NULL, i, &found);
        fused += found;
        for (int v = 0; v < 4; v++) {
            Gathered got = under(&m, all[v], i, &none);
            ck_assert_int_eq(none, v == 2 ? 0 : found);
            same(want, got, device, all[v], i);
            free(got.x);
        }
        numbers += want.n;
        free(want.x);
        made_close(&m);
    }
    printf("%s: %d programs, %d fusions, %ld numbers alike with each of 4 switches\n", device, programs, fused,
           (long)numbers);
    ck_assert_msg(fused > programs / 10 || programs < 20, "fusion was hardly met");
}

TEST(variants_on_reference) { variants("reference", 80); }
TEST(variants_on_cpu) { variants("cpu", 30); }   /* preparing convolutions takes longer than running them */
TEST(variants_on_cuda) { variants("cuda", 30); }

/* Largest difference, relative to the largest number or to 1: sums over a batch norm are 0 but for rounding. */
static double off(const double *want, const double *got, int64_t n)
{
    double difference = 0, scale = 1;
    for (int64_t i = 0; i < n; i++) {
        difference = isfinite(got[i]) ? fmax(difference, fabs(want[i] - got[i])) : INFINITY;
        scale = fmax(scale, fabs(want[i]));
    }
    return difference / scale;
}

/* Outputs of one run against the double reference, which knows no formats. */
static void against_reference(const char *device)
{
    int blocked = 0;
    double worst = 0;
    read_environment(150);
    for (int i = first; i < first + programs; i++) {
        Made m[2];
        Plan *plan[2];
        if (!made_open(&m[1], device, i, 6 + i % 25, false))
            SKIP("%s: %s", device, error_text());
        made_open(&m[0], "reference64", i, 6 + i % 25, false);
        for (int k = 0; k < 2; k++) {
            plan[k] = plan_must(m[k].p, (Vals){m[k].outputs, m[k].noutputs}, (Vals){0});
            MUST(plan_run(plan[k]));
        }
        for (int v = 1; v < plan[1]->q->nvalues; v++)
            blocked += plan[1]->q->values[v].format != PLAIN;
        for (int o = 0; o < m[0].noutputs; o++) {
            int64_t n = shape_count(val_shape(m[0].outputs[o]));
            double *want = must_zalloc(((size_t)n + 1) * sizeof *want),
                *got = must_zalloc(((size_t)n + 1) * sizeof *got);
            MUST(plan_read_double(plan[0], m[0].outputs[o], want));
            MUST(plan_read_double(plan[1], m[1].outputs[o], got));
            double d = off(want, got, n);
            ck_assert_msg(d <= TOLERANCE_RANDOM_PROGRAM, "program %d on %s: output %d is %.3g off", i, device, o, d);
            worst = fmax(worst, d);
            free(want);
            free(got);
        }
        for (int k = 0; k < 2; k++) {
            plan_free(plan[k]);
            made_close(&m[k]);
        }
    }
    printf("%s: %d programs, at most %.2g off, %d values in other formats\n", device, programs, worst, blocked);
    ck_assert_msg(strcmp(device, "cpu") || programs == 1 || blocked > programs, "formats were hardly met");
}

TEST(cpu_against_reference) { against_reference("cpu"); }
TEST(cuda_against_reference) { against_reference("cuda"); }

/* ---------------------------------------------------------------- single passes */
static Store *s;
static Prog *p;

static void begin(const char *device)
{
    s = store_create(device, 1);
    HAVE(s);
    p = prog_create(s);
}

static void end(void)
{
    prog_free(p);
    store_free(s);
}

/* Nodes named `op` in the improved program for these outputs. */
static int improved(Vals outputs, const char *op)
{
    Prog *q = prog_improve(p, outputs, (Vals){0});
    ck_assert_msg(q != NULL, "%s", prog_error(p));
    int n = op ? nodes_of(q, op) : q->nnodes;
    prog_free(q);
    return n;
}

TEST(equal_ops_merge)
{
    begin("reference");
    Val x = prog_input(p, "x", F32, SHAPE(2, 16, 4, 4)), w = prog_param(p, "w", SHAPE(4, 16, 3, 3),
                                                                        (Init){INIT_NORMAL, 1});
    Val again = prog_param(p, "w", SHAPE(4, 16, 3, 3), (Init){INIT_NORMAL, 1});
    Val a = op_conv2d(op_exp(x), w, NONE, (Conv2dAttrs){.padding = 1}),
        b = op_conv2d(op_exp(x), again, NONE, (Conv2dAttrs){.padding = 1});
    Val c = op_conv2d(op_exp(x), w, NONE, (Conv2dAttrs){.padding = 1, .stride = 2});
    ck_assert_int_eq(improved(VALS(op_add(a, b), c), "exp"), 1);
    ck_assert_int_eq(improved(VALS(op_add(a, b), c), "conv2d"), 2);
    ck_assert_int_eq(improved(VALS(op_slice(x, -1, 0, 2), op_slice(x, 3, 0, 2)), "slice"), 1);
    ck_assert_int_eq(improved(VALS(op_affine(x, 1, 2), op_affine(x, 1, 3)), "affine"), 2);
    ck_assert_int_eq(improved(VALS(op_affine(x, 2, 0.0f), op_affine(x, 2, -0.0f)), "affine"), 2);
    ck_assert_int_eq(improved(VALS(op_sub(x, op_exp(x)), op_sub(op_exp(x), x)), "sub"), 2);
    /* stop_gradient stands for its operand. */
    ck_assert_int_eq(improved(VALS(op_tanh(x), op_tanh(op_stop_gradient(x))), "tanh"), 1);
    ck_assert_int_eq(improved(VALS(op_tanh(x), op_tanh(op_stop_gradient(x))), "stop_gradient"), 0);
    /* Two losses over one forward pass cost one forward pass. */
    Val hidden = op_leaky_relu(a, 0.2f), l1 = op_mean(hidden), l2 = op_mean(op_square(hidden));
    Val g1 = prog_grad(l1, VALS(w)).v[0], g2 = prog_grad(l2, VALS(w)).v[0];
    ck_assert_int_eq(improved(VALS(g1, g2), "conv2d"), 1);
    ck_assert_int_eq(improved(VALS(g1, g2), "conv2d_weight_grad"), 2);
    ck_assert_int_eq(improved(VALS(g1, prog_grad(l1, VALS(w)).v[0]), "conv2d_weight_grad"), 1);
    end();
}

TEST(random_ops_merge_by_name_only)
{
    begin("reference");
    Val rng = prog_rng(p), rate = op_fill(p, SHAPE(1), 0.5f), x = prog_input(p, "x", F32, SHAPE(64));
    Val a = op_random_normal(rng, "a", SHAPE(64)), again = op_random_normal(rng, "a", SHAPE(64));
    Val b = op_random_normal(rng, "b", SHAPE(64)), longer = op_random_normal(rng, "a", SHAPE(65));
    Val later = op_random_normal(op_rng_advance(rng), "a", SHAPE(64));
    Val d = op_dropout(x, rate, rng, "d"), e = op_dropout(x, rate, rng, "e");
    ck_assert_int_eq(improved(VALS(a, again), "random_normal"), 1);
    ck_assert_int_eq(improved(VALS(a, b), "random_normal"), 2);
    ck_assert_int_eq(improved(VALS(a, longer), "random_normal"), 2);
    ck_assert_int_eq(improved(VALS(a, later), "random_normal"), 2);
    ck_assert_int_eq(improved(VALS(d, e), "dropout"), 2);
    Plan *plan = plan_must(p, VALS(a, again, b, later, d, e), (Vals){0});
    float v[6][64];
    write_normals(p, x, 0);
    MUST(plan_run(plan));
    Val all[] = {a, again, b, later, d, e};
    for (int i = 0; i < 6; i++)
        MUST(plan_read(plan, all[i], v[i]));
    ck_assert_mem_eq(v[0], v[1], sizeof v[0]);
    ck_assert(memcmp(v[0], v[2], sizeof v[0]) && memcmp(v[0], v[3], sizeof v[0]) && memcmp(v[4], v[5], sizeof v[0]));
    plan_free(plan);
    end();
}

TEST(dead_code_goes)
{
    begin("reference");
    Val x = prog_input(p, "x", F32, SHAPE(4)), w = prog_param(p, "w", SHAPE(4), (Init){INIT_NORMAL, 1});
    Val y = op_mul(x, w), loss = op_mean(op_square(y));
    op_exp(op_log(op_softplus(y)));
    prog_grad(loss, VALS(w, x));
    int alone = improved(VALS(y), NULL);
    ck_assert_int_eq(alone, 1);
    ck_assert_int_eq(improved(VALS(loss), "softplus"), 0);
    ck_assert_int_gt(p->nnodes, 8);
    /* A plan reads and holds nothing of what it does not need. */
    Plan *plan = plan_must(p, VALS(op_square(x)), (Vals){0});
    for (int v = 1; v < plan->q->nvalues; v++)
        ck_assert_int_ne(plan->q->values[v].from, FROM_STORE);
    plan_free(plan);
    end();
}

/* ---------------------------------------------------------------- verify */
static Prog *broken_program(int how)
{
    begin("reference");
    Val x = prog_input(p, "x", F32, SHAPE(2, 3)), y = op_exp(x), z = op_add(y, x);
    prog_param(p, "w", SHAPE(4), (Init){0});
    Prog *q = prog_improve(p, VALS(z), (Vals){0});
    switch (how) {
    case 1: q->nodes[0].in[0] = q->nodes[1].out[0]; break;             /* made later */
    case 2: q->nodes[1].in[1] = q->nvalues + 3; break;                 /* no value */
    case 3: q->values[q->nodes[1].out[0]].source = 0; break;           /* does not know its node */
    case 4: q->values[q->nodes[0].out[0]].shape = SHAPE(3, 2); break;  /* not what infer says */
    case 5: q->values[q->nodes[1].out[0]].dtype = I32; break;
    case 6: q->nodes[1].in[0] = 0; break;                              /* an operand is gone */
    case 7: q->outputs[0] = q->nvalues; break;
    case 8: q->updates[0] = (Update){0, q->outputs[0]}; q->nupdates = 1; break;   /* of another shape */
    case 9: q->nodes[1].out[0] = q->nvalues + 7; break;
    default: break;
    }
    return q;
}

TEST(broken_programs_abort_with_a_dump)
{
    for (int how = 0; how < 10; how++) {
        int tell[2], status;
        char text[4096] = "";
        ck_assert_int_eq(pipe(tell), 0);
        pid_t child = fork();
        if (!child) {
            signal(SIGABRT, SIG_DFL);
            dup2(tell[1], 2);
            prog_verify(broken_program(how), "a test");
            _exit(0);
        }
        close(tell[1]);
        for (size_t n = 0; n < sizeof text - 1;) {
            ssize_t got = read(tell[0], text + n, sizeof text - 1 - n);
            if (got <= 0)
                break;
            n += (size_t)got;
        }
        close(tell[0]);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (how == 0) {
            ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "a whole program was refused: %s", text);
        } else {
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "damage %d was not seen", how);
            ck_assert_msg(strstr(text, "broken after pass a test") && strstr(text, "exp("), "%d: %s", how, text);
        }
    }
}

TEST_MAIN("passes", equal_ops_merge, random_ops_merge_by_name_only, dead_code_goes, broken_programs_abort_with_a_dump,
          variants_on_reference, variants_on_cpu, variants_on_cuda, cpu_against_reference, cuda_against_reference)
