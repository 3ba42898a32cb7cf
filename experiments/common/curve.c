/* curve.c - see curve.h. */
#include "experiments/common/curve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"

static char *header_of(const char *const *names, int n)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("no memory for the first line of a curve");
    fputs("step", out);
    for (int i = 0; i < n; i++) {
        fputc(',', out);
        csv_put(out, names[i]);
    }
    fputc('\n', out);
    fclose(out);
    return text;
}

/* Length of the whole row at `at`, 0 if it was cut off or is empty; its step and number of columns. */
static size_t row_at(const char *at, int64_t *step, int *columns)
{
    size_t n = strcspn(at, "\n");
    char *end;
    errno = 0;
    *step = strtoll(at, &end, 10);
    *columns = 0;
    for (size_t i = 0; i < n; i++)
        *columns += at[i] == ',';
    if (end == at || *end != ',' || errno || *step < 0)
        *columns = -1;
    return at[n] == '\n' ? n + 1 : 0;
}

/* Bytes of the file to keep, or -1. */
static long kept_bytes(Curve *c, const char *text, const char *header, int64_t resume)
{
    size_t n = strlen(header), row;
    if (strncmp(text, header, n))
        return fail("%s: it has other columns than %.*s: remove it and run again", c->path, (int)n - 1, header);
    int64_t step;
    int columns;
    while ((row = row_at(text + n, &step, &columns)) > 0) {
        if (columns != c->columns || step <= c->last)
            return fail("%s: the row after step %lld is broken: remove the file and run again", c->path,
                        (long long)c->last);
        if (step > resume)
            break;
        c->last = step;
        n += row;
    }
    return (long)n;
}

/* Cuts an existing file, or begins one.  0 or -1. */
static int prepare(Curve *c, const char *header, int64_t resume)
{
    size_t size = 0;
    char *text = file_exists(c->path) ? file_read(c->path, &size) : must_strdup("");
    if (!text)
        return -1;
    /* a first line that was cut off holds no step: the curve begins anew */
    int whole = strchr(text, '\n') != NULL;
    long keep = resume >= 0 && whole ? kept_bytes(c, text, header, resume) : 0;
    int bad = keep < 0;
    if (!bad && keep == 0)
        bad = file_write(c->path, header, strlen(header));
    else if (!bad && (size_t)keep < size)
        bad = file_write(c->path, text, (size_t)keep);
    free(text);
    return bad;
}

int curve_open(Curve *c, const char *path, const char *const *names, int n, int64_t resume)
{
    char *header = header_of(names, n);
    *c = (Curve){NULL, must_strdup(path), n, -1};
    int bad = prepare(c, header, resume);
    free(header);
    if (!bad && !(c->stream = fopen(path, "ab")))
        bad = fail("%s: cannot write here: %s", path, strerror(errno));
    if (bad) {
        free(c->path);
        c->path = NULL;
    }
    return bad ? -1 : 0;
}

int64_t curve_last(const char *path)
{
    size_t size, row;
    int64_t step, last = -1;
    int columns;
    char *text = file_exists(path) ? file_read(path, &size) : NULL;
    for (char *at = text ? text + strcspn(text, "\n") + (strchr(text, '\n') != NULL) : NULL;
         at && (row = row_at(at, &step, &columns)) > 0 && columns > 0; at += row)
        last = step;
    free(text);
    return last;
}

int curve_row(Curve *c, int64_t step, const double *values)
{
    if (step <= c->last)
        die("%s: the program appends step %lld after step %lld", c->path, (long long)step, (long long)c->last);
    fprintf(c->stream, "%lld", (long long)step);
    for (int i = 0; i < c->columns; i++)
        fprintf(c->stream, ",%.9g", values[i]);
    fputc('\n', c->stream);
    c->last = step;
    if (fflush(c->stream) || ferror(c->stream))
        return fail("%s: not written: %s; make room and run again", c->path, strerror(errno));
    return 0;
}

int curve_close(Curve *c)
{
    int bad = c->stream && fclose(c->stream) ? fail("%s: not written: %s", c->path, strerror(errno)) : 0;
    free(c->path);
    *c = (Curve){0};
    return bad;
}
