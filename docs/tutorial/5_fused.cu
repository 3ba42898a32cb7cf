/* Step 5: the leaky ReLU in the pass that writes y, and 16 bytes a thread at a time.  12 bytes an element.
 * Channels are a multiple of 4, as they are wherever the paper's networks use batch norm. */
#include "docs/tutorial/merge.h"
#include "docs/tutorial/tutorial.h"

enum { TILE = 32, ROWS = 8, SLICE = 64 };   /* groups of 4 channels and rows of a block; rows of a slice */

__host__ __device__ static int slices_of(const Problem &p)
{
    return (p.images * p.pixels + SLICE - 1) / SLICE;
}

/* The rows and the group of 4 channels of this thread. */
struct Share {
    int lane, column, c, row, end;
    bool works;
};
__device__ static Share share_of(const Problem &p)
{
    Share s;
    int rows = p.images * p.pixels, end = ((int)blockIdx.y + 1) * SLICE;
    s.lane = (int)threadIdx.x / TILE;
    s.column = (int)threadIdx.x % TILE;
    s.c = 4 * ((int)blockIdx.x * TILE + s.column);
    s.row = (int)blockIdx.y * SLICE + s.lane;
    s.end = end < rows ? end : rows;
    s.works = s.c < p.channels;
    return s;
}

__global__ static void partial_kernel(Problem p, Maps m)
{
    __shared__ Moments shared[ROWS][TILE][4];
    Share s = share_of(p);
    Moments v[4] = {};
    for (int row = s.row; row < s.end && s.works; row += ROWS) {
        float4 x = load4(m.x + (size_t)row * p.channels + s.c);
        v[0] = merge(v[0], Moments{1, x.x, 0});
        v[1] = merge(v[1], Moments{1, x.y, 0});
        v[2] = merge(v[2], Moments{1, x.z, 0});
        v[3] = merge(v[3], Moments{1, x.w, 0});
    }
    for (int k = 0; k < 4; k++)
        shared[s.lane][s.column][k] = v[k];
    __syncthreads();
    if (s.lane > 0 || !s.works)
        return;
    for (int k = 0; k < 4; k++) {
        for (int lane = 1; lane < ROWS; lane++)
            v[k] = merge(v[k], shared[lane][s.column][k]);
        m.scratch[(2 * blockIdx.y) * p.channels + s.c + k] = v[k].mean;
        m.scratch[(2 * blockIdx.y + 1) * p.channels + s.c + k] = v[k].squares;
    }
}

__global__ static void finish_kernel(Problem p, Maps m)
{
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x), rows = p.images * p.pixels;
    if (c >= p.channels)
        return;
    Moments v = {0, 0, 0};
    for (int s = 0; s < slices_of(p); s++) {
        int left = rows - s * SLICE;
        v = merge(v, Moments{(float)(left < SLICE ? left : SLICE), m.scratch[2 * s * p.channels + c],
                             m.scratch[(2 * s + 1) * p.channels + c]});
    }
    m.mean[c] = v.mean;
    m.rstd[c] = 1 / sqrtf(v.squares / v.n + p.eps);
}

__device__ static float normalised(float x, float mean, float scale, float beta, float slope)
{
    float z = (x - mean) * scale + beta;
    return z > 0 ? z : slope * z;
}

__global__ static void apply_kernel(Problem p, Maps m)
{
    Share s = share_of(p);
    if (!s.works)
        return;
    float mean[4], scale[4], beta[4];
    for (int k = 0; k < 4; k++) {
        mean[k] = m.mean[s.c + k];
        scale[k] = m.gamma[s.c + k] * m.rstd[s.c + k];
        beta[k] = m.beta[s.c + k];
    }
    for (int row = s.row; row < s.end; row += ROWS) {
        float4 v = load4(m.x + (size_t)row * p.channels + s.c);
        v.x = normalised(v.x, mean[0], scale[0], beta[0], p.slope);
        v.y = normalised(v.y, mean[1], scale[1], beta[1], p.slope);
        v.z = normalised(v.z, mean[2], scale[2], beta[2], p.slope);
        v.w = normalised(v.w, mean[3], scale[3], beta[3], p.slope);
        store4(m.y + (size_t)row * p.channels + s.c, v);
    }
}

static void step(const Problem &p, const Maps &m, cudaStream_t stream)
{
    dim3 grid((unsigned)(p.channels / 4 + TILE - 1) / TILE, (unsigned)slices_of(p));
    LAUNCH(partial_kernel, grid, TILE * ROWS, 0, stream, p, m);
    LAUNCH(finish_kernel, (unsigned)(p.channels + 255) / 256, 256, 0, stream, p, m);
    LAUNCH(apply_kernel, grid, TILE * ROWS, 0, stream, p, m);
}

int main()
{
    return tutorial("5 fused, 16 bytes at a time", true, step, 2 * 4 + 4, 4);
}
