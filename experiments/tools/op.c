/* op.c - one op from the command line: run it on tensors of a file, read about it, time it.
 *
 *     op conv2d --attr stride=2 --attr padding=1 --in a.safetensors --out b.safetensors --grad
 *     op list | op conv2d --help | op conv2d --bench | op all --bench | op --info
 *
 * Operands are read and results written by name.  With --grad the input also holds a cotangent d_RESULT (a missing one
 * counts as zero), and the output a gradient d_OPERAND for every real operand.  Operands of an op with any number of
 * them are called in0, in1, ... by their place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/opcase.h"
#include "engine/safetensors.h"
#include "experiments/common/names.h"
#include "experiments/common/opbench.h"
#include "experiments/common/options.h"

static const char *in_path, *out_path, *backend = "cpu", *precision;
static int grad, bench, info, markdown, threads;
static TextList attr_list, shape_list;

static const Option own[] = {
    {"attr", OPTION_LIST, "K=V", "an attribute; may be repeated", &attr_list},
    {"in", OPTION_TEXT, "FILE", "safetensors file with the operands", &in_path},
    {"out", OPTION_TEXT, "FILE", "where the results go", &out_path},
    {"grad", OPTION_FLAG, NULL, "gradients too, for cotangents d_RESULT of the input", &grad},
    {"backend", OPTION_TEXT, "NAME", "reference, reference64, cpu, cuda or cuda:N (cpu)", &backend},
    {"precision", OPTION_TEXT, "NAME", "fp32, tf32 or bf16 (fp32)", &precision},
    {"bench", OPTION_FLAG, NULL, "time the op at its own shapes, or those of --shapes", &bench},
    {"shapes", OPTION_LIST, "LIST", "operands to time, as \"8x64x32x32 64x64x3x3 -\"; may be repeated", &shape_list},
    {"threads", OPTION_INT, "N", "threads of the CPU (all cores)", &threads},
    {"markdown", OPTION_FLAG, NULL, "op list as docs/ops.md has it", &markdown},
    {"info", OPTION_FLAG, NULL, "devices of this build and machine", &info},
    {0},
};
static const Program program = {
    .name = "op",
    .does = "runs, explains or times one op; \"op list\" names them, \"op NAME --help\" explains one",
    .usage = "NAME",
    .most = 1,
    .common = OPTIONS_JSON,
    .own = own,
};

/* ---------------------------------------------------------------- about ops */
static const OpDef *find(const char *name)
{
    const OpDef *op = op_find(name);
    NearName near = {.word = name};
    for (int i = 0; !op && op_table[i]; i++)
        name_consider(&near, op_table[i]->name);
    if (!op)
        usage_error(&program, "%s: no such op%s (op list)", name, name_suggestion(&near));
    return op;
}

static void own_kernels(const OpDef *op, char *text, size_t size)
{
    *text = 0;
    for (const KernelEntry *k = kernel_table; k->op; k++)
        if (!strcmp(k->op, op->name) && strcmp(k->backend, "reference64"))
            snprintf(text + strlen(text), size - strlen(text), "%s%s", *text ? " " : "", k->backend);
    if (!*text)
        snprintf(text, size, "%s", op->flags & OP_EXPAND ? "(made of others)" : "-");
}

static void print_list(void)
{
    for (int i = 0; op_table[i]; i++) {
        char kernels[120];
        own_kernels(op_table[i], kernels, sizeof kernels);
        printf("%-26s %-20s  %s\n", op_table[i]->name, kernels, op_table[i]->formula);
    }
}

/* Text of a table's cell: a bar would end it. */
static void print_cell(const char *text)
{
    printf(" `");
    for (; *text; text++)
        printf(*text == '|' ? "\\|" : "%c", *text);
    printf("` |");
}

