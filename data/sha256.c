/* sha256.c - see sha256.h.  Names follow FIPS 180-4: sections 4.1.2 (functions), 5.1.1 (padding), 6.2.2 (rounds). */
#include "data/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/error.h"

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void take_block(Sha256 *s, const uint8_t *p)
{
    uint32_t W[64], a = s->state[0], b = s->state[1], c = s->state[2], d = s->state[3], e = s->state[4],
                    f = s->state[5], g = s->state[6], h = s->state[7];
    for (int t = 0; t < 16; t++, p += 4)
        W[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int t = 16; t < 64; t++) {
        uint32_t x = W[t - 15], y = W[t - 2];
        W[t] = W[t - 16] + (rotated(x, 7) ^ rotated(x, 18) ^ x >> 3) + W[t - 7] +
               (rotated(y, 17) ^ rotated(y, 19) ^ y >> 10);
    }
    for (int t = 0; t < 64; t++) {
        uint32_t t1 = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) + K[t] + W[t];
        uint32_t t2 = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        s->state[i] += sum[i];
}

/* The first 32 bits of the fractional parts of the square roots of the first eight primes. */
void sha256_begin(Sha256 *s)
{
    *s = (Sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                            0x5be0cd19}};
}

void sha256_add(Sha256 *s, const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    size_t have = s->bytes % 64;
    s->bytes += size;
    if (have) {
        size_t n = size < 64 - have ? size : 64 - have;
        memcpy(s->block + have, p, n);
        p += n;
        size -= n;
        if (have + n < 64)
            return;
        take_block(s, s->block);
    }
    for (; size >= 64; p += 64, size -= 64)
        take_block(s, p);
    if (size)
        memcpy(s->block, p, size);
}

void sha256_end(Sha256 *s, char text[SHA256_DIGITS + 1])
{
    uint64_t bits = s->bytes * 8;
    uint8_t padding[72] = {0x80};
    size_t n = (s->bytes % 64 < 56 ? 56 : 120) - s->bytes % 64;
    for (int i = 0; i < 8; i++)
        padding[n + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, padding, n + 8);
    for (int i = 0; i < 8; i++)
        snprintf(text + 8 * i, 9, "%08x", s->state[i]);
}

void sha256_bytes(const void *bytes, size_t size, char text[SHA256_DIGITS + 1])
{
    Sha256 s;
    sha256_begin(&s);
    sha256_add(&s, bytes, size);
    sha256_end(&s, text);
}

int sha256_file(const char *path, char text[SHA256_DIGITS + 1])
{
    struct stat info;
    char piece[65536];
    Sha256 s;
    if (stat(path, &info))
        return fail("%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))   /* opening a pipe would wait for its writer */
        return fail("%s: not a file", path);
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail("%s: %s", path, strerror(errno));
    sha256_begin(&s);
    for (size_t got; (got = fread(piece, 1, sizeof piece, f)) > 0;)
        sha256_add(&s, piece, got);
    int why = ferror(f) ? errno : 0;
    fclose(f);
    if (why)
        return fail("%s: cannot be read: %s", path, strerror(why));
    sha256_end(&s, text);
    return 0;
}
