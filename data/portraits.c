/* portraits.c - populations: how many images each person has, and whole sets drawn in memory. */
#include "data/portraits.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "data/portraits_parts.h"
#include "engine/error.h"
#include "engine/random.h"

/* Where source i's people begin; source_start(p, PORTRAIT_SOURCES) is p->people. */
static int source_start(const PortraitPopulation *p, int source)
{
    long before = 0, all = 0;
    for (int i = 0; i < PORTRAIT_SOURCES; i++) {
        all += p->sources[i].people;
        before += i < source ? p->sources[i].people : 0;
    }
    return all ? (int)(before * p->people / all) : 0;
}

static const PortraitSource *source_of(const PortraitPopulation *p, int person)
{
    for (int i = 0; i < PORTRAIT_SOURCES; i++)
        if (person < source_start(p, i + 1))
            return &p->sources[i];
    return NULL;
}

int portraits_camera(const PortraitPopulation *p, int person)
{
    const PortraitSource *source = source_of(p, person);
    return source ? source->camera : p->camera;
}

/* Least and most images of each person; sources' limits times down / 16 and up / 16. */
static void find_limits(const PortraitPopulation *p, int down, int up, int *low, int *high, long *least, long *most)
{
    *least = *most = 0;
    for (int i = 0; i < p->people; i++) {
        const PortraitSource *source = source_of(p, i);
        low[i] = p->images_min;
        high[i] = p->images_max;
        if (source) {
            low[i] = (source->images_min * down + 8) / 16;
            high[i] = (source->images_max * up + 8) / 16;
            low[i] = low[i] < 2 ? 2 : low[i];
            high[i] = high[i] < 2 ? 2 : high[i];
        }
        *least += low[i];
        *most += high[i];
    }
}

/* Collected sets have many people with few images and few with many: a share with exponential distribution, scaled
 * so that the counts, kept in their limits, come to the total. */
static long scaled_counts(int people, const int *low, const int *high, const float *share, float factor, int *counts)
{
    long sum = 0;
    for (int i = 0; i < people; i++) {
        float n = minf((float)low[i] + .5f + factor * share[i], (float)high[i]);
        counts[i] = (int)n;
        sum += counts[i];
    }
    return sum;
}

static void draw_total(Random *r, const PortraitPopulation *p, const int *low, const int *high, int *counts)
{
    float *share = must_alloc((unsigned long)p->people * sizeof *share);
    for (int i = 0; i < p->people; i++)
        share[i] = -random_log(random_uniform(r));
    float below = 0, above = 1e12f;   /* the sum grows with the factor */
    for (int i = 0; i < 100; i++) {
        float middle = .5f * (below + above);
        if (scaled_counts(p->people, low, high, share, middle, counts) <= p->images_total)
            below = middle;
        else
            above = middle;
    }
    long left = p->images_total - scaled_counts(p->people, low, high, share, below, counts);
    free(share);
    /* what rounding left, one each */
    while (left > 0)
        for (int i = 0; i < p->people && left > 0; i++)
            if (counts[i] < high[i]) {
                counts[i]++;
                left--;
            }
}

int portraits_counts(uint64_t world, const PortraitPopulation *p, int *counts)
{
    int low = p->images_min, high = p->images_max, parts = 0;
    long total = p->images_total, least, most, sum = 0;
    for (int i = 0; i < PORTRAIT_SOURCES; i++) {
        const PortraitSource *s = &p->sources[i];
        if (!s->people)
            continue;
        if (s->people < 0 || s->people > 1000000 || s->images_max < s->images_min || s->images_max > 10000)
            return fail("population %s: source %d: counts must be positive and in order", p->name, i + 1);
        low = parts++ ? low < s->images_min ? low : s->images_min : s->images_min;
        high = high > s->images_max ? high : s->images_max;
    }
    if (p->people < 1 || low < 1 || high < low || high > 1000000 || (long)p->people * high > 100000000)
        return fail("population %s: %d people of %d to %d images: counts must be positive and in order", p->name,
                    p->people, low, high);
    int *lows = must_alloc((unsigned long)p->people * sizeof *lows);
    int *highs = must_alloc((unsigned long)p->people * sizeof *highs), down = 16, up = 16;
    find_limits(p, down, up, lows, highs, &least, &most);
    while (parts && total > 0 && total < least && down > 1)
        find_limits(p, --down, up, lows, highs, &least, &most);
    while (parts && total > most && up < 16000)
        find_limits(p, down, ++up, lows, highs, &least, &most);
    if (total > 0 && (total < least || total > most)) {
        free(lows);
        free(highs);
        return fail("population %s: %ld images in all: %d people have %ld to %ld", p->name, total, p->people, least,
                    most);
    }
    char name[256];
    snprintf(name, sizeof name, "portrait counts %s", p->name);
    Random r = random_stream(world, name, 0);
    if (total > 0)
        draw_total(&r, p, lows, highs, counts);
    else
        for (int i = 0; i < p->people; i++)
            counts[i] = lows[i] + (int)random_below(&r, (uint32_t)(highs[i] - lows[i] + 1));
    for (int i = 0; i < p->people; i++)
        sum += counts[i];
    free(lows);
    free(highs);
    return (int)sum;
}