static void print_markdown(void)
{
    printf("# Ops\n\nEvery op of the engine as its definition says it (`build/bin/op list --markdown` writes this page; "
           "`op list` names the\nkernels of a build, `op NAME --help` the attributes). Operands: `?` may be absent, `*` any "
           "number; results: `!` takes no\ncotangent.\n\n| op | operands | results | formula | gradient | source |\n"
           "|---|---|---|---|---|---|\n");
    for (int i = 0; op_table[i]; i++) {
        const OpDef *op = op_table[i];
        printf("|");
        print_cell(op->name);
        print_cell(op->operands);
        print_cell(op->results);
        print_cell(op->formula);
        printf(" %s | %s |\n", op->vjp || (op->flags & (OP_EXPAND | OP_IDENTITY)) ? "yes" : "", op->source ? op->source : "");
    }
}

static void print_words(const char *title, const char *words)
{
    printf("%-11s", title);
    for (const char *w = words; *w; w += strspn(w, " ")) {
        size_t n = strcspn(w, " "), bare = strcspn(w, " ?*!");
        printf("%s%.*s%s", w == words ? "" : ", ", (int)bare, w,
               n == bare ? "" : w[bare] == '?' ? " (may be absent)" : w[bare] == '*' ? " (any number)" : "");
        w += n;
    }
    printf("%s\n", *words ? "" : "none");
}

static void print_help(const OpDef *op)
{
    static const char *const types[] = {"whole number", "number", "true or false", "text", "whole numbers a,b,..."};
    char kernels[120];
    printf("%s: %s\n\n", op->name, op->formula);
    print_words("operands", op->operands);
    print_words("results", op->results);
    for (const OpAttr *a = op->attrs; a && a->name; a++)
        printf("%-11s%s (%s, %s%s): %s\n", a == op->attrs ? "attributes" : "", a->name, types[a->type],
               *a->initial ? "default " : a->type == ATTR_INTS || a->type == ATTR_TEXT ? "default empty" : "required",
               a->initial, a->doc);
    printf("%-11s%s\n", "gradient", op->vjp || (op->flags & (OP_EXPAND | OP_IDENTITY)) ? "yes" : "none");
    own_kernels(op, kernels, sizeof kernels);
    printf("%-11s%s\n", "kernels", kernels);
    if (op->source)
        printf("%-11s%s\n", "source", op->source);
}

/* ---------------------------------------------------------------- attributes */
/* "k=v k=v" of --attr, checked by name; the caller frees it. */
static char *attribute_text(const OpDef *op)
{
    char *text = must_strdup("");
    for (int i = 0; i < attr_list.n; i++) {
        const char *word = attr_list.text[i], *equals = strchr(word, '=');
        char *name = must_printf("%.*s", (int)strcspn(word, "="), word);
        NearName near = {.word = name};
        bool known = false;
        for (const OpAttr *a = op->attrs; a && a->name; a++) {
            known = known || !strcmp(a->name, name);
            name_consider(&near, a->name);
        }
        if (!equals || strchr(word, ' '))
            usage_error(&program, "--attr %s: NAME=VALUE was expected", word);
        if (!known)
            usage_error(&program, "%s: no attribute is called %s%s (op %s --help)", op->name, name,
                        name_suggestion(&near), op->name);
        char *longer = must_printf("%s%s%s", text, *text ? " " : "", word);
        free(text);
        free(name);
        text = longer;
    }
    return text;
}

static void *read_attributes(const OpDef *op)
{
    void *attrs = must_zalloc(op->attr_size + 1);
    char *text = attribute_text(op);
    if (op_attrs_parse(op, text, attrs))
        usage_error(&program, "%s", error_text());
    free(text);
    return attrs;
}

/* ---------------------------------------------------------------- tensors of files */
static bool is_real(const SafeTensor *t)
{
    return t->dtype <= SAFE_BF16;
}

/* Dtypes that operand i has in the op's own cases, as bits; all of them where there are no cases. */
static unsigned dtypes_of(const OpDef *op, int i)
{
    unsigned bits = 0;
    CaseOperand operands[OPCASE_MAX];
    for (const OpCase *c = op->cases; c && c->operands; c++) {
        int n = opcase_read(c, operands);
        if (i < n && operands[i].shape.rank >= 0)
            bits |= 1u << operands[i].dtype;
    }
    return bits ? bits : 7;
}

