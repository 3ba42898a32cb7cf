/* conv_weights.h - the gradient of a convolution's weights from maps of few pixels, both in C16 or both in C16_BF16. */
#ifndef CPU_CONV_WEIGHTS_H
#define CPU_CONV_WEIGHTS_H

#include "engine/ops/conv2d.h"
#include "kernels/layout.h"

enum { CONV_WEIGHTS_PIXELS = 256, CONV_WEIGHTS_TAPS = 25 };

/* Whether conv_weights_run takes the shape: one group, at most CONV_WEIGHTS_PIXELS pixels of y a picture, at most
 * CONV_WEIGHTS_TAPS taps; in bfloat16 (`half`) on machines with AVX512_BF16 alone. */
bool conv_weights_takes(const ConvShape *s, bool half);
/* Bytes of scratch, aligned to 64. */
size_t conv_weights_workspace(const ConvShape *s, bool half);
/* x (B,C,H,W) and dy (B,F,OH,OW), both C16 or both C16_BF16 (`half`) with zeros beyond the channels -> dw (F,C,KH,KW)
 * plain.  Sums are of float, and over pixels in one order whatever the number of threads. */
void conv_weights_run(const ConvShape *s, bool half, const void *x, const void *dy, float *dw, int threads,
                      void *workspace);

/* ---------------------------------------------------------------- what the two precisions differ in */
/* The pixels of y that see x under one tap, and what they see, counted in pixels. */
typedef struct ConvSeen {
    int n;
    int32_t x[CONV_WEIGHTS_PIXELS], y[CONV_WEIGHTS_PIXELS];
} ConvSeen;

typedef float WeightVector __attribute__((vector_size(LANES * sizeof(float))));
enum { WEIGHT_FILTERS = 8, WEIGHT_BLOCKS = 3 };

/* Adds to sums[f][k], WEIGHT_FILTERS by as many blocks of channels as the tile is of, what `vectors` vectors of each
 * pixel give: x's blocks lie x_block vectors apart, y's pixels 16 lanes, of which WEIGHT_FILTERS from y on count. */
typedef void (*WeightTile)(const ConvSeen *seen, const WeightVector *x, int64_t x_block, const float *y,
                           int64_t vectors, int64_t x_pixels, int64_t y_pixels, WeightVector *restrict sums);

typedef struct WeightKind {
    int pictures;            /* that a vector holds: a lane is a float of one, or 16 bits of each of two */
    /* One block of channels of all pictures, side by side: (vectors, pixels). */
    void (*copy)(const void *from, int64_t batch, int64_t channels, int64_t pixels, int64_t block, WeightVector *to);
    WeightTile tile[WEIGHT_BLOCKS];
} WeightKind;
/* NULL where the machine has no such products. */
const WeightKind *conv_weights_bf16(void);

#endif
