/* 661_layouts.c - folders as the makers of data sets hand them out, their lists, and Validation and Test from three of
 * them with the paper's counts. */
#include "data/layouts.h"

#include "data/assemble.h"
#include "data/faces.h"
#include "data/layout_lists.h"
#include "tests/folders.h"

typedef struct Reading {
    const char *layout, *root;
    const char *lists[4];
    int bad;
    Manifest m;
} Reading;

static void read_layout(void *context)
{
    Reading *r = context;
    Told told = {.what = "told"};
    LayoutOpts o = {.lists = r->lists, .told = &told};
    while (o.n_lists < 4 && r->lists[o.n_lists])
        o.n_lists++;
    r->bad = layout_read(r->layout, r->root, &o, &r->m);
}

/* What was told; the caller frees it and r->m. */
static char *read_it(Reading *r)
{
    return heard(read_layout, r);
}

/* The list is exactly these rows: "path identity split". */
static void assert_rows(const Manifest *m, const char *source, const char *const *rows)
{
    int i = 0;
    for (; rows[i]; i++) {
        char row[600];
        ck_assert_msg(i < m->n, "%d rows, but %s was expected", m->n, rows[i]);
        snprintf(row, sizeof row, "%s %s %s", m->row[i].path, m->row[i].identity, m->row[i].split);
        ck_assert_str_eq(row, rows[i]);
        ck_assert_str_eq(m->row[i].source, source);
    }
    ck_assert_int_eq(m->n, i);
}

TEST(lfw)
{
    char *root = folder_make();
    put_picture(root, "Ann_Lee/Ann_Lee_0001.jpg", 1);
    put_picture(root, "Ann_Lee/Ann_Lee_0002.jpg", 2);
    put_picture(root, "Bo/Bo_0010.jpg", 3);
    put_text(root, "pairs.txt", "1\t1\n");
    put_text(root, "Bo/Bo_10.jpg", "?");
    put_text(root, "Bo/Ann_Lee_0003.jpg", "?");
    put_text(root, "stray.jpg", "?");
    char *slashes = must_printf("%s//", root);
    Reading r = {.layout = "lfw", .root = slashes};
    char *text = read_it(&r);
    MUST(r.bad);
    ck_assert_str_eq(r.m.root, root);
    assert_rows(&r.m, "lfw", (const char *[]){"Ann_Lee/Ann_Lee_0001.jpg Ann_Lee ", "Ann_Lee/Ann_Lee_0002.jpg Ann_Lee ",
                                              "Bo/Bo_0010.jpg Bo ", NULL});
    ck_assert_int_eq(lines_of(text), 3);
    HEARS(text, "Bo/Bo_10.jpg: not NAME_0000.jpg");
    HEARS(text, "Bo/Ann_Lee_0003.jpg: not NAME_0000.jpg");
    HEARS(text, "stray.jpg: not in the folder of a person");
    manifest_free(&r.m);
    free(text);
    free(slashes);
    folder_remove(root);
}

TEST(celeba)
{
    char *root = folder_make();
    for (int i = 1; i <= 4; i++)
        PUT_PICTURE(root, i, "img_align_celeba/%06d.jpg", i);
    put_text(root, "Anno/identity_CelebA.txt", "000001.jpg 2880\n000002.jpg 2937\r\n000003.jpg 2880\n000004.jpg 7\n");
    put_text(root, "Eval/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 1\n000003.jpg 0\n000004.jpg 2\n");
    Reading r = {.layout = "celeba", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "celeba", (const char *[]){"img_align_celeba/000004.jpg celeba-00007 test",
                                                 "img_align_celeba/000001.jpg celeba-02880 train",
                                                 "img_align_celeba/000003.jpg celeba-02880 train",
                                                 "img_align_celeba/000002.jpg celeba-02937 validation", NULL});
    ck_assert_str_eq(text, "");
    manifest_free(&r.m);
    free(text);

    put_text(root, "Eval/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 3\n\n000003.jpg\n000001.jpg 0\nx y z\n");
    text = read_it(&r);
    ck_assert_int_eq(r.bad, -1);
    HEARS(error_text(), "4 mistakes");
    HEARS(text, "list_eval_partition.txt: line 2: not the name of a picture and a number up to 2");
    HEARS(text, "line 4: not");
    HEARS(text, "line 5: 000001.jpg is in line 1 already");
    HEARS(text, "line 6: not");
    free(text);
    put_text(root, "Eval/list_eval_partition.txt", "4\n000001.jpg 0\n000002.jpg 1\n000003.jpg 0\n");
    text = read_it(&r);
    MUST(r.bad);
    HEARS(text, "line 4: 000004.jpg is in no partition");
    manifest_free(&r.m);
    free(text);
    char *anno = must_printf("%s/Anno", root);
    folder_remove(anno);
    text = read_it(&r);
    ck_assert_int_eq(r.bad, -1);
    HEARS(error_text(), "no identity_CelebA.txt");
    free(text);
    folder_remove(root);
}

