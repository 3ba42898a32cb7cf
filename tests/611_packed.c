/* 611_packed.c - packed sets come back bit for bit, and no changed byte goes unnoticed. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <zlib.h>

#include "engine/engine.h"
#include "tests/folders.h"
#include "tests/sets.h"

static void assert_equal(const Faces *a, const Faces *b)
{
    ck_assert_int_eq(a->n, b->n);
    ck_assert_int_eq(a->size, b->size);
    ck_assert_int_eq(a->people, b->people);
    ck_assert_mem_eq(a->pixels, b->pixels, (size_t)a->n * faces_bytes(a));
    ck_assert_mem_eq(a->person, b->person, (size_t)a->n * 4);
    for (int p = 0; p < a->people; p++)
        ck_assert_str_eq(a->names[p], b->names[p]);
    for (int i = 0; i < a->n; i++)
        ck_assert_str_eq(a->sources[i], b->sources[i]);
}

TEST(there_and_back)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    Faces f = set_make(23, count_1_to_5, 9), g, h;
    MUST(faces_save(&f, path));
    MUST(faces_load(path, &g));
    assert_equal(&f, &g);
    g.pixels[0] ^= 1;   /* private: the file does not change */
    MUST(faces_load(path, &h));
    assert_equal(&f, &h);
    MUST(faces_save(&h, path));   /* over the file that is mapped */
    assert_equal(&f, &h);
    faces_free(&f);
    faces_free(&g);
    faces_free(&h);
    free(path);
    folder_remove(folder);
}

TEST(every_changed_byte_is_found)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    Faces f = set_make(5, count_1_to_5, 4), g;
    size_t size, bytes = faces_bytes(&f);
    MUST(faces_save(&f, path));
    char *file = file_read(path, &size);
    HAVE(file);
    size_t pixels = size - (size_t)f.n * bytes;
    for (size_t at = 0; at < size; at += at > 600 && at < pixels ? 13 : 1) {
        file[at] ^= 0x10;
        FILE *out = fopen(path, "wb");
        fwrite(file, 1, size, out);
        fclose(out);
        if (!faces_load(path, &g))
            ck_abort_msg("byte %zu changed, and nobody saw it", at);
        ck_assert_ptr_nonnull(strstr(error_text(), path));
        if (at >= pixels) {
            char told[128];
            int image = (int)((at - pixels) / bytes);
            snprintf(told, sizeof told, "at image %d (%s)", image, f.sources[image]);
            if (!strstr(error_text(), told))
                ck_abort_msg("byte %zu: \"%s\" is not in \"%s\"", at, told, error_text());
        }
        file[at] ^= 0x10;
    }
    free(file);
    faces_free(&f);
    free(path);
    folder_remove(folder);
}

TEST(truncated_and_foreign_files)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    Faces f = set_make(5, count_1_to_5, 4), g;
    size_t size;
    MUST(faces_save(&f, path));
    char *file = file_read(path, &size);
    HAVE(file);
    for (size_t cut = 0; cut < size; cut += 7) {
        FILE *out = fopen(path, "wb");
        fwrite(file, 1, cut, out);
        fclose(out);
        ck_assert_int_eq(faces_load(path, &g), -1);
        ck_assert_ptr_null(g.pixels);
    }
    ck_assert_int_eq(faces_load(folder, &g), -1);
    ck_assert_int_eq(faces_load("/nonexistent/x.faces", &g), -1);
    MUST(file_write(path, "hello", 5));
    ck_assert_int_eq(faces_load(path, &g), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "not a packed set"));
    free(file);
    faces_free(&f);
    free(path);
    folder_remove(folder);
}

/* A file whose checksums are right and whose numbers lie must not be believed either. */
TEST(lies_with_good_checksums)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    Faces f = set_make(5, count_1_to_5, 4), g;
    size_t size;
    MUST(faces_save(&f, path));
    char *good = file_read(path, &size);
    HAVE(good);
    static const uint32_t lies[] = {0, 1, 2, 6, 255, 65536, 0x7fffffff, 0x80000000u, 0xffffffffu};
    for (size_t at = 12; at < 64 + 16 * 4; at += 4) {
        for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
            char *bad = must_alloc(size);
            memcpy(bad, good, size);
            memcpy(bad + at, &lies[k], 4);
            uint32_t crc = (uint32_t)crc32(0, (Bytef *)bad + 64, 4096 - 64);
            if (at != 48)
                memcpy(bad + 48, &crc, 4);
            crc = (uint32_t)crc32(0, (Bytef *)bad, 60);
            memcpy(bad + 60, &crc, 4);
            FILE *out = fopen(path, "wb");
            fwrite(bad, 1, size, out);
            fclose(out);
            int same = !memcmp(bad, good, size), reserved = at >= 52 && at < 64, other_person = at >= 64;
            if (!faces_load(path, &g)) {
                for (int i = 1; i < g.n; i++)
                    ck_assert(g.person[i] == g.person[i - 1] || g.person[i] == g.person[i - 1] + 1);
                if (!same && !reserved && !other_person)
                    ck_abort_msg("%u at byte %zu was believed", lies[k], at);
                faces_free(&g);
            } else if (same) {
                ck_abort_msg("the file itself is refused: %s", error_text());
            }
            free(bad);
        }
    }
    free(good);
    faces_free(&f);
    free(path);
    folder_remove(folder);
}

