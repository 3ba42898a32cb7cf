/* fuzz_packed.c - any bytes are a packed set, or refused: as they are, and with checksums put right, so that what is
 * behind them is met too: fuzz.h. */
#include "data/packed.h"

#include "tests/fuzz/fuzz.h"

static void read_it(const char *path)
{
    Faces f;
    if (faces_load(path, &f)) {
        CLAIM(!f.pixels && *error_text());
        return;
    }
    CLAIM(f.n > 0 && f.people > 0 && f.people <= f.n && f.person[0] == 0 && f.person[f.n - 1] == f.people - 1);
    int *first = faces_first(&f);
    CLAIM(first[f.people] == f.n);
    volatile uint8_t last = f.pixels[(size_t)f.n * faces_bytes(&f) - 1];
    (void)last;
    free(first);
    faces_free(&f);
}

static void put_right(uint8_t *bytes, size_t size)
{
    PackedHeader h;
    memcpy(&h, bytes, sizeof h);
    h.file_bytes = size;
    if (h.pixels_at >= sizeof h && h.pixels_at <= size) {
        size_t image = 3 * (size_t)(h.size & 0xffff) * (h.size & 0xffff);
        for (size_t i = 0; i < h.n && image && 68 + 4 * ((size_t)h.n + i) <= h.pixels_at &&
                           h.pixels_at + (i + 1) * image <= size; i++) {
            uint32_t crc = packed_crc(bytes + h.pixels_at + i * image, image);
            memcpy(bytes + 64 + 4 * ((size_t)h.n + i), &crc, 4);
        }
        h.index_crc = packed_crc(bytes + sizeof h, h.pixels_at - sizeof h);
    }
    h.header_crc = packed_crc(&h, offsetof(PackedHeader, header_crc));
    memcpy(bytes, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_file(data, size, read_it);
    if (size < sizeof(PackedHeader))
        return 0;
    uint8_t *copy = must_alloc(size);
    memcpy(copy, data, size);
    put_right(copy, size);
    fuzz_file(copy, size, read_it);
    free(copy);
    return 0;
}
