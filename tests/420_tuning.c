/* 420_tuning.c - recorded algorithm choices: printed, read back, obeyed, or refused; never replaced in silence. */
#include <unistd.h>

#include "engine/file.h"
#include "tests/programs.h"
#include "tests/tolerance.h"
#include "tests/ops.h"

static Store *s;
static Prog *p;
static Val x, y;
static char path[] = "/tmp/guise-tuning-XXXXXX";

static bool begin(const char *device)
{
    s = store_try(device, 1);
    if (!s)
        return false;
    p = prog_create(s);
    x = prog_input(p, "x", F32, SHAPE(4, 32, 12, 12));
    Val w1 = prog_param(p, "w1", SHAPE(48, 32, 3, 3), (Init){INIT_NORMAL, 0.06f});
    Val w2 = prog_param(p, "w2", SHAPE(48, 48, 3, 3), (Init){INIT_NORMAL, 0.05f});
    Val w3 = prog_param(p, "w3", SHAPE(7, 48), (Init){INIT_NORMAL, 0.1f});
    Val h = op_conv2d(op_tanh(op_conv2d(x, w1, NONE, (Conv2dAttrs){.padding = 1})), w2, NONE,
                      (Conv2dAttrs){.stride = 2});
    y = op_linear(op_global_avg_pool(h), w3, NONE);
    write_normals(p, x, 0);
    int file = mkstemp(strcpy(path, "/tmp/guise-tuning-XXXXXX"));
    ck_assert_int_ge(file, 0);
    close(file);
    return true;
}

static void end(void)
{
    unlink(path);
    prog_free(p);
    store_free(s);
}

static Plan *compile(const char *tuning)
{
    return plan_compile(p, (PlanOpts){.name = "tuned", .outputs = VALS(y), .tuning = tuning});
}

static void print_choices(const void *plan, FILE *to)
{
    MUST(plan_choices(plan, to));
}

static void answer(Plan *plan, double *out)
{
    MUST(plan_run(plan));
    MUST(plan_read_double(plan, y, out));
}

static void write_text(const char *text)
{
    MUST(file_write(path, text, strlen(text)));
}

/* ---------------------------------------------------------------- what is chosen is taken again */
TEST(choices_are_written_and_obeyed)
{
    static const char *const devices[] = {"cpu", "cuda"};
    for (int d = 0; d < 2; d++) {
        if (!begin(devices[d])) {
            printf("without cuda: %s\n", error_text());
            continue;
        }
        Plan *plan = compile(NULL);
        HAVE(plan);
        char *text = printed(print_choices, plan);
        double first[28], again[28];
        answer(plan, first);
        plan_free(plan);
        if (!d)
            ck_assert_int_eq(count_of(text, "conv2d@cpu"), 2);
        ck_assert_int_eq(count_of(text, "\t"), count_of(text, "\n"));
        write_text(text);
        plan = compile(path);
        HAVE(plan);
        char *same = printed(print_choices, plan);
        ck_assert_str_eq(same, text);
        for (int t = 0; t < plan->nsteps; t++)   /* each choice came from the table */
            ck_assert(!*plan->steps[t].call.chosen || plan->steps[t].call.tuning);
        answer(plan, again);
        ck_assert_mem_eq(first, again, sizeof first);
        plan_free(plan);
        free(same);
        free(text);
        end();
    }
}

/* The text with every algorithm replaced. */
static char *with_algorithm(const char *text, const char *algorithm)
{
    size_t room = strlen(text) + (size_t)count_of(text, "\n") * (strlen(algorithm) + 1) + 1;
    char *out = must_zalloc(room), *to = out;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        to += sprintf(to, "%.*s\t%s\n", (int)strcspn(line, "\t"), line, algorithm);
    return out;
}

TEST(other_algorithms_can_be_asked_for)
{
    ck_assert(begin("cpu"));
    Plan *plan = compile(NULL);
    HAVE(plan);
    char *text = printed(print_choices, plan), *own = with_algorithm(text, "own");
    double usual[28], other[28];
    answer(plan, usual);
    plan_free(plan);
    write_text(own);
    plan = compile(path);
    HAVE(plan);
    char *now = printed(print_choices, plan);
    ck_assert_str_eq(now, own);
    ck_assert_int_eq(count_of(now, "\town\n"), count_of(now, "\n"));
    answer(plan, other);
    ck_assert_double_le(far_apart(usual, other, 28), TOLERANCE_NETWORK);
    if (strcmp(text, own))
        ck_assert_msg(memcmp(usual, other, sizeof usual) != 0, "another algorithm gave the same bits: was it taken?");
    plan_free(plan);
    /* A table of other shapes changes nothing. */
    write_text("# a comment\n\nconv2d@cpu[stride=9](1,1)\town\n");
    plan = compile(path);
    HAVE(plan);
    answer(plan, other);
    ck_assert_mem_eq(usual, other, sizeof usual);
    plan_free(plan);
    free(text);
    free(own);
    free(now);
    end();
}

