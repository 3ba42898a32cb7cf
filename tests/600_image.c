/* 600_image.c - every kind of picture file is read as its format defines it. */
#include "data/image.h"

#include "tests/pictures.h"

/* Decodes, and hands back the pixels; the test ends if it fails. */
static Image decoded(Bytes file)
{
    Image image;
    MUST(image_decode(file.data, file.size, "test", &image));
    free(file.data);
    return image;
}

static void assert_pixel(const Image *image, int x, int y, const int rgb[3], int tolerance)
{
    const uint8_t *p = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - rgb[c]) > tolerance)
            ck_abort_msg("pixel (%d, %d): %d %d %d instead of %d %d %d", x, y, p[0], p[1], p[2], rgb[0], rgb[1],
                         rgb[2]);
}

/* Sample c of pixel x in a PNG row. */
static unsigned png_sample(const uint8_t *row, int channels, int depth, int x, int c)
{
    int i = x * channels + c;
    if (depth == 16)
        return (unsigned)(row[2 * i] << 8 | row[2 * i + 1]);
    return (unsigned)row[i * depth / 8] >> (8 - depth - i * depth % 8) & ((1u << depth) - 1);
}

static int rounded(double v)
{
    return (int)(v + 0.5);
}

/* What the PNG specification says of pixel x of a row; alpha over white. */
static void png_expected(const PngSpec *s, const uint8_t *row, int x, int rgb[3])
{
    static const int of_type[7] = {1, 0, 3, 1, 2, 0, 4};
    int channels = of_type[s->color], alpha = 255, matches = s->key != NULL;
    unsigned key[3] = {0};
    if (s->key)
        memcpy(key, (unsigned[3]){s->color ? s->key->red : s->key->gray, s->color ? s->key->green : s->key->gray,
                                  s->color ? s->key->blue : s->key->gray}, sizeof key);
    for (int c = 0; c < 3; c++) {
        unsigned v = png_sample(row, channels, s->depth, x, channels < 3 ? 0 : c);
        rgb[c] = s->color == 3 ? s->palette[3 * v + (unsigned)c] : rounded(v * 255.0 / ((1 << s->depth) - 1));
        if (s->color == 3 && s->alphas)
            alpha = (int)v < s->transparent ? s->alphas[v] : 255;
        matches &= v == key[c];
    }
    if (s->color >= 4)
        alpha = rounded(png_sample(row, channels, s->depth, x, channels - 1) * 255.0 / ((1 << s->depth) - 1));
    if (matches)
        alpha = 0;
    for (int c = 0; c < 3; c++)
        rgb[c] = rounded((rgb[c] * alpha + 255.0 * (255 - alpha)) / 255);
}

static void check_png(PngSpec s)
{
    Bytes raw = noise(png_row_bytes(&s) * (size_t)s.height, (uint64_t)(s.color * 100 + s.depth));
    s.rows = raw.data;
    png_color_16 key = {0};
    if (s.transparent < 0) {   /* the key is the colour of some pixel */
        int c = s.color == 2 ? 3 : 1;
        key.gray = key.red = (png_uint_16)png_sample(raw.data, c, s.depth, 3, 0);
        key.green = (png_uint_16)png_sample(raw.data, c, s.depth, 3, c / 2);
        key.blue = (png_uint_16)png_sample(raw.data, c, s.depth, 3, c - 1);
        s.key = &key;
        s.transparent = 0;
    }
    Image image = decoded(png_make(&s));
    ck_assert_int_eq(image.width, s.width);
    ck_assert_int_eq(image.height, s.height);
    for (int y = 0; y < s.height; y++) {
        for (int x = 0; x < s.width; x++) {
            int rgb[3];
            png_expected(&s, raw.data + (size_t)y * png_row_bytes(&s), x, rgb);
            assert_pixel(&image, x, y, rgb, 0);
        }
    }
    image_free(&image);
    free(raw.data);
}

TEST(png_all_types)
{
    static const struct { int color, depths[5]; } types[] = {
        {0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}},
    };
    Bytes palette = noise(768, 5), alphas = noise(256, 6);
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int d = 0; d < 5 && types[t].depths[d]; d++) {
            PngSpec s = {.width = 13, .height = 9, .color = types[t].color, .depth = types[t].depths[d]};
            if (s.color == 3) {
                s.palette = palette.data;
                s.colors = 1 << s.depth;
            }
            for (s.interlace = 0; s.interlace < 2; s.interlace++) {
                check_png(s);
                PngSpec clear = s;
                clear.alphas = s.color == 3 ? alphas.data : NULL;
                clear.transparent = s.color == 3 ? s.colors / 2 : s.color < 3 ? -1 : 0;
                check_png(clear);
            }
        }
    }
    free(palette.data);
    free(alphas.data);
}

