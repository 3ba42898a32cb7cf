/* passes.c - what happens to a program between recording and plan: copy what is needed, merge equal ops, fuse,
 * choose physical formats.  Every pass leaves a program that prog_verify accepts. */
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/program.h"

/* ---------------------------------------------------------------- verify */
static void broken(Prog *p, const char *pass, int node, const char *what)
{
    fprintf(stderr, "guise: engine invariant broken after pass %s, node %d: %s\n", pass, node, what);
    prog_print(p, stderr);
    abort();
}

void prog_verify(Prog *p, const char *pass)
{
    Shape out[64];
    Dtype dtype[64];
    for (int n = 0; n < p->nnodes; n++) {
        const Node *node = &p->nodes[n];
        for (int i = 0; i < node->nin; i++) {
            int v = node->in[i];
            if (v < 0 || v >= p->nvalues)
                broken(p, pass, n, "an operand is no value");
            if (v && p->values[v].from == FROM_NODE && p->values[v].source >= n)
                broken(p, pass, n, "an operand is made later");
        }
        for (int j = 0; j < node->nout; j++) {
            int v = node->out[j];
            if (v <= 0 || v >= p->nvalues || p->values[v].from != FROM_NODE || p->values[v].source != n ||
                p->values[v].result != j)
                broken(p, pass, n, "a result does not know its node");
        }
        int room = (node->nout > node->nin ? node->nout : node->nin) + NODE_EXTRA, nout = room;
        if (room > 64)
            continue;   /* ops over all parameters: checked when they were recorded */
        if (!node_infer(p, node->op, node->in, node->nin, node->attrs, out, dtype, &nout))
            broken(p, pass, n, p->mistake);
        for (int j = 0; j < node->nout; j++)
            if (!shape_equal(out[j], p->values[node->out[j]].shape) || dtype[j] != p->values[node->out[j]].dtype)
                broken(p, pass, n, "a result's shape is not what infer says");
    }
    for (int i = 0; i < p->noutputs; i++)
        if (p->outputs[i] <= 0 || p->outputs[i] >= p->nvalues)
            broken(p, pass, -1, "an output is no value");
    for (int i = 0; i < p->nupdates; i++) {
        int v = p->updates[i].value;
        if (v <= 0 || v >= p->nvalues || p->updates[i].entry < 0 || p->updates[i].entry >= p->store->n ||
            !shape_equal(p->values[v].shape, p->store->entries[p->updates[i].entry]->shape))
            broken(p, pass, -1, "an update does not fit its entry");
    }
}

/* ---------------------------------------------------------------- copy */
/* Follows ops that are the identity to what they stand for. */
static int real_value(const Prog *p, int v)
{
    while (v && p->values[v].from == FROM_NODE && (p->nodes[p->values[v].source].op->flags & OP_IDENTITY))
        v = p->nodes[p->values[v].source].in[0];
    return v;
}

static void mark(const Prog *p, int v, bool *live)
{
    v = real_value(p, v);
    if (!v || live[v])
        return;
    live[v] = true;
    if (p->values[v].from != FROM_NODE)
        return;
    const Node *n = &p->nodes[p->values[v].source];
    for (int i = 0; i < n->nin; i++)
        mark(p, n->in[i], live);
}

/* Copies a leaf (input or store value); store values of one entry become one value. */
static int copy_leaf(Prog *q, const Value *v)
{
    for (int i = 1; i < q->nvalues; i++)
        if (q->values[i].from == v->from && v->from != FROM_NODE && q->values[i].source == v->source)
            return i;
    Value c = *v;
    c.name = v->name ? must_strdup(v->name) : NULL;
    return prog_add_value(q, c);
}

