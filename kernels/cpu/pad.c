/* pad.c - row by row of the result's memory: the middle of a row is one stretch of the other side's. */
#include "engine/ops/pad_rule.h"

#include "kernels/cpu/cpu.h"

/* Columns of y that show x without mirroring: [begin, end). */
typedef struct Middle {
    int64_t begin, end;
} Middle;

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static Middle middle_of(const PadJob *j)
{
    return (Middle){clamp(j->before[2], 0, j->y[2]), clamp(j->before[2] + j->x[2], 0, j->y[2])};
}

static void pad_edge(const PadJob *j, const float *x, float *y, int64_t begin, int64_t end)
{
    for (int64_t c = begin; c < end; c++)
        for (int64_t l = 0; l < j->inner; l++)
            y[c * j->inner + l] = j->reflect ? x[pad_source(j, 2, c) * j->inner + l] : j->value;
}

static void pad(KernelCall *k)
{
    const PadAttrs *attrs = k->attrs;
    PadJob j = pad_job(attrs, pad_reflects(attrs), &k->in[0], &k->out[0]);
    Middle m = middle_of(&j);
    int64_t rows = j.outer * j.y[0] * j.y[1], wide = j.y[2] * j.inner;
#pragma omp parallel for if (rows * wide > CPU_SERIAL)
    for (int64_t r = 0; r < rows; r++) {
        int64_t b = pad_source(&j, 1, r % j.y[1]), a = pad_source(&j, 0, r / j.y[1] % j.y[0]);
        float *y = FLOATS(k->out[0]) + r * wide;
        if (a < 0 || b < 0) {
            for (int64_t i = 0; i < wide; i++)
                y[i] = j.value;
            continue;
        }
        const float *x = FLOATS(k->in[0]) + ((r / j.y[1] / j.y[0] * j.x[0] + a) * j.x[1] + b) * j.x[2] * j.inner;
        pad_edge(&j, x, y, 0, m.begin);
        if (m.end > m.begin)
            memcpy(y + m.begin * j.inner, x + (m.begin - j.before[2]) * j.inner,
                   sizeof *y * (size_t)((m.end - m.begin) * j.inner));
        pad_edge(&j, x, y, m.end > m.begin ? m.end : m.begin, j.y[2]);
    }
}

/* A row of dx takes up to nine rows of dy, each with its own mirrored ends. */
static void pad_grad(KernelCall *k)
{
    PadJob j = pad_job(k->attrs, true, &k->out[0], &k->in[0]);
    int64_t rows = j.outer * j.x[0] * j.x[1], wide = j.x[2] * j.inner, after = j.y[2] - j.x[2] - j.before[2];
#pragma omp parallel for if (rows * wide > CPU_SERIAL)
    for (int64_t r = 0; r < rows; r++) {
        int64_t oa[3], ob[3], outer = r / j.x[1] / j.x[0];
        int na = pad_images(&j, 0, r / j.x[1] % j.x[0], oa), nb = pad_images(&j, 1, r % j.x[1], ob);
        float *dx = FLOATS(k->out[0]) + r * wide;
        memset(dx, 0, sizeof *dx * (size_t)wide);
        for (int i = 0; i < na * nb; i++) {
            int64_t row = (outer * j.y[0] + oa[i / nb]) * j.y[1] + ob[i % nb];
            const float *seen = FLOATS(k->in[0]) + (row * j.y[2] + j.before[2]) * j.inner;
            for (int64_t c = 0; c < wide; c++)
                dx[c] += seen[c];
            for (int64_t c = 1; c <= j.before[2]; c++)
                for (int64_t l = 0; l < j.inner; l++)
                    dx[c * j.inner + l] += seen[l - c * j.inner];
            for (int64_t c = 1; c <= after; c++)
                for (int64_t l = 0; l < j.inner; l++)
                    dx[(j.x[2] - 1 - c) * j.inner + l] += seen[(j.x[2] - 1 + c) * j.inner + l];
        }
    }
}

KERNEL(pad, cpu) = {.run = pad, .formats = formats_pad};
KERNEL(pad_grad, cpu) = {.run = pad_grad, .formats = formats_pad};
