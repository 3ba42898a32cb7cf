/* run.h - a run folder: what was made, under the hash of everything that it was made from.
 *
 *     RUN/config.ini       the configuration that it was begun with; config-HASH.ini: further ones
 *     RUN/hardware.txt     every machine that worked here      RUN/version.txt   every version of the programs
 *     RUN/stages/NAME-HASH        a finished stage             RUN/stages/NAME-HASH.part   one under way or cut off
 *     RUN/locks/NAME-HASH         held (flock) by the program that works on that stage
 *
 * A stage is complete exactly when its folder has its final name: the rename is the last thing that happens to it.
 * A program that is killed leaves a .part; the next one that needs the stage finds the contents and resumes.
 * Programs may share one run folder; a second that needs a stage in the making waits until it is done. */
#ifndef GUISE_RUN_H
#define GUISE_RUN_H

#include "experiments/common/config.h"
#include "experiments/common/hash.h"

typedef struct Run {
    char         *dir;
    const Config *config;   /* borrowed */
} Run;

/* What makes a stage what it is.  A change of any of it makes a stage of another hash. */
typedef struct StageKey {
    const char        *name;       /* "synthesis"; letters, digits, - and _ */
    int                version;    /* raised when the code changes what comes out */
    const char *const *sections;   /* of the configuration, NULL-ended; NULL for none */
    const char        *extra;      /* device, precision, tuning table, data: any text; NULL for none */
    const Hash        *inputs;     /* hashes of the stages that it reads */
    int                n_inputs;
} StageKey;

typedef struct Stage {
    int   done;    /* 1: it is complete and may only be read; 0: it is ours to make */
    int   begun;   /* 1: an earlier program left contents in dir */
    char *dir;     /* where its files are, or are to be made */
    Hash  hash;    /* for the stages that read this one */
    char *name, *final;
    int   lock;
} Stage;

/* Opens or makes a run folder.  An existing one may be read-only, as long as nothing is to be made.  Says on standard
 * error when the folder was begun with another configuration.  NULL: see error_text(). */
Run *run_open(const Config *config, const char *dir);
void run_close(Run *run);

/* Adds a paragraph to a text of the run folder ("hardware.txt") unless it is there already.  0 or -1. */
int run_note(Run *run, const char *file, const char *text);

/* The hash of a stage, without touching the folder. */
Hash stage_hash(const Run *run, const StageKey *key);

/* 1 if the stage is finished.  Touches nothing and waits for nobody. */
int stage_made(const Run *run, const StageKey *key);

/* Finds the stage done, or takes it to be made, which may wait for another program.  NULL: see error_text(). */
Stage *stage_begin(Run *run, const StageKey *key);

/* All files are in place: gives the stage its name.  0 or -1 (it stays ours).  Does nothing for a stage that was
 * done.  The caller still calls stage_leave. */
int stage_done(Stage *stage);
/* Lets go of it: what is not done stays as .part for the next program. */
void stage_leave(Stage *stage);

/* For a finished stage whose files turn out to be damaged: adds to the message what to do; returns -1. */
int stage_damaged(const Stage *stage);

/* Path of a file of the stage; the caller frees it. */
char *stage_path(const Stage *stage, const char *file);

#endif
