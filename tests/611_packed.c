/* 611_packed.c - packed sets come back bit for bit, and no changed byte goes unnoticed. */
#include <zlib.h>

#include "tests/pictures.h"
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

TEST_MAIN("packed", there_and_back, every_changed_byte_is_found, truncated_and_foreign_files, lies_with_good_checksums,
          full_disk)
