/* options.c - see options.h. */
#include "experiments/common/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "experiments/common/names.h"

enum { MOST_OPTIONS = 64 };

/* Values of common options before they are understood. */
typedef struct Given {
    const char *preset, *config, *run, *data, *device, *precision, *deterministic, *seed, *jobs;
    TextList set, keys_set;   /* of --set; of options that are keys, whose texts are ours */
    int threads, only_training, json, quiet, keys, help, version, allow_drift;
} Given;

/* All options of the program in one list; returns how many. */
static int collect(const Program *p, Given *g, Option *list)
{
    const struct {
        int group;
        Option option;
    } common[] = {
        {OPTIONS_CONFIG, {"preset", OPTION_TEXT, "NAME", "smoke, quick, study, standard or paper (quick)", &g->preset}},
        {OPTIONS_CONFIG, {"config", OPTION_TEXT, "FILE", "settings of an ini file, over the preset", &g->config}},
        {OPTIONS_CONFIG, {"set", OPTION_LIST, "KEY=VALUE", "one setting, over both; may be repeated", &g->set}},
        {OPTIONS_CONFIG, {"keys", OPTION_FLAG, NULL, "print all keys with defaults and meaning", &g->keys}},
        {OPTIONS_RUN, {"run", OPTION_TEXT, "DIR", "run folder: results are kept and reused (runs/default)", &g->run}},
        {OPTIONS_RUN, {"allow-drift", OPTION_FLAG, NULL, "resume although threads or libraries are others than at the start",
                       &g->allow_drift}},
        {OPTIONS_DATA, {"data", OPTION_TEXT, "SPEC", "portraits, folder:PATH or manifest:PATH (portraits)", &g->data}},
        {OPTIONS_DEVICE, {"device", OPTION_TEXT, "NAME", "auto, cpu, cuda, cuda:N or reference (auto)", &g->device}},
        {OPTIONS_DEVICE, {"precision", OPTION_TEXT, "NAME", "fp32, tf32 or bf16 (tf32 on cuda, else fp32)", &g->precision}},
        {OPTIONS_DEVICE, {"deterministic", OPTION_TEXT, "yes|no", "yes: only algorithms that repeat bit for bit (yes)",
                          &g->deterministic}},
        {OPTIONS_DEVICE, {"threads", OPTION_INT, "N", "threads of the CPU (all cores)", &g->threads}},
        {OPTIONS_SEED, {"seed", OPTION_TEXT, "N", "seed of everything drawn at random (1)", &g->seed}},
        {OPTIONS_JOBS, {"jobs", OPTION_TEXT, "N", "recognisers trained side by side, each with --threads (a share of the cores);"
                        "\n                           auto: one a core (recognition.jobs of the configuration)", &g->jobs}},
        {OPTIONS_JOBS, {"only-training", OPTION_INT, "I", NULL, &g->only_training}},
        {OPTIONS_JSON, {"json", OPTION_FLAG, NULL, "results as JSON", &g->json}},
        {OPTIONS_QUIET, {"quiet", OPTION_FLAG, NULL, "no progress", &g->quiet}},
        {-1, {"help", OPTION_FLAG, NULL, "this page", &g->help}},
        {-1, {"version", OPTION_FLAG, NULL, "the version", &g->version}},
    };
    int n = 0;
    for (const Option *o = p->own; o && o->name && n < MOST_OPTIONS; o++)
        list[n++] = *o;
    for (size_t i = 0; i < sizeof common / sizeof *common && n < MOST_OPTIONS; i++)
        if (common[i].group == -1 || (p->common & common[i].group))
            list[n++] = common[i].option;
    return n;
}

static void print_help(const Program *p, const Option *list, int n)
{
    printf("%s %s\n\n%s [options]%s%s\n\n", p->name, p->does, p->name, p->usage ? " " : "", p->usage ? p->usage : "");
    for (int i = 0; i < n; i++) {
        char left[64];
        if (!list[i].doc)
            continue;
        snprintf(left, sizeof left, "--%s%s%s", list[i].name, list[i].argument ? " " : "",
                 list[i].argument ? list[i].argument : "");
        printf("  %-24s %s\n", left, list[i].doc);
    }
    if (p->common & OPTIONS_CONFIG)
        printf("\nWithout --preset and --config, a run folder keeps the configuration that it was begun with.\n");
    printf("\nExit status: 0 done, 1 failed, 2 wrong use.\n");
}

static void append(TextList *list, const char *text)
{
    list->text = must_realloc(list->text, (size_t)(list->n + 1) * sizeof *list->text);
    list->text[list->n++] = text;
}

/* A number of an option; 0 or -1. */
static int take_number(const Option *o, const char *value)
{
    char *end;
    errno = 0;
    if (o->kind == OPTION_INT) {
        long n = strtol(value, &end, 10);
        if (end == value || *end || errno || n < INT_MIN || n > INT_MAX)
            return fail("--%s %s: a whole number was expected", o->name, value);
        *(int *)o->target = (int)n;
    } else {
        double x = strtod(value, &end);
        if (end == value || *end || !isfinite(x))
            return fail("--%s %s: a number was expected", o->name, value);
        *(double *)o->target = x;
    }
    return 0;
}

