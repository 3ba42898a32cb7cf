/* 400_plans.c - plans: what updates mean, and that running them changes nothing else (401_layout: where values live).
 * Each test goes over the devices of this build; cuda needs a GPU or the emulator. */
#include <unistd.h>

#include "engine/file.h"
#include "engine/json.h"
#include "tests/counts.h"
#include "tests/programs.h"
#include "tests/tolerance.h"

static const char *const devices[] = {"reference", "reference64", "cpu", "cuda"};
enum { DEVICES = 4 };
static Store *s;
static Prog *p;

/* false, with a word about it, where the device is missing. */
static bool begin(const char *device)
{
    s = store_try(device, 1);
    p = s ? prog_create(s) : NULL;
    if (!s)
        printf("without %s: %s\n", device, error_text());
    return s;
}

static void end(void)
{
    prog_free(p);
    store_free(s);
}

static float get(const char *name, int k)
{
    float x[256];
    int i = store_find(s, name);
    ck_assert_int_ge(i, 0);
    ck_assert_int_le(shape_count(store_shape(s, i)), 256);
    MUST(store_read(s, i, x));
    return x[k];
}

/* ---------------------------------------------------------------- updates */
enum { LONG = 40 };

static Val entry(const char *name)
{
    return prog_param(p, name, SHAPE(LONG), (Init){INIT_NORMAL, 1});
}

/* Every kind of assignment at once, against the same on the host: all reads are of old values. */
static void updates_once(int kind, bool separate)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    Val v[4], x = prog_input(p, "x", F32, SHAPE(LONG)), out = NONE;
    for (int i = 0; i < 4; i++)
        v[i] = entry(names[i]);
    Val assigned[4] = {NONE, NONE, NONE, NONE};
    Val sum = op_add(v[0], x);
    switch (kind) {
    case 0:   /* swap */
        assigned[0] = v[1], assigned[1] = v[0];
        break;
    case 1:   /* round of three */
        assigned[0] = v[1], assigned[1] = v[2], assigned[2] = v[0];
        break;
    case 2:   /* the old value is read after the new one is there */
        assigned[0] = sum, out = op_mul(op_exp(op_affine(sum, 0.1f, 0)), v[0]);
        break;
    case 3:   /* output and update */
        assigned[0] = sum, out = sum;
        break;
    case 4:   /* one value for two entries */
        assigned[0] = sum, assigned[1] = sum;
        break;
    case 5:   /* one value for two entries, output too, and one of its operands is moved on */
        assigned[1] = sum, assigned[2] = sum, assigned[0] = op_affine(v[0], 2, 1), out = sum;
        break;
    case 6:   /* itself; an entry that nobody reads; an input */
        assigned[0] = v[0], assigned[2] = op_square(x), assigned[3] = x;
        break;
    case 7:   /* a view of another entry */
        assigned[1] = op_reshape(op_reshape(v[0], SHAPE(4, LONG / 4)), SHAPE(LONG)), assigned[0] = op_neg(v[0]);
        break;
    case 8:   /* in place, twice in a row, and once more through the old value of the other */
        assigned[0] = op_affine(op_affine(v[0], 2, 0), 1, 1), assigned[1] = op_sub(v[1], op_square(v[0]));
        break;
    case 9:   /* through a view of the old value that is read last */
        assigned[0] = sum, out = op_add(op_reshape(sum, SHAPE(4, LONG / 4)), op_reshape(v[0], SHAPE(4, LONG / 4)));
        break;
    case 10:  /* two entries from each other, both computed */
        assigned[0] = op_add(v[0], v[1]), assigned[1] = op_sub(v[0], v[1]), assigned[2] = op_mul(v[2], v[0]);
        break;
    default:
        ck_abort();
    }
    Val list[4];
    int n = 0;
    for (int i = 3; i >= 0; i--)
        if (val_ok(assigned[i]))
            list[n++] = op_assign(v[i], assigned[i]);
    if (separate)
        setenv("ENGINE_NOPLAN", "1", 1);
    Plan *plan = plan_must(p, (Vals){&out, val_ok(out)}, (Vals){list, n});
    unsetenv("ENGINE_NOPLAN");
    float h[4][LONG], now[4][LONG], in[LONG];
    for (int i = 0; i < 4; i++)
        MUST(store_read(s, store_find(s, names[i]), h[i]));
    for (int run = 0; run < 3; run++) {
        float *fresh = normals(LONG, "in", (uint64_t)run, 1), read[LONG];
        memcpy(in, fresh, sizeof in);
        free(fresh);
        MUST(prog_write(p, x, in));
        MUST(plan_run(plan));
        memcpy(now, h, sizeof h);
        for (int k = 0; k < LONG; k++) {
            float a = h[0][k], b = h[1][k], c = h[2][k], y = a + in[k], want = 0;
            switch (kind) {
            case 0: now[0][k] = b, now[1][k] = a; break;
            case 1: now[0][k] = b, now[1][k] = c, now[2][k] = a; break;
            case 2: now[0][k] = y, want = expf(0.1f * y) * a; break;
            case 3: now[0][k] = y, want = y; break;
            case 4: now[0][k] = now[1][k] = y; break;
            case 5: now[1][k] = now[2][k] = y, now[0][k] = 2 * a + 1, want = y; break;
            case 6: now[2][k] = in[k] * in[k], now[3][k] = in[k]; break;
            case 7: now[1][k] = a, now[0][k] = -a; break;
            case 8: now[0][k] = 2 * a + 1, now[1][k] = b - a * a; break;
            case 9: now[0][k] = y, want = y + a; break;
            default: now[0][k] = a + b, now[1][k] = a - b, now[2][k] = c * a;
            }
            if (val_ok(out)) {
                if (!k)
                    MUST(plan_read(plan, out, read));
                ck_assert_msg(fabsf(read[k] - want) <= 1e-6f * (1 + fabsf(want)),
                              "kind %d, run %d: output %g is not %g", kind,
                              run, (double)read[k], (double)want);
            }
        }
        for (int i = 0; i < 4; i++) {
            MUST(store_read(s, store_find(s, names[i]), h[i]));
            for (int k = 0; k < LONG; k++)
                ck_assert_msg(fabsf(h[i][k] - now[i][k]) <= 1e-6f * (1 + fabsf(now[i][k])),
                              "kind %d on %s, run %d: %s[%d] is %g and must be %g", kind, store_device(s), run,
                                  names[i], k,
                              (double)h[i][k], (double)now[i][k]);
        }
    }
    plan_free(plan);
}

