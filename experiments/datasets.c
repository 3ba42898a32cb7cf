/* datasets.c - renders the synthetic sets Reconstructed and New Faces from Original. */
#include "experiments/common/synthesis.h"

int main(int argc, char **argv)
{
    static const Program program = {.name = "datasets", .does = "renders Reconstructed and New Faces from Original",
                                    .common = OPTIONS_ALL & ~(OPTIONS_JSON | OPTIONS_JOBS)};
    Context x;
    World w = {0};
    Identity id = {0};
    Synthesis s = {0};
    Datasets d = {0};
    if (context_open(&x, &program, argc, argv) || world_open(&x, &w) || identity_open(&x, &w, &id) ||
        synthesis_open(&x, &w, &id, &s) || datasets_open(&x, &w, &id, &s, &d))
        return context_failed(&x);
    printf("Reconstructed: %d pictures of %d people\nNew Faces: %d pictures of %d people\npicture: %s\n",
           d.reconstructed.n, d.reconstructed.people, d.new_faces.n, d.new_faces.people, d.picture);
    datasets_free(&d);
    synthesis_free(&s);
    identity_free(&id);
    world_free(&w);
    context_close(&x);
    return 0;
}
