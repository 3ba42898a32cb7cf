/* synthesis.c - trains the face-synthesis network (equations 1 to 10) on Original. */
#include "experiments/common/synthesis.h"

int main(int argc, char **argv)
{
    static const Program program = {.name = "synthesis", .does = "trains the face-synthesis network",
                                    .common = OPTIONS_ALL & ~(OPTIONS_JSON | OPTIONS_JOBS)};
    Context x;
    World w = {0};
    Identity id = {0};
    Synthesis s = {0};
    if (context_open(&x, &program, argc, argv) || world_open(&x, &w) || identity_open(&x, &w, &id) ||
        synthesis_open(&x, &w, &id, &s))
        return context_failed(&x);
    printf("synthesis network of %d people, %d pictures: %s\nsamples: %s\n", w.original.people, w.original.n, s.weights,
           s.samples);
    synthesis_free(&s);
    identity_free(&id);
    world_free(&w);
    context_close(&x);
    return 0;
}