/* What the tensor becomes: its own kind if the op takes that, else one that holds its numbers. */
static Dtype dtype_for(const OpDef *op, int i, const SafeTensor *t)
{
    unsigned takes = dtypes_of(op, i);
    Dtype natural = is_real(t) ? F32 : t->dtype == SAFE_U8 ? U8 : I32;
    if (takes >> natural & 1 || natural == F32)
        return natural;
    return takes >> I32 & 1 ? I32 : takes >> U8 & 1 ? U8 : F32;
}

static int write_tensor(OpRun *r, Val v, const SafeTensor *t)
{
    size_t n = (size_t)safetensors_elements(t);
    int32_t *whole = is_real(t) ? NULL : must_alloc((n + 1) * sizeof *whole);
    int bad = 0;
    if (val_dtype(v) == F32) {
        double *x = must_alloc((n + 1) * sizeof *x);
        bad = whole ? safetensors_ints(t, whole) : safetensors_doubles(t, x);
        for (size_t k = 0; whole && k < n; k++)
            x[k] = whole[k];
        bad = bad || prog_write_double(r->p, v, x);
        free(x);
    } else if (!whole) {
        bad = fail("%s must hold integers", t->name);
    } else {
        uint8_t *bytes = must_alloc(n + 1);
        bad = safetensors_ints(t, whole);
        for (size_t k = 0; k < n && !bad && val_dtype(v) == U8; k++) {
            bytes[k] = (uint8_t)whole[k];
            if (bytes[k] != whole[k])
                bad = fail("%s holds %d and must hold bytes", t->name, (int)whole[k]);
        }
        bad = bad || prog_write(r->p, v, val_dtype(v) == U8 ? (void *)bytes : (void *)whole);
        free(bytes);
    }
    free(whole);
    return bad;
}

static bool may_be_absent(const OpDef *op, int i)
{
    const char *w = op->operands;
    for (; i; i--) {
        w += strcspn(w, " ");
        w += strspn(w, " ");
    }
    size_t n = strcspn(w, " ");
    return n && w[n - 1] == '?';
}

/* Operands by name; how many there are. */
static int find_operands(const OpDef *op, const SafeFile *f, const SafeTensor **tensors)
{
    bool variadic;
    char name[64];
    int n = op_operand_count(op, &variadic) - variadic;
    for (int i = 0; i < n; i++) {
        tensors[i] = safetensors_find(f, op_operand_name(op, i, name, sizeof name));
        if (!tensors[i] && !may_be_absent(op, i))
            die("%s: holds no operand %s of %s", in_path, name, op->name);
    }
    while (variadic && n < OPCASE_MAX &&
           (tensors[n] = safetensors_find(f, op_operand_name(op, n, name, sizeof name))))
        n++;
    return n;
}

static void write_cotangents(OpRun *r, const SafeFile *f)
{
    int found = 0;
    char name[64], d_name[72];
    for (int j = 0; j < r->nout; j++) {
        if (!r->dout[j].id)
            continue;
        snprintf(d_name, sizeof d_name, "d_%s", op_result_name(r->op, j, name, sizeof name));
        const SafeTensor *t = safetensors_find(f, d_name);
        Shape shape = val_shape(r->dout[j]);
        char text[2][96];
        if (!t) {
            double *zeros = must_zalloc(((size_t)shape_count(shape) + 1) * sizeof *zeros);
            if (prog_write_double(r->p, r->dout[j], zeros))
                die("%s", error_text());
            free(zeros);
            continue;
        }
        if (!shape_equal(shape_make(t->shape, t->rank), shape))
            die("%s: %s has shape %s and must have %s", in_path, d_name,
                shape_text(shape_make(t->shape, t->rank), text[0], sizeof text[0]),
                shape_text(shape, text[1], sizeof text[1]));
        if (write_tensor(r, r->dout[j], t))
            die("%s: %s", in_path, error_text());
        found++;
    }
    if (!found)
        die("%s: holds no cotangent: --grad needs d_%s", in_path, op_result_name(r->op, 0, name, sizeof name));
}

