/* pool2d.cu - pooling in plain and NHWC: a thread an element of what is written, gathering, so that no two threads
 * write the same.
 *   launch  256 threads a block, in the order of the result's memory
 *   bound   memory: forward reads x about (kernel / stride)^2 times, mostly from cache; the gradient of the maximum
 *           finds the maxima of all windows that see a pixel again */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/pool2d.h"

/* A rank-4 tensor in either format. */
struct PoolSide {
    int64_t channels, height, width;
    bool nhwc;
};

/* Plane (b, c): offset of its first pixel, and the step from pixel to pixel. */
struct PoolPlane {
    int64_t at, step;
};

__device__ static PoolPlane pool_plane(PoolSide s, int64_t b, int64_t c)
{
    int64_t pixels = s.height * s.width;
    PoolPlane p;
    p.at = s.nhwc ? b * pixels * s.channels + c : (b * s.channels + c) * pixels;
    p.step = s.nhwc ? s.channels : 1;
    return p;
}

/* Element i of the memory of `s` as (b, c, row, column). */
struct PoolIndex {
    int64_t b, c, row, column;
};

__device__ static PoolIndex pool_index(PoolSide s, int64_t i)
{
    PoolIndex p;
    int64_t inner = s.nhwc ? s.channels : 1, pixels = s.height * s.width;
    p.c = s.nhwc ? i % s.channels : i / pixels % s.channels;
    int64_t pixel = i / inner % pixels;
    p.b = i / (pixels * s.channels);
    p.row = pixel / s.width;
    p.column = pixel % s.width;
    return p;
}

/* Pixel number of the first maximum of a window; NaN counts as larger than anything. */
__device__ static int64_t pool_first_maximum(const float *plane, int64_t step, int64_t width, PoolSpan rows,
                                             PoolSpan columns)
{
    int64_t best = rows.begin * width + columns.begin;
    float most = plane[best * step];
    for (int64_t i = rows.begin; i < rows.end; i++)
        for (int64_t j = columns.begin; j < columns.end; j++) {
            float v = plane[(i * width + j) * step];
            if (v > most || (v != v && most == most)) {
                most = v;
                best = i * width + j;
            }
        }
    return best;
}

__global__ void max_pool2d_kernel(const float *x, float *y, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sy, i);
    PoolPlane p = pool_plane(sx, o.b, o.c);
    int64_t at = pool_first_maximum(x + p.at, p.step, sx.width, pool_span(&a.rows, o.row, sx.height),
                                    pool_span(&a.columns, o.column, sx.width));
    y[i] = x[p.at + at * p.step];
}

__global__ void max_pool2d_grad_kernel(const float *x, const float *dy, float *dx, PoolWindow a, PoolSide sx,
                                       PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    PoolPlane px = pool_plane(sx, o.b, o.c), py = pool_plane(sy, o.b, o.c);
    PoolSpan rows = pool_windows(&a.rows, o.row, sx.height, sy.height);
    PoolSpan columns = pool_windows(&a.columns, o.column, sx.width, sy.width);
    float sum = 0;
    for (int64_t oy = rows.begin; oy < rows.end; oy++)
        for (int64_t ox = columns.begin; ox < columns.end; ox++)
            if (pool_first_maximum(x + px.at, px.step, sx.width, pool_span(&a.rows, oy, sx.height),
                                   pool_span(&a.columns, ox, sx.width)) == o.row * sx.width + o.column)
                sum += dy[py.at + (oy * sy.width + ox) * py.step];
    dx[i] = sum;
}

__global__ void avg_pool2d_kernel(const float *x, float *y, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sy, i);
    PoolPlane p = pool_plane(sx, o.b, o.c);
    PoolSpan rows = pool_span(&a.rows, o.row, sx.height), columns = pool_span(&a.columns, o.column, sx.width);
    float sum = 0;
    for (int64_t r = rows.begin; r < rows.end; r++)
        for (int64_t c = columns.begin; c < columns.end; c++)
            sum += x[p.at + (r * sx.width + c) * p.step];
    y[i] = sum / (float)(rows.counted * columns.counted);
}

