/* plan.h - inside the engine: a plan as plan.c lays it out and run.c runs it. */
#ifndef GUISE_PLAN_H
#define GUISE_PLAN_H

#include "engine/program.h"

/* Where a value lives.  Views share the place of what they view. */
typedef struct Place {
    enum { NOWHERE, IN_ARENA, IN_PLAN, IN_STORE, IN_INPUT } where;
    size_t offset;       /* in the arena or in the plan's own memory */
    int index;           /* entry or input slot */
    size_t bytes;
    int first, last;     /* steps between which the bytes are needed */
} Place;

typedef struct Step {
    KernelCall call;
    int node;
    size_t workspace_offset;
    double seconds;      /* summed while profiling */
    double flop, bytes;
} Step;

typedef struct LateCopy {   /* an update whose value could not be made in place */
    int entry, value;
} LateCopy;

struct Plan {
    char *name;
    Prog *q;             /* the improved program */
    Device *device;
    int *asked;          /* ids, in the user's program, of the outputs; q->outputs[i] is where to find each */
    Step *steps;
    int nsteps;
    int *root;           /* value -> value that owns the memory */
    Place *places;       /* of roots */
    LateCopy *copies;
    int ncopies;
    size_t arena_bytes, own_bytes, state_bytes;
    char *own;
    void *shared;
    void *graph;
    unsigned generation; /* of the arena that pointers are bound to; 0: not bound */
    bool poison, eager, profiling, unrecorded;
    bool walked;         /* has run kernel by kernel */
    long runs;
};

/* Makes the device's arena at least this large; plans bind again before their next run.  0 or -1 with error_text(). */
int arena_reserve(Device *d, size_t bytes);
/* Sets all pointers for the present arena. */
int plan_bind(Plan *plan);

#endif
