/* 100_program.c - recording programs: sticky mistakes, names, states, gradients as programs, printing. */
#include "tests/programs.h"

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

/* The program's mistake says all of these. */
static void says(const char *a, const char *b, const char *c)
{
    const char *text = prog_error(p);
    ck_assert_msg(text != NULL, "no mistake was seen; expected one about %s", a);
    const char *parts[] = {a, b, c};
    for (int i = 0; i < 3; i++)
        ck_assert_msg(!parts[i] || strstr(text, parts[i]), "\"%s\" does not say \"%s\"", text, parts[i]);
}

/* ---------------------------------------------------------------- mistakes */
TEST(first_message_wins)
{
    begin("reference");
    Val a = prog_input(p, "left", F32, SHAPE(2, 3)), b = prog_input(p, "right", F32, SHAPE(4, 5));
    prog_push(p, "G");
    Val c = op_add(a, b);
    prog_pop(p);
    ck_assert(!val_ok(c));
    says("add", "left (2, 3)", "right (4, 5)");
    says("in G", NULL, NULL);
    char *first = must_strdup(prog_error(p));
    Val d = op_conv2d(c, a, NONE, (Conv2dAttrs){0});
    Val e = op_matmul(a, b, NONE, (MatmulAttrs){0});   /* wrong too, but later */
    Val f = op_exp(a);                                 /* right, but the program is lost */
    ck_assert(!val_ok(d) && !val_ok(e) && !val_ok(f));
    ck_assert(!val_ok(prog_input(p, "x", F32, SHAPE(1))) && !val_ok(prog_rng(p)));
    ck_assert(!val_ok(prog_param(p, "w", SHAPE(1), (Init){0})) && !val_ok(prog_state(p, "m", F32, SHAPE(1),
                                                                                     (Init){0})));
    ck_assert_int_eq(store_count(s), 0);
    Vals wrt = VALS(a, b), grads = prog_grad(c, wrt);
    ck_assert_int_eq(grads.n, 2);
    ck_assert(!val_ok(grads.v[0]) && !val_ok(grads.v[1]));
    prog_set_state(p, "never", a);
    ck_assert(!val_ok(prog_mistake(p, "something else, %d", 2)));
    ck_assert_int_eq(adam(c, wrt, a, (AdamOpts){0}).n, 0);
    ck_assert_int_eq(prog_updates(p).n, 0);
    ck_assert_int_eq(val_shape(c).rank, -1);
    ck_assert_int_eq(val_dim(c, 0), 0);
    ck_assert_str_eq(prog_error(p), first);
    ck_assert_ptr_null(plan_compile(p, (PlanOpts){.name = "lost", .outputs = VALS(a)}));
    ck_assert_msg(strstr(error_text(), first) && strstr(error_text(), "lost"), "%s", error_text());
    free(first);
    end();
}

static Val reals(const char *name, Shape shape) { return prog_input(p, name, F32, shape); }
static Val whole(const char *name, Shape shape) { return prog_input(p, name, I32, shape); }

