/* fuzz.h - what the fuzz targets share.  Each fuzz_KIND.c is one:
 *
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_png.c data/image.c ... -o fuzz_png
 *     ./fuzz_png tests/fuzz/corpus/png
 *
 * With tests/fuzz/replay.c instead of libFuzzer a target runs once over the files it is given: `make check` does. */
#ifndef GUISE_FUZZ_H
#define GUISE_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "data/image.h"
#include "engine/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLAIM(truth) do { if (!(truth)) abort(); } while (0)

/* Any bytes are a whole picture or an error with a message. */
static inline void fuzz_picture(const uint8_t *data, size_t size)
{
    Image image;
    if (image_decode(data, size, "input", &image)) {
        CLAIM(!image.rgb && *error_text());
        return;
    }
    CLAIM(image.width > 0 && image.height > 0 && image.width <= IMAGE_MAX_SIDE && image.height <= IMAGE_MAX_SIDE);
    volatile uint8_t last = image.rgb[(size_t)image.width * (size_t)image.height * 3 - 1];
    (void)last;
    image_free(&image);
}

/* The same for bytes that are made to begin like the format. */
static inline void fuzz_picture_of(const uint8_t *data, size_t size, const char *magic, size_t magic_bytes)
{
    uint8_t *copy = must_alloc(size + magic_bytes);
    size_t n = size < magic_bytes ? magic_bytes : size;
    memcpy(copy, magic, magic_bytes);
    if (size > magic_bytes)
        memcpy(copy + magic_bytes, data + magic_bytes, size - magic_bytes);
    uint8_t *exact = must_alloc(n);   /* so that reading beyond the end is seen */
    memcpy(exact, copy, n);
    fuzz_picture(exact, n);
    free(copy);
    free(exact);
}

/* The bytes as a file that lives in memory, for readers that take a path. */
static inline void fuzz_file(const uint8_t *data, size_t size, void (*read_it)(const char *path))
{
    char path[64];
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    CLAIM(file >= 0);
    CLAIM(!size || write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    read_it(path);
    close(file);
}

#endif
