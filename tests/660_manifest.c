/* 660_manifest.c - SHA-256 and manifests: what is written is read, every mistake has its line, every byte counts. */
#include "data/manifest.h"

#include "data/faces.h"
#include "data/sha256.h"
#include "tests/folders.h"

/* Vectors of FIPS 180-4's examples (NIST, Cryptographic Standards and Guidelines: SHA256.pdf, SHA2_Additional.pdf). */
TEST(sha256_of_the_standard)
{
    static const struct { const char *text, *digest; } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char digest[65];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sha256_bytes(known[i].text, strlen(known[i].text), digest);
        ck_assert_str_eq(digest, known[i].digest);
    }
    Sha256 s;
    sha256_begin(&s);
    char many[1000];
    memset(many, 'a', sizeof many);
    for (int i = 0; i < 1000; i++)   /* a million times a */
        sha256_add(&s, many, sizeof many);
    sha256_end(&s, digest);
    ck_assert_str_eq(digest, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256_in_pieces_and_from_files)
{
    Bytes b = noise(1000, 3);
    char whole[65], pieces[65], *folder = folder_make(), *path = must_printf("%s/x", folder);
    for (size_t size = 0; size < 200; size++) {
        sha256_bytes(b.data, size, whole);
        for (size_t step = 1; step < 130; step += 7) {
            Sha256 s;
            sha256_begin(&s);
            for (size_t at = 0; at < size; at += step)
                sha256_add(&s, b.data + at, size - at < step ? size - at : step);
            sha256_end(&s, pieces);
            ck_assert_str_eq(whole, pieces);
        }
    }
    MUST(file_write(path, b.data, 1000));
    MUST(sha256_file(path, pieces));
    sha256_bytes(b.data, 1000, whole);
    ck_assert_str_eq(whole, pieces);
    ck_assert_int_eq(sha256_file(folder, pieces), -1);
    ck_assert_int_eq(sha256_file("/nowhere/x", pieces), -1);
    free(b.data);
    free(path);
    folder_remove(folder);
}

#define DIGEST "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

TEST(there_and_back)
{
    char *folder = folder_make(), *path = must_printf("%s/manifest.csv", folder);
    static const char *const rows[][5] = {
        {"a/1.png", "a", "test", "lfw", DIGEST},
        {"b, \"c\"/1\n2.png", "b, \"c\"", "", "", ""},
        {"\xff\xfe/x.png", "\xff", "any name", "x", ""},
    };
    Manifest m = manifest_create(folder), back;
    for (int i = 0; i < 3; i++)
        manifest_add(&m, rows[i][0], rows[i][1], rows[i][2], rows[i][3], rows[i][4]);
    MUST(manifest_save(&m, path));
    MUST(manifest_load(path, &back, 0));
    ck_assert_int_eq(back.n, 3);
    ck_assert_str_eq(back.root, folder);
    ck_assert_int_eq(back.strict, 1);
    for (int i = 0; i < 3; i++) {
        const ManifestRow *r = &back.row[i];
        const char *const got[] = {r->path, r->identity, r->split, r->source, r->sha256};
        for (int c = 0; c < 5; c++)
            ck_assert_str_eq(got[c], rows[i][c]);
    }
    ck_assert_int_eq(back.row[0].line, 2);
    char *open = manifest_path(&back, 0), *wanted = must_printf("%s/a/1.png", folder);
    ck_assert_str_eq(open, wanted);
    free(open);
    free(wanted);
    manifest_free(&m);
    manifest_free(&back);
    free(path);
    folder_remove(folder);
}

TEST(columns_by_name)
{
    static const char text[] = "\xef\xbb\xbf" "age,identity,path,look\r\n31,ann,/pictures/1.png,x\r\n\r\n"
                               "4,bob,2.png,\n";
    Manifest m;
    MUST(manifest_parse(text, sizeof text - 1, "some", "/root/", &m, 0));
    ck_assert_int_eq(m.n, 2);
    ck_assert_str_eq(m.row[1].identity, "bob");
    ck_assert_str_eq(m.row[1].sha256, "");
    char *open = manifest_path(&m, 0);
    ck_assert_str_eq(open, "/pictures/1.png");
    free(open);
    manifest_free(&m);
}