static Val add_integers(void) { return op_add(reals("a", SHAPE(3)), whole("labels", SHAPE(3))); }
static Val add_bytes(void) { return op_mul(prog_input(p, "pixels", U8, SHAPE(3)), reals("a", SHAPE(3))); }
static Val flat_picture(void)
{
    return op_conv2d(reals("flat", SHAPE(2, 3)), reals("w", SHAPE(4, 3, 1, 1)), NONE, (Conv2dAttrs){0});
}
static Val channels(void)
{
    return op_conv2d(reals("x", SHAPE(2, 3, 5, 5)), reals("w", SHAPE(4, 2, 3, 3)), NONE, (Conv2dAttrs){0});
}
static Val large_kernel(void)
{
    return op_conv2d(reals("x", SHAPE(2, 3, 2, 2)), reals("w", SHAPE(4, 3, 5, 5)), NONE, (Conv2dAttrs){0});
}
static Val product(void) { return op_matmul(reals("x", SHAPE(2, 3)), reals("w", SHAPE(4, 5)), NONE, (MatmulAttrs){0}); }
static Val missing(void) { return op_sub(reals("x", SHAPE(2)), NONE); }
static Val missing_first(void) { return op_sub(NONE, reals("x", SHAPE(2))); }
static Val one_statistic(void)
{
    return op_batch_norm(reals("x", SHAPE(4, 3)), NONE, NONE, reals("mean", SHAPE(3)), NONE, BATCH_NORM_TRAINING).y;
}
static Val one_sample(void)
{
    return op_batch_norm(reals("x", SHAPE(1, 3)), NONE, NONE, NONE, NONE, BATCH_NORM_TRAINING).y;
}
static Val too_many(void)
{
    Val x = reals("x", SHAPE(2)), in[] = {x, x, x};
    return op_append(p, op_find("add"), in, 3, NULL, NULL);
}
static Val stranger(void)
{
    Prog *q = prog_create(s);
    Val mine = reals("x", SHAPE(2)), other = prog_input(q, "y", F32, SHAPE(2));
    Val v = op_add(mine, other);
    prog_free(q);
    return v;
}
static Val twice(void)
{
    reals("x", SHAPE(2));
    return reals("x", SHAPE(2));
}
static Val negative_input(void) { return reals("x", SHAPE(-2, -3)); }
static Val negative_param(void) { return prog_param(p, "w", SHAPE(2, -3), (Init){0}); }
static Val negative_fill(void) { return op_fill(p, SHAPE(2, -3), 0); }
static Val negative_slice(void) { return op_slice(reals("x", SHAPE(5)), 0, 4, 2); }
static Val ranks(void) { return reals("deep", SHAPE(1, 1, 1, 1, 1, 1, 1)); }
static Val huge(void) { return reals("huge", SHAPE((int64_t)1 << 40, (int64_t)1 << 40)); }
static Val huge_result(void)
{
    return op_broadcast_to(reals("x", SHAPE(1)), SHAPE((int64_t)1 << 31, (int64_t)1 << 31,
        64));
}
static Val other_shape(void)
{
    prog_param(p, "w", SHAPE(2), (Init){0});
    return prog_param(p, "w", SHAPE(3), (Init){0});
}
static Val axis(void) { return op_concat(VALS(reals("x", SHAPE(2, 3)), reals("y", SHAPE(2, 3))), 2); }
static Val elements(void) { return op_reshape(reals("x", SHAPE(2, 3)), SHAPE(4)); }

TEST(mistakes_are_named)
{
    static const struct {
        Val (*build)(void);
        const char *a, *b, *c;
    } wrong[] = {
        {add_integers, "add", "labels (3)", "int32"}, {add_bytes, "mul", "pixels (3)", "bytes"},
        {flat_picture, "conv2d", "flat (2, 3)", "rank 2"}, {channels, "conv2d", "x (2, 3, 5, 5)", "w (4, 2, 3, 3)"},
        {large_kernel, "conv2d", "x (2, 3, 2, 2)", NULL}, {product, "matmul", "x (2, 3)", "w (4, 5)"},
        {missing, "sub", "operand b", "missing"}, {missing_first, "sub", "operand a", "missing"},
        {one_statistic, "batch_norm", "running_mean", "running_var"}, {one_sample, "batch_norm", "more than one", NULL},
        {too_many, "add", "3 operands", "2"}, {stranger, "add", "operand 1", "another program"},
        {twice, "input x", "already", NULL}, {negative_input, "input x", "(-2, -3)", NULL},
        {negative_param, "w", "(2, -3)", NULL}, {negative_fill, "fill", "negative", NULL},
        {negative_slice, "slice", "x (5)", "4 .. 2"}, {ranks, "deep", "no shape", NULL},
            {huge, "huge", "no shape", NULL},
        {huge_result, "broadcast_to", "would have", NULL}, {other_shape, "w", "(2)", "(3)"},
        {axis, "concat", "axis 2", NULL}, {elements, "reshape", "6 elements", "(4)"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        begin("reference");
        ck_assert(!val_ok(wrong[i].build()));
        says(wrong[i].a, wrong[i].b, wrong[i].c);
        end();
    }
}

/* What has no default must be given: a power without its exponent would be 1 everywhere. */
TEST(attributes_without_default_must_be_given)
{
    SliceAttrs slice;
    PowAttrs pow;
    ck_assert_int_eq(op_attrs_parse(op_find("slice"), "start=1", &slice), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "slice: attribute stop is missing (one past the last element"));
    ck_assert_int_eq(op_attrs_parse(op_find("pow"), "", &pow), -1);
    ck_assert_int_eq(op_attrs_parse(op_find("pow"), NULL, &pow), -1);
    MUST(op_attrs_parse(op_find("pow"), "exponent=2", &pow));
    ck_assert(pow.exponent == 2);
    MUST(op_attrs_parse(op_find("slice"), "step=3 stop=0", &slice));
    ck_assert(slice.start == 0 && slice.stop == 0 && slice.step == 3);
}

