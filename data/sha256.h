/* sha256.h - the checksum by which a manifest knows its files: SHA-256 of FIPS 180-4 (NIST, 2015). */
#ifndef GUISE_SHA256_H
#define GUISE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_DIGITS = 64 };

typedef struct Sha256 {
    uint32_t state[8];
    uint64_t bytes;       /* taken so far */
    uint8_t block[64];    /* the last bytes % 64 of them */
} Sha256;

void sha256_begin(Sha256 *s);
void sha256_add(Sha256 *s, const void *bytes, size_t size);
/* 64 lower-case hexadecimal digits and a zero. */
void sha256_end(Sha256 *s, char text[SHA256_DIGITS + 1]);

void sha256_bytes(const void *bytes, size_t size, char text[SHA256_DIGITS + 1]);
/* Of a file of any size, in small pieces.  0, or -1 and a message. */
int  sha256_file(const char *path, char text[SHA256_DIGITS + 1]);

#endif
