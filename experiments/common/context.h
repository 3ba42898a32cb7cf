/* context.h - what every stage of an experiment needs to know: options, configuration, run folder, device. */
#ifndef GUISE_CONTEXT_H
#define GUISE_CONTEXT_H

#include "experiments/common/options.h"
#include "experiments/common/run.h"
#include "models/synthesis_step.h"
#include "models/recogniser_step.h"

typedef struct Context {
    Options options;
    const Config *config;
    Run *run;
    char device[32];      /* "cpu", "cuda:0", ... */
    Precision precision;
    char about[320];      /* device, precision, tuning table, data: part of every stage that computes */
    int jobs;             /* trainings side by side */
    int job_threads;      /* and the threads of each */
    char **argv;          /* borrowed */
    char made_with[320];  /* threads and libraries: recorded where a stage begins, and asked for when it resumes */
    int quiet;
} Context;

/* Reads the command line (exits with 2 on a mistake of use) and opens the run folder.  0, or -1 with error_text(). */
int  context_open(Context *x, const Program *program, int argc, char **argv);
/* The same without a run folder, for programs that only use what others made. */
int  context_start(Context *x, const Program *program, int argc, char **argv);
void context_close(Context *x);
/* Prints error_text() as the program's error and returns 1, for main().  A process that was started for one training
 * prints it after JOB_FAILED instead, for the program that started it. */
#define JOB_FAILED "\001"
int  context_failed(const Context *x);

/* Takes the memory that these plans (NULL among them: none) need together, which never run at the same time, and says
 * how much it is, unless --quiet.  Before the first step.  0, or -1 when it does not fit. */
enum { RESERVE_MAX = 8 };
int context_reserve(const Context *x, const char *name, Plan *const *plans, int n);

/* From here on the engine works with so many threads (0: as many as there are cores), and stages are made with them. */
void context_threads(Context *x, int threads);

/* Networks as the configuration describes them. */
SynthesisOpts  context_synthesis(const Context *x);
RecogniserOpts context_identity(const Context *x);
RecogniserOpts context_recogniser(const Context *x);

/* stage_begin with the key's extra text extended by `about`.  A stage that was begun with other threads or libraries
 * is refused (their sums are split otherwise, so that the numbers would drift) unless --allow-drift is given. */
Stage *context_stage(Context *x, const char *name, int version, const char *const *sections, const char *extra,
                     const Hash *inputs, int n_inputs);
/* 1 if that stage is finished.  Touches nothing. */
int context_made(const Context *x, const char *name, int version, const char *const *sections, const char *extra,
                 const Hash *inputs, int n_inputs);

#endif
