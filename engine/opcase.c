/* opcase.c - see opcase.h. */
#include "engine/opcase.h"

#include <stdlib.h>
#include <string.h>

#include "engine/random.h"

/* ---------------------------------------------------------------- names */
static const char *word(const char *words, int i, size_t *length)
{
    const char *p = words;
    for (; *p && i; i--) {
        p += strcspn(p, " ");
        p += strspn(p, " ");
    }
    *length = strcspn(p, " ?*!");
    return *p ? p : NULL;
}

const char *op_operand_name(const OpDef *op, int i, char *text, size_t size)
{
    size_t n;
    bool variadic;
    int named = op_operand_count(op, &variadic);
    const char *w = i < named - variadic ? word(op->operands, i, &n) : NULL;
    if (w)
        snprintf(text, size, "%.*s", (int)n, w);
    else
        snprintf(text, size, "in%d", i);
    return text;
}

const char *op_result_name(const OpDef *op, int j, char *text, size_t size)
{
    size_t n;
    const char *w = word(op->results, j, &n);
    if (w)
        snprintf(text, size, "%.*s", (int)n, w);
    else
        snprintf(text, size, "out%d", j);
    return text;
}

bool op_result_takes_cotangent(const OpDef *op, int j)
{
    size_t n;
    const char *w = word(op->results, j, &n);
    return !w || w[n] != '!';
}

/* ---------------------------------------------------------------- runs */
static void add_gradients(OpRun *r)
{
    Vals ys = {r->out, 0}, dys = {r->dout, 0}, wrt = {r->in, 0};
    Val kept[3][OPCASE_MAX];
    int from[OPCASE_MAX];
    char name[64], d_name[72];
    for (int j = 0; j < r->nout; j++) {
        if (val_dtype(r->out[j]) != F32 || !op_result_takes_cotangent(r->op, j))
            continue;
        snprintf(d_name, sizeof d_name, "d_%s", op_result_name(r->op, j, name, sizeof name));
        r->dout[j] = prog_input(r->p, d_name, F32, val_shape(r->out[j]));
        kept[0][ys.n] = r->out[j];
        kept[1][ys.n++] = r->dout[j];
    }
    for (int i = 0; i < r->nin; i++)
        if (r->in[i].id && val_dtype(r->in[i]) == F32) {
            from[wrt.n] = i;
            kept[2][wrt.n++] = r->in[i];
        }
    dys.n = ys.n;
    ys.v = kept[0];
    dys.v = kept[1];
    wrt.v = kept[2];
    if (!ys.n || !wrt.n)
        return;
    Vals grads = prog_vjp(ys, dys, wrt);
    for (int k = 0; k < wrt.n; k++)
        r->din[from[k]] = grads.v[k];
}

int oprun_open(OpRun *r, const OpDef *op, const char *device, const Shape *shapes, const Dtype *dtypes, int nin,
               const void *attrs, bool grad)
{
    *r = (OpRun){.op = op, .nin = nin};
    if (nin > OPCASE_MAX)
        return fail("%s: more than %d operands", op->name, OPCASE_MAX);
    r->store = store_create(device, 1);
    if (!r->store)
        return -1;
    r->p = prog_create(r->store);
    char name[64];
    for (int i = 0; i < nin; i++)
        if (shapes[i].rank >= 0)
            r->in[i] = prog_input(r->p, op_operand_name(op, i, name, sizeof name), dtypes[i], shapes[i]);
    r->out[0] = op_append(r->p, op, r->in, nin, attrs, r->out);
    if (op->flags & OP_EXPAND) {
        r->nout = 1;
    } else {
        while (r->nout < OPCASE_MAX && r->out[r->nout].id)
            r->nout++;
    }
    if (grad)
        add_gradients(r);
    Val outputs[2 * OPCASE_MAX];
    int n = 0;
    for (int j = 0; j < r->nout; j++)
        outputs[n++] = r->out[j];
    for (int i = 0; i < nin; i++)
        if (r->din[i].id)
            outputs[n++] = r->din[i];
    r->plan = plan_compile(r->p, (PlanOpts){.name = op->name, .outputs = {outputs, n}});
    if (r->plan)
        return 0;
    oprun_close(r);
    return -1;
}

