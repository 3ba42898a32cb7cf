/* op.c - what can be said of any op from its definition: attributes as text, operands, costs. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "engine/program.h"

const OpDef *op_find(const char *name)
{
    for (int i = 0; op_table[i]; i++)
        if (!strcmp(op_table[i]->name, name))
            return op_table[i];
    return NULL;
}

static int words(const char *text)
{
    int n = 0;
    for (const char *p = text; p && *p; p += strspn(p, " ")) {
        n++;
        p += strcspn(p, " ");
    }
    return n;
}

int op_operand_count(const OpDef *op, bool *variadic)
{
    size_t n = strlen(op->operands);
    if (variadic)
        *variadic = n && op->operands[n - 1] == '*';
    return words(op->operands);
}

int op_result_count(const OpDef *op)
{
    return words(op->results);
}

const char *text_intern(const char *text)
{
    static struct Text {
        struct Text *next;
        char text[];
    } *all;
    if (!text)
        text = "";
    for (struct Text *t = all; t; t = t->next)
        if (!strcmp(t->text, text))
            return t->text;
    struct Text *t = must_alloc(sizeof *t + strlen(text) + 1);
    strcpy(t->text, text);
    t->next = all;
    all = t;
    return t->text;
}

/* ---------------------------------------------------------------- attributes */
static int attr_set(const OpDef *op, const OpAttr *a, const char *value, void *attrs)
{
    void *at = (char *)attrs + a->offset;
    char *end = NULL;
    errno = 0;
    switch (a->type) {
    case ATTR_INT: {
        long n = strtol(value, &end, 10);
        errno = n < INT_MIN || n > INT_MAX ? ERANGE : errno;
        *(int *)at = (int)n;
        break;
    }
    case ATTR_REAL:
        *(float *)at = strtof(value, &end);
        break;
    case ATTR_BOOL:
        if (strcmp(value, "0") && strcmp(value, "1") && strcmp(value, "true") && strcmp(value, "false"))
            return fail("%s: attribute %s=%s is not true, false, 1 or 0", op->name, a->name, value);
        *(bool *)at = !strcmp(value, "1") || !strcmp(value, "true");
        return 0;
    case ATTR_TEXT:
        *(const char **)at = text_intern(value);
        return 0;
    case ATTR_INTS: {
        AttrInts list = {0};
        for (const char *p = value; *p; p = *end == ',' ? end + 1 : end) {
            if (list.n == INTS_MAX)
                return fail("%s: attribute %s holds more than %d numbers", op->name, a->name, INTS_MAX);
            list.v[list.n++] = strtoll(p, &end, 10);
            if (end == p || (*end && *end != ','))
                return fail("%s: attribute %s=%s is not a list like 0,2,3", op->name, a->name, value);
        }
        *(AttrInts *)at = list;
        return 0;
    }
    }
    if (end == value || *end || errno)
        return fail("%s: attribute %s=%s is not a number%s", op->name, a->name, value, errno ? " in range" : "");
    return 0;
}

static bool attr_given(const OpAttr *a, const char *text)
{
    size_t n = strlen(a->name);
    for (const char *p = text ? text : ""; *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (!strncmp(p, a->name, n) && p[n] == '=')
            return true;
    return false;
}

int op_attrs_parse(const OpDef *op, const char *text, void *attrs)
{
    if (op->attr_size)
        memset(attrs, 0, op->attr_size);
    for (const OpAttr *a = op->attrs; a && a->name; a++)
        if ((*a->initial || a->type == ATTR_TEXT || a->type == ATTR_INTS) && attr_set(op, a, a->initial, attrs))
            return -1;
    for (const char *p = text ? text : ""; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " "), name = strcspn(p, "= ");
        char value[200];
        const OpAttr *a = op->attrs;
        while (a && a->name && (strlen(a->name) != name || strncmp(a->name, p, name)))
            a++;
        if (!a || !a->name || p[name] != '=')
            return fail("%s: no attribute is called %.*s; see op %s --help", op->name, (int)name, p, op->name);
        snprintf(value, sizeof value, "%.*s", (int)(n - name - 1), p + name + 1);
        if (attr_set(op, a, value, attrs))
            return -1;
        p += n;
    }
    for (const OpAttr *a = op->attrs; a && a->name; a++)
        if (!*a->initial && a->type != ATTR_TEXT && a->type != ATTR_INTS && !attr_given(a, text))
            return fail("%s: attribute %s is missing (%s): it has no default", op->name, a->name, a->doc);
    return 0;
}

