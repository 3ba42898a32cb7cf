/* fuzz_pnm.c - PGM and PPM files, and whatever else the bytes happen to be: fuzz.h. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char magic[3] = {'P', size > 1 && memchr("2356", data[1], 4) ? (char)data[1] : '6',
                     size > 2 && memchr(" \t\r\n#", data[2], 5) ? (char)data[2] : '\n'};
    fuzz_picture(data, size);
    fuzz_picture_of(data, size, magic, 3);
    return 0;
}
