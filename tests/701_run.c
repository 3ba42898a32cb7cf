/* 701_run.c - run folders and stages: made once, resumed after a kill, locked between programs. */
#include "tests/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/file.h"
#include "experiments/common/run.h"

static char folder[] = "/tmp/guise-run-XXXXXX";
static const char *const sections[] = {"synthesis", NULL};
static const StageKey key = {.name = "synthesis", .version = 1, .sections = sections};

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void finish(void)
{
    char *command = must_printf("chmod -R u+w %s && rm -rf %s", folder, folder);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static void nap(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&t, NULL);
}

static void put(const Stage *s, const char *file, const char *text)
{
    char *path = stage_path(s, file);
    MUST(file_write(path, text, strlen(text)));
    free(path);
}

static char *get(const char *dir, const char *file)
{
    size_t size;
    char *path = must_printf("%s/%s", dir, file), *text = file_read(path, &size);
    HAVE(text);
    free(path);
    return text;
}

static int has(const Stage *s, const char *file)
{
    char *path = stage_path(s, file);
    int there = file_exists(path);
    free(path);
    return there;
}

TEST(a_stage_is_made_once)
{
    begin();
    Config *c = config_create();
    Run *run = run_open(c, folder);
    HAVE(run);
    Stage *s = stage_begin(run, &key);
    HAVE(s);
    ck_assert(!s->done && !s->begun);
    put(s, "result", "42");
    Hash first = s->hash;
    ck_assert(hash_equal(first, stage_hash(run, &key)));
    MUST(stage_done(s));
    ck_assert(s->done && has(s, "result"));
    stage_leave(s);

    s = stage_begin(run, &key);
    HAVE(s);
    ck_assert(s->done);
    ck_assert(has(s, "result"));
    MUST(stage_done(s));
    stage_leave(s);

    /* each part of the key makes another stage */
    StageKey other[4] = {key, key, key, key};
    other[0].version = 2;
    other[1].extra = "cuda";
    other[2].inputs = &first;
    other[2].n_inputs = 1;
    other[3].name = "synthesis2";
    for (int i = 0; i < 4; i++) {
        ck_assert(!hash_equal(first, stage_hash(run, &other[i])));
        for (int k = 0; k < i; k++)
            ck_assert(!hash_equal(stage_hash(run, &other[k]), stage_hash(run, &other[i])));
    }
    run_close(run);
    MUST(config_set(c, "synthesis.z=7"));
    run = run_open(c, folder);
    HAVE(run);
    ck_assert(!hash_equal(first, stage_hash(run, &key)));
    run_close(run);
    config_free(c);
    finish();
}

/* A child begins the stage, writes a part and is killed; the parent finds the part and finishes. */
TEST(a_killed_program_is_resumed)
{
    begin();
    Config *c = config_create();
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (!child) {
        Run *run = run_open(c, folder);
        Stage *s = stage_begin(run, &key);
        put(s, "half", "1");
        put(s, "left.123.tmp", "cut off");
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    Run *run = run_open(c, folder);
    HAVE(run);
    Stage *s = stage_begin(run, &key);
    HAVE(s);
    ck_assert(!s->done && s->begun && has(s, "half") && !has(s, "left.123.tmp"));
    MUST(stage_done(s));
    ck_assert(has(s, "half"));
    stage_leave(s);
    run_close(run);
    config_free(c);
    finish();
}

/* While one holds the stage, another waits, and then finds it done (or, when it was left, takes it over). */
TEST(a_second_program_waits)
{
    for (int done = 0; done < 2; done++) {
        strcpy(folder, "/tmp/guise-run-XXXXXX");
        begin();
        Config *c = config_create();
        Run *run = run_open(c, folder);
        HAVE(run);
        Stage *s = stage_begin(run, &key);
        HAVE(s);
        char *log = must_printf("%s/log", folder);
        pid_t child = fork();
        if (!child) {
            int fd = open(log, O_WRONLY | O_CREAT, 0666);
            dup2(fd, STDERR_FILENO);
            close(s->lock);   /* the copy that fork made would hold the lock too */
            Run *second = run_open(c, folder);
            Stage *t = stage_begin(second, &key);
            _exit(!t ? 9 : has(t, "last") ? 10 + t->done : 8);
        }
        char *said = NULL;
        for (; !said || !strchr(said, '\n'); nap(0.01)) {
            free(said);
            said = file_exists(log) ? get(folder, "log") : NULL;
            ck_assert_int_eq(waitpid(child, NULL, WNOHANG), 0);
        }
        char *pid = must_printf("(process %ld)", (long)getpid());
        ck_assert_msg(strstr(said, "waiting") && strstr(said, pid), "%s", said);
        put(s, "last", "x");
        if (done)
            MUST(stage_done(s));
        stage_leave(s);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 10 + done);
        free(said);
        free(pid);
        free(log);
        run_close(run);
        config_free(c);
        finish();
    }
}

/* Thirty programs, each killed at a random moment, then one that is not: the counter in the stage goes from 0 to 120
 * exactly once. Those to be killed count three at most and then wait, so that none ends first on a slow machine. */
