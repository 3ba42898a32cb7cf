/* prelu.h - prelu as a function of two broadcast operands, for all fast backends. */
#ifndef KERNELS_PRELU_H
#define KERNELS_PRELU_H

#include "engine/ops/prelu.h"
#include "kernels/layout.h"

/* The call with the slopes in the shape in which they are broadcast; `in` holds two tensors. */
static inline KernelCall prelu_call(const KernelCall *k, Tensor *in)
{
    KernelCall c = *k;
    c.in = in;
    in[0] = k->in[0];
    in[1] = k->in[1];
    in[1].shape = prelu_broadcast(k->in[0].shape, k->in[1].shape);
    return c;
}

static inline void formats_prelu(FormatChoice *f)
{
    FormatChoice c = *f;
    Shape shapes[2] = {f->in_shape[0], prelu_broadcast(f->in_shape[0], f->in_shape[1])};
    c.in_shape = shapes;
    formats_broadcast(&c);
    f->in[1] = PLAIN;
}

#endif