TEST(full_disk)
{
    if (!file_exists("/dev/full"))
        SKIP("no /dev/full here");
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    char *temporary = must_printf("%s.%ld.tmp", path, (long)getpid());
    Faces f = set_make(5, count_1_to_5, 4), g;
    MUST(faces_save(&f, path));
    ck_assert_int_eq(symlink("/dev/full", temporary), 0);
    ck_assert_int_eq(faces_save(&f, path), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "No space left"));
    MUST(faces_load(path, &g));
    assert_equal(&f, &g);
    faces_free(&f);
    faces_free(&g);
    free(path);
    free(temporary);
    folder_remove(folder);
}

/* ---- made picture by picture ------------------------------------------------------------------------------------ */

enum { PEOPLE = 12, EACH = 5, ALL = PEOPLE * EACH, SIDE = 8 };

/* A list of pictures that are all there, with or without their checksums. */
static Manifest listed(const char *folder, int digests)
{
    Manifest m = manifest_create(folder);
    for (int i = 0; i < ALL; i++) {
        char name[64], who[16];
        snprintf(who, sizeof who, "p%03d", i / EACH);
        snprintf(name, sizeof name, "%s/%02d.ppm", who, i % EACH);
        put_picture(folder, name, 1000 * i);
        manifest_add(&m, name, who, NULL, NULL, NULL);
    }
    if (digests)
        ck_assert_int_eq(manifest_fill(&m, &(Told){0}, NULL, NULL), 0);
    m.strict = digests;
    return m;
}

static int stop_at(void *context, int done, int total)
{
    (void)total;
    return done >= *(int *)context;
}

static char *bytes_of(const char *path, size_t *size)
{
    char *bytes = file_read(path, size);
    HAVE(bytes);
    return bytes;
}

TEST(packed_is_what_is_read)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder), *part = must_printf("%s.part", path);
    Manifest m = listed(folder, 0);
    Faces f, g;
    MUST(faces_read(&m, SIDE, &f, NULL, NULL));
    MUST(faces_pack(&m, SIDE, path, NULL, NULL));
    MUST(faces_load(path, &g));
    assert_equal(&f, &g);
    ck_assert(!file_exists(part));
    faces_free(&f);
    faces_free(&g);
    ck_assert_int_eq(faces_pack(&m, 0, path, NULL, NULL), -1);
    ck_assert_int_eq(faces_pack(&m, SIDE, "/nowhere/x.faces", NULL, NULL), -1);
    ck_assert(!unlink(path) && !mkfifo(path, 0600));
    ck_assert_int_eq(faces_pack(&m, SIDE, path, NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "it is a device or pipe"));
    ck_assert(!file_exists(part));
    manifest_free(&m);
    free(path);
    free(part);
    folder_remove(folder);
}

typedef struct Packing {
    Manifest *m;
    const char *path;
    int bad;
    Faces *faces;
} Packing;

static void read_again(void *context)
{
    Packing *p = context;
    MUST(faces_read(p->m, SIDE, p->faces, NULL, NULL));
}

static void pack(void *context)
{
    Packing *p = context;
    p->bad = faces_pack(p->m, SIDE, p->path, NULL, NULL);
}

/* What a folder has that is no picture leaves no gap; a manifest must be true. */
TEST(packed_without_what_is_left_out)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder);
    Manifest m = listed(folder, 0);
    Faces f, g;
    put_text(folder, "p000/00.ppm", "no picture");
    for (int k = 0; k < EACH; k++) {
        char name[32];
        snprintf(name, sizeof name, "p004/%02d.ppm", k);
        put_text(folder, name, "P6");
    }
    put_text(folder, "p011/04.ppm", "");
    Packing p = {.m = &m, .path = path};
    char *text = heard(pack, &p);
    MUST(p.bad);
    HEARS(text, "left out: 7 of 60 pictures");
    ck_assert_int_eq(lines_of(text), 8);
    free(text);
    MUST(faces_load(path, &g));
    ck_assert_int_eq(g.n, ALL - 7);
    ck_assert_int_eq(g.people, PEOPLE - 1);
    free(heard(read_again, &(Packing){.m = &m, .faces = &f}));
    assert_equal(&f, &g);
    faces_free(&f);
    faces_free(&g);
    m.strict = 1;
    unlink(path);
    text = heard(pack, &p);
    ck_assert_int_eq(p.bad, -1);
    ck_assert(!file_exists(path));
    HEARS(error_text(), "7 of its 60 pictures are not as the manifest says");
    free(text);
    manifest_free(&m);
    free(path);
    folder_remove(folder);
}

