/* 201_op_formats.c - kernels that take blocks of 16 channels (cpu) or channels last (cuda, in float and in bfloat16),
 * on every op's own cases: operands are handed over in that format, results come back in the one that the kernel chose,
 * equal those of the double reference, and leave the channels beyond the last at zero.  In bfloat16 both get rounded
 * operands of rank 4, so that only the rounding of results of rank 4 is left.
 * GUISE_OP=name runs one op only. */
#include "tests/ops.h"

/* Where element i of the logical order lies. */
static int64_t place(Format format, Shape s, int64_t i)
{
    if (format == PLAIN || s.rank != 4)
        return i;
    int64_t C = s.dim[1], area = s.dim[2] * s.dim[3], b = i / (C * area), c = i / area % C, p = i % area;
    if (format_layout(format) == NHWC)
        return (b * area + p) * C + c;
    return ((b * ((C + 15) / 16) + c / 16) * area + p) * 16 + c % 16;
}

/* Moves n elements to (into = true) or from the places of a format; reals in bfloat16 have 2 bytes, others 1 or 4. */
static void move(const Tensor *t, void *placed, void *logical, bool into)
{
    size_t size = t->dtype == U8 ? 1 : 4;
    if (format_half(t->format)) {
        uint16_t *half = placed;
        float *whole = logical;
        for (int64_t i = 0, n = shape_count(t->shape); i < n; i++) {
            int64_t at = place(t->format, t->shape, i);
            if (into)
                half[at] = bf16_bits(whole[i]);
            else
                whole[i] = bf16_value(half[at]);
        }
        return;
    }
    for (int64_t i = 0, n = shape_count(t->shape); i < n; i++) {
        char *a = (char *)placed + (size_t)place(t->format, t->shape, i) * size;
        char *b = (char *)logical + (size_t)i * size;
        memcpy(into ? a : b, into ? b : a, size);
    }
}

/* Numbers of operand i; free after use. */
static void *numbers_of(const OpDef *op, const OpCase *c, int i, const CaseOperand *operand, bool rounded)
{
    void *numbers = opcase_numbers(op, c, i, operand);
    double *real = numbers;
    for (int64_t k = 0, n = shape_count(operand->shape); k < n && rounded && operand->dtype == F32; k++)
        real[k] = (double)bf16_value(bf16_bits((float)real[k]));
    return numbers;
}

static Tensor operand_on(Device *d, const OpDef *op, const OpCase *c, int i, const CaseOperand *operand, Format format,
                         bool rounded)
{
    Tensor t = {.dtype = operand->dtype, .format = format, .shape = operand->shape};
    if (!tensor_here(&t))
        return t;
    size_t bytes = tensor_bytes(&t, 4) + 4;
    int64_t n = shape_count(t.shape);
    void *numbers = numbers_of(op, c, i, operand, rounded), *placed = must_zalloc(bytes);
    float *narrow = must_zalloc((size_t)n * sizeof *narrow + 4);
    for (int64_t k = 0; k < n && t.dtype == F32; k++)
        narrow[k] = (float)((double *)numbers)[k];
    move(&t, placed, t.dtype == F32 ? narrow : numbers, true);
    HAVE(t.data = d->alloc(d, bytes));
    MUST(d->upload(d, t.data, placed, bytes));
    free(placed);
    free(narrow);
    free(numbers);
    return t;
}

/* bias: the largest one that was added to a rounded result, which was then rounded again; else 0. */
static void check_result(Device *d, const char *where, const OpCase *c, const Tensor *t, const double *want,
                         bool rounded, double bias)
{
    int64_t n = shape_count(t->shape), stored = (int64_t)tensor_bytes(t, 4) / (t->dtype == U8 ? 1 : 4), zeros = 0;
    float *placed = must_zalloc(tensor_bytes(t, 4) + 4), *logical = must_zalloc((size_t)n * 4 + 4);
    double *got = must_zalloc((size_t)(n + 1) * sizeof *got);
    MUST(d->download(d, placed, t->data, tensor_bytes(t, 4)));
    move(t, placed, logical, false);
    for (int64_t i = 0; i < n; i++)
        got[i] = t->dtype == F32 ? (double)logical[i]
               : t->dtype == I32 ? (double)((int32_t *)logical)[i]
                                 : (double)((uint8_t *)logical)[i];
    for (int64_t i = 0; i < n && rounded; i++) {   /* what rounding may have moved counts as equal */
        double size = bias > 0 ? 2.02 * fabs(want[i]) + bias : fabs(want[i]);
        if (fabs(got[i] - want[i]) <= TOLERANCE_BF16_ROUNDING * size)
            got[i] = want[i];
    }
    double apart = far_apart(want, got, n);
    ck_assert_msg(apart <= TOLERANCE_FLOAT, "%s [%s; %s]: %.3g off", where, c->operands, c->attrs, apart);
    if (t->format == C16) {   /* every stored value that is not zero belongs to a channel */
        for (int64_t i = 0; i < stored; i++)
            zeros += placed[i] == 0;
        for (int64_t i = 0; i < n; i++)
            zeros -= logical[i] == 0;
        ck_assert_msg(zeros == stored - n, "%s [%s; %s]: channels beyond the last are not zero", where, c->operands,
                      c->attrs);
    }
    free(placed);
    free(logical);
    free(got);
}