/* A copy of p with the nodes in `keep` only; map[v] becomes the copy's id of value v. */
static Prog *copy_nodes(const Prog *p, const bool *keep, int *map)
{
    Prog *q = prog_create(p->store);
    q->origin = p->origin;
    for (int v = 1; v < p->nvalues; v++)
        map[v] = p->values[v].from != FROM_NODE ? -1 : 0;   /* leaves are copied when first used */
    map[0] = 0;
    for (int n = 0; n < p->nnodes; n++) {
        const Node *node = &p->nodes[n];
        if (!keep[n])
            continue;
        int *in = must_alloc(sizeof *in * (size_t)(node->nin + 1));
        for (int i = 0; i < node->nin; i++) {
            int v = real_value(p, node->in[i]);
            if (map[v] == -1)
                map[v] = copy_leaf(q, &p->values[v]);
            in[i] = map[v];
        }
        Shape *shapes = must_alloc(sizeof *shapes * (size_t)(node->nout + 1));
        Dtype *types = must_alloc(sizeof *types * (size_t)(node->nout + 1));
        for (int j = 0; j < node->nout; j++) {
            shapes[j] = p->values[node->out[j]].shape;
            types[j] = p->values[node->out[j]].dtype;
        }
        int made = prog_add_node(q, node->op, in, node->nin, node->attrs, shapes, types, node->nout);
        for (int j = 0; j < node->nout; j++) {
            const Value *old = &p->values[node->out[j]];
            Value *now = &q->values[q->nodes[made].out[j]];
            map[node->out[j]] = q->nodes[made].out[j];
            now->format = old->format;
            now->name = old->name ? must_strdup(old->name) : NULL;
        }
        free(in);
        free(shapes);
        free(types);
    }
    return q;
}

static int mapped(Prog *q, const Prog *p, int v, int *map)
{
    v = real_value(p, v);
    if (map[v] == -1)
        map[v] = copy_leaf(q, &p->values[v]);
    return map[v];
}

/* What outputs and updates need, without what stands for something else. */
static Prog *copy_live(Prog *p, const int *outputs, int noutputs, const Update *updates, int nupdates)
{
    bool *live = must_zalloc((size_t)p->nvalues), *keep = must_zalloc((size_t)p->nnodes + 1);
    int *map = must_zalloc(sizeof *map * (size_t)p->nvalues);
    for (int i = 0; i < noutputs; i++)
        mark(p, outputs[i], live);
    for (int i = 0; i < nupdates; i++)
        mark(p, updates[i].value, live);
    for (int v = 1; v < p->nvalues; v++)
        if (live[v] && p->values[v].from == FROM_NODE)
            keep[p->values[v].source] = true;
    Prog *q = copy_nodes(p, keep, map);
    q->outputs = must_zalloc(sizeof *q->outputs * (size_t)(noutputs + 1));
    q->updates = must_zalloc(sizeof *q->updates * (size_t)(nupdates + 1));
    for (int i = 0; i < noutputs; i++)
        q->outputs[i] = mapped(q, p, outputs[i], map);
    for (int i = 0; i < nupdates; i++)
        q->updates[i] = (Update){updates[i].entry, mapped(q, p, updates[i].value, map)};
    q->noutputs = noutputs;
    q->nupdates = nupdates;
    free(live);
    free(keep);
    free(map);
    return q;
}

static Prog *drop_dead(Prog *p)
{
    Prog *q = copy_live(p, p->outputs, p->noutputs, p->updates, p->nupdates);
    prog_free(p);
    return q;
}

/* Every reader of value `from` reads `to` instead. */
static void redirect(Prog *p, int from, int to)
{
    for (int n = 0; n < p->nnodes; n++)
        for (int i = 0; i < p->nodes[n].nin; i++)
            if (p->nodes[n].in[i] == from)
                p->nodes[n].in[i] = to;
    for (int i = 0; i < p->noutputs; i++)
        if (p->outputs[i] == from)
            p->outputs[i] = to;
    for (int i = 0; i < p->nupdates; i++)
        if (p->updates[i].value == from)
            p->updates[i].value = to;
}

/* ---------------------------------------------------------------- common subexpressions */
static uint32_t node_hash(const Node *n, const int *same)
{
    uint32_t h = (uint32_t)(uintptr_t)n->op;
    for (int i = 0; i < n->nin; i++)
        h = h * 16777619u ^ (uint32_t)same[n->in[i]];
    return h;
}

