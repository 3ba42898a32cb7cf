/* 703_tables.c - what people look at: tables, the paper's numbers, progress, curves, sheets of faces. */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "engine/file.h"
#include "experiments/common/curve.h"
#include "experiments/common/paper.h"
#include "experiments/common/progress.h"
#include "experiments/common/sheet.h"
#include "experiments/common/table.h"

static char *scratch_file(void)
{
    char *path = must_strdup("/tmp/guise-tables-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return path;
}

static void expect_file(const char *path, const char *wanted)
{
    size_t size;
    char *text = file_read(path, &size);
    HAVE(text);
    ck_assert_str_eq(text, wanted);
    free(text);
}

static void expect_printed(const Table *t, void (*print)(const Table *, FILE *), const char *wanted)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    print(t, out);
    fclose(out);
    ck_assert_str_eq(text, wanted);
    free(text);
}

static Table *example(void)
{
    Table *t = table_create("Table 3");
    table_column(t, "set");
    table_column(t, "EER, %");
    table_column(t, "n");
    table_row(t);
    table_text(t, "Original");
    table_number(t, 2.125, 2);
    table_std(t, 0.5);
    table_interval(t, 1.5, 10);
    table_paper(t, 2.21, 0.39);
    table_number(t, 18143, 0);
    table_row(t);
    table_text(t, "\xC3\x89t\xC3\xA9 \"2\"");
    table_number(t, 12, 2);
    table_row(t);
    table_text(t, "none");
    table_number(t, NAN, 2);
    table_std(t, NAN);
    table_paper(t, 3, NAN);
    table_text(t, "-");
    table_note(t, "Each mean is over five.");
    return t;
}

TEST(tables_are_aligned)
{
    Table *t = example();
    expect_printed(t, table_print,
                   "Table 3\n\n"
                   "set            EER, %       interval        paper      n\n"
                   "--------------------------------------------------------\n"
                   "Original  2.12 (0.50)  [1.50, 10.00]  2.21 (0.39)  18143\n"
                   "\xC3\x89t\xC3\xA9 \"2\"         12.00\n"
                   "none                -                        3.00      -\n"
                   "\nEach mean is over five.\n");
    table_free(t);
}

TEST(tables_for_programs)
{
    Table *t = example();
    expect_printed(t, table_print_csv,
                   "set,\"EER, %\",\"EER, %_std\",\"EER, %_low\",\"EER, %_high\",\"EER, %_paper\","
                   "\"EER, %_paper_std\",n\n"
                   "Original,2.125,0.5,1.5,10,2.21,0.39,18143\n"
                   "\"\xC3\x89t\xC3\xA9 \"\"2\"\"\",12,,,,,,\n"
                   "none,,,,,3,,-\n");
    expect_printed(t, table_print_json,
                   "{\"title\": \"Table 3\",\n \"rows\": [\n"
                   "  {\"set\": \"Original\", \"EER, %\": {\"value\": 2.125, \"std\": 0.5, \"low\": 1.5, \"high\": 10, "
                   "\"paper\": 2.21, \"paper_std\": 0.39}, \"n\": {\"value\": 18143}},\n"
                   "  {\"set\": \"\xC3\x89t\xC3\xA9 \\\"2\\\"\", \"EER, %\": {\"value\": 12}, \"n\": \"\"},\n"
                   "  {\"set\": \"none\", \"EER, %\": {\"value\": null, \"paper\": 3}, \"n\": \"-\"}],\n"
                   " \"notes\": [\"Each mean is over five.\"]}\n");
    char *path = scratch_file();
    MUST(table_save(t, path));
    static const char *const suffixes[] = {"csv", "json", "txt"};
    for (int i = 0; i < 3; i++) {
        char *file = must_printf("%s.%s", path, suffixes[i]);
        ck_assert(file_exists(file));
        unlink(file);
        free(file);
    }
    unlink(path);
    ck_assert_int_eq(table_save(t, "/nowhere/at/all"), -1);
    free(path);
    table_free(t);
}