TEST(kills_at_random_moments)
{
    begin();
    Config *c = config_create();
    unsigned state = 1;
    int status = 1;
    for (int round = 0; round <= 30; round++) {
        int killed = round < 30;
        pid_t child = fork();
        if (!child) {
            Run *run = run_open(c, folder);
            Stage *s = run ? stage_begin(run, &key) : NULL;
            if (!s)
                _exit(3);
            int at = 0;
            if (has(s, "counter")) {
                char *text = get(s->dir, "counter");
                at = atoi(text);
                free(text);
            }
            for (int steps = 0; at < 120; steps++) {
                if (killed && steps == 3)
                    pause();
                char number[12];
                snprintf(number, sizeof number, "%d", ++at);
                put(s, "counter", number);
                nap(0.001);
            }
            _exit(stage_done(s) ? 4 : 0);
        }
        if (killed) {
            state = state * 1103515245u + 12345u;
            nap(0.001 * (state >> 16 & 15));
            kill(child, SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(killed ? WIFSIGNALED(status) : WIFEXITED(status) && !WEXITSTATUS(status));
    }
    Run *run = run_open(c, folder);
    HAVE(run);
    Stage *s = stage_begin(run, &key);
    HAVE(s);
    ck_assert(s->done);
    char *text = get(s->dir, "counter");
    ck_assert_str_eq(text, "120");
    free(text);
    stage_leave(s);
    run_close(run);
    config_free(c);
    finish();
}

/* Of those who wait for a program that is killed, exactly one takes over; the others wait on. */
TEST(a_killed_program_has_one_heir)
{
    begin();
    Config *c = config_create();
    char *made = must_printf("%s/made", folder);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child[4];
    for (int i = 0; i < 4; i++) {
        child[i] = fork();
        if (!child[i]) {
            if (!freopen("/dev/null", "w", stderr))
                _exit(7);
            Run *run = run_open(c, folder);
            Stage *s = stage_begin(run, &key);
            if (!s)
                _exit(9);
            if (i == 0 && write(ready[1], "x", 1) == 1)
                pause();
            if (!s->done) {
                int fd = open(made, O_WRONLY | O_CREAT | O_APPEND, 0666);
                nap(0.2);
                if (write(fd, "x", 1) != 1 || stage_done(s))
                    _exit(8);
            }
            _exit(0);
        }
        char byte;
        if (i == 0)
            ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    }
    nap(0.3);
    kill(child[0], SIGKILL);
    for (int i = 0; i < 4; i++) {
        int status;
        ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
        if (i)
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    char *marks = get(folder, "made");
    ck_assert_str_eq(marks, "x");
    free(marks);
    free(made);
    config_free(c);
    finish();
}

TEST(keeps_what_it_was_made_with)
{
    begin();
    Config *c = config_create(), *d = config_create(), *back = config_create();
    run_close(run_open(c, folder));
    run_close(run_open(c, folder));
    char *path = must_printf("%s/config.ini", folder), *hardware = get(folder, "hardware.txt");
    MUST(config_read(back, path));
    ck_assert_int_gt((int)strlen(hardware), 10);
    ck_assert_ptr_null(strstr(strstr(hardware, "\n\n") + 2, "\n\n"));   /* once, though it was opened twice */
    MUST(config_set(d, "synthesis.z=7"));
    for (int i = 0; i < 2; i++)
        run_close(run_open(d, folder));
    char *list = must_printf("test $(ls %s/config*.ini | wc -l) = 2", folder);
    ck_assert_int_eq(system(list), 0);

    Run *run = run_open(c, folder);
    HAVE(run);
    MUST(run_note(run, "note.txt", "ab"));
    MUST(run_note(run, "note.txt", "a"));
    MUST(run_note(run, "note.txt", "ab"));
    char *note = get(folder, "note.txt");
    ck_assert_str_eq(note, "ab\n\na\n\n");
    run_close(run);
    free(note);
    free(list);
    free(hardware);
    free(path);
    config_free(c);
    config_free(d);
    config_free(back);
    finish();
}

TEST(a_folder_that_cannot_be_written)
{
    begin();
    Config *c = config_create();
    char *file = must_printf("%s/file", folder), *below = must_printf("%s/file/run", folder);
    MUST(file_write(file, "", 0));
    ck_assert_ptr_null(run_open(c, below));
    ck_assert_msg(strstr(error_text(), "run folder") && strstr(error_text(), "cannot make this folder"), "%s",
                  error_text());
    free(file);
    free(below);
    if (!geteuid()) {
        /* root may write anywhere; a stage whose description is another's is the remaining case */
        Run *run = run_open(c, folder);
        HAVE(run);
        Stage *s = stage_begin(run, &key);
        HAVE(s);
        put(s, "stage.txt", "something else");
        MUST(stage_done(s));
        stage_leave(s);
        ck_assert_ptr_null(stage_begin(run, &key));
        ck_assert_msg(strstr(error_text(), "describes another stage") != NULL, "%s", error_text());
        run_close(run);
    } else {
        Run *run = run_open(c, folder);
        HAVE(run);
        Stage *s = stage_begin(run, &key);
        HAVE(s);
        MUST(stage_done(s));
        stage_leave(s);
        run_close(run);
        char *lock = must_printf("chmod -R a-w %s", folder);
        ck_assert_int_eq(system(lock), 0);
        free(lock);
        run = run_open(c, folder);   /* what is done can be read */
        HAVE(run);
        s = stage_begin(run, &key);
        HAVE(s);
        ck_assert(s->done);
        stage_leave(s);
        StageKey other = key;
        other.version = 2;
        ck_assert_ptr_null(stage_begin(run, &other));
        ck_assert_msg(strstr(error_text(), "writable") != NULL, "%s", error_text());
        run_close(run);
    }
    config_free(c);
    finish();
}

TEST_MAIN("run", a_stage_is_made_once, a_killed_program_is_resumed, a_second_program_waits, kills_at_random_moments,
          a_killed_program_has_one_heir, keeps_what_it_was_made_with, a_folder_that_cannot_be_written)
