/* bench.c - how fast the whole work goes: training steps, encoding, the loader, and what an op costs beside its
 * arithmetic, each against what the machine could do in the same minutes.
 *
 *     bench | bench --only a,recognition --repeat 20 --json | bench --only b --profile --trace b.json
 *     bench --tune tuning.txt | bench --tuning tuning.txt
 *     echo "recognition 3" | bench --only b --serve
 *
 * Times are medians with quartiles.  FLOP are nominal (tests/bench.csv): what the mathematics needs with direct
 * convolutions, so that Winograd and cleverer plans show as speed and not as less work.  Ceilings are measured before,
 * between and after the works: on a shared machine they say how far the other numbers are to be believed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/json.h"
#include "experiments/common/names.h"
#include "experiments/common/roofline.h"
#include "experiments/common/stepbench.h"
#include "experiments/common/table.h"
#include "experiments/common/tuner.h"

enum { WORKS_MAX = 16, RUNS_MAX = 1000, RUNS_USUAL = 200, RUNS_FEWEST = 5, CEILINGS_MAX = 2 * WORKS_MAX + 2 };
static const double enough = 3;   /* seconds of runs, where --repeat does not say how many */

static const char *only, *preset = "quick", *tune, *tuning, *trace;
static int repeat, profile, serve, batch, queued;

static const Option own[] = {
    {"only", OPTION_TEXT, "LIST", "some of a,b,c,d,e,f, or of their names (all)", &only},
    {"repeat", OPTION_INT, "N", "runs of each step (5 or more, for about 3 seconds)", &repeat},
    {"batch", OPTION_INT, "N", "of b and c (16; 16 and 64)", &batch},
    {"queue", OPTION_INT, "N", "runs on their way at a time on a GPU (8)", &queued},
    {"preset", OPTION_TEXT, "NAME", "whose steps d times (quick)", &preset},
    {"profile", OPTION_FLAG, NULL, "a table by op for each step", &profile},
    {"trace", OPTION_TEXT, "FILE", "a Chrome trace of all steps, mean of 3 runs", &trace},
    {"tune", OPTION_TEXT, "FILE", "time algorithms instead of steps, and write the tuning table of the fastest", &tune},
    {"tuning", OPTION_TEXT, "FILE", "take the algorithms of such a table", &tuning},
    {"serve", OPTION_FLAG, NULL, "run what lines \"STEP N\" of standard input ask for, a line of JSON each", &serve},
    {0},
};
static const Program program = {
    .name = "bench",
    .does = "times a synthesis, b recognition, c encoding, d quick (the steps of a preset), e loader, f overhead",
    .common = OPTIONS_DEVICE | OPTIONS_JSON,
    .own = own,
};

typedef struct Row {          /* a row of a work, or a pair of them */
    WorkRow *of[2];
    char key[48];
    double seconds[RUNS_MAX];
    int n;
} Row;

typedef struct Bench {
    Context x;
    const WorkKind *kind[WORKS_MAX];
    Work *work[WORKS_MAX];    /* NULL while it is not open */
    int n;
    double flop_rate[CEILINGS_MAX], byte_rate[CEILINGS_MAX], products[3];
    int ceilings;
    char machine[160];
} Bench;

/* ---------------------------------------------------------------- what is asked for */
static void choose_works(Bench *b)
{
    char *list = must_strdup(only ? only : "a,b,c,d,e,f"), *save = NULL;
    for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        const WorkKind *found = NULL;
        NearName near = {.word = word};
        for (const WorkKind *k = work_kinds; k->name; k++) {
            if (!strcmp(word, k->name) || (word[0] == k->letter && !word[1]))
                found = k;
            name_consider(&near, k->name);
        }
        if (!found)
            usage_error(&program, "--only %s: no such work%s (there are a synthesis, b recognition, c encoding, "
                        "d quick, e loader, f overhead)", word, name_suggestion(&near));
        bool twice = false;
        for (int i = 0; i < b->n; i++)
            twice |= b->kind[i] == found;
        if (!twice && b->n < WORKS_MAX)
            b->kind[b->n++] = found;
    }
    free(list);
    if (!b->n)
        usage_error(&program, "--only: a list such as a,b or loader was expected");
}