void op_attrs_print(const OpDef *op, const void *attrs, char *text, size_t size)
{
    size_t n = 0;
    *text = 0;
    for (const OpAttr *a = op->attrs; a && a->name && n + 1 < size; a++) {
        const void *at = (const char *)attrs + a->offset;
        char value[128] = "";
        switch (a->type) {
        case ATTR_INT:
            snprintf(value, sizeof value, "%d", *(const int *)at);
            break;
        case ATTR_REAL:
            snprintf(value, sizeof value, "%.9g", (double)*(const float *)at);
            break;
        case ATTR_BOOL:
            snprintf(value, sizeof value, "%s", *(const bool *)at ? "true" : "false");
            break;
        case ATTR_TEXT:
            snprintf(value, sizeof value, "%s", *(const char *const *)at);
            break;
        case ATTR_INTS:
            for (int i = 0; i < ((const AttrInts *)at)->n; i++)
                snprintf(value + strlen(value), sizeof value - strlen(value), "%s%ld", i ? "," : "",
                         (long)((const AttrInts *)at)->v[i]);
            break;
        }
        n += (size_t)snprintf(text + n, size - n, "%s%s=%s", n ? " " : "", a->name, value);
    }
}

bool op_attrs_equal(const OpDef *op, const void *a, const void *b)
{
    for (const OpAttr *d = op->attrs; d && d->name; d++) {
        const char *x = (const char *)a + d->offset, *y = (const char *)b + d->offset;
        const AttrInts *p = (const AttrInts *)x, *q = (const AttrInts *)y;
        bool same = true;
        switch (d->type) {
        case ATTR_INT:
            same = *(const int *)x == *(const int *)y;
            break;
        case ATTR_REAL:
            same = !memcmp(x, y, sizeof(float));
            break;
        case ATTR_BOOL:
            same = *(const bool *)x == *(const bool *)y;
            break;
        case ATTR_TEXT:
            same = !strcmp(*(const char *const *)x, *(const char *const *)y);
            break;
        case ATTR_INTS:
            same = p->n == q->n && !memcmp(p->v, q->v, sizeof p->v[0] * (size_t)p->n);
            break;
        }
        if (!same)
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- cost */
static double cost(const Prog *p, const Node *n, bool flop)
{
    Shape *shapes = must_alloc(sizeof *shapes * (size_t)(n->nin + n->nout + 1));
    Dtype *types = must_alloc(sizeof *types * (size_t)(n->nin + n->nout + 1));
    double bytes = 0, elements = 0;
    for (int i = 0; i < n->nin + n->nout; i++) {
        int id = i < n->nin ? n->in[i] : n->out[i - n->nin];
        id = id < p->nvalues ? id : 0;   /* broken programs are printed too */
        shapes[i] = id ? p->values[id].shape : (Shape){.rank = -1};
        types[i] = id ? p->values[id].dtype : F32;
        double count = (double)shape_count(shapes[i]);
        bytes += count * (types[i] == U8 ? 1 : 4);
        elements += i < n->nin ? 0 : count;
    }
    OpShapes s = {.op = n->op, .attrs = n->attrs, .nin = n->nin, .nout = n->nout, .in = shapes, .in_dtype = types,
                  .out = shapes + n->nin, .out_dtype = types + n->nin};
    double answer = flop ? (n->op->flop ? n->op->flop(&s) : elements) : n->op->bytes ? n->op->bytes(&s) : bytes;
    free(shapes);
    free(types);
    return n->op->flags & (OP_VIEW | OP_IDENTITY | OP_ASSIGN) ? 0 : answer;
}

double node_flop(const Prog *p, const Node *n)
{
    return cost(p, n, true);
}

double node_bytes(const Prog *p, const Node *n)
{
    return cost(p, n, false);
}
