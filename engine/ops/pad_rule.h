/* pad_rule.h - which element of x an element of a padded y shows, and back; one rule for the kernels of all backends.
 * Included by C, C++ and CUDA sources alike. */
#ifndef OPS_PAD_RULE_H
#define OPS_PAD_RULE_H

#include <string.h>

#include "engine/ops/pad.h"

#ifdef __CUDACC__
#define PAD_FN static __host__ __device__ inline
#else
#define PAD_FN static inline
#endif

enum { PAD_AXES = 3 };

static inline bool pad_reflects(const PadAttrs *a)
{
    return a->mode && !strcmp(a->mode, "reflect");
}

/* Memory of both sides as (outer, three axes, inner); axes that are not padded may be in outer. */
typedef struct PadJob {
    int64_t outer, inner;
    int64_t x[PAD_AXES], y[PAD_AXES], before[PAD_AXES];
    bool reflect;
    float value;
} PadJob;

/* Which axis of the shape the three are, from the slowest to the fastest, in a format; -1: none (size 1). */
static inline PadJob pad_job(const PadAttrs *a, bool reflect, const Tensor *x, const Tensor *y)
{
    PadJob j;
    int rank = x->shape.rank;
    memset(&j, 0, sizeof j);
    j.reflect = reflect;
    j.value = a->value;
    j.outer = 1;
    j.inner = x->format == C16 ? 16 : 1;
    for (int i = 0; i < PAD_AXES; i++) {
        int axis = rank - PAD_AXES + i, pair = PAD_AXES - 1 - i;   /* PLAIN, and C16, whose channels are not padded */
        if (x->format == NHWC) {
            axis = i == 2 ? 1 : i + 2;
            pair = rank - 1 - axis;
        }
        j.x[i] = axis < 0 ? 1 : x->shape.dim[axis];
        j.y[i] = axis < 0 ? 1 : y->shape.dim[axis];
        j.before[i] = 2 * pair < a->pad.n ? a->pad.v[2 * pair] : 0;
    }
    if (x->format == C16)
        j.x[0] = j.y[0] = (x->shape.dim[1] + 15) / 16;
    for (int i = 0; i < rank - PAD_AXES; i++)
        j.outer *= x->shape.dim[i];
    return j;
}

/* Element of an axis of x that element o of y shows, or -1. */
PAD_FN int64_t pad_source(const PadJob *j, int axis, int64_t o)
{
    int64_t i = o - j->before[axis], n = j->x[axis];
    if (j->reflect) {
        i = i < 0 ? -i : i;
        return i < n ? i : 2 * (n - 1) - i;
    }
    return i >= 0 && i < n ? i : -1;
}

/* Elements of an axis of y that show element i of x when it is mirrored: 1 to 3 of them. */
PAD_FN int pad_images(const PadJob *j, int axis, int64_t i, int64_t o[3])
{
    int64_t n = j->x[axis], before = j->before[axis];
    int count = 0;
    if (i > 0 && i <= before)
        o[count++] = before - i;
    o[count++] = i + before;
    if (i < n - 1 && 2 * (n - 1) - i + before < j->y[axis])
        o[count++] = 2 * (n - 1) - i + before;
    return count;
}

/* Blocks of channels serve where channels are not padded and new elements may be 0. */
static inline void formats_pad(FormatChoice *f)
{
    const PadAttrs *a = (const PadAttrs *)f->attrs;
    formats_same(f);
    bool channels = a->pad.n > 4 && (a->pad.v[4] || a->pad.v[5]);
    if (f->in[0] == C16 && (channels || a->value != 0))
        f->in[0] = f->out[0] = PLAIN;
}

#endif
