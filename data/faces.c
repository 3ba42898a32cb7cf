/* faces.c - see faces.h: making sets and reading them from files. */
#include "data/faces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef _OPENMP
#include <omp.h>
#endif

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

void faces_set(Faces *f, int i, const Image *image)
{
    Image square, small;
    image_crop_square(image, &square);
    image_resize(&square, f->size, f->size, &small);
    size_t plane = (size_t)f->size * (size_t)f->size;
    uint8_t *to = f->pixels + (size_t)i * faces_bytes(f);
    for (size_t k = 0; k < plane; k++)
        for (size_t c = 0; c < 3; c++)
            to[c * plane + k] = small.rgb[3 * k + c];
    image_free(&square);
    image_free(&small);
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

/* ---- from files ------------------------------------------------------------------------------------------------ */

void face_list_add(FaceList *list, const char *path, const char *source, const char *person)
{
    if (!(list->n & (list->n - 1)))   /* full at every power of two */
        list->files = must_realloc(list->files, (list->n ? 2 * (size_t)list->n : 1) * sizeof *list->files);
    list->files[list->n++] = (FaceFile){must_strdup(path), must_strdup(source), must_strdup(person)};
}

void face_list_free(FaceList *list)
{
    for (int i = 0; i < list->n; i++) {
        free(list->files[i].path);
        free(list->files[i].source);
        free(list->files[i].person);
    }
    free(list->files);
    *list = (FaceList){0};
}

static int by_person_and_source(const void *a, const void *b)
{
    const FaceFile *p = a, *q = b;
    int order = strcmp(p->person, q->person);
    return order ? order : strcmp(p->source, q->source);
}

/* Decodes every file into its place.  why[i]: NULL, or why there is nothing.  1 if `progress` wants to stop. */
static int read_all(const FaceList *list, Faces *out, char **why, FacesProgress progress, void *context)
{
    int done = 0, stop = 0;
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < list->n; i++) {
        Image image;
        int enough, count;
#pragma omp atomic read
        enough = stop;
        if (enough)
            continue;
        if (image_read(list->files[i].path, &image)) {
            why[i] = must_strdup(error_text());
        } else {
            faces_set(out, i, &image);
            image_free(&image);
        }
#pragma omp atomic capture
        count = ++done;
#ifdef _OPENMP
        if (omp_get_thread_num())
            continue;
#endif
        if (progress && count < list->n && progress(context, count, list->n)) {
#pragma omp atomic write
            stop = 1;
        }
    }
    return stop || (progress && progress(context, list->n, list->n));
}

/* Closes the gaps that unusable pictures left, and names people and sources. */
static void keep_usable(const FaceList *list, Faces *f, char **why)
{
    size_t bytes = faces_bytes(f);
    int n = 0, people = 0;
    for (int i = 0; i < list->n; i++) {
        const FaceFile *file = &list->files[i];
        if (why[i])
            continue;
        if (!people || strcmp(f->names[people - 1], file->person))
            f->names[people++] = must_strdup(file->person);
        if (n < i)
            memmove(f->pixels + (size_t)n * bytes, f->pixels + (size_t)i * bytes, bytes);
        f->sources[n] = must_strdup(file->source);
        f->person[n++] = people - 1;
    }
    f->n = n;
    f->people = people;
    f->pixels = must_realloc(f->pixels, (size_t)n * bytes);
}

int faces_from_list(FaceList *list, int size, Faces *out, FacesProgress progress, void *context)
{
    *out = (Faces){0};
    if (size < 1 || size > FACES_MAX_SIDE)
        return fail("image size %d is not from 1 to %d", size, FACES_MAX_SIDE);
    if (!list->n)
        return fail("no picture to read");
    qsort(list->files, (size_t)list->n, sizeof *list->files, by_person_and_source);
    Faces f = faces_create(list->n, size, list->n);   /* as if each were of another person; cut down below */
    char **why = must_zalloc((size_t)list->n * sizeof *why);
    int stopped = read_all(list, &f, why, progress, context), skipped = 0;
    for (int i = 0; i < list->n; i++) {
        if (why[i] && !stopped && skipped++ < FACES_MAX_LINES)
            fprintf(stderr, "left out: %s\n", why[i]);
    }
    if (skipped)
        fprintf(stderr, "left out: %d of %d pictures\n", skipped, list->n);
    if (!stopped)
        keep_usable(list, &f, why);
    for (int i = 0; i < list->n; i++)
        free(why[i]);
    free(why);
    if (!stopped && f.n) {
        *out = f;
        return 0;
    }
    int all = list->n;
    faces_free(&f);
    return stopped ? fail("stopped while reading pictures")
                   : fail("none of its %d pictures can be read: see the lines above", all);
}