TEST(an_interrupted_one_goes_on)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder), *part = must_printf("%s.part", path);
    char *whole = must_printf("%s/whole.faces", folder), *first = must_printf("%s/p000/00.ppm", folder);
    char *keep = must_printf("%s/kept.ppm", folder);
    Manifest m = listed(folder, 1);
    engine_threads(1);   /* so that the first picture is in when the first call says one is done */
    MUST(faces_pack(&m, SIDE, whole, NULL, NULL));
    for (int at = 1; at < ALL; at += 7) {
        ck_assert_int_eq(faces_pack(&m, SIDE, path, stop_at, &at), -1);
        ck_assert_ptr_nonnull(strstr(error_text(), "stopped"));
        ck_assert(file_exists(part) && !file_exists(path));
        ck_assert_int_eq(rename(first, keep), 0);   /* it is in already, and not read again */
        MUST(faces_pack(&m, SIDE, path, NULL, NULL));
        ck_assert_int_eq(rename(keep, first), 0);
        assert_same_files(whole, path);
        ck_assert(!file_exists(part));
        unlink(path);
    }
    free(path);
    free(part);
    free(whole);
    free(first);
    free(keep);
    manifest_free(&m);
    folder_remove(folder);
}

/* A part that is damaged or of something else is never believed. */
TEST(a_part_that_is_not_to_be_trusted)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder), *part = must_printf("%s.part", path);
    char *whole = must_printf("%s/whole.faces", folder);
    Manifest m = listed(folder, 1);
    int at = 40;
    size_t size, step;
    MUST(faces_pack(&m, SIDE, whole, NULL, NULL));
    ck_assert_int_eq(faces_pack(&m, SIDE, path, stop_at, &at), -1);
    char *good = bytes_of(part, &size);
    for (size_t k = 0; k < size; k += step) {
        step = k < 64 ? 1 : k < 400 || k + ALL >= size ? 7 : 211;
        char *bad = must_alloc(size);
        memcpy(bad, good, size);
        bad[k] ^= 1;
        MUST(file_write(part, bad, size));
        MUST(faces_pack(&m, SIDE, path, NULL, NULL));
        assert_same_files(whole, path);
        free(bad);
    }
    for (size_t k = 0; k < size; k += 997) {   /* cut */
        MUST(file_write(part, good, k));
        MUST(faces_pack(&m, SIDE, path, NULL, NULL));
        assert_same_files(whole, path);
    }
    MUST(file_write(part, good, size));   /* of another size, of other people */
    MUST(faces_pack(&m, 2 * SIDE, path, NULL, NULL));
    MUST(file_write(part, good, size));
    Faces f;
    for (int i = 0; i < EACH; i++)
        m.row[i].identity[0] = 'q';
    MUST(faces_pack(&m, SIDE, path, NULL, NULL));
    MUST(faces_load(path, &f));
    ck_assert_str_eq(f.names[PEOPLE - 1], "q000");
    faces_free(&f);
    free(good);
    free(path);
    free(part);
    free(whole);
    manifest_free(&m);
    folder_remove(folder);
}

TEST(one_program_at_a_time)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder), *part = must_printf("%s.part", path);
    Manifest m = listed(folder, 1);
    int file = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(flock(file, LOCK_EX), 0);
    ck_assert_int_eq(faces_pack(&m, SIDE, path, NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "another program is writing it"));
    close(file);
    MUST(faces_pack(&m, SIDE, path, NULL, NULL));
    manifest_free(&m);
    free(path);
    free(part);
    folder_remove(folder);
}

/* A limit on the size of files is met as a full disk is: before work begins. */
TEST(no_room_for_a_packed_file)
{
    char *folder = folder_make(), *path = must_printf("%s/set.faces", folder), *part = must_printf("%s.part", path);
    Manifest m = listed(folder, 1);
    struct rlimit limit;
    Faces f;
    MUST(faces_pack(&m, SIDE / 2, path, NULL, NULL));
    getrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){8000, limit.rlim_max});
    ck_assert_int_eq(faces_pack(&m, SIDE, path, NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "make room"));
    ck_assert(!file_exists(part));
    setrlimit(RLIMIT_FSIZE, &limit);
    MUST(faces_load(path, &f));   /* the old one is as it was */
    ck_assert_int_eq(f.size, SIDE / 2);
    faces_free(&f);
    MUST(faces_pack(&m, SIDE, path, NULL, NULL));
    manifest_free(&m);
    free(path);
    free(part);
    folder_remove(folder);
}

TEST_MAIN("packed", there_and_back, every_changed_byte_is_found, truncated_and_foreign_files, lies_with_good_checksums,
          full_disk, packed_is_what_is_read, packed_without_what_is_left_out, an_interrupted_one_goes_on,
          a_part_that_is_not_to_be_trusted, one_program_at_a_time, no_room_for_a_packed_file)
