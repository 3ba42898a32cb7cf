/* Step 4: channels last, and as many blocks as the GPU can use.  20 bytes an element.
 * x is B P rows of C channels.  A block of 256 threads takes 32 channels and a slice of the rows, 8 rows at a time, and
 * leaves a partial result; a second launch merges the slices of a channel in order; a third one goes over x again. */
#include "docs/tutorial/merge.h"
#include "docs/tutorial/tutorial.h"

enum { TILE = 32, ROWS = 8, SLICE = 64 };   /* channels and rows of a block; rows of a slice */

__host__ __device__ static int slices_of(const Problem &p)
{
    return (p.images * p.pixels + SLICE - 1) / SLICE;
}

/* scratch: for slice s and channel c, mean and squares. */
__global__ static void partial_kernel(Problem p, Maps m)
{
    __shared__ float n[ROWS][TILE], mean[ROWS][TILE], squares[ROWS][TILE];
    int lane = (int)threadIdx.x / TILE, column = (int)threadIdx.x % TILE, c = (int)blockIdx.x * TILE + column;
    int rows = p.images * p.pixels, first = (int)blockIdx.y * SLICE, end = first + SLICE < rows ? first + SLICE : rows;
    Moments v = {0, 0, 0};
    for (int row = first + lane; row < end && c < p.channels; row += ROWS)
        v = merge(v, Moments{1, load(m.x + (size_t)row * p.channels + c), 0});
    n[lane][column] = v.n;
    mean[lane][column] = v.mean;
    squares[lane][column] = v.squares;
    __syncthreads();
    for (int k = 1; k < ROWS && lane == 0; k++)
        v = merge(v, Moments{n[k][column], mean[k][column], squares[k][column]});
    if (lane == 0 && c < p.channels) {
        m.scratch[(2 * blockIdx.y) * p.channels + c] = v.mean;
        m.scratch[(2 * blockIdx.y + 1) * p.channels + c] = v.squares;
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

__global__ static void apply_kernel(Problem p, Maps m)
{
    int lane = (int)threadIdx.x / TILE, c = (int)blockIdx.x * TILE + (int)threadIdx.x % TILE;
    int rows = p.images * p.pixels, first = (int)blockIdx.y * SLICE, end = first + SLICE < rows ? first + SLICE : rows;
    if (c >= p.channels)
        return;
    float mean = m.mean[c], scale = m.gamma[c] * m.rstd[c], beta = m.beta[c];
    for (int row = first + lane; row < end; row += ROWS) {
        size_t at = (size_t)row * p.channels + c;
        store(m.y + at, (load(m.x + at) - mean) * scale + beta);
    }
}

static void step(const Problem &p, const Maps &m, cudaStream_t stream)
{
    dim3 grid((unsigned)(p.channels + TILE - 1) / TILE, (unsigned)slices_of(p));
    LAUNCH(partial_kernel, grid, TILE * ROWS, 0, stream, p, m);
    LAUNCH(finish_kernel, (unsigned)(p.channels + 255) / 256, 256, 0, stream, p, m);
    LAUNCH(apply_kernel, grid, TILE * ROWS, 0, stream, p, m);
    leaky_relu(p, m.y, stream);
}

int main()
{
    return tutorial("4 channels last, slices of rows", true, step, 2 * 4 + 4 + 8);
}
