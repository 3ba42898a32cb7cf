/* attribute_step.c - see attribute_step.h. */
#include "models/attribute_step.h"

#include <stdlib.h>

static Val guess_of(Val pixels, Mode mode, ResnetOpts trunk, int attributes)
{
    Val map = resnet(op_normalize_bytes(pixels), mode, trunk);
    return linear(op_global_avg_pool(map), "attributes", attributes, true, (Init){INIT_NORMAL, 0.01f});
}

AttributeStep *attribute_step_create(Store *s, ResnetOpts trunk, int size, int attributes, int batch)
{
    AttributeStep *t = must_zalloc(sizeof *t);
    Prog *p = t->p = prog_create(s);
    t->batch = batch;
    t->pixels = prog_input(p, "pixels", U8, SHAPE(batch, 3, size, size));
    t->targets = prog_input(p, "targets", F32, SHAPE(batch, attributes));
    t->rate = prog_input(p, "rate", F32, SHAPE(1));
    t->loss = op_mse_loss(guess_of(t->pixels, TRAIN, trunk, attributes), t->targets, "mean");
    Vals moved = adam(t->loss, prog_params(p, ""), t->rate, (AdamOpts){.name = "adam"});
    t->plan = plan_compile(p, (PlanOpts){.name = "attribute step", .outputs = VALS(t->loss),
                                         .updates = vals_join(p, moved, prog_updates(p))});
    if (t->plan)
        return t;
    attribute_step_free(t);
    return NULL;
}

void attribute_step_free(AttributeStep *t)
{
    if (!t)
        return;
    plan_free(t->plan);
    prog_free(t->p);
    free(t);
}

RecogniserEmbed *attribute_guess_create(Store *s, ResnetOpts trunk, int size, int attributes, int batch)
{
    RecogniserEmbed *t = must_zalloc(sizeof *t);
    Prog *p = t->p = prog_create(s);
    t->batch = batch;
    t->embedding = attributes;
    t->pixels = prog_input(p, "pixels", U8, SHAPE(batch, 3, size, size));
    t->vectors = guess_of(t->pixels, EVAL, trunk, attributes);
    t->plan = plan_compile(p, (PlanOpts){.name = "attributes", .outputs = VALS(t->vectors)});
    if (t->plan)
        return t;
    recogniser_embed_free(t);
    return NULL;
}