static int open_work(Bench *b, int i, const Config *config)
{
    b->work[i] = must_zalloc(sizeof *b->work[i]);
    WorkOpts o = {.device = b->x.device, .config = config, .preset = preset, .batch = batch, .queued = queued};
    if (!work_open(b->work[i], b->kind[i], &o)) {
        char text[160];
        if (b->work[i]->memory.total)
            fprintf(stderr, "%s: %s\n", b->kind[i]->name, plan_memory_text(&b->work[i]->memory, text, sizeof text));
        return 0;
    }
    free(b->work[i]);
    b->work[i] = NULL;
    return -1;
}

static void close_work(Bench *b, int i)
{
    if (b->work[i])
        work_close(b->work[i]);
    free(b->work[i]);
    b->work[i] = NULL;
}

static int measure_ceilings(Bench *b)
{
    Roofline r;
    if (roofline_measure(b->x.device, &r))
        return -1;
    snprintf(b->machine, sizeof b->machine, "%s", r.machine);
    for (int p = 0; p < 3; p++)
        b->products[p] = r.products[p] > b->products[p] ? r.products[p] : b->products[p];
    b->flop_rate[b->ceilings] = r.flop_rate;
    b->byte_rate[b->ceilings++] = r.byte_rate;
    return 0;
}

/* ---------------------------------------------------------------- measuring */
/* Rows of a work and, behind them, the pair that alternates in training. */
static int rows_of(Work *w, Row *rows)
{
    for (int i = 0; i < w->n; i++) {
        rows[i] = (Row){.of = {&w->row[i]}};
        snprintf(rows[i].key, sizeof rows[i].key, "%s", w->row[i].key);
    }
    if (!w->pair)
        return w->n;
    Row *pair = &rows[w->n];
    *pair = (Row){.of = {&w->row[0], &w->row[1]}};
    snprintf(pair->key, sizeof pair->key, "%.*s", (int)strlen(w->row[0].key) - 1, w->row[0].key);   /* without its 1 */
    return w->n + 1;
}

/* Runs every row of the work once, in turn; the pair's time is the sum of its two. */
static int run_round(Work *w, Row *rows, int n)
{
    for (int i = 0; i < n; i++) {
        Row *row = &rows[i];
        if (row->of[1])
            row->seconds[row->n] = rows[0].seconds[row->n] + rows[1].seconds[row->n];
        else if (work_run(&w->row[i], &row->seconds[row->n]))
            return -1;
    }
    for (int i = 0; i < n; i++)
        rows[i].n++;
    return 0;
}

static int measure(Work *w, Row *rows, int n)
{
    double total = 0;
    if (run_round(w, rows, n))   /* to warm up: memory is touched, weights are packed */
        return -1;
    for (int i = 0; i < n; i++)
        rows[i].n = 0;
    for (int done = 0; repeat ? done < repeat : done < RUNS_FEWEST || (done < RUNS_USUAL && total < enough); done++) {
        if (run_round(w, rows, n))
            return -1;
        for (int i = 0; i < w->n; i++)
            total += rows[i].seconds[done];
    }
    return 0;
}

/* ---------------------------------------------------------------- reporting */
typedef struct Facts {        /* of a row; NaN where there is none */
    char key[48], what[120];
    Quartiles ms;
    double images, flop, flop_rate, arena, own, store, ops, us_an_op;
} Facts;

static Facts facts_of(const Row *row)
{
    double ms[RUNS_MAX];
    Facts f = {.store = NAN};
    snprintf(f.key, sizeof f.key, "%s", row->key);
    snprintf(f.what, sizeof f.what, "%s", row->of[1] ? "both steps, one after the other" : row->of[0]->what);
    for (int i = 0; i < row->n; i++)
        ms[i] = 1e3 * row->seconds[i];
    f.ms = quartiles_of(ms, row->n);
    for (int i = 0; i < 2 && row->of[i]; i++) {
        const WorkRow *w = row->of[i];
        f.images += w->images;
        f.flop += w->flop;
        if (!w->plan)
            continue;
        double arena = (double)plan_arena_bytes(w->plan) / 1048576;
        f.arena = arena > f.arena ? arena : f.arena;   /* plans of a device share it */
        f.own += (double)plan_own_bytes(w->plan) / 1048576;
        f.store = work_store_bytes(w) / 1048576;
        f.ops += plan_ops(w->plan);
    }
    f.images = f.images > 0 ? f.images / f.ms.median * 1e3 : NAN;
    f.flop = f.flop > 0 ? f.flop : NAN;
    f.flop_rate = f.flop / f.ms.median * 1e3;
    f.us_an_op = f.ops > 0 ? f.ms.median * 1e3 / f.ops : NAN;
    if (!(f.ops > 0))
        f.arena = f.own = f.ops = NAN;
    return f;
}

