/* assemble.c - see assemble.h. */
#include "data/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "data/faces.h"
#include "engine/error.h"

enum { SOURCES = 3 };
static const struct {
    const char *name;
    int most;                 /* pictures of a person */
    int people, images;       /* of the paper */
} sources[SOURCES] = {{"london", 2, 102, 204}, {"multipie", 5, 249, 999}, {"frav2d", 12, 109, 1308}};

typedef struct Person {
    int source, first, end;   /* rows */
    int test;                 /* 0: validation */
} Person;

typedef struct People {
    Person *at;
    int n;
    int of[SOURCES], images[2];
} People;

static int source_of(const ManifestRow *r)
{
    for (int s = 0; s < SOURCES; s++)
        if (!strcmp(r->source, sources[s].name))
            return s;
    return -1;
}

static int images_of(const Person *p)
{
    return p->end - p->first;
}

/* Takes out what a person has beyond the first pictures; the list is in natural order. */
static void keep_first(Manifest *m)
{
    char **why = must_zalloc(((size_t)m->n + 1) * sizeof *why), out[] = "";
    for (int i = 0, k = 0; i < m->n; i++) {
        int s = source_of(&m->row[i]);
        k = i && !strcmp(m->row[i].identity, m->row[i - 1].identity) ? k + 1 : 0;
        if (s >= 0 && k >= sources[s].most)
            why[i] = out;
    }
    manifest_leave_out(m, why);
    free(why);
}

/* Source by source. */
static People find_people(const Manifest *m)
{
    int *first, n = manifest_people(m, &first);
    People p = {.at = must_zalloc(((size_t)n + 1) * sizeof *p.at)};
    for (int s = 0; s < SOURCES; s++) {
        for (int i = 0; i < n; i++) {
            if (source_of(&m->row[first[i]]) != s)
                continue;
            p.at[p.n++] = (Person){.source = s, .first = first[i], .end = first[i + 1]};
            p.of[s]++;
        }
    }
    free(first);
    return p;
}

/* Half of each source's people; where they are odd, the one more goes to Test and to Validation in turn.  A source's
 * people end up in random order, by which the exchange below prefers one to another. */
static void divide(People *p, uint64_t seed)
{
    int more_for_test = 1;
    Person *own = p->at, *mixed = must_alloc(((size_t)p->n + 1) * sizeof *mixed);
    int *order = must_alloc(((size_t)p->n + 1) * sizeof *order);
    for (int s = 0; s < SOURCES; own += p->of[s++]) {
        int n = p->of[s], validation = n % 2 && !more_for_test ? n / 2 + 1 : n / 2;
        permutation(n, seed, sources[s].name, 0, order);
        more_for_test ^= n % 2;
        for (int i = 0; i < n; i++) {
            mixed[i] = own[order[i]];
            mixed[i].test = i >= validation;
            p->images[mixed[i].test] += images_of(&mixed[i]);
        }
        memcpy(own, mixed, (size_t)n * sizeof *mixed);
    }
    free(mixed);
    free(order);
}

/* Exchanges one of Validation for one of Test if that brings Validation nearer to `missing` more images; how many more
 * it has afterwards, 0 if nobody could be found. */
static int exchange(People *p, int missing)
{
    Person *best_v = NULL, *best_t = NULL;
    int best = abs(missing);
    for (int i = 0; i < p->n; i++) {
        for (int k = 0; k < p->n && !p->at[i].test; k++) {
            Person *v = &p->at[i], *t = &p->at[k];
            int left = abs(missing - (images_of(t) - images_of(v)));
            if (t->test && t->source == v->source && left < best) {
                best = left;
                best_v = v;
                best_t = t;
            }
        }
    }
    if (!best_v)
        return 0;
    best_v->test = 1;
    best_t->test = 0;
    return images_of(best_t) - images_of(best_v);
}

int manifest_assemble(Manifest *m, uint64_t seed, Told *notes)
{
    manifest_sort_naturally(m);
    keep_first(m);
    People p = find_people(m);
    int bad = 0;
    for (int s = 0; s < SOURCES && !bad; s++)
        if (p.of[s] < 2)
            bad = fail("%d people of the source %s: Validation and Test are put together from london, multipie and "
                       "frav2d", p.of[s], sources[s].name);
    if (bad) {
        free(p.at);
        return bad;
    }
    divide(&p, seed);
    int64_t all = p.images[0] + p.images[1], paper = ASSEMBLE_VALIDATION + ASSEMBLE_TEST;
    int wanted = (int)((all * ASSEMBLE_VALIDATION + paper / 2) / paper);
    for (int moved = 1; moved && p.images[0] != wanted;) {
        moved = exchange(&p, wanted - p.images[0]);
        p.images[0] += moved;
        p.images[1] -= moved;
    }
    for (int i = 0; i < p.n; i++) {
        for (int k = p.at[i].first; k < p.at[i].end; k++) {
            free(m->row[k].split);
            m->row[k].split = must_strdup(p.at[i].test ? "test" : "validation");
        }
    }
    for (int s = 0; s < SOURCES; s++) {
        int images = 0;
        for (int i = 0; i < p.n; i++)
            images += p.at[i].source == s ? images_of(&p.at[i]) : 0;
        if (p.of[s] != sources[s].people || images != sources[s].images)
            tell(notes, "%s: %d people and %d pictures; the paper has %d and %d", sources[s].name, p.of[s], images,
                 sources[s].people, sources[s].images);
    }
    free(p.at);
    manifest_sort(m);
    return 0;
}
