/* Step 1: the loop of kernels/reference, one thread a channel.  24 bytes an element. */
#include "docs/tutorial/tutorial.h"

__global__ static void batch_norm_kernel(Problem p, Maps m)
{
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= p.channels)
        return;
    float n = (float)p.images * (float)p.pixels, sum = 0, squares = 0;
    for (int b = 0; b < p.images; b++)
        for (int i = 0; i < p.pixels; i++)
            sum += load(m.x + ((size_t)b * p.channels + c) * p.pixels + i);
    float mean = sum / n;
    for (int b = 0; b < p.images; b++)
        for (int i = 0; i < p.pixels; i++) {
            float d = load(m.x + ((size_t)b * p.channels + c) * p.pixels + i) - mean;
            squares += d * d;
        }
    float scale = m.gamma[c] / sqrtf(squares / n + p.eps);
    for (int b = 0; b < p.images; b++)
        for (int i = 0; i < p.pixels; i++) {
            size_t at = ((size_t)b * p.channels + c) * p.pixels + i;
            store(m.y + at, (load(m.x + at) - mean) * scale + m.beta[c]);
        }
}

static void step(const Problem &p, const Maps &m, cudaStream_t stream)
{
    LAUNCH(batch_norm_kernel, (unsigned)(p.channels + 31) / 32, 32, 0, stream, p, m);
    leaky_relu(p, m.y, stream);
}

int main()
{
    return tutorial("1 one thread a channel", false, step, 3 * 4 + 4 + 8);
}
