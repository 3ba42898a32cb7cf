/* subsets.c - see faces.h: parts of sets and random assignments. */
#include <stdlib.h>
#include <string.h>

#include "data/faces.h"
#include "engine/error.h"
#include "engine/random.h"

static void shuffle(int *a, int n, Random *r)
{
    for (int i = n - 1; i > 0; i--) {
        int j = (int)random_below(r, (uint32_t)i + 1), keep = a[i];
        a[i] = a[j];
        a[j] = keep;
    }
}

void permutation(int n, uint64_t seed, const char *name, uint64_t step, int *to)
{
    Random r = random_stream(seed, name, step);
    for (int i = 0; i < n; i++)
        to[i] = i;
    shuffle(to, n, &r);
}

/* By rejection: a random permutation is one with probability 1/e, so three tries are usual. */
void derangement(int n, uint64_t seed, int *to)
{
    if (n < 2)
        die("derangement: %d things cannot all change places", n);
    for (uint64_t attempt = 0, fixed = 1; fixed; attempt++) {
        permutation(n, seed, "derangement", attempt, to);
        fixed = 0;
        for (int i = 0; i < n && !fixed; i++)
            fixed = to[i] == i;
    }
}

/* ---- copies ---------------------------------------------------------------------------------------------------- */

static void copy_face(Faces *to, int i, int person, const Faces *from, int j)
{
    size_t bytes = faces_bytes(from);
    memcpy(to->pixels + (size_t)i * bytes, from->pixels + (size_t)j * bytes, bytes);
    to->person[i] = person;
    to->sources[i] = must_strdup(from->sources[j]);
}

Faces faces_select(const Faces *f, const int *index, int n)
{
    int *place = must_zalloc(((size_t)f->people + 1) * sizeof *place);   /* where a person's next image goes */
    int *number = must_alloc(((size_t)f->people + 1) * sizeof *number), people = 0;
    for (int i = 0; i < n; i++) {
        if (index[i] < 0 || index[i] >= f->n)
            die("faces_select: image %d of %d", index[i], f->n);
        place[f->person[index[i]]]++;
    }
    for (int p = 0, at = 0; p < f->people; p++) {
        int count = place[p];
        number[p] = people;
        people += count > 0;
        place[p] = count ? at : -1;
        at += count;
    }
    Faces out = faces_create(n, f->size, people);
    for (int p = 0; p < f->people; p++)
        if (place[p] >= 0)
            out.names[number[p]] = must_strdup(f->names[p]);
    for (int i = 0; i < n; i++) {
        int p = f->person[index[i]];
        copy_face(&out, place[p]++, number[p], f, index[i]);
    }
    free(place);
    free(number);
    return out;
}

typedef struct Name {
    const char *text;
    int person;
} Name;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const Name *)a)->text, ((const Name *)b)->text);
}

int faces_join(const Faces *a, const Faces *b, Faces *out)
{
    *out = (Faces){0};
    if (a->size != b->size)
        return fail("sets of %d and %d pixels a side cannot be joined: make both of one size", a->size, b->size);
    Name *known = must_alloc(((size_t)a->people + 1) * sizeof *known);
    int *number = must_alloc(((size_t)b->people + 1) * sizeof *number);   /* of b's people in the union */
    for (int p = 0; p < a->people; p++)
        known[p] = (Name){a->names[p], p};
    qsort(known, (size_t)a->people, sizeof *known, by_text);
    int people = a->people;
    for (int p = 0; p < b->people; p++) {
        Name key = {b->names[p], 0}, *same = bsearch(&key, known, (size_t)a->people, sizeof key, by_text);
        number[p] = same ? same->person : people++;
    }
    *out = faces_create(a->n + b->n, a->size, people);
    for (int p = 0; p < a->people; p++)
        out->names[p] = must_strdup(a->names[p]);
    for (int p = 0; p < b->people; p++)
        if (number[p] >= a->people)
            out->names[number[p]] = must_strdup(b->names[p]);
    int *place = must_zalloc(((size_t)people + 1) * sizeof *place);
    for (int i = 0; i < a->n; i++)
        place[a->person[i] + 1]++;
    for (int i = 0; i < b->n; i++)
        place[number[b->person[i]] + 1]++;
    for (int p = 0; p < people; p++)
        place[p + 1] += place[p];
    for (int i = 0; i < a->n; i++)
        copy_face(out, place[a->person[i]]++, a->person[i], a, i);
    for (int i = 0; i < b->n; i++) {
        int p = number[b->person[i]];
        copy_face(out, place[p]++, p, b, i);
    }
    free(known);
    free(number);
    free(place);
    return 0;
}

