/* pool2d.cu - pooling in plain and NHWC, float or bfloat16: a thread 16 bytes of channels (plain: an element) of what is
 * written, gathering, so that no two threads write the same.
 *   launch  256 threads a block, in the order of the result's memory
 *   bound   memory: forward reads x about (kernel / stride)^2 times, mostly from cache; the gradient of the maximum
 *           finds the maxima of all windows that see a pixel again */
#include "kernels/cuda/vector.h"

#include "engine/ops/pool2d.h"

/* A rank-4 tensor in either layout. */
struct PoolSide {
    int64_t channels, height, width;
    bool nhwc;
};

/* Plane (b, c): offset of its first pixel, and the step from pixel to pixel. */
struct PoolPlane {
    int64_t at, step;
};

static __device__ PoolPlane pool_plane(const PoolSide &s, int64_t b, int64_t c)
{
    int64_t pixels = s.height * s.width;
    PoolPlane p;
    p.at = s.nhwc ? b * pixels * s.channels + c : (b * s.channels + c) * pixels;
    p.step = s.nhwc ? s.channels : 1;
    return p;
}

/* Takes i apart: i / n, and the rest goes to *rest.  By 32 bits where that is enough. */
static __device__ inline int64_t pool_split(int64_t i, int64_t n, int64_t *rest)
{
    int64_t next = (i | n) >> 31 ? i / n : (int64_t)((unsigned)i / (unsigned)n);
    *rest = i - next * n;
    return next;
}

/* Element i of the memory of `s` as (b, c, row, column). */
struct PoolIndex {
    int64_t b, c, row, column;
};

static __device__ PoolIndex pool_index(const PoolSide &s, int64_t i)
{
    PoolIndex p;
    if (s.nhwc)
        i = pool_split(i, s.channels, &p.c);
    i = pool_split(i, s.width, &p.column);
    i = pool_split(i, s.height, &p.row);
    if (!s.nhwc)
        i = pool_split(i, s.channels, &p.c);
    p.b = i;
    return p;
}

/* Largest values of a window in V planes, and the number of the pixel, counted in the window, that first has each; NaN
 * counts as larger than anything. */
template <int V, typename T>
static __device__ inline void pool_maxima(const T *plane, int64_t step, int64_t width, PoolSpan rows, PoolSpan columns,
                                          float (&most)[V], int (&first)[V])
{
    int number = 0;
    for (int64_t i = rows.begin; i < rows.end; i++)
        for (int64_t j = columns.begin; j < columns.end; j++, number++) {
            float v[V];
            load(plane + (i * width + j) * step, v);
#pragma unroll
            for (int l = 0; l < V; l++)
                if (!number || v[l] > most[l] || (v[l] != v[l] && most[l] == most[l])) {
                    most[l] = v[l];
                    first[l] = number;
                }
        }
}

template <int V, typename T>
static __global__ void max_pool2d_kernel(const T *x, T *y, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sy, i);
    PoolPlane p = pool_plane(sx, o.b, o.c);
    float most[V] = {};
    int first[V] = {};
    pool_maxima(x + p.at, p.step, sx.width, pool_span(&a.rows, o.row, sx.height),
                pool_span(&a.columns, o.column, sx.width), most, first);
    store(y + i, most);
}

template <int V, typename T>
static __global__ void max_pool2d_grad_kernel(const T *x, const T *dy, T *dx, PoolWindow a, PoolSide sx, PoolSide sy,
                                              int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    PoolPlane px = pool_plane(sx, o.b, o.c), py = pool_plane(sy, o.b, o.c);
    PoolSpan rows = pool_windows(&a.rows, o.row, sx.height, sy.height);
    PoolSpan columns = pool_windows(&a.columns, o.column, sx.width, sy.width);
    float sum[V] = {};
    for (int64_t oy = rows.begin; oy < rows.end; oy++)
        for (int64_t ox = columns.begin; ox < columns.end; ox++) {
            PoolSpan ry = pool_span(&a.rows, oy, sx.height), rx = pool_span(&a.columns, ox, sx.width);
            float most[V] = {}, d[V];
            int first[V] = {}, own = (int)((o.row - ry.begin) * (rx.end - rx.begin) + o.column - rx.begin);
            pool_maxima(x + px.at, px.step, sx.width, ry, rx, most, first);
            load(dy + py.at + (oy * sy.width + ox) * py.step, d);
#pragma unroll
            for (int l = 0; l < V; l++)
                sum[l] += first[l] == own ? d[l] : 0;
        }
    store(dx + i, sum);
}