TEST(frgc)
{
    char *root = folder_make();
    put_picture(root, "nd1/Fall2002/2002-247/04514d04.JPG", 1);
    put_picture(root, "nd1/Fall2002/2002-254/04514d10.jpg", 2);
    put_picture(root, "nd1/Spring2003/04201d302.jpg", 3);
    put_picture(root, "nd1/Spring2003/04201d304.jpg", 4);
    put_picture(root, "nd1/Spring2003/04201d306.png", 5);
    put_text(root, "nd1/Fall2003range/02463d550.abs.gz", "3-D");
    put_text(root, "nd1/Fall2003range/02463d551.ppm", "3-D");
    put_text(root, "nd1/readme.jpg", "none");
    put_text(root, "BEE_DIST/FRGC2.0/list.xml",
             "<?xml version=\"1.0\"?>\n<biometric-signature-set>\n"
             " <biometric-signature name=\"04514\"><presentation name=\"04514d04\" modality=\"still\" "
             "file-name=\"nd1/Fall2002/2002-247/04514d04.jpg\" file-format=\"jpeg\"/></biometric-signature>\n"
             " <biometric-signature name='04201'><presentation name='04201d304' file-name='04201d304.jpg'/>\n"
             " <presentation name='04201d999' file-name='nd1/Spring2003/04201d999.jpg'/></biometric-signature>\n"
             "</biometric-signature-set>\n");
    char *list = must_printf("%s/BEE_DIST/FRGC2.0/list.xml", root), *up = must_printf("%s/nd1", root);
    Reading r = {.layout = "frgc", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "frgc", (const char *[]){"nd1/Spring2003/04201d302.jpg frgc-04201 ",
                                               "nd1/Spring2003/04201d304.jpg frgc-04201 ",
                                               "nd1/Spring2003/04201d306.png frgc-04201 ",
                                               "nd1/Fall2002/2002-247/04514d04.JPG frgc-04514 ",
                                               "nd1/Fall2002/2002-254/04514d10.jpg frgc-04514 ", NULL});
    ck_assert_str_eq(text, "");
    manifest_free(&r.m);
    free(text);

    r = (Reading){.layout = "frgc", .root = up, .lists = {list}};   /* the list's paths begin above the root */
    text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "frgc", (const char *[]){"Spring2003/04201d304.jpg frgc-04201 ",
                                               "Fall2002/2002-247/04514d04.JPG frgc-04514 ", NULL});
    ck_assert_int_eq(lines_of(text), 1);
    HEARS(text, "list.xml: line 5: nd1/Spring2003/04201d999 is not there");
    manifest_free(&r.m);
    free(text);
    free(list);
    free(up);
    folder_remove(root);
}

TEST(multipie)
{
    char *root = folder_make();
    put_picture(root, "data/session01/multiview/001/01/05_1/001_01_01_051_07.png", 1);
    put_picture(root, "data/session01/multiview/001/01/05_1/001_01_01_051_08.png", 2);
    put_picture(root, "data/session01/multiview/001/01/19_0/001_01_01_190_07.png", 3);
    put_picture(root, "data/session01/multiview/002/02/05_1/002_01_02_051_07.png", 4);
    put_text(root, "data/session01/notes.txt", "");
    Reading r = {.layout = "multipie", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "multipie",
                (const char *[]){"data/session01/multiview/001/01/05_1/001_01_01_051_07.png multipie-001 ",
                                 "data/session01/multiview/002/02/05_1/002_01_02_051_07.png multipie-002 ", NULL});
    manifest_free(&r.m);
    free(text);
    put_picture(root, "data/session01/highres/001/001_01_01.jpg", 5);
    put_picture(root, "data/session01/highres/002/002_01_02.png", 6);
    text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "multipie", (const char *[]){"data/session01/highres/001/001_01_01.jpg multipie-001 ",
                                                   "data/session01/highres/002/002_01_02.png multipie-002 ", NULL});
    manifest_free(&r.m);
    free(text);
    folder_remove(root);
}

