/* 120_store.c - what lasts: initial values, files, prefixes, copies, and files that cannot be written. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/safetensors.h"
#include "tests/programs.h"

static char folder[] = "/tmp/guise-store-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void open_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void close_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static int files(void)
{
    DIR *d = opendir(folder);
    int n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += *e->d_name != '.';
    closedir(d);
    return n;
}

/* Three networks and some odd entries: A.w, A.b, G.w, adam.m.A.w, rng, count, bytes. */
static Store *some(const char *device, uint64_t seed)
{
    Store *s = store_try(device, seed);
    if (!s)
        return NULL;
    ck_assert_int_ge(store_add(s, "A.w", F32, SHAPE(3, 17, 2, 2), (Init){INIT_NORMAL, 0.5f}, true), 0);
    ck_assert_int_ge(store_add(s, "A.b", F32, SHAPE(3), (Init){INIT_UNIFORM, 0.25f}, true), 0);
    ck_assert_int_ge(store_add(s, "G.w", F32, SHAPE(5, 7), (Init){INIT_CONSTANT, 1.5f}, true), 0);
    ck_assert_int_ge(store_add(s, "adam.m.A.w", F32, SHAPE(3, 17, 2, 2), (Init){INIT_ZERO, 0}, false), 0);
    ck_assert_int_ge(store_add(s, "one", F32, (Shape){.rank = 0}, (Init){INIT_NORMAL, 1}, false), 0);
    ck_assert_int_ge(store_add(s, "rng", I32, SHAPE(4), (Init){INIT_ZERO, 0}, false), 0);
    ck_assert_int_ge(store_add(s, "count", I32, SHAPE(1), (Init){INIT_CONSTANT, -3}, false), 0);
    ck_assert_int_ge(store_add(s, "bytes", U8, SHAPE(5), (Init){INIT_ZERO, 0}, false), 0);
    return s;
}

static void scramble(Store *s, uint64_t step)
{
    for (int i = 0; i < store_count(s); i++) {
        int64_t n = shape_count(store_shape(s, i));
        float *x = normals(n, store_name(s, i), step, 2);
        if (store_dtype(s, i) == F32 && n > 2)
            x[0] = INFINITY, x[1] = -0.0f, x[2] = 1e-42f;   /* bits must survive, subnormals too */
        MUST(store_write(s, i, x));
        free(x);
    }
}