TEST(updates_read_old_values)
{
    for (int d = 0; d < DEVICES; d++)
        for (int kind = 0; kind <= 10; kind++)
            for (int separate = 0; separate < 2; separate++) {
                if (!begin(devices[d])) {
                    kind = 99;
                    break;
                }
                updates_once(kind, separate);
                end();
            }
}

/* Kernels that cannot work in place read the old value whole before it changes. */
TEST(updates_by_ops_that_mix_elements)
{
    enum { N = 6 };
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val a = prog_param(p, "a", SHAPE(N, N), (Init){INIT_NORMAL, 1}),
            b = prog_param(p, "b", SHAPE(N, N), (Init){INIT_NORMAL, 0.4f});
        Val c = prog_param(p, "c", SHAPE(1, 3, 5, 5), (Init){INIT_NORMAL, 1}),
            k = prog_param(p, "k", SHAPE(3, 3, 3, 3), (Init){INIT_NORMAL, 0.3f});
        Val updates[] = {op_assign(a, op_transpose(a, INTS(1, 0))),
                         op_assign(b, op_matmul(b, b, NONE, (MatmulAttrs){0})),
                         op_assign(c, op_conv2d(c, k, NONE, (Conv2dAttrs){.padding = 1}))};
        Val outs[] = {op_transpose(a, INTS(1, 0)), op_matmul(b, b, NONE, (MatmulAttrs){0}),
                      op_conv2d(c, k, NONE, (Conv2dAttrs){.padding = 1})};
        Plan *what = plan_must(p, (Vals){outs, 3}, (Vals){0}), *plan = plan_must(p, (Vals){0}, (Vals){updates, 3});
        static const char *const names[] = {"a", "b", "c"};
        for (int run = 0; run < 3; run++) {
            float want[3][75], got[75];
            MUST(plan_run(what));
            for (int i = 0; i < 3; i++)
                MUST(plan_read(what, outs[i], want[i]));
            MUST(plan_run(plan));
            for (int i = 0; i < 3; i++) {
                MUST(store_read(s, store_find(s, names[i]), got));
                ck_assert_msg(!memcmp(got, want[i], (i < 2 ? N * N : 75) * sizeof *got), "%s: %s, run %d", devices[d],
                              names[i], run);
            }
        }
        plan_free(what);
        plan_free(plan);
        end();
    }
}

