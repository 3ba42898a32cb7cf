/* faces.c - see faces.h: making sets, in memory. */
#include "data/faces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/error.h"

Faces faces_create(int n, int size, int people)
{
    if (n < 0 || people < 0 || size < 1 || size > FACES_MAX_SIDE)
        die("faces_create: %d images of %d people, side %d: sides are 1 to %d", n, people, size, FACES_MAX_SIDE);
    Faces f = {.n = n, .size = size, .people = people};
    f.pixels = must_zalloc((size_t)n * faces_bytes(&f));
    f.person = must_zalloc((size_t)n * sizeof *f.person);
    f.names = must_zalloc((size_t)people * sizeof *f.names);
    f.sources = must_zalloc((size_t)n * sizeof *f.sources);
    return f;
}

void faces_free(Faces *f)
{
    for (int i = 0; i < f->people; i++)
        free(f->names[i]);
    for (int i = 0; i < f->n; i++)
        free(f->sources[i]);
    free(f->names);
    free(f->sources);
    free(f->person);
    if (f->map)
        munmap(f->map, f->map_bytes);
    else
        free(f->pixels);
    *f = (Faces){0};
}

size_t faces_bytes(const Faces *f)
{
    return 3 * (size_t)f->size * (size_t)f->size;
}

int *faces_first(const Faces *f)
{
    int *first = must_alloc(((size_t)f->people + 1) * sizeof *first), i = 0;
    for (int p = 0; p < f->people; p++) {
        first[p] = i;
        while (i < f->n && f->person[i] == p)
            i++;
    }
    first[f->people] = i;
    return first;
}

void face_bytes(const Image *image, int size, uint8_t *to)
{
    Image square, small;
    image_crop_square(image, &square);
    image_resize(&square, size, size, &small);
    size_t plane = (size_t)size * (size_t)size;
    for (size_t k = 0; k < plane; k++)
        for (size_t c = 0; c < 3; c++)
            to[c * plane + k] = small.rgb[3 * k + c];
    image_free(&square);
    image_free(&small);
}

void faces_set(Faces *f, int i, const Image *image)
{
    face_bytes(image, f->size, f->pixels + (size_t)i * faces_bytes(f));
}

void faces_image(const Faces *f, int i, Image *out)
{
    size_t plane = (size_t)f->size * (size_t)f->size;
    const uint8_t *from = f->pixels + (size_t)i * faces_bytes(f);
    *out = (Image){f->size, f->size, must_alloc(3 * plane)};
    for (size_t k = 0; k < plane; k++)
        for (size_t c = 0; c < 3; c++)
            out->rgb[3 * k + c] = from[c * plane + k];
}

/* ---- from lists ------------------------------------------------------------------------------------------------ */

static int take(void *context, int i, const Image *picture)
{
    faces_set(context, i, picture);
    return 0;
}

/* Closes the gaps that unusable pictures left, and names people and sources. */
static void keep_usable(const Manifest *list, Faces *f, char *const *why)
{
    size_t bytes = faces_bytes(f);
    int n = 0, people = 0;
    for (int i = 0; i < list->n; i++) {
        const ManifestRow *row = &list->row[i];
        if (why[i])
            continue;
        if (!people || strcmp(f->names[people - 1], row->identity))
            f->names[people++] = must_strdup(row->identity);
        if (n < i)
            memmove(f->pixels + (size_t)n * bytes, f->pixels + (size_t)i * bytes, bytes);
        f->sources[n] = must_strdup(row->path);
        f->person[n++] = people - 1;
    }
    f->n = n;
    f->people = people;
    f->pixels = must_realloc(f->pixels, (size_t)n * bytes);
}

int faces_told(const Manifest *list, char *const *why)
{
    Told told = {.most = FACES_MAX_LINES, .what = list->strict ? NULL : "left out"};
    for (int i = 0; i < list->n; i++)
        if (why[i])
            tell(&told, "%s", why[i]);
    if (told.n)
        fprintf(stderr, "%s: %d of %d pictures\n", list->strict ? "not as the manifest says" : "left out", told.n,
                list->n);
    if (told.n == list->n)
        return fail("none of its %d pictures can be read: see the lines above", list->n);
    return told.n && list->strict
               ? fail("%d of its %d pictures are not as the manifest says: see the lines above; put them right, "
                      "or make the manifest again", told.n, list->n) : 0;
}

int faces_read(Manifest *list, int size, Faces *out, ManifestProgress progress, void *context)
{
    *out = (Faces){0};
    if (size < 1 || size > FACES_MAX_SIDE)
        return fail("image size %d is not from 1 to %d", size, FACES_MAX_SIDE);
    if (!list->n)
        return fail("no picture to read");
    manifest_sort(list);
    Faces f = faces_create(list->n, size, list->n);   /* as if each were of another person; cut down below */
    char **why = must_zalloc((size_t)list->n * sizeof *why);
    int bad = manifest_read(list, NULL, take, &f, why, progress, context) < 0 || faces_told(list, why);
    if (!bad)
        keep_usable(list, &f, why);
    for (int i = 0; i < list->n; i++)
        free(why[i]);
    free(why);
    if (bad)
        faces_free(&f);
    *out = f;
    return bad ? -1 : 0;
}
