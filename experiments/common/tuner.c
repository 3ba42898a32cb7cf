/* tuner.c - see tuner.h. */
#include "experiments/common/tuner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/opcase.h"
#include "engine/plan.h"
#include "engine/random.h"
#include "experiments/common/opbench.h"

enum { CANDIDATES = 8, ROUNDS = 5, KEY_MAX = 512 };
static const double worth = 0.97;   /* of the heuristic's time */

typedef struct Timed {
    char *key;
    char  algorithm[32];
    bool  changed;
} Timed;

struct Tuner {
    char *device;
    char  table[64];      /* a tuning table of one line, by which a candidate is asked for */
    Sweep sweep;
    Device *opened;
    Timed *timed;
    int n;
};

typedef struct Candidate {
    char   name[32];
    OpRun  run;
    int    step;          /* of its plan */
    double seconds[ROUNDS], median;
} Candidate;

Tuner *tuner_create(const char *device)
{
    Tuner *t = must_zalloc(sizeof *t);
    t->device = must_strdup(device);
    snprintf(t->table, sizeof t->table, "/tmp/guise-tuning-XXXXXX");
    int file = mkstemp(t->table);
    if (file >= 0)
        close(file);
    else
        fail("%s: cannot make this file", t->table);
    t->opened = file < 0 ? NULL : device_open(device);
    if (t->opened && !sweep_open(&t->sweep, t->opened))
        return t;
    tuner_free(t);
    return NULL;
}

void tuner_free(Tuner *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->n; i++)
        free(t->timed[i].key);
    sweep_close(&t->sweep);
    if (t->opened)
        device_close(t->opened);
    unlink(t->table);
    free(t->timed);
    free(t->device);
    free(t);
}

/* ---------------------------------------------------------------- one op */
static int write_numbers(OpRun *r)
{
    int bad = 0;
    for (int i = 0; i < r->nin && !bad; i++) {
        if (!val_ok(r->in[i]) || val_dtype(r->in[i]) != F32)
            continue;
        int64_t n = shape_count(val_shape(r->in[i]));
        Random random = random_stream(1, "tuner", (uint64_t)i);
        float *x = must_alloc(sizeof *x * (size_t)(n + 1));
        for (int64_t k = 0; k < n; k++)
            x[k] = 2 * random_uniform(&random) - 1;
        bad = prog_write(r->p, r->in[i], x);
        free(x);
    }
    return bad;
}

/* The op of `like` alone, with an algorithm.  -1 where that is not possible. */
static int candidate_open(Tuner *t, const KernelCall *like, const char *key, Candidate *c)
{
    Shape shapes[OPCASE_MAX];
    Dtype dtypes[OPCASE_MAX];
    char *line = must_printf("%s\t%s\n", key, c->name);
    for (int i = 0; i < like->nin && i < OPCASE_MAX; i++) {
        shapes[i] = like->in[i].shape;
        dtypes[i] = like->in[i].dtype;
    }
    int bad = file_write(t->table, line, strlen(line)) || engine_tuning(t->table);
    bad = bad || oprun_open(&c->run, like->op, t->device, shapes, dtypes, like->nin, like->attrs, false);
    free(line);
    engine_tuning(NULL);
    if (bad)
        return -1;
    c->step = -1;
    for (int s = 0; s < c->run.plan->nsteps; s++) {
        char other[KEY_MAX];
        tuning_key(&c->run.plan->steps[s].call, other, sizeof other);
        if (!strcmp(other, key))
            c->step = s;
    }
    if (c->step >= 0 && !write_numbers(&c->run))
        return 0;
    oprun_close(&c->run);
    return -1;
}

static int time_all(Tuner *t, Candidate *c, int n)
{
    for (int round = -1; round < ROUNDS; round++)   /* the first to warm up */
        for (int i = 0; i < n; i++)
            if (opbench_once(c[i].run.plan, c[i].step, &t->sweep, &c[i].seconds[round < 0 ? 0 : round]))
                return -1;
    for (int i = 0; i < n; i++)
        c[i].median = median_of(c[i].seconds, ROUNDS);
    return 0;
}

static void keep(Tuner *t, const char *key, const KernelCall *like, const Candidate *c, int n, FILE *report)
{
    int usual = -1, best = 0;
    for (int i = 0; i < n; i++) {
        usual = strcmp(c[i].name, like->chosen) ? usual : i;
        best = c[i].median < c[best].median ? i : best;
    }
    if (usual >= 0 && c[best].median > worth * c[usual].median)
        best = usual;
    t->timed = must_realloc(t->timed, sizeof *t->timed * (size_t)(t->n + 1));
    Timed *to = &t->timed[t->n++];
    *to = (Timed){.key = must_strdup(key), .changed = best != usual};
    snprintf(to->algorithm, sizeof to->algorithm, "%s", c[best].name);
    if (!report)
        return;
    fprintf(report, "%-10s", c[best].name);
    for (int i = 0; i < n; i++)
        fprintf(report, "  %s%s %.3f ms", c[i].name, i == usual ? " (heuristic)" : "", 1e3 * c[i].median);
    fprintf(report, "  %s\n", key);
    fflush(report);
}

static int tune_call(Tuner *t, const KernelCall *like, const char *key, FILE *report)
{
    Candidate *c = must_zalloc(sizeof *c * CANDIDATES);
    int n = 0, bad = 0;
    for (const char *w = like->kernel->algorithms; *w && n < CANDIDATES; w += strspn(w, " ")) {
        size_t length = strcspn(w, " ");
        snprintf(c[n].name, sizeof c[n].name, "%.*s", (int)length, w);
        n += !candidate_open(t, like, key, &c[n]);
        w += length;
    }
    if (n) {
        bad = time_all(t, c, n);
        if (!bad)
            keep(t, key, like, c, n, report);
    }
    for (int i = 0; i < n; i++)
        oprun_close(&c[i].run);
    free(c);
    return bad;
}

/* ---------------------------------------------------------------- plans and tables */
int tuner_plan(Tuner *t, const Plan *plan, FILE *report)
{
    int bad = 0;
    for (int s = 0; s < plan->nsteps && !bad; s++) {
        const KernelCall *k = &plan->steps[s].call;
        char key[KEY_MAX];
        bool known = !k->kernel->algorithms || k->nin > OPCASE_MAX;
        tuning_key(k, key, sizeof key);
        for (int i = 0; i < t->n && !known; i++)
            known = !strcmp(t->timed[i].key, key);
        bad = !known && tune_call(t, k, key, report);
    }
    return bad ? -1 : 0;
}

int tuner_count(const Tuner *t)
{
    return t->n;
}

int tuner_changed(const Tuner *t)
{
    int n = 0;
    for (int i = 0; i < t->n; i++)
        n += t->timed[i].changed;
    return n;
}

int tuner_save(const Tuner *t, const char *path)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    fprintf(w.stream, "# guise %s, device %s, %s, %d threads: fastest algorithms, each op alone\n", engine_version(),
            t->device, engine_libraries(t->device), engine_thread_count());
    for (int i = 0; i < t->n; i++)
        fprintf(w.stream, "%s\t%s\n", t->timed[i].key, t->timed[i].algorithm);
    return file_commit(&w);
}
