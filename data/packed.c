/* packed.c - see packed.h and faces.h: a set of faces in one file, fit for memory mapping. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "data/packed.h"
#include "engine/error.h"
#include "engine/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed files are little-endian");

enum { VERSION = 1, PAGE = 4096 };
static const char magic[8] = "guisefac";   /* no zero byte at its end */

_Static_assert(sizeof(PackedHeader) == 64, "the header has no holes");

uint32_t packed_crc(const void *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}

static uint32_t header_crc(const PackedHeader *h)
{
    return packed_crc(h, offsetof(PackedHeader, header_crc));
}

uint64_t packed_pixels_at(uint64_t n, uint64_t text)
{
    return (sizeof(PackedHeader) + 8 * n + text + PAGE - 1) / PAGE * PAGE;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static char *append(char *to, const char *text)
{
    return stpcpy(to, text) + 1;
}

char *packed_index(const Faces *f, const uint32_t *crc, uint64_t pixels_at, PackedHeader *out)
{
    PackedHeader h = {.version = VERSION, .n = (uint32_t)f->n, .size = (uint32_t)f->size,
                      .people = (uint32_t)f->people};
    size_t n = (size_t)f->n;
    memcpy(h.magic, magic, sizeof magic);
    for (int p = 0; p < f->people; p++)
        h.text_bytes += strlen(f->names[p]) + 1;
    for (int i = 0; i < f->n; i++)
        h.text_bytes += strlen(f->sources[i]) + 1;
    h.pixels_at = pixels_at ? pixels_at : packed_pixels_at(n, h.text_bytes);
    h.file_bytes = h.pixels_at + n * faces_bytes(f);

    size_t bytes = h.pixels_at - sizeof h;
    char *index = must_zalloc(bytes), *text = index + 8 * n;
    memcpy(index, f->person, 4 * n);
    memcpy(index + 4 * n, crc, 4 * n);
    for (int p = 0; p < f->people; p++)
        text = append(text, f->names[p]);
    for (int i = 0; i < f->n; i++)
        text = append(text, f->sources[i]);
    h.index_crc = packed_crc(index, bytes);
    h.header_crc = header_crc(&h);
    *out = h;
    return index;
}

int faces_save(const Faces *f, const char *path)
{
    FileWriter w;
    PackedHeader h;
    size_t n = (size_t)f->n, bytes = faces_bytes(f);
    if (f->n < 1)
        return fail("%s: a set without images is not written", path);
    uint32_t *crc = must_alloc(4 * n);
    for (size_t i = 0; i < n; i++)
        crc[i] = packed_crc(f->pixels + i * bytes, bytes);
    char *index = packed_index(f, crc, 0, &h);
    int bad = file_open(&w, path);
    if (!bad) {
        fwrite(&h, 1, sizeof h, w.stream);   /* errors stay with the stream until file_commit */
        fwrite(index, 1, h.pixels_at - sizeof h, w.stream);
        fwrite(f->pixels, bytes, n, w.stream);
        bad = file_commit(&w);
    }
    free(index);
    free(crc);
    return bad;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

#define AGAIN "delete the file and make it again"

static int check_header(const PackedHeader *h, size_t file_bytes, const char *path)
{
    if (file_bytes < sizeof *h || memcmp(h->magic, magic, sizeof magic))
        return fail("%s: not a packed set of faces", path);
    if (h->version != VERSION)
        return fail("%s: version %u of the format, not %d: " AGAIN, path, h->version, VERSION);
    if (h->header_crc != header_crc(h))
        return fail("%s: checksum differs in the header: " AGAIN, path);
    if (h->file_bytes != file_bytes)
        return fail("%s: %zu bytes instead of %llu: " AGAIN, path, file_bytes, (unsigned long long)h->file_bytes);
    /* A sound checksum does not make the numbers sensible: a file may be made with intent. */
    uint64_t image = 3 * (uint64_t)h->size * h->size;
    if (!h->n || h->n > INT32_MAX || !h->people || h->people > h->n || !h->size || h->size > FACES_MAX_SIDE ||
        h->text_bytes > file_bytes || h->pixels_at > file_bytes || h->pixels_at % PAGE ||
        h->pixels_at < packed_pixels_at(h->n, h->text_bytes) || h->pixels_at + h->n * image != file_bytes)
        return fail("%s: counts that contradict each other: " AGAIN, path);
    return 0;
}

/* The next zero-ended text, NULL when there is none before `end`. */
static char *next_text(const char **at, const char *end)
{
    const char *text = *at, *zero = memchr(text, 0, (size_t)(end - text));
    if (!zero)
        return NULL;
    *at = zero + 1;
    return must_strdup(text);
}

static int read_index(Faces *f, const PackedHeader *h, const char *path)
{
    const char *index = (const char *)f->map + sizeof *h, *text = index + 8 * (size_t)h->n, *end = text + h->text_bytes;
    if (packed_crc(index, h->pixels_at - sizeof *h) != h->index_crc)
        return fail("%s: checksum differs in the index: " AGAIN, path);
    memcpy(f->person, index, 4 * (size_t)h->n);
    int bad = f->person[0] != 0 || f->person[f->n - 1] != f->people - 1;
    for (int i = 1; i < f->n && !bad; i++)
        bad = f->person[i] != f->person[i - 1] && f->person[i] != f->person[i - 1] + 1;
    for (int p = 0; p < f->people && !bad; p++)
        bad = !(f->names[p] = next_text(&text, end));
    for (int i = 0; i < f->n && !bad; i++)
        bad = !(f->sources[i] = next_text(&text, end));
    return bad || text != end ? fail("%s: an index that contradicts its counts: " AGAIN, path) : 0;
}

/* Pages that were checked are let go (they stay in the system's cache while there is room), so that checking a file
 * that is larger than memory needs little of it. */
static int check_images(const Faces *f, const char *path)
{
    enum { LET_GO = 64 << 20 };
    const uint32_t *crc = (const uint32_t *)((const char *)f->map + sizeof(PackedHeader)) + f->n;
    size_t bytes = faces_bytes(f), let_go = 0;
    for (int i = 0; i < f->n; i++) {
        size_t at = (size_t)(f->pixels - (uint8_t *)f->map) + (size_t)i * bytes;
        if (packed_crc(f->pixels + (size_t)i * bytes, bytes) != crc[i])
            return fail("%s: checksum differs at image %d (%s): " AGAIN, path, i, f->sources[i]);
        if (at + bytes - let_go > LET_GO) {
            madvise((char *)f->map + let_go, (at - let_go) / PAGE * PAGE, MADV_DONTNEED);
            let_go += (at - let_go) / PAGE * PAGE;
        }
    }
    return 0;
}

int faces_load(const char *path, Faces *out)
{
    struct stat info;
    Faces f = {0};
    *out = f;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return fail("%s: %s", path, strerror(errno));
    int bad = fstat(file, &info) || !S_ISREG(info.st_mode);
    if (bad || (size_t)info.st_size < sizeof(PackedHeader)) {
        close(file);
        return fail("%s: not a packed set of faces", path);
    }
    f.map_bytes = (size_t)info.st_size;
    f.map = mmap(NULL, f.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    close(file);
    if (f.map == MAP_FAILED)
        return fail("%s: cannot be mapped: %s", path, strerror(errno));
    PackedHeader h;
    memcpy(&h, f.map, sizeof h);
    if (check_header(&h, f.map_bytes, path)) {
        munmap(f.map, f.map_bytes);
        return -1;
    }
    f.n = (int)h.n;
    f.size = (int)h.size;
    f.people = (int)h.people;
    f.pixels = (uint8_t *)f.map + h.pixels_at;
    f.person = must_zalloc((size_t)f.n * sizeof *f.person);
    f.names = must_zalloc((size_t)f.people * sizeof *f.names);
    f.sources = must_zalloc((size_t)f.n * sizeof *f.sources);
    if (read_index(&f, &h, path) || check_images(&f, path)) {
        faces_free(&f);
        return -1;
    }
    *out = f;
    return 0;
}
