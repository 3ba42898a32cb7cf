/* conv_winograd.h - our own Winograd convolutions, both sides in C16, padding 1: 3x3 kernels at stride 1, 36 products
 * for 16 results where the direct way takes 144, and 4x4 kernels at stride 2, 100 products where it takes 256. */
#ifndef CPU_CONV_WINOGRAD_H
#define CPU_CONV_WINOGRAD_H

#include "kernels/cpu/onednn.h"

bool conv_winograd_takes(const ConvShape *s);

/* The weights w (F,C,KH,KW) as CONV_FORWARD or CONV_BACKWARD_DATA reads them, 4 or 6.25 times as large; aligned to 64
 * bytes. */
size_t conv_winograd_packed_bytes(const ConvShape *s, ConvDirection direction);
void conv_winograd_pack(const ConvShape *s, ConvDirection direction, const float *w, void *packed, int threads);

/* Bytes of scratch, aligned to 64. */
size_t conv_winograd_workspace(const ConvShape *s, ConvDirection direction);
/* x (B,C,H,W) and y (B,F,OH,OW) in C16 with zeros beyond the channels; two of x, w, y are read and the third is
 * written.  w is packed, and for CONV_BACKWARD_WEIGHTS plain; bias (F) or NULL is CONV_FORWARD's alone.  Sums run in one
 * order whatever the number of threads. */
void conv_winograd_run(const ConvShape *s, ConvDirection direction, float *x, void *w, const float *bias, float *y,
                       int threads, void *workspace);

#endif
