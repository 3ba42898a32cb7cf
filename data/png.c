/* png.c - PNG through libpng: any colour type and depth in, 8-bit RGB out. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "data/codec.h"
#include "engine/error.h"
#include "engine/file.h"

/* What must survive longjmp lives behind a pointer. */
typedef struct Codec {
    png_structp png;
    png_infop info;
    const char *name;
    const uint8_t *next, *end;   /* reading */
    FILE *stream;                /* writing */
    Image image;
} Codec;

static void on_error(png_structp png, png_const_charp text)
{
    const Codec *c = png_get_error_ptr(png);
    fail("%s: not a whole PNG picture: %s" SAVE_ANEW, c->name, text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_write_error(png_structp png, png_const_charp text)
{
    const Codec *c = png_get_error_ptr(png);
    fail("%s: not written: %s; make room or choose another place, and run again", c->name, text);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* libpng takes memory for as many bytes as a chunk claims to have, up to 2 GB, before it looks for them; so claims are
 * compared with the file first. */
static int chunks_fit(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        size_t claims = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (claims > (size_t)(end - at) - 8)
            return 0;
        if (!memcmp(at + 4, "IEND", 4))
            break;   /* what follows is no part of the picture */
        at += 8 + claims;
        at += end - at < 4 ? end - at : 4;   /* its checksum */
    }
    return 1;
}

static void take(png_structp png, png_bytep to, png_size_t n)
{
    Codec *c = png_get_io_ptr(png);
    if (n > (size_t)(c->end - c->next))
        png_error(png, "it ends early");
    memcpy(to, c->next, n);
    c->next += n;
}

/* Lays RGBA pixels over white, in place: a pixel's three bytes never overtake its four. */
static void flatten(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned alpha = pixels[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            pixels[3 * i + c] = (uint8_t)((pixels[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

static int decode(Codec *c, int *orientation)
{
    png_structp png = c->png;
    if (setjmp(png_jmpbuf(png)))
        return -1;
    /* Metadata is skipped unread: some of it is broken in many files, and compressed text can be a bomb. */
    static const png_byte wanted[] = "tRNS\0eXIf";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, wanted, 2);
    png_set_user_limits(png, 0x7fffffff, 0x7fffffff);   /* ours follow, with a message of ours */
    png_set_chunk_malloc_max(png, 8 << 20);
    png_set_read_fn(png, c, take);
    png_read_info(png, c->info);
    png_uint_32 width = png_get_image_width(png, c->info), height = png_get_image_height(png, c->info);
    if (image_check_size(width, height, c->name))
        return -1;

    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, c->info);
    int channels = png_get_channels(png, c->info);
    if ((channels != 3 && channels != 4) || png_get_bit_depth(png, c->info) != 8)
        return fail("%s: PNG colour type %d is not supported" SAVE_ANEW, c->name, png_get_color_type(png, c->info));
    if (image_alloc(&c->image, (int)width, (int)height, channels, c->name))
        return -1;
    while (passes--)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, c->image.rgb + y * width * (size_t)channels, NULL);
    png_read_end(png, c->info);
    if (channels == 4) {
        flatten(c->image.rgb, (size_t)width * height);
        c->image.rgb = must_realloc(c->image.rgb, (size_t)width * height * 3);
    }
    png_bytep exif;
    png_uint_32 exif_bytes;
    if (png_get_eXIf_1(png, c->info, &exif_bytes, &exif))
        *orientation = exif_orientation(exif, exif_bytes);
    return 0;
}

int png_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out, int *orientation)
{
    Codec c = {.name = name, .next = bytes, .end = bytes + size};
    *out = c.image;
    if (!chunks_fit(bytes + 8, c.end))
        return fail("%s: not a whole PNG picture: it ends early" SAVE_ANEW, name);
    c.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    int bad = c.info ? decode(&c, orientation) : fail("%s: libpng cannot start: no memory, or another version", name);
    png_destroy_read_struct(&c.png, &c.info, NULL);
    if (bad)
        image_free(&c.image);
    *out = c.image;
    return bad;
}

static int encode(Codec *c)
{
    png_structp png = c->png;
    if (setjmp(png_jmpbuf(png)))
        return -1;
    png_init_io(png, c->stream);
    png_set_IHDR(png, c->info, (png_uint_32)c->image.width, (png_uint_32)c->image.height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, c->info);
    for (int y = 0; y < c->image.height; y++)
        png_write_row(png, c->image.rgb + (size_t)y * (size_t)c->image.width * 3);
    png_write_end(png, NULL);
    return 0;
}

int image_write_png(const char *path, const Image *image)
{
    FileWriter w;
    if (image_check_size((unsigned long)image->width, (unsigned long)image->height, path) || file_open(&w, path))
        return -1;
    Codec c = {.name = path, .stream = w.stream, .image = *image};
    c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_write_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    int bad = c.info ? encode(&c) : fail("%s: libpng cannot start: no memory, or another version", path);
    png_destroy_write_struct(&c.png, &c.info);
    if (!bad)
        return file_commit(&w);
    file_abandon(&w);
    return -1;
}
