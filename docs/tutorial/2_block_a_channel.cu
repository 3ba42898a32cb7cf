/* Step 2: one block a channel.  24 bytes an element, read side by side by 256 threads a channel. */
#include "docs/tutorial/tutorial.h"

enum { THREADS = 256 };

/* The sum of v over the block, for every thread: halves are added to halves in shared memory. */
__device__ static float block_sum(float v)
{
    __shared__ float sums[THREADS];
    sums[threadIdx.x] = v;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half)
            sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    __syncthreads();
    float total = sums[0];
    __syncthreads();   /* before the next call writes */
    return total;
}

__global__ static void batch_norm_kernel(Problem p, Maps m)
{
    int c = (int)blockIdx.x;
    float n = (float)p.images * (float)p.pixels, sum = 0, squares = 0;
    for (int b = 0; b < p.images; b++)
        for (int i = (int)threadIdx.x; i < p.pixels; i += THREADS)
            sum += load(m.x + ((size_t)b * p.channels + c) * p.pixels + i);
    float mean = block_sum(sum) / n;
    for (int b = 0; b < p.images; b++)
        for (int i = (int)threadIdx.x; i < p.pixels; i += THREADS) {
            float d = load(m.x + ((size_t)b * p.channels + c) * p.pixels + i) - mean;
            squares += d * d;
        }
    float scale = m.gamma[c] / sqrtf(block_sum(squares) / n + p.eps);
    for (int b = 0; b < p.images; b++)
        for (int i = (int)threadIdx.x; i < p.pixels; i += THREADS) {
            size_t at = ((size_t)b * p.channels + c) * p.pixels + i;
            store(m.y + at, (load(m.x + at) - mean) * scale + m.beta[c]);
        }
}

static void step(const Problem &p, const Maps &m, cudaStream_t stream)
{
    LAUNCH(batch_norm_kernel, (unsigned)p.channels, THREADS, 0, stream, p, m);
    leaky_relu(p, m.y, stream);
}

int main()
{
    return tutorial("2 one block a channel", false, step, 3 * 4 + 4 + 8);
}
