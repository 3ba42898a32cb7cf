/* augment.cu - random_affine, jitter and gaussian_blur on plain or NHWC pictures.
 *   random_affine  a thread a picture; a few hundred operations in double, so that windows are those of the CPU
 *   jitter         grid a block a picture, block 256: the mean grey by a tree in shared memory, then the pixels
 *                  bound: memory, 8 bytes an element, and 4 more (mostly from L2) where contrast changes
 *   gaussian_blur  block (32, 8) a tile of a plane, with its mirrored border in shared memory; horizontal sums, then
 *                  vertical; grid (tiles across, tiles down, planes up to 65535, then round again)
 *                  bound: memory, 8 bytes an element */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/augment.h"
#include "engine/ops/augment_rule.h"

static __global__ void random_affine_kernel(const float *u, float *m, RandomAffineAttrs a, bool crop, int n,
                                            int64_t B)
{
    int64_t b = CUDA_INDEX;
    if (b >= B)
        return;
    double v[RANDOM_AFFINE_CROP], map[6];
    for (int i = 0; i < n; i++)
        v[i] = u[b * n + i];
    affine_map(&a, crop, v, map);
    for (int i = 0; i < 6; i++)
        m[6 * b + i] = (float)map[i];
}

static void random_affine(KernelCall *k)
{
    const RandomAffineAttrs *a = (const RandomAffineAttrs *)k->attrs;
    int64_t B = k->in[0].shape.dim[0];
    LAUNCH(random_affine_kernel, cuda_grid(B), CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->out[0]), *a,
           !strcmp(a->mode, "crop"), (int)k->in[0].shape.dim[1], B);
}

/* ---------------------------------------------------------------- jitter */
static __device__ inline float jitter_clamp(float v)
{
    return fminf(fmaxf(v, 0.0f), 1.0f);
}

/* f (x + 1) / 2, with half = f / 2. */
static __device__ inline float jitter_bright(float x, float half, bool bright)
{
    float v = fmaf(half, x, half);
    return bright ? jitter_clamp(v) : v;
}

/* x and y may be one buffer: a thread reads the three channels of its pixel before it writes them, and the mean is
 * complete before any is written.  step: from pixel to pixel; channel: from channel to channel. */
static __global__ void jitter_kernel(const float *x, const float *u, float *y, JitterAttrs a, int n, int step,
                                     int channel)
{
    __shared__ float sums[CUDA_BLOCK];
    x += (int64_t)blockIdx.x * n * 3;
    y += (int64_t)blockIdx.x * n * 3;
    u += (int64_t)blockIdx.x * JITTER_UNIFORMS;
    bool bright = u[0] < a.p_brightness, contrast = u[2] < a.p_contrast, grey = u[4] < a.p_grey;
    float half = bright ? (float)(0.5 * jitter_factor(u[1], a.brightness)) : 0.5f, g = 1, shift = 0;
    int64_t c1 = channel, c2 = 2 * c1;
    if (contrast) {
        float sum = 0;
        for (int i = (int)threadIdx.x; i < n; i += CUDA_BLOCK) {
            const float *p = x + (int64_t)i * step;
            sum += GREY_RED * jitter_bright(p[0], half, bright) + GREY_GREEN * jitter_bright(p[c1], half, bright) +
                   GREY_BLUE * jitter_bright(p[c2], half, bright);
        }
        sums[threadIdx.x] = sum;
        __syncthreads();
        for (int width = CUDA_BLOCK / 2; width > 0; width /= 2) {
            if ((int)threadIdx.x < width)
                sums[threadIdx.x] += sums[threadIdx.x + width];
            __syncthreads();
        }
        double factor = jitter_factor(u[3], a.contrast);
        g = (float)factor;
        shift = (float)(1 - factor) * (sums[0] / (float)n);
    }
    bool any = bright || contrast || grey;
    for (int i = (int)threadIdx.x; i < n; i += CUDA_BLOCK) {
        const float *p = x + (int64_t)i * step;
        float *q = y + (int64_t)i * step;
        float red = p[0], green = p[c1], blue = p[c2];
        if (any) {
            red = jitter_bright(red, half, bright);
            green = jitter_bright(green, half, bright);
            blue = jitter_bright(blue, half, bright);
            if (contrast) {
                red = jitter_clamp(fmaf(g, red, shift));
                green = jitter_clamp(fmaf(g, green, shift));
                blue = jitter_clamp(fmaf(g, blue, shift));
            }
            if (grey)
                red = green = blue = GREY_RED * red + GREY_GREEN * green + GREY_BLUE * blue;
            red = 2 * red - 1;
            green = 2 * green - 1;
            blue = 2 * blue - 1;
        }
        q[0] = red;
        q[c1] = green;
        q[c2] = blue;
    }
}

