/* fuzz_lfw_pairs.c - any bytes are pairs of known pictures, or refused: fuzz.h. */
#include "data/layout_lists.h"

#include "tests/fuzz/fuzz.h"

static Manifest four_people(void)
{
    Manifest m = manifest_create(".");
    for (int i = 0; i < 12; i++) {
        char path[64], who[16];
        snprintf(who, sizeof who, "P_%d", i / 3);
        snprintf(path, sizeof path, "%s/%s_%04d.jpg", who, who, i % 3 + 1);
        manifest_add(&m, path, who, NULL, NULL, NULL);
    }
    return m;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Manifest m = four_people();
    Told told = {.most = -1};
    Pairs p;
    int *fold, folds;
    if (lfw_pairs_parse(data, size, "input", &m, &told, &p, &fold, &folds)) {
        CLAIM(!p.a && !fold && *error_text());
    } else {
        CLAIM(p.n % 2 == 0 && folds > 0);
        for (int i = 0; i < p.n; i++)
            CLAIM(p.a[i] >= 0 && p.a[i] < p.b[i] && p.b[i] < m.n && fold[i] < folds &&
                  p.match[i] == !strcmp(m.row[p.a[i]].identity, m.row[p.b[i]].identity));
        pairs_free(&p);
        free(fold);
    }
    manifest_free(&m);
    return 0;
}
