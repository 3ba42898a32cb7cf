/* progress.c - see progress.h. */
#include "experiments/common/progress.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double terminal_every = 0.1, log_every = 10;   /* seconds */

static double wall_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_time(double seconds, char text[32])
{
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        strcpy(text, "?");
        return;
    }
    long s = lround(seconds), h = s / 3600, m = s / 60 % 60;
    if (h)
        snprintf(text, 32, "%ld:%02ld:%02ld", h, m, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", m, s % 60);
}

void progress_begin(Progress *p, const char *name, const char *unit, int64_t total, int64_t first, int quiet)
{
    *p = (Progress){.stream = stderr, .terminal = isatty(STDERR_FILENO), .quiet = quiet, .clock = wall_clock,
                    .name = name, .unit = unit, .total = total, .first = first, .done = first};
    p->began = p->clock();
    p->shown = p->began;
}

static double rate_of(const Progress *p, double now)
{
    return now > p->began ? (double)(p->done - p->first) / (now - p->began) : 0;
}

/* Three digits, so that the line keeps its width. */
static void print_rate(char *to, size_t size, double rate)
{
    snprintf(to, size, "%.*f", rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0, rate);
}

/* Columns of the terminal; a line that wraps could not be rewritten. */
static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2 ? 400 : size.ws_col - 1;
}

static void show(Progress *p, const char *line)
{
    if (!p->terminal) {
        fprintf(p->stream, "%s\n", line);
    } else {
        int width = (int)strlen(line), most = columns();
        width = width < most ? width : most;
        fprintf(p->stream, "\r%.*s%*s", width, line, p->width > width ? p->width - width : 0, "");
        p->width = width;
    }
    fflush(p->stream);
}

void progress_step(Progress *p, int64_t done, const char *format, ...)
{
    char line[512], rate[32], left[32];
    p->done = done;
    double now = p->quiet ? 0 : p->clock();
    if (p->quiet || now - p->shown < (p->terminal ? terminal_every : log_every))
        return;
    p->shown = now;
    double per_second = rate_of(p, now);
    print_rate(rate, sizeof rate, per_second);
    int n;
    if (p->total > 0) {
        progress_time(per_second > 0 ? (double)(p->total - done) / per_second : INFINITY, left);
        n = snprintf(line, sizeof line, "%s  %lld/%lld (%d %%)  %s %s/s  %s left", p->name, (long long)done,
                     (long long)p->total, (int)(100 * (double)done / (double)p->total), rate, p->unit, left);
    } else {
        n = snprintf(line, sizeof line, "%s  %lld  %s %s/s", p->name, (long long)done, rate, p->unit);
    }
    if (format && *format && n > 0 && n < (int)sizeof line - 3) {
        va_list args;
        va_start(args, format);
        if (vsnprintf(line + n + 2, sizeof line - (size_t)n - 2, format, args) > 0)
            memcpy(line + n, "  ", 2);
        va_end(args);
    }
    show(p, line);
}

void progress_clear(Progress *p)
{
    if (p->quiet || !p->terminal || !p->width)
        return;
    fprintf(p->stream, "\r%*s\r", p->width, "");
    fflush(p->stream);
    p->width = 0;
}

void progress_end(Progress *p)
{
    char line[512], rate[32], took[32];
    if (p->quiet)
        return;
    double now = p->clock();
    print_rate(rate, sizeof rate, rate_of(p, now));
    progress_time(now - p->began, took);
    snprintf(line, sizeof line, "%s  %lld %s in %s (%s/s)", p->name, (long long)p->done, p->unit, took, rate);
    show(p, line);
    if (p->terminal)
        fputc('\n', p->stream);
    p->width = 0;
}