static void same_bits(const Store *a, const Store *b, bool same)
{
    size_t n, m;
    char *x = store_bits(a, &n), *y = store_bits(b, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_int_eq(!memcmp(x, y, n), same);
    free(x);
    free(y);
}

TEST(initial_values)
{
    Store *s = some("reference", 42);
    float w[204], b[3], g[35];
    int32_t rng[4], count;
    MUST(store_read(s, store_find(s, "A.w"), w));
    MUST(store_read(s, store_find(s, "A.b"), b));
    MUST(store_read(s, store_find(s, "G.w"), g));
    MUST(store_read(s, store_find(s, "rng"), rng));
    MUST(store_read(s, store_find(s, "count"), &count));
    for (int i = 0; i < 204; i++)
        ck_assert_float_eq(w[i], 0.5f * random_normal_from(random_unit(random_bits(42, random_name("A.w"), 0,
                                                                                   (uint64_t)i))));
    for (int i = 0; i < 3; i++)
        ck_assert(fabsf(b[i]) < 0.25f && b[i] != 0);
    for (int i = 0; i < 35; i++)
        ck_assert_float_eq(g[i], 1.5f);
    ck_assert_int_eq(rng[0], 42);
    ck_assert_int_eq(rng[1] | rng[2] | rng[3], 0);
    ck_assert_int_eq(count, -3);
    ck_assert_int_eq(store_find(s, "A."), -1);
    ck_assert(store_is_param(s, store_find(s, "A.w")) && !store_is_param(s, store_find(s, "one")));
    ck_assert_int_eq(store_add(s, "A.w", F32, SHAPE(3), (Init){0}, true), -1);
    ck_assert_msg(strstr(error_text(), "A.w") && strstr(error_text(), "(3, 17, 2, 2)"), "%s", error_text());
    ck_assert_int_eq(store_add(s, "A.b", I32, SHAPE(3), (Init){0}, true), -1);
    ck_assert_int_eq(store_count(s), 8);
    store_free(s);
}

/* Bit for bit on every device, and whatever the order of creation. */
TEST(devices_begin_alike)
{
    Store *want = some("reference", 42);
    static const char *const devices[] = {"reference64", "cpu", "cuda"};
    for (int i = 0; i < 3; i++) {
        Store *s = some(devices[i], 42);
        if (!s) {
            printf("without cuda: %s\n", error_text());
            continue;
        }
        same_bits(want, s, true);
        store_free(s);
    }
    Store *other = store_create("cpu", 42);
    store_add(other, "A.b", F32, SHAPE(3), (Init){INIT_UNIFORM, 0.25f}, true);
    store_add(other, "A.w", F32, SHAPE(3, 17, 2, 2), (Init){INIT_NORMAL, 0.5f}, true);
    float a[204], b[204];
    MUST(store_read(want, store_find(want, "A.w"), a));
    MUST(store_read(other, store_find(other, "A.w"), b));
    ck_assert_mem_eq(a, b, sizeof a);
    store_free(other);
    store_free(want);
}

TEST(reset_by_prefix)
{
    Store *s = some("cpu", 1), *one = some("cpu", 1), *two = some("cpu", 2);
    same_bits(one, two, false);
    scramble(s, 0);
    MUST(store_reset(s, "", 1));
    same_bits(s, one, true);
    MUST(store_reset(s, "", 2));
    same_bits(s, two, true);
    MUST(store_reset(s, "", 1));
    uint64_t before = s->entries[store_find(s, "A.w")]->version, kept = s->entries[store_find(s, "one")]->version;
    MUST(store_reset(s, "A.|G.", 2));
    ck_assert_uint_gt(s->entries[store_find(s, "A.w")]->version, before);
    ck_assert_uint_eq(s->entries[store_find(s, "one")]->version, kept);
    for (int i = 0; i < store_count(s); i++) {
        float x[204], y[204];
        const char *name = store_name(s, i);
        MUST(store_read(s, i, x));
        MUST(store_read(!strncmp(name, "A.", 2) || !strncmp(name, "G.", 2) ? two : one, i, y));
        ck_assert_msg(!memcmp(x, y, (size_t)shape_count(store_shape(s, i)) * (store_dtype(s, i) == U8 ? 1 : 4)), "%s",
                      name);
    }
    store_free(s);
    store_free(one);
    store_free(two);
}

/* ---------------------------------------------------------------- files */
TEST(files_round_trip)
{
    open_folder();
    static const char *const devices[] = {"reference", "reference64", "cpu", "cuda"};
    for (int i = 0; i < 4; i++) {
        Store *a = some(devices[i], 1), *b = some("cpu", 2);
        if (!a) {
            store_free(b);
            continue;
        }
        scramble(a, 3);
        const char *metadata[] = {"step", "17", "preset", "quick", NULL};
        MUST(store_save(a, in_folder("all.safetensors"), "", metadata));
        ck_assert_int_eq(files(), 1);
        MUST(store_load(b, in_folder("all.safetensors"), ""));
        same_bits(a, b, true);
        SafeFile *f = safetensors_open(in_folder("all.safetensors"));
        HAVE(f);
        ck_assert_int_eq(safetensors_count(f), 8);
        ck_assert_str_eq(safetensors_metadata(f, "step"), "17");
        safetensors_close(f);
        store_free(a);
        store_free(b);
    }
    close_folder();
}

TEST(prefixes)
{
    open_folder();
    Store *a = some("cpu", 1), *b = some("cpu", 2), *fresh = some("cpu", 2);
    MUST(store_save(a, in_folder("ag"), "A.|G.", NULL));
    SafeFile *f = safetensors_open(in_folder("ag"));
    ck_assert_int_eq(safetensors_count(f), 3);
    ck_assert_ptr_null(safetensors_find(f, "adam.m.A.w"));
    safetensors_close(f);
    MUST(store_load(b, in_folder("ag"), "A."));
    for (int i = 0; i < store_count(b); i++) {
        float x[204], y[204];
        MUST(store_read(b, i, x));
        MUST(store_read(strncmp(store_name(b, i), "A.", 2) ? fresh : a, i, y));
        ck_assert(!memcmp(x, y, (size_t)shape_count(store_shape(b, i)) * (store_dtype(b, i) == U8 ? 1 : 4)));
    }
    store_free(a);
    store_free(b);
    store_free(fresh);
    close_folder();
}

/* The store is as before when a name is missing, a shape or dtype differs, or the file is no such file. */
TEST(bad_files_change_nothing)
{
    open_folder();
    Store *s = some("cpu", 1), *before = some("cpu", 1);
    float w[204] = {0}, b[3] = {0};
    int32_t whole[3] = {0};
    double deep[1] = {0};
    SafeTensor good[] = {{.name = "A.w", .dtype = SAFE_F32, .rank = 4, .shape = {3, 17, 2, 2}, .data = w},
                         {.name = "A.b", .dtype = SAFE_F32, .rank = 1, .shape = {3}, .data = b}};
    static const char *const expected[] = {"A.b", "(4)", "A.b", "(1, 1, 1, 1, 1, 1", "A.b", "", ""};
    for (int i = 0; i < 7; i++) {
        SafeTensor t[2] = {good[0], good[1]};
        float four[4] = {0};
        if (i == 1)
            t[1] = (SafeTensor){.name = "A.b", .dtype = SAFE_F32, .rank = 1, .shape = {4}, .data = four};
        if (i == 2)
            t[1] = (SafeTensor){.name = "A.b", .dtype = SAFE_F32, .rank = 2, .shape = {1, 3}, .data = b};
        if (i == 3)
            t[1] = (SafeTensor){.name = "A.b", .dtype = SAFE_F64, .rank = 8, .shape = {1, 1, 1, 1, 1, 1, 1, 1},
                                .data = deep};
        if (i == 4)
            t[1] = (SafeTensor){.name = "A.b", .dtype = SAFE_I32, .rank = 1, .shape = {3}, .data = whole};
        MUST(safetensors_write(in_folder("bad"), t, i == 0 ? 1 : 2, NULL));
        if (i == 5)
            MUST(file_write(in_folder("bad"), "nothing", 7));
        if (i == 6)
            unlink(in_folder("bad"));
        ck_assert_int_eq(store_load(s, in_folder("bad"), "A."), -1);
        ck_assert_msg(strstr(error_text(), expected[i]) && strstr(error_text(), "bad"), "%d: %s", i, error_text());
        same_bits(s, before, true);
    }
    MUST(safetensors_write(in_folder("good"), good, 2, NULL));
    ck_assert_int_eq(store_load(s, in_folder("good"), ""), -1);   /* all: G.w is missing */
    same_bits(s, before, true);
    MUST(store_load(s, in_folder("good"), "A."));
    same_bits(s, before, false);
    store_free(s);
    store_free(before);
    close_folder();
}

TEST(copies_between_stores)
{
    static const char *const devices[] = {"cpu", "reference", "reference64", "cuda"};
    for (int i = 0; i < 4; i++) {
        Store *a = some("cpu", 1), *b = some(devices[i], 2);
        if (!b) {
            store_free(a);
            continue;
        }
        scramble(a, 1);
        uint64_t version = b->entries[0]->version;
        MUST(store_copy(b, a, ""));
        same_bits(a, b, true);
        ck_assert_uint_gt(b->entries[0]->version, version);
        /* One that does not fit, behind some that would: nothing moves. */
        scramble(a, 2);
        ck_assert_int_ge(store_add(b, "G.x", F32, SHAPE(2), (Init){0}, true), 0);
        size_t n, m;
        char *before = store_bits(b, &n);
        ck_assert_int_eq(store_copy(b, a, ""), -1);
        ck_assert_ptr_nonnull(strstr(error_text(), "G.x"));
        char *after = store_bits(b, &m);
        ck_assert_mem_eq(before, after, n);
        free(before);
        free(after);
        MUST(store_copy(b, a, "A."));
        float x[3], y[3];
        MUST(store_read(a, store_find(a, "A.b"), x));
        MUST(store_read(b, store_find(b, "A.b"), y));
        ck_assert_mem_eq(x, y, sizeof x);
        store_free(a);
        store_free(b);
    }
}

/* ---------------------------------------------------------------- places that do not take files */
TEST(nothing_is_left_half_written)
{
    open_folder();
    Store *s = some("cpu", 1), *t = some("cpu", 2);
    MUST(store_save(s, in_folder("model"), "", NULL));
    scramble(s, 1);
    char link[160];
    snprintf(link, sizeof link, "%s.%ld.tmp", in_folder("model"), (long)getpid());
    /* A full disk: what is written to the temporary file goes to /dev/full. */
    if (access("/dev/full", W_OK) == 0) {
        ck_assert_int_eq(symlink("/dev/full", link), 0);
        ck_assert_int_eq(store_save(s, in_folder("model"), "", NULL), -1);
        ck_assert_msg(strstr(error_text(), "model") && strstr(error_text(), "space"), "%s", error_text());
        ck_assert_int_eq(files(), 1);
        MUST(store_load(t, in_folder("model"), ""));
        Store *first = some("cpu", 1);
        same_bits(t, first, true);   /* the old file is whole */
        store_free(first);
    }
    /* A temporary name that is taken by a folder; a folder that is not there. */
    ck_assert_int_eq(mkdir(link, 0700), 0);
    ck_assert_int_eq(store_save(s, in_folder("model"), "", NULL), -1);
    rmdir(link);
    ck_assert_int_eq(store_save(s, in_folder("nowhere/model"), "", NULL), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "nowhere/model"));
    /* A folder in which nothing may be written; root may everywhere and becomes nobody for it. */
    bool root = geteuid() == 0;
    ck_assert_int_eq(chmod(folder, root ? 0755 : 0500), 0);
    if (!root || seteuid(65534) == 0) {
        ck_assert_int_eq(store_save(s, in_folder("model"), "", NULL), -1);
        ck_assert_int_eq(store_save(s, in_folder("new"), "", NULL), -1);
    }
    if (root)
        ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(files(), 1);
    MUST(store_save(s, in_folder("model"), "", NULL));
    MUST(store_load(t, in_folder("model"), ""));
    same_bits(s, t, true);
    store_free(s);
    store_free(t);
    close_folder();
}

