/* csv.c - see csv.h. */
#include "data/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/file.h"

/* Takes the bytes, which end with a zero that does not count. */
static int take(Csv *csv, char *bytes, size_t size, const char *name)
{
    *csv = (Csv){0};
    if (strlen(bytes) != size) {
        free(bytes);
        return fail("%s: not a text file: it holds a byte 0", name);
    }
    *csv = (Csv){bytes, bytes + (strncmp(bytes, "\xef\xbb\xbf", 3) ? 0 : 3), must_strdup(name), 0};
    return 0;
}

int csv_open(Csv *csv, const char *path)
{
    size_t size;
    *csv = (Csv){0};
    char *bytes = file_read(path, &size);
    return bytes ? take(csv, bytes, size, path) : -1;
}

int csv_open_memory(Csv *csv, const void *bytes, size_t size, const char *name)
{
    char *copy = must_alloc(size + 1);
    memcpy(copy, bytes, size);
    copy[size] = 0;
    return take(csv, copy, size, name);
}

void csv_close(Csv *csv)
{
    free(csv->bytes);
    free(csv->path);
    *csv = (Csv){0};
}

/* Moves one quoted field to its own beginning, without its quotes; returns where it ended, NULL if it does not. */
static char *unquote(char *from, char *to, int *lines)
{
    for (from++; *from; from++) {
        if (*from == '"' && *++from != '"') {
            *to = 0;
            return from;
        }
        *lines += *from == '\n';
        *to++ = *from;
    }
    return NULL;
}

int csv_row(Csv *csv, char **field, int most)
{
    char *at = csv->next;
    int n = 0, lines = 0;
    do {
        csv->line += 1;
        at += strspn(at, "\r");
    } while (*at == '\n' && at++);
    if (!*at) {
        csv->next = at;
        return 0;
    }
    for (;;) {
        if (n == most)
            return fail("%s: line %d: more than %d columns", csv->path, csv->line, most);
        field[n] = at;
        char *end = *at == '"' ? unquote(at, at, &lines) : at + strcspn(at, ",\r\n");
        n++;
        if (!end || !strchr(",\r\n", *end))
            return fail("%s: line %d: column %d has a quote without its partner", csv->path, csv->line, n);
        char stop = *end;
        *end = 0;
        at = end + (stop != 0);
        if (stop != ',') {
            at += stop == '\r' && *at == '\n';
            break;
        }
    }
    csv->line += lines;
    csv->next = at;
    return n;
}

int csv_header(Csv *csv, const char *const *names, int count, char **field, int most)
{
    int n = csv_row(csv, field, most);
    if (n < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        if (i < n && !strcmp(field[i], names[i]))
            continue;
        char wanted[512] = "";
        for (int k = 0; k < count; k++)
            snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%s", k ? "," : "", names[k]);
        return fail("%s: its first line does not begin with %s", csv->path, wanted);
    }
    return n;
}

void csv_put(FILE *stream, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stream);
        return;
    }
    putc('"', stream);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', stream);
        putc(*text, stream);
    }
    putc('"', stream);
}

int csv_integer(const char *text, long low, long high, long *value)
{
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno || end == text || *end || *value < low || *value > high ? -1 : 0;
}
