/* binary.cu - functions of two operands; kernels/cuda/binary.h has the loops. */
#include "kernels/cuda/cu.h"

#include "kernels/cuda/binary.h"

BINARY(Add, a + b)
BINARY(Sub, a - b)
BINARY(Mul, a * b)
BINARY(Div, a / b)
BINARY(Maximum, a > b || a != a ? a : b)
BINARY(Minimum, a < b || a != a ? a : b)
BINARY(Step, a < b ? 0.0f : a == b ? 0.5f : 1.0f)

#define BINARY_KERNEL(Function) \
    {.run = binary_run<Function>, .formats = formats_broadcast, .inplace = inplace_alike, .halves = true}
KERNEL(add, cuda) = BINARY_KERNEL(Add);
KERNEL(sub, cuda) = BINARY_KERNEL(Sub);
KERNEL(mul, cuda) = BINARY_KERNEL(Mul);
KERNEL(div, cuda) = BINARY_KERNEL(Div);
KERNEL(maximum, cuda) = BINARY_KERNEL(Maximum);
KERNEL(minimum, cuda) = BINARY_KERNEL(Minimum);
KERNEL(step, cuda) = BINARY_KERNEL(Step);
