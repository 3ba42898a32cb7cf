/* stepbench.h - the work that `bench` times: whole steps at the paper's sizes and at a preset's, the loader, and what
 * an op costs beside its arithmetic.
 *
 * A work is one or more rows over one set of networks; the rows of a work are meant to be run in turn. */
#ifndef GUISE_STEPBENCH_H
#define GUISE_STEPBENCH_H

#include "experiments/common/context.h"

typedef struct WorkInput {
    Val to;
    void *data;           /* written before every run, as a training does */
} WorkInput;

enum { WORK_ROWS = 5, WORK_INPUTS = 6 };
typedef struct WorkRow {
    char key[48];         /* "synthesis1", "quick.recognition": of tests/bench.csv */
    char what[120];       /* "equations 1-8, batch 8, 128x128, ..." */
    int images;           /* of one run; 0: it is not about images */
    double flop;          /* nominal, of one run; 0: unknown or none */
    double besides;       /* what the recorded program counts more than that */
    int threads;          /* 0: as the process has */
    int queued;           /* runs that are on their way at a time: 1 on the CPU */
    Prog *p;              /* NULL together with the plan: no step, but the loader */
    Plan *plan;
    Store *store;
    WorkInput in[WORK_INPUTS];
    int nin;
    int (*run)(struct WorkRow *row);   /* of rows without a plan */
    void *state;
    void (*release)(void *state);
} WorkRow;

typedef struct Work {
    const struct WorkKind *kind;
    WorkRow row[WORK_ROWS];
    int n;
    bool pair;            /* rows 0 and 1 alternate in training: their sum is of interest too */
    Store *store[2];
    PlanMemory memory;    /* of all rows together */
    void *shared;         /* of the loader's rows */
    void (*close)(void *shared);
} Work;

/* What a work is built for; the configuration and its preset's name matter to `quick` alone. */
typedef struct WorkOpts {
    const char *device;
    const Config *config;
    const char *preset;
    int batch;            /* of recognition and encoding; 0: their own */
    int queued;           /* 0: 1 on the CPU, 8 elsewhere */
} WorkOpts;

typedef struct WorkKind {
    char letter;
    const char *name, *doc;
    int (*open)(Work *w, const WorkOpts *o);
} WorkKind;
/* a synthesis, b recognition, c encoding, d quick, e loader, f overhead; ended by a name of NULL. */
extern const WorkKind work_kinds[];

/* Builds everything that the kind of work needs, and takes the memory of its plans.  0, or -1 with error_text(). */
int  work_open(Work *w, const WorkKind *kind, const WorkOpts *o);
void work_close(Work *w);

/* Runs a row (writes its inputs and runs, as often as is queued, then waits) and says how long one run took; 0 or
 * -1. */
int  work_run(WorkRow *row, double *seconds);

/* Bytes of everything that the row's store holds. */
double work_store_bytes(const WorkRow *row);

/* FLOP of the convolutions and matrix products of a program as it was recorded, before any pass. */
double recorded_flop(const Prog *p);

/* A row that needs no plan, for loadbench.c; keys and texts are copied. */
WorkRow *work_row(Work *w, const char *key, int images, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* loadbench.c: images a second from a packed file and from folders of PNG and JPEG files. */
int loader_work_open(Work *w, const WorkOpts *o);

#endif