template <int V, typename T>
static __global__ void avg_pool2d_kernel(const T *x, T *y, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sy, i);
    PoolPlane p = pool_plane(sx, o.b, o.c);
    PoolSpan rows = pool_span(&a.rows, o.row, sx.height), columns = pool_span(&a.columns, o.column, sx.width);
    float sum[V] = {}, of = (float)(rows.counted * columns.counted);
    for (int64_t r = rows.begin; r < rows.end; r++)
        for (int64_t c = columns.begin; c < columns.end; c++) {
            float v[V];
            load(x + p.at + (r * sx.width + c) * p.step, v);
            for (int l = 0; l < V; l++)
                sum[l] += v[l];
        }
    for (int l = 0; l < V; l++)
        sum[l] /= of;
    store(y + i, sum);
}

template <int V, typename T>
static __global__ void avg_pool2d_grad_kernel(const T *dy, T *dx, PoolWindow a, PoolSide sx, PoolSide sy, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    PoolPlane p = pool_plane(sy, o.b, o.c);
    PoolSpan rows = pool_windows(&a.rows, o.row, sx.height, sy.height);
    PoolSpan columns = pool_windows(&a.columns, o.column, sx.width, sy.width);
    float sum[V] = {};
    for (int64_t oy = rows.begin; oy < rows.end; oy++)
        for (int64_t ox = columns.begin; ox < columns.end; ox++) {
            float v[V], of = (float)(pool_span(&a.rows, oy, sx.height).counted *
                                     pool_span(&a.columns, ox, sx.width).counted);
            load(dy + p.at + (oy * sy.width + ox) * p.step, v);
            for (int l = 0; l < V; l++)
                sum[l] += v[l] / of;
        }
    store(dx + i, sum);
}

/* A thread V channels of an image: neighbours in NHWC read neighbours. */
template <int V, typename T>
static __global__ void global_avg_pool_kernel(const T *x, float *y, PoolSide sx, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolPlane p = pool_plane(sx, i / sx.channels, i % sx.channels);
    int64_t pixels = sx.height * sx.width;
    float sum[V] = {};
    for (int64_t j = 0; j < pixels; j++) {
        float v[V];
        load(x + p.at + j * p.step, v);
        for (int l = 0; l < V; l++)
            sum[l] += v[l];
    }
    for (int l = 0; l < V; l++)
        y[i + l] = sum[l] / (float)pixels;
}

template <int V, typename T>
static __global__ void global_avg_pool_grad_kernel(const float *dy, T *dx, PoolSide sx, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i >= n)
        return;
    PoolIndex o = pool_index(sx, i);
    float d[V];
    for (int l = 0; l < V; l++)   /* V is 1 unless these are neighbouring channels */
        d[l] = dy[o.b * sx.channels + o.c + l] / (float)(sx.height * sx.width);
    store(dx + i, d);
}

/* ---------------------------------------------------------------- host */
static PoolSide side(const Tensor *t)
{
    PoolSide s = {t->shape.dim[1], t->shape.dim[2], t->shape.dim[3], format_layout(t->format) == NHWC};
    return s;
}

static bool lanes_fit(const Tensor *t, int lanes)
{
    return t->shape.rank != 4 || (format_layout(t->format) == NHWC && t->shape.dim[1] % lanes == 0 &&
                                  (uintptr_t)t->data % VECTOR_BYTES == 0);
}

/* Calls launch.run<V, T>() with the type of the rank-4 tensor t and V neighbouring channels where all tensors allow. */
template <typename Launch>
static void pool_dispatch(const KernelCall *k, const Tensor *t, const Launch &launch)
{
    bool half = format_half(t->format), whole = true;
    for (int i = 0; i < k->nin; i++)
        whole = whole && lanes_fit(&k->in[i], half ? 8 : 4);
    whole = whole && lanes_fit(&k->out[0], half ? 8 : 4);
    if (!shape_count(k->out[0].shape))
        return;
    if (half && whole)
        launch.template run<8, bf16>();
    else if (half)
        launch.template run<1, bf16>();
    else if (whole)
        launch.template run<4, float>();
    else
        launch.template run<1, float>();
}

