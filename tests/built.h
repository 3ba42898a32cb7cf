/* built.h - where the built programs are. */
#ifndef GUISE_TEST_BUILT_H
#define GUISE_TEST_BUILT_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/file.h"

/* Path of a built program: beside the tests (BUILD/tests/x -> BUILD/bin), NULL if it is not there. */
static inline char *program_path(const char *name)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return NULL;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    char *path = must_printf("%s/../bin/%s", self, name);
    if (file_exists(path))
        return path;
    free(path);
    return NULL;
}

#endif
