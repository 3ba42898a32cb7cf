/* synthesis_step.c - see synthesis_step.h. */
#include "models/synthesis_step.h"

#include <stdlib.h>
#include <string.h>

SynthesisOpts synthesis_paper(void)
{
    return (SynthesisOpts){
        .encoder = {.size = 128, .width = 128, .z = 128}, .generator = {.size = 128, .width = 64},
        .identity = {.scope = "I", .size = 128, .trunk = RESNET50, .embedding = 512},
        .lambda_kl = 1e-4f, .lambda_gd = 5e-4f, .lambda_gi = 1, .lambda_a = 0.1f, .beta1 = 0.5f, .beta2 = 0.999f,
    };
}

/* ---------------------------------------------------------------- losses */
Val loss_reconstruction(Val target, Pyramid made, SynthesisOpts o)
{
    Vals scales = o.single_scale ? (Vals){made.image + made.n - 1, 1} : (Vals){made.image, made.n};
    return val_named(op_reconstruction_loss(target, scales, (ReconstructionLossAttrs){o.sum_pixels}), "L_GR");
}

Val loss_kl(Attributes a)
{
    Val terms = op_sub(op_add(op_exp(a.log_variance), op_square(a.mean)), op_affine(a.log_variance, 1, 1));
    return val_named(op_scale(op_sum(terms), 0.5f / (float)val_dim(a.mean, 0)), "L_KL");
}

Val loss_vector(Val target, Val made)
{
    return op_scale(op_sum(op_square(op_sub(target, made))), 0.5f / (float)val_dim(made, 0));
}

/* Equation 6 as binary cross-entropy on logits (2B,1), real first: E softplus(-real) + E softplus(fake). */
static Val loss_discriminator(Val logits)
{
    int64_t half = val_dim(logits, 0) / 2;
    Val real = op_slice(logits, 0, 0, half), fake = op_slice(logits, 0, half, 2 * half);
    return val_named(op_add(op_mean(op_softplus(op_scale(real, -1))), op_mean(op_softplus(fake))), "L_D");
}

/* ---------------------------------------------------------------- networks */
Val identity_vector(Val x, SynthesisOpts o)
{
    return val_named(op_l2_normalize(recogniser_forward(x, EVAL, o.identity, NONE, NONE)), "f_I");
}

static Attributes encode(Val x, Mode mode, SynthesisOpts o)
{
    prog_push(x.p, "A");
    Attributes a = attribute_encoder(x, mode, o.encoder);
    prog_pop(x.p);
    return a;
}

static Pyramid generate(Val identity, Val attributes, Mode mode, SynthesisOpts o)
{
    prog_push(identity.p, "G");
    Pyramid made = generator(identity, attributes, mode, o.generator);
    prog_pop(identity.p);
    return made;
}

static SynthesisStep *start(Store *s, SynthesisOpts o, int batch, bool pixels, bool identity)
{
    SynthesisStep *t = must_zalloc(sizeof *t);
    int side = o.generator.size;
    t->p = prog_create(s);
    t->batch = batch;
    t->pixels = pixels ? prog_input(t->p, "pixels", U8, SHAPE(batch, 3, side, side)) : NONE;
    t->identity = identity ? prog_input(t->p, "identity", F32, SHAPE(batch, o.identity.embedding)) : NONE;
    return t;
}

static SynthesisStep *finish(SynthesisStep *t, PlanOpts how)
{
    t->plan = plan_compile(t->p, how);
    if (t->plan)
        return t;
    synthesis_step_free(t);
    return NULL;
}

/* D on x^a and x' in one batch, x^a first. */
static Discriminator judge(Val x, Val made, bool moves, SynthesisOpts o)
{
    Mode mode = {.training = true, .update = moves, .groups = o.d_joint ? 1 : 2};
    prog_push(x.p, "D");
    Discriminator d = discriminator(op_concat(VALS(x, made), 0), mode, o.encoder);
    prog_pop(x.p);
    return d;
}

/* Equation 6's update of D. */
static Vals move_discriminator(SynthesisStep *t, Discriminator d, SynthesisOpts o)
{
    Vals in_d = prog_params(t->p, "D.");
    t->rate_d = prog_input(t->p, "rate_d", F32, SHAPE(1));
    t->d = loss_discriminator(d.logit);
    return adam_apply(in_d, prog_grad(t->d, in_d), t->rate_d,
                      (AdamOpts){.name = "adam.d", .beta1 = o.beta1, .beta2 = o.beta2});
}

