/* plan.c - order, lifetimes, offsets: everything a program needs, laid into one arena before it runs.
 *
 * A value is needed from the step that makes it to the last that reads it.  Buffers are placed largest first, each
 * at the lowest offset where it meets no buffer of an overlapping lifetime (the greedy-by-size planner of Pisarchyk
 * and Lee, "Efficient memory management for deep neural net inference", 2020).  A result takes over the buffer of an
 * operand that ends there when the kernel allows it, and the memory of the store when it is what an update assigns
 * and nobody reads the old value any more.
 *   ENGINE_NOPLAN=1   no two values share bytes          ENGINE_POISON=1   dead bytes become NaN
 * Both must give the same results to the bit. */
#include "engine/plan.h"

#include <stdlib.h>
#include <string.h>

static bool switched(const char *name)
{
    const char *v = getenv(name);
    return v && *v && strcmp(v, "0");
}

static size_t aligned(const Plan *plan, size_t n)
{
    size_t a = plan->device->alignment;
    return (n + a - 1) / a * a;
}

static Tensor tensor_of(const Plan *plan, int v)
{
    if (!v)
        return (Tensor){.shape = {.rank = -1}};
    const Value *x = &plan->q->values[v];
    Tensor t = {.dtype = x->dtype, .format = x->format, .shape = x->shape};
    if (x->from == FROM_STORE) {
        t.version = &plan->q->store->entries[x->source]->version;
        for (int u = 0; u < plan->q->nupdates && !t.updated; u++)
            t.updated = plan->q->updates[u].entry == x->source;
    }
    return t;
}

static size_t value_bytes(const Plan *plan, int v)
{
    Tensor t = tensor_of(plan, v);
    return tensor_bytes(&t, plan->device->real_bytes);
}

/* ---------------------------------------------------------------- steps */
static int prepare_step(Plan *plan, Step *s, const Tuning *tuning)
{
    const Node *n = &plan->q->nodes[s->node];
    KernelCall *k = &s->call;
    const Value *first = n->nout ? &plan->q->values[n->out[0]] : NULL;
    k->op = n->op;
    k->attrs = n->attrs;
    k->nin = n->nin;
    k->nout = n->nout;
    k->name = first && first->name ? first->name : n->op->name;
    k->device = plan->device;
    k->precision = engine_precision_now();
    k->shared = &plan->shared;
    k->kernel = kernel_find(n->op->name, plan->device, NULL);
    if (!k->kernel)
        return fail("%s: no kernel for device %s", n->op->name, plan->device->backend);
    k->in = must_zalloc(sizeof *k->in * (size_t)(n->nin + n->nout + 1));
    k->out = k->in + n->nin;
    for (int i = 0; i < n->nin; i++)
        k->in[i] = tensor_of(plan, n->in[i]);
    for (int j = 0; j < n->nout; j++)
        k->out[j] = tensor_of(plan, n->out[j]);
    char key[512];
    tuning_key(k, key, sizeof key);
    k->tuning = tuning_find(tuning, key);
    s->flop = node_flop(plan->q, n);
    s->bytes = node_bytes(plan->q, n);
    if (k->kernel->prepare && k->kernel->prepare(k))
        return fail_in("%s (%s)", n->op->name, k->name);
    if (k->tuning && strcmp(k->tuning, k->chosen))
        return fail("%s (%s): the tuning table asks for %s, which is not to be had here; delete its line %s",
                    n->op->name, k->name, k->tuning, key);
    plan->state_bytes += k->state_bytes;
    return 0;
}

static int make_steps(Plan *plan, const Tuning *tuning)
{
    const Prog *q = plan->q;
    plan->steps = must_zalloc(sizeof *plan->steps * (size_t)(q->nnodes + 1));
    for (int n = 0; n < q->nnodes; n++) {
        if (q->nodes[n].op->flags & OP_VIEW)
            continue;
        Step *s = &plan->steps[plan->nsteps++];
        s->node = n;
        if (prepare_step(plan, s, tuning))
            return -1;
    }
    return 0;
}