TEST(hosts_mistakes_are_returned)
{
    begin("reference");
    Prog *q = prog_create(s);
    float two[2] = {1, 2};
    double wide[2] = {1, 2};
    Val x = prog_input(p, "x", F32, SHAPE(2)), n = prog_input(p, "n", I32, SHAPE(2)), y = op_exp(x), z = op_log(x);
    Val other = prog_input(q, "x", F32, SHAPE(2));
    ck_assert_int_eq(prog_write(p, x, two), 0);
    ck_assert_int_eq(prog_write(p, y, two), -1);
    ck_assert_int_eq(prog_write(p, NONE, two), -1);
    ck_assert_int_eq(prog_write(p, other, two), -1);
    ck_assert_int_eq(prog_write(q, x, two), -1);
    ck_assert_int_eq(prog_write_double(p, n, wide), -1);
    Plan *plan = plan_must(p, VALS(y), (Vals){0});
    MUST(plan_run(plan));
    ck_assert_int_eq(plan_read(plan, y, two), 0);
    ck_assert_int_eq(plan_read(plan, z, two), -1);
    ck_assert_int_eq(plan_read(plan, NONE, two), -1);
    Val same_id = op_log(op_exp(other));
    ck_assert_int_eq(same_id.id, y.id);
    ck_assert_int_eq(plan_read(plan, same_id, two), -1);
    plan_free(plan);
    ck_assert_ptr_null(plan_compile(q, (PlanOpts){.outputs = VALS(y)}));
    ck_assert_ptr_nonnull(strstr(prog_error(q), "output 0"));
    prog_free(q);
    end();
    ck_assert_ptr_null(store_create("abacus", 1));
    ck_assert_ptr_nonnull(strstr(error_text(), "abacus"));
}

/* ---------------------------------------------------------------- operands, names, states */
TEST(optional_operands)
{
    begin("reference");
    Val x = prog_input(p, "x", F32, SHAPE(4, 3, 2, 2)), w = prog_param(p, "w", SHAPE(5, 3, 1, 1),
                                                                       (Init){INIT_NORMAL, 1});
    Val with = op_conv2d(x, w, op_fill(p, SHAPE(5), 0), (Conv2dAttrs){0}),
        without = op_conv2d(x, w, NONE, (Conv2dAttrs){0});
    Val scaled = op_batch_norm(x, op_fill(p, SHAPE(3), 1), op_fill(p, SHAPE(3), 0), NONE, NONE, BATCH_NORM_TRAINING).y;
    Val bare = op_batch_norm(x, NONE, NONE, NONE, NONE, BATCH_NORM_TRAINING).y;
    write_normals(p, x, 1);
    Plan *plan = plan_must(p, VALS(with, without, scaled, bare), (Vals){0});
    MUST(plan_run(plan));
    float a[80], b[80];
    MUST(plan_read(plan, with, a));
    MUST(plan_read(plan, without, b));
    ck_assert_mem_eq(a, b, sizeof a);
    MUST(plan_read(plan, scaled, a));
    MUST(plan_read(plan, bare, b));
    ck_assert_mem_eq(a, b, 48 * sizeof *a);
    plan_free(plan);
    end();
}

TEST(names_and_scopes)
{
    begin("reference");
    prog_pop(p);   /* of nothing */
    prog_push(p, "G");
    prog_push(p, "layer1.0");
    Val w = prog_param(p, "weight", SHAPE(2), (Init){0});
    ck_assert_str_eq(val_name(w), "G.layer1.0.weight");
    ck_assert_str_eq(val_name(val_named(op_exp(w), "act")), "G.layer1.0.act");
    prog_pop(p);
    ck_assert_str_eq(val_name(prog_param(p, "b", SHAPE(2), (Init){0})), "G.b");
    ck_assert_str_eq(val_name(prog_input(p, "x", F32, SHAPE(2))), "x");
    prog_pop(p);
    ck_assert_str_eq(val_name(prog_param(p, "c", SHAPE(2), (Init){0})), "c");
    ck_assert_int_eq(prog_param(p, "G.b", SHAPE(2), (Init){0}).id, prog_param(p, "G.b", SHAPE(2), (Init){0}).id);
    ck_assert_int_eq(store_count(s), 3);
    ck_assert_str_eq(val_name(val_named(w, "renamed")), "G.layer1.0.weight");   /* of the store: fixed */
    ck_assert_str_eq(val_name(NONE), "");
    ck_assert_ptr_null(prog_error(p));
    end();
}

