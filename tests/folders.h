/* folders.h - made-up folders of small pictures, for the tests of what reads folders and lists. */
#ifndef GUISE_TEST_FOLDERS_H
#define GUISE_TEST_FOLDERS_H

#include <sys/stat.h>

#include "data/manifest.h"
#include "tests/pictures.h"

static inline void put(const char *folder, const char *name, const void *bytes, size_t size)
{
    char *path = must_printf("%s/%s", folder, name), *cut = must_strdup(path);
    *strrchr(cut, '/') = 0;
    MUST(make_folders(cut));
    FILE *out = fopen(path, "wb");   /* thousands of them need not be safe on the disk */
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, size, out), size);
    ck_assert_int_eq(fclose(out), 0);
    free(path);
    free(cut);
}

static inline void put_text(const char *folder, const char *name, const char *text)
{
    put(folder, name, text, strlen(text));
}

/* A picture of two pixels of colours that are functions of `number`: all pictures differ. */
static inline void put_picture(const char *folder, const char *name, int number)
{
    char text[32];
    size_t n = (size_t)snprintf(text, sizeof text, "P6\n2 1\n255\n");
    for (int i = 0; i < 6; i++)
        text[n + (size_t)i] = (char)(number >> (4 * i) & 255);
    put(folder, name, text, n + 6);
}

#define PUT_PICTURE(folder, number, ...)                   \
    do {                                                   \
        char name_[512];                                   \
        snprintf(name_, sizeof name_, __VA_ARGS__);        \
        put_picture(folder, name_, number);                \
    } while (0)

/* Runs `work` and hands back what standard error received; the caller frees it. */
static inline char *heard(void (*work)(void *context), void *context)
{
    char *text = NULL;
    size_t size = 0;
    FILE *log = tmpfile();
    ck_assert_ptr_nonnull(log);
    fflush(stderr);
    int keep = dup(2);
    dup2(fileno(log), 2);
    work(context);
    fflush(stderr);
    dup2(keep, 2);
    close(keep);
    fseek(log, 0, SEEK_END);
    size = (size_t)ftell(log);
    rewind(log);
    text = must_zalloc(size + 1);
    ck_assert_uint_eq(fread(text, 1, size, log), size);
    fclose(log);
    return text;
}

static inline void assert_same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = file_read(a, &n), *y = file_read(b, &m);
    HAVE(x);
    HAVE(y);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(x, y, n);
    free(x);
    free(y);
}

static inline int lines_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

#define HEARS(text, words) ck_assert_msg(strstr(text, words) != NULL, "\"%s\" is not in:\n%.4000s", words, text)

#endif