TEST(frav2d)
{
    char *root = folder_make();
    put_picture(root, "001/01.ppm", 1);
    put_picture(root, "001/a b.jpg", 2);
    put_picture(root, "002_05.png", 3);
    put_picture(root, "002-06.png", 4);
    put_picture(root, "003/deeper/1.png", 5);
    put_picture(root, "name.png", 6);
    put_text(root, "001/Thumbs.db", "x");
    Reading r = {.layout = "frav2d", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "frav2d", (const char *[]){"001/01.ppm frav2d-001 ", "001/a b.jpg frav2d-001 ",
                                                 "002-06.png frav2d-002 ", "002_05.png frav2d-002 ", NULL});
    manifest_free(&r.m);
    free(text);
    folder_remove(root);
}

TEST(london)
{
    char *root = folder_make();
    put_picture(root, "neutral_front/neutral_front/001_03.jpg", 1);
    put_picture(root, "smiling_front/001_08.jpg", 2);
    put_picture(root, "smiling_front/173_08.jpg", 3);
    put_picture(root, "neutral_left_3quarter/001_02.jpg", 4);
    put_picture(root, "not_neutral_front/002_03.jpg", 5);
    put_text(root, "neutral_front/neutral_front/001_03.tem", "landmarks");
    put_text(root, "london_faces_info.csv", "face_id\n");
    Reading r = {.layout = "london", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "london", (const char *[]){"neutral_front/neutral_front/001_03.jpg london-001 ",
                                                 "smiling_front/001_08.jpg london-001 ",
                                                 "smiling_front/173_08.jpg london-173 ", NULL});
    manifest_free(&r.m);
    free(text);
    char *inner = must_printf("%s/smiling_front", root);   /* straight in it */
    r = (Reading){.layout = "london", .root = inner};
    text = read_it(&r);
    ck_assert_int_eq(r.bad, -1);
    HEARS(error_text(), "no picture with a name of this set");
    free(text);
    free(inner);
    folder_remove(root);
}

TEST(lists_of_names)
{
    char *root = folder_make(), *list = must_printf("%s/list.txt", root), *more = must_printf("%s/more.txt", root);
    for (int i = 0; i < 4; i++)
        PUT_PICTURE(root, i, "p%d/x%d.png", i / 2, i % 2);
    put_text(root, "list.txt", "# some\n\n p0/x1.png \nx0.jpg\nnobody.png\n");
    put_text(root, "more.txt", "p1/x1\n");
    Reading r = {.layout = "folder", .root = root, .lists = {list, more}};
    char *text = read_it(&r);
    MUST(r.bad);
    assert_rows(&r.m, "", (const char *[]){"p0/x0.png p0 ", "p0/x1.png p0 ", "p1/x0.png p1 ", "p1/x1.png p1 ", NULL});
    HEARS(text, "list.txt: line 5: nobody is not there");
    manifest_free(&r.m);
    free(text);
    r.lists[1] = NULL;
    text = read_it(&r);
    MUST(r.bad);
    ck_assert_int_eq(r.m.n, 3);
    manifest_free(&r.m);
    free(text);
    put_text(root, "list.txt", "someone\n");
    text = read_it(&r);
    ck_assert_int_eq(r.bad, -1);
    HEARS(error_text(), "none of its 4 pictures is in the lists");
    free(text);
    put_text(root, "list.txt", "# nothing\n");
    free(read_it(&r));
    HEARS(error_text(), "it names no picture");
    free(list);
    free(more);
    folder_remove(root);
}

TEST(no_such_layout_or_folder)
{
    Told told = {0};
    LayoutOpts o = {.told = &told};
    Manifest m;
    ck_assert_int_eq(layout_read("lwf", "/tmp", &o, &m), -1);
    HEARS(error_text(), "no such layout");
    for (const Layout *l = layouts; l->name; l++) {
        ck_assert_int_eq(layout_read(l->name, "/nowhere/at/all", &o, &m), -1);
        HEARS(error_text(), "/nowhere/at/all: ");
        ck_assert_ptr_null(m.root);
    }
}

/* ---- a folder of odd files --------------------------------------------------------------------------------------- */

typedef struct Filling {
    Manifest *m;
    Told told;
    int faults;
} Filling;

static void fill(void *context)
{
    Filling *f = context;
    f->faults = manifest_fill(f->m, &f->told, NULL, NULL);
}

