/* 500_networks.c - the networks against PyTorch: forward with running and with batch statistics, gradients of every
 * parameter and of the input, running statistics afterwards; numbers of parameters at the paper's sizes.
 * tests/fixtures/networks.safetensors is written by tests/peers/fixtures.py, which says what its names mean. */
#include <math.h>

#include "engine/device.h"
#include "tests/described.h"
#include "tests/ops.h"

static SafeFile *file;

static void open_file(void)
{
    file = safetensors_open("tests/fixtures/networks.safetensors");
    HAVE(file);
}

static const SafeTensor *find(const char *network, const char *kind, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s.%s", network, kind, name);
    return safetensors_find(file, key);
}

static const SafeTensor *need(const char *network, const char *kind, const char *name)
{
    const SafeTensor *t = find(network, kind, name);
    ck_assert_msg(t != NULL, "the file holds no %s.%s.%s", network, kind, name);
    return t;
}

/* ---------------------------------------------------------------- comparison */
typedef struct Check {
    const Described *d;
    const char *device;
    double results, gradients;          /* tolerances */
    double worst_result, worst_gradient;
    char where_result[100], where_gradient[100];
    double largest;                     /* gradient of the network at hand */
    int compared;
} Check;

static void judge(Check *c, const char *kind, const char *name, double difference, bool gradient)
{
    double *worst = gradient ? &c->worst_gradient : &c->worst_result;
    ck_assert_msg(difference <= (gradient ? c->gradients : c->results), "%s on %s: %s %s is %.3g off PyTorch's",
                  c->d->name, c->device, kind, name, difference);
    if (difference > *worst) {
        *worst = difference;
        snprintf(gradient ? c->where_gradient : c->where_result, sizeof c->where_result, "%s %s %s", c->d->name, kind,
                 name);
    }
    c->compared++;
}

static void compare_result(Check *c, Plan *plan, Val v, const char *kind, const char *name)
{
    const SafeTensor *t = need(c->d->name, kind, name);
    int64_t n = shape_count(val_shape(v));
    ck_assert_int_eq(n, safetensors_elements(t));
    double *want = doubles(t), *got = must_alloc(((size_t)n + 1) * sizeof *got);
    MUST(plan_read_double(plan, v, got));
    judge(c, kind, name, far_apart(want, got, n), false);
    free(want);
    free(got);
}