/* 1 when the kernel took the format for some operand or result. */
static int one_case(Device *d, const KernelDef *kernel, const OpDef *op, const OpCase *c, Format format,
                    Precision precision)
{
    OpRun run;
    CaseResult want;
    CaseOperand operands[OPCASE_MAX];
    Tensor in[OPCASE_MAX] = {0}, out[OPCASE_MAX] = {0};
    Shape shapes[2][OPCASE_MAX];
    Format formats[2][OPCASE_MAX] = {{PLAIN}};
    void *attrs = must_zalloc(op->attr_size + 1), *shared = NULL;
    bool half = precision == PRECISION_BF16;
    char where[100];
    snprintf(where, sizeof where, "%s on %s", op->name, d->backend);
    ck_assert_msg(!case_open(&run, op, c, "reference64", false), "%s: %s", where, error_text());
    MUST(op_attrs_parse(op, c->attrs, attrs));
    int nin = opcase_read(c, operands), nout = run.nout, taken = 0;
    for (int i = 0; i < nin; i++) {
        shapes[0][i] = operands[i].shape;
        formats[0][i] = operands[i].shape.rank == 4 && operands[i].dtype == F32 ? format : PLAIN;
    }
    for (int j = 0; j < nout; j++)
        shapes[1][j] = val_shape(run.out[j]);
    kernel->formats(&(FormatChoice){op, attrs, nin, nout, shapes[0], shapes[1], formats[0], formats[1],
                                    precision});
    for (int i = 0; i < nin; i++) {
        taken |= formats[0][i] == format;
        if (half && operands[i].shape.rank == 4) {
            void *numbers = numbers_of(op, c, i, &operands[i], true);
            MUST(opcase_write(&run, run.in[i], numbers));
            free(numbers);
        }
    }
    for (int j = 0; j < nout; j++)
        taken |= formats[1][j] == format;
    ck_assert_msg(!case_result(&run, &want), "%s: %s", where, error_text());
    double bias = 0;
    if (half && !strncmp(op->name, "conv", 4) && nin > 2 && operands[2].shape.rank == 1) {
        double *b = numbers_of(op, c, 2, &operands[2], false);
        for (int64_t i = 0; i < shape_count(operands[2].shape); i++)
            bias = fmax(bias, fabs(b[i]));
        free(b);
    }
    if (taken) {
        for (int i = 0; i < nin; i++)
            in[i] = operand_on(d, op, c, i, &operands[i], formats[0][i],
                               half && operands[i].shape.rank == 4);
        for (int j = 0; j < nout; j++) {
            out[j] = (Tensor){.dtype = val_dtype(run.out[j]), .format = formats[1][j], .shape = shapes[1][j]};
            HAVE(out[j].data = d->alloc(d, tensor_bytes(&out[j], 4) + 4));
            d->fill(d, out[j].data, 0xff, tensor_bytes(&out[j], 4));
        }
        KernelCall k = {.op = op, .kernel = kernel, .name = where, .attrs = attrs, .nin = nin, .nout = nout, .in = in,
                        .out = out, .shared = &shared, .device = d, .precision = precision};
        ck_assert_msg(!kernel->prepare || !kernel->prepare(&k), "%s: %s", where, error_text());
        if (k.workspace_bytes)
            HAVE(k.workspace = d->alloc(d, k.workspace_bytes));
        kernel->run(&k);
        MUST(d->sync(d, where));
        for (int j = 0; j < nout; j++)
            check_result(d, where, c, &out[j], want.values[j], half && out[j].shape.rank == 4, bias);
        if (kernel->release)
            kernel->release(&k);
        if (k.workspace)
            d->free(d, k.workspace);
        for (int i = 0; i < nin; i++)
            if (tensor_here(&in[i]))
                d->free(d, in[i].data);
        for (int j = 0; j < nout; j++)
            d->free(d, out[j].data);
        if (shared && d->shared_free)
            d->shared_free(d, shared);
    }
    free(attrs);
    result_free(&want);
    oprun_close(&run);
    return taken;
}

static void every_op(Device *d, Format format, Precision precision)
{
    const char *only = getenv("GUISE_OP");
    int ops = 0, cases = 0;
    for (int o = 0; op_table[o]; o++) {
        const OpDef *op = op_table[o];
        bool own = false;
        const KernelDef *kernel = kernel_find(op->name, d, &own);
        if (!op->cases || !kernel || !own || !kernel->formats || (format_half(format) && !kernel->halves) ||
            (only && *only && strcmp(only, op->name)))
            continue;
        int taken = 0;
        for (const OpCase *c = op->cases; c->operands; c++)
            taken += one_case(d, kernel, op, c, format, precision);
        ops += taken > 0;
        cases += taken;
    }
    printf("%s: %d ops, %d cases in format %d, %s\n", d->backend, ops, cases, (int)format, precision_name(precision));
}

TEST(blocks_on_cpu)
{
    Device *d = device_open("cpu");
    HAVE(d);
    every_op(d, C16, PRECISION_FP32);
    device_close(d);
}

TEST(channels_last_on_cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    every_op(d, NHWC, PRECISION_FP32);
    every_op(d, NHWC, PRECISION_TF32);   /* emulated products keep all bits */
    every_op(d, NHWC_BF16, PRECISION_BF16);
    device_close(d);
}

TEST_MAIN("op formats", blocks_on_cpu, channels_last_on_cuda)
