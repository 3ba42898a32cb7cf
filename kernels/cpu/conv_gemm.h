/* conv_gemm.h - convolution in all three directions as one matrix product (gemm.h) that gathers its operands from
 * the images while packing them, so that no column matrix is ever written: any shape, groups, dilation, format. */
#ifndef CPU_CONV_GEMM_H
#define CPU_CONV_GEMM_H

#include "kernels/cpu/onednn.h"

typedef struct ConvGemm {
    ConvShape shape;
    ConvDirection direction;
    Format x_format, y_format;      /* PLAIN or C16 */
    float *x, *w, *y;               /* w (F, C/groups, KH, KW); the direction says which one is written */
    const float *bias;              /* of each channel of the result; not for weights, or NULL */
} ConvGemm;

size_t conv_gemm_workspace(const ConvShape *s, ConvDirection direction, int threads);
void   conv_gemm_run(const ConvGemm *c, int threads, void *workspace);

#endif