static double largest(const double *x, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* The largest element of any whole gradient of the network. */
static double largest_gradient(const char *network)
{
    char prefix[40];
    double most = 0;
    snprintf(prefix, sizeof prefix, "%.15s.grad.", network);
    for (int i = 0; i < safetensors_count(file); i++) {
        const SafeTensor *t = safetensors_at(file, i);
        if (strncmp(t->name, prefix, strlen(prefix)))
            continue;
        double *x = doubles(t);
        most = fmax(most, largest(x, safetensors_elements(t)));
        free(x);
    }
    return most;
}

/* Whole gradients by their largest element, projected ones by their length.  The bias of a convolution in front of
 * batch normalisation has none: what rounding leaves is judged by the network's largest. */
static void compare_gradient(Check *c, Plan *plan, Val v, const char *name)
{
    int64_t n = shape_count(val_shape(v));
    double *got = must_alloc(((size_t)n + 1) * sizeof *got), *want, difference = 0;
    const SafeTensor *whole = find(c->d->name, "grad", name);
    MUST(plan_read_double(plan, v, got));
    if (whole) {
        ck_assert_int_eq(n, safetensors_elements(whole));
        want = doubles(whole);
        difference = largest(want, n) > 1e-12 * c->largest ? far_apart(want, got, n) : largest(got, n) / c->largest;
    } else {
        want = doubles(need(c->d->name, "proj", name));
        double sums[5] = {0};
        for (int64_t i = 0; i < n; i++) {
            for (int k = 0; k < 4; k++)
                sums[k] += got[i] * cos(0.61803398875 * (k + 1) * (double)i);
            sums[4] += got[i] * got[i];
        }
        sums[4] = sqrt(sums[4]);
        for (int k = 0; k < 5; k++)
            difference = fmax(difference, fabs(sums[k] - want[k]) / want[4]);
    }
    judge(c, "gradient of", name, difference, true);
    free(want);
    free(got);
}

static void compare_states(Check *c, Store *s)
{
    for (int i = 0; i < store_count(s); i++) {
        if (store_is_param(s, i))
            continue;
        const SafeTensor *t = need(c->d->name, "after", store_name(s, i));
        int64_t n = shape_count(store_shape(s, i));
        double *want = doubles(t), *got = must_alloc(((size_t)n + 1) * sizeof *got);
        float *values = must_alloc(((size_t)n + 1) * sizeof *values);
        MUST(store_read(s, i, values));
        for (int64_t k = 0; k < n; k++)
            got[k] = values[k];
        /* The store is read as floats whatever its device. */
        judge(c, "running", store_name(s, i), fmax(0, far_apart(want, got, n) - TOLERANCE_FLOAT_ROUNDING), false);
        free(want);
        free(got);
        free(values);
    }
}

/* ---------------------------------------------------------------- runs */
/* Every entry of the store from the file, and every tensor of the file in the store. */
static void fill_store(Store *s, const char *network)
{
    char prefix[120];
    int held = 0;
    snprintf(prefix, sizeof prefix, "%s.weights.", network);
    for (int i = 0; i < store_count(s); i++) {
        const SafeTensor *t = need(network, "weights", store_name(s, i));
        char a[96], b[96];
        Shape have = shape_make(t->shape, t->rank);
        ck_assert_msg(shape_equal(have, store_shape(s, i)), "%s%s is %s and PyTorch's is %s", prefix, store_name(s, i),
                      shape_text(store_shape(s, i), a, sizeof a), shape_text(have, b, sizeof b));
        float *x = must_alloc(((size_t)safetensors_elements(t) + 1) * sizeof *x);
        MUST(safetensors_floats(t, x));
        MUST(store_write(s, i, x));
        free(x);
    }
    for (int i = 0; i < safetensors_count(file); i++)
        held += !strncmp(safetensors_at(file, i)->name, prefix, strlen(prefix));
    ck_assert_int_eq(held, store_count(s));
}

static void write_input(Prog *p, Val v, const char *network, const char *name)
{
    double *x = doubles(need(network, "in", name));
    MUST(prog_write_double(p, v, x));
    free(x);
}

static void check_network(Check *c)
{
    const Described *d = c->d;
    Store *s = store_create(c->device, 7);
    HAVE(s);
    Prog *eval = prog_create(s), *train = prog_create(s);
    NetworkResults r[2] = {0};
    char name[40];
    Shape shape = d->network->input(&d->o, d->batch);
    Val x[2] = {prog_input(eval, "x", F32, shape), prog_input(train, "x", F32, shape)}, labels = NONE, cotangents[16];
    d->network->build(x[0], EVAL, &d->o, &r[0]);
    d->network->build(x[1], TRAIN_GROUPS(d->groups), &d->o, &r[1]);
    const SafeTensor *classes = find(d->name, "weights", "classes.weight");   /* of the recogniser's loss */
    if (classes) {
        labels = prog_input(train, "labels", I32, SHAPE(d->batch));
        snprintf(r[1].name[r[1].n], sizeof r[1].name[0], "loss");
        r[1].v[r[1].n++] = recogniser_loss(r[1].v[0], labels, (int)classes->shape[0], (MarginOpts){.s = 16, .m = 0.5f});
    }
    for (int i = 0; i < r[1].n; i++) {
        snprintf(name, sizeof name, "d_%s", r[1].name[i]);
        cotangents[i] = prog_input(train, name, F32, val_shape(r[1].v[i]));
    }
    Vals params = prog_params(train, ""), wrt = vals_join(train, params, VALS(x[1]));
    Vals grads = prog_vjp((Vals){r[1].v, r[1].n}, (Vals){cotangents, r[1].n}, wrt);
    Plan *plans[2] = {
        plan_compile(eval, (PlanOpts){.name = "eval", .outputs = {r[0].v, r[0].n}}),
        plan_compile(train, (PlanOpts){.name = "train", .updates = prog_updates(train),
                                       .outputs = vals_join(train, (Vals){r[1].v, r[1].n}, grads)}),
    };
    ck_assert_msg(plans[0] && plans[1], "%s on %s: %s", d->name, c->device, error_text());
    fill_store(s, d->name);
    write_input(eval, x[0], d->name, "x");
    write_input(train, x[1], d->name, "x");
    for (int i = 0; i < r[1].n; i++)
        write_input(train, cotangents[i], d->name, val_name(cotangents[i]));
    if (classes)
        MUST(prog_write(train, labels, need(d->name, "in", "labels")->data));
    MUST(plan_run(plans[0]));
    for (int i = 0; i < r[0].n; i++)
        compare_result(c, plans[0], r[0].v[i], "eval", r[0].name[i]);
    MUST(plan_run(plans[1]));
    for (int i = 0; i < r[1].n; i++)
        compare_result(c, plans[1], r[1].v[i], "train", r[1].name[i]);
    for (int i = 0; i < wrt.n; i++)
        compare_gradient(c, plans[1], grads.v[i], i < params.n ? val_name(params.v[i]) : "x");
    compare_states(c, s);
    plan_free(plans[0]);
    plan_free(plans[1]);
    prog_free(eval);
    prog_free(train);
    store_free(s);
}

static void check_line(const char *line, void *context)
{
    Described d;
    Check *c = context;
    describe(line, &d);
    c->d = &d;
    c->largest = largest_gradient(d.name);
    check_network(c);
}

static void check_device(const char *device, double results, double gradients)
{
    Check c = {.device = device, .results = results, .gradients = gradients};
    open_file();
    int n = each_line(file, "networks", check_line, &c);
    printf("%s: %d networks, %d tensors; largest relative difference: results %.2g (%s), gradients %.2g (%s)\n", device,
           n, c.compared, c.worst_result, c.where_result, c.worst_gradient, c.where_gradient);
    ck_assert_int_eq(n, 8);
    safetensors_close(file);
}

TEST(reference64)
{
    check_device("reference64", TOLERANCE_NETWORK_DOUBLE, TOLERANCE_NETWORK_DOUBLE);
}

TEST(reference)
{
    check_device("reference", TOLERANCE_NETWORK, TOLERANCE_NETWORK_GRADIENT);
}

TEST(cpu)
{
    check_device("cpu", TOLERANCE_NETWORK, TOLERANCE_NETWORK_GRADIENT);
}

TEST(cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    check_device("cuda", TOLERANCE_NETWORK, TOLERANCE_NETWORK_GRADIENT);
    device_close(d);
}

/* ---------------------------------------------------------------- the paper's sizes */
/* A network of the paper, built and not run. */
static Store *build_paper(const char *name, bool bias)
{
    const Network *network = network_find(name);
    HAVE(network);
    NetworkOpts o = network->paper;
    NetworkResults r = {0};
    Store *s = store_create("cpu", 1);
    HAVE(s);
    Prog *p = prog_create(s);
    o.bias = bias;
    network->build(prog_input(p, "x", F32, network->input(&o, 1)), EVAL, &o, &r);
    ck_assert_msg(!prog_error(p), "%s: %s", name, prog_error(p));
    prog_free(p);
    return s;
}

/* Parameters in biases of convolutions: those beside a weight of rank 4. */
static long convolution_biases(const Store *s)
{
    long n = 0;
    for (int i = 0; i < store_count(s); i++) {
        const char *name = store_name(s, i), *dot = strrchr(name, '.');
        if (!dot || strcmp(dot, ".bias"))
            continue;
        char *weight = must_printf("%.*s.weight", (int)(dot - name), name);
        int w = store_find(s, weight);
        n += w >= 0 && store_shape(s, w).rank == 4 ? (long)shape_count(store_shape(s, i)) : 0;
        free(weight);
    }
    return n;
}

static void check_count(const char *line, void *context)
{
    static const struct {
        const char *name;
        long without;
    } paper[] = {
        /* Inventory item 108: A 49.3 M, D 23.6 M, G 34.1 M. */
        {"attribute_encoder", 49294080}, {"discriminator", 23604225}, {"generator", 34054336},
        /* torchvision's own count. */
        {"resnet50", 25557032}, {"recogniser", 40290368},
    };
    char name[40];
    long without, with;
    int *n = context;
    ck_assert_int_eq(sscanf(line, "%39s %ld %ld", name, &without, &with), 3);
    ck_assert_str_eq(name, paper[*n].name);
    ck_assert_int_eq(without, paper[(*n)++].without);
    bool bias = strncmp(name, "re", 2);   /* ResNets have none to switch on */
    Store *s = build_paper(name, bias);
    long built = (long)parameter_count(s, "");
    if (bias)
        ck_assert_int_eq(built, with);
    ck_assert_int_eq(built - convolution_biases(s), without);
    store_free(s);
}

TEST(parameter_counts)
{
    int n = 0;
    open_file();
    ck_assert_int_eq(each_line(file, "parameters", check_count, &n), 5);
    safetensors_close(file);
}

static void check_shape(const char *line, void *context)
{
    const Store *s = context;
    char name[100], dims[60];
    ck_assert_int_eq(sscanf(line, "%99s %59s", name, dims), 2);
    int i = store_find(s, name), k = 0;
    ck_assert_msg(i >= 0, "ResNet-50 has no %s", name);
    Shape shape = {0};
    for (char *p = dims, *end; *p && k < RANK_MAX; p = *end ? end + 1 : end)
        shape.dim[k++] = strtol(p, &end, 10);
    shape.rank = k;
    ck_assert_msg(shape_equal(shape, store_shape(s, i)), "%s should be %s", name, dims);
}

TEST(resnet50_is_torchvisions)
{
    open_file();
    Store *s = build_paper("resnet50", false);
    int n = each_line(file, "resnet50", check_shape, s);
    ck_assert_int_eq(n, store_count(s));
    ck_assert_int_eq(n, 53 + 53 * 4 + 2);   /* 53 convolutions with four vectors of batch normalisation each; fc */
    store_free(s);
    safetensors_close(file);
}

TEST_MAIN("networks", reference64, reference, cpu, cuda, parameter_counts, resnet50_is_torchvisions)