TEST(odd_files_line_by_line)
{
    char *root = folder_make();
    Bytes raw = noise(12, 3);
    PngSpec s = {.width = 2, .height = 2, .color = 2, .depth = 8, .rows = raw.data};
    Bytes png = png_make(&s);
    put(root, "ann/a_png.jpg", png.data, png.size);                 /* read: the content decides */
    put(root, "ann/one_pixel.ppm", "P6\n1 1\n255\nabc", 14);        /* read */
    put(root, "ann/not\xff\xfeutf8.png", png.data, png.size);       /* read */
    put(root, "ann/cut.png", png.data, png.size / 2);
    put_text(root, "ann/empty.png", "");
    put_text(root, "ann/text.png", "once upon a time");
    put_text(root, "ann/huge.ppm", "P6\n60000 60000\n255\n");
    put_text(root, "ann/line\nfeed.png", "x");
    put_picture(root, "ann/closed.ppm", 5);
    put_picture(root, "ann/folder.png/inner.ppm", 6);
    char *command = must_printf("cd '%s/ann' && ln -s loop.png loop.png && ln -s nothing.png gone.png "
                                "&& mkfifo pipe.png && ln -s .. up && chmod 0 closed.ppm", root);
    ck_assert_int_eq(system(command), 0);
    free(command);
    Reading r = {.layout = "folder", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    HEARS(text, "folder.png: a folder inside a person's folder is not read");
    HEARS(text, "ann/up: a folder inside a person's folder is not read");
    ck_assert_int_eq(lines_of(text), 2);
    free(text);
    Filling f = {.m = &r.m};
    text = heard(fill, &f);
    int root_reads_all = !geteuid();
    static const char *const told[] = {
        "cut.png: not a whole PNG picture", "empty.png: not a PNG, JPEG, PGM or PPM picture (it is empty)",
        "text.png: not a PNG, JPEG, PGM or PPM picture", "huge.ppm: 60000 x 60000 pixels are more than is accepted",
        "line?feed.png: not a PNG", "loop.png: Too many levels of symbolic links", "gone.png: No such file",
        "pipe.png: not a file",
    };
    int wanted = (int)(sizeof told / sizeof *told);
    for (int i = 0; i < wanted; i++)
        HEARS(text, told[i]);
    if (!root_reads_all)
        HEARS(text, "closed.ppm: Permission denied");
    ck_assert_int_eq(lines_of(text), wanted + !root_reads_all);
    ck_assert_int_eq(f.faults, wanted + !root_reads_all);
    ck_assert_int_eq(r.m.n, 3 + root_reads_all);
    free(text);
    manifest_free(&r.m);
    free(png.data);
    free(raw.data);
    folder_remove(root);
}

/* A walk through a tree meets links back up, and goes on. */
TEST(links_in_circles)
{
    char *root = folder_make();
    put_picture(root, "nd1/Fall2002/04514d04.JPG", 1);
    char *command = must_printf("cd '%s' && ln -s .. nd1/Fall2002/up && ln -s nd1 other && ln -s x x", root);
    ck_assert_int_eq(system(command), 0);
    Reading r = {.layout = "frgc", .root = root};
    char *text = read_it(&r);
    MUST(r.bad);
    HEARS(text, "up: a link back to a folder above it");
    ck_assert_int_eq(r.m.n, 2);   /* by its own name and through the link beside it */
    manifest_free(&r.m);
    free(text);
    free(command);
    folder_remove(root);
}

/* ---- pairs of LFW ------------------------------------------------------------------------------------------------ */

typedef struct PairReading {
    const Manifest *m;
    const char *text;
    int bad, folds, *fold;
    Pairs pairs;
} PairReading;

static void read_pairs(void *context)
{
    PairReading *r = context;
    Told told = {0};
    r->bad = lfw_pairs_parse(r->text, strlen(r->text), "pairs.txt", r->m, &told, &r->pairs, &r->fold, &r->folds);
}

static Manifest lfw_people(int people, int each)
{
    Manifest m = manifest_create(".");
    for (int i = 0; i < people * each; i++) {
        char path[64], who[16];
        snprintf(who, sizeof who, "P_%03d", i / each);
        snprintf(path, sizeof path, "%s/%s_%04d.jpg", who, who, i % each + 1);
        manifest_add(&m, path, who, NULL, "lfw", NULL);
    }
    manifest_sort(&m);
    return m;
}

TEST(ten_folds_of_lfw)
{
    enum { EACH = 300 };
    Manifest m = lfw_people(200, 4);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "10\t%d\n", EACH);
    for (int f = 0; f < 10; f++) {   /* a fold has twenty people of its own */
        for (int i = 0; i < EACH; i++)
            fprintf(out, "P_%03d\t%d\t%d\n", f * 20 + i % 20, 1 + i / 20 % 3, 4);
        for (int i = 0; i < EACH; i++)
            fprintf(out, "P_%03d\t%d\tP_%03d\t%d\n", f * 20 + i % 20, 1 + i % 4, f * 20 + (i + 1 + i / 20) % 20, 2);
    }
    fclose(out);
    PairReading r = {.m = &m, .text = text};
    char *told = heard(read_pairs, &r);
    MUST(r.bad);
    ck_assert_str_eq(told, "");
    ck_assert_int_eq(r.folds, 10);
    ck_assert_int_eq(r.pairs.n, 6000);
    int count[10][2] = {{0}};
    for (int i = 0; i < 6000; i++) {
        const ManifestRow *a = &m.row[r.pairs.a[i]], *b = &m.row[r.pairs.b[i]];
        ck_assert_int_lt(r.pairs.a[i], r.pairs.b[i]);
        ck_assert_int_eq(!strcmp(a->identity, b->identity), r.pairs.match[i]);
        ck_assert_int_eq(r.fold[i], i / 600);
        ck_assert_int_eq(atoi(a->identity + 2) / 20, r.fold[i]);
        count[r.fold[i]][r.pairs.match[i]]++;
    }
    for (int f = 0; f < 10; f++)
        ck_assert_mem_eq(count[f], ((int[]){EACH, EACH}), sizeof count[f]);
    ck_assert_str_eq(m.row[r.pairs.a[0]].path, "P_000/P_000_0001.jpg");
    ck_assert_str_eq(m.row[r.pairs.b[0]].path, "P_000/P_000_0004.jpg");
    pairs_free(&r.pairs);
    free(r.fold);
    free(text);
    free(told);
    manifest_free(&m);
}

