/* checkpoint.c - see checkpoint.h. */
#include "experiments/common/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "engine/safetensors.h"

struct Snapshot {
    int n;
    void **data;
};

static size_t bytes_of(const Store *s, int i)
{
    return (size_t)shape_count(store_shape(s, i)) * (store_dtype(s, i) == U8 ? 1 : 4);
}

static int type_of(const Store *s, int i)
{
    return store_dtype(s, i) == F32 ? SAFE_F32 : store_dtype(s, i) == I32 ? SAFE_I32 : SAFE_U8;
}

static Snapshot *snapshot_new(const Store *s)
{
    Snapshot *n = must_zalloc(sizeof *n);
    n->n = store_count(s);
    n->data = must_zalloc(sizeof *n->data * (size_t)(n->n + 1));
    for (int i = 0; i < n->n; i++)
        n->data[i] = must_alloc(bytes_of(s, i));
    return n;
}

Snapshot *snapshot_take(const Store *s)
{
    Snapshot *n = snapshot_new(s);
    for (int i = 0; i < n->n; i++)
        if (store_read(s, i, n->data[i])) {
            snapshot_free(n);
            return NULL;
        }
    return n;
}

int snapshot_restore(const Snapshot *n, Store *s)
{
    for (int i = 0; i < n->n; i++)
        if (store_write(s, i, n->data[i]))
            return -1;
    return 0;
}

void snapshot_free(Snapshot *n)
{
    for (int i = 0; n && i < n->n; i++)
        free(n->data[i]);
    free(n ? n->data : NULL);
    free(n);
}

static void add(SafeTensor *list, int *n, const Store *s, const Snapshot *from, const char *prefix)
{
    for (int i = 0; i < from->n; i++) {
        Shape shape = store_shape(s, i);
        SafeTensor *t = &list[(*n)++];
        *t = (SafeTensor){.name = must_printf("%s%s", prefix, store_name(s, i)), .dtype = type_of(s, i),
                          .rank = shape.rank, .data = from->data[i], .bytes = bytes_of(s, i)};
        for (int k = 0; k < shape.rank; k++)
            t->shape[k] = shape.dim[k];
    }
}

int checkpoint_save(const char *path, const Store *s, const Snapshot *best, const double *numbers, int n)
{
    Snapshot *now = snapshot_take(s);
    if (!now)
        return -1;
    int count = 0;
    SafeTensor *list = must_zalloc(sizeof *list * (size_t)(2 * now->n + 2));
    add(list, &count, s, now, "store.");
    if (best)
        add(list, &count, s, best, "best.");
    list[count++] = (SafeTensor){.name = must_strdup("loop"), .dtype = SAFE_F64, .rank = 1, .shape = {n},
                                 .data = numbers, .bytes = sizeof *numbers * (size_t)n};
    const char *metadata[] = {"guise", engine_version(), "device", store_device(s), NULL};
    int bad = safetensors_write(path, list, count, metadata);
    for (int i = 0; i < count; i++)
        free((char *)list[i].name);
    free(list);
    snapshot_free(now);
    return bad;
}

/* Fills n from the tensors PREFIXname of f; 0, 1 if the first is absent, or -1. */
static int fill(Snapshot *n, const Store *s, const SafeFile *f, const char *prefix, const char *path)
{
    for (int i = 0; i < n->n; i++) {
        char *name = must_printf("%s%s", prefix, store_name(s, i));
        const SafeTensor *t = safetensors_find(f, name);
        free(name);
        if (!t && i == 0)
            return 1;
        if (!t || t->dtype != type_of(s, i) || !shape_equal(shape_make(t->shape, t->rank), store_shape(s, i)))
            return fail("%s: %s is missing or has another shape: it is of another configuration; delete it", path,
                        store_name(s, i));
        memcpy(n->data[i], t->data, t->bytes);
    }
    return 0;
}

int checkpoint_load(const char *path, Store *s, Snapshot **best, double *numbers, int n)
{
    SafeFile *f = safetensors_open(path);
    if (!f)
        return -1;
    Snapshot *now = snapshot_new(s), *other = snapshot_new(s);
    const SafeTensor *loop = safetensors_find(f, "loop");
    int bad = fill(now, s, f, "store.", path), has = bad ? 1 : fill(other, s, f, "best.", path);
    if (!bad && (!loop || loop->dtype != SAFE_F64 || loop->bytes != sizeof *numbers * (size_t)n))
        bad = fail("%s: holds no numbers of this training: delete it", path);
    else if (bad == 1)
        bad = fail("%s: is no checkpoint: delete it", path);
    bad = bad || has < 0 || snapshot_restore(now, s);
    if (!bad)
        memcpy(numbers, loop->data, loop->bytes);
    if (!bad && best && !has) {
        *best = other;
        other = NULL;
    }
    snapshot_free(now);
    snapshot_free(other);
    safetensors_close(f);
    return bad ? -1 : 0;
}
