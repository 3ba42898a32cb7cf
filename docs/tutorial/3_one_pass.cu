/* Step 3: mean and variance in one pass over x.  20 bytes an element. */
#include "docs/tutorial/merge.h"
#include "docs/tutorial/tutorial.h"

enum { THREADS = 256 };

__device__ static Moments block_merge(Moments v)
{
    __shared__ float n[THREADS], mean[THREADS], squares[THREADS];
    n[threadIdx.x] = v.n;
    mean[threadIdx.x] = v.mean;
    squares[threadIdx.x] = v.squares;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) {
            int k = (int)threadIdx.x + half;
            v = merge(v, Moments{n[k], mean[k], squares[k]});
            n[threadIdx.x] = v.n;
            mean[threadIdx.x] = v.mean;
            squares[threadIdx.x] = v.squares;
        }
    }
    __syncthreads();
    return Moments{n[0], mean[0], squares[0]};
}

__global__ static void batch_norm_kernel(Problem p, Maps m)
{
    int c = (int)blockIdx.x;
    Moments v = {0, 0, 0};
    for (int b = 0; b < p.images; b++)
        for (int i = (int)threadIdx.x; i < p.pixels; i += THREADS)
            v = merge(v, Moments{1, load(m.x + ((size_t)b * p.channels + c) * p.pixels + i), 0});
    v = block_merge(v);
    float scale = m.gamma[c] / sqrtf(v.squares / v.n + p.eps);
    for (int b = 0; b < p.images; b++)
        for (int i = (int)threadIdx.x; i < p.pixels; i += THREADS) {
            size_t at = ((size_t)b * p.channels + c) * p.pixels + i;
            store(m.y + at, (load(m.x + at) - v.mean) * scale + m.beta[c]);
        }
}

static void step(const Problem &p, const Maps &m, cudaStream_t stream)
{
    LAUNCH(batch_norm_kernel, (unsigned)p.channels, THREADS, 0, stream, p, m);
    leaky_relu(p, m.y, stream);
}

int main()
{
    return tutorial("3 statistics in one pass", false, step, 2 * 4 + 4 + 8);
}
