/* 730_manifest.c - the program manifest as a user meets it, and packing that is killed, short of room, or larger than
 * what memory it takes. */
#include "tests/children.h"
#include "tests/folders.h"
#include "tests/sets.h"

/* `people` of `each` pictures. */
static void make_people(const char *root, int people, int each)
{
    for (int i = 0; i < people * each; i++)
        PUT_PICTURE(root, i, "p%03d/%02d.ppm", i / each, i % each);
}

static void flip(const char *path, size_t at)
{
    size_t size;
    char *bytes = file_read(path, &size);
    HAVE(bytes);
    bytes[at] ^= 1;
    FILE *out = fopen(path, "wb");
    fwrite(bytes, 1, size, out);
    fclose(out);
    free(bytes);
}

TEST(wrong_use)
{
    NEEDS("manifest");
    EXPECT(RUN(0, "manifest", "--help"), 0, "build LAYOUT FOLDER");
    EXPECT(RUN(0, "manifest", "--quiet"), 2, "is missing");
    EXPECT(RUN(0, "manifest", "verfy", "x"), 2, "no such command: did you mean verify?");
    EXPECT(RUN(0, "manifest", "verify"), 2, "verify: 0 names are given");
    EXPECT(RUN(0, "manifest", "verify", "a", "b"), 2, "verify: 2 names are given");
    EXPECT(RUN(0, "manifest", "pack", "x"), 2, "pack: --out FILE is missing");
    EXPECT(RUN(0, "manifest", "build", "lwf", "/tmp"), 1, "no such layout");
    EXPECT(RUN(0, "manifest", "build", "folder", "/nowhere"), 1, "manifest: /nowhere: No such file");
    EXPECT(RUN(0, "manifest", "verify", "/nowhere/m.csv"), 1, "manifest: /nowhere/m.csv: No such file");
    EXPECT(RUN(0, "manifest", "summary", "/etc/passwd"), 1, "not a manifest");
}

TEST(built_verified_and_one_byte_flipped)
{
    NEEDS("manifest");
    char *folder = folder_make(), *list = in(folder, "manifest.csv"), *one = in(folder, "p007/03.ppm");
    make_people(folder, 20, 10);
    EXPECT(RUN(0, "manifest", "build", "folder", folder), 0, "manifest.csv: 200 pictures of 20 people");
    EXPECT(RUN(0, "manifest", "build", "folder", folder), 0, "manifest.csv: 200 pictures of 20 people");   /* again */
    EXPECT(RUN(0, "manifest", "verify", list, "--threads", "2"), 0, "all 200 pictures of 20 people are as they were");
    flip(one, 14);
    Outcome o = RUN(0, "manifest", "verify", list, "--threads", "2", "--quiet");
    EXPECT(o, 1, "manifest.csv: line 75: ");
    EXPECT(o, 1, "p007/03.ppm: not the file of the manifest");
    EXPECT(o, 1, "1 fault in 200 pictures");
    ck_assert_int_eq(lines_of(o.text), 2);
    flip(one, 14);
    EXPECT(RUN(0, "manifest", "verify", list, "--quiet"), 0, "");
    unlink(one);
    EXPECT(RUN(0, "manifest", "verify", list), 1, "line 75: ");
    EXPECT(RUN(0, "manifest", "list", list), 0, "p019/09.ppm\n");
    EXPECT(RUN(0, "manifest", "split", list, "--seed", "3", "original=12", "test=6", "--quiet"), 0, "");
    o = RUN(0, "manifest", "summary", list);
    EXPECT(o, 0, "original         -                  12      120     10     10     10.0");
    EXPECT(o, 0, "200 of 200 pictures have a sha256");
    EXPECT(RUN(0, "manifest", "split", list, "original=12", "test=9"), 1, "it has 20 people, not 21");
    EXPECT(RUN(0, "manifest", "split", list, "original"), 2, "NAME=PEOPLE was expected");
    free(list);
    free(one);
    folder_remove(folder);
}

/* As many pictures as the paper's Original has. */
TEST(one_byte_among_18143_pictures)
{
    NEEDS("manifest");
    char *folder = folder_make(), *list = in(folder, "manifest.csv");
    Random r = random_stream(3, "byte", 0);
    int person = (int)random_below(&r, 482), image = (int)random_below(&r, 37), n = 0;
    for (int p = 0; p < 482; p++)
        for (int k = 0; k < count_of_the_paper(p); k++)
            PUT_PICTURE(folder, n++, "p%03d/%03d.ppm", p, k);
    EXPECT(RUN(0, "manifest", "build", "folder", folder), 0, "18143 pictures of 482 people");
    EXPECT(RUN(0, "manifest", "verify", list), 0, "all 18143 pictures of 482 people are as they were");
    char *name = must_printf("p%03d/%03d.ppm", person, image), *path = in(folder, name);
    flip(path, 11 + random_below(&r, 6));
    Outcome o = RUN(0, "manifest", "verify", list, "--quiet");
    EXPECT(o, 1, name);
    EXPECT(o, 1, "1 fault in 18143 pictures");
    ck_assert_int_eq(lines_of(o.text), 2);
    free(name);
    free(path);
    free(list);
    folder_remove(folder);
}

