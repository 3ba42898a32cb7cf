/* fuzz_png.c - PNG files: fuzz.h. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_picture_of(data, size, "\x89PNG\r\n\x1a\n", 8);
    return 0;
}
