/* names.c - see names.h. */
#include "experiments/common/names.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/file.h"

enum { LONGEST = 63 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

int name_distance(const char *a, const char *b)
{
    int n = (int)strnlen(a, LONGEST + 1), m = (int)strnlen(b, LONGEST + 1);
    int d[LONGEST + 1][LONGEST + 1];
    if (n > LONGEST || m > LONGEST)
        return INT_MAX;
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]), least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[n][m];
}

void name_consider(NearName *near, const char *candidate)
{
    int distance = name_distance(near->word, candidate);
    if (!near->best || distance < near->distance) {
        near->best = candidate;
        near->distance = distance;
    }
}

const char *name_suggestion(const NearName *near)
{
    static _Thread_local char text[128];
    int far = (int)strlen(near->word) / 3;
    text[0] = 0;
    if (near->best && near->distance <= (far > 1 ? far : 1))
        snprintf(text, sizeof text, ": did you mean %s?", near->best);
    return text;
}

char *resource_path(const char *relative)
{
    char folder[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
    for (folder[n < 0 ? 0 : n] = 0; n > 0 && strcmp(folder, "/");) {
        char *up = dirname(folder);
        memmove(folder, up, strlen(up) + 1);
        char *path = must_printf("%s/%s", strcmp(folder, "/") ? folder : "", relative);
        if (file_exists(path))
            return path;
        free(path);
    }
    return must_strdup(relative);
}
