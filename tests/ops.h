/* ops.h - running one case of one op on a device and comparing devices: what the 2xx tests share. */
#ifndef GUISE_TEST_OPS_H
#define GUISE_TEST_OPS_H

#include <math.h>

#include "engine/device.h"

#include "engine/opcase.h"
#include "tests/test.h"
#include "tests/tolerance.h"

/* bfloat16, the upper half of a float: rounded to nearest, ties to even; a NaN stays one. */
static inline uint16_t bf16_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return isnan(x) ? 0x7FFF : (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

static inline float bf16_value(uint16_t bits)
{
    uint32_t u = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Everything a case computes on one device, as doubles: results, then gradients of operands. */
typedef struct CaseResult {
    int n;
    double *values[2 * OPCASE_MAX];
    int64_t count[2 * OPCASE_MAX];
    char name[2 * OPCASE_MAX][40];
} CaseResult;

static inline void result_free(CaseResult *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->values[i]);
    r->n = 0;
}

static inline int take(OpRun *run, Val v, const char *prefix, const char *name, CaseResult *out)
{
    int64_t n = shape_count(val_shape(v));
    double *x = must_zalloc((size_t)(n + 1) * sizeof *x);
    int bad = 0;
    if (val_dtype(v) == F32) {
        bad = plan_read_double(run->plan, v, x);
    } else {
        int32_t *whole = must_zalloc((size_t)(n + 1) * sizeof *whole);
        bad = plan_read(run->plan, v, whole);
        for (int64_t k = 0; k < n; k++)
            x[k] = val_dtype(v) == I32 ? whole[k] : ((uint8_t *)whole)[k];
        free(whole);
    }
    out->values[out->n] = x;
    out->count[out->n] = n;
    snprintf(out->name[out->n++], sizeof out->name[0], "%s%s", prefix, name);
    return bad;
}

/* Opens the case on a device with its own numbers written; cotangents are normals of their own streams. */
static inline int case_open(OpRun *run, const OpDef *op, const OpCase *c, const char *device, bool grad)
{
    CaseOperand operands[OPCASE_MAX];
    Shape shapes[OPCASE_MAX];
    Dtype dtypes[OPCASE_MAX];
    void *attrs = must_zalloc(op->attr_size);
    int n = opcase_read(c, operands), bad = n < 0 || op_attrs_parse(op, c->attrs, attrs);
    for (int i = 0; i < n; i++) {
        shapes[i] = operands[i].shape;
        dtypes[i] = operands[i].dtype;
    }
    bad = bad || oprun_open(run, op, device, shapes, dtypes, n, attrs, grad);
    free(attrs);
    for (int i = 0; i < n && !bad; i++) {
        if (!run->in[i].id)
            continue;
        void *numbers = opcase_numbers(op, c, i, &operands[i]);
        bad = opcase_write(run, run->in[i], numbers);
        free(numbers);
    }
    for (int j = 0; !bad && j < run->nout; j++) {
        if (!run->dout[j].id)
            continue;
        CaseOperand d = {.shape = val_shape(run->dout[j]), .dtype = F32};
        void *numbers = opcase_numbers(op, c, 100 + j, &d);
        bad = opcase_write(run, run->dout[j], numbers);
        free(numbers);
    }
    return bad ? -1 : 0;
}

static inline int case_result(OpRun *run, CaseResult *out)
{
    char name[32];
    out->n = 0;
    if (plan_run(run->plan))
        return -1;
    for (int j = 0; j < run->nout; j++)
        if (take(run, run->out[j], "", op_result_name(run->op, j, name, sizeof name), out))
            return -1;
    for (int i = 0; i < run->nin; i++)
        if (run->din[i].id && take(run, run->din[i], "d_", op_operand_name(run->op, i, name, sizeof name), out))
            return -1;
    return 0;
}

/* Largest difference over the largest magnitude; NaN against NaN is no difference, NaN against a number infinite. */
static inline double far_apart(const double *a, const double *b, int64_t n)
{
    double difference = 0, scale = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) && isnan(b[i]))
            continue;
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
        difference = fmax(difference, fabs(a[i] - b[i]));
        scale = fmax(scale, fmax(fabs(a[i]), fabs(b[i])));
    }
    return scale > 0 ? difference / scale : difference;
}

#endif
