/* 720_programs.c - the built programs under mistakes and bad luck: exit status and words.
 * 0 done, 1 failed, 2 wrong use; nothing half-made stays where it would be taken for finished. */
#include "tests/pictures.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "data/faces.h"
#include "engine/safetensors.h"
#include "experiments/common/names.h"
#include "tests/children.h"

/* Everything once with as little as possible. */
#define TINY                                                                                                         \
    "--preset", "smoke", "--device", "cpu", "--threads", "1", "--quiet", "--set", "data.pretrain_people=4", "--set",  \
        "data.pretrain_images=16", "--set", "data.original_people=4", "--set", "data.original_images=16", "--set",    \
        "data.validation_people=3", "--set", "data.validation_images=9", "--set", "data.test_people=3", "--set",      \
        "data.test_images=9", "--set", "evaluation.matching=5", "--set", "evaluation.non_matching=5", "--set",       \
        "identity.epochs=1", "--set", "identity.batch=8", "--set", "synthesis.steps=2", "--set", "synthesis.batch=4"

/* ---------------------------------------------------------------- wrong use */
TEST(wrong_use_is_2)
{
    NEEDS("synthesis");
    EXPECT(RUN(0, "synthesis", "--preset", "smok"), 2, "synthesis: --preset smok: no such preset");
    EXPECT(RUN(0, "synthesis", "--preset", "smok"), 2, "did you mean smoke?");
    EXPECT(RUN(0, "synthesis", "--preset", "smoke", "--set", "synthesis.stpes=4"), 2,
           "synthesis.stpes: no such key: did you mean synthesis.steps?");
    EXPECT(RUN(0, "synthesis", "--preset", "smoke", "--set", "synthesis.steps=x"), 2, "a whole number was expected");
    EXPECT(RUN(0, "synthesis", "--config", "/nowhere/x.ini"), 2, "/nowhere/x.ini: No such file or directory");
    EXPECT(RUN(0, "synthesis", "--rnu", "x"), 2, "--rnu: no such option: did you mean run?");
    EXPECT(RUN(0, "synthesis", "--device", "cup"), 2, "did you mean cpu?");
    EXPECT(RUN(0, "synthesis", "--help"), 0, "Exit status: 0 done, 1 failed, 2 wrong use.");
}

TEST(the_program_op)
{
    NEEDS("op");
    char *folder = folder_make(), *good = in(folder, "x.safetensors"), *out = in(folder, "y.safetensors");
    float x[12] = {0};
    SafeTensor t[] = {{.name = "x", .dtype = SAFE_F32, .rank = 4, .shape = {1, 3, 2, 2}, .data = x},
                      {.name = "w", .dtype = SAFE_F32, .rank = 4, .shape = {1, 2, 1, 1}, .data = x}};
    MUST(safetensors_write(good, t, 2, NULL));
    EXPECT(RUN(0, "op", "conv2", "--in", good, "--out", out), 2, "op: conv2: no such op: did you mean conv2d?");
    EXPECT(RUN(0, "op", "leaky_relu", "--attr", "slop=1", "--in", good, "--out", out), 2, "did you mean slope?");
    EXPECT(RUN(0, "op", "leaky_relu", "--attr", "slope=x", "--in", good, "--out", out), 2, "slope=x is not a number");
    EXPECT(RUN(0, "op", "leaky_relu"), 2, "--in FILE");
    EXPECT(RUN(0, "op", "conv2d", "--in", good, "--out", out), 1, "conv2d:");
    EXPECT(RUN(0, "op", "conv2d", "--in", good, "--out", out), 1, "(1, 3, 2, 2), w (1, 2, 1, 1)");
    EXPECT(RUN(0, "op", "arcface", "--in", good, "--out", out), 1, "holds no operand labels of arcface");
    EXPECT(RUN(0, "op", "leaky_relu", "--in", good, "--out", out, "--grad"), 1, "holds no cotangent");
    EXPECT(RUN(0, "op", "leaky_relu", "--in", "/nowhere/x", "--out", out), 1, "/nowhere/x: No such file or directory");
    EXPECT(RUN(0, "op", "leaky_relu", "--in", good, "--out", out, "--backend", "gpu"), 1, "this build knows only");
    EXPECT(RUN(0, "op", "leaky_relu", "--in", good, "--out", "/nowhere/y"), 1, "/nowhere/y");
    ck_assert(!file_exists(out));
    EXPECT(RUN(0, "op", "leaky_relu", "--in", good, "--out", out), 0, "");
    ck_assert(file_exists(out));
    MUST(file_write(good, "12345678{}", 10));
    EXPECT(RUN(0, "op", "leaky_relu", "--in", good, "--out", out), 1, "x.safetensors");
    free(good);
    free(out);
    folder_remove(folder);
}

