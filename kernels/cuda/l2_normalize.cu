/* l2_normalize.cu - a warp a row.
 *   in      x (and dy), rows of n floats      out     y or dx, the same
 *   launch  8 warps a block, blocks over rows; a thread 16 bytes at a time where rows are multiples of that, else 4
 *   bound   memory: 8 bytes an element forward, 12 backward (a row is read again from the cache); the sums of
 *           products are in double, which devices with few such units may feel */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/vector.h"

#include "engine/ops/l2_normalize.h"

namespace {

constexpr int ROWS_A_BLOCK = CUDA_BLOCK / WARP;

template <int V>
__device__ double row_dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = threadIdx.x % WARP * V; i < n; i += WARP * V) {
        float va[V], vb[V];
        load(a + i, va);
        load(b + i, vb);
        for (int l = 0; l < V; l++)
            sum += (double)va[l] * (double)vb[l];
    }
    return warp_sum(sum);
}

template <int V>
__global__ void l2_normalize_kernel(const float *x, float *y, double eps, int64_t rows, int64_t n)
{
    int64_t row = (int64_t)blockIdx.x * ROWS_A_BLOCK + threadIdx.x / WARP;
    if (row >= rows)
        return;
    x += row * n;
    y += row * n;
    double norm = sqrt(row_dot<V>(x, x, n));
    double by = 1 / (norm > eps ? norm : eps);
    for (int64_t i = threadIdx.x % WARP * V; i < n; i += WARP * V) {
        float v[V];
        load(x + i, v);
        for (int l = 0; l < V; l++)
            v[l] = (float)(v[l] * by);
        store(y + i, v);
    }
}

template <int V>
__global__ void l2_normalize_grad_kernel(const float *x, const float *dy, float *dx, double eps, int64_t rows,
                                         int64_t n)
{
    int64_t row = (int64_t)blockIdx.x * ROWS_A_BLOCK + threadIdx.x / WARP;
    if (row >= rows)
        return;
    x += row * n;
    dy += row * n;
    dx += row * n;
    double squares = row_dot<V>(x, x, n), along = row_dot<V>(x, dy, n), norm = sqrt(squares);
    double by = 1 / (norm > eps ? norm : eps);
    along = norm > eps ? along / squares : 0;
    for (int64_t i = threadIdx.x % WARP * V; i < n; i += WARP * V) {
        float v[V], d[V];
        load(x + i, v);
        load(dy + i, d);
        for (int l = 0; l < V; l++)
            d[l] = (float)((d[l] - v[l] * along) * by);
        store(dx + i, d);
    }
}

/* Rows of length *n. */
int64_t rows_of(const KernelCall *k, int64_t *n)
{
    *n = k->in[0].shape.dim[k->in[0].shape.rank - 1];
    return *n ? shape_count(k->in[0].shape) / *n : 0;
}

bool fours(const KernelCall *k, int64_t n)
{
    bool good = n % 4 == 0 && vectors_fit<4>(FLOATS(k->out[0]));
    for (int i = 0; i < k->nin; i++)
        good = good && vectors_fit<4>(FLOATS(k->in[i]));
    return good;
}

template <int V>
void launch(KernelCall *k, int64_t rows, int64_t n)
{
    LAUNCH(l2_normalize_kernel<V>, (unsigned)((rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK), CUDA_BLOCK, 0, cuda_stream(k),
           FLOATS(k->in[0]), FLOATS(k->out[0]), ((const L2NormalizeAttrs *)k->attrs)->eps, rows, n);
}

template <int V>
void launch_grad(KernelCall *k, int64_t rows, int64_t n)
{
    LAUNCH(l2_normalize_grad_kernel<V>, (unsigned)((rows + ROWS_A_BLOCK - 1) / ROWS_A_BLOCK), CUDA_BLOCK, 0,
           cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]), FLOATS(k->out[0]),
           ((const L2NormalizeAttrs *)k->attrs)->eps, rows, n);
}

void l2_normalize(KernelCall *k)
{
    int64_t n, rows = rows_of(k, &n);
    if (rows && fours(k, n))
        launch<4>(k, rows, n);
    else if (rows)
        launch<1>(k, rows, n);
}

void l2_normalize_grad(KernelCall *k)
{
    int64_t n, rows = rows_of(k, &n);
    if (rows && fours(k, n))
        launch_grad<4>(k, rows, n);
    else if (rows)
        launch_grad<1>(k, rows, n);
}

}   // namespace

KERNEL(l2_normalize, cuda) = {.run = l2_normalize, .inplace = inplace_first};
KERNEL(l2_normalize_grad, cuda) = {.run = l2_normalize_grad, .inplace = inplace_first};
