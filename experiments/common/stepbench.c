/* stepbench.c - see stepbench.h. */
#include "experiments/common/stepbench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "engine/plan.h"   /* devices are waited for, programs are counted node by node */
#include "engine/random.h"
#include "experiments/common/names.h"
#include "experiments/common/roofline.h"

enum { QUEUED = 8 };

/* ---------------------------------------------------------------- rows */
WorkRow *work_row(Work *w, const char *key, int images, const char *format, ...)
{
    if (w->n == WORK_ROWS)
        die("work %s: more than %d rows", w->kind->name, WORK_ROWS);
    WorkRow *row = &w->row[w->n++];
    *row = (WorkRow){.images = images};
    snprintf(row->key, sizeof row->key, "%s", key);
    va_list args;
    va_start(args, format);
    vsnprintf(row->what, sizeof row->what, format, args);
    va_end(args);
    return row;
}

/* Nominal FLOP of a row from tests/bench.csv, which comes with the program; a key that is not there has none.  Where
 * the batch was chosen they are scaled: every product has the batch as a factor. */
static int find_flop(WorkRow *row, bool chosen)
{
    static const char *const names[] = {"step", "images", "flop", "besides"};
    enum { MOST = 8 };
    char *path = resource_path("tests/bench.csv"), *field[MOST];
    Csv csv;
    int bad = csv_open(&csv, path);
    if (!bad) {
        bad = csv_header(&csv, names, 4, field, MOST) < 0;
        for (int n; !bad && (n = csv_row(&csv, field, MOST)) != 0;) {
            bad = n < 4;
            if (bad && n > 0)
                fail("%s:%d: fewer than 4 fields", path, csv.line);
            if (!bad && !strcmp(field[0], row->key)) {
                double images = atoi(field[1]), scale = chosen && images > 0 ? row->images / images : 1;
                row->flop = scale * strtod(field[2], NULL);
                row->besides = scale * strtod(field[3], NULL);
                if (!chosen && (int)images != row->images)
                    bad = fail("%s:%d: counts %s images and the step has %d: run tests/peers/bench_flop.py", path,
                               csv.line, field[1], row->images);
            }
        }
        csv_close(&csv);
    }
    free(path);
    return bad ? -1 : 0;
}

static int has_plan(WorkRow *row, Prog *p, Plan *plan, Store *s, void *state, void (*release)(void *), bool chosen)
{
    row->p = p;
    row->plan = plan;
    row->store = s;
    row->state = state;
    row->release = release;
    return find_flop(row, chosen);
}

/* The row writes `to` before every run: labels below `below`, else bytes or reals in [-1, 1), the same each time. */
static void takes(WorkRow *row, Val to, int below)
{
    if (!val_ok(to))
        return;
    Random r = random_stream(1, val_name(to), 0);
    int64_t n = shape_count(val_shape(to));
    float *x = must_zalloc(sizeof *x * (size_t)(n + 1));
    for (int64_t i = 0; i < n; i++)
        if (val_dtype(to) == U8)
            ((uint8_t *)(void *)x)[i] = (uint8_t)random_next(&r);
        else if (val_dtype(to) == I32)
            ((int32_t *)(void *)x)[i] = (int32_t)random_below(&r, (uint32_t)below);
        else
            x[i] = 2 * random_uniform(&r) - 1;
    row->in[row->nin++] = (WorkInput){to, x};
}

static void takes_number(WorkRow *row, Val to, float number)
{
    if (!val_ok(to))
        return;
    float *x = must_alloc(sizeof *x);
    *x = number;
    row->in[row->nin++] = (WorkInput){to, x};
}

/* ---------------------------------------------------------------- synthesis and recognition */
static void release_synthesis(void *step) { synthesis_step_free(step); }
static void release_recognition(void *step) { recogniser_step_free(step); }
static void release_embedding(void *step) { recogniser_embed_free(step); }

