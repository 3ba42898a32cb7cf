// fake_vendor.cpp - kernels/cuda/vendor.h where CUDA is emulated: plain loops, submitted as the libraries submit
// their kernels.  Each checks at the call what the libraries would refuse, and clears the workspace it asked for with
// NaN, so that a caller that keeps something there is found out.
#include <string.h>

#include <stdio.h>
#include <stdlib.h>

#include <cuda_bf16.h>

#include "fakecuda.h"
#include "kernels/cuda/vendor.h"

struct VendorPlan {
    VendorConv conv;
    int algorithm;
    bool bare;
};

namespace {

enum { WORKSPACE = 1024 };

// Offset of pixel (row, column) of channel c, image or filter b, in a tensor of these sizes.
int64_t place(bool nhwc, int64_t b, int64_t c, int64_t row, int64_t column, int64_t channels, int64_t height,
              int64_t width)
{
    return nhwc ? ((b * height + row) * width + column) * channels + c
                : ((b * channels + c) * height + row) * width + column;
}

// Calls f(offset in x, in w, in y) for every triple of the convolution.
template <typename F> void triples(const VendorConv &s, F f)
{
    int64_t group_c = s.channels / s.groups, group_f = s.filters / s.groups;
    for (int64_t b = 0; b < s.batch; b++)
        for (int64_t o = 0; o < s.filters; o++)
            for (int64_t oy = 0; oy < s.out_height; oy++)
                for (int64_t ox = 0; ox < s.out_width; ox++)
                    for (int64_t i = 0; i < group_c; i++)
                        for (int64_t ky = 0; ky < s.kernel_h; ky++)
                            for (int64_t kx = 0; kx < s.kernel_w; kx++) {
                                int64_t y = oy * s.stride - s.padding_h + ky * s.dilation;
                                int64_t x = ox * s.stride - s.padding_w + kx * s.dilation;
                                if (y < 0 || y >= s.height || x < 0 || x >= s.width)
                                    continue;
                                f(place(s.nhwc, b, o / group_f * group_c + i, y, x, s.channels, s.height, s.width),
                                  place(s.nhwc, o, i, ky, kx, group_c, s.kernel_h, s.kernel_w),
                                  place(s.nhwc, b, o, oy, ox, s.filters, s.out_height, s.out_width));
                            }
}

int64_t windows(int64_t size, int64_t kernel, int64_t padding, const VendorConv &s)
{
    return (size + 2 * padding - s.dilation * (kernel - 1) - 1) / s.stride + 1;
}

// A copy of n numbers as floats; free after use.
float *floats(const void *from, int64_t n, bool half)
{
    float *to = static_cast<float *>(must_zalloc(sizeof(float) * (size_t)(n + 1)));
    for (int64_t i = 0; i < n; i++)
        to[i] = half ? (float)static_cast<const __nv_bfloat16 *>(from)[i] : static_cast<const float *>(from)[i];
    return to;
}

}  // namespace

int vendor_conv_check(const VendorConv *c)
{
    if (windows(c->height, c->kernel_h, c->padding_h, *c) != c->out_height ||
        windows(c->width, c->kernel_w, c->padding_w, *c) != c->out_width || c->groups < 1 ||
        c->channels % c->groups || c->filters % c->groups)
        return fail("fake cuDNN: the sizes of a convolution do not fit");
    return 0;
}

VendorPlan *vendor_conv_create(const VendorConv *c, const char *tuning, char *chosen)
{
    if (vendor_conv_check(c))
        return nullptr;
    // What cuDNN's tensor cores and our formats agree on.
    int lanes = c->precision == PRECISION_BF16 ? 8 : c->precision == PRECISION_TF32 ? 4 : 1;
    if (c->nhwc && (c->channels % lanes || c->filters % lanes)) {
        fail("fake cuDNN: channels are not whole groups of %d", lanes);
        return nullptr;
    }
    if (tuning && !(tuning[0] >= '0' && tuning[0] <= '7' && !tuning[1])) {
        fail("fake cuDNN: no algorithm %s", tuning);
        return nullptr;
    }
    snprintf(chosen, 32, "%s", tuning ? tuning : "0");
    VendorPlan *p = static_cast<VendorPlan *>(must_zalloc(sizeof *p));
    p->conv = *c;
    p->algorithm = tuning ? tuning[0] - '0' : 0;
    return p;
}

void vendor_conv_free(VendorPlan *p)
{
    free(p);
}

size_t vendor_conv_workspace(const VendorPlan *)
{
    return WORKSPACE;
}

// As cuDNN: without ReLU one algorithm; and, so that refusals are met, not with groups.
bool vendor_conv_offers(const VendorPlan *p, bool relu)
{
    return p->conv.direction == VENDOR_FORWARD && !p->bare && (relu || p->algorithm == 1);
}