TEST(mistakes_in_pairs)
{
    Manifest m = lfw_people(3, 2);
    PairReading r = {.m = &m, .text = "1 3\nP_000 1 2\nP_000 1\nP_001 1 3\nP_000 1 P_001 1\nP_000 1 P_000 2\n"
                                      "P_009 1 P_001 1\n"};
    char *told = heard(read_pairs, &r);
    ck_assert_int_eq(r.bad, -1);
    HEARS(error_text(), "pairs.txt: 4 mistakes");
    HEARS(told, "line 3: not a name and two numbers");
    HEARS(told, "line 4: there is no picture 3 of P_001");
    HEARS(told, "line 6: not a pair of two people");
    HEARS(told, "line 7: there is no picture 1 of P_009");
    free(told);
    static const struct { const char *text, *why; } bad[] = {
        {"", "not the number of folds"}, {"x\n", "not the number of folds"}, {"10 300 3\n", "not the number"},
        {"1000 9999999\n", "not the number"}, {"1 1\nP_000 1 2\n", "ends before its 2 pairs"},
        {"1\nP_000 1 2\nP_000 1 P_001 1\nP_000 1 P_001 2\n", "line 4: more than its 2 pairs"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = (PairReading){.m = &m, .text = bad[i].text};
        told = heard(read_pairs, &r);
        ck_assert_int_eq(r.bad, -1);
        ck_assert_msg(strstr(told, bad[i].why) || strstr(error_text(), bad[i].why), "%s: %s%s", bad[i].text, told,
                      error_text());
        ck_assert_ptr_null(r.pairs.a);
        free(told);
    }
    manifest_free(&m);
}

/* ---- Validation and Test ---------------------------------------------------------------------------------------- */

static void add_people(Manifest *m, const char *source, int people, int (*count)(int person))
{
    for (int p = 0; p < people; p++) {
        for (int k = 0; k < count(p); k++) {
            char path[64], who[32];
            snprintf(who, sizeof who, "%s-%03d", source, p + 1);
            snprintf(path, sizeof path, "%s/%03d/%d.png", source, p + 1, k + 1);
            manifest_add(m, path, who, NULL, source, NULL);
        }
    }
}

static int two(int person) { (void)person; return 2; }
static int thirty_two(int person) { (void)person; return 32; }
static int five(int person) { (void)person; return 5; }
/* 3 to 5, 999 in all for 249 people. */
static int three_to_five(int person) { return person < 3 ? 5 : 3 + person % 3; }

typedef struct Assembling {
    Manifest *m;
    uint64_t seed;
    int bad;
} Assembling;

static void assemble(void *context)
{
    Assembling *a = context;
    Told notes = {0};
    a->bad = manifest_assemble(a->m, a->seed, &notes);
}

static Manifest three_sources(int (*multipie)(int person))
{
    Manifest m = manifest_create(".");
    add_people(&m, "london", 102, two);
    add_people(&m, "multipie", 249, multipie);
    add_people(&m, "frav2d", 109, thirty_two);
    manifest_add(&m, "frgc/1.jpg", "frgc-1", "original", "frgc", NULL);
    return m;
}

static int multipie_total(int (*count)(int person))
{
    int n = 0;
    for (int p = 0; p < 249; p++)
        n += count(p);
    return n;
}

TEST(validation_and_test_of_the_paper)
{
    ck_assert_int_eq(multipie_total(three_to_five), 999);
    char first[2511 + 1] = "";
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Manifest m = three_sources(three_to_five);
        Assembling a = {.m = &m, .seed = seed};
        char *told = heard(assemble, &a), sets[2511 + 1] = "";
        MUST(a.bad);
        ck_assert_str_eq(told, "");
        ck_assert_int_eq(m.n, 1281 + 1230 + 1);
        int *start, people = manifest_people(&m, &start), of[2] = {0}, images[2] = {0}, source[2][3] = {{0}};
        for (int p = 0; p < people; p++) {
            const ManifestRow *r = &m.row[start[p]];
            if (!strcmp(r->source, "frgc")) {
                ck_assert_str_eq(r->split, "original");
                continue;
            }
            int test = !strcmp(r->split, "test"), n = start[p + 1] - start[p];
            ck_assert(test || !strcmp(r->split, "validation"));
            for (int i = start[p]; i < start[p + 1]; i++)
                ck_assert_str_eq(m.row[i].split, r->split);
            of[test]++;
            images[test] += n;
            source[test][*r->source == 'l' ? 0 : *r->source == 'm' ? 1 : 2]++;
            sets[p] = test ? 't' : 'v';
            if (!strcmp(r->identity, "frav2d-001")) {   /* the first twelve by number */
                ck_assert_int_eq(n, 12);
                for (int i = start[p]; i < start[p + 1]; i++)
                    ck_assert_int_le(atoi(strrchr(m.row[i].path, '/') + 1), 12);
            }
        }
        ck_assert_mem_eq(of, ((int[]){230, 230}), sizeof of);
        ck_assert_mem_eq(images, ((int[]){1281, 1230}), sizeof images);
        ck_assert_mem_eq(source[0], ((int[]){51, 124, 55}), sizeof source[0]);
        ck_assert_mem_eq(source[1], ((int[]){51, 125, 54}), sizeof source[1]);
        if (seed > 1)
            ck_assert_str_ne(first, sets);
        memcpy(first, sets, sizeof sets);
        free(start);
        free(told);
        manifest_free(&m);
    }
}