static void merge_equal(Prog *p)
{
    int *same = must_alloc(sizeof *same * (size_t)p->nvalues);
    for (int v = 0; v < p->nvalues; v++)
        same[v] = v;
    int size = 1;
    while (size < 2 * p->nnodes + 2)
        size *= 2;
    int *table = must_zalloc(sizeof *table * (size_t)size);   /* node + 1 */
    for (int n = 0; n < p->nnodes; n++) {
        Node *node = &p->nodes[n];
        for (int i = 0; i < node->nin; i++)
            node->in[i] = same[node->in[i]];
        if (node->op->flags & OP_NO_CSE)
            continue;
        uint32_t h = node_hash(node, same) & (uint32_t)(size - 1);
        for (; table[h]; h = (h + 1) & (uint32_t)(size - 1)) {
            const Node *other = &p->nodes[table[h] - 1];
            if (other->op == node->op && other->nin == node->nin && other->nout == node->nout &&
                !memcmp(other->in, node->in, sizeof *node->in * (size_t)node->nin) &&
                op_attrs_equal(node->op, other->attrs, node->attrs))
                break;
        }
        if (table[h])
            for (int j = 0; j < node->nout; j++)
                same[node->out[j]] = p->nodes[table[h] - 1].out[j];
        else
            table[h] = n + 1;
    }
    for (int i = 0; i < p->noutputs; i++)
        p->outputs[i] = same[p->outputs[i]];
    for (int i = 0; i < p->nupdates; i++)
        p->updates[i].value = same[p->updates[i].value];
    free(table);
    free(same);
}

/* ---------------------------------------------------------------- fusion */
const OpDef *fuse_op(Prog *p, int node)
{
    return p->nodes[node].op;
}

const void *fuse_attrs(Prog *p, int node)
{
    return p->nodes[node].attrs;
}

Val fuse_in(Prog *p, int node, int i)
{
    return val_of(p, i < p->nodes[node].nin ? p->nodes[node].in[i] : 0);
}

Val fuse_out(Prog *p, int node, int j)
{
    return val_of(p, p->nodes[node].out[j]);
}

int fuse_node_of(Val v)
{
    return v.id && val_value(v)->from == FROM_NODE ? val_value(v)->source : -1;
}

int fuse_uses(Prog *p, Val v, int *nodes, int max)
{
    int n = 0;
    for (int k = 0; k < p->nnodes; k++)
        for (int i = 0; i < p->nodes[k].nin; i++)
            if (p->nodes[k].in[i] == v.id && (!n || nodes[(n < max ? n : max) - 1] != k)) {
                if (n < max)
                    nodes[n] = k;
                n++;
            }
    bool root = false;
    for (int i = 0; i < p->noutputs; i++)
        root |= p->outputs[i] == v.id;
    for (int i = 0; i < p->nupdates; i++)
        root |= p->updates[i].value == v.id;
    if (root) {
        if (n < max)
            nodes[n] = -1;
        n++;
    }
    return n;
}

/* Moves the last node to position `at`. */
static void move_last(Prog *p, int at)
{
    Node last = p->nodes[p->nnodes - 1];
    memmove(p->nodes + at + 1, p->nodes + at, sizeof last * (size_t)(p->nnodes - 1 - at));
    p->nodes[at] = last;
    for (int n = at; n < p->nnodes; n++)
        for (int j = 0; j < p->nodes[n].nout; j++)
            p->values[p->nodes[n].out[j]].source = n;
}

void fuse_replace(Prog *p, int node, const OpDef *op, const Val *in, int nin, const void *attrs, const Val *olds,
                  const int *new_index, int n)
{
    Val results[16];
    Val first = op_append(p, op, in, nin, attrs, results);
    if (!first.id)
        broken(p, "fusion", node, p->mistake ? p->mistake : op->name);
    move_last(p, node);
    for (int i = 0; i < n; i++) {
        Value *old = &p->values[olds[i].id], *now = &p->values[results[new_index[i]].id];
        if (old->name && !now->name)
            now->name = must_strdup(old->name);
        redirect(p, olds[i].id, results[new_index[i]].id);
    }
}

bool fuse_worth(Prog *p, const char *op, const Shape *in)
{
    bool own;
    const KernelDef *k = kernel_find(op, p->store->device, &own);
    return k && own && k->worth && k->worth(in, engine_precision_now());
}

static bool fuse_once(Prog *p)
{
    for (int o = 0; op_table[o]; o++)
        for (const FusePattern *f = op_table[o]->patterns; f && f->root; f++)
            for (int n = p->nnodes - 1; n >= 0; n--)
                if (!strcmp(p->nodes[n].op->name, f->root) && f->rewrite(p, n))
                    return true;
    return false;
}

