/* counts.h - what the emulated CUDA counts, for tests that run beside other devices: FakecudaCounts and its functions of
 * tests/cudaemu/fakecuda.h, which needs CUDA's headers, by name. */
#ifndef GUISE_TEST_COUNTS_H
#define GUISE_TEST_COUNTS_H

#include <dlfcn.h>
#include <stdbool.h>

typedef struct Counts {
    long mallocs, frees, syncs, launches, copies, graph_launches, instantiations, refused, ranges;
} Counts;
static void (*mark)(void);
static Counts (*counts)(void);

/* false without the emulated CUDA. */
static inline bool counted(void)
{
    mark = (void (*)(void))dlsym(RTLD_DEFAULT, "fakecuda_mark");
    counts = (Counts (*)(void))dlsym(RTLD_DEFAULT, "fakecuda_counts");
    return mark && counts;
}

#endif
