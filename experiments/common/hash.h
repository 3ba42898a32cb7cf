/* hash.h - FNV-1a of 128 bits (Fowler, Noll, Vo; draft-eastlake-fnv): names of stages are made of it.
 * Not cryptographic: it tells apart configurations that nobody has chosen to collide. */
#ifndef GUISE_HASH_H
#define GUISE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct Hash {
    uint64_t high, low;
} Hash;

static inline Hash hash_bytes(const void *bytes, size_t size)
{
    __extension__ typedef unsigned __int128 Wide;
    const unsigned char *p = (const unsigned char *)bytes;
    Wide prime = (Wide)1 << 88 | 0x13B;
    Wide h = (Wide)0x6c62272e07bb0142u << 64 | 0x62b821756295c58du;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * prime;
    Hash out = {(uint64_t)(h >> 64), (uint64_t)h};
    return out;
}

static inline Hash hash_text(const char *text)
{
    return hash_bytes(text, strlen(text));
}

static inline int hash_equal(Hash a, Hash b)
{
    return a.high == b.high && a.low == b.low;
}

/* 32 digits and a zero. */
static inline void hash_print(Hash h, char text[33])
{
    snprintf(text, 33, "%016llx%016llx", (unsigned long long)h.high, (unsigned long long)h.low);
}

/* 16 digits and a zero, for names of folders: the halves folded together (as the draft advises) and then mixed
 * (Appleby's fmix64 of MurmurHash3), since the last bytes of a text reach few bits of FNV. */
static inline void hash_print_short(Hash h, char text[17])
{
    uint64_t x = h.high ^ h.low;
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    snprintf(text, 17, "%016llx", (unsigned long long)(x ^ x >> 33));
}

#endif
