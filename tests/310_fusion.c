/* 310_fusion.c - batch norm and leaky ReLU become one op where nothing else reads the value between them, forward and
 * backward, and nowhere else; the numbers stay. */
#include "tests/programs.h"
#include "tests/tolerance.h"

typedef enum Case {
    PLAIN_PAIR,          /* norm -> leaky */
    TRAINED,             /* ... and gradients of x, gamma and beta */
    ONLY_BACKWARD,       /* gradients alone are asked for */
    TWO_LOSSES,          /* two gradients through the same pair */
    STACKED,             /* pair -> convolution -> pair */
    RELU,                /* slope 0 */
    SAME_TWICE,          /* the same leaky ReLU written twice, without gradients: merges first */
    FLAT,                /* (B, C) */
    GROUPED,             /* real and made pictures as one batch */
    Y_ASKED_FOR,         /* y is an output of the plan */
    Y_READ,              /* another op reads y */
    Y_READ_BACKWARD,     /* y is read by another op whose gradient passes through the norm */
    TWO_SLOPES,
    RESIDUAL,            /* leaky ReLU of a sum with y */
    RESIDUAL_RELU,
    RESIDUAL_TWO_NORMS,  /* of two batch norms: one takes the other as its residual */
    RESIDUAL_SUM_READ,   /* the sum is an output: only the backward pass can do without it */
    RESIDUAL_REPEATED,   /* one value a channel is added */
    GRADIENT_ASKED_FOR,  /* the gradient of y is an output */
    OTHER_GRADIENT,      /* a gradient written by hand with another slope */
    CASES
} Case;

static const struct {
    const char *name;
    int forward, backward;   /* fused ops that must be there */
} expected[CASES] = {
    {"pair", 1, 0}, {"trained", 1, 1}, {"only backward", 1, 1}, {"two losses", 1, 2}, {"stacked", 2, 2}, {"relu", 1, 1},
    {"same twice", 1, 0}, {"flat", 1, 1}, {"grouped", 1, 1}, {"y asked for", 0, 0}, {"y read", 0, 0},
    {"y read backward", 0, 0}, {"two slopes", 0, 0}, {"residual", 1, 1}, {"residual, relu", 1, 1}, {"residual of two norms", 1, 1},
    {"residual, sum read", 0, 1}, {"residual repeated", 0, 0}, {"gradient asked for", 0, 0}, {"other gradient", 0, 0},
};

static Val norm(Prog *p, Val x, const char *name, int groups, BatchNorm *b)
{
    int64_t c = val_dim(x, 1);
    prog_push(p, name);
    Val gamma = prog_param(p, "gamma", SHAPE(c), (Init){INIT_NORMAL, 1});
    Val beta = prog_param(p, "beta", SHAPE(c), (Init){INIT_NORMAL, 1});
    Val mean = prog_state(p, "mean", F32, SHAPE(c), (Init){INIT_ZERO, 0});
    Val var = prog_state(p, "var", F32, SHAPE(c), (Init){INIT_CONSTANT, 1});
    *b = op_batch_norm(x, gamma, beta, mean, var,
                       (BatchNormAttrs){.training = true, .update = true, .groups = groups});
    prog_set_state(p, "mean", b->new_running_mean);
    prog_set_state(p, "var", b->new_running_var);
    prog_pop(p);
    return b->y;
}