TEST(other_counts_are_told)
{
    Manifest m = three_sources(five), again = three_sources(five);
    Assembling a = {.m = &m, .seed = 1}, b = {.m = &again, .seed = 1};
    char *told = heard(assemble, &a);
    MUST(a.bad);
    HEARS(told, "multipie: 249 people and 1245 pictures; the paper has 249 and 999");
    ck_assert_int_eq(lines_of(told), 1);
    free(heard(assemble, &b));
    ck_assert_int_eq(m.n, again.n);
    for (int i = 0; i < m.n; i++)
        ck_assert_str_eq(m.row[i].split, again.row[i].split);
    free(told);
    manifest_free(&m);
    manifest_free(&again);
    m = manifest_create(".");
    add_people(&m, "london", 102, two);
    a = (Assembling){.m = &m};
    free(heard(assemble, &a));
    ck_assert_int_eq(a.bad, -1);
    HEARS(error_text(), "0 people of the source multipie");
    manifest_free(&m);
}

TEST_MAIN("layouts", lfw, celeba, frgc, multipie, frav2d, london, lists_of_names, no_such_layout_or_folder,
          odd_files_line_by_line, links_in_circles, ten_folds_of_lfw, mistakes_in_pairs,
          validation_and_test_of_the_paper, other_counts_are_told)
