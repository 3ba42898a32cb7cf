/* program.c - recording programs: values, names, inputs, states, and sticky mistakes. */
#include "engine/program.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops/constant.h"
#include "engine/ops/random.h"

Prog *prog_create(Store *s)
{
    Prog *p = must_zalloc(sizeof *p);
    p->store = s;
    p->origin = p;
    p->scope = must_strdup("");
    prog_add_value(p, (Value){.name = NULL});   /* id 0 is "none" */
    return p;
}

void node_free(Node *n)
{
    free(n->attrs);
    free(n->in);
    free(n->out);
}

void prog_free(Prog *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->nvalues; i++)
        free(p->values[i].name);
    for (int i = 0; i < p->nnodes; i++)
        node_free(&p->nodes[i]);
    for (int i = 0; i < p->ninputs; i++) {
        if (!p->inputs[i].shared)
            p->store->device->free(p->store->device, p->inputs[i].data);
        free(p->inputs[i].name);
    }
    for (int i = 0; i < p->nowned; i++)
        free(p->owned[i]);
    free(p->values);
    free(p->nodes);
    free(p->inputs);
    free(p->states);
    free(p->owned);
    free(p->outputs);
    free(p->updates);
    free(p->scope);
    free(p->scopes);
    free(p->mistake);
    free(p);
}

Store *prog_store(Prog *p)
{
    return p->store;
}

const char *prog_error(const Prog *p)
{
    return p->mistake;
}

Val prog_mistake(Prog *p, const char *format, ...)
{
    if (p && !p->mistake) {
        va_list args;
        va_start(args, format);
        if (vasprintf(&p->mistake, format, args) < 0)
            p->mistake = must_strdup("out of memory");
        va_end(args);
    }
    return val_of(p, 0);
}

void *prog_own(Prog *p, size_t bytes)
{
    p->owned = must_realloc(p->owned, sizeof *p->owned * (size_t)(p->nowned + 1));
    return p->owned[p->nowned++] = must_zalloc(bytes);
}

/* ---------------------------------------------------------------- values */
int prog_add_value(Prog *p, Value v)
{
    if (p->nvalues == p->value_room) {
        p->value_room = p->value_room ? 2 * p->value_room : 256;
        p->values = must_realloc(p->values, sizeof *p->values * (size_t)p->value_room);
    }
    p->values[p->nvalues] = v;
    return p->nvalues++;
}

Shape val_shape(Val v)
{
    return v.id ? val_value(v)->shape : (Shape){.rank = -1};
}

int64_t val_dim(Val v, int axis)
{
    if (!v.id)
        return 0;
    Shape s = val_value(v)->shape;
    axis = axis < 0 ? axis + s.rank : axis;
    return axis >= 0 && axis < s.rank ? s.dim[axis] : 0;
}

Dtype val_dtype(Val v)
{
    return v.id ? val_value(v)->dtype : F32;
}

const char *val_name(Val v)
{
    return v.id && val_value(v)->name ? val_value(v)->name : "";
}

static char *scoped(Prog *p, const char *name)
{
    return *p->scope ? must_printf("%s.%s", p->scope, name) : must_strdup(name);
}

Val val_named(Val v, const char *name)
{
    if (v.id && val_value(v)->from == FROM_NODE) {
        free(v.p->values[v.id].name);
        v.p->values[v.id].name = scoped(v.p, name);
    }
    return v;
}

void prog_push(Prog *p, const char *scope)
{
    char *longer = scoped(p, scope);
    p->scopes = must_realloc(p->scopes, sizeof *p->scopes * (size_t)(p->nscopes + 1));
    p->scopes[p->nscopes++] = strlen(p->scope);
    free(p->scope);
    p->scope = longer;
}

void prog_pop(Prog *p)
{
    if (p->nscopes)
        p->scope[p->scopes[--p->nscopes]] = 0;
}

