/* described.h - files of PyTorch's numbers whose metadata describe networks, one a line: what 500 and 501 share. */
#ifndef GUISE_TEST_DESCRIBED_H
#define GUISE_TEST_DESCRIBED_H

#include "engine/safetensors.h"
#include "models/named.h"
#include "tests/test.h"

static inline double *doubles(const SafeTensor *t)
{
    double *x = must_alloc(((size_t)safetensors_elements(t) + 1) * sizeof *x);
    MUST(safetensors_doubles(t, x));
    return x;
}

typedef struct Described {
    char name[16], kind[32];
    const Network *network;
    NetworkOpts o;
    int batch, groups;
    int input, smooth;   /* 501: number of the input's stream; 1: no rectifier is near its kink */
} Described;

/* "A16 attribute_encoder size=16 width=4 ..." */
static inline void describe(const char *line, Described *d)
{
    int at = 0;
    *d = (Described){.groups = 1};
    ck_assert_int_eq(sscanf(line, "%15s %31s %n", d->name, d->kind, &at), 2);
    d->network = network_find(d->kind);
    ck_assert_msg(d->network != NULL, "no network is called %s", d->kind);
    for (const char *p = line + at; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        const struct {
            const char *key;
            int *value;
        } numbers[] = {{"size=", &d->o.size}, {"width=", &d->o.width}, {"z=", &d->o.z}, {"batch=", &d->batch},
                       {"groups=", &d->groups}, {"identity=", &d->o.identity}, {"classes=", &d->o.classes},
                       {"input=", &d->input}, {"smooth=", &d->smooth}};
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            if (!strncmp(p, numbers[i].key, strlen(numbers[i].key)))
                *numbers[i].value = atoi(p + strlen(numbers[i].key));
        if (!strncmp(p, "bias=", 5))
            d->o.bias = p[5] == '1';
        if (!strncmp(p, "small_stem=", 11))
            d->o.small_stem = p[11] == '1';
        if (!strncmp(p, "blocks=", 7))
            ck_assert_int_eq(sscanf(p + 7, "%d,%d,%d,%d", &d->o.blocks[0], &d->o.blocks[1], &d->o.blocks[2],
                                    &d->o.blocks[3]), 4);
    }
}

/* Calls f for each line of a text of the file's metadata; how many. */
static inline int each_line(const SafeFile *file, const char *key, void (*f)(const char *line, void *context),
                            void *context)
{
    const char *text = safetensors_metadata(file, key);
    int n = 0;
    ck_assert_msg(text != NULL, "the file has no metadata %s", key);
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n', n++) {
        char line[300];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
        f(line, context);
    }
    return n;
}

#endif
