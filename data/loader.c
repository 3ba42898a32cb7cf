/* loader.c - see loader.h.
 *
 * A ring of batches.  The thread fills the slot of step `filled` while that is less than AHEAD beyond `taken`, the
 * first step the caller still has a claim on; the caller waits until the step it wants is filled.  A seek moves both,
 * and whatever the thread was just filling is thrown away. */
#include "data/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

enum { AHEAD = 4 };

struct Loader {
    const Faces *faces;
    int batch;
    uint64_t seed;
    Batch slot[AHEAD];   /* of step s: slot[s % AHEAD] */
    int *order;          /* (n), of epoch `epoch`; the thread's own */
    long epoch;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    long taken, next, filled;   /* taken <= next <= filled <= taken + AHEAD */
    unsigned seeks;
    int stop;
};

long loader_steps_per_epoch(const Loader *l)
{
    return l->faces->n / l->batch;
}

static void fill(Loader *l, long step)
{
    const Faces *f = l->faces;
    Batch *to = &l->slot[step % AHEAD];
    long epoch = step / loader_steps_per_epoch(l), at = step % loader_steps_per_epoch(l) * l->batch;
    size_t bytes = faces_bytes(f);
    if (epoch != l->epoch) {
        permutation(f->n, l->seed, "loader", (uint64_t)epoch, l->order);
        l->epoch = epoch;
    }
    for (int i = 0; i < l->batch; i++) {
        int k = l->order[at + i];
        to->index[i] = k;
        to->person[i] = f->person[k];
        memcpy(to->pixels + (size_t)i * bytes, f->pixels + (size_t)k * bytes, bytes);
    }
    to->step = step;
}

static void *work(void *context)
{
    Loader *l = context;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->filled == l->taken + AHEAD) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        long step = l->filled;
        unsigned seeks = l->seeks;
        pthread_mutex_unlock(&l->lock);
        fill(l, step);
        pthread_mutex_lock(&l->lock);
        if (seeks == l->seeks) {
            l->filled = step + 1;
            pthread_cond_broadcast(&l->changed);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void release(Loader *l)
{
    for (int i = 0; i < AHEAD; i++) {
        free(l->slot[i].pixels);
        free(l->slot[i].person);
        free(l->slot[i].index);
    }
    free(l->order);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l);
}

Loader *loader_create(const Faces *f, int batch, uint64_t seed)
{
    if (batch < 1 || batch > f->n) {
        fail("a batch of %d from %d images: the batch must be 1 to the number of images: make it smaller", batch, f->n);
        return NULL;
    }
    Loader *l = must_zalloc(sizeof *l);
    *l = (Loader){.faces = f, .batch = batch, .seed = seed, .epoch = -1};
    l->order = must_alloc((size_t)f->n * sizeof *l->order);
    for (int i = 0; i < AHEAD; i++)
        l->slot[i] = (Batch){must_alloc((size_t)batch * faces_bytes(f)), must_alloc((size_t)batch * sizeof(int32_t)),
                             must_alloc((size_t)batch * sizeof(int32_t)), 0};
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    int why = pthread_create(&l->thread, NULL, work, l);
    if (!why)
        return l;
    fail("no thread to read ahead: %s", strerror(why));
    release(l);
    return NULL;
}

void loader_free(Loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    release(l);
}

const Batch *loader_next(Loader *l)
{
    pthread_mutex_lock(&l->lock);
    long step = l->next++;
    l->taken = step;   /* the batch given out before goes back to the thread */
    pthread_cond_broadcast(&l->changed);
    while (l->filled <= step)
        pthread_cond_wait(&l->changed, &l->lock);
    pthread_mutex_unlock(&l->lock);
    return &l->slot[step % AHEAD];
}

void loader_seek(Loader *l, long step)
{
    if (step < 0)
        die("loader_seek: step %ld", step);
    pthread_mutex_lock(&l->lock);
    l->taken = l->next = l->filled = step;
    l->seeks++;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}