/* A smooth picture, so that JPEG at full quality stays within rounding of it. */
static Bytes gradient(int width, int height, int channels)
{
    Bytes b = {must_alloc((size_t)(width * height * channels)), (size_t)(width * height * channels)};
    for (int i = 0; i < width * height * channels; i++) {
        int c = i % channels, x = i / channels % width, y = i / channels / width;
        int value[4] = {40 + 4 * x, 250 - 5 * y, 30 + 2 * x + 3 * y, 255 - x - 2 * y};
        b.data[i] = (uint8_t)value[c];
    }
    return b;
}

TEST(jpeg_all_types)
{
    static const struct { int channels; J_COLOR_SPACE in, stored; } types[] = {
        {1, JCS_GRAYSCALE, JCS_GRAYSCALE}, {3, JCS_RGB, JCS_YCbCr}, {3, JCS_RGB, JCS_RGB},
        {4, JCS_CMYK, JCS_CMYK},           {4, JCS_CMYK, JCS_YCCK},
    };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (int progressive = 0; progressive < 2; progressive++) {
            int channels = types[t].channels;
            Bytes raw = gradient(37, 21, channels);
            JpegSpec s = {.width = 37, .height = 21, .channels = channels, .in = types[t].in, .stored = types[t].stored,
                          .rows = raw.data, .quality = 100, .progressive = progressive};
            Image image = decoded(jpeg_make(&s));
            ck_assert_int_eq(image.width, 37);
            ck_assert_int_eq(image.height, 21);
            for (int i = 0; i < 37 * 21; i++) {
                const uint8_t *p = raw.data + i * channels;
                int rgb[3];
                for (int c = 0; c < 3; c++)
                    rgb[c] = channels == 4 ? rounded(p[c] * p[3] / 255.0) : p[channels == 1 ? 0 : c];
                assert_pixel(&image, i % 37, i / 37, rgb, 3);   /* two roundings each way: DCT and colour */
            }
            image_free(&image);
            free(raw.data);
        }
    }
}

TEST(pnm_all_types)
{
    static const int most[] = {1, 15, 254, 255, 256, 1000, 65535};
    for (const char *kind = "2356"; *kind; kind++) {
        for (size_t m = 0; m < sizeof most / sizeof *most; m++) {
            uint16_t sample[7 * 5 * 3];
            Random r = random_stream(m, "samples", 0);
            for (int i = 0; i < 7 * 5 * 3; i++)
                sample[i] = (uint16_t)random_below(&r, (uint32_t)most[m] + 1);
            sample[0] = (uint16_t)most[m];
            Image image = decoded(pnm_make(*kind, 7, 5, most[m], sample));
            ck_assert_int_eq(image.width, 7);
            ck_assert_int_eq(image.height, 5);
            int colour = *kind == '3' || *kind == '6';
            for (int i = 0; i < 35; i++) {
                int rgb[3];
                for (int c = 0; c < 3; c++)
                    rgb[c] = rounded(sample[colour ? 3 * i + c : i] * 255.0 / most[m]);
                assert_pixel(&image, i % 7, i / 7, rgb, 0);
            }
            image_free(&image);
        }
    }
}

/* EXIF 2.3, tag 0x0112: where the stored first row and first column are to be seen. */
static const char *const seen[9] = {0, "top left", "top right", "bottom right", "bottom left",
                                    "left top", "right top", "right bottom", "left bottom"};

static void place(int orientation, int width, int height, int x, int y, int *to_x, int *to_y)
{
    char row[8], column[8];
    sscanf(seen[orientation], "%7s %7s", row, column);
    int upright = !strcmp(row, "top") || !strcmp(row, "bottom");
    int along_row = !strcmp(row, "bottom") || !strcmp(row, "right") ? height - 1 - y : y;
    int along_column = !strcmp(column, "bottom") || !strcmp(column, "right") ? width - 1 - x : x;
    *to_x = upright ? along_column : along_row;
    *to_y = upright ? along_row : along_column;
}

TEST(orientation_of_png)
{
    Bytes raw = noise(13 * 9 * 3, 9);
    for (int o = 1; o <= 8; o++) {
        PngSpec s = {.width = 13, .height = 9, .color = 2, .depth = 8, .rows = raw.data, .orientation = o};
        Image image = decoded(png_make(&s));
        ck_assert_int_eq(image.width, o < 5 ? 13 : 9);
        ck_assert_int_eq(image.height, o < 5 ? 9 : 13);
        for (int i = 0; i < 13 * 9; i++) {
            int x, y, rgb[3] = {raw.data[3 * i], raw.data[3 * i + 1], raw.data[3 * i + 2]};
            place(o, 13, 9, i % 13, i / 13, &x, &y);
            assert_pixel(&image, x, y, rgb, 0);
        }
        image_free(&image);
    }
    free(raw.data);
}