TEST(the_papers_numbers)
{
    Paper *p = paper_read(NULL);
    HAVE(p);
    ck_assert_int_eq(p->n, 182);
    const PaperNumber *x = paper_find(p, 3, "Original", "Test/18143");
    HAVE(x);
    ck_assert_double_eq(x->mean, 2.21);
    ck_assert_double_eq(x->std, 0.39);
    ck_assert_str_eq(x->unit, "EER_percent");
    ck_assert_ptr_null(paper_find(p, 3, "Original", "Test/18144"));
    static const int counts[6] = {0, 72, 12, 32, 24, 42};
    for (int table = 1; table <= 5; table++) {
        int n = 0;
        for (int i = 0; i < p->n; i++)
            n += p->number[i].table == table;
        ck_assert_int_eq(n, counts[table]);
    }
    paper_free(p);

    char *path = scratch_file();
    static const char *const wrong[] = {"table,row\n1,2\n", "table,row,column,mean,std,unit\n1,a,b,x,1,u\n",
                                        "table,row,column,mean,std,unit\n1,a,b,1,1,u\n1,a,b,1,1,u\n",
                                        "table,row,column,mean,std,unit\n1,a,b,1\n"};
    for (int i = 0; i < 4; i++) {
        MUST(file_write(path, wrong[i], strlen(wrong[i])));
        ck_assert_ptr_null(paper_read(path));
        ck_assert_msg(strstr(error_text(), path) != NULL, "%s", error_text());
    }
    unlink(path);
    free(path);
}

static double now;
static double test_clock(void)
{
    return now;
}

static Progress test_progress(FILE *out, int terminal, int quiet)
{
    Progress p;
    progress_begin(&p, "work", "steps", 300, 100, quiet);
    p.stream = out;
    p.terminal = terminal;
    p.clock = test_clock;
    p.began = p.shown = now = 50;
    return p;
}

TEST(progress_in_a_log_on_a_terminal_and_quiet)
{
    static const char *const wanted[3] = {
        "work  150/300 (50 %)  5.00 steps/s  0:30 left  loss 0.25\n"
        "work  200 steps in 0:21 (4.76/s)\n",
        "\rwork  101/300 (33 %)  1.00 steps/s  3:19 left"
        "\rwork  150/300 (50 %)  5.00 steps/s  0:30 left  loss 0.25"
        "\rwork  200/300 (66 %)  4.76 steps/s  0:21 left           "
        "\rwork  200 steps in 0:21 (4.76/s)             \n",
        "",
    };
    for (int mode = 0; mode < 3; mode++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        Progress p = test_progress(out, mode == 1, mode == 2);
        progress_step(&p, 101, " %s", "not yet");
        now = 51;
        progress_step(&p, 101, "%s", "");
        now = 60;
        progress_step(&p, 150, "loss %.2f", 0.25);
        now = 60.05;
        progress_step(&p, 151, "%s", "too soon");
        now = 71;
        if (mode == 0)
            p.shown = 71;   /* a second line is not due in the log of this test */
        progress_step(&p, 200, "%s", "");
        progress_end(&p);
        fclose(out);
        ck_assert_str_eq(text, wanted[mode]);
        free(text);
    }
    char t[32];
    progress_time(59.6, t);
    ck_assert_str_eq(t, "1:00");
    progress_time(3 * 3600 + 5 * 60 + 9, t);
    ck_assert_str_eq(t, "3:05:09");
    progress_time(INFINITY, t);
    ck_assert_str_eq(t, "?");
}