/* Takes one option with what follows its name; returns how many words of argv it used, or -1. */
static int take_option(const Option *list, int n, char **argv, Given *g)
{
    const char *word = argv[0] + 2, *value = strchr(word, '=');
    char *name = must_printf("%.*s", value ? (int)(value - word) : (int)strlen(word), word);
    const Option *o = NULL;
    NearName near = {.word = name};
    int used = 1;
    for (int i = 0; i < n && !o; i++) {
        if (list[i].doc)
            name_consider(&near, list[i].name);
        o = strcmp(list[i].name, name) ? NULL : &list[i];
    }
    if (!o) {
        used = fail("--%s: no such option%s", name, name_suggestion(&near));
    } else if (o->kind == OPTION_FLAG) {
        *(int *)o->target = 1;
        if (value)
            used = fail("--%s takes no value", name);
    } else {
        used = value ? 1 : 2;
        value = value ? value + 1 : argv[1];
        if (!value)
            used = fail("--%s: %s is missing", name, o->argument);
        else if (o->kind == OPTION_TEXT)
            *(const char **)o->target = value;
        else if (o->kind == OPTION_LIST)
            append(o->target, value);
        else if (o->kind == OPTION_KEY)
            append(&g->keys_set, must_printf("%s=%s", (const char *)o->target, value));
        else if (take_number(o, value))
            used = -1;
    }
    free(name);
    return used;
}

static int take_words(Options *o, const Option *list, int n, int argc, char **argv, Given *g)
{
    TextList names = {0};
    int only_names = 0, bad = 0;
    for (int i = 1; i < argc && !bad;) {
        if (only_names || argv[i][0] != '-' || !argv[i][1]) {
            append(&names, argv[i++]);
        } else if (!strcmp(argv[i], "--")) {
            only_names = 1;
            i++;
        } else if (!strncmp(argv[i], "--", 2)) {
            int used = take_option(list, n, argv + i, g);
            bad = used < 0;
            i += used;
        } else {
            bad = fail("%s: no such option: they begin with two dashes (--help)", argv[i]);
        }
    }
    o->names = names.text;
    o->n_names = names.n;
    return bad ? -1 : 0;
}

static int check_names(const Options *o)
{
    const Program *p = o->program;
    if (o->n_names > p->most)
        return p->most ? fail("%s: one name too many (%s)", o->names[p->most], p->usage ? p->usage : "see --help")
                       : fail("%s: an option was expected (--help)", o->names[0]);
    if (o->n_names < p->least)
        return fail("%s is missing (--help)", p->usage ? p->usage : "a name");
    return 0;
}

/* Index of a word among the choices; -1 and a message with the one that was meant. */
static int choose(const char *option, const char *word, const char *const *choices, int n)
{
    NearName near = {.word = word};
    char all[200] = "";
    for (int i = 0; i < n; i++) {
        if (!strcmp(word, choices[i]))
            return i;
        name_consider(&near, choices[i]);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", choices[i]);
    }
    const char *suggestion = name_suggestion(&near);
    return *suggestion ? fail("--%s %s: no such choice%s", option, word, suggestion)
                       : fail("--%s %s: no such choice: there are %s", option, word, all);
}

static int read_data(Options *o, const char *spec)
{
    o->data_spec = spec = spec ? spec : "portraits";
    o->data = !strncmp(spec, "folder:", 7)     ? DATA_FOLDER
              : !strncmp(spec, "manifest:", 9) ? DATA_MANIFEST
                                               : DATA_PORTRAITS;
    o->data_path = o->data == DATA_PORTRAITS ? NULL : strchr(spec, ':') + 1;
    if (o->data == DATA_PORTRAITS && strcmp(spec, "portraits"))
        return fail("--data %s: portraits, folder:PATH or manifest:PATH was expected", spec);
    if (o->data_path && !*o->data_path)
        return fail("--data %s: a path is missing after the colon", spec);
    return 0;
}

static int read_device(Options *o, const Given *g)
{
    static const char *const devices[] = {"auto", "cpu", "cuda", "reference"};
    static const char *const precisions[] = {"fp32", "tf32", "bf16"}, *const answers[] = {"no", "yes"};
    o->device_name = g->device ? g->device : "auto";
    if (!strncmp(o->device_name, "cuda:", 5)) {
        char *end;
        long index = strtol(o->device_name + 5, &end, 10);
        if (!o->device_name[5] || *end || index < 0 || index > 1023)
            return fail("--device %s: the number of a device was expected after cuda:", o->device_name);
        o->device = DEVICE_CUDA;
        o->device_index = (int)index;
    } else {
        int device = choose("device", o->device_name, devices, 4);
        if (device < 0)
            return -1;
        o->device = (DeviceKind)device;
    }
    o->precision = g->precision ? choose("precision", g->precision, precisions, 3) : -1;
    if (g->precision && o->precision < 0)
        return -1;
    o->deterministic = g->deterministic ? choose("deterministic", g->deterministic, answers, 2) : 1;
    if (o->deterministic < 0)
        return -1;
    if (g->threads < 0 || g->threads > 4096)
        return fail("--threads %d: 1 to 4096 was expected", g->threads);
    o->threads = g->threads;
    return 0;
}

