/* manifest.c - see manifest.h: the list, and its file. */
#include "data/manifest.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "data/faces.h"
#include "data/sha256.h"
#include "engine/error.h"
#include "engine/file.h"

void tell(Told *told, const char *format, ...)
{
    if (told->n++ >= told->most && told->most)   /* below 0: always */
        return;
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    fprintf(stderr, "%s%s%s\n", told->what ? told->what : "", told->what ? ": " : "", text);
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

Manifest manifest_create(const char *root)
{
    return (Manifest){.root = must_strdup(root && *root ? root : ".")};
}

void manifest_add(Manifest *m, const char *path, const char *identity, const char *split, const char *source,
                  const char *sha256)
{
    if (!(m->n & (m->n - 1)))   /* full at every power of two */
        m->row = must_realloc(m->row, (m->n ? 2 * (size_t)m->n : 1) * sizeof *m->row);
    m->row[m->n++] = (ManifestRow){must_strdup(path), must_strdup(identity), must_strdup(split ? split : ""),
                                   must_strdup(source ? source : ""), must_strdup(sha256 ? sha256 : ""), 0};
}

static void row_free(ManifestRow *r)
{
    free(r->path);
    free(r->identity);
    free(r->split);
    free(r->source);
    free(r->sha256);
}

void manifest_free(Manifest *m)
{
    for (int i = 0; i < m->n; i++)
        row_free(&m->row[i]);
    free(m->row);
    free(m->root);
    *m = (Manifest){0};
}

void manifest_leave_out(Manifest *m, char *const *why)
{
    int n = 0;
    for (int i = 0; i < m->n; i++) {
        if (why[i])
            row_free(&m->row[i]);
        else
            m->row[n++] = m->row[i];
    }
    /* the room for rows is a power of two: manifest_add relies on it */
    size_t room = 1;
    while (room < (size_t)n)
        room *= 2;
    m->row = must_realloc(m->row, room * sizeof *m->row);
    m->n = n;
}

char *manifest_path(const Manifest *m, int i)
{
    const char *path = m->row[i].path;
    return *path == '/' || !strcmp(m->root, ".") ? must_strdup(path) : must_printf("%s/%s", m->root, path);
}

/* A path of `from` as it is written in `to`: shortened where it lies below the root of `to`, else from the top. */
static char *moved(const Manifest *to, const Manifest *from, int i)
{
    if (!strcmp(to->root, from->root))
        return must_strdup(from->row[i].path);
    char *open = manifest_path(from, i), *root = realpath(to->root, NULL), *folder = realpath(from->root, NULL);
    char *full = *open != '/' && folder ? must_printf("%s/%s", folder, from->row[i].path) : must_strdup(open);
    size_t n = root ? strlen(root) : 0;
    char *out = n && !strncmp(full, root, n) && full[n] == '/' ? must_strdup(full + n + 1) : must_strdup(full);
    free(open);
    free(root);
    free(folder);
    free(full);
    return out;
}

static void join(Manifest *to, const Manifest *from, const char *from_split, const char *split)
{
    for (int i = 0; i < from->n; i++) {
        const ManifestRow *r = &from->row[i];
        if (from_split && strcmp(r->split, from_split))
            continue;
        char *path = moved(to, from, i);
        manifest_add(to, path, r->identity, from_split ? split : r->split, r->source, r->sha256);
        to->row[to->n - 1].line = r->line;
        free(path);
    }
    to->strict |= from->strict;
}

void manifest_join(Manifest *to, const Manifest *from)
{
    join(to, from, NULL, NULL);
}

void manifest_join_split(Manifest *to, const Manifest *from, const char *from_split, const char *split)
{
    join(to, from, from_split, split);
}

static int by_bytes(const void *a, const void *b)
{
    const ManifestRow *p = a, *q = b;
    int order = strcmp(p->identity, q->identity);
    return order ? order : strcmp(p->path, q->path);
}

static int by_value(const void *a, const void *b)
{
    const ManifestRow *p = a, *q = b;
    int order = strverscmp(p->identity, q->identity);
    order = order ? order : strverscmp(p->path, q->path);
    return order ? order : by_bytes(a, b);
}

void manifest_sort(Manifest *m)
{
    if (m->n)
        qsort(m->row, (size_t)m->n, sizeof *m->row, by_bytes);
}

void manifest_sort_naturally(Manifest *m)
{
    if (m->n)
        qsort(m->row, (size_t)m->n, sizeof *m->row, by_value);
}

int manifest_people(const Manifest *m, int **first)
{
    int people = 0;
    for (int i = 0; i < m->n; i++)
        people += !i || strcmp(m->row[i].identity, m->row[i - 1].identity);
    if (!first)
        return people;
    *first = must_alloc(((size_t)people + 1) * sizeof **first);
    for (int i = 0, p = 0; i < m->n; i++)
        if (!i || strcmp(m->row[i].identity, m->row[i - 1].identity))
            (*first)[p++] = i;
    (*first)[people] = m->n;
    return people;
}

int manifest_split(Manifest *m, uint64_t seed, const char *const *names, const double *fractions, int parts)
{
    int *first, people = manifest_people(m, &first), *part = must_alloc(((size_t)people + 1) * sizeof *part);
    int bad = people_split(people, seed, fractions, parts, part);
    for (int p = 0; p < people && !bad; p++) {
        for (int i = first[p]; i < first[p + 1]; i++) {
            free(m->row[i].split);
            m->row[i].split = must_strdup(part[p] < 0 ? "" : names[part[p]]);
        }
    }
    free(first);
    free(part);
    return bad;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

enum { PATH, IDENTITY, SPLIT, SOURCE, SHA256, COLUMNS, MOST_COLUMNS = 512, MOST_ROWS = 100000000 };
static const char *const columns[COLUMNS] = {"path", "identity", "split", "source", "sha256"};

/* Where each column stands, -1 for those that are not there; 0, or -1 and a message. */
static int read_header(Csv *csv, int at[COLUMNS], int *width)
{
    char *field[MOST_COLUMNS];
    int n = *width = csv_row(csv, field, MOST_COLUMNS);
    for (int c = 0; c < COLUMNS; c++)
        at[c] = -1;
    if (n < 0)
        return -1;
    for (int k = 0; k < n; k++) {
        for (int c = 0; c < COLUMNS; c++) {
            if (strcmp(field[k], columns[c]))
                continue;
            if (at[c] >= 0)
                return fail("%s: two columns %s", csv->path, columns[c]);
            at[c] = k;
        }
    }
    if (at[PATH] < 0 || at[IDENTITY] < 0)
        return fail("%s: not a manifest: its first line does not name the columns path and identity", csv->path);
    return 0;
}

static int is_sha256(const char *text)
{
    return strlen(text) == SHA256_DIGITS && strspn(text, "0123456789abcdef") == SHA256_DIGITS;
}

/* One spelling for one place, in the path's own bytes: without ./ and doubled slashes; .. stays, since where it leads
 * depends on links. */
static void tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        int begins = to == path || to[-1] == '/';
        if (begins && from[0] == '.' && from[1] == '/')
            from += 1 + strspn(from + 1, "/");   /* the slashes, too: what follows does not begin at the top */
        else if (begins && to > path && *from == '/')
            from++;
        else
            *to++ = *from++;
    }
    *to = 0;
}

