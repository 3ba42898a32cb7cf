/* 602_resize.c - cropping and antialiased resampling against the definition. */
#include <math.h>

#include "data/image.h"

#include "tests/pictures.h"

static Image random_image(int width, int height, uint64_t key)
{
    return (Image){width, height, noise((size_t)(width * height) * 3, key).data};
}

TEST(known_weights)
{
    uint8_t row[12] = {0, 0, 0, 70, 0, 10, 140, 0, 20, 210, 255, 30};
    Image in = {4, 1, row}, out;
    image_resize(&in, 2, 1, &out);   /* weights 6 6 2 0 and 0 2 6 6 of 14 */
    const uint8_t half[6] = {50, 0, 7, 160, 109, 23};
    ck_assert_mem_eq(out.rgb, half, 6);
    image_free(&out);

    uint8_t two[6] = {0, 100, 255, 100, 0, 255};
    in = (Image){2, 1, two};
    image_resize(&in, 4, 1, &out);   /* bilinear: 1, 3/4, 1/4, 0 */
    const uint8_t four[12] = {0, 100, 255, 25, 75, 255, 75, 25, 255, 100, 0, 255};
    ck_assert_mem_eq(out.rgb, four, 12);
    image_free(&out);
}

TEST(same_size_and_constant_stay)
{
    Image in = random_image(19, 23, 1), out;
    image_resize(&in, 19, 23, &out);
    ck_assert_mem_eq(out.rgb, in.rgb, 19 * 23 * 3);
    image_free(&out);
    for (int value = 0; value < 256; value += 51) {
        memset(in.rgb, value, 19 * 23 * 3);
        image_resize(&in, 7, 41, &out);
        for (int i = 0; i < 7 * 41 * 3; i++)
            ck_assert_int_eq(out.rgb[i], value);
        image_free(&out);
    }
    image_free(&in);
}

static double triangle(int from, int to, int i, int j)
{
    double scale = (double)from / to, reach = scale > 1 ? scale : 1;
    double w = 1 - fabs(j + 0.5 - (i + 0.5) * scale) / reach;
    return w > 0 ? w : 0;
}

TEST(against_the_definition)
{
    static const int sizes[][4] = {{37, 29, 8, 8}, {8, 8, 37, 29}, {160, 160, 64, 64}, {50, 3, 3, 50}, {1, 1, 5, 4},
                                   {33, 17, 1, 1}, {128, 128, 127, 129}, {20, 900, 10, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int w = sizes[s][0], h = sizes[s][1], tw = sizes[s][2], th = sizes[s][3];
        Image in = random_image(w, h, s), out;
        image_resize(&in, tw, th, &out);
        ck_assert_int_eq(out.width, tw);
        ck_assert_int_eq(out.height, th);
        for (int i = 0; i < tw * th * 3; i++) {
            double sum = 0, weight = 0;
            for (int y = 0; y < h; y++) {
                double wy = triangle(h, th, i / 3 / tw, y);
                for (int x = 0; wy > 0 && x < w; x++) {
                    double both = wy * triangle(w, tw, i / 3 % tw, x);
                    sum += both * in.rgb[(y * w + x) * 3 + i % 3];
                    weight += both;
                }
            }
            if (fabs(out.rgb[i] - sum / weight) > 0.51)
                ck_abort_msg("%dx%d to %dx%d, byte %d: %d instead of %g", w, h, tw, th, i, out.rgb[i], sum / weight);
        }
        image_free(&in);
        image_free(&out);
    }
}

/* Stripes of one pixel become grey, not stripes. */
TEST(no_aliases)
{
    Image in = random_image(64, 64, 1), out;
    for (int i = 0; i < 64 * 64 * 3; i++)
        in.rgb[i] = (i / 3) % 2 ? 255 : 0;
    image_resize(&in, 9, 9, &out);
    for (int i = 0; i < 9 * 9 * 3; i++)
        ck_assert_int_le(abs(out.rgb[i] - 127), 12);
    image_free(&in);
    image_free(&out);
}

static void mirror(Image *image)
{
    for (int y = 0; y < image->height; y++)
        for (int x = 0; x < image->width / 2; x++)
            for (int c = 0; c < 3; c++) {
                uint8_t *a = image->rgb + (y * image->width + x) * 3 + c, keep = *a;
                uint8_t *b = image->rgb + (y * image->width + image->width - 1 - x) * 3 + c;
                *a = *b;
                *b = keep;
            }
}

TEST(mirrored_in_is_mirrored_out)
{
    Image in = random_image(45, 31, 2), out, twin;
    image_resize(&in, 16, 13, &out);
    mirror(&in);
    image_resize(&in, 16, 13, &twin);
    mirror(&twin);
    ck_assert_mem_eq(out.rgb, twin.rgb, 16 * 13 * 3);
    image_free(&in);
    image_free(&out);
    image_free(&twin);
}

TEST(square_in_the_middle)
{
    Image in = random_image(10, 5, 3), out;
    image_crop_square(&in, &out);
    ck_assert_int_eq(out.width, 5);
    ck_assert_int_eq(out.height, 5);
    for (int y = 0; y < 5; y++)
        ck_assert_mem_eq(out.rgb + y * 15, in.rgb + (y * 10 + 2) * 3, 15);
    image_free(&out);
    in.width = 5;
    in.height = 10;
    image_crop_square(&in, &out);
    ck_assert_mem_eq(out.rgb, in.rgb + 2 * 15, 75);
    image_free(&in);
    image_free(&out);
}

TEST_MAIN("resize", known_weights, same_size_and_constant_stay, against_the_definition, no_aliases,
          mirrored_in_is_mirrored_out, square_in_the_middle)