static Table *start_table(void)
{
    static const char *const columns[] = {"step", "ms", "runs", "images/s", "GFLOP/s", "of peak, %", "arena MiB",
                                          "own MiB", "store MiB", "ops", "us/op"};
    Table *t = table_create("Steps: medians with quartiles");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        table_column(t, columns[i]);
    return t;
}

static void add_to_table(Table *t, const Facts *f, double peak)
{
    char note[200];
    table_row(t);
    table_text(t, f->key);
    table_number(t, f->ms.median, 3);
    table_interval(t, f->ms.q1, f->ms.q3);
    table_number(t, f->ms.n, 0);
    table_number(t, f->images, 1);
    table_number(t, f->flop_rate / 1e9, 1);
    table_number(t, 100 * f->flop_rate / peak, 1);
    table_number(t, f->arena, 1);
    table_number(t, f->own, 1);
    table_number(t, f->store, 1);
    table_number(t, f->ops, 0);
    table_number(t, f->us_an_op, 2);
    snprintf(note, sizeof note, "%s: %s", f->key, f->what);
    table_note(t, note);
}

static void json_member(FILE *out, const char *name, double value)
{
    fprintf(out, ", \"%s\": ", name);
    json_write_number(out, value);
}

static void json_quartiles(FILE *out, const char *before, const char *name, Quartiles q)
{
    fprintf(out, "%s\"%s\": {\"n\": %d", before, name, q.n);
    json_member(out, "q1", q.q1);
    json_member(out, "median", q.median);
    json_member(out, "q3", q.q3);
    fputc('}', out);
}

static void add_to_json(FILE *out, const Facts *f, double peak, double lead, bool first)
{
    fprintf(out, "%s\n  {\"step\": ", first ? "" : ",");
    json_write_string(out, f->key);
    fprintf(out, ", \"what\": ");
    json_write_string(out, f->what);
    json_quartiles(out, ", ", "ms", f->ms);
    json_member(out, "images_per_s", f->images);
    json_member(out, "nominal_flop", f->flop);
    json_member(out, "gflop_per_s", f->flop_rate / 1e9);
    json_member(out, "share_of_peak", f->flop_rate / peak);
    json_member(out, "arena_mib", f->arena);
    json_member(out, "own_mib", f->own);
    json_member(out, "store_mib", f->store);
    json_member(out, "ops", f->ops);
    json_member(out, "us_per_op", f->us_an_op);
    json_member(out, "loader_lead", lead);
    fputc('}', out);
}

/* Of a recogniser whose pictures the loader was timed on too: how many times as fast they come as it takes them; NaN
 * for other steps. */
static double loader_lead(const Facts *facts, int n, int i)
{
    const char *step = strstr(facts[i].key, "recognition");
    char key[64];
    if (!step)
        return NAN;
    snprintf(key, sizeof key, "%.*sloader", (int)(step - facts[i].key), facts[i].key);
    for (int k = 0; k < n; k++)
        if (!strcmp(facts[k].key, key))
            return facts[k].images / facts[i].images;
    return NAN;
}

