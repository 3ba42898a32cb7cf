/* replay.c - runs a fuzz entry once over the files and folders named, where libFuzzer is not at hand.
 *
 *     cc tests/fuzz/replay.c tests/fuzz/fuzz_png.c ... -o replay_png && ./replay_png tests/fuzz/corpus/png
 *
 * It fails if there is nothing to run: a corpus that was lost would otherwise pass. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/error.h"
#include "engine/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    struct stat info;
    int count = 0;
    if (!stat(path, &info) && S_ISDIR(info.st_mode)) {
        struct dirent **entries;
        int n = scandir(path, &entries, NULL, alphasort);
        for (int i = 0; i < n; i++) {
            char *inner = must_printf("%s/%s", path, entries[i]->d_name);
            if (entries[i]->d_name[0] != '.')
                count += replay(inner);
            free(inner);
            free(entries[i]);
        }
        if (n >= 0)
            free(entries);
        return count;
    }
    size_t size;
    char *bytes = file_read(path, &size);
    if (!bytes)
        die("%s", error_text());
    uint8_t *exact = must_alloc(size);   /* without file_read's extra byte, so that reading beyond the end is seen */
    for (size_t i = 0; i < size; i++)
        exact[i] = (uint8_t)bytes[i];
    free(bytes);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    if (!count)
        die("no file to replay");
    printf("%d files replayed\n", count);
    return 0;
}
