/* image.h - colour pictures in memory: read, written, cropped, resized.
 *
 * A picture is (height, width, 3) bytes, sRGB, rows from the top, no padding.
 * Readers: PNG (libpng), JPEG (libjpeg), PGM and PPM; the content decides, never the name.
 *   - every PNG colour type and depth, palette and interlacing included; 16 bits are rounded to 8;
 *   - transparent pixels are laid over white;
 *   - JPEG of 8 bits in grey, YCbCr, RGB, CMYK and YCCK, sequential and progressive; CMYK is taken as Adobe stores it
 *     (inverted), and turned to RGB without a colour profile;
 *   - PGM and PPM in text and binary with any maximum up to 65535, scaled to 255 and rounded;
 *   - EXIF orientation (JPEG, PNG) is obeyed; gamma, colour profiles and all other metadata are ignored.
 * A picture is read whole or not at all: truncated and corrupt files are errors that name the file. */
#ifndef GUISE_IMAGE_H
#define GUISE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* Larger pictures are refused before memory is taken for them. */
#define IMAGE_MAX_SIDE   16384
#define IMAGE_MAX_PIXELS (64 * 1024 * 1024)
#define IMAGE_MAX_BYTES  (1024L * 1024 * 1024)   /* of a file */

typedef struct Image {
    int width, height;
    uint8_t *rgb;   /* (height, width, 3) */
} Image;

/* Read a file, or `size` bytes that came from `name` (for messages only).  0, or -1 with *out empty. */
int image_read(const char *path, Image *out);
int image_decode(const uint8_t *bytes, size_t size, const char *name, Image *out);

/* The bytes of a file that begins like a picture, for image_decode; the caller frees them.  NULL and a message. */
uint8_t *image_file(const char *path, size_t *size);

/* 1 if the file begins like a picture that can be read here, else 0 (also when it cannot be opened). */
int image_is_file(const char *path);

/* Writes 8-bit RGB, whole or not at all.  0 or -1. */
int image_write_png(const char *path, const Image *image);

/* A copy of the part with corner (x, y), which must lie inside the picture. */
void image_crop(const Image *in, int x, int y, int width, int height, Image *out);

/* The largest square in the middle; where the margin is odd, its larger half is to the right or below. */
void image_crop_square(const Image *in, Image *out);

/* Resamples to width x height (both > 0) with a triangle as wide as two source or two target pixels, whichever is
 * the larger: bilinear when enlarging, without aliases when reducing; as Pillow's BILINEAR and PyTorch's
 * antialias=True.  Weights are exact integers, so results are equal everywhere; they are within 0.51 of the real
 * quotient.  `out` is another struct than `in`. */
void image_resize(const Image *in, int width, int height, Image *out);

void image_free(Image *image);

#endif
