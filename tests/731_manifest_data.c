/* 731_manifest_data.c - experiments on manifests and folders: who comes into which set, and what stops them. */
#include <glob.h>

#include "data/faces.h"
#include "tests/children.h"
#include "tests/folders.h"

/* The data and one epoch of a very small identity network. */
#define TINY                                                                                                     \
    "--preset", "smoke", "--device", "cpu", "--threads", "1", "--quiet", "--set", "evaluation.matching=5", "--set", \
        "evaluation.non_matching=5", "--set", "identity.epochs=1", "--set", "identity.batch=8"

/* A set of the one run below `run`. */
static Faces set_of(const char *run, const char *name)
{
    Faces f;
    glob_t found;
    char *pattern = must_printf("%s/stages/data-*/%s.faces", run, name);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    ck_assert_uint_eq(found.gl_pathc, 1);
    MUST(faces_load(found.gl_pathv[0], &f));
    globfree(&found);
    free(pattern);
    return f;
}

static int stages_of(const char *run, const char *name)
{
    glob_t found;
    char *pattern = must_printf("%s/stages/%s-*", run, name);
    int n = glob(pattern, 0, NULL, &found) ? 0 : (int)found.gl_pathc;
    globfree(&found);
    free(pattern);
    return n;
}

/* p00 ... of `each` pictures; the split of person p is splits[p], NULL for a list without splits. */
static void make_list(const char *folder, int people, int each, const char *const *splits)
{
    char *path = in(folder, "manifest.csv");
    Manifest m = manifest_create(folder);
    for (int i = 0; i < people * each; i++) {
        char name[64], who[16];
        snprintf(who, sizeof who, "p%02d", i / each);
        snprintf(name, sizeof name, "%s/%02d.ppm", who, i % each);
        put_picture(folder, name, 70000 * i);
        manifest_add(&m, name, who, splits ? splits[i / each] : NULL, NULL, NULL);
    }
    ck_assert_int_eq(manifest_fill(&m, &(Told){0}, NULL, NULL), 0);
    MUST(manifest_save(&m, path));
    manifest_free(&m);
    free(path);
}

static const char *const four[] = {"test",     "test",       "original",   "original", "original", "pretrain",
                                   "pretrain", "validation", "validation", "other",    "pretrain", "pretrain"};

TEST(sets_as_the_manifest_says)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run"), *data = must_printf("manifest:%s/manifest.csv", folder);
    make_list(folder, 12, 4, four);
    Outcome o = RUN(0, "pretrain", "--preset", "smoke", "--device", "cpu", "--threads", "1", "--set",
                    "evaluation.matching=5", "--set", "evaluation.non_matching=5", "--set", "identity.epochs=1",
                    "--set", "identity.batch=8", "--run", run, "--data", data);
    EXPECT(o, 0, "4 of 48 pictures are in other splits and not used");
    EXPECT(o, 0, "identity network of 4 people, 16 pictures");
    Faces f = set_of(run, "original");
    ck_assert_int_eq(f.people, 3);
    ck_assert_int_eq(f.n, 12);
    ck_assert_str_eq(f.names[0], "p02");
    ck_assert_str_eq(f.sources[11], "p04/03.ppm");
    faces_free(&f);
    f = set_of(run, "validation");
    ck_assert_str_eq(f.names[1], "p08");
    faces_free(&f);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 0, "identity network of 4 people");   /* reused */
    ck_assert_int_eq(stages_of(run, "data"), 1);
    put_picture(folder, "p03/01.ppm", 5);   /* what is packed already is not asked for again */
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 0, "identity network of 4 people");
    char *list = in(folder, "manifest.csv"), *other = in(folder, "other");
    FILE *out = fopen(list, "a");
    fputs("p01/00x.ppm,p01,test,,\n", out);
    fclose(out);
    put_picture(folder, "p01/00x.ppm", 7);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 1, "p03/01.ppm: not the file of the manifest");
    EXPECT(RUN(0, "pretrain", TINY, "--run", other, "--data", data), 1, "1 of its 12 pictures are not as the manifest says");
    ck_assert_int_eq(stages_of(run, "data"), 2);
    free(list);
    free(other);
    free(run);
    free(data);
    folder_remove(folder);
}

