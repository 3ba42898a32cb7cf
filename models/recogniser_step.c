/* recogniser_step.c - see recogniser_step.h. */
#include "models/recogniser_step.h"

#include <stdlib.h>
#include <string.h>

ResnetOpts resnet_of_depth(int depth, int width, int size)
{
    static const struct {
        int depth, blocks[4];
    } known[] = {{8, {1, 1, 0, 0}}, {11, {1, 1, 1, 0}}, {14, {1, 1, 1, 1}}, {26, {2, 2, 2, 2}}, {50, {3, 4, 6, 3}},
                 {101, {3, 4, 23, 3}}};
    ResnetOpts o = {.width = width, .small_stem = size < 64};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].depth == depth)
            memcpy(o.blocks, known[i].blocks, sizeof o.blocks);
    return o;
}

Val recogniser_forward(Val x, Mode mode, RecogniserOpts o, Val dropout, Val rng)
{
    bool scoped = o.scope && *o.scope;
    if (scoped)
        prog_push(x.p, o.scope);
    Val map = resnet(x, mode, o.trunk);
    if (o.pool)
        map = op_reshape(op_global_avg_pool(map), SHAPE(val_dim(map, 0), val_dim(map, 1), 1, 1));
    Val z = recogniser_head(map, mode, (HeadOpts){.embedding = o.embedding, .dropout = dropout}, rng);
    if (scoped)
        prog_pop(x.p);
    return z;
}

Val step_pictures(Prog *p, Val set, int batch, int size, Val *pixels, Val *index)
{
    *pixels = *index = NONE;
    if (!val_ok(set))
        return *pixels = prog_input(p, "pixels", U8, SHAPE(batch, 3, size, size));
    Shape s = val_shape(set);
    if (s.rank != 4 || s.dim[1] != 3 || s.dim[2] != size || s.dim[3] != size)
        return prog_mistake(p, "the set's pictures must be 3 x %d x %d", size, size);
    *index = prog_input(p, "index", I32, SHAPE(batch));
    return op_take_bytes(prog_input_shared(p, set), *index);
}

int step_pictures_write(Prog *p, Val pixels_input, Val index_input, const uint8_t *pixels, const int32_t *index)
{
    return val_ok(index_input) ? prog_write(p, index_input, index) : prog_write(p, pixels_input, pixels);
}

RecogniserStep *recogniser_step_create(Store *s, RecogniserOpts o, int batch, int classes)
{
    RecogniserStep *t = must_zalloc(sizeof *t);
    Prog *p = t->p = prog_create(s);
    t->batch = batch;
    Val pixels = step_pictures(p, o.set, batch, o.size, &t->pixels, &t->index);
    t->labels = prog_input(p, "labels", I32, SHAPE(batch));
    t->rate = prog_input(p, "rate", F32, SHAPE(1));
    t->dropout = prog_input(p, "dropout", F32, SHAPE(1));
    Val rng = prog_rng(p);
    Val z = recogniser_forward(op_augment(pixels, rng, "augment", o.augment), TRAIN, o, t->dropout, rng);
    bool scoped = o.scope && *o.scope;
    if (scoped)
        prog_push(p, o.scope);
    t->loss = recogniser_loss(z, t->labels, classes, o.margin);
    if (scoped)
        prog_pop(p);
    Vals moved = adam(t->loss, prog_params(p, ""), t->rate, (AdamOpts){.name = "adam"});
    t->plan = plan_compile(p, (PlanOpts){.name = "recognition step", .outputs = VALS(t->loss),
                                         .updates = vals_join(p, moved, prog_updates(p))});
    if (t->plan)
        return t;
    recogniser_step_free(t);
    return NULL;
}

void recogniser_step_free(RecogniserStep *t)
{
    if (!t)
        return;
    plan_free(t->plan);
    prog_free(t->p);
    free(t);
}

RecogniserEmbed *recogniser_embed_create(Store *s, RecogniserOpts o, int batch)
{
    RecogniserEmbed *t = must_zalloc(sizeof *t);
    Prog *p = t->p = prog_create(s);
    t->batch = batch;
    t->embedding = o.embedding;
    t->pixels = prog_input(p, "pixels", U8, SHAPE(batch, 3, o.size, o.size));
    t->vectors = op_l2_normalize(recogniser_forward(op_normalize_bytes(t->pixels), EVAL, o, NONE, NONE));
    t->plan = plan_compile(p, (PlanOpts){.name = "embedding", .outputs = VALS(t->vectors)});
    if (t->plan)
        return t;
    recogniser_embed_free(t);
    return NULL;
}

void recogniser_embed_free(RecogniserEmbed *t)
{
    if (!t)
        return;
    plan_free(t->plan);
    prog_free(t->p);
    free(t);
}

int recogniser_embed(RecogniserEmbed *t, const uint8_t *pixels, int n, float *vectors)
{
    size_t image = (size_t)(shape_count(val_shape(t->pixels)) / t->batch), d = (size_t)t->embedding;
    uint8_t *last = must_zalloc(image * (size_t)t->batch);
    float *some = must_alloc(sizeof *some * d * (size_t)t->batch);
    int bad = 0;
    for (int i = 0; i < n && !bad; i += t->batch) {
        int m = n - i < t->batch ? n - i : t->batch;
        const uint8_t *from = pixels + image * (size_t)i;
        if (m < t->batch)
            from = memcpy(last, from, image * (size_t)m);
        bad = prog_write(t->p, t->pixels, from) || plan_run(t->plan) || plan_read(t->plan, t->vectors, some);
        memcpy(vectors + d * (size_t)i, some, sizeof *some * d * (size_t)m);
    }
    free(last);
    free(some);
    return bad ? -1 : 0;
}
