/* lookup.h - how gather, index_select and their gradients walk over memory, for all backends: lines of y along the
 * looked-up axis, and where the same line of x begins. */
#ifndef KERNELS_LOOKUP_H
#define KERNELS_LOOKUP_H

#include "engine/ops/gather.h"
#include "kernels/layout.h"

typedef struct Lookup {
    Walk lines;                       /* strides: y, x, index; the looked-up axis left out */
    int64_t count;                    /* elements of y and index along it */
    int64_t size;                     /* of x along it */
    int64_t y_step, x_step, i_step;   /* from one to the next */
} Lookup;

/* y has index's shape (gather), or index is one list for all lines (index_select). */
static inline Lookup lookup_of(const GatherAttrs *a, const Tensor *x, const Tensor *y, const Tensor *index)
{
    Lookup l;
    memset(&l, 0, sizeof l);
    const Tensor *tensors[3] = {y, x, index};
    bool list = index->shape.rank == 1 && x->shape.rank != 1;
    int rank = x->shape.rank, axis = a->dim < 0 ? a->dim + rank : a->dim;
    int64_t step[3][RANK_MAX];
    for (int t = 0; t < 3; t++) {
        int64_t width = 1;
        for (int i = rank - 1; i >= 0; i--) {
            bool along = t == 2 && list;
            step[t][i] = along ? i == axis : width;
            width *= along ? 1 : tensors[t]->shape.dim[i];
        }
        for (int i = 0, n = 0; i < rank; i++)
            if (i != axis)
                l.lines.stride[t][n++] = step[t][i];
    }
    for (int i = 0; i < rank; i++)
        if (i != axis)
            l.lines.dim[l.lines.rank++] = y->shape.dim[i];
    l.count = y->shape.dim[axis];
    l.size = x->shape.dim[axis];
    l.y_step = step[0][axis];
    l.x_step = step[1][axis];
    l.i_step = step[2][axis];
    walk_collapse(&l.lines, 3);
    return l;
}

static inline int64_t lookup_lines(const Lookup *l)
{
    return walk_rows(&l->lines) * l->lines.dim[l->lines.rank - 1];
}

#ifdef __CUDACC__
__host__ __device__
#endif
/* The element that a number means, or -1. */
static inline int64_t lookup_index(int32_t i, int64_t size)
{
    int64_t at = i < 0 ? i + size : i;
    return at >= 0 && at < size ? at : -1;
}

#endif