/* ---------------------------------------------------------------- lifetimes */
static void find_roots(Plan *plan)
{
    const Prog *q = plan->q;
    plan->root = must_zalloc(sizeof *plan->root * (size_t)q->nvalues);
    plan->places = must_zalloc(sizeof *plan->places * (size_t)q->nvalues);
    for (int v = 1; v < q->nvalues; v++) {
        const Value *x = &q->values[v];
        plan->root[v] = v;
        if (x->from == FROM_NODE && (q->nodes[x->source].op->flags & OP_VIEW))
            plan->root[v] = plan->root[q->nodes[x->source].in[0]];
        Place *p = &plan->places[v];
        p->bytes = value_bytes(plan, v);
        p->where = x->from == FROM_INPUT ? IN_INPUT : x->from == FROM_STORE ? IN_STORE : IN_ARENA;
        p->index = x->source;
        p->first = q->nnodes;
        p->last = -1;
    }
    for (int s = 0; s < plan->nsteps; s++) {
        const Node *n = &q->nodes[plan->steps[s].node];
        for (int j = 0; j < n->nout; j++)
            plan->places[n->out[j]].first = plan->places[n->out[j]].last = s;
        for (int i = 0; i < n->nin; i++)
            if (n->in[i])
                plan->places[plan->root[n->in[i]]].last = s;
    }
}

static int step_of(const Plan *plan, int v)
{
    return plan->places[v].first;   /* of a value that a step makes */
}

/* Operand of the step that makes v whose buffer v may take over, or -1. */
static int takes_over(const Plan *plan, int v)
{
    const Value *x = &plan->q->values[v];
    const KernelCall *k = &plan->steps[step_of(plan, v)].call;
    int i = k->kernel->inplace ? k->kernel->inplace(k, x->result) : -1;
    const Node *n = &plan->q->nodes[x->source];
    if (i < 0 || i >= n->nin || !n->in[i] || value_bytes(plan, n->in[i]) != value_bytes(plan, v))
        return -1;
    for (int j = 0; j < n->nin; j++)
        if (j != i && n->in[j] && plan->root[n->in[j]] == plan->root[n->in[i]])
            return -1;
    return i;
}

/* Outputs get memory of the plan; updates the memory of the store where that is safe, else a copy at the end. */
static void place_roots(Plan *plan)
{
    const Prog *q = plan->q;
    for (int i = 0; i < q->noutputs; i++) {
        Place *p = &plan->places[q->outputs[i]];
        if (p->where != IN_ARENA)
            continue;   /* asked for twice */
        p->where = IN_PLAN;
        p->offset = plan->own_bytes;
        plan->own_bytes += aligned(plan, p->bytes);
    }
    plan->copies = must_zalloc(sizeof *plan->copies * (size_t)(q->nupdates + 1));
    for (int u = 0; u < q->nupdates; u++) {
        int v = q->updates[u].value, entry = q->updates[u].entry, old = 0;
        for (int k = 1; k < q->nvalues; k++)
            if (q->values[k].from == FROM_STORE && q->values[k].source == entry)
                old = k;
        Place *p = &plan->places[v];
        bool direct = p->where == IN_ARENA;
        if (direct && old && plan->places[old].last >= step_of(plan, v)) {
            int i = plan->places[old].last == step_of(plan, v) ? takes_over(plan, v) : -1;
            direct = i >= 0 && plan->root[q->nodes[q->values[v].source].in[i]] == old;
        }
        if (direct) {
            p->where = IN_STORE;
            p->index = entry;
        } else {
            p->last = plan->nsteps;
            plan->copies[plan->ncopies++] = (LateCopy){entry, v};
        }
    }
}

