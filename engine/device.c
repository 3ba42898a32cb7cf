/* device.c - opening devices, and the memory of those that live on the host. */
#include "engine/device.h"

#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 16 };
static struct {
    char *name;
    Device *device;
    int users;
} opened[DEVICES_MAX];

static const BackendEntry *backend_of(const char *device)
{
    size_t stem = strcspn(device, ":");
    for (const BackendEntry *b = backend_table; b->name; b++)
        if (strlen(b->name) == stem && !strncmp(b->name, device, stem))
            return b;
    char known[200] = "";
    for (const BackendEntry *b = backend_table; b->name; b++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", *known ? ", " : "", b->name);
    if (stem == 4 && !strncmp(device, "cuda", stem))
        fail("device %s: this build was made without CUDA: with NVIDIA's toolkit, make CUDA=1 NVCC=/path/to/nvcc",
             device);
    else
        fail("device %s: this build knows only %s", device, known);
    return NULL;
}

bool backend_known(const char *device)
{
    return backend_of(device) != NULL;
}

Device *device_open(const char *name)
{
    size_t stem = strcspn(name, ":");
    for (int i = 0; i < DEVICES_MAX; i++)
        if (opened[i].device && !strcmp(opened[i].name, name)) {
            opened[i].users++;
            return opened[i].device;
        }
    const BackendEntry *b = backend_of(name);
    if (!b)
        return NULL;
    Device *d = b->backend->open(name[stem] ? name + stem + 1 : NULL);
    if (!d)
        return NULL;
    for (int i = 0; i < DEVICES_MAX; i++)
        if (!opened[i].device) {
            opened[i].name = must_strdup(name);
            opened[i].device = d;
            opened[i].users = 1;
            return d;
        }
    d->close(d);
    fail("device %s: more than %d devices are open", name, DEVICES_MAX);
    return NULL;
}

void device_close(Device *d)
{
    for (int i = 0; i < DEVICES_MAX; i++)
        if (opened[i].device == d && --opened[i].users == 0) {
            if (d->arena)
                d->free(d, d->arena);
            free(opened[i].name);
            opened[i].device = NULL;
            d->close(d);
        }
}

const KernelDef *kernel_find(const char *op, const Device *device, bool *own)
{
    const KernelDef *fallback = NULL;
    if (own)
        *own = true;
    for (const KernelEntry *e = kernel_table; e->op; e++)
        if (!strcmp(e->op, op)) {
            if (!strcmp(e->backend, device->backend))
                return e->kernel;
            if (device->fallback && !strcmp(e->backend, device->fallback))
                fallback = e->kernel;
        }
    if (own)
        *own = false;
    return fallback;
}

const char *backend_libraries(const char *backend)
{
    for (const BackendEntry *b = backend_table; b->name; b++)
        if (!strcmp(b->name, backend))
            return b->backend->libraries ? b->backend->libraries() : "";
    return "";
}

/* ---------------------------------------------------------------- precision */
static Precision precision;

const char *precision_name(Precision p)
{
    static const char *const names[] = {"fp32", "tf32", "bf16"};
    return names[p];
}

static const char *argument_of(const char *device)
{
    const char *colon = strchr(device, ':');
    return colon ? colon + 1 : NULL;
}

int engine_precision(const char *device, Precision p)
{
    const BackendEntry *b = backend_of(device);
    if (!b)
        return -1;
    const char *why = p == PRECISION_FP32 ? NULL : b->backend->lacks ? b->backend->lacks(argument_of(device), p)
                                                                     : "it multiplies in fp32 alone";
    if (why)
        return fail("device %s: no products in %s: %s; use fp32", device, precision_name(p), why);
    precision = p;
    return 0;
}

Precision engine_precision_now(void)
{
    return precision;
}

static bool any_order;

void engine_deterministic(bool on)
{
    any_order = !on;
}

bool engine_deterministic_now(void)
{
    return !any_order;
}

/* ---------------------------------------------------------------- host memory */
static void *host_alloc(Device *d, size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, d->alignment, bytes ? bytes : 1))
        fail("no memory for %.1f MiB: use a smaller batch, image size or preset", (double)bytes / 1048576);
    return p;
}

static void host_free(Device *d, void *p)
{
    (void)d;
    free(p);
}

static int host_move(Device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    if (bytes)   /* of empty values there is no address */
        memmove(to, from, bytes);
    return 0;
}

static void host_copy(Device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    if (bytes)
        memmove(to, from, bytes);
}

static void host_fill(Device *d, void *to, int byte, size_t bytes)
{
    (void)d;
    if (bytes)
        memset(to, byte, bytes);
}

static int host_sync(Device *d, const char *what)
{
    (void)d;
    (void)what;
    return 0;
}

static void host_close(Device *d)
{
    free(d);
}

Device *device_host(const char *backend, const char *fallback, int real_bytes)
{
    Device *d = must_zalloc(sizeof *d);
    *d = (Device){
        .backend = backend, .fallback = fallback, .real_bytes = real_bytes, .host_memory = true, .alignment = 64,
        .alloc = host_alloc, .free = host_free, .upload = host_move, .download = host_move, .copy = host_copy,
        .fill = host_fill, .sync = host_sync, .close = host_close,
    };
    return d;
}
