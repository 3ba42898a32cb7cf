/* progress.h - how far a long loop is: one line that is rewritten on a terminal, a plain line every ten seconds in a
 * log.  Goes to standard error, so that results on standard output stay clean.
 *
 *     synthesis  1200/3000 (40 %)  31.2 steps/s  0:57 left  g 0.213 d 0.648 */
#ifndef GUISE_PROGRESS_H
#define GUISE_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

typedef struct Progress {
    FILE       *stream;
    int         terminal, quiet;
    double    (*clock)(void);       /* seconds; of its own for tests */
    const char *name, *unit;        /* borrowed */
    int64_t     total, first, done; /* total 0: not known */
    double      began, shown;
    int         width;              /* of the line on the terminal */
} Progress;

/* Begins a loop over `total` units of which `first` were done by an earlier program: they do not count for the rate.
 * quiet: nothing is ever printed. */
void progress_begin(Progress *p, const char *name, const char *unit, int64_t total, int64_t first, int quiet);

/* `done` units are done.  Cheap: the text (printf's format; "" for none) is only made when a line is due. */
void progress_step(Progress *p, int64_t done, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The last line: what was done, in which time, at which rate. */
void progress_end(Progress *p);

/* Ends the rewritten line, so that other output may follow; the next step prints it anew. */
void progress_clear(Progress *p);

/* "0:57", "12:03", "3:05:09" into text; "?" for what is not finite. */
void progress_time(double seconds, char text[32]);

#endif