/* ---------------------------------------------------------------- folders of pictures */
static void put(const char *folder, const char *person, const char *name, const void *bytes, size_t size)
{
    char *at = in(folder, person), *path = in(at, name);
    MUST(make_folders(at));
    MUST(file_write(path, bytes, size));
    free(at);
    free(path);
}

/* `people` folders, each with one file of every kind that can be read; in the first also some that cannot. */
static void picture_folder(const char *folder, int people)
{
    Sample samples[32];
    int n = samples_make(samples);
    for (int p = 0; p < people; p++) {
        char person[16];
        snprintf(person, sizeof person, "p%02d", p);
        for (int i = 0; i < n; i++)
            put(folder, person, samples[i].name, samples[i].bytes.data, samples[i].bytes.size);
    }
    put(folder, "p00", "cut.png", samples[0].bytes.data, samples[0].bytes.size / 2);
    put(folder, "p00", "notes.txt", "not a picture", 13);
    put(folder, "p00", "empty.jpg", "", 0);
    put(folder, ".", "stray.png", samples[0].bytes.data, samples[0].bytes.size);
    for (int i = 0; i < n; i++)
        free(samples[i].bytes.data);
}

TEST(folders_of_odd_files)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run"), *pictures = in(folder, "pictures");
    char *empty = in(folder, "empty"), *few = in(folder, "few");
    char *data = must_printf("folder:%s", pictures), *no_data = must_printf("folder:%s", empty);
    char *few_data = must_printf("folder:%s", few);
    MUST(make_folders(empty));
    picture_folder(pictures, 14);
    picture_folder(few, 3);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", "folder:/nowhere"), 1,
           "/nowhere: No such file or directory");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", no_data), 1,
           "empty: no pictures: a data set is a folder of one folder for each person");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", few_data), 1, "take more people");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", "faces"), 2,
           "portraits, folder:PATH or manifest:PATH was expected");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run, "--data", data, "--set", "data.split_test=0.9"), 1,
           "data.split_*: the shares add up to");
    Outcome o = RUN(0, "pretrain", TINY, "--run", run, "--data", data);
    EXPECT(o, 0, "cut.png");
    EXPECT(o, 0, "p00/notes.txt: not a PNG, JPEG, PGM or PPM picture");
    EXPECT(o, 0, "p00/empty.jpg: not a PNG, JPEG, PGM or PPM picture (it is empty)");
    EXPECT(o, 0, "stray.png: not in the folder of a person");
    free(run);
    free(pictures);
    free(empty);
    free(few);
    free(data);
    free(no_data);
    free(few_data);
    folder_remove(folder);
}

/* ---------------------------------------------------------------- run folders */
/* The only entry of RUN/stages whose name begins so, as a path; NULL if there is none. */
static char *stage_in(const char *run, const char *name)
{
    char *stages = in(run, "stages"), *found = NULL;
    DIR *d = opendir(stages);
    for (struct dirent *e; d && (e = readdir(d));)
        if (!strncmp(e->d_name, name, strlen(name)) && (!found || strstr(found, ".part"))) {
            free(found);
            found = in(stages, e->d_name);   /* a finished one, if there is one: folders have no order */
        }
    if (d)
        closedir(d);
    free(stages);
    return found;
}

