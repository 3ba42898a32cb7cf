/* pool2d.c - a thread a plane; in C16 a plane holds 16 channels, which the inner loops walk as one vector.
 * Zero padding of C16 stays zero: maxima, means and their gradients of zeros are zeros. */
#include "engine/ops/pool2d.h"

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"

typedef struct Planes {
    int64_t n, height, width;
} Planes;

static Planes planes_of(const Tensor *t)
{
    int64_t c = t->format == C16 ? (t->shape.dim[1] + 15) / 16 : t->shape.dim[1];
    return (Planes){t->shape.dim[0] * c, t->shape.dim[2], t->shape.dim[3]};
}

/* The bodies are written once over `lanes`; the two callers make it a constant. */
#define LANES(function, k) ((k)->in[0].format == C16 ? function(k, 16) : function(k, 1))
#define BODY static inline __attribute__((always_inline)) void

BODY max_forward(KernelCall *k, const int lanes)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->in[0]), py = planes_of(&k->out[0]);
#pragma omp parallel for collapse(2)
    for (int64_t p = 0; p < px.n; p++)
        for (int64_t oy = 0; oy < py.height; oy++) {
            const float *x = FLOATS(k->in[0]) + p * px.height * px.width * lanes;
            float *y = FLOATS(k->out[0]) + (p * py.height + oy) * py.width * lanes;
            PoolSpan rows = pool_span(&a.rows, oy, px.height);
            for (int64_t ox = 0; ox < py.width; ox++, y += lanes) {
                PoolSpan columns = pool_span(&a.columns, ox, px.width);
                float best[16];
                for (int l = 0; l < lanes; l++)
                    best[l] = x[(rows.begin * px.width + columns.begin) * lanes + l];
                for (int64_t i = rows.begin; i < rows.end; i++)
                    for (int64_t j = columns.begin; j < columns.end; j++)
                        for (int l = 0; l < lanes; l++) {
                            float v = x[(i * px.width + j) * lanes + l];
                            best[l] = v > best[l] || v != v ? v : best[l];
                        }
                for (int l = 0; l < lanes; l++)
                    y[l] = best[l];
            }
        }
}

BODY max_backward(KernelCall *k, const int lanes)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->in[0]), py = planes_of(&k->in[1]);
#pragma omp parallel for
    for (int64_t p = 0; p < px.n; p++) {
        const float *x = FLOATS(k->in[0]) + p * px.height * px.width * lanes;
        const float *dy = FLOATS(k->in[1]) + p * py.height * py.width * lanes;
        float *dx = FLOATS(k->out[0]) + p * px.height * px.width * lanes;
        memset(dx, 0, sizeof(float) * (size_t)(px.height * px.width * lanes));
        for (int64_t oy = 0; oy < py.height; oy++) {
            PoolSpan rows = pool_span(&a.rows, oy, px.height);
            for (int64_t ox = 0; ox < py.width; ox++, dy += lanes) {
                PoolSpan columns = pool_span(&a.columns, ox, px.width);
                float best[16];
                int32_t at[16];
                for (int l = 0; l < lanes; l++) {
                    at[l] = (int32_t)(rows.begin * px.width + columns.begin);
                    best[l] = x[(int64_t)at[l] * lanes + l];
                }
                for (int64_t i = rows.begin; i < rows.end; i++)
                    for (int64_t j = columns.begin; j < columns.end; j++)
                        for (int l = 0; l < lanes; l++) {
                            float v = x[(i * px.width + j) * lanes + l];
                            int take = (v > best[l]) | ((v != v) & (best[l] == best[l]));
                            best[l] = take ? v : best[l];
                            at[l] = take ? (int32_t)(i * px.width + j) : at[l];
                        }
                for (int l = 0; l < lanes; l++)
                    dx[(int64_t)at[l] * lanes + l] += dy[l];
            }
        }
    }
}

BODY avg_forward(KernelCall *k, const int lanes)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->in[0]), py = planes_of(&k->out[0]);
#pragma omp parallel for collapse(2)
    for (int64_t p = 0; p < px.n; p++)
        for (int64_t oy = 0; oy < py.height; oy++) {
            const float *x = FLOATS(k->in[0]) + p * px.height * px.width * lanes;
            float *y = FLOATS(k->out[0]) + (p * py.height + oy) * py.width * lanes;
            PoolSpan rows = pool_span(&a.rows, oy, px.height);
            for (int64_t ox = 0; ox < py.width; ox++, y += lanes) {
                PoolSpan columns = pool_span(&a.columns, ox, px.width);
                float sum[16] = {0}, share = 1 / (float)(rows.counted * columns.counted);
                for (int64_t i = rows.begin; i < rows.end; i++)
                    for (int64_t j = columns.begin; j < columns.end; j++)
                        for (int l = 0; l < lanes; l++)
                            sum[l] += x[(i * px.width + j) * lanes + l];
                for (int l = 0; l < lanes; l++)
                    y[l] = sum[l] * share;
            }
        }
}

