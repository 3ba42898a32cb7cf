/* fuzz_lists.c - any bytes are a list of names, as text or as a signature set of FRGC, or refused: fuzz.h. */
#include "data/layout_lists.h"

#include "tests/fuzz/fuzz.h"

static void read_it(const char *path)
{
    static const char *const rows[] = {"a/1.jpg", "a/2.JPG", "b/1.png", "c/deep/er/04514d04.JPG", "1"};
    Told told = {.most = -1};
    const LayoutOpts o = {.lists = &path, .n_lists = 1, .told = &told};
    Manifest m = manifest_create(".");
    for (int i = 0; i < 5; i++)
        manifest_add(&m, rows[i], rows[i], NULL, NULL, NULL);
    if (lists_apply(&m, &o))
        CLAIM(*error_text());
    else
        CLAIM(m.n > 0 && m.n <= 5);
    manifest_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_file(data, size, read_it);
    return 0;
}