static void shell(const char *format, const char *path)
{
    char *command = must_printf(format, path);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

TEST(run_folders_that_cannot_be_used)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *file = in(folder, "file"), *run = in(folder, "run"), *closed = in(folder, "closed");
    MUST(file_write(file, "x", 1));
    EXPECT(RUN(0, "pretrain", TINY, "--run", file), 1, "file");
    Outcome o = RUN(0, "pretrain", TINY, "--run", file);
    EXPECT(o, 1, "pretrain: run folder");
    EXPECT(o, 1, "cannot make this folder");

    MUST(make_folders(closed));
    shell("chmod 755 '%s'", folder);
    shell("chmod 555 '%s'", closed);
    if (RUN(NOBODY, "pretrain", "--version").status == 0) {
        o = RUN(NOBODY, "pretrain", TINY, "--run", closed);
        EXPECT(o, 1, "Permission denied");
        EXPECT(o, 1, "run folder");
        /* finished stages of a folder that cannot be written are still good */
        EXPECT(RUN(0, "pretrain", TINY, "--run", run), 0, "");
        shell("chmod -R a-w '%s'", run);
        EXPECT(RUN(NOBODY, "pretrain", TINY, "--run", run), 0, "");
        o = RUN(NOBODY, "pretrain", TINY, "--run", run, "--set", "identity.epochs=2");
        EXPECT(o, 1, "make the run folder writable, or choose another with --run");
        shell("chmod -R u+w '%s'", run);
    }
    free(file);
    free(run);
    free(closed);
    folder_remove(folder);
}

TEST(a_full_disk)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run"), *stage;
    Outcome o = RUN(SMALL_FILES, "pretrain", TINY, "--run", run);
    EXPECT(o, 1, "File too large");
    EXPECT(o, 1, run);
    stage = stage_in(run, "data-");
    if (stage) {
        ck_assert_msg(strstr(stage, ".part") != NULL, "%s looks finished", stage);
        free(stage);
    }
    shell("test -z \"$(find '%s' -name '*.tmp')\"", run);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run), 0, "");   /* room again: goes on */
    free(run);
    folder_remove(folder);
}

static void flip_last_byte(const char *path)
{
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, -1, SEEK_END);
    int byte = getc(f);
    fseek(f, -1, SEEK_END);
    putc(byte ^ 1, f);
    fclose(f);
}

TEST(a_damaged_stage)
{
    NEEDS("pretrain");
    char *folder = folder_make(), *run = in(folder, "run");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run), 0, "");
    char *stage = stage_in(run, "data-"), *faces = in(stage, "original.faces");
    Faces before, after;
    MUST(faces_load(faces, &before));
    flip_last_byte(faces);
    Outcome o = RUN(0, "pretrain", TINY, "--run", run);
    char *place = must_printf("original.faces: checksum differs at image %d (%s)", before.n - 1,
                              before.sources[before.n - 1]);
    char *remedy = must_printf("remove the folder %s and run again", stage);
    EXPECT(o, 1, place);
    EXPECT(o, 1, remedy);
    shell("rm -r '%s'", stage);
    EXPECT(RUN(0, "pretrain", TINY, "--run", run), 0, "");
    MUST(faces_load(faces, &after));
    ck_assert_int_eq(after.n, before.n);
    faces_free(&before);
    faces_free(&after);
    free(place);
    free(remedy);
    free(faces);
    free(stage);
    free(run);
    folder_remove(folder);
}