TEST(sets_at_random_where_none_are_named)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *data = must_printf("manifest:%s/manifest.csv", folder), *run = in(folder, "run");
    char *run_folder = in(folder, "run_folder"), *copy = in(folder, "pictures");
    make_list(copy, 20, 4, NULL);
    char *list = must_printf("manifest:%s/manifest.csv", copy), *as_folder = must_printf("folder:%s", copy);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", list), 0, "identity network of 6 people, 24 pictures");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run_folder, "--data", as_folder), 0, "identity network of 6 people");
    static const char *const sets[] = {"pretrain", "original", "validation", "test"};
    int people = 0;
    for (int i = 0; i < 4; i++) {   /* a folder and a list of it are divided alike */
        Faces a = set_of(run, sets[i]), b = set_of(run_folder, sets[i]);
        people += a.people;
        ck_assert_int_eq(a.n, b.n);
        for (int p = 0; p < a.people; p++)
            ck_assert_str_eq(a.names[p], b.names[p]);
        ck_assert_mem_eq(a.pixels, b.pixels, (size_t)a.n * faces_bytes(&a));
        faces_free(&a);
        faces_free(&b);
    }
    ck_assert_int_eq(people, 20);
    char *const names[] = {data, run, run_folder, copy, list, as_folder};
    for (int i = 0; i < 6; i++)
        free(names[i]);
    folder_remove(folder);
}

TEST(train_is_pretrain_and_original)
{
    NEEDS("pretrain");
    static const char *const splits[] = {"test", "test", "train", "train", "train", "train", "train",
                                         "train", "train", "train", "validation", "validation"};
    char *folder = folder_make(), *run = in(folder, "run"), *data = must_printf("manifest:%s/manifest.csv", folder);
    make_list(folder, 12, 4, splits);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 0, "identity network of 4 people, 16 pictures");
    Faces f = set_of(run, "original");
    ck_assert_int_eq(f.people, 4);
    for (int p = 0; p < 4; p++)
        ck_assert_str_eq(splits[atoi(f.names[p] + 1)], "train");
    faces_free(&f);
    free(run);
    free(data);
    folder_remove(folder);
}

TEST(what_stops_it)
{
    NEEDS("pretrain");
    static const char *const half[] = {"test", "", "original", "original", "pretrain", "pretrain"};
    static const char *const three[] = {"test", "test", "original", "original", "pretrain", "pretrain"};
    static const char *const both[] = {"test", "test", "train", "train", "pretrain", "pretrain"};
    static const char *const one[] = {"test", "test", "original", "original", "pretrain", "pretrain", "validation"};
    static const struct { const char *const *splits; int people; const char *why; } wrong[] = {
        {half, 6, "4 of its 24 pictures have no split: name one for all of them, or for none"},
        {three, 6, "nobody is in the split validation"},
        {both, 6, "the split train stands for pretrain and original"},
        {one, 7, "validation: it has 1 person and needs 2"},
    };
    char *folder = folder_make(), *run = in(folder, "run"), *data = must_printf("manifest:%s/manifest.csv", folder);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make_list(folder, wrong[i].people, 4, wrong[i].splits);
        EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 1, wrong[i].why);
    }
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", "manifest:/nowhere/m.csv"), 1, "/nowhere/m.csv: No such");
    put_text(folder, "manifest.csv", "path,identity\n,x\n1.png,\n");
    Outcome o = RUN(0, "pretrain", TINY, "--run", run, "--data", data);
    EXPECT(o, 1, "manifest.csv: line 2: without a path");
    EXPECT(o, 1, "manifest.csv: line 3: without an identity");
    EXPECT(o, 1, "2 mistakes: see the lines above");
    free(run);
    free(data);
    folder_remove(folder);
}

