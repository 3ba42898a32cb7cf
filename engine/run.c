/* run.c - running plans: a walk over prepared kernels, or, from the second run on, one launch of a recorded graph;
 * timing of ops.
 *   ENGINE_SYNC=1      op by op: the first that fails or makes a value that is not finite is named
 *   ENGINE_NOGRAPH=1   kernels are launched one by one where a graph could be recorded */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "engine/file.h"
#include "engine/json.h"
#include "engine/plan.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Fills the buffers that nobody needs after step s. */
static void poison_after(const Plan *plan, int s)
{
    Device *d = plan->device;
    for (int v = 1; v < plan->q->nvalues; v++) {
        const Place *p = &plan->places[v];
        if (plan->root[v] == v && p->where == IN_ARENA && p->last == s)
            d->fill(d, (char *)d->arena + p->offset, 0xFF, p->bytes);
    }
    const Step *step = &plan->steps[s];
    if (step->call.workspace_bytes)
        d->fill(d, step->call.workspace, 0xFF, step->call.workspace_bytes);
}

static int check_finite(const Plan *plan, const KernelCall *k)
{
    Device *d = plan->device;
    int bad = 0;
    for (int j = 0; j < k->nout && !bad; j++) {
        if (k->out[j].dtype != F32)
            continue;
        size_t bytes = tensor_bytes(&k->out[j], d->real_bytes), n;
        bool half = format_half(k->out[j].format);
        n = bytes / (half ? 2 : (size_t)d->real_bytes);
        char *host = must_alloc(bytes);
        bad = d->download(d, host, k->out[j].data, bytes);
        for (size_t i = 0; i < n && !bad; i++) {
            double x;
            if (half)   /* an exponent of ones is no number */
                x = (((uint16_t *)(void *)host)[i] & 0x7F80) == 0x7F80 ? NAN : 0;
            else
                x = d->real_bytes == 8 ? ((double *)(void *)host)[i] : (double)((float *)(void *)host)[i];
            if (x - x != 0)
                bad = fail("plan %s: op %s (%s), result %d, element %zu is %g", plan->name, k->op->name, k->name, j,
                           i, x);
        }
        free(host);
    }
    return bad;
}

/* Mark number s of a device ends step s - 1. */
static int add_times(Plan *plan)
{
    for (int s = 0; s < plan->nsteps; s++) {
        double seconds = plan->device->between(plan->device, s, s + 1);
        if (seconds < 0)
            return fail_in("plan %s: %s", plan->name, plan->steps[s].call.name);
        plan->steps[s].seconds += seconds;
    }
    return 0;
}

static int run_step(Plan *plan, Step *step)
{
    Device *d = plan->device;
    bool timed = plan->profiling && !d->mark, ranged = plan->profiling && d->range;
    double start = timed ? now() : 0;
    if (ranged)
        d->range(d, step->call.op->name);
    step->call.kernel->run(&step->call);
    int bad = d->launched && d->launched(d, step->call.op->name);
    bad = bad || ((plan->eager || timed) && d->sync(d, step->call.op->name));
    if (ranged)
        d->range(d, NULL);
    if (timed)
        step->seconds += now() - start;
    return bad ? fail_in("plan %s: %s", plan->name, step->call.name) : 0;
}

static int walk(Plan *plan)
{
    Device *d = plan->device;
    bool marks = plan->profiling && d->mark;
    if (plan->poison && plan->arena_bytes)
        d->fill(d, d->arena, 0xFF, plan->arena_bytes);
    if (marks && d->mark(d, 0))
        return -1;
    for (int s = 0; s < plan->nsteps; s++) {
        Step *step = &plan->steps[s];
        if (run_step(plan, step) || (marks && d->mark(d, s + 1)))
            return -1;
        if (plan->eager && check_finite(plan, &step->call))
            return -1;
        if (plan->poison)
            poison_after(plan, s);
    }
    if (marks && add_times(plan))
        return -1;
    for (int c = 0; c < plan->ncopies; c++) {
        const Entry *e = plan->q->store->entries[plan->copies[c].entry];
        const Place *p = &plan->places[plan->root[plan->copies[c].value]];
        const char *base = p->where == IN_PLAN ? plan->own : p->where == IN_ARENA ? (const char *)d->arena : NULL;
        const void *from = base ? base + p->offset : plan->q->store->entries[p->index]->data;
        d->copy(d, e->data, from, p->bytes);
    }
    return 0;
}

