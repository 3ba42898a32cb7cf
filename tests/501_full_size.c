/* 501_full_size.c - the paper's networks at their full size against PyTorch: A, D and G of Tables 6 and 7 at 128 x 128,
 * ResNet-50 with its classifier at 224 and 128, the recogniser.  Results with running and with batch statistics,
 * gradients of every parameter and of the input, running statistics afterwards, each as four sums under random signs
 * and a length; a relative error e anywhere in a tensor shows as about e in the sums.
 * tests/fixtures/full_size.safetensors is written by tests/peers/full_size.py, whose rules for values are these. */
#include <math.h>

#include "engine/device.h"
#include "engine/random.h"
#include "tests/children.h"
#include "tests/described.h"
#include "tests/pictures.h"
#include "tests/tolerance.h"

/* ---------------------------------------------------------------- values by rule */
/* SplitMix64 (Steele, Lea, Flood 2014): 64 bits of element i. */
static uint64_t bits_of(uint64_t key, uint64_t i)
{
    uint64_t x = (i + 1) * 0x9E3779B97F4A7C15u + key;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* In (-1, 1): 24 bits in the middle of their interval, exact. */
static float *uniforms(const char *name, int64_t n)
{
    float *x = must_alloc(((size_t)n + 1) * sizeof *x);
    uint64_t key = random_name(name);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(2 * (int32_t)(bits_of(key, (uint64_t)i) >> 40) + 1 - (1 << 24)) / (float)(1 << 24);
    return x;
}

static bool ends(const char *name, const char *last)
{
    const char *dot = strrchr(name, '.');
    return !strcmp(dot ? dot + 1 : name, last);
}

static void fill_store(Store *s)
{
    for (int i = 0; i < store_count(s); i++) {
        const char *name = store_name(s, i);
        Shape shape = store_shape(s, i);
        int64_t n = shape_count(shape), fan = strstr(name, "block4.conv1") ? shape.dim[0] : n / shape.dim[0];
        float *x = uniforms(name, n), base = 0, factor = 0.25f;
        if (shape.rank > 1)
            factor = (float)sqrt(6.0 / (double)fan);
        else if (ends(name, "running_var"))
            base = 1, factor = 0.5f;
        else if (ends(name, "weight"))
            base = 1;
        for (int64_t k = 0; k < n; k++) {
            float scaled = factor * x[k];
            x[k] = (ends(name, "bias") ? copysignf(2, x[k]) : base) + scaled;
        }
        MUST(store_write(s, i, x));
        free(x);
    }
}

/* ---------------------------------------------------------------- comparison */
typedef struct Check {
    SafeFile *file;
    const char *device, *name;
    Described d;
    double longest;           /* of the network's gradients */
    int compared;
    double worst[2];          /* of results and statistics; of gradients */
    char where[2][160];
} Check;

/* Random signs are bits 63 to 60 of element i of the stream 0. */
static void compare(Check *c, const char *kind, const char *name, const float *x, int64_t n)
{
    double sums[5] = {0}, want[5], off = 0;
    char key[160];
    bool gradient = !strcmp(kind, "grad");
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = bits_of(0, (uint64_t)i);
        for (int k = 0; k < 4; k++)
            sums[k] += bits >> (63 - k) & 1 ? (double)x[i] : -(double)x[i];
        sums[4] += (double)x[i] * (double)x[i];
    }
    sums[4] = sqrt(sums[4]);
    snprintf(key, sizeof key, "%s.%s.%s", c->d.name, kind, name);
    const SafeTensor *t = safetensors_find(c->file, key);
    ck_assert_msg(t && safetensors_elements(t) == 5, "the file holds no %s", key);
    MUST(safetensors_doubles(t, want));
    /* A bias in front of batch normalisation has no gradient: what rounding leaves is judged by the longest. */
    double scale = gradient && want[4] < 1e-9 * c->longest ? c->longest : want[4];
    for (int k = 0; k < 5; k++)
        off = fmax(off, isfinite(sums[k]) ? fabs(sums[k] - want[k]) / scale : INFINITY);
    c->compared++;
    if (off > c->worst[gradient]) {
        c->worst[gradient] = off;
        snprintf(c->where[gradient], sizeof c->where[0], "%s", key);
    }
    /* How far is far enough from a kink was found with fused operations; a build without oneDNN may have none. */
    bool smooth = c->d.smooth && (strcmp(c->device, "cpu") || strcmp(engine_libraries("cpu"), "none"));
    double most = !gradient ? TOLERANCE_FULL_SIZE : smooth ? TOLERANCE_FULL_SIZE_GRADIENT : TOLERANCE_FULL_SIZE_KINK;
    ck_assert_msg(off <= most, "%s on %s is %.3g of its length off PyTorch's", key, c->device, off);
}

