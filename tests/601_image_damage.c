/* 601_image_damage.c - damaged, cut and hostile picture files are refused, and never bring the program down. */
#include "data/image.h"

#include "tests/pictures.h"

enum { SAMPLES = 32 };

/* A copy of exactly `size` bytes, so that reading beyond them is seen by the sanitizers. */
static int decode_copy(const uint8_t *bytes, size_t size, Image *image)
{
    uint8_t *copy = must_alloc(size);
    memcpy(copy, bytes, size);
    int bad = image_decode(copy, size, "some file", image);
    free(copy);
    return bad;
}

TEST(truncated_at_every_place)
{
    Sample samples[SAMPLES];
    int n = samples_make(samples);
    for (int i = 0; i < n; i++) {
        Image image;
        const Bytes *b = &samples[i].bytes;
        MUST(decode_copy(b->data, b->size, &image));
        image_free(&image);
        for (size_t size = 0; size + (size_t)samples[i].lost < b->size; size += size + 64 < b->size ? 7 : 1) {
            if (!decode_copy(b->data, size, &image))
                ck_abort_msg("%s: %zu bytes of %zu were taken for a picture", samples[i].name, size, b->size);
            ck_assert_ptr_null(image.rgb);
            ck_assert_ptr_nonnull(strstr(error_text(), "some file: "));
        }
        free(b->data);
    }
}

/* PNG has checksums, so that only a change of unimportant chunks may pass; the others must merely survive. */
TEST(every_byte_changed)
{
    Sample samples[SAMPLES];
    int n = samples_make(samples);
    for (int i = 0; i < n; i++) {
        const Bytes *b = &samples[i].bytes;
        Image good;
        MUST(decode_copy(b->data, b->size, &good));
        for (size_t at = 0; at < b->size; at++) {
            for (int change = 0; change < 3; change++) {
                Image image;
                b->data[at] ^= (uint8_t[]){1, 0x80, 0xff}[change];
                if (!decode_copy(b->data, b->size, &image)) {
                    int same = image.width * image.height == good.width * good.height;
                    if (strstr(samples[i].name, ".png") && !same)
                        ck_abort_msg("%s: byte %zu changed, and nobody saw it", samples[i].name, at);
                    ck_assert(image.width > 0 && image.height > 0 && image.rgb);
                    image_free(&image);
                }
                b->data[at] ^= (uint8_t[]){1, 0x80, 0xff}[change];
            }
        }
        image_free(&good);
        free(b->data);
    }
}

/* In the pixel data of a PNG no change at all may pass. */
TEST(changed_png_data_is_found)
{
    Bytes raw = noise(11 * 9 * 3, 1);
    PngSpec s = {.width = 11, .height = 9, .color = 2, .depth = 8, .rows = raw.data};
    Bytes file = png_make(&s);
    for (size_t at = 8; at < file.size; at++) {
        Image image;
        file.data[at] ^= 4;
        ck_assert_int_eq(decode_copy(file.data, file.size, &image), -1);
        file.data[at] ^= 4;
    }
    free(file.data);
    free(raw.data);
}