/* Results that take over the buffer of an operand that ends there. */
static void reuse_in_place(Plan *plan)
{
    const Prog *q = plan->q;
    for (int s = 0; s < plan->nsteps; s++) {
        const Node *n = &q->nodes[plan->steps[s].node];
        for (int j = 0; j < n->nout; j++) {
            int v = n->out[j], i = plan->places[v].where == IN_ARENA ? takes_over(plan, v) : -1;
            if (i < 0)
                continue;
            int r = plan->root[n->in[i]];
            if (plan->places[r].where != IN_ARENA || plan->places[r].last != s || plan->places[r].first == s)
                continue;
            plan->places[r].last = plan->places[v].last;
            for (int k = 1; k < q->nvalues; k++)
                if (plan->root[k] == v)
                    plan->root[k] = r;
        }
    }
}

/* ---------------------------------------------------------------- offsets */
typedef struct Block {
    size_t bytes, offset;
    int first, last;
    int value, step;     /* a value's, or the workspace of a step */
} Block;

static int larger_first(const void *x, const void *y)
{
    const Block *a = x, *b = y;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a->first != b->first ? a->first - b->first : a->value - b->value;
}

static int lower_first(const void *x, const void *y)
{
    const Block *const *a = x, *const *b = y;
    return (*a)->offset < (*b)->offset ? -1 : (*a)->offset > (*b)->offset;
}

static void place_block(Block *blocks, int n, const Block **near, bool share)
{
    Block *b = &blocks[n];
    int count = 0;
    for (int i = 0; i < n; i++)
        if (!share || (blocks[i].first <= b->last && b->first <= blocks[i].last))
            near[count++] = &blocks[i];
    qsort(near, (size_t)count, sizeof *near, lower_first);
    size_t at = 0;
    for (int i = 0; i < count && at + b->bytes > near[i]->offset; i++)
        if (near[i]->offset + near[i]->bytes > at)
            at = near[i]->offset + near[i]->bytes;
    b->offset = at;
}

static void lay_out(Plan *plan, bool share)
{
    Block *blocks = must_alloc(sizeof *blocks * (size_t)(plan->q->nvalues + plan->nsteps + 1));
    const Block **near = must_alloc(sizeof *near * (size_t)(plan->q->nvalues + plan->nsteps + 1));
    int n = 0;
    for (int v = 1; v < plan->q->nvalues; v++) {
        const Place *p = &plan->places[v];
        if (plan->root[v] == v && p->where == IN_ARENA && p->last >= 0 && p->bytes)
            blocks[n++] = (Block){aligned(plan, p->bytes), 0, p->first, p->last, v, -1};
    }
    for (int s = 0; s < plan->nsteps; s++)
        if (plan->steps[s].call.workspace_bytes)
            blocks[n++] = (Block){aligned(plan, plan->steps[s].call.workspace_bytes), 0, s, s, 0, s};
    qsort(blocks, (size_t)n, sizeof *blocks, larger_first);
    for (int i = 0; i < n; i++) {
        place_block(blocks, i, near, share);
        if (blocks[i].step >= 0)
            plan->steps[blocks[i].step].workspace_offset = blocks[i].offset;
        else
            plan->places[blocks[i].value].offset = blocks[i].offset;
        if (blocks[i].offset + blocks[i].bytes > plan->arena_bytes)
            plan->arena_bytes = blocks[i].offset + blocks[i].bytes;
    }
    free(blocks);
    free(near);
}

/* ---------------------------------------------------------------- binding */
static void *address(const Plan *plan, int v)
{
    const Place *p = &plan->places[plan->root[v]];
    switch (p->where) {
    case IN_ARENA:
        return (char *)plan->device->arena + p->offset;
    case IN_PLAN:
        return plan->own + p->offset;
    case IN_STORE:
        return plan->q->store->entries[p->index]->data;
    case IN_INPUT:
        return plan->q->origin->inputs[p->index].data;
    default:
        return NULL;
    }
}

