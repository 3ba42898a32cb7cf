/* pictures.h - makes picture files of every kind in memory, for the tests of their readers. */
#ifndef GUISE_TEST_PICTURES_H
#define GUISE_TEST_PICTURES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>
#include <png.h>

#include "engine/error.h"   /* before Check, which has a macro of the name fail */
#include "engine/file.h"
#include "engine/random.h"
#include "tests/test.h"

typedef struct Bytes {
    uint8_t *data;
    size_t size;
} Bytes;

static inline void bytes_add(Bytes *b, const void *data, size_t size)
{
    b->data = must_realloc(b->data, b->size + size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

/* Random samples of `bytes` bytes, the same on every call with the same key. */
static inline Bytes noise(size_t bytes, uint64_t key)
{
    Bytes b = {must_alloc(bytes), bytes};
    Random r = random_stream(key, "noise", 0);
    for (size_t i = 0; i < bytes; i++)
        b.data[i] = (uint8_t)(random_next(&r) >> 24);
    return b;
}

/* An EXIF block (TIFF header onwards) with an orientation and nothing else. */
static inline Bytes exif_make(int orientation, int little)
{
    uint8_t big[26] = "MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1", small[26] = "II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0";
    Bytes b = {0};
    big[19] = small[18] = (uint8_t)orientation;
    bytes_add(&b, little ? small : big, sizeof big);
    return b;
}

/* ---- PNG ------------------------------------------------------------------------------------------------------- */

typedef struct PngSpec {
    int width, height, color, depth, interlace;
    const uint8_t *rows;          /* as libpng takes them: 16 bits high byte first, small samples packed */
    const uint8_t *palette;       /* (colors, 3) */
    int colors;
    const uint8_t *alphas;        /* tRNS of a palette, (transparent) */
    int transparent;
    const png_color_16 *key;      /* tRNS of grey and RGB */
    int orientation;              /* 0: no EXIF */
} PngSpec;

static inline void png_take(png_structp png, png_bytep data, size_t size)
{
    bytes_add(png_get_io_ptr(png), data, size);
}

static inline size_t png_row_bytes(const PngSpec *s)
{
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    return ((size_t)s->width * (size_t)channels[s->color] * (size_t)s->depth + 7) / 8;
}

static inline Bytes png_make(const PngSpec *s)
{
    Bytes out = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &out, png_take, NULL);
    png_set_IHDR(png, info, (png_uint_32)s->width, (png_uint_32)s->height, s->depth, s->color,
                 s->interlace ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (s->palette)
        png_set_PLTE(png, info, (png_const_colorp)s->palette, s->colors);
    if (s->alphas || s->key)
        png_set_tRNS(png, info, s->alphas, s->transparent, s->key);
    Bytes exif = {0};
    if (s->orientation) {
        exif = exif_make(s->orientation, 0);
        png_set_eXIf_1(png, info, (png_uint_32)exif.size, exif.data);
    }
    png_write_info(png, info);
    png_bytepp rows = must_alloc((size_t)s->height * sizeof *rows);
    for (int y = 0; y < s->height; y++)
        rows[y] = (png_bytep)s->rows + (size_t)y * png_row_bytes(s);
    png_write_image(png, rows);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    free(rows);
    free(exif.data);
    return out;
}

/* ---- JPEG ------------------------------------------------------------------------------------------------------ */

typedef struct JpegSpec {
    int width, height, channels;        /* 1, 3 or 4 */
    J_COLOR_SPACE in, stored;
    const uint8_t *rows;
    int quality;
    int progressive;                    /* 1: libjpeg's scans; 2: one scan of DC, one of AC at full precision */
    int orientation, little;            /* 0: no EXIF */
} JpegSpec;

static inline Bytes jpeg_make(const JpegSpec *s)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &data, &size);
    c.image_width = (JDIMENSION)s->width;
    c.image_height = (JDIMENSION)s->height;
    c.input_components = s->channels;
    c.in_color_space = s->in;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, s->stored);
    jpeg_set_quality(&c, s->quality, TRUE);
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1;   /* colour at full resolution */
    if (s->stored == JCS_YCCK)
        c.comp_info[3].h_samp_factor = c.comp_info[3].v_samp_factor = 1;
    c.optimize_coding = TRUE;
    static const jpeg_scan_info two_scans[] = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
    if (s->progressive == 1)
        jpeg_simple_progression(&c);
    if (s->progressive == 2) {
        c.scan_info = two_scans;
        c.num_scans = 2;
    }
    jpeg_start_compress(&c, TRUE);
    if (s->orientation) {
        Bytes exif = exif_make(s->orientation, s->little), marker = {0};
        bytes_add(&marker, "Exif\0", 6);
        bytes_add(&marker, exif.data, exif.size);
        jpeg_write_marker(&c, JPEG_APP0 + 1, marker.data, (unsigned)marker.size);
        free(exif.data);
        free(marker.data);
    }
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = (JSAMPROW)s->rows + (size_t)c.next_scanline * (size_t)(s->width * s->channels);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    Bytes out = {0};
    bytes_add(&out, data, size);
    free(data);
    return out;
}

