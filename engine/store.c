/* store.c - what lasts: named tensors on one device. */
#include <stdlib.h>
#include <string.h>

#include "engine/program.h"
#include "engine/random.h"
#include "engine/safetensors.h"

Store *store_create(const char *device, uint64_t seed)
{
    Device *d = device_open(device);
    if (!d)
        return NULL;
    Store *s = must_zalloc(sizeof *s);
    s->device = d;
    s->device_name = must_strdup(device);
    s->seed = seed;
    return s;
}

void store_free(Store *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++) {
        s->device->free(s->device, s->entries[i]->data);
        free(s->entries[i]->name);
        free(s->entries[i]);
    }
    device_close(s->device);
    free(s->entries);
    free(s->device_name);
    free(s);
}

static size_t host_bytes(const Entry *e)
{
    return (size_t)shape_count(e->shape) * (e->dtype == U8 ? 1 : 4);
}

size_t store_bytes(const Store *s, int i)
{
    const Entry *e = s->entries[i];
    return (size_t)shape_count(e->shape) *
           (e->dtype == U8 ? 1 : e->dtype == I32 ? 4 : (size_t)s->device->real_bytes);
}

static void initial_values(const Entry *e, uint64_t seed, void *data)
{
    int64_t n = shape_count(e->shape);
    uint64_t name = random_name(e->name);
    memset(data, 0, host_bytes(e));
    if (!strcmp(e->name, "rng") && e->dtype == I32 && n == 4) {
        memcpy(data, &seed, 8);   /* the counter's key: see prog_rng */
    } else if (e->dtype == F32) {
        float *x = data;
        for (int64_t i = 0; i < n; i++) {
            float u = e->init.kind >= INIT_NORMAL ? random_unit(random_bits(seed, name, 0, (uint64_t)i)) : 0;
            x[i] = e->init.kind == INIT_CONSTANT ? e->init.a
                 : e->init.kind == INIT_NORMAL ? e->init.a * random_normal_from(u)
                 : e->init.kind == INIT_UNIFORM ? e->init.a * fmaf(2.0f, u, -1.0f) : 0;
        }
    } else if (e->init.kind == INIT_CONSTANT && e->dtype == I32) {
        for (int64_t i = 0; i < n; i++)
            ((int32_t *)data)[i] = (int32_t)e->init.a;
    }
}

static int initialise(Store *s, int i, uint64_t seed)
{
    Entry *e = s->entries[i];
    void *data = must_alloc(host_bytes(e));
    initial_values(e, seed, data);
    int bad = store_write(s, i, data);
    free(data);
    return bad;
}

int store_add(Store *s, const char *name, Dtype dtype, Shape shape, Init init, bool param)
{
    int i = store_find(s, name);
    if (i >= 0) {
        Entry *e = s->entries[i];
        char a[96], b[96];
        if (e->dtype != dtype || !shape_equal(e->shape, shape))
            return fail("%s has shape %s in the store and is asked for with %s", name,
                        shape_text(e->shape, a, sizeof a), shape_text(shape, b, sizeof b));
        e->param |= param;
        return i;
    }
    char text[96];
    if (!shape_possible(shape))
        return fail("%s: %s is no shape: up to %d sizes, none negative", name, shape_text(shape, text, sizeof text),
                    RANK_MAX);
    Entry *e = must_zalloc(sizeof *e);
    *e = (Entry){.name = must_strdup(name), .dtype = dtype, .shape = shape, .init = init, .param = param};
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->entries = must_realloc(s->entries, sizeof *s->entries * (size_t)s->room);
    }
    s->entries[s->n] = e;
    size_t bytes = store_bytes(&(Store){.device = s->device, .entries = &e}, 0);
    e->data = s->device->alloc(s->device, bytes ? bytes : 1);
    if (!e->data) {
        free(e->name);
        free(e);
        return fail_in("%s", name);
    }
    s->n++;
    return initialise(s, s->n - 1, s->seed) ? -1 : s->n - 1;
}

/* prefix: "A.|G.", any of several; "" or NULL for all. */
static bool begins(const char *name, const char *prefix)
{
    for (const char *p = prefix ? prefix : "";; p++) {
        size_t n = strcspn(p, "|");
        if (!strncmp(name, p, n))
            return true;
        p += n;
        if (!*p)
            return false;
    }
}

int store_reset(Store *s, const char *prefix, uint64_t seed)
{
    for (int i = 0; i < s->n; i++)
        if (begins(s->entries[i]->name, prefix) && initialise(s, i, seed))
            return -1;
    return 0;
}

int store_count(const Store *s)
{
    return s->n;
}

const char *store_name(const Store *s, int i)
{
    return s->entries[i]->name;
}

int store_find(const Store *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->entries[i]->name, name))
            return i;
    return -1;
}

Shape store_shape(const Store *s, int i)
{
    return s->entries[i]->shape;
}

Dtype store_dtype(const Store *s, int i)
{
    return s->entries[i]->dtype;
}

bool store_is_param(const Store *s, int i)
{
    return s->entries[i]->param;
}

const char *store_device(const Store *s)
{
    return s->device_name;
}