static bool build(Made *m, const char *device, Case c)
{
    *m = (Made){.store = store_try(device, 9)};
    if (!m->store)
        return false;
    Prog *p = m->p = prog_create(m->store);
    Val x = m->inputs[m->ninputs++] = prog_input(p, "x", F32, c == FLAT ? SHAPE(6, 33) : SHAPE(6, 17, 5, 3));
    Val w = prog_param(p, "w", SHAPE(17, 17, 3, 3), (Init){INIT_NORMAL, 0.1f});
    BatchNorm b;
    Val h = c == FLAT ? x : op_conv2d(x, w, NONE, (Conv2dAttrs){.padding = 1});
    Val y = norm(p, h, "bn", c == GROUPED ? 2 : 1, &b);
    Val sum = c == RESIDUAL || c == RESIDUAL_SUM_READ ? op_add(y, x) : c == RESIDUAL_RELU ? op_add(x, y)
              : c == RESIDUAL_TWO_NORMS ? op_add(y, norm(p, x, "bn2", 1, &b))
              : c == RESIDUAL_REPEATED ? op_add(y, prog_param(p, "bn.more", SHAPE(1, 17, 1, 1), (Init){INIT_NORMAL, 1}))
              : y;
    Val z = op_leaky_relu(sum, c == RELU || c == RESIDUAL_RELU ? 0 : 0.2f);
    if (c == STACKED)
        z = op_leaky_relu(norm(p, op_conv2d(z, w, NONE, (Conv2dAttrs){.padding = 1}), "bn2", 1, &b), 0.2f);
    Val loss = op_mean(op_square(op_tanh(z)));
    if (c == SAME_TWICE)
        loss = op_add(loss, op_mean(op_leaky_relu(y, 0.2f)));
    if (c == TWO_SLOPES)
        loss = op_add(loss, op_mean(op_leaky_relu(y, 0.1f)));
    if (c == Y_READ_BACKWARD)
        loss = op_add(loss, op_mean(op_tanh(y)));
    Vals wrt = prog_params(p, "bn.");
    if (c != FLAT)
        wrt = vals_join(p, wrt, VALS(w, x));
    if (c != ONLY_BACKWARD) {
        m->outputs[m->noutputs++] = z;
        m->outputs[m->noutputs++] = loss;
    }
    if (c == Y_ASKED_FOR)
        m->outputs[m->noutputs++] = y;
    if (c == RESIDUAL_SUM_READ)
        m->outputs[m->noutputs++] = sum;
    if (c == Y_READ)
        m->outputs[m->noutputs++] = op_exp(y);
    if (c == OTHER_GRADIENT)
        m->outputs[m->noutputs++] = op_batch_norm_grad(h, prog_param(p, "bn.gamma", SHAPE(17), (Init){0}), b.mean,
                                                       b.rstd,
                                                       op_leaky_relu_grad(y, x, 0.1f),
                                                       (BatchNormGradAttrs){1, true}).dx;
    if (c == GRADIENT_ASKED_FOR)
        wrt = vals_join(p, wrt, VALS(y));
    if (c != PLAIN_PAIR && c != SAME_TWICE && c != OTHER_GRADIENT) {
        Vals g = prog_grad(loss, wrt);
        for (int i = 0; i < g.n; i++)
            m->outputs[m->noutputs++] = g.v[i];
    }
    if (c == TWO_LOSSES) {
        Vals g = prog_grad(op_mean(op_exp(op_tanh(z))), wrt);
        for (int i = 0; i < g.n; i++)
            m->outputs[m->noutputs++] = g.v[i];
    }
    m->updates = prog_updates(p);
    ck_assert_msg(!prog_error(p), "%s: %s", expected[c].name, prog_error(p));
    write_normals(p, x, 1);
    return true;
}

static void fuse(const char *device)
{
    for (Case c = 0; c < CASES; c++) {
        Made m;
        if (!build(&m, device, c))
            SKIP("%s: %s", device, error_text());
        Gathered g[2];
        for (int k = 0; k < 2; k++) {
            MUST(store_reset(m.store, "", 9));
            if (k)
                setenv("ENGINE_NOFUSE", "1", 1);
            Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
            unsetenv("ENGINE_NOFUSE");
            int forward = nodes_of(plan->q, "batch_norm_leaky_relu"),
                backward = nodes_of(plan->q, "batch_norm_leaky_relu_grad");
            ck_assert_msg(forward == (k ? 0 : expected[c].forward) && backward == (k ? 0 : expected[c].backward),
                          "%s on %s: %d forward and %d backward fused%s", expected[c].name, device, forward, backward,
                          k ? " in spite of ENGINE_NOFUSE" : "");
            if (expected[c].forward && !k)   /* nothing of the pair is left over */
                ck_assert_int_eq(nodes_of(plan->q, "batch_norm") + nodes_of(plan->q, "leaky_relu") +
                                 nodes_of(plan->q, "leaky_relu_grad") + nodes_of(plan->q, "batch_norm_grad"),
                                 c == RESIDUAL_TWO_NORMS ? 2 : 0);
            g[k] = made_run(&m, plan, 2);
            plan_free(plan);
        }
        ck_assert_int_eq(g[0].n, g[1].n);
        for (int64_t i = 0; i < g[0].n; i++)   /* the fused kernels round where the single ones do */
            ck_assert_msg(!memcmp(&g[0].x[i], &g[1].x[i], sizeof g[0].x[i]),
                          "%s on %s: number %ld is %.9g fused and %.9g not",
                          expected[c].name, device, (long)i, g[0].x[i], g[1].x[i]);
        free(g[0].x);
        free(g[1].x);
        made_close(&m);
    }
}

TEST(on_reference) { fuse("reference"); }
TEST(on_reference64) { fuse("reference64"); }
TEST(on_cpu) { fuse("cpu"); }
TEST(on_cuda) { fuse("cuda"); }

/* A fused plan needs less scratch and fewer ops, which is what fusion is for. */
TEST(saves_ops_and_memory)
{
    Made m;
    build(&m, "cpu", STACKED);
    Plan *fused = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
    setenv("ENGINE_NOFUSE", "1", 1);
    Plan *single = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
    unsetenv("ENGINE_NOFUSE");
    ck_assert_int_eq(plan_ops(single) - plan_ops(fused), 4);
    ck_assert_uint_le(plan_arena_bytes(fused), plan_arena_bytes(single));
    plan_free(fused);
    plan_free(single);
    made_close(&m);
}

TEST_MAIN("fusion", on_reference, on_reference64, on_cpu, on_cuda, saves_ops_and_memory)