TEST(orientation_of_jpeg)
{
    Bytes raw = gradient(37, 21, 3);
    for (int o = 1; o <= 9; o++) {   /* 9 does not exist, and is taken as 1 */
        for (int little = 0; little < 2; little++) {
            JpegSpec s = {.width = 37, .height = 21, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr,
                          .rows = raw.data, .quality = 100, .orientation = o, .little = little};
            Image image = decoded(jpeg_make(&s));
            for (int i = 0; i < 37 * 21; i++) {
                int x, y, rgb[3] = {raw.data[3 * i], raw.data[3 * i + 1], raw.data[3 * i + 2]};
                place(o > 8 ? 1 : o, 37, 21, i % 37, i / 37, &x, &y);
                assert_pixel(&image, x, y, rgb, 3);
            }
            image_free(&image);
        }
    }
    free(raw.data);
}

TEST(content_decides_not_the_name)
{
    char *folder = folder_make();
    char *png = must_printf("%s/really_a_png.jpg", folder), *text = must_printf("%s/text.jpg", folder);
    char *pipe = must_printf("%s/pipe.png", folder), *none = must_printf("%s/none.png", folder);
    Bytes raw = noise(12, 3);
    PngSpec s = {.width = 2, .height = 2, .color = 2, .depth = 8, .rows = raw.data};
    Bytes file = png_make(&s);
    Image image;
    MUST(file_write(png, file.data, file.size));
    MUST(image_read(png, &image));
    ck_assert_mem_eq(image.rgb, raw.data, 12);
    image_free(&image);
    ck_assert(image_is_file(png));

    MUST(file_write(text, "hello, I am no picture\n", 23));
    ck_assert(!image_is_file(text));
    ck_assert_int_eq(image_read(text, &image), -1);
    ck_assert_ptr_null(image.rgb);
    ck_assert_ptr_nonnull(strstr(error_text(), "text.jpg: not a PNG, JPEG, PGM or PPM picture"));
    MUST(file_write(text, "", 0));
    ck_assert_int_eq(image_read(text, &image), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "empty"));

    char *command = must_printf("mkfifo '%s'", pipe);
    ck_assert_int_eq(system(command), 0);
    free(command);
    const char *const others[] = {pipe, folder, none};
    for (int i = 0; i < 3; i++) {
        ck_assert(!image_is_file(others[i]));
        ck_assert_int_eq(image_read(others[i], &image), -1);
        ck_assert_ptr_nonnull(strstr(error_text(), others[i]));
    }
    free(file.data);
    free(raw.data);
    free(png);
    free(text);
    free(pipe);
    free(none);
    folder_remove(folder);
}

TEST(written_png_reads_back)
{
    char *folder = folder_make(), *path = must_printf("%s/out.png", folder);
    Bytes raw = noise(31 * 17 * 3, 4);
    Image image = {31, 17, raw.data}, back;
    MUST(image_write_png(path, &image));
    MUST(image_read(path, &back));
    ck_assert_int_eq(back.width, 31);
    ck_assert_int_eq(back.height, 17);
    ck_assert_mem_eq(back.rgb, raw.data, raw.size);
    image_free(&back);
    free(raw.data);
    free(path);
    folder_remove(folder);
}

/* The writer's temporary file is made a link to a device that is always full. */
TEST(full_disk_leaves_the_old_file)
{
    if (!file_exists("/dev/full"))
        SKIP("no /dev/full here");
    char *folder = folder_make(), *path = must_printf("%s/out.png", folder);
    char *temporary = must_printf("%s.%ld.tmp", path, (long)getpid());
    Bytes raw = noise(300 * 300 * 3, 4);
    Image large = {300, 300, raw.data}, small = {2, 2, raw.data}, back;
    MUST(image_write_png(path, &small));
    const Image *const sizes[] = {&large, &small};   /* fails while writing, fails at the end */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(symlink("/dev/full", temporary), 0);
        ck_assert_int_eq(image_write_png(path, sizes[i]), -1);
        ck_assert_ptr_nonnull(strstr(error_text(), "out.png"));
        ck_assert(!file_exists(temporary));
        MUST(image_read(path, &back));
        ck_assert_int_eq(back.width, 2);
        image_free(&back);
    }
    ck_assert(file_exists("/dev/full"));
    free(raw.data);
    free(path);
    free(temporary);
    folder_remove(folder);
}

TEST_MAIN("image", png_all_types, jpeg_all_types, pnm_all_types, orientation_of_png, orientation_of_jpeg,
          content_decides_not_the_name, written_png_reads_back, full_disk_leaves_the_old_file)
