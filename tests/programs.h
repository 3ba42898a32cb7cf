/* programs.h - what the 1xx, 3xx and 4xx tests of the engine share: short ways to compile, run and read, and a
 * generator of random programs. */
#ifndef GUISE_TEST_PROGRAMS_H
#define GUISE_TEST_PROGRAMS_H

#include <math.h>

#include "engine/plan.h"
#include "engine/random.h"
#include "models/layers.h"   /* every op's builder */
#include "tests/test.h"

/* ---------------------------------------------------------------- short ways */
/* The device or NULL; cuda is there on a GPU and with the emulator. */
static inline Store *store_try(const char *device, uint64_t seed)
{
    Store *s = store_create(device, seed);
    if (!s && strcmp(device, "cuda"))
        ck_abort_msg("%s: %s", device, error_text());
    return s;
}

static inline Plan *plan_must(Prog *p, Vals outputs, Vals updates)
{
    Plan *plan = plan_compile(p, (PlanOpts){.name = "test", .outputs = outputs, .updates = updates});
    HAVE(plan);
    return plan;
}

static inline double number_of(Plan *plan, Val v)
{
    double x[1];
    ck_assert_int_eq(shape_count(val_shape(v)), 1);
    MUST(plan_read_double(plan, v, x));
    return x[0];
}

