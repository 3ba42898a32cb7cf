/* prelu.c - the loops of two broadcast operands, in any format. */
#include "kernels/cpu/binary.h"
#include "kernels/prelu.h"

ROW(prelu, a > 0 ? a : b * a)
ROW(prelu_slope, a > 0 ? 1.0f : b)

static void prelu(KernelCall *k)
{
    Tensor in[2];
    KernelCall c = prelu_call(k, in);
    binary_run(&c, prelu_row);
}

static void prelu_slope(KernelCall *k)
{
    Tensor in[2];
    KernelCall c = prelu_call(k, in);
    binary_run(&c, prelu_slope_row);
}

KERNEL(prelu, cpu) = {.run = prelu, .formats = formats_prelu, .inplace = inplace_first};
KERNEL(prelu_slope, cpu) = {.run = prelu_slope, .formats = formats_prelu, .inplace = inplace_first};