/* ---------------------------------------------------------------- runs */
TEST(runs_repeat)
{
    for (int d = 0; d < DEVICES; d++)
        for (int i = 0; i < 2; i++) {
            Made m;
            if (!made_open(&m, devices[d], 2000 + i, 10, false)) {
                printf("without %s: %s\n", devices[d], error_text());
                break;
            }
            Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, (Vals){0});
            Gathered first = made_run(&m, plan, 1), second = made_run(&m, plan, 1), last = made_run(&m, plan, 998);
            ck_assert_mem_eq(first.x, second.x, (size_t)first.n * sizeof *first.x);
            ck_assert_mem_eq(first.x, last.x, (size_t)first.n * sizeof *first.x);
            free(first.x);
            free(second.x);
            free(last.x);
            plan_free(plan);
            made_close(&m);
        }
}

/* The arena moves when a larger plan has come: the smaller one must follow it. */
TEST(arena_grows_under_running_plans)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(4, 8)), w = prog_param(p, "w", SHAPE(8, 8), (Init){INIT_NORMAL, 0.3f});
        Val y = x, z = x;
        for (int i = 0; i < 3; i++)
            y = op_tanh(op_matmul(y, w, NONE, (MatmulAttrs){0}));
        Val big = op_broadcast_to(op_reshape(x, SHAPE(1, 32)), SHAPE(3000, 32));
        for (int i = 0; i < 3; i++)
            z = i ? op_tanh(op_transpose(z, INTS(1, 0))) : big;
        Val out = op_sum(z);
        write_normals(p, x, 0);
        Plan *small = plan_must(p, VALS(y), (Vals){0}), *large, *third;
        float before[32], after[32];
        MUST(plan_run(small));
        MUST(plan_read(small, y, before));
        unsigned generation = s->device->arena_generation;
        large = plan_must(p, VALS(out), (Vals){0});
        third = plan_must(p, VALS(op_exp(y)), (Vals){0});
        ck_assert_uint_gt(plan_arena_bytes(large), plan_arena_bytes(small));
        ck_assert_uint_gt(plan_arena_bytes(large), s->device->arena_bytes);
        MUST(plan_run(large));
        ck_assert_uint_eq(s->device->arena_generation, generation + 1);
        double sum = number_of(large, out);
        for (int i = 0; i < 3; i++) {
            MUST(plan_run(small));
            MUST(plan_run(third));
            MUST(plan_run(large));
            MUST(plan_read(small, y, after));   /* outputs are the plan's own */
            ck_assert_mem_eq(before, after, sizeof before);
            ck_assert_double_eq(number_of(large, out), sum);
        }
        ck_assert_uint_eq(s->device->arena_generation, generation + 1);
        plan_free(large);
        MUST(plan_run(small));
        plan_free(third);
        plan_free(small);
        end();
    }
}

