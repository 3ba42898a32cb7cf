/* pieces.h - many tensors cut into chunks of one size, so that threads get equal shares: what optimizers share. */
#ifndef KERNELS_CPU_PIECES_H
#define KERNELS_CPU_PIECES_H

#include <stdlib.h>

#include "kernels/cpu/cpu.h"

enum { PIECE = 4096 };

/* n elements of a tensor from `start` on. */
typedef struct Piece {
    int tensor;
    int64_t start, n;
} Piece;

/* The call's state becomes the pieces of the n operands from `first` on. */
static inline int pieces_prepare(KernelCall *k, int first, int n)
{
    int64_t pieces = 0;
    for (int i = 0; i < n; i++)
        pieces += (shape_count(k->in[first + i].shape) + PIECE - 1) / PIECE;
    k->state_bytes = (size_t)pieces * sizeof(Piece);
    Piece *p = k->state = must_alloc(k->state_bytes + 1);
    for (int i = 0; i < n; i++)
        for (int64_t at = 0, count = shape_count(k->in[first + i].shape); at < count; at += PIECE)
            *p++ = (Piece){i, at, count - at < PIECE ? count - at : PIECE};
    return 0;
}

static inline void pieces_release(KernelCall *k)
{
    free(k->state);
    k->state = NULL;
}

static inline int64_t pieces_count(const KernelCall *k)
{
    return (int64_t)(k->state_bytes / sizeof(Piece));
}

static inline Piece piece_at(const KernelCall *k, int64_t i)
{
    return ((const Piece *)k->state)[i];
}

#endif
