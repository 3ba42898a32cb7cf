/* fuzz_jpeg.c - JPEG files: fuzz.h. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_picture_of(data, size, "\xff\xd8\xff", 3);
    return 0;
}
