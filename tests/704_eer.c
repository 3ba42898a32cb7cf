/* 704_eer.c - files of scores, and the program eer on them. */
#include "tests/test.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/file.h"
#include "experiments/common/names.h"
#include "experiments/common/scores.h"

static char *write_file(const char *text)
{
    char *path = must_strdup("/tmp/guise-scores-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    MUST(file_write(path, text, strlen(text)));
    return path;
}

static void refuse(const char *text, const char *reason)
{
    char *path = write_file(text), *wanted = must_printf("%s: %s", path, reason);
    ScoreFile f;
    ck_assert_int_eq(scores_read(path, &f), -1);
    ck_assert_str_eq(error_text(), wanted);
    unlink(path);
    free(path);
    free(wanted);
}

TEST(columns_in_any_order)
{
    char *path = write_file("\xEF\xBB\xBFnote,match,person_b,score,person_a\r\n"
                            "\"a, b\",1,zoe,0.5,zoe\r\n\r\n\"two\nlines\",false,ann,-1e-3,zoe\nx,TRUE,bob,7,bob");
    ScoreFile f;
    MUST(scores_read(path, &f));
    ck_assert_int_eq(f.trials.n, 3);
    ck_assert_int_eq(f.trials.people, 3);
    ck_assert(f.scores[0] == 0.5 && f.scores[1] == -1e-3 && f.scores[2] == 7);
    ck_assert(f.match[0] == 1 && f.match[1] == 0 && f.match[2] == 1);
    ck_assert(f.a[0] == 2 && f.b[0] == 2 && f.a[1] == 2 && f.b[1] == 0 && f.a[2] == 1);
    static const char *const names[] = {"a,1", "b", "c"};
    MUST(scores_write(path, &f.trials, f.scores, names));
    size_t size;
    char *text = file_read(path, &size);
    HAVE(text);
    ck_assert_str_eq(text, "score,match,person_a,person_b\n0.5,1,c,c\n-0.001,0,c,\"a,1\"\n7,1,b,b\n");
    free(text);
    scores_free(&f);
    MUST(scores_read(path, &f));
    ck_assert(f.trials.people == 3 && f.scores[1] == -1e-3 && f.b[1] == 0);
    scores_free(&f);
    unlink(path);
    free(path);
}

TEST(refuses_with_the_line)
{
    refuse("", "its first line must name the columns, score and match among them");
    refuse("score,label\n1,1\n", "its first line must name the columns, score and match among them");
    refuse("0.5,1\n", "its first line must name the columns, score and match among them");
    refuse("score,match,score\n1,1,1\n", "line 1: two columns are called score");
    refuse("score,match,person_a\n1,1,x\n", "there is person_a or person_b, but not both");
    refuse("score,match\n", "no scores after the first line");
    refuse("score,match\n0.5,1\n0.5\n", "line 3: 1 columns, the first line has 2");
    refuse("score,match\n0.5,1\n0.5,1,2\n", "line 3: 3 columns, the first line has 2");
    refuse("score,match\n0.5,1\nx,1\n", "line 3: score 'x' is not a finite number");
    refuse("score,match\n0.5x,1\n", "line 2: score '0.5x' is not a finite number");
    refuse("score,match\nnan,1\n", "line 2: score 'nan' is not a finite number");
    refuse("score,match\n,1\n", "line 2: score '' is not a finite number");
    refuse("score,match\n1,2\n", "line 2: match '2' is not 1 or 0");
    refuse("score,match,person_a,person_b\n1,1,x,\n", "line 2: a person without a name");
    refuse("score,match,person_a,person_b\n1,1,x,y\n", "line 2: match is 1, but the people are 'x' and 'y'");
    refuse("score,match,person_a,person_b\n1,0,x,x\n", "line 2: match is 0, but the people are 'x' and 'x'");
    ScoreFile f;
    ck_assert_int_eq(scores_read("/nowhere/x.csv", &f), -1);
}

/* Output and exit status of the program with a file of scores in place of FILE. */
static int run_eer(const char *eer, const char *file, const char *options, char *output, size_t size)
{
    char *command = must_printf("%s --scores %s %s 2>&1", eer, file, options);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    output[fread(output, 1, size - 1, pipe)] = 0;
    int status = pclose(pipe);
    ck_assert(WIFEXITED(status));
    free(command);
    return WEXITSTATUS(status);
}

TEST(the_program)
{
    char *eer = resource_path("build/bin/eer"), output[4096];
    if (!file_exists(eer)) {
        free(eer);
        SKIP("build/bin/eer is not built");
    }
    char *path = write_file("score,match,person_a,person_b\n"
                            "1.5,1,a,a\n2,0,a,b\n1,0,b,c\n0,0,a,c\n9,1,b,b\n8,1,c,c\n");
    ck_assert_int_eq(run_eer(eer, path, "--similarity", output, sizeof output), 0);
    ck_assert_msg(strstr(output, "EER            33.333 %\n") != NULL, "%s", output);
    ck_assert_msg(strstr(output, "1000 replicates over people") != NULL, "%s", output);
    ck_assert_int_eq(run_eer(eer, path, "--distance --json --bootstrap 0", output, sizeof output), 0);
    ck_assert_msg(strstr(output, "{\"eer\": 0.6666666666666666,\n \"threshold\":") != NULL, "%s", output);
    ck_assert_ptr_null(strstr(output, "interval"));
    ck_assert_int_eq(run_eer(eer, path, "", output, sizeof output), 2);
    ck_assert_str_eq(output, "eer: either --distance or --similarity must say which scores are alike\n");
    ck_assert_int_eq(run_eer(eer, path, "--distance --similarity", output, sizeof output), 2);
    ck_assert_int_eq(run_eer(eer, path, "--distanse", output, sizeof output), 2);
    ck_assert_str_eq(output, "eer: --distanse: no such option: did you mean distance?\n");
    ck_assert_int_eq(run_eer(eer, "/nowhere/x.csv", "--distance", output, sizeof output), 1);
    ck_assert_str_eq(output, "eer: /nowhere/x.csv: No such file or directory\n");
    MUST(file_write(path, "score,match\n1,1\n", 16));
    ck_assert_int_eq(run_eer(eer, path, "--distance", output, sizeof output), 1);
    unlink(path);
    free(path);
    free(eer);
}

TEST_MAIN("eer", columns_in_any_order, refuses_with_the_line, the_program)