/* ---------------------------------------------------------------- inputs and store values */
static bool input_named(const Prog *p, const char *name)
{
    for (int i = 0; i < p->ninputs; i++)
        if (!strcmp(p->inputs[i].name, name))
            return true;
    return false;
}

static Val add_input(Prog *p, Input in)
{
    in.value = prog_add_value(p, (Value){.from = FROM_INPUT, .source = p->ninputs, .dtype = in.dtype,
                                         .shape = in.shape, .name = must_strdup(in.name)});
    p->inputs = must_realloc(p->inputs, sizeof *p->inputs * (size_t)(p->ninputs + 1));
    p->inputs[p->ninputs++] = in;
    return val_of(p, in.value);
}

Val prog_input(Prog *p, const char *name, Dtype dtype, Shape shape)
{
    if (p->mistake)
        return val_of(p, 0);
    if (input_named(p, name))
        return prog_mistake(p, "input %s: there is one of this name already", name);
    char text[96];
    if (!shape_possible(shape))
        return prog_mistake(p, "input %s: %s is no shape: up to %d sizes, none negative", name,
                            shape_text(shape, text, sizeof text), RANK_MAX);
    Device *d = p->store->device;
    size_t bytes = (size_t)shape_count(shape) * (dtype == U8 ? 1 : dtype == I32 ? 4 : (size_t)d->real_bytes);
    void *data = d->alloc(d, bytes ? bytes : 1);
    if (!data)
        return prog_mistake(p, "input %s: %s", name, error_text());
    d->fill(d, data, 0, bytes);
    return add_input(p, (Input){.name = must_strdup(name), .dtype = dtype, .shape = shape, .data = data});
}

Val prog_input_shared(Prog *p, Val source)
{
    if (p->mistake)
        return val_of(p, 0);
    if (!source.id || val_value(source)->from != FROM_INPUT || source.p->store->device != p->store->device)
        return prog_mistake(p, "value %s is no input of a program on this device", val_name(source));
    Input in = source.p->origin->inputs[val_value(source)->source];
    if (input_named(p, in.name))
        return prog_mistake(p, "input %s: there is one of this name already", in.name);
    in.name = must_strdup(in.name);
    in.shared = true;
    return add_input(p, in);
}

static int store_value(Prog *p, int entry)
{
    const Entry *e = p->store->entries[entry];
    return prog_add_value(p, (Value){.from = FROM_STORE, .source = entry, .dtype = e->dtype, .shape = e->shape,
                                     .name = must_strdup(e->name)});
}

/* The state record of a store entry, made if the program meets the entry for the first time. */
static State *state_of(Prog *p, char *name, Dtype dtype, Shape shape, Init init, bool param)
{
    int entry = store_add(p->store, name, dtype, shape, init, param);
    free(name);
    if (entry < 0) {
        prog_mistake(p, "%s", error_text());
        return NULL;
    }
    for (int i = 0; i < p->nstates; i++)
        if (p->states[i].entry == entry)
            return &p->states[i];
    int value = store_value(p, entry);
    p->states = must_realloc(p->states, sizeof *p->states * (size_t)(p->nstates + 1));
    p->states[p->nstates] = (State){entry, value};
    return &p->states[p->nstates++];
}

Val prog_param(Prog *p, const char *name, Shape shape, Init init)
{
    if (p->mistake)
        return val_of(p, 0);
    State *s = state_of(p, scoped(p, name), F32, shape, init, true);
    return val_of(p, s ? s->value : 0);
}

Val prog_state(Prog *p, const char *name, Dtype dtype, Shape shape, Init init)
{
    if (p->mistake)
        return val_of(p, 0);
    State *s = state_of(p, scoped(p, name), dtype, shape, init, false);
    return val_of(p, s ? s->value : 0);
}