/* ---------------------------------------------------------------- what cannot be obeyed is refused */
TEST(unknown_algorithms_are_refused)
{
    ck_assert(begin("cpu"));
    Plan *plan = compile(NULL);
    HAVE(plan);
    char *text = printed(print_choices, plan), *unknown = with_algorithm(text, "abacus");
    plan_free(plan);
    write_text(unknown);
    ck_assert_msg(!compile(path), "an unknown algorithm was replaced by another");
    ck_assert_msg(strstr(error_text(), "abacus") && strstr(error_text(), "conv2d"), "%s", error_text());
    ck_assert_ptr_null(prog_error(p));
    plan = compile(NULL);   /* the program is whole */
    HAVE(plan);
    plan_free(plan);
    free(text);
    free(unknown);
    end();
}

TEST(broken_tables_are_refused)
{
    static const struct {
        const char *text, *line;
    } broken[] = {
        {"no tab here\n", "line 1"}, {"# fine\nkey\town\nkey own\n", "line 3"}, {"key\t\n", "line 1"},
        {"\n\n\town\n", "line 3"}, {"key\town\nhalf a lin", "line 2"},
    };
    ck_assert(begin("cpu"));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_text(broken[i].text);
        Plan *plan = compile(path);
        ck_assert_ptr_null(plan);
        ck_assert_msg(strstr(error_text(), broken[i].line) && strstr(error_text(), path), "%s", error_text());
        ck_assert_ptr_null(prog_error(p));
    }
    /* Empty, without a last newline, or not there yet: fine. */
    static const char *const fine[] = {"", "key\town", "# only a comment"};
    for (int i = 0; i < 4; i++) {
        if (i < 3)
            write_text(fine[i]);
        else
            unlink(path);
        Plan *plan = compile(path);
        HAVE(plan);
        plan_free(plan);
    }
    /* A folder is no table. */
    ck_assert_ptr_null(compile("/tmp"));
    end();
}

TEST(keys_tell_calls_apart)
{
    ck_assert(begin("cpu"));
    Plan *plan = compile(NULL);
    HAVE(plan);
    char *keys[16] = {0};
    int n = 0;
    for (int t = 0; t < plan->nsteps && n < 16; t++) {
        char key[512];
        if (!*plan->steps[t].call.chosen)
            continue;
        tuning_key(&plan->steps[t].call, key, sizeof key);
        ck_assert_ptr_null(strpbrk(key, " \t\n"));
        keys[n++] = must_strdup(key);
    }
    ck_assert_int_ge(n, 3);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(keys[i], keys[j]);
    ck_assert_ptr_nonnull(strstr(keys[0], "(4,32,12,12)(48,32,3,3)"));
    for (int i = 0; i < n; i++)
        free(keys[i]);
    plan_free(plan);
    end();
}

/* Plans that name no table take the process's. */
TEST(a_table_for_all_plans)
{
    ck_assert(begin("cpu"));
    Plan *plan = compile(NULL);
    HAVE(plan);
    char *text = printed(print_choices, plan), *own = with_algorithm(text, "own");
    plan_free(plan);
    write_text(own);
    MUST(engine_tuning(path));
    plan = compile(NULL);
    HAVE(plan);
    char *now = printed(print_choices, plan);
    ck_assert_str_eq(now, own);
    plan_free(plan);
    write_text("broken\n");
    ck_assert_int_eq(engine_tuning(path), -1);
    MUST(engine_tuning(NULL));
    plan = compile(NULL);
    HAVE(plan);
    free(now);
    now = printed(print_choices, plan);
    ck_assert_str_eq(now, text);
    plan_free(plan);
    free(text);
    free(own);
    free(now);
    end();
}

TEST_MAIN("tuning", choices_are_written_and_obeyed, other_algorithms_can_be_asked_for, unknown_algorithms_are_refused,
          broken_tables_are_refused, keys_tell_calls_apart, a_table_for_all_plans)