TEST(states_advance)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(4, 1)), rate = prog_input(p, "rate", F32, SHAPE(1));
        Val w = prog_param(p, "w", SHAPE(1), (Init){INIT_CONSTANT, 0.5f});
        Val mean = prog_state(p, "mean", F32, SHAPE(1), (Init){INIT_ZERO, 0});
        Val var = prog_state(p, "var", F32, SHAPE(1), (Init){INIT_CONSTANT, 1});
        BatchNorm b = op_batch_norm(x, NONE, NONE, mean, var, BATCH_NORM_TRAINING);
        prog_set_state(p, "mean", b.new_running_mean);
        prog_set_state(p, "var", b.new_running_var);
        Val noise = op_random_uniform(prog_rng(p), "noise", SHAPE(1));
        Val loss = op_add(op_sum(op_square(w)), op_scale(op_sum(b.y), 0));
        Vals moved = adam(loss, VALS(w), rate, (AdamOpts){.beta1 = 0.5f});
        Plan *plan = plan_must(p, VALS(noise), vals_join(p, moved, prog_updates(p)));
        double wh = 0.5, m = 0, v = 0, running = 0, variance = 1;
        for (int t = 1; t <= 20; t++) {
            float in[4] = {1, 2, 3, 6 + (float)t}, lr[1] = {t < 10 ? 0.125f : 0.0625f};
            MUST(prog_write(p, x, in));
            MUST(prog_write(p, rate, lr));
            MUST(plan_run(plan));
            double g = 2 * wh, mu = (12 + t) / 4.0, square = 0;
            for (int i = 0; i < 4; i++)
                square += (in[i] - mu) * (in[i] - mu) / 3;
            m = 0.5 * m + 0.5 * g;
            v = 0.999 * v + 0.001 * g * g;
            wh -= lr[0] * (m / (1 - pow(0.5, t))) / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
            running = 0.9 * running + 0.1 * mu;
            variance = 0.9 * variance + 0.1 * square;
            ck_assert_double_eq_tol(get("w", 0), wh, 1e-5);   /* beta2 as a float is 0.999 within 1.3e-8, of 0.001 */
            ck_assert_double_eq_tol(get("mean", 0), running, 1e-6 * (1 + fabs(running)));
            ck_assert_double_eq_tol(get("var", 0), variance, 1e-6 * (1 + variance));
            int32_t steps, counter[4];
            MUST(store_read(s, store_find(s, "adam.step"), &steps));
            MUST(store_read(s, store_find(s, "rng"), counter));
            ck_assert_int_eq(steps, t);
            ck_assert_int_eq(counter[2], t);
            ck_assert_float_eq((float)number_of(plan, noise), random_unit(random_bits(1, random_name("noise"),
                                                                                      (uint64_t)t - 1, 0)));
        }
        plan_free(plan);
        end();
    }
}

/* A changed input is seen by every plan of the program, and only that one changes; inputs begin as zeros and stay. */
TEST(inputs_are_shared_and_kept)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(2)), y = prog_input(p, "y", F32, SHAPE(2)),
            n = prog_input(p, "n", I32, SHAPE(2));
        Val sum = op_add(x, y), product = op_mul(x, y), whole = op_copy(n), bytes = prog_input(p, "b", U8, SHAPE(2));
        Val real = op_bytes_to_real(bytes, 1, 0);
        Plan *one = plan_must(p, VALS(sum, whole, real), (Vals){0}), *two = plan_must(p, VALS(product, x), (Vals){0});
        float got[2];
        int32_t counts[2];
        MUST(plan_run(one));
        MUST(plan_read(one, sum, got));
        ck_assert(got[0] == 0 && got[1] == 0);
        MUST(prog_write(p, x, (float[]){2, 3}));
        MUST(prog_write(p, n, (int32_t[]){-7, 1 << 30}));
        MUST(prog_write(p, bytes, (uint8_t[]){0, 255}));
        for (int i = 1; i < 5; i++) {
            float host[2] = {(float)i, -1};
            MUST(prog_write(p, y, host));
            host[0] = 99;   /* the caller's again */
            MUST(plan_run(one));
            MUST(plan_run(two));
            MUST(plan_read(one, sum, got));
            ck_assert(got[0] == 2 + (float)i && got[1] == 2);
            MUST(plan_read(two, product, got));
            ck_assert(got[0] == 2 * (float)i && got[1] == -3);
            MUST(plan_read(two, x, got));
            ck_assert(got[0] == 2 && got[1] == 3);
            MUST(plan_read(one, whole, counts));
            ck_assert(counts[0] == -7 && counts[1] == 1 << 30);
            MUST(plan_read(one, real, got));
            ck_assert(got[0] == 0 && got[1] == 255);
        }
        plan_free(one);
        plan_free(two);
        end();
    }
}