int plan_run(Plan *plan)
{
    Device *d = plan->device;
    if (plan_bind(plan))
        return -1;
    int bad = 0;
    /* The first run is not recorded: what libraries load, compile and ask the device for when a function is first used
     * is forbidden or lost while a stream records. */
    if (!d->graph_begin || plan->eager || plan->profiling || plan->unrecorded || !plan->walked) {
        bad = walk(plan);
        plan->walked = !bad;
    } else {
        if (!plan->graph) {
            if (d->graph_begin(d))
                return fail_in("plan %s", plan->name);
            bad = walk(plan);
            char *why = bad ? must_strdup(error_text()) : NULL;
            void *graph = d->graph_end(d);   /* ends the recording of a failed walk too */
            if (bad) {
                if (graph)
                    d->graph_free(d, graph);
                fail("%s", why);
                free(why);
                return -1;
            }
            if (!graph)
                return fail_in("plan %s", plan->name);
            plan->graph = graph;
        }
        bad = d->graph_launch(d, plan->graph);
    }
    for (int u = 0; u < plan->q->nupdates; u++)
        plan->q->store->entries[plan->q->updates[u].entry]->version++;
    plan->runs++;
    return bad ? -1 : 0;
}

static int read_output(Plan *plan, Val output, void *data, bool wide)
{
    Device *d = plan->device;
    int i = 0;
    while (i < plan->q->noutputs && (plan->asked[i] != output.id || output.p != plan->q->origin))
        i++;
    if (i == plan->q->noutputs)
        return fail("plan %s: value %s is not among its outputs", plan->name, val_name(output));
    int v = plan->q->outputs[i];
    const Place *p = &plan->places[v];
    const char *from = p->where == IN_PLAN ? plan->own + p->offset : NULL;
    if (plan->q->values[v].dtype != F32 || d->real_bytes == (wide ? 8 : 4))
        return d->download(d, data, from, p->bytes);
    int64_t n = shape_count(plan->q->values[v].shape);
    void *other = must_alloc(p->bytes);
    int bad = d->download(d, other, from, p->bytes);
    for (int64_t k = 0; k < n && !bad; k++)
        if (wide)
            ((double *)data)[k] = ((float *)other)[k];
        else
            ((float *)data)[k] = (float)((double *)other)[k];
    free(other);
    return bad;
}

int plan_read(Plan *plan, Val output, void *data)
{
    return read_output(plan, output, data, false);
}

int plan_read_double(Plan *plan, Val output, double *data)
{
    if (val_dtype(output) != F32)
        return fail("plan %s: output %s does not hold reals", plan->name, val_name(output));
    return read_output(plan, output, data, true);
}

/* ---------------------------------------------------------------- profile */
void plan_profile_start(Plan *plan)
{
    plan->profiling = true;
    plan->runs = 0;
    for (int s = 0; s < plan->nsteps; s++)
        plan->steps[s].seconds = 0;
}

typedef struct Line {
    const char *op;
    int calls;
    double seconds, flop, bytes;
} Line;

static int slower_first(const void *x, const void *y)
{
    const Line *a = x, *b = y;
    return a->seconds < b->seconds ? 1 : a->seconds > b->seconds ? -1 : 0;
}

void plan_profile(const Plan *plan, FILE *to)
{
    Line *lines = must_zalloc(sizeof *lines * (size_t)(plan->nsteps + 1));
    int n = 0;
    double total = 0, runs = plan->runs ? (double)plan->runs : 1;
    for (int s = 0; s < plan->nsteps; s++) {
        const Step *step = &plan->steps[s];
        int i = 0;
        while (i < n && strcmp(lines[i].op, step->call.op->name))
            i++;
        n += i == n;
        lines[i].op = step->call.op->name;
        lines[i].calls++;
        lines[i].seconds += step->seconds / runs;
        lines[i].flop += step->flop;
        lines[i].bytes += step->bytes;
        total += step->seconds / runs;
    }
    qsort(lines, (size_t)n, sizeof *lines, slower_first);
    fprintf(to, "%-28s %6s %10s %7s %10s %9s\n", plan->name, "calls", "ms a run", "share", "GFLOP/s", "GB/s");
    for (int i = 0; i < n; i++)
        fprintf(to, "%-28s %6d %10.3f %6.1f%% %10.1f %9.1f\n", lines[i].op, lines[i].calls, 1e3 * lines[i].seconds,
                100 * lines[i].seconds / (total > 0 ? total : 1), lines[i].flop / (lines[i].seconds + 1e-12) / 1e9,
                lines[i].bytes / (lines[i].seconds + 1e-12) / 1e9);
    fprintf(to, "%-28s %6d %10.3f          %10.1f   arena %.1f MiB, own %.1f MiB\n", "all", plan->nsteps, 1e3 * total,
            plan_flop(plan) / (total + 1e-12) / 1e9, (double)plan->arena_bytes / 1048576,
            (double)plan_own_bytes(plan) / 1048576);
    free(lines);
}