SynthesisStep *synthesis_step_create(Store *s, SynthesisOpts o, int batch, int kind)
{
    SynthesisStep *t = start(s, o, batch, false, !val_ok(o.set));
    Prog *p = t->p;
    Val x = op_normalize_bytes(step_pictures(p, o.set, batch, o.generator.size, &t->pixels, &t->index));
    if (val_ok(o.set)) {
        t->from = prog_input(p, "from", I32, SHAPE(batch));
        t->identity = op_index_select(prog_input_shared(p, o.vectors), t->from, 0);
    }
    Mode mode = kind == 3 ? TRAIN_KEEP : TRAIN;
    Attributes a = encode(x, mode, o);
    Val z;
    if (o.noise_input) {
        t->noise = prog_input(p, "noise", F32, SHAPE(batch, o.encoder.z));
        z = op_add(a.mean, op_mul(t->noise, op_exp(op_scale(a.log_variance, 0.5f))));
    } else {
        z = attribute_sample(a, prog_rng(p), kind == 2 ? "attributes2" : "attributes");
    }
    Pyramid made = generate(t->identity, z, mode, o);
    t->image = made.image[made.n - 1];
    if (kind == 3) {
        Vals moved = move_discriminator(t, judge(x, t->image, true, o), o);
        return finish(t, (PlanOpts){.name = "synthesis step of D", .outputs = VALS(t->d),
                                    .updates = vals_join(p, moved, prog_updates(p))});
    }
    t->rate_ag = prog_input(p, "rate_ag", F32, SHAPE(1));
    t->gr = loss_reconstruction(x, made, o);

    Vals grad_a, grad_g, moved_d = {0};
    Vals in_a = prog_params(p, "A."), in_g = prog_params(p, "G.");
    if (kind == 1) {
        Discriminator d = judge(x, t->image, !o.d_first, o);
        Val feature = o.feature == FEATURE_VECTOR ? d.feature
                    : o.feature == FEATURE_LOGIT ? d.logit : op_sigmoid(d.logit);
        Val real = op_slice(feature, 0, 0, batch), fake = op_slice(feature, 0, batch, 2 * batch);
        t->kl = loss_kl(a);
        t->gd = val_named(loss_vector(real, fake), "L_GD");
        t->gi = loss_vector(t->identity, identity_vector(t->image, o));
        t->gi = val_named(o.mean_vector ? op_scale(t->gi, 1 / (float)o.identity.embedding) : t->gi, "L_GI");
        Val loss_a = op_add(t->gr, op_scale(t->kl, o.lambda_kl));
        Val loss_g = op_add(t->gr, op_add(op_scale(t->gd, o.lambda_gd), op_scale(t->gi, o.lambda_gi)));
        grad_a = prog_grad(loss_a, in_a);
        grad_g = prog_grad(loss_g, in_g);
        if (o.d_first)
            t->d = loss_discriminator(d.logit);
        else
            moved_d = move_discriminator(t, d, o);
    } else {
        Val loss = op_scale(t->gr, o.lambda_a);
        Vals grads = prog_grad(loss, vals_join(p, in_a, in_g));
        grad_a = (Vals){grads.v, in_a.n};
        grad_g = (Vals){grads.v + in_a.n, in_g.n};
    }
    Vals moved = adam_apply(vals_join(p, in_a, in_g), vals_join(p, grad_a, grad_g), t->rate_ag,
                            (AdamOpts){.name = "adam.ag", .beta1 = o.beta1, .beta2 = o.beta2});
    Vals updates = vals_join(p, vals_join(p, moved, moved_d), prog_updates(p));
    Vals outputs = kind == 1 ? vals_join(p, VALS(t->gr, t->kl, t->gd, t->gi, t->d, t->image), (Vals){0})
                             : vals_join(p, VALS(t->gr, t->image), (Vals){0});
    return finish(t, (PlanOpts){.name = kind == 1 ? "synthesis step 1" : "synthesis step 2", .outputs = outputs,
                                .updates = updates});
}

SynthesisStep *synthesis_render_create(Store *s, SynthesisOpts o, int batch, bool sampled)
{
    SynthesisStep *t = start(s, o, batch, true, true);
    Attributes a = encode(op_normalize_bytes(t->pixels), EVAL, o);
    Val z = attribute_sample(a, sampled ? prog_rng(t->p) : NONE, "attributes");
    Pyramid made = generate(t->identity, z, EVAL, o);
    t->image = made.image[made.n - 1];
    return finish(t, (PlanOpts){.name = "synthesis rendering", .outputs = VALS(t->image),
                                .updates = sampled ? prog_updates(t->p) : (Vals){0}});
}

SynthesisStep *synthesis_attributes_create(Store *s, SynthesisOpts o, int batch, bool sampled)
{
    SynthesisStep *t = start(s, o, batch, true, false);
    Attributes a = encode(op_normalize_bytes(t->pixels), EVAL, o);
    t->attributes = attribute_sample(a, sampled ? prog_rng(t->p) : NONE, "attributes");
    return finish(t, (PlanOpts){.name = "attribute encoding", .outputs = VALS(t->attributes),
                                .updates = sampled ? prog_updates(t->p) : (Vals){0}});
}

SynthesisStep *synthesis_faces_create(Store *s, SynthesisOpts o, int batch)
{
    SynthesisStep *t = start(s, o, batch, false, true);
    t->attributes = prog_input(t->p, "attributes", F32, SHAPE(batch, o.encoder.z));
    Pyramid made = generate(t->identity, t->attributes, EVAL, o);
    t->image = made.image[made.n - 1];
    return finish(t, (PlanOpts){.name = "synthesis of faces", .outputs = VALS(t->image)});
}

void synthesis_step_free(SynthesisStep *t)
{
    if (!t)
        return;
    plan_free(t->plan);
    prog_free(t->p);
    free(t);
}