BODY avg_backward(KernelCall *k, const int lanes)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->out[0]), py = planes_of(&k->in[0]);
#pragma omp parallel for collapse(2)
    for (int64_t p = 0; p < px.n; p++)
        for (int64_t i = 0; i < px.height; i++) {
            const float *dy = FLOATS(k->in[0]) + p * py.height * py.width * lanes;
            float *dx = FLOATS(k->out[0]) + (p * px.height + i) * px.width * lanes;
            PoolSpan rows = pool_windows(&a.rows, i, px.height, py.height);
            for (int64_t j = 0; j < px.width; j++, dx += lanes) {
                PoolSpan columns = pool_windows(&a.columns, j, px.width, py.width);
                float sum[16] = {0};
                for (int64_t oy = rows.begin; oy < rows.end; oy++)
                    for (int64_t ox = columns.begin; ox < columns.end; ox++) {
                        float share = 1 / (float)(pool_span(&a.rows, oy, px.height).counted *
                                                  pool_span(&a.columns, ox, px.width).counted);
                        for (int l = 0; l < lanes; l++)
                            sum[l] += dy[(oy * py.width + ox) * lanes + l] * share;
                    }
                for (int l = 0; l < lanes; l++)
                    dx[l] = sum[l];
            }
        }
}

static void max_pool2d(KernelCall *k)
{
    LANES(max_forward, k);
}

static void max_pool2d_grad(KernelCall *k)
{
    LANES(max_backward, k);
}

static void avg_pool2d(KernelCall *k)
{
    LANES(avg_forward, k);
}

static void avg_pool2d_grad(KernelCall *k)
{
    LANES(avg_backward, k);
}

/* (B,C,H,W) in either format to (B,C) plain. */
static void global_avg_pool(KernelCall *k)
{
    const Tensor *x = &k->in[0];
    int64_t batch = x->shape.dim[0], channels = x->shape.dim[1], pixels = x->shape.dim[2] * x->shape.dim[3];
    int64_t lanes = x->format == C16 ? 16 : 1, blocks = (channels + lanes - 1) / lanes;
#pragma omp parallel for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < blocks; i++) {
            const float *from = FLOATS(*x) + (b * blocks + i) * pixels * lanes;
            float sum[16] = {0}, *to = FLOATS(k->out[0]) + b * channels + i * lanes;
            if (lanes == 16)
                for (int64_t p = 0; p < pixels; p++)
                    for (int l = 0; l < 16; l++)
                        sum[l] += from[p * 16 + l];
            else
                for (int64_t p = 0; p < pixels; p++)   /* sixteen sums, for vectors and for accuracy */
                    sum[p % 16] += from[p];
            if (lanes == 1)
                for (int l = 1; l < 16; l++)
                    sum[0] += sum[l];
            for (int64_t l = 0; l < lanes && i * lanes + l < channels; l++)
                to[l] = sum[l] / (float)pixels;
        }
}

static void global_avg_pool_grad(KernelCall *k)
{
    const Tensor *dx = &k->out[0];
    int64_t batch = dx->shape.dim[0], channels = dx->shape.dim[1], pixels = dx->shape.dim[2] * dx->shape.dim[3];
    int64_t lanes = dx->format == C16 ? 16 : 1, blocks = (channels + lanes - 1) / lanes;
    float share = 1 / (float)pixels;
#pragma omp parallel for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < blocks; i++) {
            const float *dy = FLOATS(k->in[0]) + b * channels + i * lanes;
            float value[16] = {0}, *to = FLOATS(*dx) + (b * blocks + i) * pixels * lanes;
            for (int64_t l = 0; l < lanes && i * lanes + l < channels; l++)
                value[l] = dy[l] * share;
            for (int64_t p = 0; p < pixels * lanes; p++)
                to[p] = value[lanes == 1 ? 0 : p % 16];
        }
}


static void formats_global(FormatChoice *f)
{
    (void)f;   /* any format in */
}

/* Nothing says what the reader wants: what convolutions use. */
static void formats_global_grad(FormatChoice *f)
{
    f->out[0] = onednn_blocked() && f->out_shape[0].dim[1] >= 16 ? C16 : PLAIN;
}

KERNEL(max_pool2d, cpu) = {.run = max_pool2d, .formats = formats_same};
KERNEL(max_pool2d_grad, cpu) = {.run = max_pool2d_grad, .formats = formats_same};
KERNEL(adaptive_max_pool2d, cpu) = {.run = max_pool2d, .formats = formats_same};
KERNEL(adaptive_max_pool2d_grad, cpu) = {.run = max_pool2d_grad, .formats = formats_same};
KERNEL(avg_pool2d, cpu) = {.run = avg_pool2d, .formats = formats_same};
KERNEL(avg_pool2d_grad, cpu) = {.run = avg_pool2d_grad, .formats = formats_same};
KERNEL(global_avg_pool, cpu) = {.run = global_avg_pool, .formats = formats_global};
KERNEL(global_avg_pool_grad, cpu) = {.run = global_avg_pool_grad, .formats = formats_global_grad};
