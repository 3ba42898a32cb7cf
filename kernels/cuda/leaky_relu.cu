/* leaky_relu.cu - elementwise (map.h), in any format.
 *   bound   memory: 8 bytes an element forward, 12 backward; half of that in bfloat16 */
#include "kernels/cuda/map.h"

#include "engine/ops/leaky_relu.h"

struct LeakyRelu {
    float slope;
    __device__ float operator()(float x) const { return x > 0 ? x : slope * x; }
    __device__ float operator()(float x, float dy) const { return x > 0 ? dy : slope * dy; }
};

static LeakyRelu slope_of(const KernelCall *k)
{
    return LeakyRelu{((const LeakyReluAttrs *)k->attrs)->slope};
}

static void leaky_relu(KernelCall *k)
{
    map_run<1>(k, slope_of(k));
}

static void leaky_relu_grad(KernelCall *k)
{
    map_run<2>(k, slope_of(k));
}

/* dx may take the buffer of dy. */
static int inplace_dy(const KernelCall *, int result)
{
    return result == 0 ? 1 : -1;
}

KERNEL(leaky_relu, cuda) = {.run = leaky_relu, .formats = formats_same, .inplace = inplace_first, .halves = true};
KERNEL(leaky_relu_grad, cuda) = {.run = leaky_relu_grad, .formats = formats_same, .inplace = inplace_dy,
                                 .halves = true};
