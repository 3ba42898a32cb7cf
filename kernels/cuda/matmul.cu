/* matmul.cu - the product is the device maker's (vendor.h); the bias is added behind it.
 * Operands and result are float.  Where products are asked for in bfloat16, they are made in TF32 (algorithm tf32)
 * unless both sides are long: rounding the operands first costs 6 bytes for each of their m k + k n numbers, and that
 * many more products a second than TF32's pay for it from m n / (m + n) of about 1,000 on (algorithm bf16).
 *   launch  bias: a thread an element of y, 256 a block; rounding: map.h's, 8 operands a thread
 *   bound   bias: memory, 8 bytes an element of y */
#include "kernels/cuda/vector.h"

#include <string.h>

#include "engine/ops/matmul.h"
#include "kernels/cuda/vendor.h"

namespace {

constexpr double LONG_SIDES = 1024;

__global__ void matmul_bias_kernel(float *y, const float *b, int64_t columns, int64_t n)
{
    int64_t i = CUDA_INDEX;
    if (i < n)
        y[i] += b[i % columns];
}

template <int V>
__global__ void matmul_round_kernel(bf16 *to, const float *from, int64_t n)
{
    int64_t i = CUDA_INDEX * V;
    if (i + V <= n) {
        float v[V];
        load(from + i, v);
        store(to + i, v);
        return;
    }
    for (; i < n; i++)
        store_one(to + i, from[i]);
}

void round_all(cudaStream_t stream, bf16 *to, const float *from, int64_t n)
{
    constexpr int V = LANES_OF<bf16>;
    if (vectors_fit<V>(to) && vectors_fit<V>(from))
        LAUNCH(matmul_round_kernel<V>, cuda_grid((n + V - 1) / V), CUDA_BLOCK, 0, stream, to, from, n);
    else
        LAUNCH(matmul_round_kernel<1>, cuda_grid(n), CUDA_BLOCK, 0, stream, to, from, n);
}

MatmulShape shape_of(const KernelCall *k)
{
    return matmul_shape((const MatmulAttrs *)k->attrs, k->in[0].shape, k->in[1].shape);
}

bool rounds(const KernelCall *k)
{
    return !strcmp(k->chosen, "bf16");
}

int prepare(KernelCall *k)
{
    MatmulShape s = shape_of(k);
    if (s.m > INT32_MAX || s.n > INT32_MAX || s.k > INT32_MAX)
        return fail("%s: a size is larger than 2^31", k->name);
    if (k->precision == PRECISION_BF16) {
        bool pays = (double)s.m * (double)s.n >= LONG_SIDES * (double)(s.m + s.n);
        if (k->tuning ? !strcmp(k->tuning, "bf16") : pays) {
            strcpy(k->chosen, "bf16");
            k->workspace_bytes = (size_t)(s.m * s.k + s.k * s.n) * sizeof(bf16) + VECTOR_BYTES;
        } else {
            strcpy(k->chosen, "tf32");
        }
    }
    return vendor_gemm_prepare() ? fail_in("%s", k->name) : 0;
}

void matmul(KernelCall *k)
{
    const MatmulAttrs *a = (const MatmulAttrs *)k->attrs;
    MatmulShape s = shape_of(k);
    VendorGemm g = {(int)s.m, (int)s.n, (int)s.k, a->transpose_x, a->transpose_w, k->precision};
    const void *x = k->in[0].data, *w = k->in[1].data;
    float *y = FLOATS(k->out[0]);
    if (rounds(k)) {
        bf16 *x_rounded = (bf16 *)k->workspace, *w_rounded = x_rounded + (s.m * s.k + 7) / 8 * 8;
        round_all(cuda_stream(k), x_rounded, FLOATS(k->in[0]), s.m * s.k);
        round_all(cuda_stream(k), w_rounded, FLOATS(k->in[1]), s.k * s.n);
        x = x_rounded;
        w = w_rounded;
    } else if (g.precision == PRECISION_BF16) {
        g.precision = PRECISION_TF32;
    }
    if (vendor_gemm(cuda_stream(k), &g, x, w, y))
        die("%s (%s): %s", k->op->name, k->name, error_text());
    if (k->nin > 2 && tensor_here(&k->in[2]))
        LAUNCH(matmul_bias_kernel, cuda_grid(s.m * s.n), CUDA_BLOCK, 0, cuda_stream(k), y, FLOATS(k->in[2]), s.n,
               s.m * s.n);
}

}   // namespace

KERNEL(matmul, cuda) = {.run = matmul, .prepare = prepare, .algorithms = "tf32 bf16"};