/* ---------------------------------------------------------------- formats */
typedef struct Formatter {
    Prog *p;                /* being read: nodes in order */
    Prog *q;                /* being written */
    int *map;               /* value of p -> value of q */
    int (*made)[FORMATS];        /* value of q in another format, 0 if not made yet */
    int nmade;
} Formatter;

/* The value of q in the wanted format, through a reorder if it has another one. */
static int in_format(Formatter *f, int v, Format want)
{
    if (!v || f->q->values[v].format == want)
        return v;
    if (f->q->nvalues > f->nmade) {
        f->made = must_realloc(f->made, sizeof *f->made * (size_t)(f->q->nvalues + 64));
        memset(f->made + f->nmade, 0, sizeof *f->made * (size_t)(f->q->nvalues + 64 - f->nmade));
        f->nmade = f->q->nvalues + 64;
    }
    if (!f->made[v][want]) {
        const OpDef *op = op_find("reorder");
        void *attrs = must_zalloc(op->attr_size);
        char text[24];
        snprintf(text, sizeof text, "format=%d", (int)want);
        if (op_attrs_parse(op, text, attrs))
            broken(f->q, "formats", -1, error_text());
        Dtype dtype = f->q->values[v].dtype;
        Shape shape = f->q->values[v].shape;
        int n = prog_add_node(f->q, op, &v, 1, attrs, &shape, &dtype, 1);
        free(attrs);
        f->q->values[f->q->nodes[n].out[0]].format = want;
        f->made[v][want] = f->q->nodes[n].out[0];
    }
    return f->made[v][want];
}

static void format_node(Formatter *f, const Node *node)
{
    Prog *q = f->q;
    int total = node->nin + node->nout + 1;
    Shape *shapes = must_alloc(sizeof *shapes * (size_t)total);
    Format *formats = must_zalloc(sizeof *formats * (size_t)total);
    Dtype *types = must_alloc(sizeof *types * (size_t)total);
    int *in = must_alloc(sizeof *in * (size_t)total);
    const KernelDef *k = node->op->flags & OP_VIEW ? NULL : kernel_find(node->op->name, q->store->device, NULL);
    for (int i = 0; i < node->nin; i++) {
        int v = node->in[i];
        if (v && !f->map[v])
            f->map[v] = copy_leaf(q, &f->p->values[v]);
        in[i] = f->map[v];
        shapes[i] = in[i] ? q->values[in[i]].shape : (Shape){.rank = -1};
        formats[i] = in[i] ? q->values[in[i]].format : PLAIN;
        if (!k || !k->halves)
            formats[i] = format_layout(formats[i]);
    }
    for (int j = 0; j < node->nout; j++) {
        shapes[node->nin + j] = f->p->values[node->out[j]].shape;
        types[j] = f->p->values[node->out[j]].dtype;
    }
    FormatChoice c = {.op = node->op, .attrs = node->attrs, .nin = node->nin, .nout = node->nout, .in_shape = shapes,
                      .out_shape = shapes + node->nin, .in = formats, .out = formats + node->nin,
                      .precision = engine_precision_now()};
    if (k && k->formats)
        k->formats(&c);
    else
        memset(formats, 0, sizeof *formats * (size_t)node->nin);
    for (int i = 0; i < node->nin; i++)
        in[i] = in_format(f, in[i], shapes[i].rank == 4 ? formats[i] : PLAIN);
    int made = prog_add_node(q, node->op, in, node->nin, node->attrs, shapes + node->nin, types, node->nout);
    for (int j = 0; j < node->nout; j++) {
        const Value *old = &f->p->values[node->out[j]];
        Value *now = &q->values[q->nodes[made].out[j]];
        f->map[node->out[j]] = q->nodes[made].out[j];
        now->name = old->name ? must_strdup(old->name) : NULL;
        now->format = now->shape.rank == 4 ? formats[node->nin + j] : PLAIN;
    }
    free(shapes);
    free(formats);
    free(types);
    free(in);
}

/* Outputs and updates leave the plan in logical order, and in memory of their own. */
static int leaving(Formatter *f, int v)
{
    if (!f->map[v])
        f->map[v] = copy_leaf(f->q, &f->p->values[v]);
    v = in_format(f, f->map[v], PLAIN);
    const Value *value = &f->q->values[v];
    if (value->from == FROM_NODE && !(f->q->nodes[value->source].op->flags & OP_VIEW))
        return v;
    Shape shape = value->shape;
    Dtype dtype = value->dtype;
    int n = prog_add_node(f->q, op_find("copy"), &v, 1, NULL, &shape, &dtype, 1);
    return f->q->nodes[n].out[0];
}

