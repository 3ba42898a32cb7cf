/* 402_gpu.c - the host side of the CUDA backend: what it says when there is no GPU to use, memory, uploads beside
 * running graphs, plans without graphs, profiles.  With the emulator; what a GPU can show too runs there as well. */
#include "tests/children.h"
#include "tests/counts.h"
#include "tests/programs.h"

typedef struct Live {     /* FakecudaLive */
    long device_blocks, pinned_blocks, streams, events, graphs, executables, pending, ranges;
    size_t device_bytes, pinned_bytes;
} Live;
static Live (*live)(void);

static bool emulated(void)
{
    live = (Live (*)(void))dlsym(RTLD_DEFAULT, "fakecuda_live");
    setenv("GUISE_ROOFLINE", "32", 1);   /* bench's ceilings, of nothing worth knowing here */
    return counted() && live;
}

/* ---------------------------------------------------------------- no GPU */
/* A machine as the emulator plays it, and what every program must say there. */
typedef struct Machine {
    const char *variable, *value, *words;
} Machine;
static const Machine machines[] = {
    {"FAKECUDA_DRIVER", "0", "cuda: no usable GPU: no NVIDIA driver is installed here"},
    {"FAKECUDA_DRIVER", "12040", "the driver is too old: it knows CUDA up to 12.4 and this build needs 13.0"},
    {"FAKECUDA_DEVICES", "0", "cuda: no usable GPU: the driver is here and sees none"},
    {"FAKECUDA_CC", "70", "cuda:0: no usable GPU: it is an sm_70 and the oldest that guise runs on is sm_75"},
    {"FAKECUDA_MEMORY", "100", "cuda:0: no usable GPU: 100 of its 100 MiB are free and 128 are the least"},
};

static void refuses(const char *words)
{
    Outcome o = RUN(0, "bench", "--only", "f", "--repeat", "1");
    EXPECT(o, 0, words);
    EXPECT(o, 0, "bench: the CPU is used: cuda:");
    EXPECT(o, 0, "device cpu");
    o = RUN(0, "bench", "--only", "f", "--repeat", "1", "--device", "cuda");
    EXPECT(o, 1, words);
    EXPECT(RUN(0, "op", "tanh", "--bench", "--shapes", "16", "--backend", "cuda:0"), 1, words);
    EXPECT(RUN(0, "op", "--info"), 0, words);
}

TEST(says_what_is_missing)
{
    NEEDS("bench");
    if (!emulated())
        SKIP("machines without a GPU are played by the emulated CUDA");
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        setenv(machines[i].variable, machines[i].value, 1);
        refuses(machines[i].words);
        unsetenv(machines[i].variable);
    }
    setenv("FAKECUDA_DEVICES", "0", 1);
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    refuses("cuda: no usable GPU: the driver shows none, CUDA_VISIBLE_DEVICES=7");
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("FAKECUDA_DEVICES");
    Outcome o = RUN(0, "bench", "--only", "f", "--repeat", "1");
    EXPECT(o, 0, "device cuda:0");
    ck_assert_ptr_null(strstr(o.text, "the CPU is used"));
    EXPECT(RUN(0, "op", "tanh", "--bench", "--shapes", "16", "--backend", "cuda:1"), 1,
           "GPUs here are numbered 0 to 0");
    static const char *const generations[] = {"75", "86", "89", "90", "120"};   /* the last: compiled by the driver */
    for (int i = 0; i < 5; i++) {
        setenv("FAKECUDA_CC", generations[i], 1);
        EXPECT(RUN(0, "op", "tanh", "--bench", "--shapes", "16", "--backend", "cuda"), 0, "tanh");
    }
    unsetenv("FAKECUDA_CC");
}

TEST(a_build_without_cuda_says_so)
{
    NEEDS("bench");
    if (backend_known("cuda"))
        SKIP("this library has CUDA");
    EXPECT(RUN(0, "bench", "--only", "f", "--repeat", "1", "--device", "cuda"), 1, "this build was made without CUDA");
    EXPECT(RUN(0, "op", "tanh", "--bench", "--shapes", "16", "--backend", "cuda"), 1, "make CUDA=1 NVCC=/path/to/nvcc");
    Outcome o = RUN(0, "bench", "--only", "f", "--repeat", "1");   /* auto: nothing is missing that one could add */
    EXPECT(o, 0, "device cpu");
    ck_assert_ptr_null(strstr(o.text, "the CPU is used"));
}