static void compare_output(Check *c, Plan *plan, Val v, const char *kind, const char *name)
{
    int64_t n = shape_count(val_shape(v));
    float *x = must_alloc(((size_t)n + 1) * sizeof *x);
    MUST(plan_read(plan, v, x));
    compare(c, kind, name, x, n);
    free(x);
}

static void write_uniforms(Prog *p, Val v, const char *name)
{
    float *x = uniforms(name, shape_count(val_shape(v)));
    MUST(prog_write(p, v, x));
    free(x);
}

static void write_input(Prog *p, Val x, const Check *c)
{
    char stream[16];
    snprintf(stream, sizeof stream, "x%d", c->d.input);
    write_uniforms(p, x, stream);
}

static void check_eval(Check *c, Store *s, Shape shape)
{
    NetworkResults r = {0};
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, shape);
    c->d.network->build(x, EVAL, &c->d.o, &r);
    Plan *plan = plan_compile(p, (PlanOpts){.name = "eval", .outputs = {r.v, r.n}});
    HAVE(plan);
    fill_store(s);
    write_input(p, x, c);
    MUST(plan_run(plan));
    for (int i = 0; i < r.n; i++)
        compare_output(c, plan, r.v[i], "eval", r.name[i]);
    plan_free(plan);
    prog_free(p);
}

static void check_train(Check *c, Store *s, Shape shape)
{
    NetworkResults r = {0};
    Val cotangents[NETWORK_RESULTS];
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, shape);
    char name[40];
    c->d.network->build(x, TRAIN_GROUPS(c->d.groups), &c->d.o, &r);
    for (int i = 0; i < r.n; i++) {
        snprintf(name, sizeof name, "d_%s", r.name[i]);
        cotangents[i] = prog_input(p, name, F32, val_shape(r.v[i]));
    }
    Vals params = prog_params(p, ""), wrt = vals_join(p, params, VALS(x));
    Vals grads = prog_vjp((Vals){r.v, r.n}, (Vals){cotangents, r.n}, wrt);
    Plan *plan = plan_compile(p, (PlanOpts){.name = "train", .updates = prog_updates(p),
                                            .outputs = vals_join(p, (Vals){r.v, r.n}, grads)});
    HAVE(plan);
    write_input(p, x, c);
    for (int i = 0; i < r.n; i++)
        write_uniforms(p, cotangents[i], val_name(cotangents[i]));
    MUST(plan_run(plan));
    for (int i = 0; i < r.n; i++)
        compare_output(c, plan, r.v[i], "train", r.name[i]);
    for (int i = 0; i < wrt.n; i++)
        compare_output(c, plan, grads.v[i], "grad", i < params.n ? val_name(params.v[i]) : "x");
    plan_free(plan);
    prog_free(p);
    for (int i = 0; i < store_count(s); i++) {
        int64_t n = shape_count(store_shape(s, i));
        float *values = must_alloc(((size_t)n + 1) * sizeof *values);
        MUST(store_read(s, i, values));
        if (!store_is_param(s, i))
            compare(c, "after", store_name(s, i), values, n);
        free(values);
    }
}

static double longest_gradient(const SafeFile *file, const char *network)
{
    char prefix[40];
    double most = 0, x[5];
    snprintf(prefix, sizeof prefix, "%s.grad.", network);
    for (int i = 0; i < safetensors_count(file); i++) {
        const SafeTensor *t = safetensors_at(file, i);
        if (!strncmp(t->name, prefix, strlen(prefix)) && !safetensors_doubles(t, x))
            most = fmax(most, x[4]);
    }
    return most;
}

/* The line of metadata "networks" that begins with the name. */
static void find_network(const char *line, void *context)
{
    Check *c = context;
    size_t n = strlen(c->name);
    if (!strncmp(line, c->name, n) && line[n] == ' ')
        describe(line, &c->d);
}

static Check open_network(const char *device, const char *name)
{
    Check c = {.file = safetensors_open("tests/fixtures/full_size.safetensors"), .device = device, .name = name};
    HAVE(c.file);
    ck_assert_int_eq(each_line(c.file, "networks", find_network, &c), 6);
    ck_assert_str_eq(c.d.name, name);
    c.longest = longest_gradient(c.file, name);
    return c;
}

static void check_network(const char *device, const char *name)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("full size takes minutes with sanitizers; 500_networks runs the same code on small networks");
#endif
    Check c = open_network(device, name);
    Store *s = store_create(device, 1);
    HAVE(s);
    Shape shape = c.d.network->input(&c.d.o, c.d.batch);
    check_eval(&c, s, shape);
    check_train(&c, s, shape);
    printf("%s, %s: %d tensors; largest relative difference: results %.2g (%s), gradients %.2g (%s)\n", device, name,
           c.compared, c.worst[0], c.where[0], c.worst[1], c.where[1]);
    fflush(stdout);
    store_free(s);
    safetensors_close(c.file);
}