/* ---- PGM and PPM ----------------------------------------------------------------------------------------------- */

/* kind is '2', '3', '5' or '6'; sample (height, width, channels) from 0 to most. */
static inline Bytes pnm_make(char kind, int width, int height, int most, const uint16_t *sample)
{
    Bytes out = {0};
    char text[128];
    int n = snprintf(text, sizeof text, "P%c # a comment 9 9 9\n%d # 7\n#\n %d\t%d\n", kind, width, height, most);
    bytes_add(&out, text, (size_t)n);
    int samples = width * height * (kind == '3' || kind == '6' ? 3 : 1);
    for (int i = 0; i < samples; i++) {
        uint8_t two[2] = {(uint8_t)(sample[i] >> 8), (uint8_t)sample[i]};
        if (kind < '5')
            bytes_add(&out, text, (size_t)snprintf(text, sizeof text, "%d\n", sample[i]));
        else
            bytes_add(&out, most > 255 ? two : two + 1, most > 255 ? 2 : 1);
    }
    return out;
}

/* ---- a set of small files, one of each kind -------------------------------------------------------------------- */

typedef struct Sample {
    const char *name;
    Bytes bytes;
    int lost;   /* bytes at the end that nothing would miss: a text file's last line */
} Sample;

static inline int samples_make(Sample *out)
{
    static const struct { const char *name; int color, depth, interlace, colors; } png[] = {
        {"grey1.png", 0, 1, 0, 0},  {"grey2i.png", 0, 2, 1, 0},    {"grey16.png", 0, 16, 0, 0},
        {"rgb8i.png", 2, 8, 1, 0},  {"rgb16.png", 2, 16, 0, 0},    {"palette1.png", 3, 1, 0, 2},
        {"palette4i.png", 3, 4, 1, 16}, {"greyalpha8.png", 4, 8, 0, 0}, {"rgba16i.png", 6, 16, 1, 0},
    };
    static const struct { const char *name; int channels; J_COLOR_SPACE in, stored; int progressive; } jpeg[] = {
        {"grey.jpg", 1, JCS_GRAYSCALE, JCS_GRAYSCALE, 0}, {"ycbcr.jpg", 3, JCS_RGB, JCS_YCbCr, 0},
        {"progressive.jpg", 3, JCS_RGB, JCS_YCbCr, 1},    {"cmyk.jpg", 4, JCS_CMYK, JCS_CMYK, 0},
        {"ycck.jpg", 4, JCS_CMYK, JCS_YCCK, 0},
    };
    static const struct { const char *name; char kind; int most; } pnm[] = {
        {"text.pgm", '2', 255}, {"text16.ppm", '3', 65535}, {"binary.ppm", '6', 255}, {"binary16.pgm", '5', 1000},
    };
    int n = 0, width = 11, height = 9;
    Bytes raw = noise(4096, 1);
    for (size_t i = 0; i < sizeof png / sizeof *png; i++) {
        PngSpec s = {.width = width, .height = height, .color = png[i].color, .depth = png[i].depth,
                     .interlace = png[i].interlace, .rows = raw.data, .colors = png[i].colors, .orientation = 6};
        s.palette = s.colors ? raw.data + 2048 : NULL;
        out[n++] = (Sample){png[i].name, png_make(&s), 0};
    }
    for (size_t i = 0; i < sizeof jpeg / sizeof *jpeg; i++) {
        JpegSpec s = {.width = width, .height = height, .channels = jpeg[i].channels, .in = jpeg[i].in,
                      .stored = jpeg[i].stored, .rows = raw.data, .quality = 60, .progressive = jpeg[i].progressive,
                      .orientation = 5, .little = 1};
        out[n++] = (Sample){jpeg[i].name, jpeg_make(&s), 0};
    }
    uint16_t sample[11 * 9 * 3];
    for (size_t i = 0; i < sizeof pnm / sizeof *pnm; i++) {
        for (size_t k = 0; k < sizeof sample / sizeof *sample; k++)
            sample[k] = (uint16_t)(raw.data[k] * pnm[i].most / 255);
        out[n++] = (Sample){pnm[i].name, pnm_make(pnm[i].kind, width, height, pnm[i].most, sample),
                            pnm[i].kind < '5' ? 6 : 0};
    }
    free(raw.data);
    return n;
}

/* ---- folders --------------------------------------------------------------------------------------------------- */

/* A new folder for one test; the caller removes it with folder_remove and frees the name. */
static inline char *folder_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = must_printf("%s/guise-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path))
        ck_abort_msg("no temporary folder %s", path);
    return path;
}

static inline void folder_remove(char *path)
{
    char *command = must_printf("rm -rf '%s'", path);
    if (system(command))
        ck_abort_msg("%s failed", command);
    free(command);
    free(path);
}

#endif
