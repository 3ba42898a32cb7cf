/* fuzz_image.c - libFuzzer's entry for the picture readers: any bytes are a whole picture or an error.
 *
 *     clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_image.c data/image.c ... -o fuzz_image
 *     ./fuzz_image tests/fuzz/corpus/image
 *
 * With tests/fuzz/replay.c instead of libFuzzer it runs once over the files it is given. */
#include <stdint.h>
#include <stdlib.h>

#include "data/image.h"
#include "engine/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Image image;
    if (image_decode(data, size, "input", &image)) {
        if (image.rgb || !*error_text())
            abort();
        return 0;
    }
    if (image.width < 1 || image.height < 1 || image.width > IMAGE_MAX_SIDE || image.height > IMAGE_MAX_SIDE)
        abort();
    volatile uint8_t last = image.rgb[(size_t)image.width * (size_t)image.height * 3 - 1];
    (void)last;
    image_free(&image);
    return 0;
}
