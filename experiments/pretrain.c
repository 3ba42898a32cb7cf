/* pretrain.c - trains the identity network: a recogniser of people whom no other set contains. */
#include "experiments/common/identity.h"

int main(int argc, char **argv)
{
    static const Program program = {.name = "pretrain", .does = "trains the identity network that face synthesis uses",
                                    .common = OPTIONS_ALL & ~(OPTIONS_JSON | OPTIONS_JOBS)};
    Context x;
    World w = {0};
    Identity id = {0};
    if (context_open(&x, &program, argc, argv) || world_open(&x, &w) || identity_open(&x, &w, &id))
        return context_failed(&x);
    printf("identity network of %d people, %d pictures: %s\n", w.pretrain.people, w.pretrain.n, id.weights);
    identity_free(&id);
    world_free(&w);
    context_close(&x);
    return 0;
}
