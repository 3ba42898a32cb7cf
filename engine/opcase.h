/* opcase.h - one op alone on one device: what the harness, the benchmark and the command line run.
 *
 * The op's operands become inputs of a program, its results outputs.  With gradients, every real result that takes a
 * cotangent gets an input d_RESULT, and every real operand an output d_OPERAND. */
#ifndef GUISE_OPCASE_H
#define GUISE_OPCASE_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OPCASE_MAX = 64 };

typedef struct OpRun {
    const OpDef *op;
    Store *store;
    Prog *p;
    Plan *plan;
    int nin, nout;
    Val in[OPCASE_MAX], out[OPCASE_MAX];       /* NONE for absent operands */
    Val din[OPCASE_MAX], dout[OPCASE_MAX];     /* gradients and cotangents; NONE without */
} OpRun;

/* Operands as shapes and dtypes (rank -1: absent); attrs: the op's struct.  0, or -1 with error_text(). */
int  oprun_open(OpRun *r, const OpDef *op, const char *device, const Shape *shapes, const Dtype *dtypes, int nin,
                const void *attrs, bool grad);
void oprun_close(OpRun *r);
/* Name of operand i and of result j, without marks; "in[i]" beyond the named ones.  Into text; returns text. */
const char *op_operand_name(const OpDef *op, int i, char *text, size_t size);
const char *op_result_name(const OpDef *op, int j, char *text, size_t size);
/* Whether result j takes a cotangent. */
bool op_result_takes_cotangent(const OpDef *op, int j);

/* A case of the op's own, read from text: shapes, dtypes and the kind of numbers of each operand. */
typedef struct CaseOperand {
    Shape shape;
    Dtype dtype;
    enum { CASE_NORMAL, CASE_POSITIVE, CASE_UNIT, CASE_BELOW, CASE_BYTES, CASE_RNG } kind;
    int below;      /* of CASE_BELOW: integers in [0, below) */
} CaseOperand;
/* Number of operands, or -1 with error_text(). */
int  opcase_read(const OpCase *c, CaseOperand *operands);
/* The numbers of operand i, the same on every device: doubles for reals, else int32_t or bytes.  Caller frees. */
void *opcase_numbers(const OpDef *op, const OpCase *c, int i, const CaseOperand *operand);
/* Writes numbers as opcase_numbers made them into an input. */
int  opcase_write(OpRun *r, Val input, const void *numbers);

#ifdef __cplusplus
}
#endif
#endif
