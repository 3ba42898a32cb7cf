/* image.c - see image.h. */
#include "data/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/codec.h"
#include "engine/error.h"
#include "engine/file.h"

/* ---- formats --------------------------------------------------------------------------------------------------- */

enum { MAGIC_BYTES = 16 };
typedef enum Format { UNKNOWN, PNG, JPEG, PNM } Format;

static Format format_of(const uint8_t *bytes, size_t size)
{
    if (size >= 8 && !memcmp(bytes, "\x89PNG\r\n\x1a\n", 8))
        return PNG;
    if (size >= 3 && !memcmp(bytes, "\xff\xd8\xff", 3))
        return JPEG;
    if (size >= 3 && bytes[0] == 'P' && memchr("2356", bytes[1], 4) && memchr(" \t\r\n#", bytes[2], 5))
        return PNM;
    return UNKNOWN;
}

int image_check_size(unsigned long width, unsigned long height, const char *name)
{
    if (!width || !height)
        return fail("%s: a picture of %lu x %lu pixels: the file is damaged" SAVE_ANEW, name, width, height);
    if (width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || width * height > IMAGE_MAX_PIXELS)
        return fail("%s: %lu x %lu pixels are more than is accepted (%d a side, %d in all): make it smaller", name,
                    width, height, IMAGE_MAX_SIDE, IMAGE_MAX_PIXELS);
    return 0;
}

int image_alloc(Image *out, int width, int height, int channels, const char *name)
{
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    *out = (Image){width, height, malloc(bytes)};
    if (!out->rgb) {
        *out = (Image){0};
        return fail(NO_MEMORY, name, width, height);
    }
    return 0;
}

void image_free(Image *image)
{
    free(image->rgb);
    *image = (Image){0};
}

/* ---- EXIF orientation ------------------------------------------------------------------------------------------ */

/* A TIFF file in small: byte order, offset of a directory, entries of (tag, type, count, value) in 12 bytes. */
int exif_orientation(const uint8_t *tiff, size_t size)
{
    if (size < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4)))
        return 1;
    int little = tiff[0] == 'I';
#define U16(p) (unsigned)(little ? (p)[0] | (p)[1] << 8 : (p)[1] | (p)[0] << 8)
    size_t at = little ? U16(tiff + 4) | (size_t)U16(tiff + 6) << 16 : U16(tiff + 6) | (size_t)U16(tiff + 4) << 16;
    if (at > size - 2)
        return 1;
    unsigned entries = U16(tiff + at);
    for (at += 2; entries-- && size >= 12 && at <= size - 12; at += 12) {
        unsigned value = U16(tiff + at + 8);
        if (U16(tiff + at) == 0x0112)
            return U16(tiff + at + 2) == 3 && value >= 1 && value <= 8 ? (int)value : 1;
    }
#undef U16
    return 1;
}

/* Numbers 5 to 8 exchange rows and columns; the flips are in the stored picture's coordinates. */
static int orient(Image *image, int orientation, const char *name)
{
    Image out, in = *image;
    int swap = orientation >= 5;
    int flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    int flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    if (orientation == 1)
        return 0;
    if (image_alloc(&out, swap ? in.height : in.width, swap ? in.width : in.height, 3, name)) {
        image_free(image);
        return -1;
    }
    uint8_t *to = out.rgb;
    for (int y = 0; y < out.height; y++) {
        for (int x = 0; x < out.width; x++, to += 3) {
            int from_x = swap ? y : x, from_y = swap ? x : y;
            from_x = flip_x ? in.width - 1 - from_x : from_x;
            from_y = flip_y ? in.height - 1 - from_y : from_y;
            memcpy(to, in.rgb + ((size_t)from_y * (size_t)in.width + (size_t)from_x) * 3, 3);
        }
    }
    image_free(image);
    *image = out;
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

/* What people have in such folders beside pictures that are read, by a few bytes at a place. */
#define BYTES(text) text, sizeof text - 1
static const struct {
    size_t at;
    const char *bytes;
    size_t n;
    const char *name;
} others[] = {
    {0, BYTES("BM"), "BMP"},     {0, BYTES("GIF8"), "GIF"},    {0, BYTES("II*\0"), "TIFF"}, {0, BYTES("MM\0*"), "TIFF"},
    {0, BYTES("P1\n"), "PBM"},   {0, BYTES("P4\n"), "PBM"},    {0, BYTES("P7\n"), "PAM"},   {0, BYTES("PF\n"), "PFM"},
    {0, BYTES("Pf\n"), "PFM"},   {8, BYTES("WEBP"), "WebP"},   {4, BYTES("ftyp"), "HEIC, AVIF or a film"},
};

static int no_picture(const uint8_t *bytes, size_t size, const char *name)
{
    static const char what[] = "not a PNG, JPEG, PGM or PPM picture";
    if (!size)
        return fail("%s: %s (it is empty)" SAVE_ANEW, name, what);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (size >= others[i].at + others[i].n && !memcmp(bytes + others[i].at, others[i].bytes, others[i].n))
            return fail("%s: %s, but %s: convert it to PNG", name, what, others[i].name);
    }
    return fail("%s: %s: take it away, or convert it to PNG", name, what);
}

