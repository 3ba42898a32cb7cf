/* place.h - in which formats concat, slice and pad_slice copy whole stretches of memory, for all backends. */
#ifndef KERNELS_PLACE_H
#define KERNELS_PLACE_H

#include "engine/ops/shape.h"
#include "kernels/layout.h"

static inline int shape_axis(int axis, int rank)
{
    return axis < 0 ? axis + rank : axis;
}

/* Where the parts of a joined or cut axis begin and end. */
static inline int place_axis(const FormatChoice *f)
{
    int axis = !strcmp(f->op->name, "concat")  ? ((const ConcatAttrs *)f->attrs)->axis
               : !strcmp(f->op->name, "slice") ? ((const SliceAttrs *)f->attrs)->axis
                                               : ((const PadSliceAttrs *)f->attrs)->axis;
    return shape_axis(axis, f->out_shape[0].rank);
}

/* C16 can be cut between blocks only: every part but the last must be whole blocks. */
static inline bool place_in_blocks(const FormatChoice *f)
{
    if (!strcmp(f->op->name, "concat")) {
        for (int i = 0; i < f->nin - 1; i++)
            if (f->in_shape[i].dim[1] % LANES)
                return false;
        return true;
    }
    bool slice = !strcmp(f->op->name, "slice");
    const SliceAttrs *s = (const SliceAttrs *)f->attrs;
    const PadSliceAttrs *p = (const PadSliceAttrs *)f->attrs;
    if ((slice ? s->step : p->step) != 1)
        return false;
    int64_t start = p->start, stop = start + f->in_shape[0].dim[1], size = p->size;
    if (slice) {
        size = f->in_shape[0].dim[1];
        start = slice_from_front(s, size).start, stop = slice_from_front(s, size).stop;
    }
    return start % LANES == 0 && (stop % LANES == 0 || stop == size);
}

/* The format of the first operand that is not PLAIN, if the copy can be made in it. */
static inline void formats_place(FormatChoice *f)
{
    formats_same(f);
    if (f->out[0] == C16 && place_axis(f) == 1 && !place_in_blocks(f)) {
        for (int i = 0; i < f->nin; i++)
            f->in[i] = PLAIN;
        f->out[0] = PLAIN;
    }
}

#endif