/* ---------------------------------------------------------------- generate and encode */
TEST(faces_from_a_run)
{
    NEEDS("generate");
    char *folder = folder_make(), *run = in(folder, "run"), *out = in(folder, "out"), *odd = in(folder, "odd.ppm");
    char *portrait = resource_path("tests/fixtures/portrait32.png"), *sheet = in(out, "sheet.png");
    Bytes raw = noise(2 * 30 * 50 * 3, 3);
    Bytes ppm = pnm_make('6', 30, 50, 255, (const uint16_t *)(const void *)memset(raw.data, 7, raw.size));
    MUST(file_write(odd, ppm.data, ppm.size));
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--attributes", odd, "--out", out), 1,
           "no finished stage \"synthesis\"");
    EXPECT(RUN(0, "synthesis", TINY, "--run", run), 0, "synthesis network of 4 people");
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--out", out), 2, "--attributes IMAGE is missing");
    EXPECT(RUN(0, "generate", "--identity", portrait, "--attributes", odd, "--out", out), 2, "either --checkpoint");
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--attributes", odd, "--interpolate", "3", "--out",
               out), 2, "two identities, two attributes");
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--attributes", "/nowhere/b.png", "--out", out), 1,
           "/nowhere/b.png: No such file or directory");
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--attributes", run, "--out", out), 1,
           "not a file");
    ck_assert(!file_exists(out));

    Image image;
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--identity", odd, "--attributes", odd, "--grid",
               "--out", out), 0, "2 pictures and sheet.png");
    MUST(image_read(sheet, &image));
    ck_assert_int_eq(image.width, 3 * 18 + 2);
    ck_assert_int_eq(image.height, 2 * 18 + 2);
    image_free(&image);
    char *picture = in(out, "identity2_attributes1.png");
    MUST(image_read(picture, &image));
    ck_assert(image.width == 16 && image.height == 16);
    image_free(&image);
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--identity", odd, "--attributes", odd,
               "--attributes", portrait, "--interpolate", "12", "--out", out), 0, "12 pictures and sheet.png");
    MUST(image_read(sheet, &image));
    ck_assert_int_eq(image.width, 10 * 18 + 2);
    ck_assert_int_eq(image.height, 2 * 18 + 2);
    image_free(&image);

    /* both ends of the walk are the pictures that are made of the ends alone */
    char *first = in(out, "step0001.png"), *alone = in(folder, "alone"), *made = in(alone, "identity1_attributes1.png");
    EXPECT(RUN(0, "generate", "--run", run, "--identity", portrait, "--attributes", odd, "--out", alone), 0, "");
    Image a, b;
    MUST(image_read(first, &a));
    MUST(image_read(made, &b));
    for (int i = 0; i < 16 * 16 * 3; i++)
        ck_assert_int_le(abs(a.rgb[i] - b.rgb[i]), 1);   /* the identity is brought back to length 1 once more */
    image_free(&a);
    image_free(&b);

    /* a checkpoint alone: its settings lie beside it; without them sizes come from the preset */
    char *stage = stage_in(run, "synthesis-"), *weights = in(stage, "synthesis.safetensors");
    char *bare = in(folder, "bare.safetensors"), *copy = must_printf("cp '%s' '%s'", weights, bare);
    ck_assert_int_eq(system(copy), 0);
    EXPECT(RUN(0, "generate", "--checkpoint", weights, "--identity", portrait, "--attributes", odd, "--out", out), 0,
           "");
    EXPECT(RUN(0, "generate", "--checkpoint", bare, "--identity", portrait, "--attributes", odd, "--out", out), 1,
           "give --identity-weights FILE");
    EXPECT(RUN(0, "generate", "--checkpoint", bare, "--identity-weights", bare, "--identity", portrait, "--attributes",
               odd, "--out", out), 1, "sizes are those of --preset, --config and --set");
    EXPECT(RUN(0, "generate", "--checkpoint", "/nowhere/w", "--identity-weights", bare, "--identity", portrait,
               "--attributes", odd, "--out", out), 1, "/nowhere/w: No such file or directory");
    free(raw.data);
    free(ppm.data);
    free(run);
    free(out);
    free(odd);
    free(portrait);
    free(sheet);
    free(picture);
    free(first);
    free(alone);
    free(made);
    free(stage);
    free(weights);
    free(bare);
    free(copy);
    folder_remove(folder);
}