__global__ void avg_pool2d_grad_kernel(const float *dy, float *dx, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    PoolPlane p = pool_plane(sy, o.b, o.c);
    PoolSpan rows = pool_windows(&a.rows, o.row, sx.height, sy.height);
    PoolSpan columns = pool_windows(&a.columns, o.column, sx.width, sy.width);
    float sum = 0;
    for (int64_t oy = rows.begin; oy < rows.end; oy++)
        for (int64_t ox = columns.begin; ox < columns.end; ox++)
            sum += dy[p.at + (oy * sy.width + ox) * p.step] /
                   (float)(pool_span(&a.rows, oy, sx.height).counted * pool_span(&a.columns, ox, sx.width).counted);
    dx[i] = sum;
}

/* A thread a channel of an image: neighbours in NHWC read neighbours. */
__global__ void global_avg_pool_kernel(const float *x, float *y, PoolSide sx, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolPlane p = pool_plane(sx, i / sx.channels, i % sx.channels);
    int64_t pixels = sx.height * sx.width;
    float sum = 0;
    for (int64_t j = 0; j < pixels; j++)
        sum += x[p.at + j * p.step];
    y[i] = sum / (float)pixels;
}

__global__ void global_avg_pool_grad_kernel(const float *dy, float *dx, PoolSide sx, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    dx[i] = dy[o.b * sx.channels + o.c] / (float)(sx.height * sx.width);
}

static PoolSide side(const Tensor *t)
{
    PoolSide s = {t->shape.dim[1], t->shape.dim[2], t->shape.dim[3], t->format == NHWC};
    return s;
}

static void max_pool2d(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(max_pool2d_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
           pool_window(k->attrs), side(&k->in[0]), side(&k->out[0]), n);
}

static void max_pool2d_grad(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(max_pool2d_grad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]),
           FLOATS(k->out[0]), pool_window(k->attrs), side(&k->in[0]), side(&k->in[1]), n);
}

static void avg_pool2d(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(avg_pool2d_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
           pool_window(k->attrs), side(&k->in[0]), side(&k->out[0]), n);
}

static void avg_pool2d_grad(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(avg_pool2d_grad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
           pool_window(k->attrs), side(&k->out[0]), side(&k->in[0]), n);
}

static void global_avg_pool(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(global_avg_pool_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]),
           side(&k->in[0]), n);
}

static void global_avg_pool_grad(KernelCall *k)
{
    int64_t n = shape_count(k->out[0].shape);
    LAUNCH(global_avg_pool_grad_kernel, cuda_grid(n), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]),
           FLOATS(k->out[0]), side(&k->out[0]), n);
}

/* Any format in; the result has rank 2. */
static void formats_global(FormatChoice *)
{
}

/* Nothing says what the reader wants: what convolutions use. */
static void formats_global_grad(FormatChoice *f)
{
    f->out[0] = f->out_shape[0].dim[1] % 4 == 0 ? NHWC : PLAIN;
}

KERNEL(max_pool2d, cuda) = {.run = max_pool2d, .formats = formats_same};
KERNEL(max_pool2d_grad, cuda) = {.run = max_pool2d_grad, .formats = formats_same};
KERNEL(adaptive_max_pool2d, cuda) = {.run = max_pool2d, .formats = formats_same};
KERNEL(adaptive_max_pool2d_grad, cuda) = {.run = max_pool2d_grad, .formats = formats_same};
KERNEL(avg_pool2d, cuda) = {.run = avg_pool2d, .formats = formats_same};
KERNEL(avg_pool2d_grad, cuda) = {.run = avg_pool2d_grad, .formats = formats_same};
KERNEL(global_avg_pool, cuda) = {.run = global_avg_pool, .formats = formats_global};
KERNEL(global_avg_pool_grad, cuda) = {.run = global_avg_pool_grad, .formats = formats_global_grad};