#define POOL_LAUNCH(kernel, V, ...)                                                                     \
    LAUNCH((kernel<V, T>), cuda_grid((shape_count(k->out[0].shape) + V - 1) / V), CUDA_BLOCK, 0, cuda_stream(k), \
           __VA_ARGS__, shape_count(k->out[0].shape))
#define POOL_DATA(t) ((T *)(t).data)

struct MaxPool {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(max_pool2d_kernel, V, POOL_DATA(k->in[0]), POOL_DATA(k->out[0]), pool_window(k->attrs),
                    side(&k->in[0]), side(&k->out[0]));
    }
};
struct MaxPoolGrad {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(max_pool2d_grad_kernel, V, POOL_DATA(k->in[0]), POOL_DATA(k->in[1]), POOL_DATA(k->out[0]),
                    pool_window(k->attrs), side(&k->in[0]), side(&k->in[1]));
    }
};
struct AvgPool {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(avg_pool2d_kernel, V, POOL_DATA(k->in[0]), POOL_DATA(k->out[0]), pool_window(k->attrs),
                    side(&k->in[0]), side(&k->out[0]));
    }
};
struct AvgPoolGrad {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(avg_pool2d_grad_kernel, V, POOL_DATA(k->in[0]), POOL_DATA(k->out[0]), pool_window(k->attrs),
                    side(&k->out[0]), side(&k->in[0]));
    }
};
struct GlobalPool {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(global_avg_pool_kernel, V, POOL_DATA(k->in[0]), FLOATS(k->out[0]), side(&k->in[0]));
    }
};
struct GlobalPoolGrad {
    KernelCall *k;
    template <int V, typename T>
    void run() const
    {
        POOL_LAUNCH(global_avg_pool_grad_kernel, V, FLOATS(k->in[0]), POOL_DATA(k->out[0]), side(&k->out[0]));
    }
};

static void max_pool2d(KernelCall *k) { pool_dispatch(k, &k->in[0], MaxPool{k}); }
static void max_pool2d_grad(KernelCall *k) { pool_dispatch(k, &k->in[0], MaxPoolGrad{k}); }
static void avg_pool2d(KernelCall *k) { pool_dispatch(k, &k->in[0], AvgPool{k}); }
static void avg_pool2d_grad(KernelCall *k) { pool_dispatch(k, &k->in[0], AvgPoolGrad{k}); }
static void global_avg_pool(KernelCall *k) { pool_dispatch(k, &k->in[0], GlobalPool{k}); }
static void global_avg_pool_grad(KernelCall *k) { pool_dispatch(k, &k->out[0], GlobalPoolGrad{k}); }

/* Any format in; the result has rank 2. */
static void formats_global(FormatChoice *)
{
}

/* Nothing says what the reader wants: what convolutions use. */
static void formats_global_grad(FormatChoice *f)
{
    int64_t channels = f->out_shape[0].dim[1];
    f->out[0] = f->precision == PRECISION_BF16 && channels % 8 == 0 ? NHWC_BF16 : channels % 4 == 0 ? NHWC : PLAIN;
}

KERNEL(max_pool2d, cuda) = {.run = max_pool2d, .formats = formats_same, .halves = true};
KERNEL(max_pool2d_grad, cuda) = {.run = max_pool2d_grad, .formats = formats_same, .halves = true};
KERNEL(adaptive_max_pool2d, cuda) = {.run = max_pool2d, .formats = formats_same, .halves = true};
KERNEL(adaptive_max_pool2d_grad, cuda) = {.run = max_pool2d_grad, .formats = formats_same, .halves = true};
KERNEL(avg_pool2d, cuda) = {.run = avg_pool2d, .formats = formats_same, .halves = true};
KERNEL(avg_pool2d_grad, cuda) = {.run = avg_pool2d_grad, .formats = formats_same, .halves = true};
KERNEL(global_avg_pool, cuda) = {.run = global_avg_pool, .formats = formats_global, .halves = true};
KERNEL(global_avg_pool_grad, cuda) = {.run = global_avg_pool_grad, .formats = formats_global_grad, .halves = true};