/* ---------------------------------------------------------------- weights that are packed once */
static Val network(Val x, bool wide)
{
    int c = wide ? 32 : 16;
    Val w1 = prog_param(x.p, "w1", SHAPE(c, 16, 3, 3), (Init){INIT_NORMAL, 0.1f});
    Val w2 = prog_param(x.p, "w2", SHAPE(16, c, 1, 1), (Init){INIT_NORMAL, 0.2f});
    Val w3 = prog_param(x.p, "w3", SHAPE(16, 8, 2, 2), (Init){INIT_NORMAL, 0.2f});
    Val h = op_tanh(op_conv2d(x, w1, NONE, (Conv2dAttrs){.padding = 1}));
    h = op_tanh(op_conv2d(h, w2, NONE, (Conv2dAttrs){0}));
    h = op_conv_transpose2d(h, w3, NONE, (Conv2dAttrs){.stride = 2});
    return op_linear(op_global_avg_pool(h), prog_param(x.p, "w4", SHAPE(5, 8), (Init){INIT_NORMAL, 1}), NONE);
}

static void fresh_answer(Val y, float *want)
{
    Plan *plan = plan_must(p, VALS(y), (Vals){0});
    MUST(plan_run(plan));
    MUST(plan_read(plan, y, want));
    plan_free(plan);
}

TEST(new_weights_are_seen)
{
    char path[] = "/tmp/guise-plans-XXXXXX";
    close(mkstemp(path));
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(2, 16, 6, 6)), y = network(x, true), rate = op_fill(p, SHAPE(1), 0.02f);
        Vals params = prog_params(p, "");
        Vals moved = adam(op_mean(op_square(y)), params, rate, (AdamOpts){0});
        Plan *eval = plan_must(p, VALS(y), (Vals){0}), *train = plan_must(p, VALS(y), moved);
        Store *other = store_create(devices[d], 77);
        Prog *q = prog_create(other);
        network(prog_input(q, "x", F32, SHAPE(2, 16, 6, 6)), true);
        float got[10], want[10], last[10] = {0};
        write_normals(p, x, 0);
        for (int how = 0; how < 8; how++) {
            switch (how) {
            case 1: case 2: MUST(plan_run(train)); break;
            case 3: {
                int i = store_find(s, "w1");
                float *w = normals(shape_count(store_shape(s, i)), "w1", 9, 0.1f);
                MUST(store_write(s, i, w));
                free(w);
                break;
            }
            case 4: MUST(store_save(s, path, "w", NULL)); MUST(store_reset(s, "w2", 5)); break;
            case 5: MUST(store_load(s, path, "w2")); break;
            case 6: MUST(store_copy(s, other, "w")); break;
            case 7: MUST(store_reset(s, "", 3)); break;
            default: break;
            }
            MUST(plan_run(eval));
            MUST(plan_read(eval, y, got));
            fresh_answer(y, want);
            ck_assert_msg(!memcmp(got, want, sizeof got), "%s: change %d is not seen", devices[d], how);
            ck_assert_msg(memcmp(got, last, sizeof got) != 0, "%s: change %d changed nothing", devices[d], how);
            memcpy(last, got, sizeof got);
        }
        /* Forward inside the training plan sees what its last run left. */
        MUST(plan_run(train));
        MUST(plan_run(eval));
        MUST(plan_read(eval, y, want));
        MUST(plan_run(train));
        MUST(plan_read(train, y, got));
        ck_assert_mem_eq(got, want, sizeof got);
        plan_free(eval);
        plan_free(train);
        prog_free(q);
        store_free(other);
        end();
    }
    unlink(path);
}