/* Standard normals of a stream of their own, times `scale`; free after use. */
static inline float *normals(int64_t n, const char *name, uint64_t step, float scale)
{
    Random r = random_stream(7, name, step);
    float *x = must_alloc(((size_t)n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = scale * random_normal(&r);
    return x;
}

static inline void write_normals(Prog *p, Val input, uint64_t step)
{
    float *x = normals(shape_count(val_shape(input)), val_name(input), step, 1);
    MUST(prog_write(p, input, x));
    free(x);
}

/* All of a store's values as bytes, for comparing bit by bit; free after use. */
static inline char *store_bits(const Store *s, size_t *size)
{
    size_t total = 0;
    for (int i = 0; i < store_count(s); i++)
        total += (size_t)shape_count(store_shape(s, i)) * 4;
    char *all = must_zalloc(total + 1), *at = all;
    for (int i = 0; i < store_count(s); i++) {
        MUST(store_read(s, i, at));
        at += (size_t)shape_count(store_shape(s, i)) * 4;   /* bytes too: every entry begins aligned */
    }
    *size = total;
    return all;
}

/* What `print` writes, as text; free after use. */
static inline char *printed(void (*print)(const void *, FILE *), const void *what)
{
    FILE *f = tmpfile();
    ck_assert_ptr_nonnull(f);
    print(what, f);
    long size = ftell(f);
    char *text = must_zalloc((size_t)size + 1);
    rewind(f);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    return text;
}

static inline int count_of(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}

static inline int nodes_of(const Prog *p, const char *op)
{
    int n = 0;
    for (int i = 0; i < p->nnodes; i++)
        n += !strcmp(p->nodes[i].op->name, op);
    return n;
}

/* ---------------------------------------------------------------- random programs */
enum { POOL_MAX = 128, MADE_INPUTS_MAX = 8 };

typedef struct Made {
    Store *store;
    Prog *p;
    Val inputs[MADE_INPUTS_MAX];
    int ninputs;
    Val outputs[POOL_MAX];
    int noutputs;
    Vals updates;
    Val loss;
} Made;

typedef struct Maker {
    Made *m;
    Random r;
    Val pool[POOL_MAX];
    int n, params, draws;
} Maker;

static inline int below(Maker *k, int n)
{
    return (int)random_below(&k->r, (uint32_t)n);
}

static inline void keep(Maker *k, Val v)
{
    ck_assert_msg(val_ok(v), "%s", prog_error(k->m->p));
    if (k->n < POOL_MAX && shape_count(val_shape(v)) <= 8192)
        k->pool[k->n++] = v;
}

/* Some value of this rank (0: any), the later ones more often; the first of the pool has rank 4, the second 2. */
static inline Val pick(Maker *k, int rank)
{
    for (int tries = 0; tries < 200; tries++) {
        int a = below(k, k->n), b = below(k, k->n);
        Val v = k->pool[a > b ? a : b];
        if (!rank || val_shape(v).rank == rank)
            return v;
    }
    return k->pool[rank == 2];
}

static inline Val new_param(Maker *k, Shape shape, float deviation)
{
    char name[16];
    snprintf(name, sizeof name, "w%d", k->params++);
    return prog_param(k->m->p, name, shape, (Init){INIT_NORMAL, deviation});
}

/* An operand for elementwise ops with x: another value of that shape, x itself, or one that broadcasts. */
static inline Val partner(Maker *k, Val x)
{
    for (int tries = 0; tries < 20; tries++) {
        Val v = pick(k, 0);
        if (shape_equal(val_shape(v), val_shape(x)))
            return v;
    }
    Shape s = val_shape(x);
    if (s.rank == 4)
        return below(k, 2) ? new_param(k, SHAPE(1, s.dim[1], 1, 1), 1) : new_param(k, SHAPE(s.dim[3]), 1);
    return new_param(k, below(k, 2) ? s : (Shape){.rank = 0}, 1);
}

static inline void add_norm(Maker *k, Val x)
{
    Prog *p = k->m->p;
    char name[24];
    int which = below(k, 4);   /* few layers: the same running statistics are met again */
    int64_t c = val_dim(x, 1);
    if (shape_count(val_shape(x)) / c < 4)
        return;
    snprintf(name, sizeof name, "bn%d_%d", which, (int)c);
    prog_push(p, name);
    Val mean = prog_state(p, "mean", F32, SHAPE(c), (Init){INIT_ZERO, 0});
    Val var = prog_state(p, "var", F32, SHAPE(c), (Init){INIT_CONSTANT, 1});
    int groups = val_dim(x, 0) % 2 == 0 && shape_count(val_shape(x)) / c >= 8 && below(k, 3) == 0 ? 2 : 1;
    Val gamma = below(k, 4) ? prog_param(p, "gamma", SHAPE(c), (Init){INIT_UNIFORM, 2}) : NONE;
    Val beta = below(k, 4) ? prog_param(p, "beta", SHAPE(c), (Init){INIT_NORMAL, 0.5f}) : NONE;
    BatchNorm b = op_batch_norm(x, gamma, beta, mean, var, (BatchNormAttrs){.training = true, .update = true,
                                                                           .groups = groups, .eps = 1e-2f});
    prog_set_state(p, "mean", b.new_running_mean);
    prog_set_state(p, "var", b.new_running_var);
    prog_pop(p);
    int use = below(k, 5);   /* mostly as in networks, where nothing but the leaky ReLU reads y */
    if (use < 2)
        keep(k, b.y);
    if (use > 0)
        keep(k, op_leaky_relu(b.y, below(k, 2) ? 0.2f : 0));
}

static inline void add_conv(Maker *k)
{
    static const int sizes[] = {3, 16, 17, 24, 32, 40};
    Val x = pick(k, 4);
    int64_t c = val_dim(x, 1), h = val_dim(x, 2), w = val_dim(x, 3);
    int f = sizes[below(k, 6)], kernel = h >= 3 && w >= 3 && below(k, 2) ? 3 : 1;
    if (below(k, 3) == 0 && h <= 6) {
        Val weight = new_param(k, SHAPE(c, f, 2, 2), 0.3f / sqrtf((float)c));
        keep(k, op_conv_transpose2d(x, weight, NONE, (Conv2dAttrs){.stride = 2}));
        return;
    }
    Val weight = new_param(k, SHAPE(f, c, kernel, kernel), 1 / sqrtf((float)(c * kernel * kernel)));
    Val bias = below(k, 2) ? new_param(k, SHAPE(f), 1) : NONE;
    keep(k, op_conv2d(x, weight, bias, (Conv2dAttrs){.stride = 1 + below(k, 2), .padding = kernel / 2}));
}

static inline void add_shape(Maker *k)
{
    Val x = pick(k, below(k, 2) ? 4 : 0);
    Shape s = val_shape(x);
    int axis = s.rank ? below(k, s.rank) : 0;
    switch (below(k, 5)) {
    case 0: {
        Val y = partner(k, x);
        if (s.rank && shape_equal(val_shape(y), s))
            keep(k, op_concat(VALS(x, y, x), axis));
        break;
    }
    case 1:
        if (s.rank && s.dim[axis] > 1) {
            int start = below(k, (int)s.dim[axis] - 1);
            keep(k, op_slice(x, axis, start, start + 1 + below(k, (int)s.dim[axis] - start - 1)));
        }
        break;
    case 2:
        if (s.rank == 4)
            keep(k, below(k, 2) ? op_transpose(x, INTS(0, 1, 3, 2)) : op_transpose(x, INTS(1, 0, 2, 3)));
        break;
    case 3:
        keep(k, op_reshape(x, SHAPE(shape_count(s))));
        break;
    default:
        if (s.rank == 4)
            keep(k, op_flatten(x));
    }
}

static inline void add_elementwise(Maker *k)
{
    Val x = pick(k, 0), y = partner(k, x);
    char name[16];
    switch (below(k, 9)) {
    case 0: keep(k, op_add(x, y)); break;
    case 1: keep(k, op_sub(y, x)); break;
    case 2: keep(k, op_tanh(op_mul(x, y))); break;
    case 3: keep(k, op_sigmoid(x)); break;
    case 4: keep(k, op_leaky_relu(x, 0.2f)); break;
    case 5: keep(k, op_affine(x, -0.75f, 0.25f)); break;
    case 6: keep(k, op_stop_gradient(op_softplus(x))); break;
    case 7:
        snprintf(name, sizeof name, "d%d", below(k, 3));   /* names meet again: equal draws */
        keep(k, op_add(x, op_random_normal(prog_rng(k->m->p), name, val_shape(x))));
        break;
    default: keep(k, op_div(x, op_affine(op_square(y), 1, 1)));
    }
}

static inline void add_other(Maker *k)
{
    Val x = pick(k, 4);
    switch (below(k, 6)) {
    case 0: keep(k, op_global_avg_pool(x)); break;
    case 1: keep(k, op_reduce_mean(x, INTS(1), true)); break;
    case 2: keep(k, op_reduce_sum(pick(k, 0), (AttrInts){0}, false)); break;
    case 3:
        if (val_dim(x, 2) >= 2 && val_dim(x, 3) >= 2)
            keep(k, op_max_pool2d(x, (Pool2dAttrs){.kernel = 2}));
        break;
    case 4: keep(k, op_l2_normalize(pick(k, 2))); break;
    default: {
        Val m = pick(k, 2);
        int n = 1 + below(k, 20);
        Val w = new_param(k, SHAPE(n, val_dim(m, 1)), 1 / sqrtf((float)val_dim(m, 1)));
        keep(k, op_linear(m, w, below(k, 2) ? new_param(k, SHAPE(n), 1) : NONE));
    }
    }
}

/* A program of `length` random ops on `device`, with a loss, Adam over all parameters that it has, running
 * statistics and a random counter; the same for the same number.  false if the device is not here. */
static inline bool made_open(Made *m, const char *device, int number, int length, bool train)
{
    static const int channels[] = {1, 3, 16, 17, 32, 33};
    Maker k = {.m = m, .r = random_stream(11, "random programs", (uint64_t)number)};
    *m = (Made){.store = store_try(device, 5)};
    if (!m->store)
        return false;
    Prog *p = m->p = prog_create(m->store);
    int b = 2 + below(&k, 3), side = 3 + below(&k, 4);
    m->inputs[m->ninputs++] = prog_input(p, "x", F32, SHAPE(b, channels[below(&k, 6)], side, 3 + below(&k, 4)));
    m->inputs[m->ninputs++] = prog_input(p, "v", F32, SHAPE(b, 1 + below(&k, 20)));
    m->inputs[m->ninputs++] = prog_input(p, "y", F32, SHAPE(b, channels[below(&k, 6)], side, side));
    for (int i = 0; i < m->ninputs; i++)
        keep(&k, m->inputs[i]);
    keep(&k, new_param(&k, SHAPE(4), 1));
    for (int i = 0; i < length; i++) {
        int what = below(&k, 10);
        if (what < 4)
            add_elementwise(&k);
        else if (what < 6)
            add_conv(&k);
        else if (what < 7)
            add_norm(&k, pick(&k, below(&k, 4) ? 4 : 2));
        else if (what < 8)
            add_shape(&k);
        else
            add_other(&k);
    }
    Val loss = NONE;
    for (int i = k.n - 1; i >= 4 && i >= k.n - 8; i--) {
        Val part = op_mean(op_square(op_tanh(k.pool[i])));
        loss = val_ok(loss) ? op_add(loss, part) : part;
    }
    m->loss = loss;
    if (val_ok(loss))
        m->outputs[m->noutputs++] = loss;
    for (int i = 0; i < 6; i++)
        m->outputs[m->noutputs++] = pick(&k, 0);
    m->outputs[m->noutputs++] = m->outputs[1];   /* asked for twice */
    if (train && val_ok(loss)) {
        Vals params = prog_params(p, ""), grads = prog_grad(loss, params);
        if (grads.n)
            m->outputs[m->noutputs++] = grads.v[below(&k, grads.n)];
        Vals moved = adam_apply(params, grads, op_fill(p, SHAPE(1), 0.01f), (AdamOpts){.name = "adam"});
        m->updates = vals_join(p, moved, prog_updates(p));
    }
    ck_assert_msg(!prog_error(p), "program %d: %s", number, prog_error(p));
    for (int i = 0; i < m->ninputs; i++)
        write_normals(p, m->inputs[i], (uint64_t)number);
    return true;
}

static inline void made_close(Made *m)
{
    prog_free(m->p);
    store_free(m->store);
    *m = (Made){0};
}

/* Runs `runs` times on freshly written values and gathers outputs and the store as doubles; free after use. */
typedef struct Gathered {
    double *x;
    int64_t n;
} Gathered;

static inline void gather(Gathered *g, const double *x, int64_t n)
{
    g->x = must_realloc(g->x, ((size_t)(g->n + n) + 1) * sizeof *g->x);
    memcpy(g->x + g->n, x, (size_t)n * sizeof *x);
    g->n += n;
}

static inline Gathered made_run(Made *m, Plan *plan, int runs)
{
    Gathered g = {0};
    for (int i = 0; i < runs; i++)
        MUST(plan_run(plan));
    for (int i = 0; i < m->noutputs; i++) {
        int64_t n = shape_count(val_shape(m->outputs[i]));
        double *x = must_zalloc(((size_t)n + 1) * sizeof *x);
        MUST(plan_read_double(plan, m->outputs[i], x));
        gather(&g, x, n);
        free(x);
    }
    for (int i = 0; i < store_count(m->store); i++) {
        int64_t n = shape_count(store_shape(m->store, i));
        float *x = must_zalloc(((size_t)n + 1) * sizeof *x);
        double *wide = must_zalloc(((size_t)n + 1) * sizeof *wide);
        MUST(store_read(m->store, i, x));
        for (int64_t j = 0; j < n; j++)
            wide[j] = store_dtype(m->store, i) == F32 ? (double)x[j] : (double)((int32_t *)(void *)x)[j];
        gather(&g, wide, n);
        free(x);
        free(wide);
    }
    return g;
}

#endif