static void fill_planes(Faces *f, int image, const uint8_t *rgb)
{
    size_t area = (size_t)f->size * f->size;
    uint8_t *planes = f->pixels + (size_t)image * 3 * area;
    for (size_t i = 0; i < area; i++)
        for (int ch = 0; ch < 3; ch++)
            planes[ch * area + i] = rgb[3 * i + ch];
}

/* Draws all images of `f`, whose people are set; `number` is each image's place among its person's. */
static int draw_all(uint64_t world, const PortraitPopulation *p, Faces *f, const int *number,
                    int (*progress)(void *, int, int), void *context)
{
    int done = 0, stop = 0;
#pragma omp parallel
    {
        Canvas *canvas = canvas_make(f->size);
        uint8_t *rgb = must_alloc((unsigned long)f->size * f->size * 3);
#pragma omp for schedule(dynamic)
        for (int i = 0; i < f->n; i++) {
            int halt, now;
#pragma omp atomic read
            halt = stop;
            if (halt)
                continue;
            PortraitPerson person;
            PortraitLook look;
            portrait_person(world, p->name, f->person[i], &person);
            portrait_look(world, p->name, f->person[i], number[i], &look);
            look.camera = portraits_camera(p, f->person[i]);
            canvas_render(canvas, &person, &look, f->size, rgb);
            fill_planes(f, i, rgb);
#pragma omp atomic capture
            now = ++done;
            int caller = 1;
#ifdef _OPENMP
            caller = omp_get_thread_num() == 0;
#endif
            if (progress && caller && progress(context, now, f->n)) {
#pragma omp atomic write
                stop = 1;
            }
        }
        free(rgb);
        canvas_free(canvas);
    }
    if (!stop && progress && progress(context, f->n, f->n))
        stop = 1;
    return stop ? fail("population %s: stopped", p->name) : 0;
}

int portraits_faces(uint64_t world, const PortraitPopulation *p, int size, Faces *out,
                    int (*progress)(void *context, int done, int total), void *context)
{
    memset(out, 0, sizeof *out);
    if (size < PORTRAIT_MIN_SIZE || size > PORTRAIT_MAX_SIZE)
        return fail("portraits of %d pixels: sizes are %d to %d", size, PORTRAIT_MIN_SIZE, PORTRAIT_MAX_SIZE);
    if (p->people < 1)
        return fail("population %s: %d people", p->name, p->people);
    for (int i = 0; i < p->people; i++) {
        int camera = portraits_camera(p, i);
        if ((unsigned)camera >= PORTRAIT_CAMERAS)
            return fail("portrait camera %d: cameras are 0 to %d", camera, PORTRAIT_CAMERAS - 1);
    }
    int *counts = must_alloc((unsigned long)p->people * sizeof *counts);
    int n = portraits_counts(world, p, counts);
    if (n < 0) {
        free(counts);
        return -1;
    }
    Faces f = faces_create(n, size, p->people);
    int *number = must_alloc((unsigned long)n * sizeof *number);
    for (int person = 0, i = 0; person < p->people; person++) {
        f.names[person] = must_printf("%s_%04d", p->name, person + 1);
        for (int k = 0; k < counts[person]; k++, i++) {
            f.person[i] = person;
            number[i] = k;
            f.sources[i] = must_printf("portraits:%s/person_%04d/%04d", p->name, person + 1, k + 1);
        }
    }
    free(counts);
    int failed = draw_all(world, p, &f, number, progress, context);
    free(number);
    if (failed) {
        faces_free(&f);
        return -1;
    }
    *out = f;
    return 0;
}