TEST(params_are_sorted_and_chosen)
{
    begin("reference");
    static const char *const names[] = {"b.w", "a.z", "ab", "a.w", "c"};
    for (int i = 0; i < 5; i++)
        prog_param(p, names[i], SHAPE(1), (Init){0});
    prog_state(p, "a.mean", F32, SHAPE(1), (Init){0});
    store_add(s, "a.unused", F32, SHAPE(1), (Init){0}, true);   /* of the store, but not of this program */
    Vals all = prog_params(p, ""), some = prog_params(p, "a.");
    ck_assert_int_eq(all.n, 5);
    for (int i = 1; i < all.n; i++)
        ck_assert_int_lt(strcmp(val_name(all.v[i - 1]), val_name(all.v[i])), 0);
    ck_assert_int_eq(some.n, 2);
    ck_assert_str_eq(val_name(some.v[0]), "a.w");
    ck_assert_str_eq(val_name(some.v[1]), "a.z");
    ck_assert_ptr_null(prog_error(p));
    ck_assert_int_eq(prog_params(p, "d").n, 0);
    says("\"d\"", NULL, NULL);
    end();
}

/* D sees real pictures, then made ones: two calls move the running statistics twice, in this order. */
TEST(states_are_threaded)
{
    begin("reference64");
    Val real = prog_input(p, "real", F32, SHAPE(6, 2)), fake = prog_input(p, "fake", F32, SHAPE(6, 2));
    Val first = NONE;
    for (int i = 0; i < 2; i++) {
        Val mean = prog_state(p, "mean", F32, SHAPE(2), (Init){INIT_ZERO, 0});
        Val var = prog_state(p, "var", F32, SHAPE(2), (Init){INIT_CONSTANT, 1});
        if (i)
            ck_assert_int_eq(mean.id, first.id);
        BatchNorm b = op_batch_norm(i ? fake : real, NONE, NONE, mean, var, BATCH_NORM_TRAINING);
        prog_set_state(p, "mean", first = b.new_running_mean);
        prog_set_state(p, "var", b.new_running_var);
    }
    Vals updates = prog_updates(p);
    ck_assert_int_eq(updates.n, 2);
    Plan *plan = plan_must(p, (Vals){0}, updates);
    double mean[2] = {0, 0}, var[2] = {1, 1}, x[2][12];
    for (int run = 0; run < 3; run++) {
        for (int k = 0; k < 2; k++) {
            float *v = normals(12, k ? "fake" : "real", (uint64_t)run, 1 + (float)k);
            for (int i = 0; i < 12; i++)
                x[k][i] = v[i] + 3 * k;
            free(v);
            MUST(prog_write_double(p, k ? fake : real, x[k]));
            for (int c = 0; c < 2; c++) {
                double sum = 0, square = 0;
                for (int i = 0; i < 6; i++)
                    sum += x[k][2 * i + c];
                for (int i = 0; i < 6; i++)
                    square += (x[k][2 * i + c] - sum / 6) * (x[k][2 * i + c] - sum / 6);
                mean[c] = (1 - (double)0.1f) * mean[c] + (double)0.1f * sum / 6;
                var[c] = (1 - (double)0.1f) * var[c] + (double)0.1f * square / 5;
            }
        }
        MUST(plan_run(plan));
        float got[2];
        for (int i = 0; i < 2; i++) {
            MUST(store_read(s, store_find(s, i ? "var" : "mean"), got));
            for (int c = 0; c < 2; c++)
                ck_assert_double_eq_tol(got[c], (i ? var : mean)[c], 1e-6);
        }
    }
    plan_free(plan);
    end();
}

