/* conv_depthwise.h - convolution in all three directions where each group has one channel of x, plane by plane: the
 * products of conv_gemm.h would have one row. */
#ifndef CPU_CONV_DEPTHWISE_H
#define CPU_CONV_DEPTHWISE_H

#include "kernels/cpu/conv_gemm.h"

/* Whether it serves: one channel a group, PLAIN on both sides, and not too large a kernel. */
bool   conv_depthwise_serves(const ConvShape *s, Format x, Format y);
size_t conv_depthwise_workspace(const ConvShape *s, ConvDirection direction, int threads);
void   conv_depthwise_run(const ConvGemm *c, int threads, void *workspace);

#endif
