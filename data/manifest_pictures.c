/* manifest_pictures.c - see manifest.h: the files that a list names, read by many threads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "data/manifest.h"
#include "data/sha256.h"
#include "engine/error.h"

/* What is done with row i; 0, or -1 and a message. */
typedef int (*RowWork)(void *context, int i);

/* Every row once, on all threads; why[i] receives the message of those that fail.  The number of faults, or -1. */
static int each_row(int n, const uint8_t *skip, RowWork work, void *context, char **why, ManifestProgress progress,
                    void *progress_context)
{
    int done = 0, stop = 0, faults = 0;
#pragma omp parallel for schedule(dynamic, 8)
    for (int i = 0; i < n; i++) {
        int enough, count;
#pragma omp atomic read
        enough = stop;
        if (enough)
            continue;
        if (!why[i] && !(skip && skip[i]) && work(context, i))
            why[i] = must_strdup(error_text());
#pragma omp atomic capture
        count = ++done;
#ifdef _OPENMP
        if (omp_get_thread_num())
            continue;
#endif
        if (progress && count < n && progress(progress_context, count, n)) {
#pragma omp atomic write
            stop = 1;
        }
    }
    if (stop || (progress && progress(progress_context, n, n)))
        return fail("stopped while reading pictures");
    for (int i = 0; i < n; i++)
        faults += why[i] != NULL;
    return faults;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

typedef struct Reading {
    const Manifest *m;
    ManifestTake take;
    void *context;
    char (*digest)[SHA256_DIGITS + 1];   /* (n), or NULL */
} Reading;

static int same_file(const char *path, const char *wanted, const char *digest)
{
    return *wanted && strcmp(wanted, digest)
               ? fail("%s: not the file of the manifest: its sha256 is %s instead of %s", path, digest, wanted) : 0;
}

static int read_picture(void *context, int i)
{
    Reading *r = context;
    const char *wanted = r->m->row[i].sha256;
    char *path = manifest_path(r->m, i), digest[SHA256_DIGITS + 1] = "";
    size_t size;
    Image image = {0};
    uint8_t *bytes = image_file(path, &size);
    int bad = !bytes;
    if (!bad && (*wanted || r->digest)) {
        sha256_bytes(bytes, size, digest);
        bad = same_file(path, wanted, digest);
    }
    if (!bad && r->digest)
        memcpy(r->digest[i], digest, sizeof digest);
    bad = bad || image_decode(bytes, size, path, &image);
    free(bytes);
    bad = bad || (r->take && r->take(r->context, i, &image));
    image_free(&image);
    free(path);
    return bad ? -1 : 0;
}

int manifest_read(const Manifest *m, const uint8_t *skip, ManifestTake take, void *context, char **why,
                  ManifestProgress progress, void *progress_context)
{
    Reading r = {.m = m, .take = take, .context = context};
    return each_row(m->n, skip, read_picture, &r, why, progress, progress_context);
}

int manifest_fill(Manifest *m, Told *told, ManifestProgress progress, void *context)
{
    char **why = must_zalloc(((size_t)m->n + 1) * sizeof *why);
    Reading r = {.m = m, .digest = must_zalloc(((size_t)m->n + 1) * sizeof *r.digest)};
    int faults = each_row(m->n, NULL, read_picture, &r, why, progress, context);
    for (int i = 0; i < m->n && faults >= 0; i++) {
        if (why[i])
            continue;
        free(m->row[i].sha256);
        m->row[i].sha256 = must_strdup(r.digest[i]);
    }
    for (int i = 0; i < m->n && faults > 0; i++)
        if (why[i])
            tell(told, "%s", why[i]);
    int all = m->n;
    if (faults > 0)
        manifest_leave_out(m, why);
    for (int i = 0; i < all; i++)
        free(why[i]);
    free(why);
    free(r.digest);
    return faults;
}

void manifest_key(const Manifest *m, char key[65])
{
    Sha256 s;
    sha256_begin(&s);
    for (int i = 0; i < m->n; i++) {
        const ManifestRow *r = &m->row[i];
        struct stat info;
        char *path = manifest_path(m, i);
        const char *const texts[] = {path, r->identity, r->split, r->sha256};
        for (int k = 0; k < 4; k++)
            sha256_add(&s, texts[k], strlen(texts[k]) + 1);
        if (!*r->sha256 && !stat(path, &info)) {
            int64_t of[3] = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
            sha256_add(&s, of, sizeof of);
        }
        free(path);
    }
    sha256_end(&s, key);
}

/* ---- verifying -------------------------------------------------------------------------------------------------- */

static int verify_row(void *context, int i)
{
    const Manifest *m = context;
    char *path = manifest_path(m, i), digest[SHA256_DIGITS + 1];
    int bad = !*m->row[i].sha256 ? fail("%s: has no sha256 in the manifest: nothing to compare it with", path)
                                 : sha256_file(path, digest) || same_file(path, m->row[i].sha256, digest);
    free(path);
    return bad;
}

static int by_sha256(const void *a, const void *b)
{
    const ManifestRow *p = *(ManifestRow *const *)a, *q = *(ManifestRow *const *)b;
    int order = strcmp(p->sha256, q->sha256);
    return order ? order : p->line - q->line;
}

static int tell_equal_files(const Manifest *m, Told *told)
{
    ManifestRow **rows = must_alloc(((size_t)m->n + 1) * sizeof *rows);
    int faults = 0;
    for (int i = 0; i < m->n; i++)
        rows[i] = &m->row[i];
    if (m->n)
        qsort(rows, (size_t)m->n, sizeof *rows, by_sha256);
    for (int i = 1; i < m->n; i++) {
        const ManifestRow *r = rows[i], *s = rows[i - 1];
        if (!*r->sha256 || strcmp(r->sha256, s->sha256) || !strcmp(r->identity, s->identity))
            continue;
        tell(told, "line %d: %s of %s is the same file as %s of %s in line %d", r->line, r->path, r->identity, s->path,
             s->identity, s->line);
        faults++;
    }
    free(rows);
    return faults;
}

int manifest_verify(const Manifest *m, Told *told, ManifestProgress progress, void *context)
{
    char **why = must_zalloc(((size_t)m->n + 1) * sizeof *why);
    int faults = each_row(m->n, NULL, verify_row, (void *)m, why, progress, context);
    for (int i = 0; i < m->n; i++) {
        if (faults >= 0 && why[i])
            tell(told, "line %d: %s", m->row[i].line, why[i]);
        free(why[i]);
    }
    free(why);
    return faults < 0 ? -1 : faults + tell_equal_files(m, told);
}