/* ---------------------------------------------------------------- memory */
/* y = sum(tanh(x x^T)), of side n: n n numbers live in the arena only. */
static Plan *square(Prog *p, int64_t n, Val *x)
{
    *x = prog_input(p, "x", F32, SHAPE(n, 1));
    Val y = op_sum(op_tanh(op_add(op_broadcast_to(*x, SHAPE(n, n)), op_transpose(*x, INTS(1, 0)))));
    return plan_must(p, VALS(y), (Vals){0});
}

TEST(memory_is_taken_before_the_first_step)
{
    static const char *const devices[] = {"cpu", "cuda"};
    for (int i = 0; i < 2; i++) {
        Store *s = store_try(devices[i], 1);
        if (!s) {
            printf("without cuda: %s\n", error_text());
            continue;
        }
        Prog *p = prog_create(s), *q = prog_create(s);
        prog_param(p, "w", SHAPE(1000), (Init){INIT_ZERO, 0});
        Val x[2];
        Plan *plans[] = {square(p, 64, &x[0]), square(q, 256, &x[1])};
        PlanMemory m;
        MUST(plans_reserve(plans, 2, &m));
        ck_assert_uint_eq(m.arena, plan_arena_bytes(plans[1]));
        ck_assert_uint_eq(m.held, plan_own_bytes(plans[0]) + plan_own_bytes(plans[1]) + 4 * (1000 + 64 + 256));
        ck_assert_uint_eq(s->device->arena_bytes, m.arena);
        ck_assert(!m.total == !s->device->memory && m.available <= m.total);
        void *arena = s->device->arena;
        for (int k = 0; k < 2; k++) {
            float zeros[256] = {0};
            MUST(prog_write(k ? q : p, x[k], zeros));
            MUST(plan_run(plans[k]));
        }
        ck_assert_ptr_eq(s->device->arena, arena);
        char text[160];
        ck_assert_ptr_nonnull(strstr(plan_memory_text(&m, text, sizeof text), "of scratch for whichever plan runs"));
        plan_free(plans[0]);
        plan_free(plans[1]);
        prog_free(p);
        prog_free(q);
        store_free(s);
    }
}

TEST(what_does_not_fit_is_refused)
{
    Store *s = store_try("cuda", 1);
    if (!s)
        SKIP("cuda: %s", error_text());
    Prog *p = prog_create(s);
    Val x;
    Plan *plan = square(p, 1 << 20, &x);   /* 4 TiB a value; the program itself takes 4 MiB */
    size_t before = s->device->arena_bytes;
    ck_assert_int_eq(plans_reserve(&plan, 1, NULL), -1);
    ck_assert_msg(strstr(error_text(), "plan test does not fit: it needs ") &&
                  strstr(error_text(), "use a smaller batch"), "%s", error_text());
    ck_assert_uint_eq(s->device->arena_bytes, before);
    ck_assert_int_eq(plan_run(plan), -1);   /* who does not ask first is refused as well */
    ck_assert_msg(strstr(error_text(), "do not fit") && strstr(error_text(), "plan test"), "%s", error_text());
    plan_free(plan);
    prog_free(p);
    store_free(s);
    if (!emulated())
        return;
    NEEDS("bench");
    setenv("FAKECUDA_MEMORY", "140", 1);
    EXPECT(RUN(0, "bench", "--only", "recognition", "--repeat", "1", "--device", "cuda"), 1, "MiB do not fit");
    unsetenv("FAKECUDA_MEMORY");
}

/* ---------------------------------------------------------------- uploads and graphs */
enum { N = 33, STEPS = 7 };

/* w += x, STEPS times with other x; what w becomes.  wait: after every step. */
static void accumulate(Plan *plan, Prog *p, Val x, bool wait, float *w)
{
    Store *s = p->store;
    float in[N];
    for (int t = 0; t < STEPS; t++) {
        for (int k = 0; k < N; k++)
            in[k] = (float)(1 << t) * (float)(k + 1);
        MUST(prog_write(p, x, in));
        memset(in, 0xFF, sizeof in);   /* the caller's again */
        MUST(plan_run(plan));
        if (wait)
            MUST(s->device->sync(s->device, "test"));
    }
    MUST(store_read(s, store_find(s, "w"), w));
}