TEST(odd_files_do_not_stop_it)
{
    NEEDS("manifest");
    char *folder = folder_make(), *list = in(folder, "manifest.csv");
    make_people(folder, 2, 3);
    put_text(folder, "p000/text.png", "text");
    put_text(folder, "p001/empty.jpg", "");
    put_text(folder, "p001/cut.ppm", "P6\n9 9\n255\nabc");
    put_text(folder, "p001/huge.pgm", "P5 99999 99999 255\n");
    put_text(folder, "stray.txt", "text");
    Outcome o = RUN(0, "manifest", "build", "folder", folder, "--quiet");
    EXPECT(o, 1, "5 faults: see the lines above; --leave-out");
    ck_assert_int_eq(lines_of(o.text), 6);
    ck_assert(!file_exists(list));
    EXPECT(o, 1, "manifest: ");
    static const char *const told[] = {"text.png: not a PNG", "empty.jpg: not a PNG", "cut.ppm: not a whole PGM",
                                       "huge.pgm: 99999 x 99999 pixels are more", "stray.txt: not in the folder"};
    for (int i = 0; i < 5; i++)
        EXPECT(o, 1, told[i]);
    EXPECT(RUN(0, "manifest", "build", "folder", folder, "--leave-out"), 0, "6 pictures of 2 people");
    EXPECT(RUN(0, "manifest", "verify", list), 0, "all 6 pictures");
    char *packed = in(folder, "x.faces"), *part = in(folder, "x.faces.part");
    EXPECT(RUN(SMALL_FILES, "manifest", "pack", list, "--size", "64", "--out", packed), 1, "make room");
    ck_assert(!file_exists(packed) && !file_exists(part));
    free(packed);
    free(part);
    free(list);
    folder_remove(folder);
}

TEST(from_layouts_to_validation_and_test)
{
    NEEDS("manifest");
    char *folder = folder_make(), *london = in(folder, "london"), *multipie = in(folder, "multipie");
    char *frav2d = in(folder, "frav2d"), *all = in(folder, "all.csv");
    int n = 0;
    for (int p = 1; p <= 102; p++) {
        PUT_PICTURE(london, n++, "neutral_front/%03d_03.jpg", p);
        PUT_PICTURE(london, n++, "smiling_front/%03d_08.jpg", p);
    }
    for (int p = 1; p <= 249; p++)   /* 3 to 5 */
        for (int k = 1; k <= (p <= 3 ? 5 : 3 + p % 3); k++)
            PUT_PICTURE(multipie, n++, "session01/%03d_01_%02d.png", p, k);
    for (int p = 1; p <= 109; p++)
        for (int k = 1; k <= 32; k++)
            PUT_PICTURE(frav2d, n++, "%03d/%d.png", p, k);
    EXPECT(RUN(0, "manifest", "build", "london", london), 0, "204 pictures of 102 people");
    EXPECT(RUN(0, "manifest", "build", "multipie", multipie), 0, "999 pictures of 249 people");
    EXPECT(RUN(0, "manifest", "build", "frav2d", frav2d), 0, "3488 pictures of 109 people");
    char *a = in(london, "manifest.csv"), *b = in(multipie, "manifest.csv"), *c = in(frav2d, "manifest.csv");
    Outcome o = RUN(0, "manifest", "assemble", a, b, c, "--out", all);
    EXPECT(o, 0, "all.csv: 2511 pictures of 460 people");
    ck_assert_ptr_null(strstr(o.text, "the paper has"));
    EXPECT(o, 0, "validation       frav2d             55      660     12     12     12.0");
    EXPECT(o, 0, "validation       multipie          124      519      3      5      4.2");
    EXPECT(o, 0, "test             multipie          125      480      3      5      3.8");
    EXPECT(o, 0, "test             london             51      102      2      2      2.0");
    EXPECT(RUN(0, "manifest", "verify", all), 0, "all 2511 pictures of 460 people");
    EXPECT(RUN(0, "manifest", "assemble", a, b, "--out", all), 1, "0 people of the source frav2d");
    char *packed = in(folder, "test.faces");
    EXPECT(RUN(0, "manifest", "pack", all, "--only", "test", "--size", "16", "--out", packed), 0,
           "1230 pictures of 230 people");
    EXPECT(RUN(0, "manifest", "pack", all, "--only", "tset", "--out", packed), 1, "no picture is in the split tset");
    char *const names[] = {london, multipie, frav2d, all, a, b, c, packed};
    for (int i = 0; i < 8; i++)
        free(names[i]);
    folder_remove(folder);
}

