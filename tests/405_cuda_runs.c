/* 405_cuda_runs.c - what kernels of a plan may do on CUDA: launch, and nothing else.  Calls are counted by the emulated
 * runtime, in a plan's first run, which is not recorded, in the second, which records (the kernels' host code runs in
 * both), and while its graph is launched: every case of every op, and whole training steps.  Planted mistakes show that
 * it would be noticed. */
#include "models/synthesis_step.h"
#include "tests/counts.h"
#include "tests/ops.h"
#include "tests/programs.h"

/* A plan large enough that no later one of this file makes the arena grow. */
static Made large_arena(void)
{
    Made m = {.store = store_try("cuda", 1)};
    m.p = prog_create(m.store);
    Val x = prog_input(m.p, "x", F32, SHAPE(1024, 16384)), y = op_sum(op_transpose(op_tanh(x), INTS(1, 0)));
    Plan *plan = plan_must(m.p, VALS(y), (Vals){0});
    MUST(plan_run(plan));
    plan_free(plan);
    return m;
}

/* Of a step, at most: two for each batch norm's running statistics would be more. */
enum { COPIES = 8 };

/* What the first run, the second, which records, and three more runs of the plan do that kernels must not: 0 or -1.
 * told: prints how many launches a step is. */
static int run_counted(Plan *plan, const char *what, bool told)
{
    if (plan_bind(plan))   /* uploads tables of addresses, once */
        return fail_in("%s", what);
    mark();
    int bad = plan_run(plan);
    Counts c = counts();
    if (bad)
        return fail_in("%s: the first run", what);
    if (c.mallocs || c.frees || c.syncs || c.instantiations || c.refused || c.graph_launches)
        return fail("%s: the first run: %ld mallocs, %ld frees, %ld waits, %ld refused calls, %ld graphs made, %ld "
                    "launched", what, c.mallocs, c.frees, c.syncs, c.refused, c.instantiations, c.graph_launches);
    if (told && c.copies > COPIES)
        return fail("%s: %ld copies and fills", what, c.copies);
    if (told)
        printf("%s: %d ops, %ld kernels, %ld copies and fills a step\n", what, plan_ops(plan), c.launches, c.copies);
    mark();
    bad = plan_run(plan);
    c = counts();
    if (bad)
        return fail_in("%s: recording", what);
    if (c.mallocs || c.frees || c.syncs || c.instantiations != 1 || c.refused || c.graph_launches != 1)
        return fail("%s: recording: %ld mallocs, %ld frees, %ld waits, %ld refused calls, %ld graphs", what, c.mallocs,
                    c.frees, c.syncs, c.refused, c.instantiations);
    mark();
    for (int i = 0; i < 3; i++)
        if (plan_run(plan))
            return fail_in("%s: running", what);
    c = counts();
    if (c.mallocs || c.frees || c.syncs || c.instantiations || c.refused || c.graph_launches != 3 || c.launches ||
        c.copies)
        return fail("%s: 3 runs: %ld mallocs, %ld frees, %ld waits, %ld graphs made, %ld refused calls, %ld launches "
                    "of graphs, %ld of kernels, %ld copies", what, c.mallocs, c.frees, c.syncs, c.instantiations,
                    c.refused, c.graph_launches, c.launches, c.copies);
    return 0;
}

TEST(every_op)
{
    if (!counted())
        SKIP("counting calls needs the emulated CUDA");
    Made big = large_arena();
    int cases = 0;
    for (int o = 0; op_table[o]; o++)
        for (const OpCase *c = op_table[o]->cases; c && c->operands; c++, cases++) {
            OpRun run;
            bool grad = op_table[o]->vjp || (op_table[o]->flags & OP_EXPAND);
            ck_assert_msg(!case_open(&run, op_table[o], c, "cuda", grad), "%s: %s", op_table[o]->name, error_text());
            ck_assert_msg(!run_counted(run.plan, op_table[o]->name, false), "%s [%s; %s]", error_text(), c->operands,
                          c->attrs);
            oprun_close(&run);
        }
    printf("%d cases\n", cases);
    made_close(&big);
}

