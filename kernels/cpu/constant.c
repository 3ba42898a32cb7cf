/* constant.c - fills, copies and changes of format. */
#include "engine/ops/constant.h"

#include "kernels/cpu/bf16.h"
#include "kernels/cpu/elementwise.h"

enum { COPY_UNIT = 65536 };   /* bytes of a piece of work */

static void fill(KernelCall *k)
{
    float value = ((const FillAttrs *)k->attrs)->value, *y = FLOATS(k->out[0]);
    int64_t n = cpu_elements(&k->out[0]);
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

static void copy_bytes(uint8_t *y, const uint8_t *x, int64_t n)
{
    if (x == y)
        return;
#pragma omp parallel for if (n > 4 * CPU_SERIAL)
    for (int64_t i = 0; i < n; i += COPY_UNIT)
        memcpy(y + i, x + i, (size_t)(n - i < COPY_UNIT ? n - i : COPY_UNIT));
}

static void copy(KernelCall *k)
{
    copy_bytes(BYTES(k->out[0]), BYTES(k->in[0]), (int64_t)tensor_bytes(&k->in[0], 4));
}

/* Where 16 channels of an image lie: the first one's first pixel, and the steps of channels and pixels. */
typedef struct Block {
    int64_t start, channel, pixel;
} Block;

static Block block_of(const Tensor *t, int64_t b, int64_t block)
{
    int64_t C = t->shape.dim[1], area = t->shape.dim[2] * t->shape.dim[3], c = block * LANES;
    if (t->format == C16 || t->format == C16_BF16)
        return (Block){(b * channel_blocks(C) + block) * area * LANES, 1, LANES};
    if (t->format == NHWC)
        return (Block){b * area * C + c, 1, C};
    return (Block){(b * C + c) * area, area, 1};
}

/* C16 to or from C16_BF16: the same order. */
static void round_blocks(const float *x, uint16_t *y, int64_t n)
{
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = bf16_of(x[i]);
}

static void widen_blocks(const uint16_t *x, float *y, int64_t n)
{
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = bf16_float(x[i]);
}

/* Tiles of 16 channels and 16 pixels through a square that stays in the first cache. */
static void reorder(KernelCall *k)
{
    const Tensor *x = &k->in[0], *y = &k->out[0];
    if (x->format == y->format) {
        copy(k);
        return;
    }
    if (x->format == C16 && y->format == C16_BF16) {
        round_blocks(FLOATS(*x), y->data, cpu_elements(x));
        return;
    }
    if (x->format == C16_BF16 && y->format == C16) {
        widen_blocks(x->data, FLOATS(*y), cpu_elements(y));
        return;
    }
    int64_t C = x->shape.dim[1], area = x->shape.dim[2] * x->shape.dim[3], blocks = channel_blocks(C);
#pragma omp parallel for collapse(2) if (cpu_elements(y) > CPU_SERIAL)
    for (int64_t b = 0; b < x->shape.dim[0]; b++)
        for (int64_t block = 0; block < blocks; block++) {
            Block from = block_of(x, b, block), to = block_of(y, b, block);
            const float *in = FLOATS(*x) + from.start;
            float *out = FLOATS(*y) + to.start;
            const uint16_t *half_in = (const uint16_t *)x->data + from.start;
            uint16_t *half_out = (uint16_t *)y->data + to.start;
            int64_t channels = C - block * LANES < LANES ? C - block * LANES : LANES;
            int64_t written = y->format == C16 ? LANES : channels;
            for (int64_t p = 0; p < area; p += LANES) {
                float tile[LANES][LANES] = {{0}};
                int64_t n = area - p < LANES ? area - p : LANES;
                if (x->format == C16_BF16)
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t c = 0; c < channels; c++)
                            tile[c][i] = bf16_float(half_in[c + (p + i) * LANES]);
                else if (from.pixel == 1)
                    for (int64_t c = 0; c < channels; c++)
                        memcpy(tile[c], in + c * from.channel + p, (size_t)n * sizeof **tile);
                else
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t c = 0; c < channels; c++)
                            tile[c][i] = in[c + (p + i) * from.pixel];
                if (y->format == C16_BF16)
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t c = 0; c < LANES; c++)
                            half_out[c + (p + i) * LANES] = bf16_of(tile[c][i]);
                else if (to.pixel == 1)
                    for (int64_t c = 0; c < written; c++)
                        memcpy(out + c * to.channel + p, tile[c], (size_t)n * sizeof **tile);
                else
                    for (int64_t i = 0; i < n; i++)
                        for (int64_t c = 0; c < written; c++)
                            out[c + (p + i) * to.pixel] = tile[c][i];
            }
        }
}

static void bytes_to_real(KernelCall *k)
{
    BytesToRealAttrs a = *(const BytesToRealAttrs *)k->attrs;
    const uint8_t *x = BYTES(k->in[0]);
    float *y = FLOATS(k->out[0]);
    int64_t n = shape_count(k->in[0].shape);
#pragma omp parallel for simd if (n > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++)
        y[i] = a.scale * (float)x[i] + a.shift;
}

KERNEL(fill, cpu) = {.run = fill};
KERNEL(copy, cpu) = {.run = copy, .formats = formats_same};
KERNEL(reorder, cpu) = {.run = reorder};
KERNEL(bytes_to_real, cpu) = {.run = bytes_to_real};
