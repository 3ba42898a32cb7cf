/* 225_sgd.c - gradient descent over more tensors than one CUDA launch takes, in place over the store, for several steps
 * against the formula in double, through sgd and sgd_apply; names of its states; its mistakes. */
#include <math.h>

#include "engine/device.h"
#include "engine/ops/reduce.h"
#include "engine/ops/sgd.h"
#include "engine/ops/unary.h"
#include "engine/random.h"
#include "tests/test.h"

enum { TENSORS = 90, STEPS = 4, MOST = 9000 };

static int64_t count_of(int i)
{
    return i == 1 ? MOST : 1 + i * i % 1500;
}

static float gradient(int step, int i, int64_t e)
{
    return random_normal_from(random_unit(random_bits((uint64_t)step, (uint64_t)i, 0, (uint64_t)e)));
}

static Plan *compile(Prog *p, Vals updates)
{
    Plan *plan = plan_compile(p, (PlanOpts){.name = "sgd", .updates = updates});
    ck_assert_msg(plan != NULL, "%s", prog_error(p) ? prog_error(p) : error_text());
    return plan;
}

static void check_sgd(const char *device, SgdOpts o)
{
    static float x[MOST];
    static double want[TENSORS][MOST], velocity[TENSORS][MOST];
    Store *s = store_create(device, 3);
    HAVE(s);
    Prog *p = prog_create(s);
    Val rate = prog_input(p, "rate", F32, SHAPE(1)), param[TENSORS], grad[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        char name[20];
        snprintf(name, sizeof name, "w%d", i);
        param[i] = prog_param(p, name, SHAPE(count_of(i)), (Init){INIT_NORMAL, 1});
        snprintf(name, sizeof name, "g%d", i);
        grad[i] = prog_input(p, name, F32, SHAPE(count_of(i)));
    }
    Vals updates = sgd_apply((Vals){param, TENSORS}, (Vals){grad, TENSORS}, rate, o);
    ck_assert_int_eq(updates.n, o.momentum > 0 ? 2 * TENSORS : TENSORS);
    Plan *plan = compile(p, updates);
    for (int i = 0; i < TENSORS; i++) {
        MUST(store_read(s, store_find(s, val_name(param[i])), x));
        for (int64_t e = 0; e < count_of(i); e++) {
            want[i][e] = x[e];
            velocity[i][e] = 0;
        }
    }
    double taken = 0;   /* the longest way of an element */
    for (int step = 1; step <= STEPS; step++) {
        float lr = 0.1f / (float)step;
        MUST(prog_write(p, rate, &lr));
        for (int i = 0; i < TENSORS; i++) {
            for (int64_t e = 0; e < count_of(i); e++) {
                x[e] = gradient(step, i, e);
                double g = x[e] + (double)o.weight_decay * want[i][e];
                velocity[i][e] = o.momentum * velocity[i][e] + g;
                double way = lr * (o.nesterov ? g + o.momentum * velocity[i][e] : velocity[i][e]);
                want[i][e] -= way;
                taken = fmax(taken, fabs(way));
            }
            MUST(prog_write(p, grad[i], x));
        }
        MUST(plan_run(plan));
    }
    for (int k = 0; k < (o.momentum > 0 ? 2 : 1); k++)
        for (int i = 0; i < TENSORS; i++) {
            char name[40];
            snprintf(name, sizeof name, "%s%s", k ? "mine.m." : "", val_name(param[i]));
            int entry = store_find(s, name);
            ck_assert_msg(entry >= 0, "the store holds no %s", name);
            ck_assert(store_is_param(s, entry) == !k);
            MUST(store_read(s, entry, x));
            const double *exact = k ? velocity[i] : want[i];
            for (int64_t e = 0; e < count_of(i); e++)   /* a rounding of the number itself a step, and of each way */
                ck_assert_msg(fabs(x[e] - exact[e]) <= STEPS * (6e-8 * fabs(exact[e]) + 4e-7 * taken + 4e-7 * k),
                              "%s: %s, element %ld: %.9g, not %.9g", device, name, (long)e, x[e], exact[e]);
        }
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static void check_device(const char *device)
{
    check_sgd(device, (SgdOpts){.name = "mine"});
    check_sgd(device, (SgdOpts){.name = "mine", .weight_decay = 0.01f});
    check_sgd(device, (SgdOpts){.name = "mine", .momentum = 0.9f});
    check_sgd(device, (SgdOpts){.name = "mine", .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true});
}

TEST(many_tensors)
{
    check_device("reference");
    check_device("cpu");
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    check_device("cuda");
    device_close(d);
}

/* The sum of squares of w: every step multiplies w by 1 - 2 rate. */
TEST(of_a_loss)
{
    Store *s = store_create("reference64", 3);
    HAVE(s);
    Prog *p = prog_create(s);
    Val rate = prog_input(p, "rate", F32, SHAPE(1));
    prog_push(p, "G");
    Val w = prog_param(p, "w", SHAPE(3), (Init){INIT_CONSTANT, 1});
    Plan *plan = compile(p, sgd(op_sum(op_square(w)), VALS(w), rate, (SgdOpts){.momentum = 0.5f}));
    prog_pop(p);
    MUST(prog_write(p, rate, &(float){0.125f}));
    float got[3];
    MUST(plan_run(plan));
    MUST(store_read(s, store_find(s, "G.w"), got));
    ck_assert(got[0] == 0.75f && got[2] == 0.75f);
    MUST(plan_run(plan));   /* velocity 0.5 * 2 + 1.5 */
    MUST(store_read(s, store_find(s, "G.w"), got));
    ck_assert(got[0] == 0.4375f);
    ck_assert_int_ge(store_find(s, "sgd.m.G.w"), 0);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

TEST(mistakes)
{
    static const char *const words[] = {"nesterov needs momentum", "not be negative", "not be negative", "operand 2",
                                        "2 parameters, 1 grad", "one number"};
    for (int i = 0; i < 6; i++) {
        Store *s = store_create("cpu", 0);
        HAVE(s);
        Prog *p = prog_create(s);
        Val rate = prog_input(p, "rate", F32, SHAPE(1)), w = prog_param(p, "w", SHAPE(2, 3), (Init){0});
        Val g = prog_input(p, "g", F32, SHAPE(2, 3)), other = prog_input(p, "h", F32, SHAPE(3));
        SgdOpts o = {.momentum = i == 1 ? -1 : 0, .weight_decay = i == 2 ? NAN : 0, .nesterov = i == 0};
        Vals params = i == 4 ? VALS(w, w) : VALS(w);
        Vals updates = sgd_apply(params, VALS(i == 3 ? other : g), i == 5 ? g : rate, o);
        ck_assert_int_eq(updates.n, 0);
        const char *text = prog_error(p) ? prog_error(p) : "none";
        ck_assert_msg(strstr(text, words[i]) != NULL, "%s is not in: %s", words[i], text);
        prog_free(p);
        store_free(s);
    }
}

TEST_MAIN("sgd", many_tensors, of_a_loss, mistakes)
