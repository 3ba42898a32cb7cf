/* 222_vendor.c - what can be known of cuDNN's and cuBLAS's side without a GPU: that the sizes, paddings, strides,
 * groups and layouts that we hand cuDNN describe the convolution that we mean.  With the library of an nvcc build cuDNN
 * itself answers; under emulation its fake does. */
#include <dlfcn.h>

#include "engine/engine.h"
#include "tests/test.h"

/* VendorConv of kernels/cuda/vendor.h, which needs CUDA's headers. */
typedef struct Conv {
    int batch, channels, height, width, filters, out_height, out_width, kernel_h, kernel_w;
    int stride, padding_h, padding_w, dilation, groups;
    bool nhwc, deterministic;
    Precision precision;
    int direction;
} Conv;
static int (*describes)(const Conv *);

static bool vendor(void)
{
    describes = (int (*)(const Conv *))dlsym(RTLD_DEFAULT, "vendor_conv_check");
    return describes != NULL;
}

/* Every size of one convolution differs from the others, so that no two can change places unseen. */
static const Conv convs[] = {
    {2, 8, 9, 13, 16, 9, 13, 3, 3, 1, 1, 1, 1, 1, false, true, PRECISION_FP32, 0},
    {2, 8, 11, 14, 16, 5, 7, 4, 3, 2, 1, 1, 1, 1, false, true, PRECISION_FP32, 0},
    {3, 8, 6, 9, 24, 6, 9, 1, 7, 1, 0, 3, 1, 1, false, true, PRECISION_FP32, 0},        /* Inception's 1x7 */
    {3, 8, 9, 6, 24, 9, 6, 7, 1, 1, 3, 0, 1, 1, false, true, PRECISION_FP32, 0},
    {1, 8, 10, 12, 16, 10, 12, 3, 3, 1, 2, 2, 2, 1, false, true, PRECISION_FP32, 0},    /* dilated */
    {2, 24, 8, 5, 48, 8, 5, 3, 3, 1, 1, 1, 1, 3, false, true, PRECISION_FP32, 0},       /* groups */
    {2, 16, 8, 5, 16, 8, 5, 3, 3, 1, 1, 1, 1, 16, false, true, PRECISION_FP32, 0},      /* depthwise */
    {8, 1024, 4, 4, 2048, 1, 1, 4, 4, 1, 0, 0, 1, 1, false, true, PRECISION_FP32, 0},   /* Table 6's last */
    {128, 8, 224, 224, 64, 112, 112, 7, 7, 2, 3, 3, 1, 1, false, true, PRECISION_FP32, 0},
};

TEST(convolutions_are_described_as_meant)
{
    if (!vendor())
        SKIP("this library has no CUDA");
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
        for (int kind = 0; kind < 4; kind++)
            for (int direction = 0; direction < 3; direction++) {
                Conv c = convs[i];
                c.nhwc = kind > 0 && c.groups == 1;
                c.precision = kind == 3 ? PRECISION_BF16 : kind == 2 ? PRECISION_TF32 : PRECISION_FP32;
                c.direction = direction;
                ck_assert_msg(!describes(&c), "convolution %zu, kind %d: %s", i, kind, error_text());
            }
}

/* A test that could not fail would show nothing: each size in turn is one off. */
TEST(wrong_sizes_are_noticed)
{
    if (!vendor())
        SKIP("this library has no CUDA");
    for (int what = 0; what < 7; what++) {
        Conv c = convs[0];
        int *const off[] = {&c.height, &c.width, &c.out_height, &c.out_width, &c.kernel_h, &c.padding_w, &c.stride};
        ++*off[what];
        ck_assert_msg(describes(&c) < 0, "size %d is one off, and nobody minds", what);
        ck_assert_msg(strstr(error_text(), "convolution"), "%s", error_text());
    }
}

TEST_MAIN("vendor", convolutions_are_described_as_meant, wrong_sizes_are_noticed)
