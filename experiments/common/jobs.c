/* jobs.c - see jobs.h. */
#include "experiments/common/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/error.h"
#include "experiments/common/progress.h"

enum { LINE = 1024 };

typedef struct Child {
    pid_t pid;            /* 0: this place is free */
    int at, out;          /* its number in the list; where its words come from */
    char label[JOB_LABEL];
    char line[LINE];      /* what has come of a line */
    size_t used;
    char last[LINE];      /* its last line of progress */
    char error[LINE];
} Child;

typedef struct Pool {
    Context *x;
    const Jobs *jobs;
    Child *child;
    int places, busy;
    int done;             /* trainings, with those that were made before */
    char *failure;        /* of the first that failed */
    Progress progress;
} Pool;

/* ---------------------------------------------------------------- in a process that makes one training */
static volatile sig_atomic_t told_to_stop;

static void take_note(int signal_number)
{
    (void)signal_number;
    told_to_stop = 1;
}

int jobs_stopping(const Context *x)
{
    static int asked;
    if (!x->options.only_training)
        return 0;
    if (!asked++)
        sigaction(SIGTERM, &(struct sigaction){.sa_handler = take_note, .sa_flags = SA_RESTART}, NULL);
    return told_to_stop;
}

static int make_one(Context *x, const Jobs *jobs)
{
    int i = x->options.only_training - 1;
    if (i >= jobs->n)
        fail("--only-training %d: there are %d", i + 1, jobs->n);
    else if (!jobs->make(jobs->of, i))
        return 0;
    return context_failed(x);
}

/* ---------------------------------------------------------------- processors */
int jobs_cores(void)
{
    cpu_set_t mine;
    long n = sched_getaffinity(0, sizeof mine, &mine) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&mine);
    return n > 0 ? (int)n : 1;
}

/* Processors of one of n places; 0 if there are too few for its threads, or they are not known. */
static int share_of(int place, int n, int threads, cpu_set_t *share)
{
    cpu_set_t mine;
    CPU_ZERO(share);
    if (sched_getaffinity(0, sizeof mine, &mine))
        return 0;
    int all = CPU_COUNT(&mine), from = all * place / n, to = all * (place + 1) / n, k = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &mine)) {
            if (k >= from && k < to)
                CPU_SET(cpu, share);
            k++;
        }
    return all / n >= threads;
}

/* ---------------------------------------------------------------- starting */
/* The program's own words with what makes it a process for number i, at the front, where "--" does not hide it. */
static char **words_for(const Context *x, int i)
{
    int n = 0;
    while (x->argv[n])
        n++;
    char **words = must_zalloc(sizeof *words * (size_t)(n + 5));
    words[0] = must_strdup(x->argv[0]);
    words[1] = must_printf("--only-training=%d", i + 1);
    words[2] = must_printf("--threads=%d", x->job_threads);
    for (int k = 1; k < n; k++)
        words[k + 2] = must_strdup(x->argv[k]);
    return words;
}

/* Between fork and exec: only what a process of several threads may call there. */
static void become(char **words, pid_t parent, int out, const cpu_set_t *share)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);   /* it ended before the line above */
    if (share)
        sched_setaffinity(0, sizeof *share, share);   /* where that is not allowed it runs anywhere */
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv("/proc/self/exe", words);
    _exit(127);
}

static int start(Pool *p, Child *c, int i)
{
    int ends[2];
    cpu_set_t share;
    pid_t parent = getpid();
    int pinned = share_of((int)(c - p->child), p->places, p->x->job_threads, &share);
    if (pipe2(ends, O_CLOEXEC))
        return fail("no pipe for another process: %s", strerror(errno));
    *c = (Child){.at = i, .out = ends[0]};
    p->jobs->label(p->jobs->of, i, c->label);
    char **words = words_for(p->x, i);
    c->pid = fork();
    if (!c->pid)
        become(words, parent, ends[1], pinned ? &share : NULL);
    int why = errno;
    for (char **w = words; *w; w++)
        free(*w);
    free(words);
    close(ends[1]);
    if (c->pid > 0) {
        p->busy++;
        return 0;
    }
    c->pid = 0;
    close(ends[0]);
    return fail("no process for %s: %s", c->label, strerror(why));
}

