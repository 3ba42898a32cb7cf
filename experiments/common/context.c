/* context.c - see context.h. */
#include "experiments/common/context.h"

#include <stdlib.h>
#include <string.h>

#include "engine/device.h"

static int choose_device(Context *x)
{
    const Options *o = &x->options;
    if (o->device == DEVICE_REFERENCE) {
        snprintf(x->device, sizeof x->device, "reference");
    } else if (o->device == DEVICE_CPU) {
        snprintf(x->device, sizeof x->device, "cpu");
    } else if (o->device == DEVICE_CUDA) {
        snprintf(x->device, sizeof x->device, "cuda:%d", o->device_index);
    } else {
        Device *d = device_open("cuda:0");
        snprintf(x->device, sizeof x->device, "%s", d ? "cuda:0" : "cpu");
        if (d)
            device_close(d);
    }
    if (o->precision != PRECISION_FP32)
        return fail("precision: this build computes in fp32 alone; leave --precision out");
    engine_threads(o->threads);
    /* Sums of some libraries are split by thread, so the number of threads is part of what was computed. */
    snprintf(x->about, sizeof x->about, "device %s, fp32, %d threads, data %s", x->device, engine_thread_count(),
             o->data_spec ? o->data_spec : "portraits");
    return 0;
}

int context_open(Context *x, const Program *program, int argc, char **argv)
{
    memset(x, 0, sizeof *x);
    options_start(&x->options, program, argc, argv);
    x->config = x->options.config;
    x->quiet = x->options.quiet;
    if (choose_device(x))
        return -1;
    x->run = run_open(x->config, x->options.run);
    return x->run ? 0 : -1;
}

void context_close(Context *x)
{
    if (x->run)
        run_close(x->run);
    options_free(&x->options);
}

int context_failed(const Context *x)
{
    fprintf(stderr, "%s: %s\n", x->options.program->name, error_text());
    return 1;
}

static AugmentOpts augmentation(const Config *c)
{
    static const char *const names[] = {"augmentation.blur", "augmentation.rotation", "augmentation.brightness",
                                        "augmentation.contrast", "augmentation.grey"};
    float p[5];
    for (int i = 0; i < 5; i++) {
        p[i] = (float)config_float(c, names[i]);
        p[i] = p[i] > 0 ? p[i] : -1;   /* AugmentOpts: negative is never */
    }
    return (AugmentOpts){
        .blur_p = p[0], .rotate_p = p[1], .brightness_p = p[2], .contrast_p = p[3], .grey_p = p[4],
        .sigma_low = (float)config_float(c, "augmentation.blur_least"),
        .sigma_high = (float)config_float(c, "augmentation.blur_most"),
        .degrees = (float)config_float(c, "augmentation.degrees"),
        .brightness = (float)config_float(c, "augmentation.brightness_by"),
        .contrast = (float)config_float(c, "augmentation.contrast_by"),
        .scale_low = (float)config_float(c, "augmentation.scale_least"),
        .scale_high = (float)config_float(c, "augmentation.scale_most"),
        .resize = strcmp(config_text(c, "augmentation.crop"), "zoom") ? "crop" : "zoom",
    };
}

RecogniserOpts context_identity(const Context *x)
{
    const Config *c = x->config;
    int size = (int)config_int(c, "data.size");
    return (RecogniserOpts){
        .scope = "I", .size = size, .embedding = (int)config_int(c, "identity.embedding"),
        .trunk = resnet_of_depth(atoi(config_text(c, "identity.depth")), (int)config_int(c, "identity.width"), size),
        .pool = !strcmp(config_text(c, "identity.head"), "pool"),
        .margin = {.s = (float)config_float(c, "identity.s"), .m = (float)config_float(c, "identity.m")},
        .augment = augmentation(c),
    };
}

RecogniserOpts context_recogniser(const Context *x)
{
    const Config *c = x->config;
    int size = (int)config_int(c, "data.size");
    return (RecogniserOpts){
        .scope = "", .size = size, .embedding = (int)config_int(c, "recognition.embedding"),
        .trunk = resnet_of_depth(atoi(config_text(c, "recognition.depth")), (int)config_int(c, "recognition.width"), size),
        .pool = !strcmp(config_text(c, "recognition.head"), "pool"),
        .margin = {.s = (float)config_float(c, "recognition.s"), .m = (float)config_float(c, "recognition.m"),
                   .easy_gradient = config_bool(c, "recognition.easy_gradient")},
        .augment = augmentation(c),
    };
}

SynthesisOpts context_synthesis(const Context *x)
{
    const Config *c = x->config;
    int size = (int)config_int(c, "data.size"), width = (int)config_int(c, "synthesis.width");
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = size, .width = width, .z = (int)config_int(c, "synthesis.z")};
    o.generator = (GeneratorOpts){.size = size, .width = width / 2 ? width / 2 : 1};
    o.identity = context_identity(x);
    o.single_scale = !config_bool(c, "synthesis.multi_scale");
    o.sum_pixels = !strcmp(config_text(c, "synthesis.reconstruction"), "sum");
    o.mean_vector = !strcmp(config_text(c, "synthesis.identity_loss"), "mean");
    o.lambda_kl = (float)config_float(c, "synthesis.lambda_kl");
    o.lambda_gd = (float)config_float(c, "synthesis.lambda_gd");
    o.lambda_gi = (float)config_float(c, "synthesis.lambda_gi");
    o.lambda_a = (float)config_float(c, "synthesis.lambda_a");
    o.beta1 = (float)config_float(c, "synthesis.beta1");
    o.beta2 = (float)config_float(c, "synthesis.beta2");
    return o;
}

Stage *context_stage(Context *x, const char *name, int version, const char *const *sections, const char *extra,
                     const Hash *inputs, int n_inputs)
{
    char text[512];
    snprintf(text, sizeof text, "%s; %s", x->about, extra ? extra : "");
    return stage_begin(x->run, &(StageKey){.name = name, .version = version, .sections = sections, .extra = text,
                                           .inputs = inputs, .n_inputs = n_inputs});
}