static uint32_t crc_of_chunk(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void assert_bomb(Bytes file, const char *claims)
{
    Image image;
    ck_assert_int_eq(decode_copy(file.data, file.size, &image), -1);
    ck_assert_ptr_null(image.rgb);
    if (!strstr(error_text(), "more than is accepted") || !strstr(error_text(), claims))
        ck_abort_msg("refused for another reason: %s", error_text());
}

TEST(bombs_are_refused_before_memory_is_taken)
{
    static const struct { uint32_t width, height; } sizes[] = {{60000, 60000}, {16385, 1}, {1, 16385}, {8193, 8192}};
    Bytes raw = noise(8 * 8 * 3, 1);
    PngSpec ps = {.width = 8, .height = 8, .color = 2, .depth = 8, .rows = raw.data};
    JpegSpec js = {.width = 8, .height = 8, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .rows = raw.data,
                   .quality = 90};
    Bytes png = png_make(&ps), jpeg = jpeg_make(&js);
    size_t frame = 0;   /* SOF0: marker, length, precision, height, width */
    while (jpeg.data[frame] != 0xff || jpeg.data[frame + 1] != 0xc0)
        frame++;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char claims[64], header[64];
        snprintf(claims, sizeof claims, "%u x %u pixels", sizes[i].width, sizes[i].height);
        put32(png.data + 16, sizes[i].width);
        put32(png.data + 20, sizes[i].height);
        put32(png.data + 29, crc_of_chunk(png.data + 12, 17));
        assert_bomb(png, claims);
        jpeg.data[frame + 5] = (uint8_t)(sizes[i].height >> 8);
        jpeg.data[frame + 6] = (uint8_t)sizes[i].height;
        jpeg.data[frame + 7] = (uint8_t)(sizes[i].width >> 8);
        jpeg.data[frame + 8] = (uint8_t)sizes[i].width;
        assert_bomb(jpeg, claims);
        int n = snprintf(header, sizeof header, "P6\n%u %u\n255\n", sizes[i].width, sizes[i].height);
        assert_bomb((Bytes){(uint8_t *)header, (size_t)n}, claims);
    }
    /* The largest side that is accepted, with no data: the claim is believed only as far as there are bytes. */
    Image image;
    ck_assert_int_eq(image_decode((const uint8_t *)"P5 16384 4096 255\n", 18, "short", &image), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "ends early"));
    free(png.data);
    free(jpeg.data);
    free(raw.data);
}

/* The most memory that this process ever had in its address space, in MB. */
static long peak(void)
{
    long kb = -1;
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmPeak: %ld", &kb) == 1)
            break;
    ck_assert(f && kb > 0);
    fclose(f);
    return kb / 1024;
}

/* A chunk may claim two gigabytes, in a file of a hundred bytes. */
TEST(claims_of_png_chunks_are_not_believed)
{
    static const char *const types[] = {"eXIf", "tRNS", "PLTE", "zTXt", "IDAT"};
    Bytes raw = noise(8 * 8 * 3, 1);
    PngSpec s = {.width = 8, .height = 8, .color = 2, .depth = 8, .rows = raw.data};
    Bytes png = png_make(&s), file = {0};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        file.size = 0;
        Image image;
        uint8_t claim[4];
        long before = peak();
        put32(claim, 0x70000000);
        bytes_add(&file, png.data, 33);
        bytes_add(&file, claim, 4);
        bytes_add(&file, types[i], 4);
        bytes_add(&file, png.data + 33, png.size - 33);
        ck_assert_int_eq(decode_copy(file.data, file.size, &image), -1);
        ck_assert_ptr_nonnull(strstr(error_text(), "some file: not a whole PNG picture: it ends early: copy"));
        ck_assert_int_lt(peak() - before, 256);
    }
    free(file.data);
    free(png.data);
    free(raw.data);
}

