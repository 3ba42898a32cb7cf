/* infer.c - see infer.h. */
#include "engine/ops/infer.h"

#include <string.h>

const char *infer_name(const OpShapes *s, int i)
{
    static _Thread_local char name[40];
    const char *p = s->op->operands;
    for (int k = 0; *p; k++) {
        size_t n = strcspn(p, " ");
        if (k == i) {
            size_t bare = strcspn(p, " ?*");
            snprintf(name, sizeof name, "%.*s", (int)bare, p);
            return name;
        }
        p += n + (p[n] == ' ');
    }
    snprintf(name, sizeof name, "in[%d]", i);
    return name;
}

bool infer_operand(OpShapes *s, int i, Dtype dtype, int rank)
{
    static const char *const text[] = {"real", "int32", "bytes"};
    if (i >= s->nin || s->in[i].rank < 0) {
        op_mistake(s, "operand %s is missing", infer_name(s, i));
        return false;
    }
    if (s->in_dtype[i] != dtype) {
        op_mistake(s, "operand %s holds %s and must hold %s", infer_name(s, i), text[s->in_dtype[i]], text[dtype]);
        return false;
    }
    if (rank >= 0 && s->in[i].rank != rank) {
        op_mistake(s, "operand %s has rank %d and must have %d", infer_name(s, i), s->in[i].rank, rank);
        return false;
    }
    return true;
}

void infer_same(OpShapes *s)
{
    for (int i = 0; i < s->nin; i++) {
        if (!infer_operand(s, i, F32, -1))
            return;
        if (!shape_equal(s->in[i], s->in[0])) {
            op_mistake(s, "operands differ in shape");
            return;
        }
    }
    for (int j = 0; j < s->nout; j++)
        s->out[j] = s->in[0];
}

void infer_broadcast(OpShapes *s)
{
    if (!infer_operand(s, 0, F32, -1) || !infer_operand(s, 1, F32, -1))
        return;
    Shape a = s->in[0], b = s->in[1], y;
    y.rank = a.rank > b.rank ? a.rank : b.rank;
    for (int k = 1; k <= y.rank; k++) {
        int64_t da = k <= a.rank ? a.dim[a.rank - k] : 1, db = k <= b.rank ? b.dim[b.rank - k] : 1;
        if (da != db && da != 1 && db != 1) {
            op_mistake(s, "shapes do not broadcast: axis -%d has %ld and %ld", k, (long)da, (long)db);
            return;
        }
        y.dim[y.rank - k] = da > db ? da : db;
        if (da == 0 || db == 0)
            y.dim[y.rank - k] = 0;
    }
    s->out[0] = y;
}