TEST(uploads_go_beside_what_runs)
{
    Store *s = store_try("cuda", 1);
    if (!s)
        SKIP("cuda: %s", error_text());
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(N)), w = prog_param(p, "w", SHAPE(N), (Init){INIT_ZERO, 0});
    Plan *plan = plan_must(p, (Vals){0}, VALS(op_assign(w, op_add(w, x))));
    float got[N];
    for (int round = 0; round < 3; round++) {
        accumulate(plan, p, x, round == 1, got);
        for (int k = 0; k < N; k++)   /* sums of whole numbers: exact */
            ck_assert_float_eq(got[k], (float)((round + 1) * ((1 << STEPS) - 1) * (k + 1)));
    }
    if (emulated()) {   /* seven uploads and steps are queued, and nothing of them had to be waited for */
        char *old = getenv("FAKECUDA") ? must_strdup(getenv("FAKECUDA")) : NULL;
        float in[N] = {0};
        MUST(s->device->sync(s->device, "test"));
        setenv("FAKECUDA", "lazy", 1);
        mark();
        long before = live().pending;
        for (int t = 0; t < STEPS; t++) {
            MUST(prog_write(p, x, in));
            MUST(plan_run(plan));
        }
        Counts c = counts();
        ck_assert_int_eq(live().pending - before, 3 * STEPS);   /* to the stage, to x, the graph */
        ck_assert_int_eq(c.mallocs + c.frees + c.refused, 0);
        ck_assert_int_eq(c.graph_launches, STEPS);
        MUST(s->device->sync(s->device, "test"));
        if (old)
            setenv("FAKECUDA", old, 1);
        else
            unsetenv("FAKECUDA");
        free(old);
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

/* Longer than a stage: in pieces, to the byte. */
TEST(long_uploads)
{
    Store *s = store_try("cuda", 1);
    if (!s)
        SKIP("cuda: %s", error_text());
    enum { LONG = (17 << 20) / 4 + 3 };
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", I32, SHAPE(LONG));
    Plan *plan = plan_must(p, VALS(x), (Vals){0});
    int32_t *in = must_alloc(sizeof *in * LONG), *out = must_alloc(sizeof *out * LONG);
    for (int32_t i = 0; i < LONG; i++)
        in[i] = (int32_t)((uint32_t)i * 7919);
    MUST(prog_write(p, x, in));
    MUST(plan_run(plan));
    MUST(plan_read(plan, x, out));
    ck_assert_int_eq(memcmp(in, out, sizeof *in * LONG), 0);
    free(in);
    free(out);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(without_graphs)
{
    Made m;
    for (int i = 0; i < 3; i++) {
        if (!made_open(&m, "cuda", 4000 + i, 20, true))
            SKIP("cuda: %s", error_text());
        Plan *recorded = plan_must(m.p, (Vals){m.outputs, m.noutputs}, (Vals){0});
        setenv("ENGINE_NOGRAPH", "1", 1);
        Plan *plain = plan_must(m.p, (Vals){m.outputs, m.noutputs}, (Vals){0});
        unsetenv("ENGINE_NOGRAPH");
        if (emulated())
            mark();
        MUST(plan_run(plain));
        if (emulated())
            ck_assert(!counts().graph_launches && counts().launches > 0);
        MUST(plan_run(recorded));   /* kernel by kernel */
        if (emulated())
            mark();
        MUST(plan_run(recorded));
        if (emulated())
            ck_assert(counts().graph_launches == 1);
        for (int k = 0; k < m.noutputs; k++) {
            if (val_dtype(m.outputs[k]) != F32)
                continue;
            size_t n = (size_t)shape_count(val_shape(m.outputs[k]));
            float *a = must_alloc(4 * n + 4), *b = must_alloc(4 * n + 4);
            MUST(plan_read(plain, m.outputs[k], a));
            MUST(plan_read(recorded, m.outputs[k], b));
            ck_assert_int_eq(memcmp(a, b, 4 * n), 0);
            free(a);
            free(b);
        }
        plan_free(plain);
        plan_free(recorded);
        made_close(&m);
    }
}

/* ---------------------------------------------------------------- profiles */
TEST(profiles_time_ops_by_events)
{
    Made m;
    if (!made_open(&m, "cuda", 4100, 20, true))
        SKIP("cuda: %s", error_text());
    enum { RUNS = 3 };
    Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
    plan_profile_start(plan);
    if (emulated())
        mark();
    for (int i = 0; i < RUNS; i++)
        MUST(plan_run(plan));
    for (int i = 0; i < plan->nsteps; i++)
        ck_assert_msg(plan->steps[i].seconds > 0 && plan->steps[i].seconds < 60, "step %d: %g s", i,
                      plan->steps[i].seconds);
    if (emulated()) {
        ck_assert_int_eq(counts().ranges, RUNS * plan->nsteps);
        ck_assert_int_eq(live().ranges, 0);
    }
    plan_free(plan);
    made_close(&m);
}

TEST_MAIN("the CUDA backend's host side", says_what_is_missing, a_build_without_cuda_says_so,
          memory_is_taken_before_the_first_step, what_does_not_fit_is_refused, uploads_go_beside_what_runs,
          long_uploads, without_graphs, profiles_time_ops_by_events)
