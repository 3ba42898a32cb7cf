/* fuzz_pairs.c - any bytes are stored pairs (CSV) of a set of three people, or refused: fuzz.h. */
#include "data/pairs.h"

#include "tests/fuzz/fuzz.h"

static void read_it(const char *path)
{
    static char *sources[] = {"a", "b", "c,d", "\"e\""}, *names[] = {"x", "y", "z"};
    static int32_t person[] = {0, 0, 1, 2};
    Faces f = {.n = 4, .size = 1, .people = 3, .person = person, .names = names, .sources = sources};
    Pairs p;
    if (pairs_load(path, &f, &p)) {
        CLAIM(!p.a && *error_text());
        return;
    }
    for (int i = 0; i < p.n; i++)
        CLAIM(p.a[i] >= 0 && p.a[i] < p.b[i] && p.b[i] < 4 && p.match[i] == (person[p.a[i]] == person[p.b[i]]));
    pairs_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_file(data, size, read_it);
    return 0;
}