/* ---------------------------------------------------------------- listening */
/* In a log every line is shown; on a terminal one line tells of all, and of progress only the last words remain. */
static void hear(Pool *p, Child *c)
{
    int progress = !strncmp(c->line, c->label, strlen(c->label));
    if (!strncmp(c->line, JOB_FAILED, strlen(JOB_FAILED))) {
        snprintf(c->error, sizeof c->error, "%s", c->line + strlen(JOB_FAILED));
    } else if (progress && p->progress.terminal) {
        memcpy(c->last, c->line, sizeof c->last);
    } else {
        progress_clear(&p->progress);
        fprintf(stderr, "%s%s%s\n", progress ? "" : c->label, progress ? "" : ": ", c->line);
    }
    c->used = 0;
}

/* Takes what has come; 0 at its end. */
static int listen_to(Pool *p, Child *c)
{
    char bytes[LINE];
    ssize_t n = read(c->out, bytes, sizeof bytes);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < n; i++) {
        c->line[c->used] = 0;
        if (bytes[i] == '\n')
            hear(p, c);
        else if (c->used < sizeof c->line - 1)
            c->line[c->used++] = bytes[i];
    }
    c->line[c->used] = 0;
    if (!n && c->used)
        hear(p, c);
    return n > 0;
}

static void stop_all(Pool *p, const char *why)
{
    if (p->failure)
        return;
    p->failure = must_strdup(why);
    for (int i = 0; i < p->places; i++)
        if (p->child[i].pid)
            kill(p->child[i].pid, SIGTERM);
    progress_clear(&p->progress);
    if (p->busy && !p->x->quiet)
        fprintf(stderr, "%s: a training failed; those at work stop at their next checkpoint\n",
                p->x->options.program->name);
}

/* A process ended: what became of its training. */
static void bury(Pool *p, Child *c)
{
    int status;
    char why[LINE + JOB_LABEL + 64];
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close(c->out);
    c->pid = 0;
    p->busy--;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) {
        p->done++;
        if (*c->last) {
            progress_clear(&p->progress);
            fprintf(stderr, "%s\n", c->last);
        }
        return;
    }
    if (*c->error)
        snprintf(why, sizeof why, "%s: %s", c->label, c->error);
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "%s: its process was ended by signal %d (%s): run again to go on", c->label,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(why, sizeof why, "%s: its process ended with status %d", c->label, WEXITSTATUS(status));
    stop_all(p, why);
}

static void listen_to_all(Pool *p)
{
    struct pollfd *wait = must_zalloc(sizeof *wait * (size_t)p->places);
    for (int i = 0; i < p->places; i++)
        wait[i] = (struct pollfd){.fd = p->child[i].pid ? p->child[i].out : -1, .events = POLLIN};
    if (poll(wait, (nfds_t)p->places, 200) > 0)
        for (int i = 0; i < p->places; i++)
            if (wait[i].revents && !listen_to(p, &p->child[i]))
                bury(p, &p->child[i]);
    progress_step(&p->progress, p->done, "%d at work", p->busy);
    free(wait);
}

/* ---------------------------------------------------------------- */
int jobs_run(Context *x, const Jobs *jobs)
{
    if (x->options.only_training)
        exit(make_one(x, jobs));
    if (x->jobs < 2)
        return 0;
    Pool p = {.x = x, .jobs = jobs};
    int *missing = must_alloc(sizeof *missing * (size_t)(jobs->n + 1)), n = 0, next = 0;
    for (int i = 0; i < jobs->n; i++)
        if (!jobs->made(jobs->of, i))
            missing[n++] = i;
    p.places = x->jobs < n ? x->jobs : n;
    p.done = jobs->n - n;
    p.child = must_zalloc(sizeof *p.child * (size_t)(p.places + 1));
    signal(SIGCHLD, SIG_DFL);   /* who started us may have had it ignored: nobody could be waited for */
    progress_begin(&p.progress, jobs->name, jobs->unit, jobs->n, p.done, x->quiet || !n);
    do {
        for (int i = 0; i < p.places && !p.failure && next < n; i++)
            if (!p.child[i].pid && start(&p, &p.child[i], missing[next++]))
                stop_all(&p, error_text());
        if (p.busy)
            listen_to_all(&p);
    } while (p.busy || (next < n && !p.failure));
    if (!p.failure)
        progress_end(&p.progress);
    int bad = p.failure ? fail("%s", p.failure) : 0;
    free(p.failure);
    free(p.child);
    free(missing);
    return bad;
}
