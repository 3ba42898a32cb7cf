/* affine.h - y = scale x + shift with constants. */
#ifndef OPS_AFFINE_H
#define OPS_AFFINE_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct AffineAttrs {
    float scale, shift;
} AffineAttrs;

/* x of any shape.  scale 1 and shift 0 return x itself. */
Val op_affine(Val x, float scale, float shift);
Val op_scale(Val x, float scale);

#ifdef __cplusplus
}
#endif
#endif