/* One picture under several spellings of its path is one. */
TEST(paths_have_one_spelling)
{
    static const struct { const char *written, *is; } paths[] = {
        {"./p/1.png", "p/1.png"}, {"p//1.png", "p/1.png"}, {"././/p/./1.png", "p/1.png"}, {"p/.1.png", "p/.1.png"},
        {"../p/1.png", "../p/1.png"}, {"//p/./1.png", "/p/1.png"}, {"p./1.png", "p./1.png"}, {"p/..", "p/.."},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char text[200];
        Manifest m;
        snprintf(text, sizeof text, "path,identity\n%s,ann\n", paths[i].written);
        MUST(manifest_parse(text, strlen(text), "some", ".", &m, 0));
        ck_assert_str_eq(m.row[0].path, paths[i].is);
        manifest_free(&m);
    }
    Manifest m;
    static const char twice[] = "path,identity\np/1.png,ann\n./p//1.png,bob\n";
    ck_assert_int_eq(manifest_parse(twice, sizeof twice - 1, "some", ".", &m, -1), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "some: 1 mistake"));
}

typedef struct Parsing {
    const char *text;
    int bad, most;
} Parsing;

static void parse(void *context)
{
    Parsing *p = context;
    Manifest m;
    p->bad = manifest_parse(p->text, strlen(p->text), "some.csv", ".", &m, p->most);
    manifest_free(&m);
}

