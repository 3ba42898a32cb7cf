/* pairs.c - see pairs.h.
 *
 * The pairs of a kind are numbered, by a and then by b, without being stored: among n images of P people image a has
 * as partners b > a either the rest of its person's images or everything after them.  A table of where each a's
 * numbers begin turns a number into its pair; the numbers are drawn by Floyd's method (Bentley, Floyd: "A sample of
 * brilliance", Communications of the ACM 30(9), 1987), which takes k draws for k distinct numbers however many
 * there are. */
#include "data/pairs.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/random.h"

/* begins (n + 1): the number of the first pair (a, .), and the count of all at the end. */
static int64_t *number_pairs(const Faces *f, const int *first, int match)
{
    int64_t *begins = must_alloc(((size_t)f->n + 1) * sizeof *begins), sum = 0;
    for (int a = 0; a < f->n; a++) {
        int end = first[f->person[a] + 1];
        begins[a] = sum;
        sum += match ? end - a - 1 : f->n - end;
    }
    begins[f->n] = sum;
    return begins;
}

int64_t pairs_possible(const Faces *f, int match)
{
    int *first = faces_first(f);
    int64_t *begins = number_pairs(f, first, match), all = begins[f->n];
    free(begins);
    free(first);
    return all;
}

/* A set of numbers >= 0 in an open table; `room` is a power of two, at most half of it used. */
typedef struct Set {
    int64_t *slot;
    size_t room;
} Set;

static Set set_create(int most)
{
    Set s = {NULL, 16};
    while (s.room < 2 * (size_t)most)
        s.room *= 2;
    s.slot = must_alloc(s.room * sizeof *s.slot);
    memset(s.slot, 0xff, s.room * sizeof *s.slot);
    return s;
}

/* 1 if the number is new. */
static int set_add(Set *s, int64_t number)
{
    size_t at = (uint64_t)number * 0x9E3779B97F4A7C15u >> 20;
    while (s->slot[at & (s->room - 1)] >= 0)
        if (s->slot[at++ & (s->room - 1)] == number)
            return 0;
    s->slot[at & (s->room - 1)] = number;
    return 1;
}

/* Uniform in [0, n): the upper half of the 128-bit product. */
static int64_t below(Random *r, int64_t n)
{
    uint64_t high = random_next(r), low = random_next(r);
    return (int64_t)((unsigned __int128)(high << 32 | low) * (uint64_t)n >> 64);
}

static int by_number(const void *a, const void *b)
{
    int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
    return (p > q) - (p < q);
}

static int64_t *draw(int64_t all, int k, uint64_t seed, const char *name)
{
    int64_t *number = must_alloc((size_t)k * sizeof *number);
    Random r = random_stream(seed, name, 0);
    Set taken = set_create(k);
    for (int i = 0; i < k; i++) {
        int64_t most = all - k + i, drawn = below(&r, most + 1);
        if (!set_add(&taken, drawn))
            set_add(&taken, drawn = most);
        number[i] = drawn;
    }
    free(taken.slot);
    qsort(number, (size_t)k, sizeof *number, by_number);
    return number;
}

/* Adds k pairs of a kind to `out`. */
static void sample(const Faces *f, const int *first, int match, int k, uint64_t seed, Pairs *out)
{
    int64_t *begins = number_pairs(f, first, match);
    int64_t *number = draw(begins[f->n], k, seed, match ? "matching pairs" : "other pairs");
    for (int i = 0, a = 0; i < k; i++, out->n++) {
        while (begins[a + 1] <= number[i])   /* numbers ascend: one walk over all images */
            a++;
        int from = match ? a + 1 : first[f->person[a] + 1];
        out->a[out->n] = a;
        out->b[out->n] = from + (int)(number[i] - begins[a]);
        out->match[out->n] = (uint8_t)match;
    }
    free(begins);
    free(number);
}

Pairs pairs_create(int most)
{
    Pairs p = {0};
    p.a = must_alloc((size_t)most * sizeof *p.a);
    p.b = must_alloc((size_t)most * sizeof *p.b);
    p.match = must_alloc((size_t)most);
    return p;
}

void pairs_free(Pairs *p)
{
    free(p->a);
    free(p->b);
    free(p->match);
    free(p->note);
    *p = (Pairs){0};
}

