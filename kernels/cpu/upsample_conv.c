/* upsample_conv.c - summed weights, and rows of a large map put together from four small ones, plain or in blocks of 16
 * channels.
 *   bound   memory: weights 25 numbers for 9 taps, interleaving 8 bytes an element of the large map */
#include "engine/ops/upsample_conv.h"

#include "kernels/cpu/cpu.h"
#include "kernels/layout.h"

static void upsample_weights(KernelCall *k)
{
    int64_t pairs = k->in[0].shape.dim[0] * k->in[0].shape.dim[1];
#pragma omp parallel for if (16 * pairs > CPU_SERIAL)
    for (int64_t i = 0; i < pairs; i++) {
        const float *w = FLOATS(k->in[0]) + 9 * i;
        for (int a = 0; a < 2; a++) {
            float rows[2][3];   /* of kernels (a, .) */
            for (int s = 0; s < 3; s++) {
                rows[0][s] = a ? w[s] + w[3 + s] : w[s];
                rows[1][s] = a ? w[6 + s] : w[3 + s] + w[6 + s];
            }
            for (int u = 0; u < 2; u++) {
                float *even = FLOATS(k->out[0]) + 4 * (2 * a * pairs + i) + 2 * u, *odd = even + 4 * pairs;
                even[0] = rows[u][0];
                even[1] = rows[u][1] + rows[u][2];
                odd[0] = rows[u][0] + rows[u][1];
                odd[1] = rows[u][2];
            }
        }
    }
}

static void upsample_weights_grad(KernelCall *k)
{
    int64_t pairs = k->out[0].shape.dim[0] * k->out[0].shape.dim[1];
#pragma omp parallel for if (16 * pairs > CPU_SERIAL)
    for (int64_t i = 0; i < pairs; i++)
        for (int r = 0; r < 3; r++)
            for (int s = 0; s < 3; s++) {
                float sum = 0;
                for (int ab = 0; ab < 4; ab++)
                    sum += FLOATS(k->in[0])[4 * (ab * pairs + i) + 2 * upsample_tap(ab / 2, r) +
                                            upsample_tap(ab % 2, s)];
                FLOATS(k->out[0])[9 * i + 3 * r + s] = sum;
            }
}

/* The large map and the small ones behind it; planes of `lanes` channels. */
typedef struct Maps {
    int64_t batch, planes, H, W, lanes;   /* H, W: of the large map */
} Maps;

static Maps maps_of(const Tensor *y)
{
    int64_t lanes = y->format == C16 ? LANES : 1;
    return (Maps){y->shape.dim[0], y->shape.dim[1] / lanes, y->shape.dim[2], y->shape.dim[3], lanes};
}

/* Row `row` of map (a, b) of plane p of image n. */
static int64_t small_row(Maps m, int64_t n, int64_t p, int64_t a, int64_t b, int64_t row)
{
    int64_t h = m.H / 2 + 1, w = m.W / 2 + 1;
    return (((n * 4 + 2 * a + b) * m.planes + p) * h + row) * w * m.lanes;
}

static inline __attribute__((always_inline)) void merge_row(float *y, const float *even, const float *odd,
                                                            const float *bias, int64_t n, const int64_t lanes)
{
    for (int64_t j = 0; j < n; j++)
        for (int64_t l = 0; l < lanes; l++) {
            y[2 * j * lanes + l] = even[j * lanes + l] + bias[l];
            y[(2 * j + 1) * lanes + l] = odd[(j + 1) * lanes + l] + bias[l];
        }
}

static void upsample_interleave(KernelCall *k)
{
    static const float none[LANES];
    Maps m = maps_of(&k->out[0]);
    bool biased = k->nin > 1 && tensor_here(&k->in[1]);
#pragma omp parallel for collapse(2) if (m.batch * m.planes * m.H * m.W * m.lanes > CPU_SERIAL)
    for (int64_t plane = 0; plane < m.batch * m.planes; plane++)
        for (int64_t row = 0; row < m.H; row++) {
            int64_t n = plane / m.planes, p = plane % m.planes, a = row % 2;
            const float *bias = biased ? FLOATS(k->in[1]) + p * m.lanes : none, *z = FLOATS(k->in[0]);
            const float *even = z + small_row(m, n, p, a, 0, row / 2 + a);
            const float *odd = z + small_row(m, n, p, a, 1, row / 2 + a);
            float *y = FLOATS(k->out[0]) + (plane * m.H + row) * m.W * m.lanes;
            if (m.lanes == LANES)
                merge_row(y, even, odd, bias, m.W / 2, LANES);
            else
                merge_row(y, even, odd, bias, m.W / 2, 1);
        }
}

static void upsample_interleave_grad(KernelCall *k)
{
    Maps m = maps_of(&k->in[0]);
    int64_t h = m.H / 2 + 1, w = m.W / 2 + 1, lanes = m.lanes;
#pragma omp parallel for collapse(2) if (m.batch * m.planes * m.H * m.W * m.lanes > CPU_SERIAL)
    for (int64_t plane = 0; plane < m.batch * 4 * m.planes; plane++)
        for (int64_t row = 0; row < h; row++) {
            int64_t p = plane % m.planes, ab = plane / m.planes % 4, n = plane / m.planes / 4, from = 2 * row - ab / 2;
            float *z = FLOATS(k->out[0]) + (plane * h + row) * w * lanes;
            const float *dy = FLOATS(k->in[0]) + ((n * m.planes + p) * m.H + from) * m.W * lanes;
            if (from < 0 || from >= m.H) {
                memset(z, 0, sizeof *z * (size_t)(w * lanes));
                continue;
            }
            int64_t b = ab % 2;
            memset(z + (b ? 0 : w - 1) * lanes, 0, sizeof *z * (size_t)lanes);
            for (int64_t j = 0; j < w - 1; j++)   /* column j + b of z is column 2j + b of dy */
                memcpy(z + (j + b) * lanes, dy + (2 * j + b) * lanes, sizeof *z * (size_t)lanes);
        }
}

/* Blocks of 16 only where every map is whole blocks. */
static void formats(FormatChoice *f)
{
    int64_t channels = f->out_shape[0].dim[1] < f->in_shape[0].dim[1] ? f->out_shape[0].dim[1] : f->in_shape[0].dim[1];
    f->in[0] = f->out[0] = f->in[0] == C16 && channels % LANES == 0 ? C16 : PLAIN;
}

/* in: x (B,C,H,W) and w (F,C,3,3).  Between 1x1 convolutions, forward and backward, batch 8, processor time of one
 * thread:
 *   float, from 32 channels on    Winograd on the large map is faster by up to 1.4 times (Table 7), or as fast
 *   float, fewer                  32 to 16 at 16x16 and 32x32 takes half the time of the direct kernel
 *   bfloat16                      0.6 to 0.8 of the time (Table 7 at 4x4 to 64x64; 8x8: 0.98), 0.5 to 0.7 of that of
 *                                 narrower ones */
static bool worth(const Shape *in, Precision precision)
{
    int64_t channels = in[0].dim[1], filters = in[1].dim[0];
    return channels % LANES == 0 && filters % LANES == 0 &&
           (precision == PRECISION_BF16 || channels < 32 || filters < 32);
}

KERNEL(upsample_weights, cpu) = {.run = upsample_weights};
KERNEL(upsample_weights_grad, cpu) = {.run = upsample_weights_grad};
KERNEL(upsample_interleave, cpu) = {.run = upsample_interleave, .formats = formats, .worth = worth};
KERNEL(upsample_interleave_grad, cpu) = {.run = upsample_interleave_grad, .formats = formats};
