/* 210_peer_ops.c - every op that PyTorch has, against PyTorch's recorded values and gradients, on each device.
 * tests/fixtures/ops*.safetensors are written by tests/peers/ops*.py; ops.py says what their names mean. */
#include "engine/safetensors.h"
#include "tests/ops.h"

static const char *const fixtures[] = {"tests/fixtures/ops.safetensors", "tests/fixtures/ops_shape.safetensors"};
static SafeFile *file;

static const SafeTensor *find(int number, const char *side, const char *prefix, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "%d.%s.%s%s", number, side, prefix, name);
    return safetensors_find(file, key);
}

/* Numbers of any kind as doubles; the caller frees them. */
static double *numbers(const SafeTensor *t)
{
    size_t n = (size_t)safetensors_elements(t);
    double *x = must_alloc((n + 1) * sizeof *x);
    if (t->dtype <= SAFE_BF16) {
        MUST(safetensors_doubles(t, x));
    } else {
        int32_t *whole = must_alloc((n + 1) * sizeof *whole);
        MUST(safetensors_ints(t, whole));
        for (size_t i = 0; i < n; i++)
            x[i] = whole[i];
        free(whole);
    }
    return x;
}

static void write_input(OpRun *run, Val input, const SafeTensor *t)
{
    if (t->dtype <= SAFE_BF16) {
        double *x = numbers(t);
        MUST(prog_write_double(run->p, input, x));
        free(x);
    } else {
        MUST(prog_write(run->p, input, t->data));   /* I32 and U8 as they lie */
    }
}

/* Operands that the file holds for the case; how many. */
static int operands(int number, const OpDef *op, const SafeTensor **in, Shape *shapes, Dtype *dtypes)
{
    bool variadic;
    char name[64];
    int named = op_operand_count(op, &variadic), n = 0;
    for (int i = 0; i < OPCASE_MAX && (variadic || i < named); i++) {
        in[i] = find(number, "in", "", op_operand_name(op, i, name, sizeof name));
        shapes[i] = in[i] ? shape_make(in[i]->shape, in[i]->rank) : (Shape){.rank = -1};
        dtypes[i] = !in[i] || in[i]->dtype <= SAFE_BF16 ? F32 : in[i]->dtype == SAFE_U8 ? U8 : I32;
        n = in[i] || i < named - variadic ? i + 1 : n;
    }
    return n;
}

typedef struct Worst {
    double difference;
    char where[200];
    int compared;
} Worst;

static void compare(OpRun *run, Val v, const SafeTensor *want, const char *prefix, const char *name, const char *what,
                    double tolerance, Worst *worst)
{
    CaseResult got = {0};
    MUST(take(run, v, prefix, name, &got));
    ck_assert_msg(safetensors_elements(want) == got.count[0], "%s: %s%s has %ld elements and should have %ld", what,
                  prefix, name, (long)got.count[0], (long)safetensors_elements(want));
    double *x = numbers(want), d = far_apart(x, got.values[0], got.count[0]);
    ck_assert_msg(d <= tolerance, "%s: %s%s is %.3g off PyTorch's", what, prefix, name, d);
    if (d > worst->difference) {
        worst->difference = d;
        snprintf(worst->where, sizeof worst->where, "%s: %s%s", what, prefix, name);
    }
    worst->compared++;
    free(x);
    result_free(&got);
}

static void check_case(const char *device, double tolerance, int number, const char *op_name, const char *attr_text,
                       Worst *worst)
{
    const SafeTensor *in[OPCASE_MAX], *t;
    Shape shapes[OPCASE_MAX];
    Dtype dtypes[OPCASE_MAX];
    OpRun run;
    char name[64], d_name[72], what[200];
    const OpDef *op = op_find(op_name);
    ck_assert_msg(op != NULL, "no op is called %s", op_name);
    snprintf(what, sizeof what, "%s on %s, case %d [%s]", op_name, device, number, attr_text);
    bool grad = find(number, "in", "d_", op_result_name(op, 0, name, sizeof name)) != NULL;
    int n = operands(number, op, in, shapes, dtypes), before = worst->compared;
    void *attrs = must_zalloc(op->attr_size + 1);
    MUST(op_attrs_parse(op, attr_text, attrs));
    ck_assert_msg(!oprun_open(&run, op, device, shapes, dtypes, n, attrs, grad), "%s: %s", what, error_text());
    free(attrs);
    for (int i = 0; i < n; i++)
        if (in[i])
            write_input(&run, run.in[i], in[i]);
    for (int j = 0; j < run.nout; j++)
        if (run.dout[j].id) {
            t = find(number, "in", "d_", op_result_name(op, j, name, sizeof name));
            ck_assert_msg(t != NULL, "%s: no cotangent of %s", what, name);
            write_input(&run, run.dout[j], t);
        }
    ck_assert_msg(!plan_run(run.plan), "%s: %s", what, error_text());
    for (int j = 0; j < run.nout; j++) {
        op_result_name(op, j, name, sizeof name);
        snprintf(d_name, sizeof d_name, "out%d", j);
        if ((t = find(number, "out", "", name)) || (t = find(number, "out", "", d_name)))
            compare(&run, run.out[j], t, "", name, what, tolerance, worst);
    }
    for (int i = 0; i < run.nin; i++) {
        op_operand_name(op, i, name, sizeof name);
        if (!run.din[i].id)
            continue;
        t = find(number, "out", "d_", name);
        ck_assert_msg(t != NULL, "%s: PyTorch's gradient of %s is missing", what, name);
        compare(&run, run.din[i], t, "d_", name, what, tolerance, worst);
    }
    ck_assert_msg(worst->compared > before, "%s: nothing was compared", what);
    oprun_close(&run);
}

static void check_fixture(const char *path, const char *device, double tolerance)
{
    Worst worst = {0};
    int cases = 0;
    file = safetensors_open(path);
    HAVE(file);
    const char *lines = safetensors_metadata(file, "cases");
    ck_assert_ptr_nonnull(lines);
    for (const char *p = lines; *p; p += strcspn(p, "\n"), p += *p == '\n', cases++) {
        int number, at = 0;
        char line[200], op[64];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
        ck_assert_int_eq(sscanf(line, "%d %63s %n", &number, op, &at), 2);
        check_case(device, tolerance, number, op, line + at, &worst);
    }
    ck_assert_int_ge(cases, 100);
    printf("%s, %s: %d cases, %d tensors; largest relative difference to PyTorch %.2g (%s)\n", path, device, cases,
           worst.compared, worst.difference, worst.where);
    safetensors_close(file);
}

static void check_device(const char *device, double tolerance)
{
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++)
        check_fixture(fixtures[i], device, tolerance);
}

TEST(reference64)
{
    check_device("reference64", TOLERANCE_PEER_DOUBLE);
}

TEST(reference)
{
    check_device("reference", TOLERANCE_FLOAT);
}

TEST(cpu)
{
    check_device("cpu", TOLERANCE_FLOAT);
}

TEST(cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    check_device("cuda", TOLERANCE_FLOAT);
    device_close(d);
}

TEST_MAIN("PyTorch's ops", reference64, reference, cpu, cuda)
