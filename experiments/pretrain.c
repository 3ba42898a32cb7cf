/* pretrain.c - trains the identity network, a recogniser of people whom no other set contains; or a trunk for
 * recognisers, which learns attributes of drawn people. */
#include "experiments/common/identity.h"
#include "experiments/common/trunk.h"

static int trunk;

static int pretrain_trunk(Context *x)
{
    Trunk t;
    if (trunk_pretrain(x, &t))
        return -1;
    printf("%s: %s\n", t.weights, t.about);
    trunk_free(&t);
    return 0;
}

static int pretrain_identity(Context *x)
{
    World w = {0};
    Identity id = {0};
    if (world_open(x, &w) || identity_open(x, &w, &id))
        return -1;
    printf("identity network of %d people, %d pictures: %s\n", w.pretrain.people, w.pretrain.n, id.weights);
    identity_free(&id);
    world_free(&w);
    return 0;
}

int main(int argc, char **argv)
{
    static const Option own[] = {
        {"trunk", OPTION_FLAG, NULL, "trains instead the trunk of --trunk attributes: pose, expression, light, glasses "
                                     "... of drawn people of its own (trunk.*)", &trunk},
        {0},
    };
    static const Program program = {.name = "pretrain", .does = "trains the identity network that face synthesis uses",
                                    .common = OPTIONS_ALL & ~(OPTIONS_JSON | OPTIONS_JOBS), .own = own};
    Context x;
    if (context_open(&x, &program, argc, argv) || (trunk ? pretrain_trunk(&x) : pretrain_identity(&x)))
        return context_failed(&x);
    context_close(&x);
    return 0;
}
