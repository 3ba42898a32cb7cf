/* named.c - see named.h. */
#include "models/named.h"

#include <string.h>

static void give(NetworkResults *out, const char *name, Val v)
{
    snprintf(out->name[out->n], sizeof out->name[0], "%s", name);
    out->v[out->n++] = v;
}

static Shape picture(const NetworkOpts *o, int64_t batch)
{
    return SHAPE(batch, 3, o->size, o->size);
}

static Shape vectors(const NetworkOpts *o, int64_t batch)
{
    return SHAPE(batch, o->identity + o->z);
}

static EncoderOpts encoder_opts(const NetworkOpts *o)
{
    return (EncoderOpts){.size = o->size, .width = o->width, .z = o->z, .bias = o->bias};
}

static ResnetOpts resnet_opts(const NetworkOpts *o)
{
    return (ResnetOpts){.blocks = {o->blocks[0], o->blocks[1], o->blocks[2], o->blocks[3]}, .width = o->width,
                        .small_stem = o->small_stem};
}

static void build_encoder(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out)
{
    Attributes a = attribute_encoder(x, mode, encoder_opts(o));
    give(out, "mean", a.mean);
    give(out, "log_variance", a.log_variance);
}

static void build_discriminator(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out)
{
    Discriminator d = discriminator(x, mode, encoder_opts(o));
    give(out, "logit", d.logit);
    give(out, "feature", d.feature);
}

static void build_generator(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out)
{
    Val identity = op_slice(x, 1, 0, o->identity), attributes = op_slice(x, 1, o->identity, o->identity + o->z);
    Pyramid made = generator(identity, attributes, mode,
                             (GeneratorOpts){.size = o->size, .width = o->width, .bias = o->bias});
    for (int i = 0; i < made.n; i++) {
        char name[24];
        snprintf(name, sizeof name, "image_%d", 4 << i);
        give(out, name, made.image[i]);
    }
}

static void build_resnet(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out)
{
    give(out, "logits", resnet_classifier(x, mode, resnet_opts(o), o->classes));
}

static void build_recogniser(Val x, Mode mode, const NetworkOpts *o, NetworkResults *out)
{
    give(out, "embedding", recogniser(x, mode, resnet_opts(o), (HeadOpts){.embedding = o->identity}, NONE));
}

#define SYNTHESIS .size = 128, .z = 128, .identity = 512
#define RESNET .size = 128, .width = 64, .identity = 512, .blocks = {3, 4, 6, 3}
const Network network_table[] = {
    {"attribute_encoder", "A, Table 6, left", {.width = 128, SYNTHESIS}, picture, build_encoder},
    {"discriminator", "D, Table 6, right", {.width = 128, SYNTHESIS}, picture, build_discriminator},
    {"generator", "G, Table 7", {.width = 64, SYNTHESIS}, vectors, build_generator},
    {"resnet50", "the recogniser's trunk with torchvision's classifier", {RESNET, .classes = 1000}, picture,
     build_resnet},
    {"recogniser", "ResNet-50 and BN-Dropout-FC-BN", {RESNET}, picture, build_recogniser},
    {0},
};

const Network *network_find(const char *name)
{
    for (const Network *n = network_table; n->name; n++)
        if (!strcmp(n->name, name))
            return n;
    return NULL;
}