/* A curve that was cut at any byte and resumed from step 20 ends as the same bytes. */
TEST(curves_resume_to_the_same_bytes)
{
    static const char *const names[] = {"g", "d,x"};
    static const char whole[] = "step,g,\"d,x\"\n10,1,0.100000001\n20,2,-3\n30,3,nan\n40,4,1e-30\n";
    static const double rows[4][2] = {{1, 0.1f}, {2, -3}, {3, NAN}, {4, 1e-30f}};
    char *path = scratch_file();
    Curve c;
    MUST(curve_open(&c, path, names, 2, -1));
    for (int i = 0; i < 4; i++)
        MUST(curve_row(&c, 10 * (i + 1), rows[i]));
    MUST(curve_close(&c));
    expect_file(path, whole);
    /* a checkpoint at step 20 is written after the row of step 20: cuts are later than that */
    size_t after = (size_t)(strstr(whole, "30,") - whole);
    for (size_t cut = after; cut <= strlen(whole); cut++) {
        MUST(file_write(path, whole, cut));
        MUST(curve_open(&c, path, names, 2, 20));
        ck_assert_int_eq(c.last, 20);
        MUST(curve_row(&c, 30, rows[2]));
        MUST(curve_row(&c, 40, rows[3]));
        MUST(curve_close(&c));
        expect_file(path, whole);
    }
    MUST(curve_open(&c, path, names, 2, -1));   /* a training that begins anew */
    MUST(curve_close(&c));
    expect_file(path, "step,g,\"d,x\"\n");

    static const char *const other[] = {"g"};
    ck_assert_int_eq(curve_open(&c, path, other, 1, 20), -1);
    ck_assert_msg(strstr(error_text(), "other columns than step,g: remove it") != NULL, "%s", error_text());
    static const char broken[] = "step,g,\"d,x\"\n10,1\n20,1,2\n";
    MUST(file_write(path, broken, strlen(broken)));
    ck_assert_int_eq(curve_open(&c, path, names, 2, 20), -1);
    ck_assert_msg(strstr(error_text(), "broken") != NULL, "%s", error_text());
    ck_assert_int_eq(curve_open(&c, "/nowhere/c.csv", names, 2, -1), -1);
    unlink(path);
    free(path);
}

TEST(sheets_hold_faces_at_their_places)
{
    Sheet s = sheet_create(3, 2, 2, 1);
    ck_assert_int_eq(s.image.width, 10);
    ck_assert_int_eq(s.image.height, 7);
    static const float red[12] = {1, 1, 1, 1, -1, -1, -1, -1, 0, 0.5f, 9, NAN};
    static const uint8_t bytes[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    sheet_floats(&s, 1, 0, red);
    sheet_bytes(&s, 2, 1, bytes);
    sheet_bytes(&s, 3, 1, bytes);    /* beyond */
    sheet_bytes(&s, 0, -1, bytes);
    static const uint8_t wanted_red[2][6] = {{255, 0, 128, 255, 0, 191}, {255, 0, 255, 255, 0, 0}};
    static const uint8_t wanted_bytes[2][6] = {{1, 5, 9, 2, 6, 10}, {3, 7, 11, 4, 8, 12}};
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 10; x++) {
            const uint8_t *at = s.image.rgb + 3 * (y * 10 + x);
            int in_red = x >= 4 && x < 6 && y >= 1 && y < 3, in_bytes = x >= 7 && x < 9 && y >= 4 && y < 6;
            for (int k = 0; k < 3; k++)
                ck_assert_int_eq(at[k], in_red     ? wanted_red[y - 1][3 * (x - 4) + k]
                                        : in_bytes ? wanted_bytes[y - 4][3 * (x - 7) + k]
                                                   : 255);
        }
    Sheet filled = sheet_create(2, 1, 2, 0);
    float images[36];
    for (int i = 0; i < 36; i++)
        images[i] = i < 12 ? -1 : i < 24 ? 1 : 0;
    sheet_fill(&filled, images, 3);   /* the third has no cell */
    ck_assert_int_eq(filled.image.rgb[0], 0);
    ck_assert_int_eq(filled.image.rgb[6], 255);
    char *path = scratch_file();
    MUST(sheet_write(&filled, path));
    Image back;
    MUST(image_read(path, &back));
    ck_assert_int_eq(back.width, 4);
    ck_assert_mem_eq(back.rgb, filled.image.rgb, 24);
    image_free(&back);
    unlink(path);
    free(path);
    sheet_free(&s);
    sheet_free(&filled);
}

TEST_MAIN("tables", tables_are_aligned, tables_for_programs, the_papers_numbers,
          progress_in_a_log_on_a_terminal_and_quiet, curves_resume_to_the_same_bytes, sheets_hold_faces_at_their_places)