/* A result as a tensor to be written; on reference64 reals stay double. */
static SafeTensor take(OpRun *r, Val v, const char *prefix, const char *name)
{
    bool wide = val_dtype(v) == F32 && !strcmp(backend, "reference64");
    int dtype = wide ? SAFE_F64 : val_dtype(v) == F32 ? SAFE_F32 : val_dtype(v) == I32 ? SAFE_I32 : SAFE_U8;
    Shape shape = val_shape(v);
    void *data = must_zalloc(((size_t)shape_count(shape) + 1) * sizeof(double));
    SafeTensor t = {.name = must_printf("%s%s", prefix, name), .dtype = dtype, .rank = shape.rank, .data = data};
    memcpy(t.shape, shape.dim, sizeof shape.dim);
    if (wide ? plan_read_double(r->plan, v, data) : plan_read(r->plan, v, data))
        die("%s", error_text());
    return t;
}

static void run(const OpDef *op)
{
    const SafeTensor *tensors[OPCASE_MAX];
    SafeTensor results[2 * OPCASE_MAX];
    Shape shapes[OPCASE_MAX];
    Dtype dtypes[OPCASE_MAX];
    char name[64];
    OpRun r;
    void *attrs = read_attributes(op);
    SafeFile *f = safetensors_open(in_path);
    if (!f)
        die("%s", error_text());
    int nin = find_operands(op, f, tensors), n = 0;
    for (int i = 0; i < nin; i++) {
        shapes[i] = (Shape){.rank = -1};
        if (!tensors[i])
            continue;
        if (tensors[i]->rank > RANK_MAX)
            die("%s: %s has %d dimensions and may have %d", in_path, tensors[i]->name, tensors[i]->rank, RANK_MAX);
        shapes[i] = shape_make(tensors[i]->shape, tensors[i]->rank);
        dtypes[i] = dtype_for(op, i, tensors[i]);
    }
    if (oprun_open(&r, op, backend, shapes, dtypes, nin, attrs, grad))
        die("%s", error_text());
    for (int i = 0; i < nin; i++)
        if (tensors[i] && write_tensor(&r, r.in[i], tensors[i]))
            die("%s: %s", in_path, error_text());
    if (grad)
        write_cotangents(&r, f);
    if (plan_run(r.plan))
        die("%s", error_text());
    for (int j = 0; j < r.nout; j++)
        results[n++] = take(&r, r.out[j], "", op_result_name(op, j, name, sizeof name));
    for (int i = 0; i < nin; i++)
        if (r.din[i].id)
            results[n++] = take(&r, r.din[i], "d_", op_operand_name(op, i, name, sizeof name));
    if (safetensors_write(out_path, results, n, NULL))
        die("%s", error_text());
    for (int i = 0; i < n; i++) {
        free((void *)results[i].name);
        free((void *)results[i].data);
    }
    oprun_close(&r);
    safetensors_close(f);
    free(attrs);
}

/* ---------------------------------------------------------------- timing */
static void print_timing(const OpTiming *t, const OpCase *c, const Roofline *r, bool first, bool json)
{
    double gflop = t->flop / t->seconds / 1e9, gbyte = t->bytes / t->seconds / 1e9;
    if (json)
        printf("%s\n  {\"op\": \"%s\", \"operands\": \"%s\", \"attrs\": \"%s\", \"algorithm\": \"%s\", \"ms\": %.6g, "
               "\"runs\": %d, \"gflop_per_s\": %.6g, \"gb_per_s\": %.6g, \"share_of_peak\": %.4g, "
               "\"share_of_copy\": %.4g}", first ? "" : ",", t->op, c->operands, c->attrs, t->chosen,
               1e3 * t->seconds, t->runs, gflop, gbyte, 1e9 * gflop / r->flop_rate, 1e9 * gbyte / r->byte_rate);
    else
        printf("%-26s %10.3f %5d %9.1f %6.1f%% %8.2f %6.1f%%  %s [%s; %s]\n", t->op, 1e3 * t->seconds, t->runs, gflop,
               1e11 * gflop / r->flop_rate, gbyte, 1e11 * gbyte / r->byte_rate, t->chosen, c->operands, c->attrs);
    fflush(stdout);
}