TEST(states_mistakes)
{
    begin("reference");
    prog_set_state(p, "mean", op_fill(p, SHAPE(2), 1));
    says("mean", "before it was read", NULL);
    end();
    begin("reference");
    prog_state(p, "mean", F32, SHAPE(2), (Init){0});
    prog_set_state(p, "mean", op_fill(p, SHAPE(3), 1));
    says("mean", "another shape", NULL);
    end();
    begin("reference");
    Prog *q = prog_create(s);
    prog_state(p, "mean", F32, SHAPE(2), (Init){0});
    prog_set_state(p, "mean", op_fill(q, SHAPE(2), 1));
    says("mean", "another program", NULL);
    prog_free(q);
    end();
    begin("reference");
    prog_state(p, "count", I32, SHAPE(2), (Init){0});
    prog_set_state(p, "count", op_fill(p, SHAPE(2), 1));
    prog_updates(p);
    says("assign", "dtype", NULL);
    end();
}

TEST(counter_advances_in_any_scope)
{
    begin("reference");
    prog_push(p, "inner");
    Val u = op_random_uniform(prog_rng(p), "u", SHAPE(8));
    Vals updates = prog_updates(p);
    prog_pop(p);
    ck_assert_msg(!prog_error(p), "%s", prog_error(p));
    ck_assert_int_eq(updates.n, 1);
    ck_assert_int_eq(prog_updates(p).n, 1);
    Plan *plan = plan_must(p, VALS(u), updates);
    float a[8], b[8];
    int32_t counter[4];
    MUST(plan_run(plan));
    MUST(plan_read(plan, u, a));
    MUST(plan_run(plan));
    MUST(plan_read(plan, u, b));
    MUST(store_read(s, store_find(s, "rng"), counter));
    ck_assert_int_eq(counter[0], 1);   /* the seed */
    ck_assert_int_eq(counter[2], 2);   /* runs */
    ck_assert(memcmp(a, b, sizeof a) != 0);
    for (int i = 0; i < 8; i++)
        ck_assert_float_eq(b[i], random_unit(random_bits(1, random_name("u"), 1, (uint64_t)i)));
    plan_free(plan);
    end();
}

/* C evaluates arguments in any order: parameters, draws and steps must not depend on it. */
static Gathered record(bool backwards)
{
    Made m = {.store = store_create("reference", 3)};
    HAVE(m.store);
    m.p = prog_create(m.store);
    Val x = m.inputs[m.ninputs++] = prog_input(m.p, "x", F32, SHAPE(4, 6));
    Val half[2], rate = op_fill(m.p, SHAPE(1), 0.25f);
    for (int i = 0; i < 2; i++) {
        int k = backwards ? 1 - i : i;
        prog_push(m.p, k ? "right" : "left");
        Val w = prog_param(m.p, "w", SHAPE(3, 6), (Init){INIT_NORMAL, 1});
        Val b = prog_param(m.p, "b", SHAPE(3), (Init){INIT_UNIFORM, 1});
        prog_pop(m.p);
        half[k] = op_dropout(op_linear(x, w, b), rate, prog_rng(m.p), k ? "right" : "left");
        half[k] = op_add(half[k], op_random_normal(prog_rng(m.p), k ? "r" : "l", SHAPE(4, 3)));
    }
    m.outputs[m.noutputs++] = op_mean(op_square(op_sub(half[0], half[1])));
    m.updates = vals_join(m.p, adam(m.outputs[0], prog_params(m.p, ""), rate, (AdamOpts){0}), prog_updates(m.p));
    write_normals(m.p, x, 0);
    Plan *plan = plan_must(m.p, (Vals){m.outputs, 1}, m.updates);
    Gathered g = {0};
    static const char *const names[] = {"left.b", "left.w", "right.b", "right.w", "adam.m.left.w", "adam.v.right.b"};
    for (int run = 0; run < 3; run++) {
        MUST(plan_run(plan));
        double loss = number_of(plan, m.outputs[0]);
        gather(&g, &loss, 1);
    }
    for (int i = 0; i < 6; i++) {
        int e = store_find(m.store, names[i]);
        ck_assert_int_ge(e, 0);
        float v[18];
        double wide[18];
        MUST(store_read(m.store, e, v));
        int64_t n = shape_count(store_shape(m.store, e));
        for (int64_t k = 0; k < n; k++)
            wide[k] = v[k];
        gather(&g, wide, n);
    }
    plan_free(plan);
    made_close(&m);
    return g;
}

TEST(order_of_recording_does_not_matter)
{
    Gathered a = record(false), b = record(true);
    ck_assert_int_eq(a.n, b.n);
    ck_assert_mem_eq(a.x, b.x, (size_t)a.n * sizeof *a.x);
    ck_assert_double_ne(a.x[0], a.x[1]);
    free(a.x);
    free(b.x);
}