static Prog *choose_formats(Prog *p)
{
    Formatter f = {.p = p, .q = prog_create(p->store)};
    f.q->origin = p->origin;
    f.map = must_zalloc(sizeof *f.map * (size_t)p->nvalues);
    for (int n = 0; n < p->nnodes; n++)
        format_node(&f, &p->nodes[n]);
    f.q->outputs = must_zalloc(sizeof *f.q->outputs * (size_t)(p->noutputs + 1));
    f.q->updates = must_zalloc(sizeof *f.q->updates * (size_t)(p->nupdates + 1));
    for (int i = 0; i < p->noutputs; i++)
        f.q->outputs[i] = leaving(&f, p->outputs[i]);
    for (int i = 0; i < p->nupdates; i++)
        f.q->updates[i] = (Update){p->updates[i].entry, leaving(&f, p->updates[i].value)};
    f.q->noutputs = p->noutputs;
    f.q->nupdates = p->nupdates;
    free(f.map);
    free(f.made);
    prog_free(p);
    return f.q;
}

/* What is only rounded to bfloat16 afterwards is made so, where the kernel can. */
static Prog *round_at_once(Prog *p)
{
    const OpDef *reorder = op_find("reorder");
    bool found = false;
    for (int n = 0; n < p->nnodes; n++) {
        int from = p->nodes[n].op == reorder ? p->nodes[n].in[0] : 0, to = from ? p->nodes[n].out[0] : 0, user;
        const Value *v = &p->values[from];
        Format rounded = p->values[to].format;
        if (!from || !format_half(rounded) || v->format != format_layout(rounded) || v->from != FROM_NODE ||
            fuse_uses(p, val_of(p, from), &user, 1) != 1)
            continue;
        const KernelDef *k = kernel_find(p->nodes[v->source].op->name, p->store->device, NULL);
        if (k && (k->bf16_results >> v->result & 1)) {
            p->values[from].format = rounded;
            redirect(p, to, from);
            found = true;
        }
    }
    return found ? drop_dead(p) : p;
}

/* ---------------------------------------------------------------- all of it */
Prog *prog_improve(Prog *p, Vals outputs, Vals updates)
{
    int *outs = must_alloc(sizeof *outs * (size_t)(outputs.n + 1));
    Update *ups = must_alloc(sizeof *ups * (size_t)(updates.n + 1));
    for (int i = 0; i < outputs.n; i++) {
        outs[i] = outputs.v[i].id;
        if (!outs[i] || outputs.v[i].p != p) {
            prog_mistake(p, "output %d of the plan is no value of its program", i);
            outs[i] = 0;
        }
    }
    for (int i = 0; i < updates.n; i++) {
        int v = updates.v[i].p == p ? updates.v[i].id : 0;
        const Node *n = v && p->values[v].from == FROM_NODE ? &p->nodes[p->values[v].source] : NULL;
        if (!n || !(n->op->flags & OP_ASSIGN) || p->values[n->in[0]].from != FROM_STORE) {
            prog_mistake(p, "update %d of the plan is not an assignment to a store value", i);
            continue;
        }
        ups[i] = (Update){p->values[n->in[0]].source, n->in[1]};
        for (int j = 0; j < i; j++)
            if (ups[j].entry == ups[i].entry)
                prog_mistake(p, "%s is assigned twice in one plan", p->store->entries[ups[i].entry]->name);
    }
    Prog *q = NULL;
    if (!p->mistake) {
        bool fuse = !getenv("ENGINE_NOFUSE");
        q = copy_live(p, outs, outputs.n, ups, updates.n);
        prog_verify(q, "copy");
        merge_equal(q);
        q = drop_dead(q);
        prog_verify(q, "common subexpressions");
        while (fuse && fuse_once(q))
            q = drop_dead(q);
        merge_equal(q);   /* what patterns made twice */
        q = drop_dead(q);
        prog_verify(q, "fusion");
        q = round_at_once(choose_formats(q));
        prog_verify(q, "formats");
    }
    free(outs);
    free(ups);
    return q;
}