void oprun_close(OpRun *r)
{
    plan_free(r->plan);
    prog_free(r->p);
    store_free(r->store);
    *r = (OpRun){0};
}

/* ---------------------------------------------------------------- cases */
static int read_operand(const char *text, size_t n, CaseOperand *o)
{
    char copy[128];
    snprintf(copy, sizeof copy, "%.*s", (int)n, text);
    *o = (CaseOperand){.dtype = F32};
    char *kind = strchr(copy, ':');
    if (kind)
        *kind++ = 0;
    if (!strcmp(copy, "-")) {
        o->shape.rank = -1;
    } else if (strcmp(copy, "s")) {
        for (char *p = copy, *end; *p; p = *end == 'x' ? end + 1 : end) {
            long long d = strtoll(p, &end, 10);
            if (end == p || (*end && *end != 'x') || o->shape.rank == RANK_MAX)
                return fail("case operand %s is not a shape like 2x3x5x5", copy);
            o->shape.dim[o->shape.rank++] = d;
        }
    }
    if (!kind)
        return 0;
    if (!strcmp(kind, "pos"))
        o->kind = CASE_POSITIVE;
    else if (!strcmp(kind, "unit"))
        o->kind = CASE_UNIT;
    else if (!strcmp(kind, "u8"))
        o->kind = CASE_BYTES, o->dtype = U8;
    else if (!strcmp(kind, "rng"))
        o->kind = CASE_RNG, o->dtype = I32;
    else if (!strncmp(kind, "i32<", 4))
        o->kind = CASE_BELOW, o->dtype = I32, o->below = atoi(kind + 4);
    else
        return fail("case operand %s:%s: unknown kind of numbers", copy, kind);
    return 0;
}

int opcase_read(const OpCase *c, CaseOperand *operands)
{
    int n = 0;
    for (const char *p = c->operands; *p; n++) {
        size_t length = strcspn(p, " ");
        if (n == OPCASE_MAX || read_operand(p, length, &operands[n]))
            return -1;
        p += length;
        p += strspn(p, " ");
    }
    return n;
}

void *opcase_numbers(const OpDef *op, const OpCase *c, int i, const CaseOperand *o)
{
    char name[600];
    snprintf(name, sizeof name, "%s|%s|%s|%d", op->name, c->operands, c->attrs, i);
    Random r = random_stream(1, name, 0);
    int64_t n = shape_count(o->shape);
    void *numbers = must_alloc((size_t)(n + 1) * sizeof(double));
    for (int64_t k = 0; k < n; k++) {
        double *x = numbers;
        switch (o->kind) {
        case CASE_NORMAL:
            x[k] = random_normal(&r);
            break;
        case CASE_POSITIVE:
            x[k] = 0.5 + 1.5 * (double)random_uniform(&r);
            break;
        case CASE_UNIT:
            x[k] = random_uniform(&r);
            break;
        case CASE_BELOW:
            ((int32_t *)numbers)[k] = (int32_t)random_below(&r, (uint32_t)o->below);
            break;
        case CASE_BYTES:
            ((uint8_t *)numbers)[k] = (uint8_t)random_next(&r);
            break;
        case CASE_RNG:
            ((int32_t *)numbers)[k] = k == 0 ? 12345 : k == 2 ? 7 : 0;
            break;
        }
    }
    return numbers;
}

int opcase_write(OpRun *r, Val input, const void *numbers)
{
    return val_dtype(input) == F32 ? prog_write_double(r->p, input, numbers) : prog_write(r->p, input, numbers);
}