static void report(Bench *b, const Facts *facts, int n)
{
    Table *table = start_table();
    Quartiles flop = quartiles_of(b->flop_rate, b->ceilings), byte = quartiles_of(b->byte_rate, b->ceilings);
    flop = (Quartiles){flop.n, flop.q1 / 1e9, flop.median / 1e9, flop.q3 / 1e9};
    byte = (Quartiles){byte.n, byte.q1 / 1e9, byte.median / 1e9, byte.q3 / 1e9};
    if (b->x.options.json) {
        printf("{\"version\": ");
        json_write_string(stdout, engine_version());
        printf(", \"machine\": ");
        json_write_string(stdout, b->machine);
        printf(", \"device\": ");
        json_write_string(stdout, b->x.device);
        printf(", \"libraries\": ");
        json_write_string(stdout, engine_libraries(b->x.device));
        printf(", \"threads\": %d, \"precision\": \"%s\"", engine_thread_count(), precision_name(b->x.precision));
        json_quartiles(stdout, ",\n \"ceilings\": {", "fma_gflop_per_s", flop);
        json_quartiles(stdout, ", ", "copy_gb_per_s", byte);
        for (int p = 0; p < 3; p++)
            if (b->products[p] > 0)
                printf(", \"%s_gflop_per_s\": %.6g", precision_name((Precision)p), b->products[p] / 1e9);
        printf("},\n \"steps\": [");
        for (int i = 0; i < n; i++)
            add_to_json(stdout, &facts[i], 1e9 * flop.median, loader_lead(facts, n, i), !i);
        printf("\n]}\n");
        table_free(table);
        return;
    }
    for (int i = 0; i < n; i++)
        add_to_table(table, &facts[i], 1e9 * flop.median);
    printf("guise %s, %s, %d threads, device %s, %s%s%s\n"
           "ceilings of this run, measured %d times: %.1f GFLOP/s [%.1f, %.1f], %.2f GB/s copied [%.2f, %.2f]\n",
           engine_version(), b->machine, engine_thread_count(), b->x.device, precision_name(b->x.precision),
           *engine_libraries(b->x.device) ? ", " : "", engine_libraries(b->x.device), flop.n, flop.median, flop.q1,
           flop.q3, byte.median, byte.q1, byte.q3);
    for (int p = 0; p < 3; p++)
        if (b->products[p] > 0)
            printf("%s%s %.1f GFLOP/s", p ? ", " : "products, best: ", precision_name((Precision)p),
                   b->products[p] / 1e9);
    printf("\n\n");
    table_print(table, stdout);
    table_free(table);
    for (int i = 0; i < n; i++)
        if (loader_lead(facts, n, i) > 0)
            printf("loader: pictures come %.1f times as fast as %s takes them\n", loader_lead(facts, n, i),
                   facts[i].key);
}

/* ---------------------------------------------------------------- the three ways to run */
/* Times every op of the work's plans in three runs more. */
static int profile_work(Bench *b, Work *w)
{
    enum { RUNS = 3 };
    for (int i = 0; i < w->n; i++) {
        double seconds;
        WorkRow *row = &w->row[i];
        if (!row->plan)
            continue;
        plan_profile_start(row->plan);
        for (int k = 0; k < RUNS; k++)
            if (work_run(row, &seconds))
                return -1;
        if (profile) {
            FILE *to = b->x.options.json ? stderr : stdout;
            plan_profile(row->plan, to);
            fputc('\n', to);
        }
    }
    return 0;
}

static int write_trace(const Bench *b)
{
    const Plan *plans[WORKS_MAX * WORK_ROWS];
    int n = 0;
    for (int i = 0; i < b->n; i++)
        for (int k = 0; k < b->work[i]->n; k++)
            if (b->work[i]->row[k].plan)
                plans[n++] = b->work[i]->row[k].plan;
    return plans_trace(plans, n, trace);
}

static int run_all(Bench *b, const Config *config)
{
    Row *rows = must_zalloc(sizeof *rows * (WORK_ROWS + 1));
    Facts *facts = must_zalloc(sizeof *facts * WORKS_MAX * (WORK_ROWS + 1));
    int bad = measure_ceilings(b), count = 0;
    for (int i = 0; i < b->n && !bad; i++) {
        bad = open_work(b, i, config);
        if (bad)
            break;
        int n = rows_of(b->work[i], rows);
        bad = measure(b->work[i], rows, n) || measure_ceilings(b) ||
              ((profile || trace) && profile_work(b, b->work[i]));
        for (int k = 0; k < n && !bad; k++)
            facts[count++] = facts_of(&rows[k]);
        if (!trace)
            close_work(b, i);
    }
    bad = bad || (trace && write_trace(b));
    if (!bad)
        report(b, facts, count);
    free(rows);
    free(facts);
    return bad;
}

