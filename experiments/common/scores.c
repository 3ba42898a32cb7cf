/* scores.c - see scores.h. */
#include "experiments/common/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"

enum { COLUMNS = 256 };
enum { SCORE, MATCH, PERSON_A, PERSON_B, WANTED };

static const char *const wanted[WANTED] = {"score", "match", "person_a", "person_b"};

/* Where the wanted columns are, -1 for those that are not there. */
static int read_header(Csv *csv, char **field, int at[WANTED])
{
    int n = csv_row(csv, field, COLUMNS);
    if (n < 0)
        return -1;
    for (int k = 0; k < WANTED; k++) {
        at[k] = -1;
        for (int i = 0; i < n; i++) {
            if (strcmp(field[i], wanted[k]))
                continue;
            if (at[k] >= 0)
                return fail("%s: line %d: two columns are called %s", csv->path, csv->line, wanted[k]);
            at[k] = i;
        }
    }
    if (at[SCORE] < 0 || at[MATCH] < 0)
        return fail("%s: its first line must name the columns, score and match among them", csv->path);
    if ((at[PERSON_A] < 0) != (at[PERSON_B] < 0))
        return fail("%s: there is person_a or person_b, but not both", csv->path);
    return n;
}

static int parse_score(const char *text, double *score)
{
    char *end;
    *score = strtod(text, &end);
    return end == text || *end || !isfinite(*score) ? -1 : 0;
}

static int parse_match(const char *text)
{
    if (!strcmp(text, "1") || !strcasecmp(text, "true"))
        return 1;
    return !strcmp(text, "0") || !strcasecmp(text, "false") ? 0 : -1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Numbers the people in the order of their names: who (2 n) alternates person_a and person_b. */
static int number_people(char **who, int n, int32_t *a, int32_t *b)
{
    char **names = must_alloc(2 * (size_t)n * sizeof *names);
    int people = 0;
    memcpy(names, who, 2 * (size_t)n * sizeof *names);
    qsort(names, 2 * (size_t)n, sizeof *names, by_text);
    for (int i = 0; i < 2 * n; i++)
        if (!people || strcmp(names[people - 1], names[i]))
            names[people++] = names[i];
    for (int i = 0; i < 2 * n; i++) {
        char **hit = bsearch(&who[i], names, (size_t)people, sizeof *names, by_text);
        (i & 1 ? b : a)[i / 2] = (int32_t)(hit - names);
    }
    free(names);
    return people;
}

/* The rows after the header; `who` grows with them when there are people, and points into the file. */
static int read_rows(Csv *csv, char **field, const int at[WANTED], int columns, ScoreFile *out, char ***who)
{
    int n = 0, room = 0, count;
    while ((count = csv_row(csv, field, COLUMNS)) > 0) {
        if (n == room) {
            room = room ? 2 * room : 1024;
            out->scores = must_realloc(out->scores, (size_t)room * sizeof *out->scores);
            out->match = must_realloc(out->match, (size_t)room);
            if (at[PERSON_A] >= 0)
                *who = must_realloc(*who, 2 * (size_t)room * sizeof **who);
        }
        if (count != columns)
            return fail("%s: line %d: %d columns, the first line has %d", csv->path, csv->line, count, columns);
        if (parse_score(field[at[SCORE]], &out->scores[n]))
            return fail("%s: line %d: score '%.60s' is not a finite number", csv->path, csv->line, field[at[SCORE]]);
        int match = parse_match(field[at[MATCH]]);
        if (match < 0)
            return fail("%s: line %d: match '%.60s' is not 1 or 0", csv->path, csv->line, field[at[MATCH]]);
        if (at[PERSON_A] >= 0) {
            char *a = field[at[PERSON_A]], *b = field[at[PERSON_B]];
            if (!*a || !*b)
                return fail("%s: line %d: a person without a name", csv->path, csv->line);
            if (match != !strcmp(a, b))
                return fail("%s: line %d: match is %d, but the people are '%.60s' and '%.60s'", csv->path, csv->line,
                            match, a, b);
            (*who)[2 * n] = a;
            (*who)[2 * n + 1] = b;
        }
        out->match[n++] = (uint8_t)match;
    }
    out->trials.n = n;
    if (!count && !n)
        return fail("%s: no scores after the first line", csv->path);
    return count;
}

int scores_read(const char *path, ScoreFile *out)
{
    Csv csv;
    char *field[COLUMNS], **who = NULL;
    int at[WANTED];
    *out = (ScoreFile){0};
    if (csv_open(&csv, path))
        return -1;
    int columns = read_header(&csv, field, at);
    int bad = columns < 0 || read_rows(&csv, field, at, columns, out, &who);
    if (!bad && who) {
        size_t n = (size_t)out->trials.n;
        out->a = must_alloc(n * sizeof *out->a);
        out->b = must_alloc(n * sizeof *out->b);
        out->trials.people = number_people(who, out->trials.n, out->a, out->b);
    }
    free(who);
    csv_close(&csv);
    if (bad) {
        scores_free(out);
        return -1;
    }
    out->trials.match = out->match;
    out->trials.a = out->a;
    out->trials.b = out->b;
    return 0;
}

void scores_free(ScoreFile *file)
{
    free(file->scores);
    free(file->match);
    free(file->a);
    free(file->b);
    *file = (ScoreFile){0};
}

static void write_person(FILE *out, int32_t person, const char *const *names)
{
    fputc(',', out);
    if (names)
        csv_put(out, names[person]);
    else
        fprintf(out, "%d", (int)person);
}

int scores_write(const char *path, const Trials *t, const double *scores, const char *const *names)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    fprintf(w.stream, "score,match%s\n", t->a ? ",person_a,person_b" : "");
    for (int i = 0; i < t->n; i++) {
        fprintf(w.stream, "%.17g,%d", scores[i], t->match[i] != 0);
        if (t->a) {
            write_person(w.stream, t->a[i], names);
            write_person(w.stream, t->b[i], names);
        }
        fputc('\n', w.stream);
    }
    return file_commit(&w);
}