void prog_set_state(Prog *p, const char *name, Val value)
{
    if (p->mistake || !value.id)
        return;
    if (value.p != p) {
        prog_mistake(p, "state %s: the new value belongs to another program", name);
        return;
    }
    char *full = scoped(p, name);
    int entry = store_find(p->store, full);
    State *s = NULL;
    for (int i = 0; i < p->nstates; i++)
        if (p->states[i].entry == entry)
            s = &p->states[i];
    if (!s)
        prog_mistake(p, "state %s: set before it was read with prog_state", full);
    else if (!shape_equal(val_shape(value), p->store->entries[entry]->shape))
        prog_mistake(p, "state %s: the new value has another shape", full);
    else
        s->value = value.id;
    free(full);
}

Val prog_rng(Prog *p)
{
    if (!p->rng && !p->mistake) {
        State *s = state_of(p, must_strdup("rng"), I32, SHAPE(4), (Init){0}, false);
        p->rng = s ? s->value : 0;
    }
    return val_of(p, p->rng);
}

Vals prog_updates(Prog *p)
{
    char *scope = p->scope;
    p->scope = "";   /* the counter's name has none */
    if (p->rng)
        prog_set_state(p, "rng", op_rng_advance(val_of(p, p->rng)));
    p->scope = scope;
    Val *list = prog_own(p, sizeof *list * (size_t)(p->nstates + 1));
    int n = 0;
    for (int i = 0; i < p->nstates && !p->mistake; i++) {
        State s = p->states[i];
        if (p->values[s.value].from == FROM_STORE && p->values[s.value].source == s.entry)
            continue;
        list[n++] = op_assign(val_of(p, store_value(p, s.entry)), val_of(p, s.value));
    }
    return (Vals){list, n};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(val_name(*(const Val *)a), val_name(*(const Val *)b));
}

Vals prog_params(Prog *p, const char *prefix)
{
    Val *list = prog_own(p, sizeof *list * (size_t)(p->nstates + 1));
    int n = 0;
    for (int i = 0; i < p->nstates; i++) {
        const Entry *e = p->store->entries[p->states[i].entry];
        if (e->param && !strncmp(e->name, prefix, strlen(prefix)))
            list[n++] = val_of(p, p->states[i].value);
    }
    qsort(list, (size_t)n, sizeof *list, by_name);
    if (!n)
        prog_mistake(p, "no parameter begins with \"%s\"", prefix);
    return (Vals){list, n};
}

Vals vals_join(Prog *p, Vals a, Vals b)
{
    Val *list = prog_own(p, sizeof *list * (size_t)(a.n + b.n + 1));
    if (a.n)
        memcpy(list, a.v, sizeof *list * (size_t)a.n);
    if (b.n)
        memcpy(list + a.n, b.v, sizeof *list * (size_t)b.n);
    return (Vals){list, a.n + b.n};
}

static Input *written(Prog *p, Val input)
{
    if (!input.id || input.p != p || p->values[input.id].from != FROM_INPUT) {
        fail("prog_write: value %s is not an input of this program", val_name(input));
        return NULL;
    }
    return &p->origin->inputs[p->values[input.id].source];
}

/* Elements first .. first + n - 1. */
static int write_some(Device *d, const Input *in, int64_t first, int64_t n, const void *data)
{
    size_t size = in->dtype == U8 ? 1 : in->dtype == I32 ? 4 : (size_t)d->real_bytes;
    char *to = (char *)in->data + (size_t)first * size;
    if (in->dtype != F32 || size == 4)
        return d->upload(d, to, data, (size_t)n * size);
    double *wide = must_alloc(((size_t)n + 1) * sizeof *wide);
    for (int64_t i = 0; i < n; i++)
        wide[i] = ((const float *)data)[i];
    int bad = d->upload(d, to, wide, (size_t)n * sizeof *wide);
    free(wide);
    return bad;
}

int prog_write(Prog *p, Val input, const void *data)
{
    Input *in = written(p, input);
    return in ? write_some(p->store->device, in, 0, shape_count(in->shape), data) : -1;
}

