/* file.c - see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

char *file_read(const char *path, size_t *size)
{
    struct stat info;
    char *bytes = NULL;
    FILE *f = NULL;
    if (stat(path, &info)) {
        fail("%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {   /* asked before opening: opening a pipe would wait */
        fail("%s: not a file", path);
    } else if (!(f = fopen(path, "rb")) || fstat(fileno(f), &info)) {
        fail("%s: %s", path, strerror(errno));
    } else {
        size_t want = (size_t)info.st_size;
        bytes = malloc(want + 1);
        if (!bytes) {
            fail("%s: no memory for its %zu bytes", path, want);
        } else if (fread(bytes, 1, want, f) != want) {
            fail("%s: ends early: %s", path, ferror(f) ? strerror(errno) : "it changed while it was read");
            free(bytes);
            bytes = NULL;
        } else {
            bytes[want] = 0;
            *size = want;
        }
    }
    if (f)
        fclose(f);
    return bytes;
}

char *file_target(const char *path)
{
    struct stat info;
    if (!stat(path, &info) && !S_ISREG(info.st_mode)) {
        fail("%s: cannot write here: %s: choose another name", path,
             S_ISDIR(info.st_mode) ? "it is a folder" : "it is a device or pipe, not a file");
        return NULL;
    }
    char *real = lstat(path, &info) || !S_ISLNK(info.st_mode) ? NULL : realpath(path, NULL);
    return real ? real : must_strdup(path);
}

int file_open(FileWriter *w, const char *path)
{
    w->path = file_target(path);
    if (!w->path)
        return -1;
    w->temporary = must_printf("%s.%ld.tmp", w->path, (long)getpid());
    w->stream = fopen(w->temporary, "wb");
    if (w->stream)
        return 0;
    fail("%s: cannot write here: %s", path, strerror(errno));
    free(w->path);
    free(w->temporary);
    return -1;
}

static int finish(FileWriter *w, int keep)
{
    int bad = ferror(w->stream) || fflush(w->stream) || (keep && fsync(fileno(w->stream)));
    int why = errno;
    bad |= fclose(w->stream) != 0;
    if (keep && !bad && rename(w->temporary, w->path)) {
        bad = 1;
        why = errno;
    }
    if (keep && bad)
        fail("%s: not written: %s; make room or choose another place, and run again", w->path, strerror(why));
    if (!keep || bad)
        unlink(w->temporary);
    free(w->path);
    free(w->temporary);
    w->stream = NULL;
    return bad ? -1 : 0;
}

int file_commit(FileWriter *w)
{
    return finish(w, 1);
}

void file_abandon(FileWriter *w)
{
    finish(w, 0);
}

int file_write(const char *path, const void *bytes, size_t size)
{
    FileWriter w;
    if (file_open(&w, path))
        return -1;
    fwrite(bytes, 1, size, w.stream);   /* an error stays with the stream, and file_commit tells of it */
    return file_commit(&w);
}

int make_folders(const char *path)
{
    char *part = must_strdup(path);
    int bad = 0;
    for (char *p = part + 1; !bad; p++) {
        char c = *p;
        if (c != '/' && c != 0)
            continue;
        *p = 0;
        struct stat info;
        if (mkdir(part, 0777) && (errno != EEXIST || stat(part, &info) || !S_ISDIR(info.st_mode)))
            bad = fail("%s: cannot make this folder: %s", part, errno == EEXIST ? "a file is in the way"
                                                                               : strerror(errno));
        *p = c;
        if (!c)
            break;
    }
    free(part);
    return bad;
}

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