/* "conv2d (8, 64, 32, 32) (64, 64, 3, 3)": the op and its first operands. */
static void trace_name(const KernelCall *k, char *text, size_t size)
{
    enum { SHOWN = 3 };
    char shape[96];
    size_t n = (size_t)snprintf(text, size, "%s", k->op->name);
    for (int i = 0; i < k->nin && i < SHOWN && n < size; i++)
        if (tensor_here(&k->in[i]))
            n += (size_t)snprintf(text + n, size - n, " %s", shape_text(k->in[i].shape, shape, sizeof shape));
    if (k->nin > SHOWN && n < size)
        snprintf(text + n, size - n, " ...");
}

/* The plan's ops one after the other, each as long as its mean of all runs. */
static void trace_plan(FILE *f, const Plan *plan, int row, bool first)
{
    double at = 0, runs = plan->runs ? (double)plan->runs : 1;
    char name[400];
    for (int s = 0; s < plan->nsteps; s++) {
        const Step *step = &plan->steps[s];
        double us = 1e6 * step->seconds / runs;
        trace_name(&step->call, name, sizeof name);
        fprintf(f, "%s\n{\"name\":\"%s\",\"cat\":", first && !s ? "" : ",", name);
        json_write_string(f, plan->name);
        fprintf(f, ",\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"value\":", row, at, us);
        json_write_string(f, step->call.name);
        fprintf(f, ",\"flop\":%.0f,\"bytes\":%.0f,\"algorithm\":\"%s\"}}", step->flop, step->bytes,
                step->call.chosen);
        at += us;
    }
}

int plans_trace(const Plan *const *plans, int n, const char *path)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    fprintf(w.stream, "[");
    for (int i = 0, events = 0; i < n; events += plans[i++]->nsteps)
        trace_plan(w.stream, plans[i], i + 1, !events);
    fprintf(w.stream, "\n]\n");
    return file_commit(&w);
}

int plan_trace(const Plan *plan, const char *path)
{
    return plans_trace(&plan, 1, path);
}

void plan_print(const Plan *plan, FILE *to)
{
    static const char *const where[] = {"nowhere", "arena", "plan", "store", "input"};
    prog_print(plan->q, to);
    for (int s = 0; s < plan->nsteps; s++) {
        const Node *n = &plan->q->nodes[plan->steps[s].node];
        for (int j = 0; j < n->nout; j++) {
            int r = plan->root[n->out[j]];
            const Place *p = &plan->places[r];
            fprintf(to, "step %d %s: %%%d in %s+%zu, %zu bytes, steps %d to %d%s\n", s, n->op->name, n->out[j],
                    where[p->where], p->where == IN_STORE ? (size_t)p->index : p->offset, p->bytes, p->first, p->last,
                    r != n->out[j] ? ", in place" : "");
        }
    }
}

/* ---------------------------------------------------------------- process */
void engine_threads(int n)
{
#ifdef _OPENMP
    omp_set_dynamic(0);
    omp_set_num_threads(n > 0 ? n : omp_get_num_procs());
#else
    (void)n;
#endif
}

int engine_thread_count(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

#ifndef GUISE_VERSION
#define GUISE_VERSION "unknown"
#endif

const char *engine_version(void)
{
    return GUISE_VERSION;
}

const char *engine_libraries(const char *device)
{
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(device, ":"), device);
    return backend_libraries(name);
}

void engine_info(FILE *to)
{
    fprintf(to, "guise %s, %d threads\n", engine_version(), engine_thread_count());
    for (const BackendEntry *b = backend_table; b->name; b++) {
        Device *d = device_open(b->name);
        const char *libraries = backend_libraries(b->name);
        fprintf(to, "  %-12s %s%s%s%s%s\n", b->name, b->backend->doc, *libraries ? "; " : "", libraries,
                d ? "" : "; not here: ", d ? "" : error_text());
        if (d && d->fallback) {
            fprintf(to, "  %-12s ops that run the kernels of %s:", "", d->fallback);
            for (int o = 0; op_table[o]; o++) {
                bool own;
                if (kernel_find(op_table[o]->name, d, &own) && !own)
                    fprintf(to, " %s", op_table[o]->name);
            }
            fprintf(to, "\n");
        }
        if (d)
            device_close(d);
    }
}