TEST(every_mistake_has_its_line)
{
    Parsing p = {.text = "path,identity,split,source,sha256\n"
                         "1.png,ann,test,,\n"
                         "2.png,ann,original,,\n"            /* 3: two splits */
                         ",ann,test,,\n"                     /* 4: no path */
                         "4.png,,test,,\n"                   /* 5: no identity */
                         "5.png,bob,test,,abc\n"             /* 6: no digest */
                         "6.png,bob,test,\n"                 /* 7: four columns */
                         "7.png,bob,test,,,\n"               /* 8: six */
                         "1.png,ann,test,,\n"                /* 9: twice */
                         "9.png,cid,test,,BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\n"
                         "10.png,dan,test,\"x,\n"};          /* 11: a quote without end */
    char *text = heard(parse, &p);
    ck_assert_int_eq(p.bad, -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "some.csv: 10 mistakes"));
    static const char *const told[] = {
        "some.csv: line 3: ann is in split \"original\", but in \"test\" in line 2", "line 4: without a path",
        "line 5: without an identity", "line 6: abc: a sha256 is 64 digits", "line 7: 4 columns instead of 5",
        "line 8: 6 columns instead of 5", "line 9: 1.png is in line 2 already", "line 10: BA78",
        "column 4 has a quote without its partner",
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        HEARS(text, told[i]);
    ck_assert_int_eq(lines_of(text), 10);   /* line 9 is in another split than line 3, too */
    free(text);
    p.most = 4;
    text = heard(parse, &p);
    ck_assert_int_eq(lines_of(text), 4);
    free(text);

    static const struct { const char *text, *why; } refused[] = {
        {"", "does not name the columns path and identity"},
        {"a,b\n", "does not name the columns"},
        {"path,split\n", "does not name the columns"},
        {"path,identity,path\n", "two columns path"},
        {"path,identity\n", "a manifest without pictures"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        p = (Parsing){.text = refused[i].text};
        text = heard(parse, &p);
        ck_assert_int_eq(p.bad, -1);
        HEARS(error_text(), refused[i].why);
        ck_assert_str_eq(text, "");
        free(text);
    }
    Manifest m;
    ck_assert_int_eq(manifest_parse("path,identity\0", 14, "zero", ".", &m, 0), -1);
    ck_assert_int_eq(manifest_load("/nowhere/m.csv", &m, 0), -1);
}

TEST(lines_without_control_characters)
{
    Parsing p = {.text = "path,identity\n\"a\x1b[31m\nb\",\n"};
    Told told = {.what = "left out"};
    char *text = heard(parse, &p);
    ck_assert_int_eq(lines_of(text), 1);
    free(text);
    told.most = 1;
    told.n = 1;   /* said no more, but counted */
    tell(&told, "x\ny\x1b");
    ck_assert_int_eq(told.n, 2);
}

TEST(joined_lists_keep_their_pictures)
{
    char *folder = folder_make(), *in = must_printf("%s/in", folder), *deep = must_printf("%s/in/deep", folder);
    put_picture(deep, "a.ppm", 1);
    Manifest deepest = manifest_create(deep), middle = manifest_create(in), other = manifest_create("/");
    manifest_add(&deepest, "a.ppm", "ann", "x", NULL, NULL);
    manifest_add(&deepest, "b.ppm", "bob", "y", NULL, NULL);
    manifest_join(&middle, &deepest);
    ck_assert_str_eq(middle.row[0].path, "deep/a.ppm");
    manifest_join_split(&other, &middle, "y", "z");
    ck_assert_int_eq(other.n, 1);
    ck_assert_str_eq(other.row[0].split, "z");
    Manifest beside = manifest_create(deep);
    manifest_join(&beside, &middle);   /* not below its root: from the top */
    char *open = manifest_path(&beside, 0);
    ck_assert_int_eq(*beside.row[0].path == '/' || !strcmp(beside.row[0].path, "a.ppm"), 1);
    ck_assert(file_exists(open));
    free(open);
    manifest_free(&deepest);
    manifest_free(&middle);
    manifest_free(&other);
    manifest_free(&beside);
    free(in);
    free(deep);
    folder_remove(folder);
}

TEST(people_and_order)
{
    Manifest m = manifest_create(".");
    static const char *const rows[][2] = {{"b/10", "b"}, {"b/9", "b"}, {"a10/1", "a10"}, {"a9/1", "a9"}};
    for (int i = 0; i < 4; i++)
        manifest_add(&m, rows[i][0], rows[i][1], NULL, NULL, NULL);
    int *first;
    manifest_sort(&m);
    ck_assert_str_eq(m.row[0].identity, "a10");
    ck_assert_str_eq(m.row[2].path, "b/10");
    ck_assert_int_eq(manifest_people(&m, &first), 3);
    ck_assert_mem_eq(first, ((int[]){0, 1, 2, 4}), 4 * sizeof(int));
    free(first);
    manifest_sort_naturally(&m);
    ck_assert_str_eq(m.row[0].identity, "a9");
    ck_assert_str_eq(m.row[2].path, "b/9");
    manifest_free(&m);
}

TEST(split_at_random)
{
    Manifest m = manifest_create(".");
    for (int p = 0; p < 40; p++) {
        for (int k = 0; k < 1 + p % 3; k++) {
            char path[32], who[16];
            snprintf(path, sizeof path, "%02d/%d", p, k);
            snprintf(who, sizeof who, "%02d", p);
            manifest_add(&m, path, who, NULL, NULL, NULL);
        }
    }
    static const char *const names[] = {"one", "two"};
    MUST(manifest_split(&m, 5, names, (double[]){0.5, 0.25}, 2));
    int *first, people[3] = {0}, n = manifest_people(&m, &first);
    for (int p = 0; p < n; p++) {
        const char *split = m.row[first[p]].split;
        people[!strcmp(split, "one") ? 0 : !strcmp(split, "two") ? 1 : 2]++;
        for (int i = first[p]; i < first[p + 1]; i++)
            ck_assert_str_eq(m.row[i].split, split);
    }
    ck_assert_mem_eq(people, ((int[]){20, 10, 10}), sizeof people);
    ck_assert_int_eq(manifest_split(&m, 5, names, (double[]){0.98, 0.02}, 2), -1);
    free(first);
    manifest_free(&m);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static Manifest listed(const char *folder, int people, int each)
{
    Manifest m = manifest_create(folder);
    for (int i = 0; i < people * each; i++) {
        char name[64], who[16];
        snprintf(who, sizeof who, "p%03d", i / each);
        snprintf(name, sizeof name, "%s/%02d.ppm", who, i % each);
        put_picture(folder, name, i);
        manifest_add(&m, name, who, NULL, NULL, NULL);
    }
    return m;
}

typedef struct Work {
    Manifest *m;
    Told told;
    int result;
    int (*run)(Manifest *m, Told *told);
} Work;

static int verify(Manifest *m, Told *told)
{
    return manifest_verify(m, told, NULL, NULL);
}

static int fill(Manifest *m, Told *told)
{
    return manifest_fill(m, told, NULL, NULL);
}

static int read_faces(Manifest *m, Told *told)
{
    Faces f;
    (void)told;
    int bad = faces_read(m, 4, &f, NULL, NULL);
    faces_free(&f);
    return bad;
}

static void do_work(void *context)
{
    Work *w = context;
    w->result = w->run(w->m, &w->told);
}

TEST(one_flipped_byte_is_found)
{
    char *folder = folder_make(), *path = must_printf("%s/p007/03.ppm", folder);
    Manifest m = listed(folder, 20, 10);
    ck_assert_int_eq(manifest_fill(&m, &(Told){0}, NULL, NULL), 0);
    ck_assert_int_eq(manifest_verify(&m, &(Told){0}, NULL, NULL), 0);
    m.row[73].line = 75;
    size_t size;
    char *bytes = file_read(path, &size);
    HAVE(bytes);
    for (size_t at = 0; at < size; at++) {
        Work w = {.m = &m, .run = verify};
        bytes[at] ^= 1;
        FILE *out = fopen(path, "wb");
        fwrite(bytes, 1, size, out);
        fclose(out);
        char *text = heard(do_work, &w);
        ck_assert_int_eq(w.result, 1);
        ck_assert_int_eq(lines_of(text), 1);
        HEARS(text, "line 75: ");
        HEARS(text, "p007/03.ppm: not the file of the manifest");
        free(text);
        bytes[at] ^= 1;
    }
    free(bytes);
    free(path);
    manifest_free(&m);
    folder_remove(folder);
}

TEST(what_is_missing_or_twice)
{
    char *folder = folder_make(), *path = must_printf("%s/p000/01.ppm", folder);
    Manifest m = listed(folder, 3, 2);
    ck_assert_int_eq(manifest_fill(&m, &(Told){0}, NULL, NULL), 0);
    unlink(path);
    put_picture(folder, "p002/00.ppm", 2);   /* as p001/00 */
    manifest_add(&m, "p002/02.ppm", "p002", NULL, NULL, NULL);
    Work w = {.m = &m, .run = verify};
    char *text = heard(do_work, &w);
    ck_assert_int_eq(w.result, 3);
    HEARS(text, "p000/01.ppm: No such file");
    HEARS(text, "p002/00.ppm: not the file");
    HEARS(text, "p002/02.ppm: has no sha256");
    free(text);
    free(m.row[4].sha256);
    m.row[4].sha256 = must_strdup(m.row[2].sha256);
    w = (Work){.m = &m, .run = verify};
    text = heard(do_work, &w);
    HEARS(text, "p002/00.ppm of p002 is the same file as p001/00.ppm of p001");
    free(text);
    manifest_free(&m);
    free(path);
    folder_remove(folder);
}

TEST(filling_leaves_out_what_is_no_picture)
{
    char *folder = folder_make(), digest[65];
    Manifest m = listed(folder, 3, 2);
    put_text(folder, "p001/00.ppm", "no picture");
    put_text(folder, "p002/01.ppm", "");
    Work w = {.m = &m, .run = fill};
    char *text = heard(do_work, &w);
    ck_assert_int_eq(w.result, 2);
    ck_assert_int_eq(m.n, 4);
    HEARS(text, "p001/00.ppm: not a PNG");
    HEARS(text, "p002/01.ppm: not a PNG, JPEG, PGM or PPM picture (it is empty)");
    free(text);
    ck_assert_str_eq(m.row[2].path, "p001/01.ppm");
    for (int i = 0; i < m.n; i++) {
        char *path = manifest_path(&m, i);
        MUST(sha256_file(path, digest));
        ck_assert_str_eq(m.row[i].sha256, digest);
        free(path);
    }
    for (int i = 0; i < 100; i++)   /* it can grow again */
        manifest_add(&m, "x", "y", NULL, NULL, NULL);
    manifest_free(&m);
    folder_remove(folder);
}

/* A list that came from a file is taken whole or not at all; a folder's is taken as far as it goes. */
TEST(strict_lists)
{
    char *folder = folder_make();
    Manifest m = listed(folder, 3, 2);
    ck_assert_int_eq(manifest_fill(&m, &(Told){0}, NULL, NULL), 0);
    put_picture(folder, "p001/00.ppm", 77);
    put_text(folder, "p002/00.ppm", "P6");
    Work w = {.m = &m, .run = read_faces};
    char *text = heard(do_work, &w);
    ck_assert_int_eq(w.result, 0);
    HEARS(text, "left out: 2 of 6 pictures");
    free(text);
    m.strict = 1;
    text = heard(do_work, &w);
    ck_assert_int_eq(w.result, -1);
    HEARS(error_text(), "2 of its 6 pictures are not as the manifest says");
    HEARS(text, "p001/00.ppm: not the file of the manifest");
    HEARS(text, "p002/00.ppm: not");
    free(text);
    manifest_free(&m);
    folder_remove(folder);
}

TEST_MAIN("manifest", sha256_of_the_standard, sha256_in_pieces_and_from_files, there_and_back, columns_by_name,
          paths_have_one_spelling, every_mistake_has_its_line, lines_without_control_characters,
          joined_lists_keep_their_pictures, people_and_order, split_at_random, one_flipped_byte_is_found, what_is_missing_or_twice,
          filling_leaves_out_what_is_no_picture, strict_lists)
