/* pnm.c - PGM and PPM, text (P2, P3) and binary (P5, P6), 8 and 16 bit.
 *
 *     magic width height maximum <one white space> samples      # comments end with the line
 *
 * Samples above 255 take two bytes, the high one first.  What follows the first picture of a file is ignored. */
#include <stdlib.h>

#include "data/codec.h"
#include "engine/error.h"

typedef struct Reader {
    const uint8_t *next, *end;
} Reader;

static int is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next decimal number up to `most`, -1 where there is none or a larger one. */
static long number(Reader *r, long most)
{
    while (r->next < r->end && (is_space(*r->next) || *r->next == '#')) {
        if (*r->next == '#')
            while (r->next < r->end && *r->next != '\n' && *r->next != '\r')
                r->next++;
        else
            r->next++;
    }
    long value = -1;
    for (; r->next < r->end && *r->next >= '0' && *r->next <= '9'; r->next++) {
        value = (value < 0 ? 0 : value) * 10 + (*r->next - '0');
        if (value > most)
            return -1;
    }
    return value;
}

static int damaged(Image *out, const char *name, const char *what)
{
    image_free(out);
    return fail("%s: not a whole PGM or PPM picture: %s" SAVE_ANEW, name, what);
}

int pnm_file_decode(const uint8_t *bytes, size_t size, const char *name, Image *out)
{
    Reader r = {bytes + 2, bytes + size};
    int text = bytes[1] < '5', channels = bytes[1] == '3' || bytes[1] == '6' ? 3 : 1;
    long width = number(&r, 0x7fffffff), height = number(&r, 0x7fffffff), most = number(&r, 65535);
    if (width < 0 || height < 0 || most < 1)
        return damaged(out, name, "its header is not width, height and a maximum from 1 to 65535");
    if (image_check_size((unsigned long)width, (unsigned long)height, name))
        return -1;
    if (r.next == r.end || !is_space(*r.next))
        return damaged(out, name, "it ends in its header");
    r.next++;
    size_t samples = (size_t)width * (size_t)height * (size_t)channels, deep = most > 255 ? 2 : 1;
    /* In text a sample takes a digit and, but for the last, a space. */
    if ((size_t)(r.end - r.next) < (text ? 2 * samples - 1 : samples * deep))
        return damaged(out, name, "it ends early");
    if (image_alloc(out, (int)width, (int)height, 3, name))
        return -1;
    uint8_t *to = out->rgb;
    for (size_t i = 0; i < samples; i++) {
        long v;
        if (text) {
            v = number(&r, most);
        } else {
            v = deep == 2 ? r.next[0] << 8 | r.next[1] : r.next[0];
            r.next += deep;
        }
        if (v < 0 || v > most)
            return damaged(out, name, "a sample is missing or above the maximum");
        uint8_t byte = (uint8_t)((v * 255 + most / 2) / most);
        for (int copies = channels == 3 ? 1 : 3; copies--;)
            *to++ = byte;
    }
    return 0;
}