static int read_jobs(Options *o, const Given *g)
{
    o->jobs = JOBS_CONFIG;
    o->only_training = g->only_training;
    if (g->only_training < 0)
        return fail("--only-training %d: 1 or more was expected", g->only_training);
    if (g->jobs && strcmp(g->jobs, "auto")) {
        char *end;
        errno = 0;
        long jobs = strtol(g->jobs, &end, 10);
        if (end == g->jobs || *end || errno || jobs < 0 || jobs > 1024)
            return fail("--jobs %s: auto or 1 to 1024 was expected", g->jobs);
        o->jobs = (int)jobs;
    } else if (g->jobs) {
        o->jobs = 0;
    }
    return 0;
}

static int read_config(Options *o, const Given *g)
{
    char *kept = must_printf("%s/config.ini", o->run);
    int bad = 0;
    o->config = config_create();
    if (g->preset || g->config) {
        o->preset = g->preset;
    } else if ((o->program->common & OPTIONS_RUN) && file_exists(kept)) {
        bad = config_read(o->config, kept);
    } else {
        o->preset = "quick";
    }
    if (!bad && o->preset)
        bad = config_read_preset(o->config, o->preset);
    if (!bad && g->config)
        bad = config_read(o->config, g->config);
    for (int i = 0; i < g->set.n && !bad; i++)
        bad = config_set(o->config, g->set.text[i]);
    for (int i = 0; i < g->keys_set.n && !bad; i++)
        bad = config_set(o->config, g->keys_set.text[i]);
    free(kept);
    return bad;
}

static int read_seed(Options *o, const Given *g)
{
    o->seed = 1;
    if (g->seed) {
        char *end;
        errno = 0;
        long long seed = strtoll(g->seed, &end, 10);
        if (end == g->seed || *end || errno || seed < 0 || seed > (long long)9e15)
            return fail("--seed %s: a whole number from 0 to 9e15 was expected", g->seed);
        o->seed = (uint64_t)seed;
    }
    if (o->config && g->seed) {
        char *set = must_printf("run.seed=%llu", (unsigned long long)o->seed);
        int bad = config_set(o->config, set);
        free(set);
        return bad;
    }
    if (o->config)
        o->seed = (uint64_t)config_int(o->config, "run.seed");
    return 0;
}

int options_read(Options *o, const Program *program, int argc, char **argv)
{
    Option list[MOST_OPTIONS];
    Given g = {0};
    int n = collect(program, &g, list), result = OPTIONS_GO;
    *o = (Options){.program = program};
    if (take_words(o, list, n, argc, argv, &g)) {
        result = -1;
    } else if (g.help || g.version || g.keys) {
        if (g.help)
            print_help(program, list, n);
        else if (g.version)
            printf("%s %s\n", program->name, engine_version());
        else
            config_print_keys(stdout);
        result = OPTIONS_PRINTED;
    } else {
        o->run = g.run ? g.run : "runs/default";
        o->json = g.json;
        o->quiet = g.quiet;
        o->allow_drift = g.allow_drift;
        if (check_names(o) || read_data(o, g.data) || read_device(o, &g) || read_jobs(o, &g) ||
            ((program->common & OPTIONS_CONFIG) && read_config(o, &g)) || read_seed(o, &g))
            result = -1;
    }
    for (int i = 0; i < g.keys_set.n; i++)
        free((char *)g.keys_set.text[i]);
    free(g.keys_set.text);
    free(g.set.text);
    if (result < 0)
        options_free(o);
    return result;
}

void options_free(Options *o)
{
    config_free(o->config);
    free(o->names);
    o->config = NULL;
    o->names = NULL;
}

/* GNU OpenMP's threads spin for milliseconds at the end of a parallel loop before they sleep.  Where other work shares
 * the cores, the spinning one holds the core that the one it waits for needs: identity training went from 1.2 to about
 * 6 steps a second with 20,000 turns, with other work on the same two cores (one observation under changing load; heavy
 * load still hurts two threads).  The library reads the variable before main, so the program starts itself again. */
static void sleep_early(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") || setenv("GOMP_SPINCOUNT", "20000", 1))
        return;
    execv("/proc/self/exe", argv);   /* if that fails, the program goes on as it is */
}

void options_start(Options *o, const Program *program, int argc, char **argv)
{
    sleep_early(argv);
    int result = options_read(o, program, argc, argv);
    if (result == OPTIONS_PRINTED)
        exit(0);
    if (result < 0)
        usage_error(program, "%s", error_text());
}

void usage_error(const Program *program, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "%s: ", program->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}
