/* pack.c - see faces_pack in faces.h: a packed file made picture by picture, with no more memory than the pictures in
 * hand, by a program that may be ended at any moment.
 *
 * PATH.part has the place of every picture that the list names, and behind the pixels a byte for each, 1 once its
 * pixels and its checksum are in place:
 *
 *     0            header: what is being packed
 *     64 + 4 n     crc (n) uint32
 *     pixels_at    pixels (n, 3, S, S)
 *     states_at    state (n) bytes
 *
 * When all pictures are in, gaps that unusable ones left are closed, the index and the header of packed.h are written,
 * the states are cut off and the file gets its name.  From the first of these steps on the part cannot be taken up
 * again (`closing`): a program that is ended there begins anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/packed.h"
#include "engine/error.h"
#include "engine/file.h"

typedef struct PartHeader {
    char magic[8];
    uint32_t n, size, closing, reserved;
    uint64_t pixels_at;
    char key[32];         /* of the list: half of manifest_key's digits */
} PartHeader;
_Static_assert(sizeof(PartHeader) == 64, "the header has no holes");

static const char part_magic[8] = "guisepar";

typedef struct Part {
    int file;
    char *target, *path;  /* of the file to come, of the part */
    PartHeader header;
    size_t bytes;         /* of an image */
    uint32_t *crc;        /* (n) */
    uint8_t *state;       /* (n) */
} Part;

static int not_written(const Part *p)
{
    return fail("%s: not written: %s; make room or choose another place, and run again to go on", p->path,
                strerror(errno));
}