/* One op at the given cases; false with error_text() when one of them failed. */
static bool bench_op(const OpDef *op, const OpCase *cases, const Roofline *r, bool *first, bool json)
{
    for (const OpCase *c = cases; c && c->operands; c++) {
        OpTiming timings[OP_TIMINGS_MAX];
        int n = opbench_run(op, c, backend, grad && (op->vjp || (op->flags & OP_EXPAND)), timings);
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++, *first = false)
            print_timing(&timings[i], c, r, *first, json);
    }
    return true;
}

/* op NULL: all that have shapes; one that fails is said, and the others go on. */
static void run_bench(const OpDef *op, bool json)
{
    Roofline r;
    char *attrs = op ? attribute_text(op) : must_strdup("");
    OpCase *given = must_zalloc(sizeof *given * (size_t)(shape_list.n + 1));
    for (int i = 0; i < shape_list.n; i++)
        given[i] = (OpCase){shape_list.text[i], attrs};
    const OpCase *cases = shape_list.n ? given : op ? op->shapes : NULL;
    bool first = true;
    if (!op && (shape_list.n || attr_list.n))
        usage_error(&program, "all: ops are timed at shapes of their own");
    if (!shape_list.n && attr_list.n)
        usage_error(&program, "--attr goes with --shapes: the op's own shapes have attributes of their own");
    if (op && (!cases || !cases->operands))
        die("%s: has no shapes to be timed at: give some with --shapes", op->name);
    if (roofline_measure(backend, &r))
        die("%s", error_text());
    if (json)
        printf("{\"machine\": \"%s\", \"threads\": %d, \"backend\": \"%s\", \"peak_gflop_per_s\": %.6g, "
               "\"copy_gb_per_s\": %.6g, \"timings\": [", r.machine, engine_thread_count(), backend, r.flop_rate / 1e9,
               r.byte_rate / 1e9);
    else
        printf("%s, %d threads, backend %s; ceilings of this run: %.1f GFLOP/s, %.2f GB/s copied\n"
               "cold caches, medians, without conversions between formats\n"
               "%-26s %10s %5s %9s %7s %8s %7s\n", r.machine, engine_thread_count(), backend, r.flop_rate / 1e9,
               r.byte_rate / 1e9, "kernel", "ms", "runs", "GFLOP/s", "of peak", "GB/s", "of copy");
    if (op && !bench_op(op, cases, &r, &first, json))
        die("%s", error_text());
    for (int i = 0; !op && op_table[i]; i++)
        if (!bench_op(op_table[i], op_table[i]->shapes, &r, &first, json))
            fprintf(stderr, "op: %s: %s\n", op_table[i]->name, error_text());
    if (json)
        printf("\n]}\n");
    free(given);
    free(attrs);
}

static void set_precision(void)
{
    if (!precision)
        return;
    int p = 0;
    while (p < 3 && strcmp(precision, precision_name((Precision)p)))
        p++;
    if (p == 3)
        usage_error(&program, "--precision %s: fp32, tf32 or bf16 was expected", precision);
    if (engine_precision(backend, (Precision)p))
        die("%s", error_text());
}

int main(int argc, char **argv)
{
    Options o;
    for (int i = 2; i < argc; i++)
        if (!strcmp(argv[i], "--help") && argv[1][0] != '-' && strcmp(argv[1], "list")) {
            print_help(find(argv[1]));
            return 0;
        }
    options_start(&o, &program, argc, argv);
    if (threads < 0 || threads > 4096)
        usage_error(&program, "--threads %d: 1 to 4096 was expected", threads);
    if (threads)
        engine_threads(threads);
    set_precision();
    if (info) {
        engine_info(stdout);
    } else if (!o.n_names) {
        usage_error(&program, "NAME of an op is missing (op list, op --help)");
    } else if (!strcmp(o.names[0], "list")) {
        (markdown ? print_markdown : print_list)();
    } else if (bench && !strcmp(o.names[0], "all")) {
        run_bench(NULL, o.json);
    } else {
        const OpDef *op = find(o.names[0]);
        if (bench)
            run_bench(op, o.json);
        else if (!in_path || !out_path)
            usage_error(&program, "%s: --in FILE and --out FILE, --bench or --help was expected", op->name);
        else
            run(op);
    }
    options_free(&o);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return 0;
}
