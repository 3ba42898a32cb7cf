/* 610_faces.c - sets of faces from folders, and what lies in folders that should not. */
#include "data/faces.h"

#include "tests/folders.h"

/* A PPM of one colour. */
static Bytes plain(int width, int height, uint8_t r, uint8_t g, uint8_t b)
{
    Bytes file = {0};
    char header[64];
    bytes_add(&file, header, (size_t)snprintf(header, sizeof header, "P6\n%d %d\n255\n", width, height));
    for (int i = 0; i < width * height; i++)
        bytes_add(&file, (uint8_t[]){r, g, b}, 3);
    return file;
}

static void put_plain(const char *folder, const char *name, int red)
{
    Bytes file = plain(9, 7, (uint8_t)red, 20, 30);
    put(folder, name, file.data, file.size);
    free(file.data);
}

typedef struct Calls {
    int count, last, total, stop_at;
} Calls;

static int count_calls(void *context, int done, int total)
{
    Calls *c = context;
    c->count++;
    ck_assert_int_ge(done, c->last);
    c->last = done;
    c->total = total;
    return c->stop_at && done >= c->stop_at;
}

TEST(people_and_images_in_byte_order)
{
    char *root = folder_make();
    put_plain(root, "zoe/b.ppm", 1);
    put_plain(root, "zoe/a.ppm", 2);
    put_plain(root, "Zoe/x.ppm", 3);
    put_plain(root, "\xc3\x84nne/10.ppm", 4);
    put_plain(root, "\xc3\x84nne/9.ppm", 5);
    put_plain(root, "a b,c/1.ppm", 6);
    static const char *const names[] = {"Zoe", "a b,c", "zoe", "\xc3\x84nne"};
    static const char *const sources[] = {"Zoe/x.ppm", "a b,c/1.ppm", "zoe/a.ppm", "zoe/b.ppm",
                                          "\xc3\x84nne/10.ppm", "\xc3\x84nne/9.ppm"};
    static const int red[] = {3, 6, 2, 1, 4, 5}, person[] = {0, 1, 2, 2, 3, 3};
    Faces f;
    Calls calls = {0};
    MUST(faces_from_folder(root, 4, &f, count_calls, &calls));
    ck_assert_int_eq(f.n, 6);
    ck_assert_int_eq(f.people, 4);
    ck_assert_int_eq(f.size, 4);
    for (int p = 0; p < 4; p++)
        ck_assert_str_eq(f.names[p], names[p]);
    for (int i = 0; i < 6; i++) {
        ck_assert_str_eq(f.sources[i], sources[i]);
        ck_assert_int_eq(f.person[i], person[i]);
        for (int k = 0; k < 48; k++)   /* planes of red, green, blue */
            ck_assert_int_eq(f.pixels[i * 48 + k], k < 16 ? red[i] : k < 32 ? 20 : 30);
    }
    int *first = faces_first(&f);
    ck_assert_mem_eq(first, ((int[]){0, 1, 2, 4, 6}), 5 * sizeof(int));
    free(first);
    ck_assert(calls.count >= 1 && calls.last == 6 && calls.total == 6);
    faces_free(&f);

    calls = (Calls){.stop_at = 1};
    ck_assert_int_eq(faces_from_folder(root, 4, &f, count_calls, &calls), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "stopped"));
    folder_remove(root);
}

typedef struct Reading {
    const char *root;
    Faces *faces;
    int bad;
} Reading;

static void read_folder(void *context)
{
    Reading *r = context;
    r->bad = faces_from_folder(r->root, 8, r->faces, NULL, NULL);
}

/* What standard error receives while a folder is read; the caller frees it. */
static char *heard_reading(const char *root, Faces *f, int *bad)
{
    Reading r = {root, f, 0};
    char *text = heard(read_folder, &r);
    *bad = r.bad;
    return text;
}

