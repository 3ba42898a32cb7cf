/* 252_arcface.c - margin and cross-entropy become one op, forward and backward, where nothing else reads the logits;
 * the numbers stay, over rows of one and of several parts, and whole training steps take it. */
#include "models/recogniser_step.h"
#include "tests/programs.h"
#include "tests/tolerance.h"

typedef enum Case {
    LOSS, TRAINED, ONLY_BACKWARD, TWO_LOSSES, EASY, LONG_ROWS, BAD_LABEL, LOGITS_ASKED_FOR, CASES
} Case;

static const struct {
    const char *name;
    int64_t classes;
    int forward, backward;   /* fused ops that must be there */
} expected[CASES] = {
    {"loss", 33, 1, 0}, {"trained", 33, 1, 1}, {"only backward", 33, 1, 1}, {"two losses", 33, 1, 2},
    {"easy", 33, 1, 1}, {"long rows", 8195, 1, 1}, {"bad label", 33, 1, 1}, {"logits asked for", 33, 0, 0},
};

enum { B = 5, D = 8 };

static bool build(Made *m, const char *device, Case c)
{
    *m = (Made){.store = store_try(device, 9)};
    if (!m->store)
        return false;
    Prog *p = m->p = prog_create(m->store);
    int64_t n = expected[c].classes;
    int32_t which[B] = {0, (int32_t)n - 1, 3, 3, c == BAD_LABEL ? -1 : (int32_t)n / 2};
    Val x = m->inputs[m->ninputs++] = prog_input(p, "x", F32, SHAPE(B, D));
    Val labels = prog_input(p, "labels", I32, SHAPE(B));
    Val w = prog_param(p, "w", SHAPE(n, D), (Init){INIT_NORMAL, 1});
    ArcfaceAttrs a = {.s = 16, .m = 0.5f, .easy_gradient = c == EASY};
    Val logits = op_arcface_margin(op_linear(op_l2_normalize(x), op_l2_normalize(w), NONE), labels, a);
    Val y = op_softmax_cross_entropy(logits, labels);
    if (c != ONLY_BACKWARD)
        m->outputs[m->noutputs++] = y;
    if (c == LOGITS_ASKED_FOR)
        m->outputs[m->noutputs++] = logits;
    for (int loss = 0; loss < (c == LOSS ? 0 : c == TWO_LOSSES ? 2 : 1); loss++) {
        Vals g = prog_grad(op_mean(loss ? op_square(y) : y), VALS(x, w));
        for (int i = 0; i < g.n; i++)
            m->outputs[m->noutputs++] = g.v[i];
    }
    ck_assert_msg(!prog_error(p), "%s: %s", expected[c].name, prog_error(p));
    write_normals(p, x, 1);
    MUST(prog_write(p, labels, which));
    return true;
}

static void fuse(const char *device)
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
            int forward = nodes_of(plan->q, "arcface_cross_entropy"),
                backward = nodes_of(plan->q, "arcface_cross_entropy_grad"),
                apart = nodes_of(plan->q, "arcface_margin") + nodes_of(plan->q, "arcface_margin_grad") +
                        nodes_of(plan->q, "softmax_cross_entropy") + nodes_of(plan->q, "softmax_cross_entropy_grad");
            ck_assert_msg(forward == (k ? 0 : expected[c].forward) && backward == (k ? 0 : expected[c].backward),
                          "%s on %s: %d forward and %d backward fused%s", expected[c].name, device, forward, backward,
                          k ? " in spite of ENGINE_NOFUSE" : "");
            if (expected[c].forward && !k)
                ck_assert_int_eq(apart, 0);
            g[k] = made_run(&m, plan, 2);
            plan_free(plan);
        }
        ck_assert_int_eq(g[0].n, g[1].n);
        for (int64_t i = 0; i < g[1].n; i++)
            largest = fmax(largest, isnan(g[1].x[i]) ? 0 : fabs(g[1].x[i]));
        for (int64_t i = 0; i < g[0].n; i++)   /* the sum of a row is rounded once more between the passes */
            ck_assert_msg(isnan(g[0].x[i]) == isnan(g[1].x[i]) &&
                          (isnan(g[0].x[i]) || fabs(g[0].x[i] - g[1].x[i]) <= 1e-6 * largest),
                          "%s on %s: number %ld is %.9g fused and %.9g not", expected[c].name, device, (long)i,
                          g[0].x[i], g[1].x[i]);
        free(g[0].x);
        free(g[1].x);
        made_close(&m);
    }
}

TEST(on_reference) { fuse("reference"); }
TEST(on_reference64) { fuse("reference64"); }
TEST(on_cpu) { fuse("cpu"); }
TEST(on_cuda) { fuse("cuda"); }

/* The recogniser's training step holds the fused op once each way, and nothing of what it is made of. */
TEST(in_the_recognition_step)
{
    Store *s = store_create("cpu", 1);
    RecogniserOpts o = {.size = 16, .embedding = 8, .trunk = resnet_of_depth(8, 8, 16), .margin = {.s = 64, .m = 0.5f}};
    RecogniserStep *t = recogniser_step_create(s, o, 4, 7);
    HAVE(t);
    ck_assert_int_eq(nodes_of(t->plan->q, "arcface_cross_entropy"), 1);
    ck_assert_int_eq(nodes_of(t->plan->q, "arcface_cross_entropy_grad"), 1);
    ck_assert_int_eq(nodes_of(t->plan->q, "arcface_margin") + nodes_of(t->plan->q, "softmax_cross_entropy"), 0);
    recogniser_step_free(t);
    store_free(s);
}

TEST_MAIN("arcface", on_reference, on_reference64, on_cpu, on_cuda, in_the_recognition_step)