static void jitter(KernelCall *k)
{
    const int64_t *d = k->in[0].shape.dim;
    int n = (int)(d[2] * d[3]);
    bool nhwc = k->in[0].format == NHWC;
    LAUNCH(jitter_kernel, (unsigned)d[0], CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]),
           FLOATS(k->out[0]), *(const JitterAttrs *)k->attrs, n, nhwc ? 3 : 1, nhwc ? 1 : n);
}

/* ---------------------------------------------------------------- blur */
enum { TILE_W = 32, TILE_H = 8 };

struct BlurMap {
    int64_t B, C;
    int H, W;
    bool nhwc;
    GaussianBlurAttrs a;
};

static __global__ void blur_kernel(const float *x, const float *u, float *y, BlurMap m)
{
    SHARED_DYN(float, shared);
    __shared__ float w[BLUR_MAX];
    int size = m.a.size, r = size / 2, wide = TILE_W + 2 * r, high = TILE_H + 2 * r;
    float *tile = shared, *across = shared + wide * high;          /* (high, wide) and (high, TILE_W) */
    int thread = (int)(threadIdx.y * TILE_W + threadIdx.x);
    int left = (int)blockIdx.x * TILE_W, top = (int)blockIdx.y * TILE_H;
    int ix = left + (int)threadIdx.x, iy = top + (int)threadIdx.y;
    int64_t step = m.nhwc ? m.C : 1, area = (int64_t)m.H * m.W;
    for (int64_t plane = blockIdx.z; plane < m.B * m.C; plane += gridDim.z) {
        int64_t b = plane / m.C, c = plane % m.C;
        int64_t base = m.nhwc ? b * m.C * area + c : plane * area, at = base + ((int64_t)iy * m.W + ix) * step;
        bool here = ix < m.W && iy < m.H;
        if (!(u[2 * b] < m.a.p)) {                                 /* the same for the whole block */
            if (here)
                y[at] = x[at];
            continue;
        }
        float sigma = m.a.sigma_low + (m.a.sigma_high - m.a.sigma_low) * u[2 * b + 1];
        if (thread < size)
            w[thread] = expf(-0.5f * (float)((thread - r) * (thread - r)) / (sigma * sigma));
        for (int i = thread; i < wide * high; i += TILE_W * TILE_H) {
            /* Beyond what results of this plane need, tiles at the lower right read their last pixel again. */
            int row = top + i / wide - r, column = left + i % wide - r;
            row = blur_reflect(row < m.H + r ? row : m.H - 1, m.H);
            column = blur_reflect(column < m.W + r ? column : m.W - 1, m.W);
            tile[i] = x[base + ((int64_t)row * m.W + column) * step];
        }
        __syncthreads();
        float total = 0;
        for (int j = 0; j < size; j++)
            total += w[j];
        for (int i = thread; i < high * TILE_W; i += TILE_W * TILE_H) {
            const float *p = tile + i / TILE_W * wide + i % TILE_W;
            float sum = 0;
            for (int j = 0; j < size; j++)
                sum += w[j] * p[j];
            across[i] = sum;
        }
        __syncthreads();
        float sum = 0;
        for (int j = 0; j < size; j++)
            sum += w[j] * across[((int)threadIdx.y + j) * TILE_W + (int)threadIdx.x];
        if (here)
            y[at] = sum / (total * total);
        __syncthreads();                                           /* before the next plane fills the tile */
    }
}

static void gaussian_blur(KernelCall *k)
{
    const int64_t *d = k->in[0].shape.dim;
    BlurMap m = {d[0], d[1], (int)d[2], (int)d[3], k->in[0].format == NHWC, *(const GaussianBlurAttrs *)k->attrs};
    int r = m.a.size / 2, high = TILE_H + 2 * r;
    int64_t planes = m.B * m.C;
    dim3 grid((m.W + TILE_W - 1) / TILE_W, (m.H + TILE_H - 1) / TILE_H, planes < 65535 ? (unsigned)planes : 65535);
    LAUNCH(blur_kernel, grid, dim3(TILE_W, TILE_H), (size_t)(high * (TILE_W + 2 * r) + high * TILE_W) * sizeof(float),
           cuda_stream(k), FLOATS(k->in[0]), FLOATS(k->in[1]), FLOATS(k->out[0]), m);
}

KERNEL(random_affine, cuda) = {.run = random_affine};
KERNEL(jitter, cuda) = {.run = jitter, .formats = formats_same, .inplace = inplace_first};
KERNEL(gaussian_blur, cuda) = {.run = gaussian_blur, .formats = formats_same};