bool store_on_host(const Store *s)
{
    return s->device->host_memory;
}

int store_read(const Store *s, int i, void *data)
{
    const Entry *e = s->entries[i];
    if (e->dtype != F32 || s->device->real_bytes == 4)
        return s->device->download(s->device, data, e->data, store_bytes(s, i));
    int64_t n = shape_count(e->shape);
    double *wide = must_alloc((size_t)n * sizeof *wide);
    int bad = s->device->download(s->device, wide, e->data, (size_t)n * sizeof *wide);
    for (int64_t k = 0; k < n && !bad; k++)
        ((float *)data)[k] = (float)wide[k];
    free(wide);
    return bad;
}

int store_write(Store *s, int i, const void *data)
{
    Entry *e = s->entries[i];
    e->version++;
    if (e->dtype != F32 || s->device->real_bytes == 4)
        return s->device->upload(s->device, e->data, data, store_bytes(s, i));
    int64_t n = shape_count(e->shape);
    double *wide = must_alloc((size_t)n * sizeof *wide);
    for (int64_t k = 0; k < n; k++)
        wide[k] = ((const float *)data)[k];
    int bad = s->device->upload(s->device, e->data, wide, (size_t)n * sizeof *wide);
    free(wide);
    return bad;
}

int store_save(const Store *s, const char *path, const char *prefix, const char *const *metadata)
{
    static const int types[] = {[F32] = SAFE_F32, [I32] = SAFE_I32, [U8] = SAFE_U8};
    SafeTensor *t = must_zalloc(sizeof *t * (size_t)(s->n + 1));
    int n = 0, bad = 0;
    for (int i = 0; i < s->n && !bad; i++) {
        const Entry *e = s->entries[i];
        if (!begins(e->name, prefix))
            continue;
        void *data = must_alloc(host_bytes(e));
        bad = store_read(s, i, data);
        t[n] = (SafeTensor){.name = e->name, .dtype = types[e->dtype], .rank = e->shape.rank, .data = data,
                            .bytes = host_bytes(e)};
        for (int k = 0; k < e->shape.rank; k++)
            t[n].shape[k] = e->shape.dim[k];
        n++;
    }
    bad = bad || safetensors_write(path, t, n, metadata);
    for (int i = 0; i < n; i++)
        free((void *)t[i].data);
    free(t);
    return bad ? -1 : 0;
}

/* The file's tensor as the store's host form, or NULL with error_text(). */
static void *matching(const Entry *e, const SafeFile *f, const char *path)
{
    const SafeTensor *t = safetensors_find(f, e->name);
    if (!t) {
        fail("%s: holds no tensor %s", path, e->name);
        return NULL;
    }
    Shape shape = shape_make(t->shape, t->rank);
    char a[96], b[96];
    if (!shape_equal(shape, e->shape)) {
        fail("%s: %s has shape %s and must have %s", path, e->name, shape_text(shape, a, sizeof a),
             shape_text(e->shape, b, sizeof b));
        return NULL;
    }
    void *data = must_alloc(host_bytes(e));
    int bad = e->dtype == F32 ? safetensors_floats(t, data)
            : e->dtype == I32 ? safetensors_ints(t, data)
            : t->dtype == SAFE_U8 ? (memcpy(data, t->data, t->bytes), 0) : fail("%s must hold bytes", e->name);
    if (!bad)
        return data;
    fail_in("%s", path);
    free(data);
    return NULL;
}

int store_load(Store *s, const char *path, const char *prefix)
{
    SafeFile *f = safetensors_open(path);
    if (!f)
        return -1;
    void **data = must_zalloc(sizeof *data * (size_t)(s->n + 1));
    int bad = 0;
    for (int i = 0; i < s->n && !bad; i++)
        if (begins(s->entries[i]->name, prefix))
            bad = !(data[i] = matching(s->entries[i], f, path));
    for (int i = 0; i < s->n && !bad; i++)
        if (data[i])
            bad = store_write(s, i, data[i]);
    for (int i = 0; i < s->n; i++)
        free(data[i]);
    free(data);
    safetensors_close(f);
    return bad ? -1 : 0;
}

int store_copy(Store *to, const Store *from, const char *prefix)
{
    for (int i = 0; i < to->n; i++) {   /* nothing is changed unless all fits */
        const Entry *e = to->entries[i];
        int j = begins(e->name, prefix) ? store_find(from, e->name) : 0;
        if (begins(e->name, prefix) && (j < 0 || !shape_equal(from->entries[j]->shape, e->shape) ||
                                        from->entries[j]->dtype != e->dtype))
            return fail("%s: the other store has no such tensor of that shape", e->name);
    }
    for (int i = 0; i < to->n; i++) {
        Entry *e = to->entries[i];
        if (!begins(e->name, prefix))
            continue;
        int j = store_find(from, e->name);
        if (to->device == from->device) {
            to->device->copy(to->device, e->data, from->entries[j]->data, store_bytes(to, i));
            e->version++;
        } else {
            void *data = must_alloc(host_bytes(e));
            int bad = store_read(from, j, data) || store_write(to, i, data);
            free(data);
            if (bad)
                return -1;
        }
    }
    return 0;
}
