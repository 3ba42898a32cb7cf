/* codec.h - what the picture formats share; for data/image.c and the decoders only. */
#ifndef GUISE_CODEC_H
#define GUISE_CODEC_H

#include "data/image.h"

/* Ends the message about a picture that is damaged. */
#define SAVE_ANEW ": copy or save it anew"

/* The message when memory is gone; takes name, width, height. */
#define NO_MEMORY "%s: no memory for its %d x %d pixels: make it smaller, or use fewer threads"

/* Each takes a whole file, of which the first bytes are already known to be its format's.  0, or -1 with *out empty.
 * *orientation receives EXIF's number, 1 to 8, where the file has one. */
int png_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out, int *orientation);
int jpeg_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out, int *orientation);
int pnm_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out);

/* 0 if a picture of this size is accepted; otherwise -1 and a message. */
int image_check_size(unsigned long width, unsigned long height, const char *name);

/* Takes memory for width x height pixels of `channels` bytes each into out->rgb.  0, or -1 and a message. */
int image_alloc(Image *out, int width, int height, int channels, const char *name);

/* Orientation from an EXIF block (TIFF header onwards): 1 to 8; 1 where it says nothing or nonsense. */
int exif_orientation(const uint8_t *tiff, size_t size);

#endif
