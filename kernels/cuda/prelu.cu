/* prelu.cu - the loops of two broadcast operands (kernels/cuda/binary.h).
 *   bound   memory: 8 bytes an element, 4 in bfloat16 */
#include "kernels/cuda/binary.h"
#include "kernels/prelu.h"

BINARY(Prelu, a > 0 ? a : b * a)
BINARY(PreluSlope, a > 0 ? 1.0f : b)

template <typename Function>
static void run(KernelCall *k)
{
    Tensor in[2];
    KernelCall c = prelu_call(k, in);
    binary_run<Function>(&c);
}

KERNEL(prelu, cuda) = {.run = run<Prelu>, .formats = formats_prelu, .inplace = inplace_first, .halves = true};
KERNEL(prelu_slope, cuda) = {.run = run<PreluSlope>, .formats = formats_prelu, .inplace = inplace_first,
                             .halves = true};
