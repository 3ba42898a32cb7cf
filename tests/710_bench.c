/* 710_bench.c - the program bench at small settings, the tuner, and the nominal FLOP against a count of their own. */
#include "tests/programs.h"

#include <ctype.h>

#include "engine/json.h"
#include "experiments/common/stepbench.h"
#include "experiments/common/tuner.h"
#include "tests/children.h"

/* ---------------------------------------------------------------- JSON: strict, any value */
static const char *after_value(const char *p);

static const char *after_blanks(const char *p)
{
    return p + strspn(p, " \t\n\r");
}

/* Behind a string with its quotes; NULL if there is none. */
static const char *after_string(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p && *p != '"'; p++)
        if ((unsigned char)*p < 0x20 || (*p == '\\' && !*++p))
            return NULL;
    return *p ? p + 1 : NULL;
}

static const char *after_list(const char *p, char close)
{
    p = after_blanks(p + 1);
    if (*p == close)
        return p + 1;
    for (;; p++) {
        if (close == '}') {
            p = after_string(after_blanks(p));
            if (!p || *(p = after_blanks(p)) != ':')
                return NULL;
            p++;
        }
        p = after_value(p);
        if (!p || *(p = after_blanks(p)) == close)
            return p ? p + 1 : NULL;
        if (*p != ',')
            return NULL;
    }
}

static const char *after_value(const char *p)
{
    char *end;
    p = after_blanks(p);
    if (*p == '{' || *p == '[')
        return after_list(p, *p == '{' ? '}' : ']');
    if (*p == '"')
        return after_string(p);
    for (int i = 0; i < 3; i++) {
        static const char *const words[] = {"null", "true", "false"};
        if (!strncmp(p, words[i], strlen(words[i])))
            return p + strlen(words[i]);
    }
    strtod(p, &end);
    return (*p == '-' || isdigit((unsigned char)*p)) && end != p ? end : NULL;
}

#define IS_JSON(text)                                                                        \
    do {                                                                                     \
        const char *end_ = after_value(text);                                                \
        ck_assert_msg(end_ && !*after_blanks(end_), "not JSON, or more than that:\n%.999s", text); \
    } while (0)

/* The number behind "name": from `from` on. */
static double number_at(const char *from, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *at = from ? strstr(from, key) : NULL;
    ck_assert_msg(at != NULL, "no %s in:\n%.999s", key, from ? from : "nothing");
    return strtod(at + strlen(key), NULL);
}