/* A pipe stays one, and so does a folder; of a link, what it leads to is replaced. */
TEST(only_files_are_replaced)
{
    open_folder();
    char file[128], link[128];
    struct stat info;
    snprintf(file, sizeof file, "%s", in_folder("file"));
    snprintf(link, sizeof link, "%s", in_folder("link"));
    MUST(file_write(file, "old", 3));
    ck_assert_int_eq(symlink("file", link), 0);
    MUST(file_write(link, "newer", 5));
    ck_assert(!lstat(link, &info) && S_ISLNK(info.st_mode));
    ck_assert(!lstat(file, &info) && S_ISREG(info.st_mode) && info.st_size == 5);
    ck_assert_int_eq(unlink(file), 0);
    MUST(file_write(link, "x", 1));   /* it led nowhere */
    ck_assert(!stat(link, &info) && info.st_size == 1);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    ck_assert_int_eq(file_write(in_folder("pipe"), "x", 1), -1);
    ck_assert_msg(strstr(error_text(), "pipe: cannot write here: it is a device or pipe"), "%s", error_text());
    ck_assert(!lstat(in_folder("pipe"), &info) && S_ISFIFO(info.st_mode));
    ck_assert_int_eq(mkdir(in_folder("folder"), 0700), 0);
    ck_assert_int_eq(file_write(in_folder("folder"), "x", 1), -1);
    ck_assert_msg(strstr(error_text(), "folder: cannot write here: it is a folder"), "%s", error_text());
    rmdir(in_folder("folder"));
    ck_assert_int_eq(files(), 2);
    close_folder();
}

TEST_MAIN("store", initial_values, devices_begin_alike, reset_by_prefix, files_round_trip, prefixes,
          bad_files_change_nothing, copies_between_stores, nothing_is_left_half_written,
          only_files_are_replaced)
