/* matmul.cu - the product is the device maker's (vendor.h); the bias is added behind it.
 *   launch  bias: a thread an element of y, 256 a block
 *   bound   bias: memory, 8 bytes an element of y */
#include "kernels/cuda/cu.h"
#include "kernels/cuda/cuda.h"

#include "engine/ops/matmul.h"
#include "kernels/cuda/vendor.h"

__global__ void matmul_bias_kernel(float *y, const float *b, int64_t columns, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] += b[i % columns];
}

static int prepare(KernelCall *k)
{
    MatmulShape s = matmul_shape((const MatmulAttrs *)k->attrs, k->in[0].shape, k->in[1].shape);
    if (s.m > INT32_MAX || s.n > INT32_MAX || s.k > INT32_MAX)
        return fail("%s: a size is larger than 2^31", k->name);
    return vendor_gemm_prepare() ? fail_in("%s", k->name) : 0;
}

static void matmul(KernelCall *k)
{
    const MatmulAttrs *a = (const MatmulAttrs *)k->attrs;
    MatmulShape s = matmul_shape(a, k->in[0].shape, k->in[1].shape);
    VendorGemm g = {(int)s.m, (int)s.n, (int)s.k, a->transpose_x, a->transpose_w, k->precision == PRECISION_TF32};
    float *y = FLOATS(k->out[0]);
    if (vendor_gemm(cuda_stream(k), &g, FLOATS(k->in[0]), FLOATS(k->in[1]), y))
        die("%s: %s", k->name, error_text());
    if (k->nin > 2 && tensor_here(&k->in[2]))
        LAUNCH(matmul_bias_kernel, cuda_grid(s.m * s.n), CUDA_BLOCK, 0, cuda_stream(k), y, FLOATS(k->in[2]), s.n,
               s.m * s.n);
}

KERNEL(matmul, cuda) = {.run = matmul, .prepare = prepare};
