/* resize_rule.h - which pixels a resized pixel is made of, and with what weight, along one axis.
 *
 * All kernels of all backends read this one rule.  Positions are fractions of whole numbers, so that they are exact
 * and the same everywhere; rounding begins only where a weight becomes a floating-point number.
 * in and out are lengths of the axis before and after the forward resize, 1 to RESIZE_SIDE; o in [0, out) and
 * i in [0, in).  Included by C, C++ and CUDA sources alike. */
#ifndef OPS_RESIZE_RULE_H
#define OPS_RESIZE_RULE_H

#ifdef __CUDACC__
#define RESIZE_FN static __host__ __device__ inline
#else
#define RESIZE_FN static inline
#endif

/* Products of two sides, doubled, and of a side and the channels stay below 2^31. */
enum { RESIZE_SIDE = 16384, RESIZE_CHANNELS = 65536 };

typedef enum ResizeKind { RESIZE_NEAREST, RESIZE_AREA, RESIZE_BILINEAR, RESIZE_CORNERS } ResizeKind;

/* Pixels first .. end - 1. */
typedef struct ResizeRange {
    int first, end;
} ResizeRange;

/* above / below, below > 0. */
typedef struct ResizeFraction {
    int above, below;
} ResizeFraction;

RESIZE_FN int resize_min(int a, int b)
{
    return a < b ? a : b;
}

/* Bilinear kinds: where output o lies between the centres of the input pixels, in [0, in - 1 + 1/2). */
RESIZE_FN ResizeFraction resize_position(ResizeKind kind, int o, int in, int out)
{
    ResizeFraction p;
    if (kind == RESIZE_CORNERS) {
        p.above = out > 1 ? o * (in - 1) : 0;
        p.below = out > 1 ? out - 1 : 1;
    } else {
        int above = (2 * o + 1) * in - out;   /* (o + 1/2) in / out - 1/2 */
        p.above = above > 0 ? above : 0;
        p.below = 2 * out;
    }
    return p;
}

/* Input pixels that output o is made of. */
RESIZE_FN ResizeRange resize_reads(ResizeKind kind, int o, int in, int out)
{
    ResizeRange r;
    if (kind == RESIZE_NEAREST) {
        r.first = o * in / out;
        r.end = r.first + 1;
    } else if (kind == RESIZE_AREA) {
        r.first = o * in / out;
        r.end = ((o + 1) * in + out - 1) / out;
    } else {
        ResizeFraction p = resize_position(kind, o, in, out);
        r.first = p.above / p.below;
        r.end = resize_min(r.first + (p.above % p.below ? 2 : 1), in);
    }
    return r;
}

/* Output pixels that are made of input i among others: the transpose of resize_reads. */
RESIZE_FN ResizeRange resize_readers(ResizeKind kind, int i, int in, int out)
{
    ResizeRange r;
    if (kind == RESIZE_NEAREST) {
        r.first = (i * out + in - 1) / in;
        r.end = ((i + 1) * out + in - 1) / in;
    } else if (kind == RESIZE_AREA) {
        r.first = i * out / in;
        r.end = ((i + 1) * out + in - 1) / in;
    } else if (kind == RESIZE_CORNERS) {   /* i - 1 < o (in - 1) / (out - 1) < i + 1 */
        int steps = out > 1 ? out - 1 : 1;
        r.first = i == 0 ? 0 : (i - 1) * steps / (in - 1) + 1;
        r.end = i == in - 1 ? out : resize_min(((i + 1) * steps + in - 2) / (in - 1), out);
    } else {   /* (2i - 1) out < (2o + 1) in < (2i + 3) out, and what lies beyond the first and last centre */
        r.first = i == 0 ? 0 : ((2 * i - 1) * out / in + 1) / 2;
        r.end = i == in - 1 ? out : resize_min(((2 * i + 3) * out + in - 1) / in / 2, out);
    }
    return r;
}

/* Weight of input i in output o, for i in resize_reads(o), or o in resize_readers(i): the weights of one o sum to 1. */
RESIZE_FN ResizeFraction resize_weight(ResizeKind kind, int o, int i, int in, int out)
{
    ResizeFraction w = {1, 1};
    if (kind == RESIZE_AREA) {
        ResizeRange r = resize_reads(kind, o, in, out);
        w.below = r.end - r.first;
    } else if (kind != RESIZE_NEAREST) {
        ResizeFraction p = resize_position(kind, o, in, out);
        int low = p.above / p.below, rest = p.above % p.below;
        if (rest && low + 1 < in) {   /* else all of the weight is on the one pixel read */
            w.above = i == low ? p.below - rest : rest;
            w.below = p.below;
        }
    }
    return w;
}

#endif