/* ---------------------------------------------------------------- cuda: what a run may do */
TEST(cuda_runs_neither_allocate_nor_wait)
{
    if (!counted())
        SKIP("counting calls needs the emulated CUDA");
    for (int i = 0; i < 4; i++) {
        Made m;
        if (!made_open(&m, "cuda", 3000 + i, 20, true))
            ck_abort_msg("%s", error_text());
        Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
        MUST(plan_run(plan));   /* kernel by kernel: libraries load what they need */
        MUST(plan_run(plan));   /* records */
        mark();
        for (int run = 0; run < 5; run++)
            MUST(plan_run(plan));
        Counts c = counts();
        ck_assert_msg(!c.mallocs && !c.frees && !c.syncs && !c.instantiations && !c.refused &&
                      c.graph_launches == 5 && !c.launches && !c.copies,
                      "5 runs: %ld mallocs, %ld frees, %ld waits, %ld graphs made, %ld refused, %ld launches of graphs, "
                      "%ld of kernels, %ld copies", c.mallocs, c.frees, c.syncs, c.instantiations, c.refused,
                      c.graph_launches, c.launches, c.copies);
        /* A larger arena: recorded again, once. */
        Prog *q = prog_create(m.store);
        Val x = prog_input(q, "x", F32, SHAPE(64, 4096)), y = op_sum(op_transpose(op_tanh(x), INTS(1, 0)));
        Plan *large = plan_must(q, VALS(y), (Vals){0});
        MUST(plan_run(large));
        mark();
        MUST(plan_run(plan));
        MUST(plan_run(plan));
        c = counts();
        ck_assert_int_eq(c.instantiations, 1);
        ck_assert_int_eq(c.graph_launches, 2);
        plan_free(large);
        prog_free(q);
        plan_free(plan);
        made_close(&m);
    }
}

/* Whatever changes from step to step is data: a recorded graph must see it. */
TEST(replay_sees_changed_data)
{
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(8)), rate = prog_input(p, "rate", F32, SHAPE(1)),
            drop = prog_input(p, "drop", F32, SHAPE(1));
        Val w = prog_param(p, "w", SHAPE(8), (Init){INIT_CONSTANT, 1});
        Val kept = op_dropout(x, drop, prog_rng(p), "d");
        Vals updates = vals_join(p, VALS(op_assign(w, op_sub(w, op_mul(rate, x)))), prog_updates(p));
        Plan *plan = plan_must(p, VALS(kept), updates);
        float want[8], in[8], out[8];
        for (int k = 0; k < 8; k++)
            want[k] = 1;
        for (int t = 0; t < 6; t++) {
            float lr = 1 / (float)(1 << t), none = t % 2 ? 0 : 0.5f;
            for (int k = 0; k < 8; k++) {
                in[k] = (float)(k + t);
                want[k] -= lr * in[k];
            }
            MUST(prog_write(p, x, in));
            MUST(prog_write(p, rate, &lr));
            MUST(prog_write(p, drop, &none));
            MUST(plan_run(plan));
            MUST(plan_read(plan, kept, out));
            for (int k = 0; k < 8; k++) {
                ck_assert_float_eq(get("w", k), want[k]);   /* exact: powers of two */
                float u = random_unit(random_bits(1, random_name("d"), (uint64_t)t, (uint64_t)k));
                ck_assert_float_eq(out[k], t % 2 ? in[k] : u >= 0.5f ? 2 * in[k] : 0);
            }
        }
        plan_free(plan);
        end();
    }
}

/* ---------------------------------------------------------------- looking inside */
TEST(first_bad_op_is_named)
{
    for (int d = 0; d < DEVICES; d++)
        for (int infinite = 0; infinite < 2; infinite++) {
            if (!begin(devices[d]))
                break;
            Val x = prog_input(p, "x", F32, SHAPE(2, 17, 3, 3));
            Val y = val_named(op_log(op_affine(op_tanh(x), 1, infinite ? -1 : -2)), "culprit");
            Val z = op_exp(op_affine(op_add(y, x), 0.5f, 0));
            float big[306];
            for (int i = 0; i < 306; i++)
                big[i] = infinite ? 30 : -30;   /* log of 1 - 1, or of -1 - 2 */
            MUST(prog_write(p, x, big));
            Plan *quiet = plan_must(p, VALS(z), (Vals){0});
            ck_assert_int_eq(plan_run(quiet), 0);
            plan_free(quiet);
            setenv("ENGINE_SYNC", "1", 1);
            Plan *plan = plan_must(p, VALS(z), (Vals){0});
            unsetenv("ENGINE_SYNC");
            ck_assert_int_eq(plan_run(plan), -1);
            ck_assert_msg(strstr(error_text(), "log") && strstr(error_text(), "culprit") &&
                          strstr(error_text(), infinite ? "-inf" : "nan") && strstr(error_text(), "element 0"),
                          "%s: %s", devices[d], error_text());
            plan_free(plan);
            end();
        }
}

