/* memory.c - the scratch arena of a device, and whether what plans need fits. */
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"

int arena_reserve(Device *d, size_t bytes)
{
    if (bytes <= d->arena_bytes)
        return 0;
    if (d->sync(d, "making the arena larger"))
        return -1;
    if (d->arena)
        d->free(d, d->arena);
    d->arena_bytes = 0;
    d->arena = d->alloc(d, bytes);
    d->arena_generation++;
    if (!d->arena)
        return fail_in("scratch memory of %.0f MiB", (double)bytes / 1048576);
    d->arena_bytes = bytes;
    return 0;
}

/* Whether `what` was met before; lists of plans are short. */
static bool met_before(const void *const *list, int n, const void *what)
{
    for (int i = 0; i < n; i++)
        if (list[i] == what)
            return true;
    return false;
}

/* An input that belongs to another program is counted with the first plan that reads it. */
static bool counted(Plan *const *plans, int i, const Input *in)
{
    for (int j = 0; j < i && in->shared; j++)
        for (int k = 0; k < plans[j]->q->origin->ninputs; k++)
            if (plans[j]->q->origin->inputs[k].data == in->data)
                return true;
    return false;
}

static size_t held_by(Plan *const *plans, int n)
{
    const void **stores = must_alloc(sizeof *stores * 2 * (size_t)(n + 1)), **programs = stores + n + 1;
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        const Prog *p = plans[i]->q->origin;
        bytes += plan_own_bytes(plans[i]);
        for (int e = 0; !met_before(stores, i, p->store) && e < p->store->n; e++)
            bytes += store_bytes(p->store, e);
        for (int k = 0; !met_before(programs, i, p) && k < p->ninputs; k++)
            if (!counted(plans, i, &p->inputs[k]))
                bytes += (size_t)shape_count(p->inputs[k].shape) *
                         (size_t)(p->inputs[k].dtype == F32 ? plans[i]->device->real_bytes
                                  : p->inputs[k].dtype == U8 ? 1 : 4);
        stores[i] = p->store;
        programs[i] = p;
    }
    free(stores);
    return bytes;
}

int plans_reserve(Plan *const *plans, int n, PlanMemory *memory)
{
    const double MiB = 1048576;
    PlanMemory m = {0};
    Device *d = n ? plans[0]->device : NULL;
    const Plan *largest = NULL;
    for (int i = 0; i < n; i++)
        if (!largest || plans[i]->arena_bytes > largest->arena_bytes)
            largest = plans[i];
    if (d) {
        m.arena = largest->arena_bytes > d->arena_bytes ? largest->arena_bytes : d->arena_bytes;
        m.held = held_by(plans, n);
        if (d->memory)
            d->memory(d, &m.available, &m.total);
    }
    if (memory)
        *memory = m;
    if (d && m.total && m.arena > d->arena_bytes && m.arena - d->arena_bytes > m.available)
        return fail("plan %s does not fit: it needs %.0f MiB of scratch memory beside %.0f MiB that parameters, inputs "
                    "and results hold, and %.0f of the device's %.0f MiB are free: use a smaller batch, image size or "
                    "width",
                    largest->name, (double)m.arena / MiB, (double)m.held / MiB,
                    (double)(m.available + d->arena_bytes) / MiB, (double)m.total / MiB);
    return d ? arena_reserve(d, m.arena) : 0;
}

const char *plan_memory_text(const PlanMemory *m, char *text, size_t size)
{
    const double MiB = 1048576;
    size_t n = (size_t)snprintf(text, size, "peak memory %.0f MiB: %.0f of scratch for whichever plan runs, %.0f held",
                                (double)(m->arena + m->held) / MiB, (double)m->arena / MiB, (double)m->held / MiB);
    if (m->total && n < size)
        snprintf(text + n, size - n, "; the device has %.0f MiB", (double)m->total / MiB);
    return text;
}