/* ---------------------------------------------------------------- updates */
TEST(assignments)
{
    static const char *const expected[] = {"assigned twice", "not an assignment to a store value",
                                           "not an assignment to a store value", "shape or dtype", "update 0"};
    for (int i = 0; i < 5; i++) {
        begin("reference");
        Val w = prog_param(p, "net.w", SHAPE(2), (Init){0}), x = prog_input(p, "x", F32, SHAPE(2)), y = op_exp(w);
        Val a = i == 1 ? op_assign(y, x) : i == 2 ? op_assign(x, y)
              : i == 3 ? op_assign(w, op_fill(p, SHAPE(3), 0)) : i == 4 ? y : op_assign(w, x);
        Val b = op_assign(w, y);
        Vals updates = i == 0 ? VALS(a, b) : VALS(a);
        ck_assert_ptr_null(plan_compile(p, (PlanOpts){.updates = updates}));
        says(expected[i], i == 0 ? "net.w" : NULL, NULL);
        end();
    }
}

/* ---------------------------------------------------------------- gradients */
static double evaluate(Val loss, Val x, double at)
{
    Plan *plan = plan_must(p, VALS(loss), (Vals){0});
    MUST(prog_write_double(p, x, &at));
    MUST(plan_run(plan));
    double y = number_of(plan, loss);
    plan_free(plan);
    return y;
}

/* f = (x^2)^2 - 3 x^2: f' = 4 x^3 - 6 x, f'' = 12 x^2 - 6, f''' = 24 x. */
TEST(derivatives_of_derivatives)
{
    begin("reference64");
    Val x = prog_input(p, "x", F32, SHAPE(1)), square = op_square(x);
    Val f = op_add(op_square(square), op_scale(square, -3));
    Val d1 = prog_grad(f, VALS(x)).v[0], d2 = prog_grad(d1, VALS(x)).v[0], d3 = prog_grad(d2, VALS(x)).v[0];
    ck_assert_msg(!prog_error(p), "%s", prog_error(p));
    for (double at = -1.5; at <= 2; at += 0.5) {
        ck_assert_double_eq_tol(evaluate(f, x, at), pow(at, 4) - 3 * at * at, 1e-13);
        ck_assert_double_eq_tol(evaluate(d1, x, at), 4 * pow(at, 3) - 6 * at, 1e-13);
        ck_assert_double_eq_tol(evaluate(d2, x, at), 12 * at * at - 6, 1e-13);
        ck_assert_double_eq_tol(evaluate(d3, x, at), 24 * at, 1e-13);
    }
    end();
}

TEST(gradients_of_shared_and_stopped)
{
    begin("reference64");
    Val x = prog_input(p, "x", F32, SHAPE(1)), y = op_mul(x, x), unused = prog_input(p, "u", F32, SHAPE(2, 3));
    Val shared = op_add(op_mul(y, y), op_add(y, x));              /* 4 x^3 + 2 x + 1 */
    Val stopped = op_mul(x, op_stop_gradient(y));                 /* x^2 */
    Val constant = op_stop_gradient(op_exp(x));                   /* 0 */
    Vals both = prog_grad(shared, VALS(x, y, x, unused));
    ck_assert_int_eq(both.n, 4);
    ck_assert_double_eq_tol(evaluate(both.v[0], x, 1.5), 4 * 3.375 + 3 + 1, 1e-13);
    ck_assert_double_eq_tol(evaluate(both.v[1], x, 1.5), 2 * 2.25 + 1, 1e-13);
    ck_assert_double_eq_tol(evaluate(both.v[2], x, 1.5), 4 * 3.375 + 3 + 1, 1e-13);
    ck_assert(shape_equal(val_shape(both.v[3]), SHAPE(2, 3)));
    ck_assert_double_eq(evaluate(op_sum(op_abs(both.v[3])), x, 1.5), 0);
    ck_assert_double_eq_tol(evaluate(prog_grad(stopped, VALS(x)).v[0], x, 1.5), 2.25, 1e-13);
    ck_assert_double_eq(evaluate(prog_grad(constant, VALS(x)).v[0], x, 1.5), 0);
    /* Cotangents: several results, one of them without. */
    Vals v = prog_vjp(VALS(y, op_exp(x), op_log(x)), VALS(op_fill(p, SHAPE(1), 2), NONE, op_fill(p, SHAPE(1), -1)),
                      VALS(x));
    ck_assert_double_eq_tol(evaluate(v.v[0], x, 1.5), 2 * 3 - 1 / 1.5, 1e-13);
    ck_assert_msg(!prog_error(p), "%s", prog_error(p));
    end();
}

