/* constant.h - constants, effects, copies and conversions. */
#ifndef OPS_CONSTANT_H
#define OPS_CONSTANT_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct FillAttrs {
    AttrInts shape;
    float value;
} FillAttrs;

typedef struct ReorderAttrs {
    int format;                  /* a Format */
} ReorderAttrs;

typedef struct BytesToRealAttrs {
    float scale, shift;
} BytesToRealAttrs;

/* A real value of this shape with one number everywhere. */
Val op_fill(Prog *p, Shape shape, float value);
/* x, but nothing flows back through it. */
Val op_stop_gradient(Val x);
/* An update for PlanOpts.updates: the store value `target` becomes `value` (same shape and dtype). */
Val op_assign(Val target, Val value);
/* x in memory of its own; any dtype and format. */
Val op_copy(Val x);
/* x, real and of rank 4, in another physical format; put into plans by the engine, which sets the formats. */
Val op_reorder(Val x, Format format);
/* scale x + shift of bytes, real: scale 2/255 and shift -1 map 0..255 to -1..1. */
Val op_bytes_to_real(Val x, float scale, float shift);

#ifdef __cplusplus
}
#endif
#endif