TEST(attribute_encoder_128)
{
    check_network("cpu", "A");
}

TEST(discriminator_128)
{
    check_network("cpu", "D");
}

TEST(generator_128)
{
    check_network("cpu", "G");
}

TEST(resnet50_224)
{
    check_network("cpu", "R224");
}

TEST(resnet50_128)
{
    check_network("cpu", "R128");
}

TEST(recogniser_128)
{
    check_network("cpu", "H");
}

TEST(cuda)
{
    static const char *const names[] = {"A", "D", "G", "R224", "R128", "H"};
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    for (int i = 0; i < 6; i++)
        check_network("cuda", names[i]);
    device_close(d);
}

/* ---------------------------------------------------------------- a file from elsewhere */
/* All that torchvision's resnet50 saves, counters of batches included, into a file. */
static void write_torchvision(const char *path, const Check *c)
{
    NetworkResults r = {0};
    Store *s = store_create("cpu", 1);
    HAVE(s);
    Prog *p = prog_create(s);
    c->d.network->build(prog_input(p, "x", F32, c->d.network->input(&c->d.o, 1)), EVAL, &c->d.o, &r);
    fill_store(s);
    SafeTensor *t = must_zalloc(sizeof *t * 2 * (size_t)store_count(s));
    int64_t batches = 7;
    int n = 0, named = 0;
    for (int i = 0; i < store_count(s); i++) {
        const char *name = store_name(s, i), *statistic = strstr(name, "running_mean");
        Shape shape = store_shape(s, i);
        float *x = must_alloc(((size_t)shape_count(shape) + 1) * sizeof *x);
        MUST(store_read(s, i, x));
        t[n] = (SafeTensor){.name = must_strdup(name), .dtype = SAFE_F32, .rank = shape.rank, .data = x};
        memcpy(t[n++].shape, shape.dim, sizeof shape.dim);
        if (statistic)
            t[n++] = (SafeTensor){.name = must_printf("%.*snum_batches_tracked", (int)(statistic - name), name),
                                  .dtype = SAFE_I64, .data = &batches};
    }
    MUST(safetensors_write(path, t, n, NULL));
    for (int i = 0; i < n; i++) {
        named += t[i].dtype == SAFE_I64;
        free((char *)t[i].name);
        if (t[i].dtype == SAFE_F32)
            free((void *)t[i].data);
    }
    ck_assert_int_eq(named, 53);
    free(t);
    prog_free(p);
    store_free(s);
}

static void check_forward(const char *program, const char *folder, const char *name)
{
    Check c = open_network("cpu", name);
    char *in = must_printf("%s/x.safetensors", folder), *out = must_printf("%s/y.safetensors", folder);
    char *command = must_printf("'%s' forward resnet50 --weights '%s/w.safetensors' --in '%s' --out '%s'", program,
                                folder, in, out), stream[16];
    Shape shape = c.d.network->input(&c.d.o, c.d.batch);
    snprintf(stream, sizeof stream, "x%d", c.d.input);
    SafeTensor x = {.name = "x", .dtype = SAFE_F32, .rank = 4, .data = uniforms(stream, shape_count(shape))};
    memcpy(x.shape, shape.dim, sizeof shape.dim);
    MUST(safetensors_write(in, &x, 1, NULL));
    ck_assert_int_eq(system(command), 0);
    SafeFile *f = safetensors_open(out);
    HAVE(f);
    const SafeTensor *y = safetensors_find(f, "logits");
    ck_assert(y && y->rank == 2 && y->shape[0] == c.d.batch && y->shape[1] == 1000);
    float *logits = must_alloc((size_t)safetensors_elements(y) * sizeof *logits);
    MUST(safetensors_floats(y, logits));
    compare(&c, "eval", "logits", logits, safetensors_elements(y));
    safetensors_close(f);
    safetensors_close(c.file);
    free(logits);
    free((void *)x.data);
    free(command);
    free(in);
    free(out);
}

TEST(a_file_of_torchvisions)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("full size takes minutes with sanitizers");
#endif
    char *program = program_path("model"), *folder = folder_make(), *path = must_printf("%s/w.safetensors", folder);
    Check c = open_network("cpu", "R128");
    if (program) {
        write_torchvision(path, &c);
        check_forward(program, folder, "R128");
        check_forward(program, folder, "R224");
    }
    safetensors_close(c.file);
    folder_remove(folder);
    free(path);
    if (!program)
        SKIP("the program model is not built");
    free(program);
}

TEST_MAIN("networks at full size", attribute_encoder_128, discriminator_128, generator_128, resnet50_224, resnet50_128,
          recogniser_128, cuda, a_file_of_torchvisions)
