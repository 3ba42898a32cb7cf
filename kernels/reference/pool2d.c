/* pool2d.c - the definition, plane by plane. */
#include "engine/ops/pool2d.h"

#include "kernels/reference/reference.h"

/* One rank-4 side: how many planes and their sizes. */
typedef struct Planes {
    int64_t n, height, width;
} Planes;

static Planes planes_of(const Tensor *t)
{
    return (Planes){t->shape.dim[0] * t->shape.dim[1], t->shape.dim[2], t->shape.dim[3]};
}

/* Offset of the first maximum of a window; NaN counts as larger than anything. */
static int64_t first_maximum(const real *x, int64_t width, PoolSpan rows, PoolSpan columns)
{
    int64_t best = rows.begin * width + columns.begin;
    for (int64_t i = rows.begin; i < rows.end; i++)
        for (int64_t j = columns.begin; j < columns.end; j++) {
            real v = x[i * width + j];
            if (v > x[best] || (v != v && x[best] == x[best]))
                best = i * width + j;
        }
    return best;
}

/* Forward when y is written; backward when dx is. */
static void max_windows(KernelCall *k, const Tensor *x, const Tensor *y, real *dx)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(x), py = planes_of(y);
    real *to = REAL(*y);
    for (int64_t p = 0; p < px.n; p++) {
        const real *plane = REAL(*x) + p * px.height * px.width;
        for (int64_t oy = 0; oy < py.height; oy++)
            for (int64_t ox = 0; ox < py.width; ox++, to++) {
                int64_t at = first_maximum(plane, px.width, pool_span(&a.rows, oy, px.height),
                                           pool_span(&a.columns, ox, px.width));
                if (dx)
                    dx[p * px.height * px.width + at] += *to;
                else
                    *to = plane[at];
            }
    }
}

static void max_pool2d(KernelCall *k)
{
    max_windows(k, &k->in[0], &k->out[0], NULL);
}

static void max_pool2d_grad(KernelCall *k)
{
    memset(k->out[0].data, 0, sizeof(real) * (size_t)COUNT(k->out[0]));
    max_windows(k, &k->in[0], &k->in[1], REAL(k->out[0]));
}

static void avg_pool2d(KernelCall *k)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->in[0]), py = planes_of(&k->out[0]);
    real *y = REAL(k->out[0]);
    for (int64_t p = 0; p < px.n; p++)
        for (int64_t oy = 0; oy < py.height; oy++)
            for (int64_t ox = 0; ox < py.width; ox++) {
                const real *x = REAL(k->in[0]) + p * px.height * px.width;
                PoolSpan rows = pool_span(&a.rows, oy, px.height), columns = pool_span(&a.columns, ox, px.width);
                double sum = 0;
                for (int64_t i = rows.begin; i < rows.end; i++)
                    for (int64_t j = columns.begin; j < columns.end; j++)
                        sum += x[i * px.width + j];
                *y++ = (real)(sum / (double)(rows.counted * columns.counted));
            }
}

static void avg_pool2d_grad(KernelCall *k)
{
    PoolWindow a = pool_window(k->attrs);
    Planes px = planes_of(&k->out[0]), py = planes_of(&k->in[0]);
    real *dx = REAL(k->out[0]);
    for (int64_t p = 0; p < px.n; p++)
        for (int64_t i = 0; i < px.height; i++)
            for (int64_t j = 0; j < px.width; j++) {
                const real *dy = REAL(k->in[0]) + p * py.height * py.width;
                PoolSpan rows = pool_windows(&a.rows, i, px.height, py.height);
                PoolSpan columns = pool_windows(&a.columns, j, px.width, py.width);
                double sum = 0;
                for (int64_t oy = rows.begin; oy < rows.end; oy++)
                    for (int64_t ox = columns.begin; ox < columns.end; ox++)
                        sum += (double)dy[oy * py.width + ox] / (double)(pool_span(&a.rows, oy, px.height).counted *
                                                                         pool_span(&a.columns, ox, px.width).counted);
                *dx++ = (real)sum;
            }
}

static void global_avg_pool(KernelCall *k)
{
    Planes p = planes_of(&k->in[0]);
    const real *x = REAL(k->in[0]);
    int64_t pixels = p.height * p.width;
    for (int64_t i = 0; i < p.n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < pixels; j++)
            sum += x[i * pixels + j];
        REAL(k->out[0])[i] = (real)(sum / (double)pixels);
    }
}

static void global_avg_pool_grad(KernelCall *k)
{
    Planes p = planes_of(&k->out[0]);
    real *dx = REAL(k->out[0]);
    int64_t pixels = p.height * p.width;
    for (int64_t i = 0; i < p.n * pixels; i++)
        dx[i] = REAL(k->in[0])[i / pixels] / (real)pixels;
}

KERNEL(max_pool2d, reference) = {.run = max_pool2d};
KERNEL(max_pool2d_grad, reference) = {.run = max_pool2d_grad};
KERNEL(adaptive_max_pool2d, reference) = {.run = max_pool2d};
KERNEL(adaptive_max_pool2d_grad, reference) = {.run = max_pool2d_grad};
KERNEL(avg_pool2d, reference) = {.run = avg_pool2d};
KERNEL(avg_pool2d_grad, reference) = {.run = avg_pool2d_grad};
KERNEL(global_avg_pool, reference) = {.run = global_avg_pool};
KERNEL(global_avg_pool_grad, reference) = {.run = global_avg_pool_grad};