TEST(gradients_mistakes)
{
    begin("reference");
    Val x = prog_input(p, "x", F32, SHAPE(2, 3, 4, 4));
    Val blurred = val_named(op_max_pool2d_grad(x, op_max_pool2d(x, (Pool2dAttrs){.kernel = 2}),
                                               (Pool2dAttrs){.kernel = 2}), "odd");
    prog_grad(op_sum(blurred), VALS(x));
    says("max_pool2d_grad", "no gradient", "odd");
    end();
    begin("reference");
    x = prog_input(p, "x", F32, SHAPE(2, 3));
    Val once = prog_grad(op_sum(op_exp(op_l2_normalize(x))), VALS(x)).v[0];
    ck_assert_ptr_null(prog_error(p));
    prog_grad(op_sum(op_square(once)), VALS(x));
    says("l2_normalize_grad", "no gradient", NULL);
    end();
    begin("reference");
    x = prog_input(p, "x", F32, SHAPE(2, 3));
    prog_grad(x, VALS(x));
    says("one number", NULL, NULL);
    end();
    begin("reference");
    x = prog_input(p, "x", F32, SHAPE(2, 3));
    prog_vjp(VALS(x), VALS(op_fill(p, SHAPE(3, 2), 1)), VALS(x));
    says("cotangent 0", "shape", NULL);
    end();
    begin("reference");
    Prog *q = prog_create(s);
    x = prog_input(p, "x", F32, SHAPE(2, 3));
    for (int i = 0; i < 300; i++)
        op_fill(q, SHAPE(1), (float)i);
    Vals grads = prog_grad(op_sum(x), VALS(x, op_fill(q, SHAPE(1), 0)));
    ck_assert_int_eq(grads.n, 2);
    says("gradient", "value 1", "another program");
    prog_free(q);
    end();
}

/* ---------------------------------------------------------------- printing */
static void print(const void *q, FILE *to) { prog_print(q, to); }
static void dot(const void *q, FILE *to) { prog_dot(q, to); }

TEST(programs_are_readable)
{
    begin("reference");
    Val x = prog_input(p, "pictures", F32, SHAPE(2, 3, 8, 8));
    Val w = prog_param(p, "conv.weight", SHAPE(4, 3, 3, 3), (Init){INIT_NORMAL, 1});
    Val y = val_named(op_conv2d(x, w, NONE, (Conv2dAttrs){.padding = 1, .stride = 2}), "features");
    op_mean(op_leaky_relu(y, 0.2f));
    char *text = printed(print, p);
    static const char *const parts[] = {"input", "pictures (2, 3, 8, 8)", "store", "conv.weight (4, 3, 3, 3)",
                                        "features (2, 4, 4, 4)", "conv2d(", "stride=2", "slope=0.2", "MFLOP", "4 ops"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "no \"%s\" in\n%s", parts[i], text);
    free(text);
    text = printed(dot, p);
    ck_assert_int_eq(strncmp(text, "digraph", 7), 0);
    ck_assert_int_eq(text[strlen(text) - 2], '}');
    ck_assert_int_eq(count_of(text, "{"), count_of(text, "}"));
    ck_assert_int_eq(count_of(text, "\"") % 2, 0);
    ck_assert_int_eq(count_of(text, " -> "), 5);
    ck_assert_ptr_nonnull(strstr(text, "conv2d"));
    ck_assert_ptr_nonnull(strstr(text, "pictures"));
    free(text);
    op_add(x, w);
    text = printed(print, p);
    ck_assert_ptr_nonnull(strstr(text, "mistake: add"));
    free(text);
    end();
}

TEST_MAIN("programs", first_message_wins, mistakes_are_named,
          attributes_without_default_must_be_given, hosts_mistakes_are_returned, optional_operands,
          names_and_scopes, params_are_sorted_and_chosen, states_are_threaded, states_mistakes,
          counter_advances_in_any_scope, order_of_recording_does_not_matter, assignments, derivatives_of_derivatives,
          gradients_of_shared_and_stopped, gradients_mistakes, programs_are_readable)