static SynthesisOpts small(void)
{
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = 16, .width = 8, .z = 8};
    o.generator = (GeneratorOpts){.size = 16, .width = 8};
    o.identity = (RecogniserOpts){.scope = "I", .size = 16, .embedding = 16,
                                  .trunk = {.blocks = {1, 1, 0, 0}, .width = 4, .small_stem = true}};
    return o;
}

/* Every launch of a step over parameters is one, however many there are. */
static int launches_of(Plan *plan, const char *op)
{
    for (int s = 0; s < plan->nsteps; s++)
        if (!strcmp(plan->steps[s].call.op->name, op)) {
            mark();
            plan->steps[s].call.kernel->run(&plan->steps[s].call);
            MUST(plan->device->sync(plan->device, op));
            return (int)counts().launches;
        }
    return -1;
}

TEST(whole_steps)
{
    if (!counted())
        SKIP("counting calls needs the emulated CUDA");
    Made big = large_arena();
    Store *s = store_try("cuda", 4);
    SynthesisOpts faces = small();
    for (int kind = 1; kind <= 2; kind++) {
        SynthesisStep *t = synthesis_step_create(s, faces, 4, kind);
        HAVE(t);
        MUST(run_counted(t->plan, kind == 1 ? "synthesis, step 1" : "synthesis, step 2", true));
        ck_assert_int_eq(launches_of(t->plan, "adam"), 2);   /* and one that counts the step */
        synthesis_step_free(t);
    }
    RecogniserOpts o = {.scope = "", .size = 16, .embedding = 16, .margin = {.s = 16, .m = 0.3f},
                        .trunk = {.blocks = {3, 4, 6, 3}, .width = 4, .small_stem = true}, .augment = {.size = 16}};
    Store *r = store_try("cuda", 4);
    RecogniserStep *t = recogniser_step_create(r, o, 4, 5);
    HAVE(t);
    MUST(run_counted(t->plan, "recognition, ResNet-50", true));
    ck_assert_int_eq(launches_of(t->plan, "adam"), 2);       /* of 164 tensors */
    recogniser_step_free(t);
    store_free(r);
    store_free(s);
    made_close(&big);
}

/* ---------------------------------------------------------------- planted mistakes */
static enum { ALLOCATES, FREES, WAITS, READS_BACK, PLANTS } planted;
static const KernelDef *honest;
static void *spare;

static void run_planted(KernelCall *k)
{
    Device *d = k->device;
    float number;
    honest->run(k);
    if (planted == ALLOCATES)
        spare = d->alloc(d, 256);
    else if (planted == FREES)
        d->free(d, spare);
    else if (planted == WAITS)
        d->sync(d, "planted");
    else
        d->download(d, &number, k->out[0].data, sizeof number);
}

TEST(planted_mistakes_are_noticed)
{
    if (!counted())
        SKIP("counting calls needs the emulated CUDA");
    for (int i = 0; i < PLANTS; i++) {
        Made m = {.store = store_try("cuda", 1)};
        m.p = prog_create(m.store);
        Val x = prog_input(m.p, "x", F32, SHAPE(8)), y = op_tanh(x);
        Plan *plan = plan_must(m.p, VALS(y), (Vals){0});
        KernelDef bad = *plan->steps[0].call.kernel;
        Device *d = m.store->device;
        planted = i;
        honest = plan->steps[0].call.kernel;
        spare = i == FREES ? d->alloc(d, 256) : NULL;
        bad.run = run_planted;
        plan->steps[0].call.kernel = &bad;
        ck_assert_msg(run_counted(plan, "planted", false) < 0, "planted mistake %d is not noticed", i);
        if (i == ALLOCATES)
            d->free(d, spare);
        plan_free(plan);
        made_close(&m);
    }
}

TEST_MAIN("cuda runs", every_op, whole_steps, planted_mistakes_are_noticed)