static void print_plan(const void *plan, FILE *to) { plan_print(plan, to); }
static void print_profile(const void *plan, FILE *to) { plan_profile(plan, to); }

/* JSON without its fractions, which engine/json.h does not read. */
static void drop_fractions(char *text)
{
    bool inside = false;
    char *to = text;
    for (char *c = text; *c; c++) {
        inside ^= *c == '"' && (c == text || c[-1] != '\\');
        if (!inside && *c == '.' && c > text && c[-1] >= '0' && c[-1] <= '9') {
            while (c[1] >= '0' && c[1] <= '9')
                c++;
            continue;
        }
        *to++ = *c;
    }
    *to = 0;
}

static void read_trace(const char *path, const Plan *plan, const char *name)
{
    size_t size;
    char *text = file_read(path, &size);
    HAVE(text);
    drop_fractions(text);
    JsonReader r = json_reader(text, strlen(text));
    int events = 0;
    int64_t end = 0;
    for (int first = 1; json_enter_more(&r, '[', &first); events++) {
        int64_t ts = -1, dur = -1;
        for (int key = 1, args; json_enter_more(&r, '{', &key);) {
            char *k = json_key(&r), *v = NULL;
            int64_t n;
            if (!k)
                break;
            if (!strcmp(k, "args")) {
                for (args = 1; json_enter_more(&r, '{', &args);) {
                    char *a = json_key(&r);
                    if (a && (!strcmp(a, "flop") || !strcmp(a, "bytes")))
                        json_integer(&r, &n);
                    else
                        free(json_string(&r));
                    free(a);
                }
            } else if (!strcmp(k, "ts") || !strcmp(k, "dur") || !strcmp(k, "pid") || !strcmp(k, "tid")) {
                json_integer(&r, &n);
                *(k[0] == 't' && k[1] == 's' ? &ts : k[0] == 'd' ? &dur : &n) = n;
            } else {
                v = json_string(&r);
                if (v && !strcmp(k, "cat"))
                    ck_assert_str_eq(v, name);
                if (v && !strcmp(k, "name")) {
                    const KernelCall *call = &plan->steps[events].call;
                    char shape[96];
                    size_t length = strlen(call->op->name);
                    ck_assert_msg(!strncmp(v, call->op->name, length) && (!v[length] || v[length] == ' '), "%s", v);
                    if (call->nin && tensor_here(&call->in[0]))
                        ck_assert_msg(strstr(v, shape_text(call->in[0].shape, shape, sizeof shape)) == v + length + 1,
                                      "%s", v);
                }
            }
            free(v);
            free(k);
        }
        ck_assert_msg(ts >= end && dur >= 0, "event %d begins at %ld, before %ld, or lasts %ld", events, (long)ts,
                      (long)end,
                      (long)dur);
        end = ts;
    }
    ck_assert_msg(!json_finish(&r), "%s at byte %ld", r.why ? r.why : "", (long)(r.at - r.start));
    ck_assert_int_eq(events, plan_ops(plan));
    free(text);
}

