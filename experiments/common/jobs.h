/* jobs.h - independent trainings side by side.
 *
 * Threads of one small network mostly wait for each other, so a table of small networks is made faster by several
 * processes of few threads than by one of many.  The program starts itself again for each training (a fork alone would
 * not do: OpenMP's threads are lost in it), with --only-training I and the threads of one training; that process makes
 * number I of the list and ends.  Each has cores of its own where there are enough.  Results are the same bytes as
 * those of one training after the other with as many threads each.
 *
 * What the processes say is shown with the name of their training.  If one fails, no other is begun and those at work
 * stop at their next checkpoint.  If the program ends for whatever reason, its processes are killed; like any killed
 * program they leave stages that the next one resumes (run.h). */
#ifndef GUISE_JOBS_H
#define GUISE_JOBS_H

#include "experiments/common/context.h"

enum { JOB_LABEL = 120 };

/* A list of n trainings, by number from 0. */
typedef struct Jobs {
    const char *name, *unit;                                 /* for progress: "recognition", "trainings" */
    int n;
    void *of;                                                /* handed to the functions */
    int  (*made)(void *of, int i);                           /* 1 if its stage is finished */
    int  (*make)(void *of, int i);                           /* 0 or -1 */
    void (*label)(void *of, int i, char text[JOB_LABEL]);    /* "Original 600, init 1" */
} Jobs;

/* With x->jobs of 2 and more: makes what is not made yet, so many at a time; with 1 it does nothing, and the caller
 * makes what it needs in order.  In a process that was started for one training: makes that, and does not return.
 * 0, or -1 with the name of the training that failed and its message. */
int jobs_run(Context *x, const Jobs *jobs);

/* To be asked after each checkpoint: 1 if this process is to stop there, because another training failed.  From the
 * first question on SIGTERM is that request; before, it ends the process.  Always 0 in a process that was not started
 * for one training. */
int jobs_stopping(const Context *x);

/* How many processors this process may use. */
int jobs_cores(void);

#endif