static int add_synthesis(Work *w, Store *s, SynthesisOpts o, int batch, const char *prefix, const char *more)
{
    for (int kind = 1; kind <= 2; kind++) {
        char key[48];
        snprintf(key, sizeof key, "%ssynthesis%d", prefix, kind);
        WorkRow *row = work_row(w, key, batch, "synthesis, step %d: %dx%d, batch %d%s", kind, o.generator.size,
                                o.generator.size, batch, more);
        SynthesisStep *t = synthesis_step_create(s, o, batch, kind);
        if (!t || has_plan(row, t->p, t->plan, s, t, release_synthesis, false))
            return -1;
        takes(row, t->pixels, 0);
        takes(row, t->identity, 0);
        takes_number(row, t->rate_ag, 1e-4f);
        takes_number(row, t->rate_d, 4e-4f);
    }
    w->pair = true;
    return 0;
}

static int add_recognition(Work *w, Store *s, RecogniserOpts o, int batch, bool chosen, int classes, const char *prefix,
                           const char *network)
{
    char key[48];
    snprintf(key, sizeof key, "%srecognition", prefix);
    WorkRow *row = work_row(w, key, batch, "recognition: %s, ArcFace over %d, %dx%d, batch %d", network, classes,
                            o.size, o.size, batch);
    RecogniserStep *t = recogniser_step_create(s, o, batch, classes);
    if (!t || has_plan(row, t->p, t->plan, s, t, release_recognition, chosen))
        return -1;
    takes(row, t->pixels, 0);
    takes(row, t->labels, classes);
    takes_number(row, t->rate, 1e-3f);
    takes_number(row, t->dropout, 0.5f);
    return 0;
}

static RecogniserOpts paper_recogniser(void)
{
    return (RecogniserOpts){.scope = "", .size = 128, .trunk = RESNET50, .embedding = 512,
                            .margin = {.s = 64, .m = 0.5f}};
}

/* The paper's f_I is FaceNet, of about 1.4 GMAC at its own 160x160; here a ResNet of 0.98 GMAC at 128x128. */
static int open_synthesis(Work *w, const WorkOpts *o)
{
    SynthesisOpts s = synthesis_paper();
    s.identity.trunk = (ResnetOpts){.blocks = {2, 3, 4, 2}, .width = 64};
    s.identity.pool = true;
    w->store[0] = store_create(o->device, 1);
    return w->store[0] ? add_synthesis(w, w->store[0], s, 8, "", ", f_I of 0.98 GMAC") : -1;
}

static int open_recognition(Work *w, const WorkOpts *o)
{
    w->store[0] = store_create(o->device, 1);
    return w->store[0] ? add_recognition(w, w->store[0], paper_recogniser(), o->batch ? o->batch : 16, o->batch > 0,
                                         482, "", "ResNet-50") : -1;
}

static int open_encoding(Work *w, const WorkOpts *o)
{
    const int batches[] = {o->batch ? o->batch : 16, 64}, n = o->batch ? 1 : 2;
    w->store[0] = store_create(o->device, 1);
    for (int i = 0; i < n && w->store[0]; i++) {
        char key[48];
        snprintf(key, sizeof key, "encoding%d", o->batch ? 16 : batches[i]);
        WorkRow *row = work_row(w, key, batches[i], "encoding: ResNet-50, 128x128, batch %d", batches[i]);
        RecogniserEmbed *t = recogniser_embed_create(w->store[0], paper_recogniser(), batches[i]);
        if (!t || has_plan(row, t->p, t->plan, w->store[0], t, release_embedding, o->batch > 0))
            return -1;
        takes(row, t->pixels, 0);
    }
    return w->store[0] ? 0 : -1;
}

static int open_quick(Work *w, const WorkOpts *o)
{
    const Config *c = o->config;
    Context x = {.config = c};
    char prefix[32], network[40];
    snprintf(prefix, sizeof prefix, "%.30s.", o->preset);
    snprintf(network, sizeof network, "ResNet of %s layers", config_text(c, "recognition.depth"));
    int batch = (int)config_int(c, "synthesis.batch"), classes = (int)config_int(c, "data.original_people");
    w->store[0] = store_create(o->device, 1);
    w->store[1] = w->store[0] ? store_create(o->device, 1) : NULL;
    return !w->store[1] || add_synthesis(w, w->store[0], context_synthesis(&x), batch, prefix, "") ||
           add_recognition(w, w->store[1], context_recogniser(&x), (int)config_int(c, "recognition.batch"), false,
                           classes, prefix, network) ? -1 : 0;
}

/* ---------------------------------------------------------------- what an op costs beside its arithmetic */
static void release_program(void *state)
{
    WorkRow *row = state;
    plan_free(row->plan);
    prog_free(row->p);
}

