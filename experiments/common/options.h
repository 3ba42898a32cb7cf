/* options.h - the command line of every program: common options, the program's own, and names that stand alone.
 *
 *     static const char *identity, *out = "out";
 *     static const Option own[] = {{"identity", OPTION_TEXT, "IMAGE", "whose face it is", &identity},
 *                                  {"out", OPTION_TEXT, "DIR", "where the images go (out)", &out}, {0}};
 *     static const Program program = {.name = "generate", .does = "makes faces of one identity",
 *                                     .common = OPTIONS_DEVICE | OPTIONS_SEED, .own = own};
 *     Options o;
 *     options_start(&o, &program, argc, argv);
 *
 * "--name value" and "--name=value" are the same; "--" ends the options.  A mistake prints "program: what: why" and
 * exits with status 2. */
#ifndef GUISE_OPTIONS_H
#define GUISE_OPTIONS_H

#include <stdint.h>

#include "experiments/common/config.h"

/* Groups of common options; --help and --version are always there. */
enum {
    OPTIONS_CONFIG = 1 << 0,   /* --preset --config --set --keys */
    OPTIONS_RUN    = 1 << 1,   /* --run --allow-drift */
    OPTIONS_DATA   = 1 << 2,   /* --data */
    OPTIONS_DEVICE = 1 << 3,   /* --device --precision --deterministic --threads */
    OPTIONS_SEED   = 1 << 4,   /* --seed */
    OPTIONS_JOBS   = 1 << 5,   /* --jobs */
    OPTIONS_JSON   = 1 << 6,   /* --json */
    OPTIONS_QUIET  = 1 << 7,   /* --quiet */
    OPTIONS_ALL    = (1 << 8) - 1
};

typedef enum OptionKind {
    OPTION_FLAG,    /* int *: 1 if given */
    OPTION_INT,     /* int * */
    OPTION_FLOAT,   /* double * */
    OPTION_TEXT,    /* const char **: of argv */
    OPTION_LIST,    /* TextList *: given any number of times */
    OPTION_KEY      /* the name of a key: --NAME VALUE is --set KEY=VALUE, over all others */
} OptionKind;

typedef struct TextList {
    const char **text;
    int n;
} TextList;

typedef struct Option {
    const char *name;       /* without the dashes */
    OptionKind  kind;
    const char *argument;   /* "FILE", for --help; NULL for a flag */
    const char *doc;        /* NULL: not for people, so --help leaves it out */
    void       *target;     /* keeps its value where the option is not given; of OPTION_KEY a text, only read */
} Option;

typedef struct Program {
    const char   *name, *does;        /* "table3", "trains on subsets and prints Table 3" */
    const char   *usage;              /* names that stand alone: "NAME [WEIGHTS]"; NULL for none */
    int           least, most;        /* how many of them */
    int           common;             /* OPTIONS_... */
    const Option *own;                /* ends with a name of NULL; NULL for none */
} Program;

typedef enum DataKind { DATA_PORTRAITS, DATA_FOLDER, DATA_MANIFEST } DataKind;
typedef enum DeviceKind { DEVICE_AUTO, DEVICE_CPU, DEVICE_CUDA, DEVICE_REFERENCE } DeviceKind;

typedef struct Options {
    const Program *program;
    Config        *config;         /* NULL without OPTIONS_CONFIG */
    const char    *preset;         /* the preset's name, NULL if none was read */
    const char    *run;            /* "runs/default" if not given */
    DataKind       data;
    const char    *data_path;      /* of a folder or manifest, else NULL */
    const char    *data_spec;      /* as given: "portraits" */
    DeviceKind     device;
    int            device_index;   /* of cuda:N */
    const char    *device_name;    /* as given: "cuda:1" */
    int            precision;      /* a Precision, or -1: the device's own, tf32 on cuda and fp32 elsewhere */
    int            deterministic;  /* only algorithms that repeat bit for bit */
    int            threads;        /* 0: as many as there are cores */
    int            jobs;           /* trainings side by side; 0: one for each core; JOBS_CONFIG if not given */
    int            only_training;  /* this process makes that one of the list alone, from 1 (jobs.h); 0: all */
    uint64_t       seed;           /* run.seed of the configuration, or 1 */
    int            json, quiet;
    int            allow_drift;    /* a stage begun on another number of threads may be resumed */
    const char   **names;          /* those that stand alone */
    int            n_names;
} Options;

enum { OPTIONS_GO = 0, OPTIONS_PRINTED = 1 };
enum { JOBS_CONFIG = -1 };   /* as recognition.jobs of the configuration says */

/* Reads the command line.  The configuration is: defaults, then the preset or the file (--preset, --config; both may
 * be given), then --set and --seed.  Without a preset or a file, a run folder that already has a config.ini gives
 * its own; else the preset is "quick".
 * OPTIONS_GO, OPTIONS_PRINTED (help or version went to standard output), or -1. */
int options_read(Options *o, const Program *program, int argc, char **argv);
void options_free(Options *o);

/* The same for main(): exits with 0 after --help and with 2 after a mistake. */
void options_start(Options *o, const Program *program, int argc, char **argv);

/* Prints "program: message" and exits with 2: for mistakes of use that only the program can see. */
void usage_error(const Program *program, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