TEST(vectors_from_a_run)
{
    NEEDS("encode");
    char *folder = folder_make(), *run = in(folder, "run"), *out = in(folder, "e.safetensors");
    char *pictures = in(folder, "pictures"), *data = must_printf("folder:%s", pictures);
    picture_folder(pictures, 2);
    EXPECT(RUN(0, "encode", "--model", "identity", "--run", run, "--data", data, "--out", out), 1,
           "no finished stage \"identity\"");
    EXPECT(RUN(0, "pretrain", TINY, "--run", run), 0, "");
    EXPECT(RUN(0, "encode", "--model", "identiy", "--run", run, "--data", data, "--out", out), 2,
           "did you mean identity?");
    EXPECT(RUN(0, "encode", "--model", "facenet", "--run", run, "--data", data, "--out", out), 2,
           "not read by this version");
    EXPECT(RUN(0, "encode", "--model", "identity", "--run", run, "--out", out), 2, "folder:PATH or manifest:PATH was expected");
    ck_assert(!file_exists(out));
    EXPECT(RUN(0, "encode", "--model", "identity", "--run", run, "--data", data, "--out", out), 0,
           "36 vectors of 32 numbers");
    SafeFile *f = safetensors_open(out);
    HAVE(f);
    const SafeTensor *e = safetensors_find(f, "embeddings"), *person = safetensors_find(f, "person");
    ck_assert(e && person && e->dtype == SAFE_F32 && person->dtype == SAFE_I32);
    ck_assert(e->rank == 2 && e->shape[0] == 36 && e->shape[1] == 32 && person->rank == 1 && person->shape[0] == 36);
    ck_assert_str_eq(safetensors_metadata(f, "names"), "[\"p00\", \"p01\"]");
    ck_assert_ptr_nonnull(strstr(safetensors_metadata(f, "sources"), "\"p01/cmyk.jpg\""));
    float v[36 * 32];
    int32_t who[36];
    MUST(safetensors_floats(e, v));
    MUST(safetensors_ints(person, who));
    for (int i = 0; i < 36; i++) {
        double square = 0;
        for (int k = 0; k < 32; k++)
            square += (double)v[32 * i + k] * v[32 * i + k];
        ck_assert_double_eq_tol(square, 1, 1e-5);
        ck_assert_int_eq(who[i], i / 18);
    }
    /* the same files for both people: the same vectors, but for the place in a batch */
    for (int i = 0; i < 18 * 32; i++)
        ck_assert_float_eq_tol(v[i], v[18 * 32 + i], 1e-6f);
    safetensors_close(f);
    free(run);
    free(out);
    free(pictures);
    free(data);
    folder_remove(folder);
}

/* ---------------------------------------------------------------- trainings side by side */
#define TRAININGS(n, epochs)                                                                                       \
    TINY, "--train", "original", "--set", "recognition.initialisations=" n, "--set",                               \
        "recognition.max_epochs=" epochs, "--set", "recognition.patience=1000000"

/* Both hold the same bytes, but for the numbers of processes in locks. */
static void same_run(const char *a, const char *b)
{
    char *command = must_printf("diff -r --exclude=locks '%s' '%s'", a, b);
    ck_assert_int_eq(system(command), 0);
    free(command);
}

static int entries(const char *folder, const char *name)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        n += !strncmp(e->d_name, name, strlen(name));
    if (d)
        closedir(d);
    return n;
}