int prog_write_rows(Prog *p, Val input, int64_t first, int64_t n, const void *data)
{
    Input *in = written(p, input);
    if (!in)
        return -1;
    int64_t rows = in->shape.rank ? in->shape.dim[0] : 0, row = rows ? shape_count(in->shape) / rows : 0;
    if (first < 0 || n < 0 || first > rows || n > rows - first)
        return fail("input %s: rows %ld to %ld of %ld", in->name, (long)first, (long)(first + n - 1), (long)rows);
    return write_some(p->store->device, in, first * row, n * row, data);
}

int prog_write_double(Prog *p, Val input, const double *data)
{
    Input *in = written(p, input);
    Device *d = p->store->device;
    if (!in)
        return -1;
    if (in->dtype != F32)
        return fail("input %s does not hold reals", in->name);
    int64_t n = shape_count(in->shape);
    if (d->real_bytes == 8)
        return d->upload(d, in->data, data, (size_t)n * sizeof *data);
    float *narrow = must_alloc((size_t)n * sizeof *narrow);
    for (int64_t i = 0; i < n; i++)
        narrow[i] = (float)data[i];
    int bad = d->upload(d, in->data, narrow, (size_t)n * sizeof *narrow);
    free(narrow);
    return bad;
}

/* ---------------------------------------------------------------- nodes */
int prog_add_node(Prog *p, const OpDef *op, const int *in, int nin, const void *attrs, const Shape *out,
                  const Dtype *dtype, int nout)
{
    if (p->nnodes == p->node_room) {
        p->node_room = p->node_room ? 2 * p->node_room : 128;
        p->nodes = must_realloc(p->nodes, sizeof *p->nodes * (size_t)p->node_room);
    }
    Node n = {.op = op, .nin = nin, .nout = nout};
    n.attrs = must_zalloc(op->attr_size);
    if (op->attr_size)
        memcpy(n.attrs, attrs, op->attr_size);
    for (const OpAttr *a = op->attrs; a && a->name; a++)
        if (a->type == ATTR_TEXT) {
            const char **text = (const char **)((char *)n.attrs + a->offset);
            *text = text_intern(*text);
        }
    n.in = must_alloc(sizeof *n.in * (size_t)(nin + 1));
    if (nin)
        memcpy(n.in, in, sizeof *n.in * (size_t)nin);
    n.out = must_alloc(sizeof *n.out * (size_t)(nout + 1));
    for (int j = 0; j < nout; j++)
        n.out[j] = prog_add_value(p, (Value){.from = FROM_NODE, .source = p->nnodes, .result = j, .dtype = dtype[j],
                                             .shape = out[j]});
    p->nodes[p->nnodes] = n;
    return p->nnodes++;
}

bool node_infer(Prog *p, const OpDef *op, const int *in, int nin, const void *attrs, Shape *out, Dtype *dtype,
                int *nout)
{
    bool had = p->mistake != NULL;
    Shape *shapes = must_alloc(sizeof *shapes * (size_t)(nin + 1));
    Dtype *types = must_alloc(sizeof *types * (size_t)(nin + 1));
    for (int i = 0; i < nin; i++) {
        shapes[i] = in[i] ? p->values[in[i]].shape : (Shape){.rank = -1};
        types[i] = in[i] ? p->values[in[i]].dtype : F32;
    }
    int room = *nout;
    for (int j = 0; j < room; j++) {
        out[j] = (Shape){.rank = 0};
        dtype[j] = F32;
    }
    OpShapes s = {.p = p, .op = op, .attrs = attrs, .nin = nin, .nout = op_result_count(op), .in = shapes,
                  .in_dtype = types, .out = out, .out_dtype = dtype};
    op->infer(&s);
    *nout = s.nout;
    char text[96];
    for (int j = 0; j < s.nout && !p->mistake; j++)
        if (!shape_possible(out[j]))
            op_mistake(&s, "the result would have the shape %s", shape_text(out[j], text, sizeof text));
    free(shapes);
    free(types);
    return had || !p->mistake;
}