static int run_tuner(Bench *b, const Config *config)
{
    Tuner *t = tuner_create(b->x.device);
    int bad = !t;
    for (int i = 0; i < b->n && !bad; i++) {
        bad = open_work(b, i, config);
        for (int k = 0; !bad && k < b->work[i]->n; k++)
            if (b->work[i]->row[k].plan)
                bad = tuner_plan(t, b->work[i]->row[k].plan, b->x.options.json ? NULL : stdout);
        close_work(b, i);
    }
    bad = bad || tuner_save(t, tune);
    if (!bad && b->x.options.json) {
        printf("{\"table\": ");
        json_write_string(stdout, tune);
        printf(", \"ops\": %d, \"changed\": %d}\n", tuner_count(t), tuner_changed(t));
    } else if (!bad) {
        printf("%s: %d ops, %d of them not as the heuristic has it; put it into a run folder as tuning.txt\n", tune,
               tuner_count(t), tuner_changed(t));
    }
    tuner_free(t);
    return bad;
}

/* Answers one line "STEP N" with its times, or with what is wrong with it. */
static int answer(Bench *b, const char *line)
{
    char key[48];
    int n = 1, words = sscanf(line, "%47s %d", key, &n);
    Row *rows = must_zalloc(sizeof *rows * (WORK_ROWS + 1)), *row = NULL;
    Work *w = NULL;
    int count = 0, bad = 0;
    for (int i = 0; i < b->n && !row && words > 0; i++) {
        w = b->work[i];
        count = rows_of(w, rows);
        for (int k = 0; k < count && !row; k++)
            row = strcmp(rows[k].key, key) ? NULL : &rows[k];
    }
    if (!row || n < 1 || n > RUNS_MAX) {
        printf("{\"error\": \"a step of --only and a number of runs up to %d were expected\"}\n", RUNS_MAX);
    } else {
        for (int i = 0; i < n && !bad; i++)
            bad = row->of[1] ? run_round(w, rows, count) : work_run(row->of[0], &row->seconds[row->n++]);
        printf("{\"step\": \"%s\", \"ms\": [", key);
        for (int i = 0; i < row->n && !bad; i++) {
            printf("%s", i ? ", " : "");
            json_write_number(stdout, 1e3 * row->seconds[i]);
        }
        printf("]}\n");
    }
    free(rows);
    return bad;
}

static int run_server(Bench *b, const Config *config)
{
    char line[128];
    int bad = 0;
    for (int i = 0; i < b->n && !bad; i++)
        bad = open_work(b, i, config);
    if (!bad)
        printf("{\"ready\": true}\n");
    fflush(stdout);
    while (!bad && fgets(line, sizeof line, stdin)) {
        bad = answer(b, line);
        fflush(stdout);
    }
    return bad;
}

int main(int argc, char **argv)
{
    Bench b = {0};
    int bad = context_start(&b.x, &program, argc, argv);
    choose_works(&b);
    if (repeat < 0 || repeat > RUNS_MAX)
        usage_error(&program, "--repeat %d: 1 to %d was expected", repeat, RUNS_MAX);
    if (batch < 0 || batch > 65536 || queued < 0 || queued > 1000)
        usage_error(&program, "--batch and --queue: 1 or more was expected");
    if (!!tune + !!serve + (trace || profile) > 1)
        usage_error(&program, "--tune, --serve and --profile or --trace go apart");
    if (tuning && (tune || !file_exists(tuning)))
        usage_error(&program, "--tuning %s: %s", tuning, tune ? "not together with --tune" : "no such file");
    Config *config = config_create();
    if (config_read_preset(config, preset))
        usage_error(&program, "%s", error_text());
    bad = bad || (tuning && engine_tuning(tuning));
    bad = bad || (tune ? run_tuner(&b, config) : serve ? run_server(&b, config) : run_all(&b, config));
    bad = bad ? context_failed(&b.x) : 0;
    for (int i = 0; i < b.n; i++)
        close_work(&b, i);
    config_free(config);
    context_close(&b.x);
    if (!bad && (fflush(stdout) || ferror(stdout)))
        die("standard output: not written");
    return bad;
}
