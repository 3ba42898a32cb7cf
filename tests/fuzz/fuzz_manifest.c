/* fuzz_manifest.c - any bytes are a manifest, which can be written and read back as it was, or refused: fuzz.h. */
#include "data/manifest.h"

#include "engine/file.h"
#include "tests/fuzz/fuzz.h"

static void read_back(const Manifest *m)
{
    char path[64];
    size_t size;
    Manifest back;
    snprintf(path, sizeof path, "/dev/shm/guise-fuzz-%ld.csv", (long)getpid());
    if (manifest_save(m, path))
        return;   /* no such place here */
    char *bytes = file_read(path, &size);
    unlink(path);
    CLAIM(bytes && !manifest_parse(bytes, size, "written", ".", &back, -1));
    CLAIM(back.n == m->n);
    for (int i = 0; i < m->n; i++) {
        const ManifestRow *a = &m->row[i], *b = &back.row[i];
        CLAIM(!strcmp(a->path, b->path) && !strcmp(a->identity, b->identity) && !strcmp(a->split, b->split) &&
              !strcmp(a->source, b->source) && !strcmp(a->sha256, b->sha256));
    }
    free(bytes);
    manifest_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Manifest m;
    if (manifest_parse(data, size, "input", ".", &m, -1)) {
        CLAIM(!m.n && !m.row && *error_text());
        return 0;
    }
    CLAIM(m.n > 0);
    manifest_sort(&m);
    CLAIM(manifest_people(&m, NULL) >= 1);
    read_back(&m);
    manifest_free(&m);
    return 0;
}