TEST(pairs_of_lfw)
{
    NEEDS("manifest");
    char *folder = folder_make(), *list = in(folder, "manifest.csv"), *pairs = in(folder, "pairs.txt");
    char *out = in(folder, "pairs.csv");
    for (int i = 0; i < 8; i++)
        PUT_PICTURE(folder, i, "P_%d/P_%d_%04d.jpg", i / 2, i / 2, i % 2 + 1);
    put_text(folder, "pairs.txt", "2 1\nP_0 1 2\nP_0 1 P_1 2\nP_3 1 2\nP_3 1 P_2 2\n");
    EXPECT(RUN(0, "manifest", "build", "lfw", folder), 0, "8 pictures of 4 people");
    Outcome o = RUN(0, "manifest", "pairs", list, pairs, "--out", out);
    EXPECT(o, 0, "fold 1: 1 matching and 1 other pairs\nfold 2: 1 matching and 1 other pairs\n");
    size_t size;
    char *text = file_read(out, &size);
    HAVE(text);
    ck_assert_str_eq(text, "a,b,match,source_a,source_b\n0,1,1,P_0/P_0_0001.jpg,P_0/P_0_0002.jpg\n"
                           "0,3,0,P_0/P_0_0001.jpg,P_1/P_1_0002.jpg\n6,7,1,P_3/P_3_0001.jpg,P_3/P_3_0002.jpg\n"
                           "5,6,0,P_2/P_2_0002.jpg,P_3/P_3_0001.jpg\n");
    free(text);
    put_text(folder, "pairs.txt", "1 1\nP_0 1 7\nP_0 1 P_1 2\n");
    EXPECT(RUN(0, "manifest", "pairs", list, pairs), 1, "line 2: there is no picture 7 of P_0");
    free(list);
    free(pairs);
    free(out);
    folder_remove(folder);
}

/* ---- packing ----------------------------------------------------------------------------------------------------- */

/* One picture under many names. */
static void make_links(const char *folder, int people, int each)
{
    put_picture(folder, "one.ppm", 5);
    char *one = in(folder, "one.ppm"), *root = in(folder, "set");
    for (int i = 0; i < people * each; i++) {
        char *person = must_printf("%s/p%03d", root, i / each), *path = must_printf("%s/%02d.ppm", person, i % each);
        MUST(make_folders(person));
        ck_assert_int_eq(link(one, path), 0);
        free(person);
        free(path);
    }
    free(one);
    free(root);
}

/* Ended at any moment, it goes on there; the file is the same bytes as one that nobody touched. */
TEST(killed_while_packing)
{
    NEEDS("manifest");
    enum { PARTS = 8, TRIES = 60 };
    char *folder = folder_make(), *root = in(folder, "set"), *list = in(root, "manifest.csv");
    char *whole = in(folder, "whole.faces"), *path = in(folder, "set.faces"), *part = in(folder, "set.faces.part");
    char *const argv[] = {"manifest", "pack", list, "--size", "400", "--threads", "2", "--quiet", "--out", path, NULL};
    int killed = 0, parts = 0, nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    make_links(folder, 20, 10);
    EXPECT(RUN(0, "manifest", "build", "folder", root), 0, "200 pictures");
    EXPECT(RUN(0, "manifest", "pack", list, "--size", "400", "--out", whole), 0, "200 pictures of 20 people");
    Random r = random_stream(4, "kills", 0);
    useconds_t start = cost_of_start("manifest", nowhere).time;
    for (int i = 0; i < TRIES && parts < PARTS && !file_exists(path); i++) {
        pid_t pid = start_words(0, "manifest", (char **)argv, nowhere);
        usleep(start / 2 + random_below(&r, start / 2 + 60000));
        killed += !kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        parts += file_exists(part);
    }
    ck_assert_int_gt(killed, 0);
    EXPECT(RUN(0, "manifest", "pack", list, "--size", "400", "--out", path), 0, "200 pictures of 20 people");
    assert_same_files(whole, path);
    ck_assert(!file_exists(part));
    ck_assert_int_gt(parts, 0);
    close(nowhere);
    free(whole);
    free(path);
    free(part);
    free(list);
    free(root);
    folder_remove(folder);
}

/* The memory it takes does not grow with the file that it makes. */
TEST(packing_more_than_it_holds)
{
    NEEDS("manifest");
    enum { SIDE = 512, PICTURES = 300, MEGABYTES = 3 * SIDE * SIDE / 1024 * PICTURES / 1024 };   /* 225 */
    char *folder = folder_make(), *root = in(folder, "set"), *list = in(root, "manifest.csv");
    char *path = in(folder, "set.faces");
    char *const argv[] = {"manifest", "pack", list, "--size", "512", "--threads", "2", "--quiet", "--out", path, NULL};
    make_links(folder, 30, 10);
    EXPECT(RUN(0, "manifest", "build", "folder", root), 0, "300 pictures");
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    long before = cost_of_start("manifest", nowhere).megabytes;
    long held = cost_of_run("manifest", (char **)argv, nowhere).megabytes;
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_ge(info.st_size >> 20, MEGABYTES);
    ck_assert_msg(held - before < MEGABYTES / 2, "%ld MB held beside the %ld of any start, to make a file of %d",
                  held - before, before, MEGABYTES);
    close(nowhere);
    free(path);
    free(list);
    free(root);
    folder_remove(folder);
}

TEST_MAIN("manifest program", wrong_use, built_verified_and_one_byte_flipped, one_byte_among_18143_pictures,
          odd_files_do_not_stop_it, from_layouts_to_validation_and_test, pairs_of_lfw, killed_while_packing,
          packing_more_than_it_holds)
