/* curve.h - values over the steps of a training, as CSV: step,NAME,NAME,...
 *
 * Rows are appended as they come and reach the file at once.  A training that resumes from a checkpoint opens its
 * curve with the checkpoint's step: rows beyond it, and a last row that was cut off, are removed, so that the
 * finished curve is the same bytes as that of a training that was never interrupted. */
#ifndef GUISE_CURVE_H
#define GUISE_CURVE_H

#include <stdint.h>
#include <stdio.h>

typedef struct Curve {
    FILE   *stream;
    char   *path;
    int     columns;
    int64_t last;    /* the step of the last row, -1 if there is none */
} Curve;

/* Opens or begins a curve of n columns besides the step; keeps the rows up to and including step `resume` (-1: none).
 * -1: the file has other columns or broken rows, or cannot be written. */
int curve_open(Curve *curve, const char *path, const char *const *names, int n, int64_t resume);
/* Appends a row of n values (exact: floats read back equal); steps ascend.  0 or -1. */
int curve_row(Curve *curve, int64_t step, const double *values);
/* The last step of a finished curve, -1 if there is none. */
int64_t curve_last(const char *path);

/* 0 or -1. */
int curve_close(Curve *curve);

#endif
