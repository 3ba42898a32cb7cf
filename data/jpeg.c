/* jpeg.c - JPEG through libjpeg: grey, YCbCr, RGB, CMYK and YCCK in, RGB out. */
#include <setjmp.h>
#include <stdio.h>   /* jpeglib.h needs it */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/codec.h"
#include "engine/error.h"

/* A progressive picture has some ten scans; thousands over a large picture are an attack on the reader's time. */
enum { MAX_SCANS = 256 };

typedef struct Reader {
    struct jpeg_error_mgr errors;   /* first: libjpeg hands it back */
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const char *name;
    Image image;
    uint8_t *row;   /* (width, 4) for CMYK */
} Reader;

/* Whole pictures, of kinds that the library (or this build of it) has no code for. */
static int is_unsupported(int code)
{
    return code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED || code == JERR_ARITH_NOTIMPL ||
           code == JERR_CCIR601_NOTIMPL || code == JERR_CONVERSION_NOTIMPL || code == JERR_FRACT_SAMPLE_NOTIMPL ||
           code == JERR_NOT_COMPILED || code == JERR_EMPTY_IMAGE;
}

static void on_error(j_common_ptr codec)
{
    Reader *r = (Reader *)codec->err;
    char text[JMSG_LENGTH_MAX];
    r->errors.format_message(codec, text);
    if (r->errors.msg_code == JERR_OUT_OF_MEMORY)
        fail(NO_MEMORY, r->name, (int)((j_decompress_ptr)codec)->image_width,
             (int)((j_decompress_ptr)codec)->image_height);
    else if (is_unsupported(r->errors.msg_code))
        fail("%s: a kind of JPEG that is not read here: %s: save it as an ordinary JPEG or PNG", r->name, text);
    else
        fail("%s: not a whole JPEG picture: %s" SAVE_ANEW, r->name, text);
    longjmp(r->escape, 1);
}

/* libjpeg goes on after damage with grey where data lack, and calls it a warning; only harmless ones pass here. */
static void on_message(j_common_ptr codec, int level)
{
    int code = codec->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR)
        on_error(codec);
}

static void on_progress(j_common_ptr codec)
{
    Reader *r = (Reader *)codec->err;
    if (((j_decompress_ptr)codec)->input_scan_number > MAX_SCANS) {
        fail("%s: a JPEG picture of more than %d scans is not accepted" SAVE_ANEW, r->name, MAX_SCANS);
        longjmp(r->escape, 1);
    }
}

/* The orientation from the first EXIF marker that was kept. */
static int orientation_of(j_decompress_ptr codec)
{
    for (jpeg_saved_marker_ptr m = codec->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && !memcmp(m->data, "Exif\0", 6))
            return exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Inverted CMYK, as Adobe writes it and as every reader expects it: 255 is no ink. */
static void cmyk_row(const uint8_t *cmyk, int width, uint8_t *rgb)
{
    for (int x = 0; x < width; x++, cmyk += 4)
        for (int c = 0; c < 3; c++)
            *rgb++ = (uint8_t)((cmyk[c] * cmyk[3] + 127) / 255);
}

static int decode(j_decompress_ptr codec, Reader *r, const uint8_t *bytes, size_t size, int *orientation)
{
    if (setjmp(r->escape))
        return -1;
    jpeg_create_decompress(codec);
    codec->progress = &r->progress;
    jpeg_mem_src(codec, bytes, size);
    jpeg_save_markers(codec, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(codec, TRUE);
    if (image_check_size(codec->image_width, codec->image_height, r->name))
        return -1;
    int cmyk = codec->jpeg_color_space == JCS_CMYK || codec->jpeg_color_space == JCS_YCCK;
    codec->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    codec->dct_method = JDCT_ISLOW;   /* the exact one: equal on every machine */
    int width = (int)codec->image_width, height = (int)codec->image_height;
    if (image_alloc(&r->image, width, height, 3, r->name))
        return -1;
    if (cmyk && !(r->row = malloc((size_t)width * 4)))
        return fail(NO_MEMORY, r->name, width, height);
    jpeg_start_decompress(codec);
    while (codec->output_scanline < codec->output_height) {
        uint8_t *to = r->image.rgb + (size_t)codec->output_scanline * (size_t)width * 3;
        JSAMPROW row = cmyk ? r->row : to;
        if (jpeg_read_scanlines(codec, &row, 1) != 1)
            return fail("%s: not a whole JPEG picture: it ends early" SAVE_ANEW, r->name);
        if (cmyk)
            cmyk_row(r->row, width, to);
    }
    *orientation = orientation_of(codec);
    jpeg_finish_decompress(codec);   /* reads on to the end mark, and complains if there is none; forgets markers */
    return 0;
}

int jpeg_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out, int *orientation)
{
    struct jpeg_decompress_struct codec;
    Reader r = {.name = name, .progress.progress_monitor = on_progress};
    memset(&codec, 0, sizeof codec);
    codec.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    int bad = decode(&codec, &r, bytes, size, orientation);
    jpeg_destroy_decompress(&codec);
    free(r.row);
    if (bad)
        image_free(&r.image);
    *out = r.image;
    return bad;
}
