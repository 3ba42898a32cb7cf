/* recogniser.c - what stands behind the trunk: the head and the ArcFace loss. */
#include "models/recogniser.h"

Val recogniser_head(Val map, Mode mode, HeadOpts o, Val rng)
{
    Prog *p = map.p;
    prog_push(p, "head");
    Val h = op_flatten(batch_norm(map, "bn1", mode));
    if (mode.training && val_ok(o.dropout))
        h = op_dropout(h, o.dropout, rng, "head.dropout");
    h = linear(h, "fc", o.embedding, true, (Init){INIT_NORMAL, 0.01f});
    h = batch_norm_unscaled(h, "bn2", mode);
    prog_pop(p);
    return h;
}

Val recogniser(Val x, Mode mode, ResnetOpts r, HeadOpts h, Val rng)
{
    return recogniser_head(resnet(x, mode, r), mode, h, rng);
}

Val recogniser_loss(Val z, Val labels, int n, MarginOpts o)
{
    prog_push(z.p, "classes");
    Val w = prog_param(z.p, "weight", SHAPE(n, val_dim(z, 1)), (Init){INIT_NORMAL, 0.01f});
    prog_pop(z.p);
    return op_mean(op_arcface(z, w, labels, (ArcfaceAttrs){.s = o.s, .m = o.m, .easy_gradient = o.easy_gradient}));
}