int pairs_sample(const Faces *f, int matching, int other, uint64_t seed, Pairs *out)
{
    int64_t same = pairs_possible(f, 1), differ = pairs_possible(f, 0);
    *out = (Pairs){0};
    if (matching < 0 || other < 0 || matching > INT_MAX / 2 || other > INT_MAX / 2)
        return fail("%d matching and %d other pairs cannot be drawn", matching, other);
    if (matching && !same)
        return fail("no matching pairs: nobody has two images: give more images a person");
    if (other && !differ)
        return fail("no pairs of different people: there is only one person: give more people");
    char *note = NULL;
    if (matching > same || other > differ)
        note = must_printf("%lld matching and %lld other pairs instead of %d and %d: no more are possible",
                           (long long)(matching > same ? same : matching),
                           (long long)(other > differ ? differ : other), matching, other);
    matching = matching > same ? (int)same : matching;
    other = other > differ ? (int)differ : other;
    *out = pairs_create(matching + other);
    out->note = note;
    int *first = faces_first(f);
    sample(f, first, 1, matching, seed, out);
    sample(f, first, 0, other, seed, out);
    free(first);
    return 0;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static const char *const columns[] = {"a", "b", "match", "source_a", "source_b"};
enum { COLUMNS = 5 };

int pairs_save(const Pairs *p, const Faces *f, const char *path)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    for (int c = 0; c < COLUMNS; c++)
        fprintf(w.stream, "%s%c", columns[c], c < COLUMNS - 1 ? ',' : '\n');
    for (int i = 0; i < p->n; i++) {
        fprintf(w.stream, "%d,%d,%d,", p->a[i], p->b[i], p->match[i]);
        csv_put(w.stream, f->sources[p->a[i]]);
        putc(',', w.stream);
        csv_put(w.stream, f->sources[p->b[i]]);
        putc('\n', w.stream);
    }
    return file_commit(&w);
}

/* One row into place p->n; 0, or -1 and a message. */
static int read_row(const Csv *csv, char **field, int n, const Faces *f, Pairs *p)
{
    long a, b, match;
    if (n != COLUMNS || csv_integer(field[0], 0, f->n - 1, &a) || csv_integer(field[1], 0, f->n - 1, &b) || a >= b ||
        csv_integer(field[2], 0, 1, &match))
        return fail("%s: line %d: not a < b below %d, match 0 or 1, and two sources", csv->path, csv->line, f->n);
    if (strcmp(field[3], f->sources[a]) || strcmp(field[4], f->sources[b]))
        return fail("%s: line %d: the set has %s and %s here: these pairs belong to another set: draw them again",
                    csv->path, csv->line, f->sources[a], f->sources[b]);
    if (match != (f->person[a] == f->person[b]))
        return fail("%s: line %d: match is %ld, but the set says otherwise: draw the pairs again", csv->path, csv->line,
                    match);
    p->a[p->n] = (int32_t)a;
    p->b[p->n] = (int32_t)b;
    p->match[p->n++] = (uint8_t)match;
    return 0;
}

int pairs_load(const char *path, const Faces *f, Pairs *out)
{
    Csv csv;
    char *field[COLUMNS];
    *out = (Pairs){0};
    if (csv_open(&csv, path))
        return -1;
    int lines = 0;
    for (const char *c = csv.next; *c; c++)
        lines += *c == '\n' || *c == '\r';
    Pairs p = pairs_create(lines + 1);
    Set seen = set_create(lines + 1);
    int n = csv_header(&csv, columns, COLUMNS, field, COLUMNS);
    while (n > 0 && (n = csv_row(&csv, field, COLUMNS)) > 0) {
        if (read_row(&csv, field, n, f, &p))
            n = -1;
        else if (!set_add(&seen, (int64_t)p.a[p.n - 1] * f->n + p.b[p.n - 1]))
            n = fail("%s: line %d: a pair for the second time", path, csv.line);
    }
    if (!n && !p.n)
        n = fail("%s: no pairs", path);
    free(seen.slot);
    csv_close(&csv);
    if (n < 0)
        pairs_free(&p);
    *out = p;
    return n;
}