int plan_bind(Plan *plan)
{
    Device *d = plan->device;
    if (arena_reserve(d, plan->arena_bytes))
        return fail_in("plan %s", plan->name);
    if (plan->generation == d->arena_generation + 1)
        return 0;
    for (int s = 0; s < plan->nsteps; s++) {
        KernelCall *k = &plan->steps[s].call;
        const Node *n = &plan->q->nodes[plan->steps[s].node];
        for (int i = 0; i < n->nin; i++)
            k->in[i].data = n->in[i] ? address(plan, n->in[i]) : NULL;
        for (int j = 0; j < n->nout; j++)
            k->out[j].data = address(plan, n->out[j]);
        k->workspace = k->workspace_bytes ? (char *)d->arena + plan->steps[s].workspace_offset : NULL;
        if (k->kernel->bind && k->kernel->bind(k))
            return fail_in("plan %s: %s", plan->name, k->name);
    }
    if (plan->graph)
        d->graph_free(d, plan->graph);
    plan->graph = NULL;
    plan->generation = d->arena_generation + 1;
    return 0;
}

/* ---------------------------------------------------------------- life */
Plan *plan_compile(Prog *p, PlanOpts o)
{
    if (p->mistake) {
        fail("plan %s: %s", o.name ? o.name : "", p->mistake);
        return NULL;
    }
    Tuning *tuning = tuning_load(o.tuning);
    if (!tuning)
        return NULL;
    Plan *plan = must_zalloc(sizeof *plan);
    plan->name = must_strdup(o.name ? o.name : "plan");
    plan->device = p->store->device;
    plan->poison = switched("ENGINE_POISON");
    plan->eager = switched("ENGINE_SYNC");
    plan->unrecorded = switched("ENGINE_NOGRAPH");
    plan->q = prog_improve(p, o.outputs, o.updates);
    int bad = !plan->q;
    if (bad) {
        fail("plan %s: %s", plan->name, p->mistake);
    } else {
        plan->asked = must_zalloc(sizeof *plan->asked * (size_t)(o.outputs.n + 1));
        for (int i = 0; i < o.outputs.n; i++)
            plan->asked[i] = o.outputs.v[i].id;
        bad = make_steps(plan, tuning);
    }
    if (!bad) {
        bool share = !switched("ENGINE_NOPLAN");
        find_roots(plan);
        place_roots(plan);
        if (share)
            reuse_in_place(plan);
        lay_out(plan, share);
        plan->own = plan->own_bytes ? plan->device->alloc(plan->device, plan->own_bytes) : NULL;
        bad = plan->own_bytes && !plan->own;
    }
    tuning_free(tuning);
    if (!bad)
        return plan;
    plan_free(plan);
    return NULL;
}

void plan_free(Plan *plan)
{
    if (!plan)
        return;
    Device *d = plan->device;
    if (plan->graph)
        d->graph_free(d, plan->graph);
    for (int s = 0; s < plan->nsteps; s++) {
        KernelCall *k = &plan->steps[s].call;
        if (k->kernel && k->kernel->release)
            k->kernel->release(k);
        free(k->in);
    }
    if (plan->shared && d->shared_free)
        d->shared_free(d, plan->shared);
    if (plan->own)
        d->free(d, plan->own);
    free(plan->steps);
    free(plan->root);
    free(plan->places);
    free(plan->copies);
    free(plan->asked);
    prog_free(plan->q);
    free(plan->name);
    free(plan);
}

size_t plan_arena_bytes(const Plan *plan)
{
    return plan->arena_bytes;
}

size_t plan_own_bytes(const Plan *plan)
{
    return plan->own_bytes + plan->state_bytes;
}

double plan_flop(const Plan *plan)
{
    double flop = 0;
    for (int s = 0; s < plan->nsteps; s++)
        flop += plan->steps[s].flop;
    return flop;
}

int plan_ops(const Plan *plan)
{
    return plan->nsteps;
}
