/* children.h - the built programs as child processes: their exit status and their words. */
#ifndef GUISE_TEST_CHILDREN_H
#define GUISE_TEST_CHILDREN_H

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/file.h"
#include "tests/test.h"

enum { NOBODY = 1, SMALL_FILES = 2 };   /* circumstances: another user where we are root; no file over 2 KiB */

typedef struct Outcome {
    int status;
    char text[32768];   /* standard output and standard error */
} Outcome;

/* FOLDER/NAME; the caller frees it. */
static inline char *in(const char *folder, const char *name)
{
    return must_printf("%s/%s", folder, name);
}

/* Path of a built program: beside the tests (BUILD/tests/x -> BUILD/bin), NULL if it is not there. */
static inline char *program_path(const char *name)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return NULL;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    char *path = must_printf("%s/../bin/%s", self, name);
    if (file_exists(path))
        return path;
    free(path);
    return NULL;
}

static inline void child(int circumstances, const char *path, char **argv, int out)
{
    if (circumstances & SMALL_FILES) {
        signal(SIGXFSZ, SIG_IGN);   /* writing fails instead, as on a full disk */
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){2048, 2048});
    }
    if ((circumstances & NOBODY) && !geteuid() && (setgid(65534) || setuid(65534)))
        _exit(99);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(path, argv);
    _exit(98);
}

/* Starts a program whose words go to `out`. */
static inline pid_t start_words(int circumstances, const char *program, char **argv, int out)
{
    char *path = program_path(program);
    ck_assert_msg(path != NULL, "%s is not built", program);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid)
        child(circumstances, path, argv, out);
    free(path);
    return pid;
}

/* What a program takes before it begins: where CUDA's libraries are linked, they are 200 MB and tenths of a second. */
typedef struct Cost {
    useconds_t time;
    long megabytes;   /* the most it held */
} Cost;

/* Of a run that must succeed. */
static inline Cost cost_of_run(const char *program, char **argv, int out)
{
    struct rusage used;
    struct timespec began, now;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t pid = start_words(0, program, argv, out);
    ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
    ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
    clock_gettime(CLOCK_MONOTONIC, &now);
    long us = (now.tv_sec - began.tv_sec) * 1000000 + (now.tv_nsec - began.tv_nsec) / 1000;
    return (Cost){(useconds_t)us, used.ru_maxrss / 1024};
}

static inline Cost cost_of_start(const char *program, int out)
{
    char *argv[] = {(char *)program, "--version", NULL};
    cost_of_run(program, argv, out);   /* the first time its files come from the disk */
    return cost_of_run(program, argv, out);
}

/* What it says until it ends. */
static inline Outcome outcome_of(const char *program, pid_t pid, int ends[2])
{
    Outcome o = {0};
    int status;
    size_t n = 0;
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], o.text + n, sizeof o.text - 1 - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "%s was ended by signal %d:\n%.4000s", program, WTERMSIG(status), o.text);
    o.status = WEXITSTATUS(status);
    return o;
}

static inline Outcome run_words(int circumstances, const char *program, char **argv)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    return outcome_of(program, start_words(circumstances, program, argv, ends[1]), ends);
}

#define RUN(circumstances, program, ...) run_words(circumstances, program, (char *[]){program, __VA_ARGS__, NULL})

/* The program ends with this status, and its text holds these words. */
#define EXPECT(outcome, wanted_status, words)                                                                 \
    do {                                                                                                      \
        Outcome o_ = (outcome);                                                                               \
        ck_assert_msg(o_.status == (wanted_status), "status %d, not %d:\n%.4000s", o_.status, wanted_status, o_.text); \
        ck_assert_msg(strstr(o_.text, words) != NULL, "\"%s\" is not in:\n%.4000s", words, o_.text);               \
    } while (0)

#define NEEDS(name)                                    \
    do {                                               \
        char *needed_ = program_path(name);            \
        if (!needed_)                                  \
            SKIP("the program %s is not built", name); \
        free(needed_);                                 \
    } while (0)

#endif