static int put(const Part *p, const void *bytes, size_t size, uint64_t at)
{
    for (const char *from = bytes; size;) {
        ssize_t n = pwrite(p->file, from, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return not_written(p);
        from += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static int get(const Part *p, void *bytes, size_t size, uint64_t at)
{
    for (char *to = bytes; size;) {
        ssize_t n = pread(p->file, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail("%s: cannot be read: %s", p->path, n ? strerror(errno) : "it ends early");
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

static uint64_t image_at(const Part *p, int i)
{
    return p->header.pixels_at + (uint64_t)i * p->bytes;
}

/* What an earlier program finished: only what its checksum confirms. */
static void take_up(Part *p)
{
    PartHeader h;
    int n = (int)p->header.n;
    uint8_t *pixels = must_alloc(p->bytes);
    memset(p->state, 0, (size_t)n);
    if (get(p, &h, sizeof h, 0) || memcmp(&h, &p->header, sizeof h) ||
        get(p, p->crc, 4 * (size_t)n, 64 + 4 * (uint64_t)n) || get(p, p->state, (size_t)n, image_at(p, n)))
        memset(p->state, 0, (size_t)n);
    for (int i = 0; i < n; i++)
        p->state[i] = p->state[i] == 1 && !get(p, pixels, p->bytes, image_at(p, i)) &&
                      packed_crc(pixels, p->bytes) == p->crc[i];
    free(pixels);
}

static void part_close(Part *p)
{
    if (p->file >= 0)
        close(p->file);
    free(p->target);
    free(p->path);
    free(p->crc);
    free(p->state);
}

/* Takes the part for this program alone, and room on the disk for all of it. */
static int part_open(Part *p, const Manifest *list, int size, const char *path)
{
    uint64_t text = 0, n = (uint64_t)list->n;
    for (int i = 0; i < list->n; i++)   /* more than will be stored: people are named once */
        text += strlen(list->row[i].path) + strlen(list->row[i].identity) + 2;
    *p = (Part){.file = -1, .bytes = 3 * (size_t)size * (size_t)size,
                .crc = must_zalloc(4 * n), .state = must_zalloc(n)};
    p->target = file_target(path);
    if (!p->target)
        return -1;
    p->path = must_printf("%s.part", p->target);
    p->header = (PartHeader){.n = (uint32_t)n, .size = (uint32_t)size, .pixels_at = packed_pixels_at(n, text)};
    memcpy(p->header.magic, part_magic, sizeof part_magic);
    char key[65];
    manifest_key(list, key);
    memcpy(p->header.key, key, sizeof p->header.key);
    p->file = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->file < 0)
        return fail("%s: cannot write here: %s", p->path, strerror(errno));
    if (flock(p->file, LOCK_EX | LOCK_NB))
        return fail("%s: another program is writing it: wait for it, or end it", p->path);
    struct stat held, there;   /* the one who had it may have finished and renamed it meanwhile */
    if (fstat(p->file, &held) || stat(p->path, &there) || held.st_ino != there.st_ino || held.st_dev != there.st_dev)
        return fail("%s: another program has just finished it: run again", p->path);
    take_up(p);
    int empty = 1;
    for (uint64_t i = 0; i < n && empty; i++)
        empty = !p->state[i];
    if (!empty)
        return 0;
    /* Zeros everywhere, and the header last: without it nothing is taken up. */
    int why = ftruncate(p->file, 0) ? errno : posix_fallocate(p->file, 0, (off_t)(image_at(p, (int)n) + n));
    if (why) {
        errno = why;
        not_written(p);
        unlink(p->path);
        return -1;
    }
    return put(p, &p->header, sizeof p->header, 0);
}

/* ---- filling ---------------------------------------------------------------------------------------------------- */

static int take(void *context, int i, const Image *picture)
{
    Part *p = context;
    uint8_t *pixels = must_alloc(p->bytes), done = 1;
    face_bytes(picture, (int)p->header.size, pixels);
    p->crc[i] = packed_crc(pixels, p->bytes);
    int bad = put(p, pixels, p->bytes, image_at(p, i)) ||
              put(p, &p->crc[i], 4, 64 + 4 * (uint64_t)p->header.n + 4 * (uint64_t)i) ||
              put(p, &done, 1, image_at(p, (int)p->header.n) + (uint64_t)i);
    free(pixels);
    if (bad)
        return -1;
    p->state[i] = 1;
    return 0;
}

/* Moves the usable pictures together, and names them in f. */
static int keep_usable(Part *p, const Manifest *list, Faces *f)
{
    uint8_t *pixels = must_alloc(p->bytes);
    int bad = 0;
    for (int i = 0; i < list->n && !bad; i++) {
        const ManifestRow *row = &list->row[i];
        if (!p->state[i])
            continue;
        if (!f->people || strcmp(f->names[f->people - 1], row->identity))
            f->names[f->people++] = must_strdup(row->identity);
        f->sources[f->n] = must_strdup(row->path);
        f->person[f->n] = f->people - 1;
        if (f->n < i) {
            bad = get(p, pixels, p->bytes, image_at(p, i)) || put(p, pixels, p->bytes, image_at(p, f->n));
            p->crc[f->n] = p->crc[i];
        }
        f->n++;
    }
    free(pixels);
    return bad;
}

/* The part becomes the file. */
static int finish(Part *p, const Manifest *list)
{
    Faces f = {.size = (int)p->header.size};
    size_t n = (size_t)list->n;
    PackedHeader h = {0};
    char *index = NULL;
    f.person = must_zalloc(n * sizeof *f.person);
    f.names = must_zalloc(n * sizeof *f.names);
    f.sources = must_zalloc(n * sizeof *f.sources);
    p->header.closing = 1;
    int bad = put(p, &p->header, sizeof p->header, 0) || keep_usable(p, list, &f);
    if (!bad) {
        index = packed_index(&f, p->crc, p->header.pixels_at, &h);
        bad = put(p, index, h.pixels_at - sizeof h, sizeof h) || put(p, &h, sizeof h, 0);
    }
    if (!bad && (ftruncate(p->file, (off_t)h.file_bytes) || fsync(p->file) || rename(p->path, p->target)))
        bad = not_written(p);
    free(index);
    faces_free(&f);
    return bad;
}

/* A full disk is no fault of the pictures. */
static int disk_failed(const Part *p, char *const *why, int n)
{
    size_t length = strlen(p->path);
    for (int i = 0; i < n; i++)
        if (why[i] && !strncmp(why[i], p->path, length) && why[i][length] == ':')
            return fail("%s", why[i]);
    return 0;
}

int faces_pack(Manifest *list, int size, const char *path, ManifestProgress progress, void *context)
{
    Part p;
    if (size < 1 || size > FACES_MAX_SIDE)
        return fail("image size %d is not from 1 to %d", size, FACES_MAX_SIDE);
    if (!list->n)
        return fail("no picture to read");
    manifest_sort(list);
    int bad = part_open(&p, list, size, path);
    if (!bad) {
        char **why = must_zalloc((size_t)list->n * sizeof *why);
        bad = manifest_read(list, p.state, take, &p, why, progress, context) < 0 || disk_failed(&p, why, list->n) ||
              faces_told(list, why) || finish(&p, list);
        for (int i = 0; i < list->n; i++)
            free(why[i]);
        free(why);
    }
    part_close(&p);
    return bad ? -1 : 0;
}