TEST(the_json_reader_refuses)
{
    static const char *const bad[] = {"", "{", "{\"a\": }", "{\"a\" 1}", "[1, 2", "[1,, 2]", "{\"a\": 1,}", "nul",
                                      "\"a", "{a: 1}", "inf", "nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!after_value(bad[i]), "%s", bad[i]);
    IS_JSON("{\"a\": [1, -2.5e-3, null, {}], \"b\": \"c\\\"d\"}");
}

/* ---------------------------------------------------------------- the program */
#define BENCH(...) RUN(0, "bench", "--device", "cpu", "--threads", "1", __VA_ARGS__)

TEST(wrong_use)
{
    NEEDS("bench");
    EXPECT(BENCH("--only", "g"), 2, "bench: --only g: no such work");
    EXPECT(BENCH("--only", "f,recogniton"), 2, "did you mean recognition?");
    EXPECT(BENCH("--only", ","), 2, "--only: a list such as a,b or loader was expected");
    EXPECT(BENCH("--only", "f", "--repeat", "-1"), 2, "--repeat -1: 1 to 1000 was expected");
    EXPECT(BENCH("--only", "f", "--repeat", "many"), 2, "a whole number was expected");
    EXPECT(BENCH("--only", "d", "--preset", "smok"), 2, "did you mean smoke?");
    EXPECT(BENCH("--only", "f", "--tune", "x", "--serve"), 2, "--tune, --serve and --profile or --trace go apart");
    EXPECT(BENCH("--only", "f", "--tuning", "/nowhere/x"), 2, "--tuning /nowhere/x: no such file");
    EXPECT(BENCH("--only", "f", "--precision", "fp8"), 2, "fp8");
    EXPECT(BENCH("--only", "f", "--repeat", "1", "--trace", "/nowhere/x.json"), 1, "/nowhere/x.json");
    EXPECT(BENCH("--help"), 0, "--only LIST");
}

TEST(overhead)
{
    NEEDS("bench");
    Outcome o = BENCH("--only", "f", "--repeat", "3", "--json");
    EXPECT(o, 0, "\"step\": \"overhead\"");
    IS_JSON(o.text);
    ck_assert_int_eq((int)number_at(o.text, "threads"), 1);
    ck_assert_int_ge((int)number_at(strstr(o.text, "\"ceilings\""), "n"), 2);
    ck_assert(number_at(o.text, "median") > 0);
    const char *step = strstr(o.text, "\"steps\"");
    double ops = number_at(step, "ops"), each = number_at(step, "us_per_op"), ms = number_at(step, "median");
    ck_assert_double_ge(ops, 1000);   /* nothing merged the chain */
    ck_assert_double_eq_tol(each, 1e3 * ms / ops, 1e-9 * each);
    ck_assert_int_eq((int)number_at(step, "n"), 3);
    ck_assert(number_at(step, "q1") <= ms && ms <= number_at(step, "q3"));
    ck_assert_ptr_nonnull(strstr(step, "\"images_per_s\": null"));
}

TEST(steps_of_a_preset)
{
    NEEDS("bench");
    char trace[] = "/tmp/guise-bench-XXXXXX";
    close(mkstemp(trace));
    Outcome o = BENCH("--only", "quick", "--preset", "smoke", "--repeat", "1", "--json", "--trace", trace);
    EXPECT(o, 0, "\"step\": \"smoke.recognition\"");
    IS_JSON(o.text);
    const char *one = strstr(o.text, "\"smoke.synthesis1\""), *two = strstr(o.text, "\"smoke.synthesis2\""),
               *pair = strstr(o.text, "\"smoke.synthesis\"");
    double sum = number_at(one, "median") + number_at(two, "median");
    ck_assert_double_eq_tol(number_at(pair, "median"), sum, 1e-9 * sum);
    double flop = number_at(one, "nominal_flop");
    ck_assert_double_eq(number_at(pair, "nominal_flop"), flop + number_at(two, "nominal_flop"));
    ck_assert(number_at(one, "arena_mib") > 0 && number_at(one, "own_mib") > 0 && number_at(one, "store_mib") > 0);
    double rate = flop / number_at(one, "median") / 1e6;
    ck_assert_double_eq_tol(number_at(one, "gflop_per_s"), rate, 1e-9 * rate);
    /* A trace: complete events only, as many as the three plans have ops, named with shapes. */
    size_t size;
    char *text = file_read(trace, &size);
    HAVE(text);
    IS_JSON(text);
    double ops = number_at(one, "ops") + number_at(two, "ops");
    ops += number_at(strstr(o.text, "\"smoke.recognition\""), "ops");
    ck_assert_int_eq(count_of(text, "\"ph\":\"X\""), (int)ops);
    ck_assert_int_eq(count_of(text, "\"dur\":"), (int)ops);
    ck_assert_ptr_nonnull(strstr(text, "\"name\":\"conv2d (8, 3, 16, 16) (8, 3, 4, 4)"));
    ck_assert_ptr_nonnull(strstr(text, "\"tid\":3"));
    free(text);
    unlink(trace);
    o = BENCH("--only", "d", "--preset", "smoke", "--repeat", "1", "--profile");
    EXPECT(o, 0, "GFLOP/s");
    EXPECT(o, 0, "conv2d_weight_grad");
    EXPECT(o, 0, "smoke.synthesis: both steps");
}

TEST(the_loader)
{
    NEEDS("bench");
    char *folder = must_strdup("/tmp/guise-bench-XXXXXX");
    HAVE(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    Outcome o = BENCH("--only", "loader", "--repeat", "1", "--json");
    EXPECT(o, 0, "\"step\": \"jpeg\"");
    IS_JSON(o.text);
    ck_assert(number_at(strstr(o.text, "\"png\""), "images_per_s") > 0);
    ck_assert_int_eq(rmdir(folder), 0);   /* nothing was left there */
    free(folder);
}

/* Pictures come faster than a recogniser takes them, at the smallest preset, whose recogniser is the quickest. */
TEST(the_loader_leads)
{
    NEEDS("bench");
    Outcome o = BENCH("--only", "d,e", "--preset", "smoke", "--repeat", "3", "--json");
    EXPECT(o, 0, "\"step\": \"smoke.loader\"");
    IS_JSON(o.text);
    ck_assert(number_at(strstr(o.text, "\"smoke.recognition\""), "loader_lead") > 1);
}

TEST(served_on_a_pipe)
{
    NEEDS("bench");
    char *path = program_path("bench"), line[4096];
    char *command = must_printf("printf 'overhead 2\\nnothing 1\\noverhead 0\\noverhead\\n' | "
                                "%s --device cpu --threads 1 --only f --serve", path);
    FILE *f = popen(command, "r");
    ck_assert_ptr_nonnull(f);
    static const char *const wanted[] = {"{\"ready\": true}", "{\"step\": \"overhead\", \"ms\": [", "{\"error\": ",
                                         "{\"error\": ", "{\"step\": \"overhead\", \"ms\": ["};
    for (int i = 0; i < 5; i++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
        IS_JSON(line);
        ck_assert_msg(!strncmp(line, wanted[i], strlen(wanted[i])), "%s", line);
        if (i == 1 || i == 4)
            ck_assert_int_eq(count_of(line, ", "), i == 1 ? 2 : 1);
    }
    ck_assert_ptr_null(fgets(line, sizeof line, f));
    ck_assert_int_eq(pclose(f), 0);
    free(command);
    free(path);
}

/* ---------------------------------------------------------------- the tuner */
TEST(tables_are_obeyed)
{
    char path[] = "/tmp/guise-tuning-XXXXXX";
    close(mkstemp(path));
    engine_threads(1);
    Store *s = store_try("cpu", 1);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, SHAPE(2, 32, 12, 12));
    Val w = prog_param(p, "w", SHAPE(32, 32, 3, 3), (Init){INIT_NORMAL, 0.06f});
    Val v = prog_param(p, "v", SHAPE(7, 32), (Init){INIT_NORMAL, 0.1f});
    Conv2dAttrs same = {.padding = 1};
    Val h = op_conv2d(op_tanh(op_conv2d(x, w, NONE, same)), w, NONE, same);
    Val y = op_linear(op_global_avg_pool(h), v, NONE);
    Plan *plan = plan_must(p, VALS(y), (Vals){0});
    Tuner *t = tuner_create("cpu");
    HAVE(t);
    MUST(tuner_plan(t, plan, NULL));
    ck_assert_int_eq(tuner_count(t), 2);   /* equal convolutions are timed once */
    MUST(tuner_plan(t, plan, NULL));
    ck_assert_int_eq(tuner_count(t), 2);
    ck_assert_int_le(tuner_changed(t), 2);
    MUST(tuner_save(t, path));
    ck_assert_int_eq(tuner_save(t, "/nowhere/table"), -1);
    tuner_free(t);
    plan_free(plan);
    plan = plan_compile(p, (PlanOpts){.name = "tuned", .outputs = VALS(y), .tuning = path});
    HAVE(plan);
    int obeyed = 0;
    for (int i = 0; i < plan->nsteps; i++)
        obeyed += plan->steps[i].call.tuning != NULL;
    ck_assert_int_eq(obeyed, 3);
    plan_free(plan);
    prog_free(p);
    store_free(s);
    unlink(path);
}

/* ---------------------------------------------------------------- nominal FLOP */
/* tests/bench.csv is made from the shapes in the paper's tables by a script; the recorded program, before any pass,
 * counts its own nodes.  Both are sums of the same products, whole numbers below 2^53, and so equal; what the program
 * does beyond the nominal (bench.csv's "besides") is stated there. */
static void same_flop(const char *work, const char *preset)
{
    const WorkKind *k = work_kinds;
    while (k->name && strcmp(k->name, work))
        k++;
    ck_assert_ptr_nonnull(k->name);
    Config *c = config_create();
    if (*preset)
        MUST(config_read_preset(c, preset));
    Work w;
    MUST(work_open(&w, k, &(WorkOpts){.device = "reference", .config = c, .preset = preset}));
    for (int i = 0; i < w.n; i++) {
        const WorkRow *row = &w.row[i];
        double counted = recorded_flop(row->p), nominal = row->flop + row->besides;
        ck_assert_msg(row->flop > 0, "%s is not in bench.csv", row->key);
        ck_assert_msg(counted == nominal, "%s: %.17g recorded, %.17g nominal", row->key, counted, nominal);
    }
    work_close(&w);
    config_free(c);
}

TEST(nominal_flop_of_presets)
{
    same_flop("quick", "smoke");
    same_flop("quick", "quick");
}

TEST(nominal_flop_of_recognition)
{
    same_flop("recognition", "");
    same_flop("encoding", "");
}

TEST(nominal_flop_of_synthesis)
{
    same_flop("synthesis", "");
}

TEST_MAIN("bench", the_json_reader_refuses, wrong_use, overhead, steps_of_a_preset, the_loader, the_loader_leads,
          served_on_a_pipe, tables_are_obeyed, nominal_flop_of_presets, nominal_flop_of_recognition, nominal_flop_of_synthesis)