static void take_row(Manifest *m, const Csv *csv, char **field, int n, int width, const int at[COLUMNS], Told *told)
{
    const char *value[COLUMNS];
    if (n != width) {
        tell(told, "%s: line %d: %d columns instead of %d", csv->path, csv->line, n, width);
        return;
    }
    for (int c = 0; c < COLUMNS; c++)
        value[c] = at[c] < 0 ? "" : field[at[c]];
    tidy(field[at[PATH]]);
    if (!*value[PATH] || !*value[IDENTITY])
        tell(told, "%s: line %d: without %s", csv->path, csv->line, *value[PATH] ? "an identity" : "a path");
    else if (*value[SHA256] && !is_sha256(value[SHA256]))
        tell(told, "%s: line %d: %.80s: a sha256 is 64 digits, 0 to 9 and a to f", csv->path, csv->line, value[SHA256]);
    else if (m->n == MOST_ROWS)
        tell(told, "%s: line %d: more than %d rows", csv->path, csv->line, MOST_ROWS);
    else {
        manifest_add(m, value[PATH], value[IDENTITY], value[SPLIT], value[SOURCE], value[SHA256]);
        m->row[m->n - 1].line = csv->line;
    }
}

static int by_path(const void *a, const void *b)
{
    const ManifestRow *p = *(ManifestRow *const *)a, *q = *(ManifestRow *const *)b;
    int order = strcmp(p->path, q->path);
    return order ? order : p->line - q->line;
}