/* A chain of ops on 16 numbers, which no pass shortens, on one thread. */
static int open_overhead(Work *w, const WorkOpts *o)
{
    enum { LINKS = 334 };
    w->store[0] = store_create(o->device, 1);
    if (!w->store[0])
        return -1;
    Prog *p = prog_create(w->store[0]);
    Val x = prog_input(p, "x", F32, SHAPE(1, 16)), y = x;
    for (int i = 0; i < LINKS; i++)
        y = op_add(op_tanh(op_leaky_relu(y, 0.2f)), x);
    WorkRow *row = work_row(w, "overhead", 0, "%d small ops on 16 numbers, one thread", 3 * LINKS);
    row->threads = 1;
    int bad = has_plan(row, p, NULL, w->store[0], row, release_program, false);
    row->plan = bad ? NULL : plan_compile(p, (PlanOpts){.name = "overhead", .outputs = VALS(y)});
    takes(row, x, 0);
    return row->plan ? 0 : -1;
}

const WorkKind work_kinds[] = {
    {'a', "synthesis", "training steps of face synthesis, equations 1-8, Tables 6 and 7", open_synthesis},
    {'b', "recognition", "training step of a ResNet-50 with ArcFace", open_recognition},
    {'c', "encoding", "embeddings of a ResNet-50", open_encoding},
    {'d', "quick", "both training steps as a preset has them", open_quick},
    {'e', "loader", "batches from a packed file, and reading folders of pictures", loader_work_open},
    {'f', "overhead", "what an op costs beside its arithmetic", open_overhead},
    {0},
};

/* ---------------------------------------------------------------- life */
/* The rows of a work run in turn: one scratch memory serves all of them. */
static int take_memory(Work *w)
{
    Plan *plans[WORK_ROWS];
    int n = 0;
    for (int i = 0; i < w->n; i++)
        if (w->row[i].plan)
            plans[n++] = w->row[i].plan;
    return plans_reserve(plans, n, &w->memory);
}

int work_open(Work *w, const WorkKind *kind, const WorkOpts *o)
{
    *w = (Work){.kind = kind};
    int bad = kind->open(w, o) || take_memory(w);
    for (int i = 0; i < w->n; i++) {
        WorkRow *row = &w->row[i];
        row->queued = !row->plan || row->plan->device->host_memory ? 1 : o->queued ? o->queued : QUEUED;
    }
    if (!bad)
        return 0;
    fail_in("%s", kind->name);
    work_close(w);
    return -1;
}

void work_close(Work *w)
{
    for (int i = 0; i < w->n; i++) {
        WorkRow *row = &w->row[i];
        for (int k = 0; k < row->nin; k++)
            free(row->in[k].data);
        if (row->release)
            row->release(row->state);
    }
    for (int i = 0; i < 2; i++)
        store_free(w->store[i]);
    if (w->close)
        w->close(w->shared);
    *w = (Work){0};
}

int work_run(WorkRow *row, double *seconds)
{
    int threads = engine_thread_count(), bad = 0;
    if (row->threads)
        engine_threads(row->threads);
    double start = seconds_now();
    for (int k = 0; k < row->queued && row->plan && !bad; k++) {
        for (int i = 0; i < row->nin && !bad; i++)
            bad = prog_write(row->p, row->in[i].to, row->in[i].data);
        bad = bad || plan_run(row->plan);
    }
    bad = bad || (row->plan ? row->plan->device->sync(row->plan->device, row->key) : row->run(row));
    *seconds = (seconds_now() - start) / row->queued;
    if (row->threads)
        engine_threads(threads);
    return bad ? -1 : 0;
}

double work_store_bytes(const WorkRow *row)
{
    double bytes = 0;
    for (int i = 0; row->store && i < store_count(row->store); i++)
        bytes += (double)store_bytes(row->store, i);
    return bytes;
}

double recorded_flop(const Prog *p)
{
    double flop = 0;
    for (int n = 0; n < p->nnodes; n++) {
        const char *op = p->nodes[n].op->name;
        if (!strncmp(op, "conv", 4) || !strcmp(op, "matmul"))
            flop += node_flop(p, &p->nodes[n]);
    }
    return flop;
}
