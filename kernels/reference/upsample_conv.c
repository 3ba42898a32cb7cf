/* upsample_conv.c - the definition of summed weights and interleaved maps, and their transposes. */
#include "engine/ops/upsample_conv.h"

#include "kernels/reference/reference.h"

static void upsample_weights(KernelCall *k)
{
    int64_t pairs = k->in[0].shape.dim[0] * k->in[0].shape.dim[1];
    for (int64_t i = 0; i < pairs; i++)
        for (int ab = 0; ab < 4; ab++) {
            double sum[2][2] = {{0}};
            for (int r = 0; r < 3; r++)
                for (int s = 0; s < 3; s++)
                    sum[upsample_tap(ab / 2, r)][upsample_tap(ab % 2, s)] += REAL(k->in[0])[9 * i + 3 * r + s];
            for (int t = 0; t < 4; t++)
                REAL(k->out[0])[4 * (ab * pairs + i) + t] = (real)sum[t / 2][t % 2];
        }
}

static void upsample_weights_grad(KernelCall *k)
{
    int64_t pairs = k->out[0].shape.dim[0] * k->out[0].shape.dim[1];
    for (int64_t i = 0; i < pairs; i++)
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++) {
                double sum = 0;
                for (int ab = 0; ab < 4; ab++)
                    sum += REAL(k->in[0])[4 * (ab * pairs + i) + 2 * upsample_tap(ab / 2, r) + upsample_tap(ab % 2, s)];
                REAL(k->out[0])[9 * i + 3 * r + s] = (real)sum;
            }
}

/* Element (n, f, row, column) of the large map y in z. */
static int64_t place(const Shape *y, int64_t n, int64_t f, int64_t row, int64_t column)
{
    int64_t a = row % 2, b = column % 2, H = y->dim[2] / 2 + 1, W = y->dim[3] / 2 + 1;
    return ((n * 4 * y->dim[1] + (2 * a + b) * y->dim[1] + f) * H + row / 2 + a) * W + column / 2 + b;
}

static void upsample_interleave(KernelCall *k)
{
    const Shape *y = &k->out[0].shape;
    bool bias = k->nin > 1 && tensor_here(&k->in[1]);
    for (int64_t n = 0, i = 0; n < y->dim[0]; n++)
        for (int64_t f = 0; f < y->dim[1]; f++)
            for (int64_t row = 0; row < y->dim[2]; row++)
                for (int64_t column = 0; column < y->dim[3]; column++)
                    REAL(k->out[0])[i++] = REAL(k->in[0])[place(y, n, f, row, column)] +
                                           (bias ? REAL(k->in[1])[f] : 0);
}

static void upsample_interleave_grad(KernelCall *k)
{
    const Shape *y = &k->in[0].shape;
    for (int64_t i = 0; i < COUNT(k->out[0]); i++)
        REAL(k->out[0])[i] = 0;
    for (int64_t n = 0, i = 0; n < y->dim[0]; n++)
        for (int64_t f = 0; f < y->dim[1]; f++)
            for (int64_t row = 0; row < y->dim[2]; row++)
                for (int64_t column = 0; column < y->dim[3]; column++)
                    REAL(k->out[0])[place(y, n, f, row, column)] = REAL(k->in[0])[i++];
}

KERNEL(upsample_weights, reference) = {.run = upsample_weights};
KERNEL(upsample_weights_grad, reference) = {.run = upsample_weights_grad};
KERNEL(upsample_interleave, reference) = {.run = upsample_interleave};
KERNEL(upsample_interleave_grad, reference) = {.run = upsample_interleave_grad};