/* ---- parts of the people --------------------------------------------------------------------------------------- */

/* The images, ascending, of the people whose part[] is `which`; returns how many. */
static int images_of(const Faces *f, const int *part, int which, int *index)
{
    int n = 0;
    for (int i = 0; i < f->n; i++)
        if (part[f->person[i]] == which)
            index[n++] = i;
    return n;
}

int people_split(int people, uint64_t seed, const double *fractions, int parts, int *part)
{
    double sum = 0;
    for (int k = 0; k < parts; k++)
        if (!(fractions[k] > 0) || (sum += fractions[k]) > 1 + 1e-9)
            return fail("the fractions of a split are above 0 and together at most 1");
    int *order = must_alloc(((size_t)people + 1) * sizeof *order), bad = 0, from = 0;
    permutation(people, seed, "split", 0, order);
    for (int p = 0; p < people; p++)
        part[p] = -1;
    sum = 0;
    for (int k = 0; k < parts && !bad; k++) {
        sum += fractions[k];
        int to = (int)(sum * people + 0.5);   /* cuts are rounded, not counts: together they stay true */
        if (to - from < 2)
            bad = fail("part %d of the split would have %d of %d people and needs 2: take more people or others",
                       k + 1, to - from, people);
        for (; from < to; from++)
            part[order[from]] = k;
    }
    free(order);
    return bad;
}

int faces_thirds(const Faces *f, uint64_t seed, int *index, int count[3])
{
    if (f->people < 6)
        return fail("%d people cannot be cut into thirds of at least 2: give more people", f->people);
    int *order = must_alloc((size_t)f->people * sizeof(int)), *part = must_alloc((size_t)f->people * sizeof(int));
    permutation(f->people, seed, "thirds", 0, order);
    for (int i = 0; i < f->people; i++) {
        int third = (f->people + 2) / 3;   /* the first thirds are the larger ones */
        int second = third + (f->people + 1) / 3;
        part[order[i]] = i < third ? 0 : i < second ? 1 : 2;
    }
    for (int k = 0; k < 3; k++) {
        count[k] = images_of(f, part, k, index);
        index += count[k];
    }
    free(order);
    free(part);
    return 0;
}

/* ---- subsets --------------------------------------------------------------------------------------------------- */

int subset_size(int n, int halvings)
{
    return (int)(((int64_t)n + ((int64_t)1 << halvings >> 1)) >> halvings);
}

static int by_number(const void *a, const void *b)
{
    int p = *(const int *)a, q = *(const int *)b;
    return (p > q) - (p < q);
}

int faces_subset(const Faces *f, int n, uint64_t seed, int *index)
{
    if (n < 1 || n > f->n)
        return fail("a subset of %d images cannot be had from %d", n, f->n);
    int *first = faces_first(f), *turn = must_alloc((size_t)f->people * sizeof *turn);
    int *image = must_alloc((size_t)f->n * sizeof *image), taken = 0;   /* each person's images in random order */
    permutation(f->people, seed, "subset of people", 0, turn);
    for (int p = 0; p < f->people; p++)
        permutation(first[p + 1] - first[p], seed, "subset of images", (uint64_t)p, image + first[p]);
    for (int round = 0; taken < n; round++) {
        for (int k = 0; k < f->people && taken < n; k++) {
            int p = turn[k];
            if (first[p] + round < first[p + 1])
                index[taken++] = first[p] + image[first[p] + round];
        }
    }
    qsort(index, (size_t)n, sizeof *index, by_number);
    free(first);
    free(turn);
    free(image);
    return 0;
}

int faces_top_up(const Faces *f, int each, int *more)
{
    int sum = 0;
    for (int p = 0; p < f->people; p++)
        more[p] = each;
    for (int i = 0; i < f->n; i++)
        more[f->person[i]] -= more[f->person[i]] > 0;
    for (int p = 0; p < f->people; p++)
        sum += more[p];
    return sum;
}