int image_decode(const uint8_t *bytes, size_t size, const char *name, Image *out)
{
    int orientation = 1, bad;
    *out = (Image){0};
    switch (format_of(bytes, size)) {
    case PNG:
        bad = png_file_decode(bytes, size, name, out, &orientation);
        break;
    case JPEG:
        bad = jpeg_file_decode(bytes, size, name, out, &orientation);
        break;
    case PNM:
        bad = pnm_file_decode(bytes, size, name, out);
        break;
    default:
        return no_picture(bytes, size, name);
    }
    return bad ? -1 : orient(out, orientation, name);
}

/* The first bytes of an ordinary file and its size; how many there are, or -1 and a message. */
static int head_of(const char *path, uint8_t *head, long long *size)
{
    struct stat info;
    if (stat(path, &info))
        return fail("%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))   /* opening a pipe would wait for its writer */
        return fail("%s: not a file: take it away", path);
    *size = info.st_size;
    FILE *f = fopen(path, "rb");
    if (!f)
        return fail("%s: %s", path, strerror(errno));
    size_t got = fread(head, 1, MAGIC_BYTES, f);
    fclose(f);
    return (int)got;
}

int image_is_file(const char *path)
{
    uint8_t head[MAGIC_BYTES];
    long long size;
    int got = head_of(path, head, &size);
    return got > 0 && format_of(head, (size_t)got) != UNKNOWN;
}

uint8_t *image_file(const char *path, size_t *size)
{
    uint8_t head[MAGIC_BYTES];
    long long large = 0;
    int got = head_of(path, head, &large);
    if (got < 0)
        return NULL;
    if (format_of(head, (size_t)got) == UNKNOWN) {   /* not read whole, however large it is */
        no_picture(head, (size_t)got, path);
        return NULL;
    }
    if (large > IMAGE_MAX_BYTES) {
        fail("%s: %lld bytes are more than is accepted of a picture (%ld): make it smaller", path, large,
             IMAGE_MAX_BYTES);
        return NULL;
    }
    return (uint8_t *)file_read(path, size);
}

int image_read(const char *path, Image *out)
{
    size_t size;
    *out = (Image){0};
    uint8_t *bytes = image_file(path, &size);
    if (!bytes)
        return -1;
    int bad = image_decode(bytes, size, path, out);
    free(bytes);
    return bad;
}

/* ---- cropping and resampling ----------------------------------------------------------------------------------- */

void image_crop(const Image *in, int x, int y, int width, int height, Image *out)
{
    if (x < 0 || y < 0 || width < 1 || height < 1 || width > in->width - x || height > in->height - y)
        die("image_crop: %d x %d at (%d, %d) is not inside %d x %d", width, height, x, y, in->width, in->height);
    *out = (Image){width, height, must_alloc((size_t)width * (size_t)height * 3)};
    for (int row = 0; row < height; row++)
        memcpy(out->rgb + (size_t)row * (size_t)width * 3,
               in->rgb + ((size_t)(y + row) * (size_t)in->width + (size_t)x) * 3, (size_t)width * 3);
}

void image_crop_square(const Image *in, Image *out)
{
    int side = in->width < in->height ? in->width : in->height;
    image_crop(in, (in->width - side) / 2, (in->height - side) / 2, side, side, out);
}

/* The triangle's weights for one axis, for every target pixel a run of source pixels.
 * With centres at (j + 1/2) / from and (i + 1/2) / to, and half the base max(1 / from, 1 / to), the weight times
 * 2 * from * to is an integer: 2 max(from, to) - |(2j + 1) to - (2i + 1) from|. */
typedef struct Taps {
    int *first, *count;
    uint32_t *total;    /* at most 2 max(from, to)^2 / to: below 2^30 */
    uint16_t *weights;  /* (to, most); at most 2 * IMAGE_MAX_SIDE */
    int most;
} Taps;

static Taps taps_make(int from, int to)
{
    int64_t reach = 2 * (int64_t)(from > to ? from : to);
    size_t n = (size_t)to;
    Taps t = {must_alloc(n * sizeof(int)), must_alloc(n * sizeof(int)), must_alloc(n * sizeof(uint32_t)), NULL,
              (int)(reach / to) + 2};
    t.weights = must_alloc(n * (size_t)t.most * sizeof(uint16_t));
    for (int i = 0; i < to; i++) {
        int64_t centre = (2 * (int64_t)i + 1) * from, low = centre - reach;
        int j = low < 0 ? 0 : (int)(low / (2 * (int64_t)to));
        t.first[i] = -1;
        t.count[i] = 0;
        t.total[i] = 0;
        for (; j < from; j++) {
            int64_t off = llabs((2 * (int64_t)j + 1) * to - centre);
            if (off < reach) {
                t.first[i] = t.first[i] < 0 ? j : t.first[i];
                t.weights[(size_t)i * (size_t)t.most + (size_t)t.count[i]++] = (uint16_t)(reach - off);
                t.total[i] += (uint32_t)(reach - off);
            } else if (t.first[i] >= 0) {
                break;
            }
        }
    }
    return t;
}

static void taps_free(Taps *t)
{
    free(t->first);
    free(t->count);
    free(t->total);
    free(t->weights);
}

void image_resize(const Image *in, int width, int height, Image *out)
{
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE || in->width > IMAGE_MAX_SIDE ||
        in->height > IMAGE_MAX_SIDE)
        die("image_resize: %d x %d to %d x %d: sides are 1 to %d", in->width, in->height, width, height,
            IMAGE_MAX_SIDE);
    size_t row = (size_t)width * 3;
    Taps across = taps_make(in->width, width), down = taps_make(in->height, height);
    uint16_t *wide = must_alloc((size_t)in->height * row * sizeof(uint16_t));   /* rows resampled, in 1/256 */
    uint64_t *sums = must_alloc(row * sizeof(uint64_t));
    *out = (Image){width, height, must_alloc((size_t)height * row)};
    for (int y = 0; y < in->height; y++) {
        const uint8_t *source = in->rgb + (size_t)y * (size_t)in->width * 3;
        for (int x = 0; x < width; x++) {
            const uint8_t *p = source + (size_t)across.first[x] * 3;
            const uint16_t *w = across.weights + (size_t)x * (size_t)across.most;
            uint64_t r = 0, g = 0, b = 0, total = across.total[x];
            for (int k = 0; k < across.count[x]; k++, p += 3) {
                r += (uint32_t)w[k] * p[0];
                g += (uint32_t)w[k] * p[1];
                b += (uint32_t)w[k] * p[2];
            }
            uint16_t *to = wide + (size_t)y * row + (size_t)x * 3;
            to[0] = (uint16_t)((r * 256 + total / 2) / total);
            to[1] = (uint16_t)((g * 256 + total / 2) / total);
            to[2] = (uint16_t)((b * 256 + total / 2) / total);
        }
    }
    for (int y = 0; y < height; y++) {
        const uint16_t *w = down.weights + (size_t)y * (size_t)down.most;
        uint64_t total = (uint64_t)down.total[y] * 256;
        memset(sums, 0, row * sizeof *sums);
        for (int k = 0; k < down.count[y]; k++) {
            const uint16_t *source = wide + (size_t)(down.first[y] + k) * row;
            for (size_t i = 0; i < row; i++)
                sums[i] += (uint32_t)w[k] * source[i];   /* below 2^15 * 2^16 */
        }
        for (size_t i = 0; i < row; i++)
            out->rgb[(size_t)y * row + i] = (uint8_t)((sums[i] + total / 2) / total);
    }
    free(wide);
    free(sums);
    taps_free(&across);
    taps_free(&down);
}
