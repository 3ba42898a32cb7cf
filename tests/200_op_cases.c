/* 200_op_cases.c - every op's own cases: gradients by finite differences in double on the reference kernels, then
 * each other backend of this build against the double reference, forward and backward.
 * GUISE_OP=name runs one op only; a backend that is not here (cuda without GPU or emulator) is said and skipped. */
#include "tests/ops.h"

static bool chosen(const OpDef *op)
{
    const char *only = getenv("GUISE_OP");
    return op->cases && (!only || !*only || !strcmp(only, op->name));
}

static double dot_outputs(OpRun *run, const double *const *cotangents)
{
    double sum = 0;
    ck_assert_msg(!plan_run(run->plan), "%s: %s", run->op->name, error_text());
    for (int j = 0; j < run->nout; j++) {
        if (!run->dout[j].id)
            continue;
        int64_t n = shape_count(val_shape(run->out[j]));
        double *y = must_alloc((size_t)(n + 1) * sizeof *y);
        MUST(plan_read_double(run->plan, run->out[j], y));
        for (int64_t k = 0; k < n; k++)
            sum += y[k] * cotangents[j][k];
        free(y);
    }
    return sum;
}

enum { PROBES = 12 };   /* elements of an operand that are moved, spread evenly */

static void finite_differences(const OpDef *op, const OpCase *c)
{
    OpRun run;
    CaseOperand operands[OPCASE_MAX];
    const double *cotangents[OPCASE_MAX] = {0};
    const double h = 1e-5;
    ck_assert_msg(!case_open(&run, op, c, "reference64", true), "%s [%s; %s]: %s", op->name, c->operands, c->attrs,
                  error_text());
    opcase_read(c, operands);
    for (int j = 0; j < run.nout; j++)
        if (run.dout[j].id) {
            CaseOperand d = {.shape = val_shape(run.dout[j]), .dtype = F32};
            cotangents[j] = opcase_numbers(op, c, 100 + j, &d);
        }
    ck_assert_msg(!plan_run(run.plan), "%s: %s", op->name, error_text());
    for (int i = 0; i < run.nin; i++) {
        if (!run.din[i].id)
            continue;
        int64_t n = shape_count(operands[i].shape), stride = n > PROBES ? n / PROBES : 1;
        double *x = opcase_numbers(op, c, i, &operands[i]), *g = must_alloc((size_t)(n + 1) * sizeof *g), scale = 1e-3;
        MUST(plan_run(run.plan));
        MUST(plan_read_double(run.plan, run.din[i], g));
        for (int64_t k = 0; k < n; k++)
            scale = fmax(scale, fabs(g[k]));
        for (int64_t k = 0; k < n; k += stride) {
            double old = x[k];
            x[k] = old + h;
            MUST(opcase_write(&run, run.in[i], x));
            double up = dot_outputs(&run, cotangents);
            x[k] = old - h;
            MUST(opcase_write(&run, run.in[i], x));
            double down = dot_outputs(&run, cotangents);
            x[k] = old;
            double slope = (up - down) / (2 * h);
            ck_assert_msg(fabs(slope - g[k]) <= TOLERANCE_FINITE_DIFFERENCE * scale + 1e-9,
                          "%s [%s; %s]: gradient of operand %d, element %ld: %.10g, finite difference %.10g", op->name,
                          c->operands, c->attrs, i, (long)k, g[k], slope);
        }
        MUST(opcase_write(&run, run.in[i], x));
        free(x);
        free(g);
    }
    for (int j = 0; j < run.nout; j++)
        free((void *)cotangents[j]);
    oprun_close(&run);
}

TEST(gradients)
{
    int ops = 0, cases = 0, none = 0;
    for (int o = 0; op_table[o]; o++) {
        const OpDef *op = op_table[o];
        if (!chosen(op))
            continue;
        if (!op->vjp && !(op->flags & OP_EXPAND)) {
            ck_assert_msg(op->flags & (OP_NO_GRAD | OP_IDENTITY | OP_ASSIGN),
                          "%s has neither a gradient nor OP_NO_GRAD", op->name);
            none++;
            continue;
        }
        ops++;
        for (const OpCase *c = op->cases; c->operands; c++) {
            if (strstr(c->attrs, "easy_gradient=true"))
                continue;   /* on purpose not the derivative; 250_losses holds its formula */
            finite_differences(op, c);
            cases++;
        }
    }
    printf("gradients: %d ops, %d cases, %d ops without gradient on purpose\n", ops, cases, none);
}

static void compare(const char *device)
{
    int ops = 0, cases = 0;
    double worst = 0;
    char worst_where[300] = "";
    for (int o = 0; op_table[o]; o++) {
        const OpDef *op = op_table[o];
        if (!chosen(op))
            continue;
        ops++;
        for (const OpCase *c = op->cases; c->operands; c++, cases++) {
            OpRun exact, run;
            CaseResult want, got;
            bool grad = op->vjp || (op->flags & OP_EXPAND);
            ck_assert_msg(!case_open(&exact, op, c, "reference64", grad) && !case_result(&exact, &want),
                          "%s [%s; %s]: %s", op->name, c->operands, c->attrs, error_text());
            ck_assert_msg(!case_open(&run, op, c, device, grad) && !case_result(&run, &got), "%s on %s [%s; %s]: %s",
                          op->name, device, c->operands, c->attrs, error_text());
            ck_assert_int_eq(want.n, got.n);
            for (int i = 0; i < want.n; i++) {
                double d = far_apart(want.values[i], got.values[i], want.count[i]);
                ck_assert_msg(d <= TOLERANCE_FLOAT, "%s on %s [%s; %s]: %s is %.3g off", op->name, device, c->operands,
                              c->attrs, want.name[i], d);
                if (d > worst) {
                    worst = d;
                    snprintf(worst_where, sizeof worst_where, "%s %s [%s; %s]", op->name, want.name[i], c->operands,
                             c->attrs);
                }
            }
            /* The same plan again gives the same bits. */
            CaseResult again;
            ck_assert_msg(!case_result(&run, &again), "%s: %s", op->name, error_text());
            for (int i = 0; i < got.n; i++)
                ck_assert_msg(!memcmp(got.values[i], again.values[i], sizeof(double) * (size_t)got.count[i]),
                              "%s on %s [%s; %s]: %s differs when run again", op->name, device, c->operands, c->attrs,
                              got.name[i]);
            result_free(&want);
            result_free(&got);
            result_free(&again);
            oprun_close(&exact);
            oprun_close(&run);
        }
    }
    printf("%s: %d ops, %d cases; largest relative difference %.2g (%s)\n", device, ops, cases, worst, worst_where);
}

TEST(reference_in_float)
{
    compare("reference");
}

TEST(cpu)
{
    compare("cpu");
}

TEST(cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    compare("cuda");
    device_close(d);
}

TEST(every_op_has_cases)
{
    for (int o = 0; op_table[o]; o++) {
        const OpDef *op = op_table[o];
        ck_assert_msg(op->formula && *op->formula, "%s has no formula", op->name);
        if (op->flags & (OP_ASSIGN | OP_EXPAND | OP_IDENTITY))
            continue;
        ck_assert_msg(op->cases && op->cases[0].operands, "%s has no cases", op->name);
    }
}

TEST_MAIN("op cases", every_op_has_cases, gradients, reference_in_float, cpu, cuda)
