/* file.h - whole files, read and written so that nobody ever sees half of one. */
#ifndef GUISE_FILE_H
#define GUISE_FILE_H

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a file into memory that the caller frees; one zero byte follows the last.  NULL: see error_text(). */
char *file_read(const char *path, size_t *size);

/* Where a file that is written under this name goes: the name, or what it links to.  NULL if something is there that is
 * no file: renaming over a folder fails only at the end, and over a device (/dev/null) it does not.  To be freed. */
char *file_target(const char *path);

/* Writes beside `path` (file_target) and moves the file into place when it is complete and on the disk; on failure
 * (disk full, no permission) the old file stays as it was and nothing is left beside it.  0 or -1. */
int file_write(const char *path, const void *bytes, size_t size);

/* The same for writers that produce a stream: open, print, then commit (0 or -1) or abandon. */
typedef struct FileWriter {
    FILE *stream;
    char *path, *temporary;
} FileWriter;
int  file_open(FileWriter *w, const char *path);
int  file_commit(FileWriter *w);
void file_abandon(FileWriter *w);

/* Makes a folder and those above it; an existing one is no error.  0 or -1. */
int make_folders(const char *path);
/* 1 if something of that name exists. */
int file_exists(const char *path);

#ifdef __cplusplus
}
#endif
#endif