int vendor_conv_run(cudaStream_t stream, VendorPlan *p, const void *a, const void *b, void *result, void *workspace,
                    const VendorEpilogue *epilogue)
{
    const VendorConv s = p->conv;
    int64_t nx = (int64_t)s.batch * s.channels * s.height * s.width;
    int64_t ny = (int64_t)s.batch * s.filters * s.out_height * s.out_width;
    int64_t nw = (int64_t)s.filters * (s.channels / s.groups) * s.kernel_h * s.kernel_w;
    VendorDirection d = s.direction;
    int64_t na = d == VENDOR_BACKWARD_DATA ? ny : nx, nb = d == VENDOR_BACKWARD_WEIGHTS ? ny : nw;
    int64_t nr = d == VENDOR_FORWARD ? ny : d == VENDOR_BACKWARD_DATA ? nx : nw;
    bool half = s.precision == PRECISION_BF16;
    size_t size = half ? 2 : 4;
    if (!fakecuda_is_device(a, (size_t)na * size) || !fakecuda_is_device(b, (size_t)nb * size) ||
        !fakecuda_is_device(result, (size_t)nr * size) || !fakecuda_is_device(workspace, WORKSPACE))
        return fail("fake cuDNN: an operand or the workspace is not, or not wholly, in device memory");
    bool refused = epilogue && s.groups > 1;
    VendorEpilogue e = epilogue && !refused ? *epilogue : VendorEpilogue{};
    if (epilogue && (d != VENDOR_FORWARD || !vendor_conv_offers(p, epilogue->relu)))
        return fail("fake cuDNN: an epilogue that is not offered");
    if ((e.bias && !fakecuda_is_device(e.bias, (size_t)s.filters * size)) ||
        (e.added && (!fakecuda_is_device(e.added, (size_t)nr * size) || e.added == result)) ||
        (epilogue && !epilogue->bias))
        return fail("fake cuDNN: an operand of the epilogue is not, or not wholly, in device memory");
    p->bare = p->bare || refused;
    cudaError_t bad = fakecuda_submit(stream, "convolution", [=] {
        memset(workspace, 0xff, WORKSPACE);
        float *va = floats(a, na, half), *vb = floats(b, nb, half);
        double *sum = static_cast<double *>(must_zalloc(sizeof(double) * (size_t)nr));
        if (d == VENDOR_FORWARD)
            triples(s, [&](int64_t x, int64_t w, int64_t y) { sum[y] += (double)va[x] * vb[w]; });
        else if (d == VENDOR_BACKWARD_DATA)
            triples(s, [&](int64_t x, int64_t w, int64_t y) { sum[x] += (double)va[y] * vb[w]; });
        else
            triples(s, [&](int64_t x, int64_t w, int64_t y) { sum[w] += (double)va[x] * vb[y]; });
        float *bias = e.bias ? floats(e.bias, s.filters, half) : nullptr;
        float *added = e.added ? floats(e.added, nr, half) : nullptr;
        int64_t plane = (int64_t)s.out_height * s.out_width;
        for (int64_t i = 0; i < nr; i++) {
            sum[i] += (bias ? bias[s.nhwc ? i % s.filters : i / plane % s.filters] : 0) + (added ? added[i] : 0);
            sum[i] = e.relu && sum[i] <= 0 ? 0 : sum[i];
        }
        free(bias);
        free(added);
        for (int64_t i = 0; i < nr; i++)
            if (half)
                static_cast<__nv_bfloat16 *>(result)[i] = __nv_bfloat16((float)sum[i]);
            else
                static_cast<float *>(result)[i] = (float)sum[i];
        free(sum);
        free(va);
        free(vb);
    });
    return bad ? fail("fake cuDNN: %s", cudaGetErrorString(bad)) : refused ? VENDOR_BARE : 0;
}

int vendor_gemm_prepare(void)
{
    return 0;
}

int vendor_gemm(cudaStream_t stream, const VendorGemm *gemm, const void *a, const void *b, float *c)
{
    const VendorGemm g = *gemm;
    size_t m = (size_t)g.m, n = (size_t)g.n, k = (size_t)g.k;
    bool half = g.precision == PRECISION_BF16;
    size_t size = half ? 2 : 4;
    if (!fakecuda_is_device(a, m * k * size) || !fakecuda_is_device(b, k * n * size) || !fakecuda_is_device(c, m * n * 4))
        return fail("fake cuBLAS: an operand is not, or not wholly, in device memory");
    cudaError_t bad = fakecuda_submit(stream, "matrix product", [=] {
        float *va = floats(a, (int64_t)(m * k), half), *vb = floats(b, (int64_t)(k * n), half);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t p = 0; p < k; p++)
                    sum += (double)(g.transpose_a ? va[p * m + i] : va[i * k + p]) *
                           (g.transpose_b ? vb[j * k + p] : vb[p * n + j]);
                c[i * n + j] = (float)sum;
            }
        free(va);
        free(vb);
    });
    return bad ? fail("fake cuBLAS: %s", cudaGetErrorString(bad)) : 0;
}
