/* sets.h - small made-up sets of faces, for the tests of what is done with sets. */
#ifndef GUISE_TEST_SETS_H
#define GUISE_TEST_SETS_H

#include <stdlib.h>
#include <string.h>

#include "data/faces.h"
#include "engine/error.h"

/* `people` persons, person p with count(p) images; the pixels of image i are functions of i alone. */
static inline Faces set_make(int people, int (*count)(int person), int size)
{
    int n = 0;
    for (int p = 0; p < people; p++)
        n += count(p);
    Faces f = faces_create(n, size, people);
    for (int p = 0, i = 0; p < people; p++) {
        f.names[p] = must_printf("person %d", p);
        for (int k = 0; k < count(p); k++, i++) {
            f.person[i] = p;
            f.sources[i] = must_printf("person %d/%d, \"%c\".png", p, k, 'a' + k % 26);
            for (size_t b = 0; b < faces_bytes(&f); b++)
                f.pixels[(size_t)i * faces_bytes(&f) + b] = (uint8_t)(i * 7 + i / 256 * 3 + (int)b * 5);
        }
    }
    return f;
}

static inline int count_1_to_5(int person)
{
    return 1 + person * 7 % 5;
}

/* 18,143 images of 482 people, 4 to 130 each: the paper's counts (inventory 26). */
static inline int count_of_the_paper(int person)
{
    if (person == 0)
        return 4;
    if (person == 1)
        return 130;
    return person < 2 + 249 ? 38 : person < 481 ? 37 : 18143 - 134 - 249 * 38 - 230 * 37;
}

#endif
