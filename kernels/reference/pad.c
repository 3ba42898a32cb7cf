/* pad.c - the definition: where each element of y looks, and each of dx is seen from. */
#include "engine/ops/pad_rule.h"

#include "kernels/reference/reference.h"

/* Element i of a side with the given sizes: its index along outer and the three axes. */
typedef struct Index {
    int64_t outer, at[PAD_AXES];
} Index;

static Index index_of(int64_t i, const int64_t *size)
{
    Index x;
    for (int k = PAD_AXES - 1; k >= 0; k--) {
        x.at[k] = i % size[k];
        i /= size[k];
    }
    x.outer = i;
    return x;
}

static int64_t place_of(int64_t outer, int64_t a, int64_t b, int64_t c, const int64_t *size)
{
    return ((outer * size[0] + a) * size[1] + b) * size[2] + c;
}

static void pad(KernelCall *k)
{
    const PadAttrs *attrs = k->attrs;
    PadJob j = pad_job(attrs, pad_reflects(attrs), &k->in[0], &k->out[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        Index y = index_of(i, j.y);
        int64_t a = pad_source(&j, 0, y.at[0]), b = pad_source(&j, 1, y.at[1]), c = pad_source(&j, 2, y.at[2]);
        bool inside = a >= 0 && b >= 0 && c >= 0;
        REAL(k->out[0])[i] = inside ? REAL(k->in[0])[place_of(y.outer, a, b, c, j.x)] : (real)j.value;
    }
}

static void pad_grad(KernelCall *k)
{
    PadJob j = pad_job(k->attrs, true, &k->out[0], &k->in[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        Index x = index_of(i, j.x);
        int64_t o[PAD_AXES][3];
        int images[PAD_AXES];
        for (int axis = 0; axis < PAD_AXES; axis++)
            images[axis] = pad_images(&j, axis, x.at[axis], o[axis]);
        double sum = 0;
        for (int a = 0; a < images[0]; a++)
            for (int b = 0; b < images[1]; b++)
                for (int c = 0; c < images[2]; c++)
                    sum += REAL(k->in[0])[place_of(x.outer, o[0][a], o[1][b], o[2][c], j.y)];
        REAL(k->out[0])[i] = (real)sum;
    }
}

KERNEL(pad, reference) = {.run = pad};
KERNEL(pad_grad, reference) = {.run = pad_grad};
