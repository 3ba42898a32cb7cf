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

KERNEL(add, cuda) = {.run = binary_run<Add>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(sub, cuda) = {.run = binary_run<Sub>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(mul, cuda) = {.run = binary_run<Mul>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(div, cuda) = {.run = binary_run<Div>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(maximum, cuda) = {.run = binary_run<Maximum>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(minimum, cuda) = {.run = binary_run<Minimum>, .formats = formats_broadcast, .inplace = inplace_alike};
KERNEL(step, cuda) = {.run = binary_run<Step>, .formats = formats_broadcast, .inplace = inplace_alike};
