/* trained.c - see trained.h. */
#include "experiments/common/trained.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/safetensors.h"

/* Path of `name` in the folder of `file`. */
static char *beside(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    return must_printf("%.*s%s", slash ? (int)(slash - file) + 1 : 0, file, name);
}

char *trained_find(const char *run, const char *stage, const char *file)
{
    char *folder = must_printf("%s/stages", run), *best = NULL;
    struct timespec newest = {0};
    size_t n = strlen(stage);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t length = strlen(e->d_name);
        if (strncmp(e->d_name, stage, n) || e->d_name[n] != '-' ||
            (length > 5 && !strcmp(e->d_name + length - 5, ".part")))
            continue;
        char *path = must_printf("%s/%s/%s", folder, e->d_name, file);
        struct stat s;
        if (!stat(path, &s) && (!best || s.st_mtim.tv_sec > newest.tv_sec ||
                                (s.st_mtim.tv_sec == newest.tv_sec && s.st_mtim.tv_nsec > newest.tv_nsec))) {
            free(best);
            best = must_strdup(path);
            newest = s.st_mtim;
        }
        free(path);
    }
    if (d)
        closedir(d);
    if (!best)
        fail("%s: no finished stage \"%s\" is there: make it with the experiment of that name, or name the file itself",
             folder, stage);
    free(folder);
    return best;
}

int trained_settings(const char *file, Config *c)
{
    size_t size;
    char *path = beside(file, "stage.txt"), *text = file_exists(path) ? file_read(path, &size) : must_strdup("");
    free(path);
    if (!text)
        return -1;
    for (char *line = text, *next; line && *line && strncmp(line, "extra:", 6); line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        char *equals = strstr(line, " = ");
        if (!equals)
            continue;
        char *assignment = must_printf("%.*s=%s", (int)(equals - line), line, equals + 3);
        (void)config_set(c, assignment);   /* of another version: sizes that do not fit show when the file is read */
        free(assignment);
    }
    free(text);
    return 0;
}

/* The identity stage among the inputs that a stage.txt names, or NULL. */
static char *identity_of(const char *synthesis, const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned long long high, low;
        char hash[17];
        if (sscanf(line, "input %16llx%16llx", &high, &low) != 2)
            continue;
        hash_print_short((Hash){high, low}, hash);
        char *name = must_printf("../identity-%s/identity.safetensors", hash), *path = beside(synthesis, name);
        free(name);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

char *trained_identity(const char *synthesis, const Config *c)
{
    char *path = beside(synthesis, "identity.safetensors"), *stage = beside(synthesis, "stage.txt");
    size_t size;
    if (!file_exists(path)) {
        char *text = file_exists(stage) ? file_read(stage, &size) : NULL;
        free(path);
        path = identity_of(synthesis, text);
        free(text);
    }
    free(stage);
    if (!path && *config_text(c, "identity.weights"))
        path = must_strdup(config_text(c, "identity.weights"));
    if (!path)
        fail("%s: the identity network that it was trained with is not beside it: give --identity-weights FILE",
             synthesis);
    return path;
}

int trained_load(Store *s, const char *file, const char *prefix)
{
    if (!store_load(s, file, prefix))
        return 0;
    char *why = must_strdup(error_text()), *stage = beside(file, "stage.txt");
    SafeFile *f = safetensors_open(file);
    fail(f && !file_exists(stage) ? "%s: sizes are those of --preset, --config and --set" : "%s", why);
    safetensors_close(f);
    free(stage);
    free(why);
    return -1;
}