static bool operands_fit(Prog *p, const OpDef *op, const Val *in, int nin)
{
    bool variadic;
    int named = op_operand_count(op, &variadic);
    const char *names = op->operands;
    if (nin > named && !variadic) {
        prog_mistake(p, "%s: %d operands given, it takes %d (%s)", op->name, nin, named, op->operands);
        return false;
    }
    for (int i = 0; i < named; i++) {
        size_t n = strcspn(names, " ");
        bool optional = names[n - 1] == '?' || names[n - 1] == '*';
        if (!optional && (i >= nin || !in[i].id)) {
            prog_mistake(p, "%s: operand %.*s is missing", op->name, (int)n, names);
            return false;
        }
        names += n + (names[n] == ' ');
    }
    for (int i = 0; i < nin; i++)
        if (in[i].id && in[i].p != p) {
            prog_mistake(p, "%s: operand %d belongs to another program", op->name, i);
            return false;
        }
    return true;
}

Prog *op_prog(const Val *in, int nin)
{
    for (int i = 0; i < nin; i++)
        if (in[i].p)
            return in[i].p;
    return NULL;
}

Val op_append(Prog *p, const OpDef *op, const Val *in, int nin, const void *attrs, Val *results)
{
    int room = op_result_count(op);
    for (int j = 0; results && j < room; j++)
        results[j] = val_of(p, 0);
    if (!p || p->mistake || !operands_fit(p, op, in, nin))
        return val_of(p, 0);
    if (op->flags & OP_EXPAND)
        return op->expand(p, in, nin, attrs);
    room = (room > nin ? room : nin) + NODE_EXTRA;
    int *ids = must_alloc(sizeof *ids * (size_t)(nin + 1)), nout = room;
    Shape *out = must_alloc(sizeof *out * (size_t)room);
    Dtype *dtype = must_alloc(sizeof *dtype * (size_t)room);
    for (int i = 0; i < nin; i++)
        ids[i] = in[i].id;
    Val first = val_of(p, 0);
    p->building = in;
    if (node_infer(p, op, ids, nin, attrs, out, dtype, &nout)) {
        int made = prog_add_node(p, op, ids, nin, attrs, out, dtype, nout);
        const Node *n = &p->nodes[made];
        for (int j = 0; results && j < nout; j++)
            results[j] = val_of(p, n->out[j]);
        first = val_of(p, nout ? n->out[0] : 0);
    }
    p->building = NULL;
    free(ids);
    free(out);
    free(dtype);
    return first;
}

Val op_build(const OpDef *op, const void *attrs, Val *results, int nin, ...)
{
    Val in[16];
    va_list args;
    va_start(args, nin);
    for (int i = 0; i < nin; i++)
        in[i] = va_arg(args, Val);
    va_end(args);
    return op_append(op_prog(in, nin), op, in, nin, attrs, results);
}

void op_mistake(const OpShapes *s, const char *format, ...)
{
    if (!s->p || s->p->mistake)
        return;
    char text[512], all[2048], shape[96];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t n = (size_t)snprintf(all, sizeof all, "%s: %s:", s->op->name, text);
    for (int i = 0; i < s->nin && n < sizeof all; i++) {
        const char *name = s->p->building && s->p->building[i].id ? val_name(s->p->building[i]) : "";
        n += (size_t)snprintf(all + n, sizeof all - n, "%s %s%s", i ? "," : "", name,
                              *name ? " " : "");
        if (n < sizeof all)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s", shape_text(s->in[i], shape, sizeof shape));
    }
    if (*s->p->scope && n < sizeof all)
        snprintf(all + n, sizeof all - n, " in %s", s->p->scope);
    prog_mistake(s->p, "%s", all);
}