/* Each refusal says what the file is, and what to do. */
TEST(other_files_are_named)
{
    static const struct { size_t size; const char *bytes, *says; } files[] = {
        {0, "", "some file: not a PNG, JPEG, PGM or PPM picture (it is empty): copy"},
        {9, "<html>404", "some file: not a PNG, JPEG, PGM or PPM picture: take it away"},
        {8, "BM\x36\0\0\0\0\0", "picture, but BMP: convert it to PNG"},
        {6, "GIF89a", "picture, but GIF: convert"},
        {4, "MM\0*", "picture, but TIFF: convert"},
        {12, "RIFF\1\0\0\0WEBP", "picture, but WebP: convert"},
        {12, "\0\0\0\x18" "ftypheic", "picture, but HEIC"},
        {5, "P4\n8 ", "picture, but PBM: convert"},
        {3, "GIF", "picture: take it away"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Image image;
        ck_assert_int_eq(decode_copy((const uint8_t *)files[i].bytes, files[i].size, &image), -1);
        if (!strstr(error_text(), files[i].says))
            ck_abort_msg("\"%s\" instead of \"%s\"", error_text(), files[i].says);
    }
}

/* 12 bits, lossless, hierarchical: whole files, for which the library has no code. */
TEST(other_kinds_of_jpeg_are_named)
{
    Bytes raw = noise(8 * 8 * 3, 1);
    JpegSpec s = {.width = 8, .height = 8, .channels = 3, .in = JCS_RGB, .stored = JCS_YCbCr, .rows = raw.data,
                  .quality = 90};
    Bytes file = jpeg_make(&s);
    size_t frame = 0;
    while (file.data[frame] != 0xff || file.data[frame + 1] != 0xc0)
        frame++;
    for (int kind = 0; kind < 3; kind++) {
        Image image;
        file.data[frame + 1] = (uint8_t[]){0xc1, 0xc3, 0xc5}[kind];
        file.data[frame + 4] = kind ? 8 : 12;
        ck_assert_int_eq(decode_copy(file.data, file.size, &image), -1);
        if (!strstr(error_text(), "some file: a kind of JPEG that is not read here: ") ||
            !strstr(error_text(), ": save it as an ordinary JPEG or PNG"))
            ck_abort_msg("\"%s\"", error_text());
    }
    free(file.data);
    free(raw.data);
}

/* Thousands of empty scans over a large picture cost a reader minutes. */
TEST(jpeg_with_endless_scans_is_refused)
{
    Bytes raw = noise(64 * 64, 1);
    JpegSpec s = {.width = 64, .height = 64, .channels = 1, .in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE,
                  .rows = raw.data, .quality = 50, .progressive = 2};
    Bytes file = jpeg_make(&s);
    size_t scan = 0;
    for (size_t i = 0; i + 1 < file.size; i++)   /* the last scan may come again and again */
        if (file.data[i] == 0xff && file.data[i + 1] == 0xda)
            scan = i;
    for (int times = 200; times <= 300; times += 100) {
        Bytes many = {0};
        Image image;
        bytes_add(&many, file.data, scan);
        for (int i = 0; i < times; i++)
            bytes_add(&many, file.data + scan, file.size - 2 - scan);
        bytes_add(&many, "\xff\xd9", 2);
        int bad = decode_copy(many.data, many.size, &image);
        if (times < 256)
            MUST(bad);
        else
            ck_assert(bad && strstr(error_text(), "more than 256 scans"));
        image_free(&image);
        free(many.data);
    }
    free(file.data);
    free(raw.data);
}

TEST(nonsense_headers)
{
    static const char *const texts[] = {
        "P6", "P6 ", "P6\n", "P6\n1", "P6\n1 1", "P6\n1 1 255", "P6\n1 1 0\n   ", "P6\n1 1 65536\n      ",
        "P6\n-1 1 255\n   ", "P6\n99999999999999999999 1 255\n   ", "P2\n2 2 9\n1 2 3", "P2\n2 2 9\n1 2 3 10",
        "P2\n2 2 9\n1 2 3 x", "P5\n1 1 7\n\x08", "P6\n0 1 255\n", "P5#\n#", "P7\n", "P",
        "\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "\xff\xd8\xff\xd9",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Image image;
        if (!decode_copy((const uint8_t *)texts[i], strlen(texts[i]), &image))
            ck_abort_msg("\"%s\" was taken for a picture", texts[i]);
    }
}

TEST_MAIN("image damage", truncated_at_every_place, every_byte_changed, changed_png_data_is_found,
          bombs_are_refused_before_memory_is_taken, claims_of_png_chunks_are_not_believed, other_files_are_named,
          other_kinds_of_jpeg_are_named, jpeg_with_endless_scans_is_refused, nonsense_headers)