static int by_identity(const void *a, const void *b)
{
    const ManifestRow *p = *(ManifestRow *const *)a, *q = *(ManifestRow *const *)b;
    int order = strcmp(p->identity, q->identity);
    return order ? order : p->line - q->line;
}

/* No picture twice, nobody in two splits. */
static void check_rows(const Manifest *m, const char *name, Told *told)
{
    ManifestRow **rows = must_alloc(((size_t)m->n + 1) * sizeof *rows);
    for (int i = 0; i < m->n; i++)
        rows[i] = &m->row[i];
    if (m->n)
        qsort(rows, (size_t)m->n, sizeof *rows, by_path);
    for (int i = 1; i < m->n; i++)
        if (!strcmp(rows[i]->path, rows[i - 1]->path))
            tell(told, "%s: line %d: %s is in line %d already", name, rows[i]->line, rows[i]->path, rows[i - 1]->line);
    if (m->n)
        qsort(rows, (size_t)m->n, sizeof *rows, by_identity);
    for (int i = 1; i < m->n; i++)
        if (!strcmp(rows[i]->identity, rows[i - 1]->identity) && strcmp(rows[i]->split, rows[i - 1]->split))
            tell(told, "%s: line %d: %s is in split \"%s\", but in \"%s\" in line %d: nobody may be in two", name,
                 rows[i]->line, rows[i]->identity, rows[i]->split, rows[i - 1]->split, rows[i - 1]->line);
    free(rows);
}

/* The whole file; closes it. */
static int parse(Csv *csv, const char *root, Manifest *out, int most_lines)
{
    char *field[MOST_COLUMNS];
    int at[COLUMNS], width, n;
    Told told = {.most = most_lines};
    Manifest m = manifest_create(root);
    m.strict = 1;
    int bad = read_header(csv, at, &width);
    if (!bad) {
        while ((n = csv_row(csv, field, MOST_COLUMNS)) > 0)
            take_row(&m, csv, field, n, width, at, &told);
        if (n < 0)   /* what follows cannot be told apart */
            tell(&told, "%s", error_text());
        check_rows(&m, csv->path, &told);
        if (told.n)
            bad = fail("%s: %d mistake%s: see the lines above", csv->path, told.n, told.n > 1 ? "s" : "");
        else if (!m.n)
            bad = fail("%s: a manifest without pictures", csv->path);
    }
    csv_close(csv);
    if (bad)
        manifest_free(&m);
    *out = m;
    return bad;
}

int manifest_parse(const void *bytes, size_t size, const char *name, const char *root, Manifest *out, int most_lines)
{
    Csv csv;
    *out = (Manifest){0};
    return csv_open_memory(&csv, bytes, size, name) ? -1 : parse(&csv, root, out, most_lines);
}

char *manifest_root(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash ? must_strdup(".") : must_printf("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

int manifest_load(const char *path, Manifest *out, int most_lines)
{
    Csv csv;
    *out = (Manifest){0};
    if (csv_open(&csv, path))
        return -1;
    char *root = manifest_root(path);
    int bad = parse(&csv, root, out, most_lines);
    free(root);
    return bad;
}

int manifest_save(const Manifest *m, const char *path)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    for (int c = 0; c < COLUMNS; c++)
        fprintf(w.stream, "%s%c", columns[c], c < COLUMNS - 1 ? ',' : '\n');
    for (int i = 0; i < m->n; i++) {
        const ManifestRow *r = &m->row[i];
        const char *value[COLUMNS] = {r->path, r->identity, r->split, r->source, r->sha256};
        for (int c = 0; c < COLUMNS; c++) {
            csv_put(w.stream, value[c]);
            putc(c < COLUMNS - 1 ? ',' : '\n', w.stream);
        }
    }
    return file_commit(&w);
}