/* Waits until a training of this run has written a checkpoint, and returns its folder. */
static char *begun_in(const char *run)
{
    for (;;) {
        char *part = stage_in(run, "recognition-"), *checkpoint = part ? in(part, "checkpoint.safetensors") : NULL;
        int there = checkpoint && file_exists(checkpoint);
        free(checkpoint);
        if (there)
            return part;
        free(part);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

TEST(side_by_side_makes_the_same)
{
    NEEDS("recognition");
    char *folder = folder_make(), *one = in(folder, "one"), *two = in(folder, "two"), *words;
    Outcome a = RUN(0, "recognition", TRAININGS("3", "2"), "--run", one), b;
    EXPECT(a, 0, "EER in per cent");
    b = RUN(0, "recognition", TRAININGS("3", "2"), "--run", two, "--jobs", "2");
    EXPECT(b, 0, "EER in per cent");
    same_run(one, two);
    ck_assert_str_eq(a.text, b.text);
    b = RUN(0, "recognition", TRAININGS("3", "2"), "--run", two, "--jobs", "auto");   /* all is made */
    ck_assert_str_eq(a.text, b.text);
    words = must_printf("rm -r '%s'/stages/recognition-*", two);
    ck_assert_int_eq(system(words), 0);
    EXPECT(RUN(0, "recognition", TRAININGS("3", "2"), "--run", two, "--only-training", "4"), 1, "there are 3");
    for (int i = 3; i > 0; i--) {
        char number[12];
        snprintf(number, sizeof number, "%d", i);
        EXPECT(RUN(0, "recognition", TRAININGS("3", "2"), "--run", two, "--only-training", number), 0, "");
    }
    same_run(one, two);
    free(words);
    free(one);
    free(two);
    folder_remove(folder);
}

TEST(a_training_that_fails_stops_the_others)
{
    NEEDS("recognition");
    char *folder = folder_make(), *run = in(folder, "run"), *locks = in(run, "locks");
    int ends[2];
    /* told to stop, a training ends at its checkpoint */
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = start_words(0, "recognition", (char *[]){"recognition", TRAININGS("4", "1000000"), "--run", run,
                                                         "--only-training", "1", NULL}, ends[1]);
    char *first = begun_in(run), *made_with = in(first, "made_with.txt");
    kill(pid, SIGTERM);
    EXPECT(outcome_of("recognition", pid, ends), 1, "\001stopped after epoch ");

    /* it cannot go on, the second is endless, and the others are never begun */
    MUST(file_write(made_with, "9 threads, none\n", 16));
    Outcome o = RUN(0, "recognition", TRAININGS("4", "1000000"), "--run", run, "--jobs", "2");
    EXPECT(o, 1, "recognition: Original 16, init 1: ");
    EXPECT(o, 1, "was begun with 9 threads");
    ck_assert_ptr_null(strstr(strstr(o.text, "was begun with") + 1, "was begun with"));
    ck_assert_ptr_null(strstr(o.text, "stopped after"));
    ck_assert_int_le(entries(locks, "recognition-"), 2);
    free(run);
    free(locks);
    free(first);
    free(made_with);
    folder_remove(folder);
}

TEST(who_is_killed_takes_its_trainings_along)
{
    NEEDS("recognition");
    char *folder = folder_make(), *whole = in(folder, "whole");
    EXPECT(RUN(0, "recognition", TRAININGS("2", "60"), "--run", whole), 0, "");
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), signals[] = {SIGKILL, SIGTERM}, status;
    for (int i = 0; i < 2; i++) {
        char *run = in(folder, i ? "terminated" : "killed"), *locks = in(run, "locks");
        pid_t pid = start_words(0, "recognition", (char *[]){"recognition", TRAININGS("2", "60"), "--run", run,
                                                             "--jobs", "2", NULL}, nowhere);
        char *part = begun_in(run);
        kill(pid, signals[i]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        DIR *d = opendir(locks);
        for (struct dirent *e; (e = readdir(d));) {   /* they are gone when their locks are free */
            char *path = in(locks, e->d_name);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            ck_assert(fd >= 0 && !flock(fd, LOCK_EX));
            close(fd);
            free(path);
        }
        closedir(d);
        ck_assert_msg(file_exists(part), "%s was finished before it could be killed", part);
        EXPECT(RUN(0, "recognition", TRAININGS("2", "60"), "--run", run, "--jobs", "2"), 0, "");
        same_run(whole, run);
        free(part);
        free(run);
        free(locks);
    }
    close(nowhere);
    free(whole);
    folder_remove(folder);
}

/* ---------------------------------------------------------------- trunks */
#define TRUNK TINY, "--set", "trunk.people=4", "--set", "trunk.images=16", "--set", "trunk.batch=8"

TEST(trunks)
{
    NEEDS("recognition");
    char *folder = folder_make(), *run = in(folder, "run");
    EXPECT(RUN(0, "recognition", TRUNK, "--run", run, "--trunk", "/nowhere/w"), 1,
           "recognition.trunk: /nowhere/w: no such file; none, attributes or a safetensors file was expected");
    EXPECT(RUN(0, "pretrain", TRUNK, "--run", run, "--set", "trunk.people=17", "--trunk"), 1,
           "there must be one of each");
    Outcome o = RUN(0, "pretrain", TRUNK, "--run", run, "--trunk");
    EXPECT(o, 0, "trunk.safetensors: The trunk was pretrained on 34 attributes (not identities) of 4 drawn people");
    char *stage = stage_in(run, "trunk-"), *weights = in(stage, "trunk.safetensors"), *curve = in(stage, "curve.csv");
    char *pictures = in(stage, "trunk.faces");
    ck_assert(file_exists(weights) && file_exists(curve) && !file_exists(pictures));
    shell("chmod -R a-w '%s'", stage);   /* used as it is */
    Outcome attributes = RUN(0, "recognition", TRUNK, "--run", run, "--trunk", "attributes");
    EXPECT(attributes, 0, "The trunk was pretrained on 34 attributes");
    Outcome file = RUN(0, "recognition", TRUNK, "--run", run, "--trunk", weights);
    EXPECT(file, 0, "The trunk of every recogniser begins with the weights of");
    /* the same weights: the same rates, up to the line that says where they are from */
    char *rates = strstr(attributes.text, "--\n"), *others = strstr(file.text, "--\n");
    ck_assert(rates && others);
    ck_assert(!strncmp(rates, others, strlen("--\n") + strcspn(rates + strlen("--\n"), "\n")));
    EXPECT(RUN(0, "recognition", TRUNK, "--run", run), 0, "No trunk was pretrained");
    o = RUN(0, "recognition", TRUNK, "--run", run, "--set", "recognition.width=16", "--trunk", weights);
    EXPECT(o, 1, "conv1.weight has shape (8, 3, 3, 3) and must have (16, 3, 3, 3): the trunk here is a ResNet of 11");
    EXPECT(o, 1, "give a file of that one, or --trunk none");
    shell("chmod -R u+w '%s'", stage);
    free(pictures);
    free(curve);
    free(weights);
    free(stage);
    free(run);
    folder_remove(folder);
}

/* docs/ops.md is what the ops say of themselves. */
TEST(the_page_of_ops)
{
    NEEDS("op");
    size_t size;
    char *page = file_read("docs/ops.md", &size), *path = program_path("op"), *now;
    HAVE(page);
    now = must_printf("'%s' list --markdown | cmp - docs/ops.md", path);
    ck_assert_msg(system(now) == 0, "docs/ops.md is old: %s list --markdown >docs/ops.md", path);
    free(now);
    free(path);
    free(page);
}

/* docs/portraits.md ends with what the renderer says of its numbers. */
TEST(the_page_of_portraits)
{
    NEEDS("portraits");
    char *path = program_path("portraits"), *now;
    now = must_printf("test \"$(sed '1,/^## Every number/d' docs/portraits.md)\" = \"$('%s' --parameters)\"", path);
    ck_assert_msg(system(now) == 0, "docs/portraits.md is old: its end is what %s --parameters says", path);
    free(now);
    free(path);
}

TEST(summaries)
{
    NEEDS("model");
    Outcome o = RUN(0, "model", "summary", "resnet50", "--batch", "2");
    EXPECT(o, 0, "25557032 parameters");
    EXPECT(o, 0, "training step on a batch of 2 (cpu, fp32), MiB: parameters 97.5, Adam's moments 195.0");
    EXPECT(o, 0, "planned arena");
    EXPECT(RUN(0, "model", "summary", "resnet50", "--batch", "-1"), 2, "--batch -1: 1 to 65536 was expected");
}

TEST_MAIN("programs", wrong_use_is_2, the_program_op, folders_of_odd_files, run_folders_that_cannot_be_used,
          a_full_disk, a_damaged_stage, faces_from_a_run, vectors_from_a_run, side_by_side_makes_the_same,
          a_training_that_fails_stops_the_others, who_is_killed_takes_its_trainings_along, trunks, the_page_of_ops,
          the_page_of_portraits, summaries)
