/* opbench.c - see opbench.h. */
#include "experiments/common/opbench.h"

#include <stdlib.h>
#include <string.h>

#include "engine/opcase.h"
#include "engine/plan.h"   /* kernels are timed one by one, inside the plan */

enum { RUNS_MIN = 5, RUNS_MAX = 40 };
static const double budget = 1.0;   /* seconds of timed runs a kernel */

static int open_case(OpRun *run, const OpDef *op, const OpCase *c, const char *device, bool grad)
{
    CaseOperand operands[OPCASE_MAX];
    Shape shapes[OPCASE_MAX];
    Dtype dtypes[OPCASE_MAX];
    void *attrs = must_zalloc(op->attr_size + 1);
    int n = opcase_read(c, operands), bad = n < 0 || op_attrs_parse(op, c->attrs, attrs);
    for (int i = 0; i < n; i++) {
        shapes[i] = operands[i].shape;
        dtypes[i] = operands[i].dtype;
    }
    bad = bad || oprun_open(run, op, device, shapes, dtypes, n, attrs, grad);
    free(attrs);
    if (bad)
        return -1;
    for (int i = 0; i < n && !bad; i++)
        if (run->in[i].id) {
            void *numbers = opcase_numbers(op, c, i, &operands[i]);
            bad = opcase_write(run, run->in[i], numbers);
            free(numbers);
        }
    for (int j = 0; j < run->nout && !bad; j++)
        if (run->dout[j].id) {
            CaseOperand d = {.shape = val_shape(run->dout[j]), .dtype = F32};
            void *numbers = opcase_numbers(op, c, OPCASE_MAX + j, &d);
            bad = opcase_write(run, run->dout[j], numbers);
            free(numbers);
        }
    if (bad)
        oprun_close(run);
    return bad ? -1 : 0;
}

int opbench_once(Plan *plan, int index, Sweep *sweep, double *seconds)
{
    Device *d = plan->device;
    Step *step = &plan->steps[index];
    if (plan_run(plan))
        return -1;
    sweep_caches(sweep);
    if (d->mark) {   /* the device's own clock; the launch is queued while caches are swept, and costs nothing */
        if (d->mark(d, 0))
            return -1;
        step->call.kernel->run(&step->call);
        if (d->mark(d, 1) || d->sync(d, step->call.op->name))
            return -1;
        *seconds = d->between(d, 0, 1);
        return *seconds < 0 ? -1 : 0;
    }
    if (d->sync(d, step->call.op->name))
        return -1;
    double start = seconds_now();
    step->call.kernel->run(&step->call);
    if (d->sync(d, step->call.op->name))
        return -1;
    *seconds = seconds_now() - start;
    return 0;
}

static int time_step(Plan *plan, int index, Sweep *sweep, OpTiming *t)
{
    const Step *step = &plan->steps[index];
    double seconds[RUNS_MAX], total = 0;
    int n = 0;
    while (n < RUNS_MIN || (n < RUNS_MAX && total < budget)) {
        if (opbench_once(plan, index, sweep, &seconds[n]))
            return -1;
        total += seconds[n++];
    }
    *t = (OpTiming){.op = step->call.op->name, .seconds = median_of(seconds, n), .runs = n, .flop = step->flop,
                    .bytes = step->bytes};
    snprintf(t->chosen, sizeof t->chosen, "%s", step->call.chosen);
    return 0;
}

int opbench_run(const OpDef *op, const OpCase *c, const char *device, bool grad, OpTiming *timings)
{
    OpRun run;
    Sweep sweep;
    if (open_case(&run, op, c, device, grad))
        return -1;
    int n = 0, bad = sweep_open(&sweep, run.plan->device);
    for (int s = 0; s < run.plan->nsteps && n < OP_TIMINGS_MAX && !bad; s++) {
        const OpDef *kind = run.plan->steps[s].call.op;
        if (kind == op || (strcmp(kind->name, "reorder") && strcmp(kind->name, "copy")))
            bad = time_step(run.plan, s, &sweep, &timings[n++]);
    }
    sweep_close(&sweep);
    oprun_close(&run);
    return bad ? -1 : n;
}