TEST(profiles_and_traces)
{
    char path[] = "/tmp/guise-trace-XXXXXX";
    close(mkstemp(path));
    const char *name = "a \"quoted\" \\ plan";
    for (int d = 0; d < DEVICES; d++) {
        if (!begin(devices[d]))
            continue;
        Val x = prog_input(p, "x", F32, SHAPE(2, 16, 8, 8)), y = val_named(network(x, false), "say \"y\""),
            z = op_mean(op_square(y));
        Plan *plan = plan_compile(p, (PlanOpts){.name = name, .outputs = VALS(y, z)});
        HAVE(plan);
        write_normals(p, x, 0);
        float before[10], after[10];
        MUST(plan_run(plan));
        MUST(plan_read(plan, y, before));
        plan_profile_start(plan);
        for (int i = 0; i < 3; i++)
            MUST(plan_run(plan));
        MUST(plan_read(plan, y, after));
        ck_assert_mem_eq(before, after, sizeof before);
        char *text = printed(print_profile, plan);
        int calls = 0, all = -1;
        double share = 0;
        for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
            char op[64];
            int n;
            double ms, percent;
            ck_assert_int_ge(sscanf(line, "%63s %d %lf", op, &n, &ms), 3);
            ck_assert(ms >= 0);
            if (!strcmp(op, "all")) {
                all = n;
            } else {
                ck_assert_int_eq(sscanf(line, "%63s %d %lf %lf", op, &n, &ms, &percent), 4);
                ck_assert_ptr_nonnull(op_find(op));
                calls += n;
                share += percent;
            }
        }
        ck_assert_int_eq(all, plan_ops(plan));
        ck_assert_int_eq(calls, all);
        ck_assert_double_eq_tol(share, 100, 0.1 * all);
        free(text);
        MUST(plan_trace(plan, path));
        read_trace(path, plan, name);
        ck_assert_int_eq(plan_trace(plan, "/nowhere/trace.json"), -1);
        text = printed(print_plan, plan);
        for (int n = 0; n < plan->q->nnodes; n++)
            ck_assert_ptr_nonnull(strstr(text, plan->q->nodes[n].op->name));
        ck_assert_int_ge(count_of(text, "\nstep "), plan_ops(plan));
        ck_assert_ptr_nonnull(strstr(text, "in plan+"));
        ck_assert_ptr_nonnull(strstr(text, "in arena+"));
        free(text);
        ck_assert_uint_ge(plan_own_bytes(plan), sizeof after + sizeof(float));
        /* Multiply-adds count twice: 2 (9 16 16 + 16 16) 64 positions, 2 8 16 4 pixels of the transposed one, ... */
        double products = 2.0 * 2 * 64 * (9 * 16 * 16 + 16 * 16 + 16 * 8 * 4);
        ck_assert(plan_flop(plan) > products && plan_flop(plan) < 1.1 * products);
        plan_free(plan);
        end();
    }
    unlink(path);
}

/* Kernels keep no copies of weights that the plan itself changes: they are told which. */
TEST(kernels_hear_what_the_plan_updates)
{
    Store *s = store_create("cpu", 1);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(2, 3)), rate = prog_input(p, "rate", F32, SHAPE(1));
    Val w = prog_param(p, "w", SHAPE(3, 4), (Init){INIT_NORMAL, 1});
    Val frozen = prog_param(p, "frozen", SHAPE(4, 5), (Init){INIT_NORMAL, 1});
    Val y = op_matmul(op_matmul(x, w, NONE, (MatmulAttrs){0}), frozen, NONE, (MatmulAttrs){0});
    Plan *reads = plan_must(p, VALS(y), (Vals){0});
    Plan *trains = plan_must(p, VALS(y), sgd(op_mean(op_square(y)), VALS(w), rate, (SgdOpts){0}));
    for (int i = 0; i < 2; i++) {
        const Plan *plan = i ? trains : reads;
        int updated = 0, stored = 0;
        for (int n = 0; n < plan->nsteps; n++)
            for (int k = 0; k < plan->steps[n].call.nin; k++) {
                const Tensor *in = &plan->steps[n].call.in[k];
                stored += in->version != NULL && shape_count(in->shape) > 1;
                updated += in->updated;
                ck_assert(!in->updated || shape_equal(in->shape, SHAPE(3, 4)));
            }
        ck_assert_int_ge(stored, 2);
        ck_assert_msg(i ? updated > 0 : !updated, "plan %d: %d operands are said to be updated", i, updated);
    }
    plan_free(reads);
    plan_free(trains);
    prog_free(p);
    store_free(s);
}

TEST_MAIN("plans", updates_read_old_values, updates_by_ops_that_mix_elements, runs_repeat,
          arena_grows_under_running_plans, states_advance, inputs_are_shared_and_kept, new_weights_are_seen,
          cuda_runs_neither_allocate_nor_wait, replay_sees_changed_data, first_bad_op_is_named, profiles_and_traces,
          kernels_hear_what_the_plan_updates)
