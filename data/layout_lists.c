/* layout_lists.c - see layout_lists.h. */
#include "data/layout_lists.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"

/* ---- lines of words --------------------------------------------------------------------------------------------- */

typedef struct Lines {
    char *bytes, *next;
    const char *name;   /* borrowed */
    int line;
} Lines;

static Lines lines_of(const void *bytes, size_t size, const char *name)
{
    char *copy = must_zalloc(size + 1);
    if (size)
        memcpy(copy, bytes, size);
    return (Lines){copy, copy, name, 0};
}

static int lines_open(Lines *l, const char *path)
{
    size_t size;
    char *bytes = file_read(path, &size);
    *l = (Lines){bytes, bytes, path, 0};
    return bytes ? 0 : -1;
}

/* The next line that is not blank, without its end and outer blanks; NULL at the end of the text (or a byte 0). */
static char *lines_next(Lines *l)
{
    while (*l->next) {
        char *from = l->next, *end = from + strcspn(from, "\n");
        l->next = end + (*end != 0);
        l->line++;
        while (end > from && strchr(" \t\r\n", end[-1]))
            end--;
        *end = 0;
        from += strspn(from, " \t");
        if (*from)
            return from;
    }
    return NULL;
}

/* Cuts a line into words at blanks; how many there are, at most `most`, or most + 1. */
static int words_of(char *line, char **word, int most)
{
    int n = 0;
    char *save = NULL;
    for (char *w = strtok_r(line, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (n == most)
            return most + 1;
        word[n++] = w;
    }
    return n;
}

/* ---- CelebA ----------------------------------------------------------------------------------------------------- */

typedef struct Entry {   /* a line "000001.jpg 2880" */
    const char *name;
    long value;
    int line;
} Entry;

typedef struct Table {
    Lines lines;
    char *path;
    Entry *entry;
    int n;
} Table;

static int by_entry(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

/* The first of the places that exists; NULL if none does. */
static char *find(const char *root, const char *const *places, const char *name)
{
    for (; *places; places++) {
        char *path = must_printf("%s/%s%s", root, *places, name);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

static void table_free(Table *t)
{
    free(t->lines.bytes);
    free(t->path);
    free(t->entry);
}

static int table_read(Table *t, char *path, long most, Told *told)
{
    char *line, *word[2];
    *t = (Table){.path = path};
    if (lines_open(&t->lines, path))
        return -1;
    int mistakes = told->n;
    while ((line = lines_next(&t->lines))) {
        Entry e = {.line = t->lines.line};
        int n = words_of(line, word, 2);
        if (n == 1 && e.line == 1 && !csv_integer(word[0], 0, 1000000000, &e.value))
            continue;   /* how many follow, as in other tables of the set */
        if (n != 2 || csv_integer(word[1], 0, most, &e.value)) {
            tell(told, "%s: line %d: not the name of a picture and a number up to %ld", path, e.line, most);
            continue;
        }
        e.name = word[0];
        if (!(t->n & (t->n - 1)))
            t->entry = must_realloc(t->entry, (t->n ? 2 * (size_t)t->n : 1) * sizeof *t->entry);
        t->entry[t->n++] = e;
    }
    if (t->n)
        qsort(t->entry, (size_t)t->n, sizeof *t->entry, by_entry);
    for (int i = 1; i < t->n; i++)
        if (!strcmp(t->entry[i].name, t->entry[i - 1].name))
            tell(told, "%s: line %d: %s is in line %d already", path, t->entry[i].line, t->entry[i].name,
                 t->entry[i - 1].line);
    mistakes = told->n - mistakes;
    return mistakes ? fail("%s: %d mistake%s: see the lines above", path, mistakes, mistakes > 1 ? "s" : "")
           : t->n   ? 0
                    : fail("%s: it names no picture", path);
}

int celeba_read(const char *root, const LayoutOpts *o, Manifest *out)
{
    static const char *const tables[] = {"", "Anno/", "Eval/", "anno/", NULL};
    static const char *const folders[] = {"img_align_celeba", "Img/img_align_celeba", "img_celeba", "Img/img_celeba",
                                          NULL};
    static const char *const splits[] = {"train", "validation", "test"};
    char *who = find(root, tables, "identity_CelebA.txt"), *where = find(root, tables, "list_eval_partition.txt");
    char *folder = find(root, folders, "");
    Table people = {0}, parts = {0};
    int bad = who && folder ? 0 : fail("no %s", who ? "img_align_celeba" : "identity_CelebA.txt");
    if (!bad && !where)
        tell(o->told, "%s: no list_eval_partition.txt: the pictures are in no split", root);
    bad = bad || table_read(&people, who, 1000000000, o->told) || (where && table_read(&parts, where, 2, o->told));
    for (int i = 0; i < people.n && !bad; i++) {
        const Entry *e = &people.entry[i];
        const Entry *part = parts.n ? bsearch(e, parts.entry, (size_t)parts.n, sizeof *e, by_entry) : NULL;
        char *path = must_printf("%s/%s", folder + strlen(root) + 1, e->name), person[40];
        snprintf(person, sizeof person, "celeba-%05ld", e->value);
        if (where && !part)
            tell(o->told, "%s: line %d: %s is in no partition", who, e->line, e->name);
        manifest_add(out, path, person, part ? splits[part->value] : NULL, "celeba", NULL);
        free(path);
    }
    if (!people.path)
        free(who);
    if (!parts.path)
        free(where);
    free(folder);
    table_free(&people);
    table_free(&parts);
    return bad;
}

/* ---- lists of names --------------------------------------------------------------------------------------------- */

typedef struct Wanted {
    char *path;         /* without its ending */
    const char *base;   /* behind its last slash */
    const char *list;
    int line, found;
} Wanted;

typedef struct Names {
    Wanted *at;
    int n;
} Names;

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Without .jpg, .png, .ppm and the like. */
static char *without_ending(const char *path)
{
    char *copy = must_strdup(path), *dot = strrchr(copy, '.');
    if (dot && !strchr(dot, '/') && strlen(dot) >= 4 && strlen(dot) <= 5)
        *dot = 0;
    return copy;
}

static void add_name(Names *names, const char *path, const Lines *l)
{
    if (!(names->n & (names->n - 1)))
        names->at = must_realloc(names->at, (names->n ? 2 * (size_t)names->n : 1) * sizeof *names->at);
    char *copy = without_ending(path);
    names->at[names->n++] = (Wanted){.path = copy, .base = base_of(copy), .list = l->name, .line = l->line};
}

static int read_names(Names *names, const char *path)
{
    Lines l;
    if (lines_open(&l, path))
        return -1;
    int before = names->n, xml = strstr(l.bytes, "file-name=") != NULL;
    for (char *line; (line = lines_next(&l));) {
        if (!xml && *line != '#')
            add_name(names, line, &l);
        for (char *at = line; xml && (at = strstr(at, "file-name="));) {
            char *from = at + strlen("file-name="), quote = *from, *end = quote ? strchr(from + 1, quote) : NULL;
            if ((quote != '"' && quote != '\'') || !end)
                break;
            *end = 0;
            add_name(names, from + 1, &l);
            at = end + 1;
        }
    }
    free(l.bytes);
    return names->n > before ? 0 : fail("%s: it names no picture", path);
}

static int by_base(const void *a, const void *b)
{
    return strcmp(((const Wanted *)a)->base, ((const Wanted *)b)->base);
}

/* 1 if one path is the end of the other, by whole names. */
static int one_ends_the_other(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    const char *longer = n > m ? a : b, *shorter = n > m ? b : a;
    size_t more = n > m ? n - m : m - n;
    return !strcmp(longer + more, shorter) && (!more || longer[more - 1] == '/');
}

static int is_wanted(const Names *names, const char *row_path)
{
    char *path = without_ending(row_path);
    Wanted key = {.base = base_of(path)}, *w = bsearch(&key, names->at, (size_t)names->n, sizeof key, by_base);
    int found = 0;
    if (w) {
        while (w > names->at && !strcmp(w[-1].base, key.base))
            w--;
        for (; w < names->at + names->n && !strcmp(w->base, key.base); w++)
            if (one_ends_the_other(w->path, path))
                found = w->found = 1;
    }
    free(path);
    return found;
}

int lists_apply(Manifest *m, const LayoutOpts *o)
{
    Names names = {0};
    int bad = 0, all = m->n;
    for (int i = 0; i < o->n_lists && !bad; i++)
        bad = read_names(&names, o->lists[i]);
    if (!bad) {
        char **why = must_zalloc(((size_t)all + 1) * sizeof *why), out[] = "";
        qsort(names.at, (size_t)names.n, sizeof *names.at, by_base);
        for (int i = 0; i < all; i++)
            why[i] = is_wanted(&names, m->row[i].path) ? NULL : out;
        manifest_leave_out(m, why);
        free(why);
        for (int i = 0; i < names.n; i++)
            if (!names.at[i].found)
                tell(o->told, "%s: line %d: %s is not there", names.at[i].list, names.at[i].line, names.at[i].path);
        bad = m->n ? 0 : fail("none of its %d pictures is in the lists", all);
    }
    for (int i = 0; i < names.n; i++)
        free(names.at[i].path);
    free(names.at);
    return bad;
}

/* ---- pairs of LFW ----------------------------------------------------------------------------------------------- */

static int before(const void *key, const void *row)
{
    return strcmp(key, ((const ManifestRow *)row)->identity);
}

/* The row of NAME/NAME_0007, -1 if there is none. */
static int row_of(const Manifest *m, const char *name, const char *number)
{
    long k;
    char stem[400];
    const ManifestRow *r = bsearch(name, m->row, (size_t)m->n, sizeof *m->row, before);
    if (!r || csv_integer(number, 1, 9999, &k) || snprintf(stem, sizeof stem, "%s_%04ld.", name, k) >= (int)sizeof stem)
        return -1;
    while (r > m->row && !strcmp(r[-1].identity, name))
        r--;
    for (; r < m->row + m->n && !strcmp(r->identity, name); r++)
        if (!strncmp(base_of(r->path), stem, strlen(stem)))
            return (int)(r - m->row);
    return -1;
}

static void take_pair(Lines *l, char *line, const Manifest *m, int match, Told *told, Pairs *p)
{
    char *word[4];
    int n = words_of(line, word, 4);
    if (n != (match ? 3 : 4)) {
        tell(told, "%s: line %d: not %s", l->name, l->line,
             match ? "a name and two numbers (a matching pair)" : "two names, each with a number (people who differ)");
        return;
    }
    const char *name_b = match ? word[0] : word[2], *number_b = match ? word[2] : word[3];
    int a = row_of(m, word[0], word[1]), b = row_of(m, name_b, number_b);
    if (a < 0 || b < 0)
        tell(told, "%s: line %d: there is no picture %s of %s", l->name, l->line, a < 0 ? word[1] : number_b,
             a < 0 ? word[0] : name_b);
    else if (a == b || match != !strcmp(m->row[a].identity, m->row[b].identity))
        tell(told, "%s: line %d: not a pair of two %s", l->name, l->line, match ? "pictures" : "people");
    else {
        p->a[p->n] = a < b ? a : b;
        p->b[p->n] = a < b ? b : a;
        p->match[p->n++] = (uint8_t)match;
    }
}

static int read_pairs(Lines *l, const Manifest *m, Told *told, Pairs *out, int **fold, int *folds)
{
    enum { MOST_PAIRS = 10000000 };
    char *line = lines_next(l), *word[2];
    long n_folds = 1, each = 0;
    int mistakes = told->n, n = line ? words_of(line, word, 2) : 0;
    /* View 2 begins with folds and pairs of each; the lists of View 1 with the pairs alone */
    if (n < 1 || n > 2 || csv_integer(word[n - 1], 1, MOST_PAIRS, &each) ||
        (n == 2 && csv_integer(word[0], 1, 1000, &n_folds)) || 2 * n_folds * each > MOST_PAIRS)
        return fail("%s: line %d: not the number of folds and of pairs in each", l->name, l->line);
    long most = 0;   /* as many as there are lines, whatever the first one says */
    for (const char *c = l->next; *c; c++)
        most += *c == '\n';
    most = 2 * n_folds * each < most + 1 ? 2 * n_folds * each : most + 1;
    *out = pairs_create((int)most);
    *fold = must_alloc((size_t)most * sizeof **fold);
    *folds = (int)n_folds;
    int missing = 0;
    for (long k = 0; k < 2 * n_folds * each && !missing; k++) {
        int have = out->n;
        if ((line = lines_next(l)))
            take_pair(l, line, m, k / each % 2 == 0, told, out);
        else
            missing = 1;
        if (out->n > have)
            (*fold)[have] = (int)(k / (2 * each));
    }
    if (missing)
        tell(told, "%s: it ends before its %ld pairs", l->name, 2 * n_folds * each);
    else if (lines_next(l))
        tell(told, "%s: line %d: more than its %ld pairs", l->name, l->line, 2 * n_folds * each);
    mistakes = told->n - mistakes;
    if (!mistakes)
        return 0;
    pairs_free(out);
    free(*fold);
    *fold = NULL;
    return fail("%s: %d mistake%s: see the lines above", l->name, mistakes, mistakes > 1 ? "s" : "");
}

int lfw_pairs_parse(const void *bytes, size_t size, const char *name, const Manifest *m, Told *told, Pairs *out,
                    int **fold, int *folds)
{
    Lines l = lines_of(bytes, size, name);
    *out = (Pairs){0};
    *fold = NULL;
    int bad = read_pairs(&l, m, told, out, fold, folds);
    free(l.bytes);
    return bad;
}

int lfw_pairs_load(const char *path, const Manifest *m, Told *told, Pairs *out, int **fold, int *folds)
{
    size_t size;
    *out = (Pairs){0};
    *fold = NULL;
    char *bytes = file_read(path, &size);
    int bad = !bytes || lfw_pairs_parse(bytes, size, path, m, told, out, fold, folds);
    free(bytes);
    return bad ? -1 : 0;
}
