/* packed.h - the form of packed files; for packed.c, which reads and writes them, and pack.c, which makes them bit by
 * bit.
 *
 * Integers are little-endian; the sources build on such machines only.
 *
 *     0              header, 64 bytes; its last field is the CRC-32 of those before it
 *     64             person (n) int32
 *     64 + 4 n       crc (n) uint32: CRC-32 of each image's bytes
 *     64 + 8 n       the P names and then the n sources, each ended by a zero byte
 *                    zeros up to pixels_at, a multiple of 4096
 *     pixels_at      pixels (n, 3, S, S) bytes, to the end of the file
 *
 * index_crc covers everything from 64 to pixels_at, so that no byte of the file is unguarded. */
#ifndef GUISE_PACKED_H
#define GUISE_PACKED_H

#include "data/faces.h"

typedef struct PackedHeader {
    char magic[8];
    uint32_t version, n, size, people;
    uint64_t text_bytes, pixels_at, file_bytes;
    uint32_t index_crc, reserved[2], header_crc;
} PackedHeader;

uint32_t packed_crc(const void *bytes, size_t size);

/* Where pixels begin when `text` bytes of names and sources are stored. */
uint64_t packed_pixels_at(uint64_t n, uint64_t text);

/* Header and index of a set (its pixels are not looked at) whose images have these checksums and begin at `pixels_at`,
 * 0: as early as they may.  What stands between header and pixels; the caller frees it. */
char *packed_index(const Faces *faces, const uint32_t *crc, uint64_t pixels_at, PackedHeader *out);

#endif