/* Every picture at fault has its line, and those behind the first are met, too. */
TEST(faults_line_by_line)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run"), *data = must_printf("manifest:%s/manifest.csv", folder);
    char *gone = in(folder, "p05/02.ppm");
    make_list(folder, 12, 4, four);
    unlink(gone);
    put_text(folder, "p05/03.ppm", "text");
    put_text(folder, "p06/00.ppm", "");
    Outcome o = RUN(0, "pretrain", TINY, "--run", run, "--data", data);
    EXPECT(o, 1, "p05/02.ppm: No such file");
    EXPECT(o, 1, "p05/03.ppm: not a PNG");
    EXPECT(o, 1, "p06/00.ppm: not a PNG, JPEG, PGM or PPM picture (it is empty)");
    EXPECT(o, 1, "3 of its 16 pictures are not as the manifest says");
    ck_assert_int_eq(lines_of(o.text), 5);
    make_list(folder, 12, 4, four);   /* put right, it goes on */
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 0, "identity network of 4 people");
    free(run);
    free(data);
    free(gone);
    folder_remove(folder);
}

TEST(no_room_for_the_sets)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run"), *data = must_printf("manifest:%s/manifest.csv", folder);
    make_list(folder, 12, 4, four);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", "folder:/nowhere"), 1, "/nowhere");   /* the run folder is there */
    EXPECT(RUN(SMALL_FILES, "pretrain", TINY, "--run", run, "--data", data), 1, "make room");
    ck_assert_int_eq(stages_of(run, "identity"), 0);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data), 0, "identity network of 4 people");
    free(run);
    free(data);
    folder_remove(folder);
}

/* Large pictures take long to read; the network behind them is of no interest. */
#define SMALL_NETWORK TINY, "--set", "data.size=256", "--set", "identity.width=1"

/* Killed at any moment while pictures are read, an experiment ends with the sets of one that nobody touched. */
TEST(killed_while_reading)
{
    NEEDS("pretrain");
    enum { KILLS = 10 };
    char *folder = folder_make(), *pictures = in(folder, "pictures"), *list = must_printf("folder:%s", pictures);
    char *killed = in(folder, "killed"), *whole = in(folder, "whole");
    make_list(pictures, 40, 10, NULL);
    char *const argv[] = {"pretrain", SMALL_NETWORK, "--run", killed, "--data", list, NULL};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), hit = 0;
    Random r = random_stream(5, "kills", 0);
    useconds_t start = cost_of_start("pretrain", nowhere).time;
    for (int i = 0; i < KILLS && !stages_of(killed, "identity"); i++) {
        pid_t pid = start_words(0, "pretrain", (char **)argv, nowhere);
        usleep(start / 2 + random_below(&r, start / 2 + 150000));
        hit += !kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    ck_assert_int_gt(hit, 0);
    static const char *const sets[] = {"pretrain", "original", "validation", "test"};
    EXPECT(RUN(0, "pretrain", SMALL_NETWORK, "--run", killed, "--data", list), 0, "of 12 people, 120 pictures");
    EXPECT(RUN(0, "pretrain", SMALL_NETWORK, "--run", whole, "--data", list), 0, "of 12 people, 120 pictures");
    for (int i = 0; i < 4; i++) {
        Faces a = set_of(killed, sets[i]), b = set_of(whole, sets[i]);
        ck_assert_int_eq(a.n, b.n);
        ck_assert_mem_eq(a.pixels, b.pixels, (size_t)a.n * faces_bytes(&a));
        for (int k = 0; k < a.n; k++)
            ck_assert_str_eq(a.sources[k], b.sources[k]);
        faces_free(&a);
        faces_free(&b);
    }
    close(nowhere);
    char *const names[] = {pictures, list, killed, whole};
    for (int i = 0; i < 4; i++)
        free(names[i]);
    folder_remove(folder);
}

TEST_MAIN("data of experiments", sets_as_the_manifest_says, sets_at_random_where_none_are_named,
          train_is_pretrain_and_original, what_stops_it, faults_line_by_line,
          no_room_for_the_sets, killed_while_reading)