TEST(whatever_is_no_picture_is_left_out_and_told)
{
    char *root = folder_make();
    Faces f;
    int bad;
    put_plain(root, "ann/1.ppm", 1);
    put_plain(root, "ann/2.ppm", 2);
    put(root, "ann/3.jpg", "a text", 6);
    put(root, "ann/4.ppm", "P6\n9 9\n255\nabc", 14);
    put(root, "ann/.DS_Store", "hidden", 6);
    put(root, "bob/only.png", "\x89PNG\r\n\x1a\n", 8);
    put_plain(root, "cid/1.ppm", 3);
    put_plain(root, "cid/deeper/2.ppm", 3);
    put_plain(root, "stray.ppm", 3);
    char *empty = must_printf("%s/empty", root), *pipe = must_printf("mkfifo '%s/ann/pipe.jpg'", root);
    MUST(make_folders(empty));
    ck_assert_int_eq(system(pipe), 0);
    char *text = heard_reading(root, &f, &bad);
    MUST(bad);
    ck_assert_int_eq(f.n, 3);
    ck_assert_int_eq(f.people, 2);
    ck_assert_str_eq(f.names[1], "cid");
    ck_assert_str_eq(f.sources[1], "ann/2.ppm");
    ck_assert_int_eq(f.pixels[2 * 3 * 64], 3);
    static const char *const told[] = {
        "3.jpg: not a PNG", "4.ppm: not a whole", "only.png: not a whole", "deeper: a folder", "stray.ppm: not in",
        "empty: an empty", "pipe.jpg: not a file", "left out: 4 of 7 pictures",
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        if (!strstr(text, told[i]))
            ck_abort_msg("\"%s\" was not told of in:\n%s", told[i], text);
    ck_assert_int_eq(lines_of(text), 8);
    free(text);
    free(empty);
    free(pipe);
    faces_free(&f);
    folder_remove(root);
}

TEST(many_broken_pictures_make_few_lines)
{
    char *root = folder_make();
    Faces f;
    int bad;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "ann/%03d.jpg", i);
        put(root, name, "no", 2);
    }
    char *text = heard_reading(root, &f, &bad);
    ck_assert_int_eq(bad, -1);
    ck_assert_ptr_nonnull(strstr(error_text(), root));
    ck_assert_ptr_nonnull(strstr(error_text(), "none of its 200 pictures"));
    ck_assert_int_eq(lines_of(text), FACES_MAX_LINES + 1);
    ck_assert_ptr_nonnull(strstr(text, "099.jpg"));
    ck_assert_ptr_null(strstr(text, "100.jpg"));
    free(text);

    put_plain(root, "ann/100.jpg", 77);
    free(heard_reading(root, &f, &bad));
    MUST(bad);
    ck_assert_int_eq(f.n, 1);
    ck_assert_int_eq(f.pixels[0], 77);
    ck_assert_str_eq(f.sources[0], "ann/100.jpg");
    faces_free(&f);
    folder_remove(root);
}

TEST(folders_that_are_no_sets)
{
    char *root = folder_make(), *none = must_printf("%s/none", root);
    Faces f;
    int bad;
    free(heard_reading(root, &f, &bad));
    ck_assert_int_eq(bad, -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "no pictures"));
    ck_assert_int_eq(faces_from_folder(none, 8, &f, NULL, NULL), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "No such file"));
    put_plain(root, "p/1.ppm", 3);
    ck_assert_int_eq(faces_from_folder(root, 0, &f, NULL, NULL), -1);
    ck_assert_int_eq(faces_from_folder(root, FACES_MAX_SIDE + 1, &f, NULL, NULL), -1);
    free(none);
    folder_remove(root);
}

/* Wide and tall pictures lose their ends; the image comes back as it was put. */
TEST(centre_square)
{
    Faces f = faces_create(2, 6, 1);
    Image wide = {10, 6, noise(180, 1).data}, back;
    faces_set(&f, 1, &wide);
    faces_image(&f, 1, &back);
    for (int y = 0; y < 6; y++)
        ck_assert_mem_eq(back.rgb + y * 18, wide.rgb + (y * 10 + 2) * 3, 18);
    for (int k = 0; k < 108; k++)
        ck_assert_int_eq(f.pixels[k], 0);
    image_free(&wide);
    image_free(&back);
    faces_free(&f);
}

/* Real photographs, where there are any. */
TEST(photographs)
{
    const char *shared = getenv("GUISE_SHARED");
    char *root = must_printf("%s/data/lfw", shared ? shared : "../shared");
    if (!file_exists(root)) {
        free(root);
        SKIP("no photographs: GUISE_SHARED names no folder with data/lfw");
    }
    Faces f;
    MUST(faces_from_folder(root, 16, &f, NULL, NULL));
    ck_assert_int_eq(f.n, 4710);
    ck_assert_int_eq(f.people, 847);
    ck_assert_str_eq(f.names[0], "Aaron_Peirsol");
    faces_free(&f);
    free(root);
}

TEST_MAIN("faces", people_and_images_in_byte_order, whatever_is_no_picture_is_left_out_and_told,
          many_broken_pictures_make_few_lines, folders_that_are_no_sets, centre_square, photographs)
