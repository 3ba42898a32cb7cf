/* affine.cu - elementwise (map.h), in any format.
 *   bound   memory: 8 bytes an element, 4 in bfloat16 */
#include "kernels/cuda/map.h"

#include "engine/ops/affine.h"

struct Affine {
    float scale, shift;
    __device__ float operator()(float x) const { return scale * x + shift; }
};

static void affine(KernelCall *k)
{
    const AffineAttrs *a = (const AffineAttrs *)k->attrs;
    map_run<1>(k, Affine{a->scale, a->shift});
}

KERNEL(affine, cuda) = {.run = affine, .formats = formats_same, .inplace = inplace_first, .halves = true};
