/* reconstruction_loss.cu - all pictures in one launch, whose table is a kernel parameter.
 *   in      target (B, C, H, W), pictures (B, C, h, w), each plain or channels last
 *   launch  256 threads a block of one picture; 1 to 32 threads an element, more where more of the target lies under it
 *   bound   memory: the target once a picture, which the caches hold, and the pictures; the loss adds a number a block
 *           in a second launch of one block, always in the same order */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/rows.h"

#include "engine/ops/reconstruction_loss.h"
#include "engine/ops/resize_rule.h"

/* A picture, or the target: strides in elements. */
struct Picture {
    int h, w;
    int64_t sample, channel, row, column;
};

struct PictureTable {
    int n, channels;
    const float *target;
    Picture from;
    unsigned first_block[RECONSTRUCTION_MOST + 1];
    int64_t count[RECONSTRUCTION_MOST];
    int lanes[RECONSTRUCTION_MOST];       /* threads an element, a power of two */
    double weight[RECONSTRUCTION_MOST];
    Picture picture[RECONSTRUCTION_MOST];
    const float *made[RECONSTRUCTION_MOST];
    float *d[RECONSTRUCTION_MOST];
};

/* made - area(target) of the element that this thread's group has in picture i, and where it lies; 0 beyond the last.
 * The difference is the same in all threads of the group. */
static __device__ inline float difference(const PictureTable &t, int i, int64_t *at)
{
    int lanes = t.lanes[i];
    int64_t e = ((int64_t)(blockIdx.x - t.first_block[i]) * blockDim.x + threadIdx.x) / lanes;
    const Picture &p = t.picture[i];
    bool here = e < t.count[i];
    int64_t plane = here ? e / p.w / p.h : 0, b = plane / t.channels, c = plane % t.channels;
    int x = here ? (int)(e % p.w) : 0, y = here ? (int)(e / p.w % p.h) : 0;
    ResizeRange ry = resize_reads(RESIZE_AREA, y, t.from.h, p.h), rx = resize_reads(RESIZE_AREA, x, t.from.w, p.w);
    const float *from = t.target + b * t.from.sample + c * t.from.channel;
    int columns = rx.end - rx.first, area = columns * (ry.end - ry.first);
    float sum = 0;
    for (int k = (int)threadIdx.x % lanes; k < area; k += lanes)
        sum += from[(ry.first + k / columns) * t.from.row + (rx.first + k % columns) * t.from.column];
    for (int step = lanes / 2; step > 0; step /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    *at = here ? b * p.sample + c * p.channel + y * p.row + x * p.column : -1;
    return here ? t.made[i][*at] - sum / (float)area : 0.0f;
}

static __device__ inline int picture_of(const PictureTable &t)
{
    int i = 0;
    while (blockIdx.x >= t.first_block[i + 1])
        i++;
    return i;
}

__global__ void reconstruction_loss_kernel(double *partial, PictureTable t)
{
    int i = picture_of(t);
    int64_t at;
    double d = difference(t, i, &at);
    double sum = block_sum(threadIdx.x % t.lanes[i] == 0 ? d * d : 0.0);
    if (threadIdx.x == 0)
        partial[blockIdx.x] = t.weight[i] * sum;
}

__global__ void reconstruction_loss_finish_kernel(const double *partial, float *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += CUDA_BLOCK)
        sum += partial[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        *y = (float)sum;
}

__global__ void reconstruction_loss_grad_kernel(const float *dy, PictureTable t)
{
    int i = picture_of(t);
    int64_t at;
    float d = difference(t, i, &at);
    if (at >= 0 && threadIdx.x % t.lanes[i] == 0)
        t.d[i][at] = (float)(2 * t.weight[i] * *dy) * d;
}

static Picture picture(const Tensor *x)
{
    const int64_t *d = x->shape.dim;
    bool last = x->format == NHWC;
    Picture p = {(int)d[2], (int)d[3], d[1] * d[2] * d[3], last ? 1 : d[2] * d[3], last ? d[3] * d[1] : d[3],
                 last ? d[1] : 1};
    return p;
}

/* Pictures begin at operand `first`; gradients, if there are any, are the results. */
static PictureTable table_of(const KernelCall *k, int first)
{
    PictureTable t = {};
    t.n = k->nin - first;
    t.channels = (int)k->in[0].shape.dim[1];
    t.target = FLOATS(k->in[0]);
    t.from = picture(&k->in[0]);
    for (int i = 0; i < t.n; i++) {
        const Tensor *made = &k->in[first + i];
        Picture p = t.picture[i] = picture(made);
        int64_t area = ((int64_t)t.from.h / p.h) * (t.from.w / p.w);
        t.lanes[i] = 1;
        while (t.lanes[i] < WARP && area > 4 * t.lanes[i])
            t.lanes[i] *= 2;
        t.count[i] = shape_count(made->shape);
        t.first_block[i + 1] = t.first_block[i] + cuda_grid(t.count[i] * t.lanes[i]);
        t.weight[i] = reconstruction_weight((const ReconstructionLossAttrs *)k->attrs, made->shape, t.n);
        t.made[i] = FLOATS(*made);
        t.d[i] = first == 2 ? FLOATS(k->out[i]) : NULL;
    }
    return t;
}

static int prepare(KernelCall *k)
{
    PictureTable t = table_of(k, 1);
    k->workspace_bytes = t.first_block[t.n] * sizeof(double);
    return 0;
}

static void reconstruction_loss(KernelCall *k)
{
    PictureTable t = table_of(k, 1);
    double *partial = (double *)k->workspace;
    LAUNCH(reconstruction_loss_kernel, t.first_block[t.n], CUDA_BLOCK, 0, cuda_stream(k), partial, t);
    LAUNCH(reconstruction_loss_finish_kernel, 1, CUDA_BLOCK, 0, cuda_stream(k), partial, FLOATS(k->out[0]),
           (int64_t)t.first_block[t.n]);
}

static void reconstruction_loss_grad(KernelCall *k)
{
    PictureTable t = table_of(k, 2);
    LAUNCH(reconstruction_loss_grad_kernel, t.first_block[t.n], CUDA_BLOCK, 0, cuda_stream(k), FLOATS(k->in[1]), t);
}

/* Everything as it comes; each gradient like its picture. */
static void formats(FormatChoice *f)
{
    int first = f->nin - f->nout;
    for (int j = 0; j < f->nout && first == 2; j++)
        f->out[j] = f->in[first + j];
}

/* Each gradient over its picture. */
static int inplace(const KernelCall *, int result)
{
    return 2 + result;
}

KERNEL(reconstruction_loss, cuda) = {.run = reconstruction_loss, .prepare = prepare, .formats = formats};
KERNEL(reconstruction_loss_grad, cuda) = {.run = reconstruction_loss_grad, .formats = formats, .inplace = inplace};
