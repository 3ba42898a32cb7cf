/* folder.c - a data set as a folder of folders: root/identity/picture. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/faces.h"
#include "engine/error.h"

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_folder(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

/* What lies at the wrong depth. */
typedef struct Strays {
    int n;
} Strays;

static void stray(Strays *s, const char *path, const char *why)
{
    if (s->n++ < FACES_MAX_LINES)
        fprintf(stderr, "left out: %s: %s\n", path, why);
}

static void add_person(FaceList *list, Strays *strays, const char *folder, const char *person)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, by_bytes);
    if (n < 0) {
        stray(strays, folder, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        char *path = must_printf("%s/%s", folder, entries[i]->d_name);
        char *source = must_printf("%s/%s", person, entries[i]->d_name);
        if (is_folder(path))
            stray(strays, path, "a folder inside a person's folder is not read");
        else
            face_list_add(list, path, source, person);
        free(path);
        free(source);
        free(entries[i]);
    }
    if (!n)
        stray(strays, folder, "an empty folder");
    free(entries);
}

int faces_from_folder(const char *root, int size, Faces *out, FacesProgress progress, void *context)
{
    struct dirent **entries;
    FaceList list = {0};
    Strays strays = {0};
    *out = (Faces){0};
    int n = scandir(root, &entries, visible, by_bytes);
    if (n < 0)
        return fail("%s: %s", root, strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = must_printf("%s/%s", root, entries[i]->d_name);
        if (is_folder(path))
            add_person(&list, &strays, path, entries[i]->d_name);
        else
            stray(&strays, path, "not in the folder of a person");
        free(path);
        free(entries[i]);
    }
    free(entries);
    if (strays.n > FACES_MAX_LINES)
        fprintf(stderr, "left out: %d files and folders in wrong places\n", strays.n);
    int bad = list.n ? faces_from_list(&list, size, out, progress, context)
                     : fail("no pictures: a data set is a folder of one folder for each person, with pictures in it");
    face_list_free(&list);
    return bad ? fail_in("%s", root) : 0;
}
