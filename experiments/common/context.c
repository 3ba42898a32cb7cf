/* context.c - see context.h. */
#include "experiments/common/context.h"

#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/file.h"
#include "experiments/common/jobs.h"

/* One line, where this build could have used a GPU; error_text() says what is missing. */
static void say_why_no_gpu(const Context *x)
{
    char *why = must_strdup(error_text());
    if (backend_known("cuda") && !x->quiet && !x->options.only_training)
        fprintf(stderr, "%s: the CPU is used: %s\n", x->options.program->name, why);
    free(why);
}

int context_reserve(const Context *x, const char *name, Plan *const *plans, int n)
{
    PlanMemory m;
    char text[160];
    Plan *all[RESERVE_MAX];
    int count = 0;
    for (int i = 0; i < n && count < RESERVE_MAX; i++)
        if (plans[i])
            all[count++] = plans[i];
    if (plans_reserve(all, count, &m))
        return fail_in("%s", name);
    if (!x->quiet && !x->options.only_training)
        fprintf(stderr, "%s: %s\n", name, plan_memory_text(&m, text, sizeof text));
    return 0;
}

static int choose_device(Context *x)
{
    const Options *o = &x->options;
    if (o->device == DEVICE_REFERENCE) {
        snprintf(x->device, sizeof x->device, "reference");
    } else if (o->device == DEVICE_CPU) {
        snprintf(x->device, sizeof x->device, "cpu");
    } else if (o->device == DEVICE_CUDA) {
        snprintf(x->device, sizeof x->device, "cuda:%d", o->device_index);
        Device *d = device_open(x->device);   /* what is missing is said before anything else */
        if (!d)
            return -1;
        device_close(d);
    } else {
        Device *d = device_open("cuda:0");
        snprintf(x->device, sizeof x->device, "%s", d ? "cuda:0" : "cpu");
        if (d)
            device_close(d);
        else
            say_why_no_gpu(x);
    }
    Precision own = strncmp(x->device, "cuda", 4) ? PRECISION_FP32 : PRECISION_TF32;
    x->precision = o->precision < 0 ? own : (Precision)o->precision;
    if (engine_precision(x->device, x->precision)) {
        if (x->precision == PRECISION_FP32)
            return -1;
        fprintf(stderr, "%s: fp32 is used: %s\n", o->program->name, error_text());
        x->precision = PRECISION_FP32;
        if (engine_precision(x->device, x->precision))
            return -1;
    }
    engine_deterministic(o->deterministic);
    snprintf(x->about, sizeof x->about, "device %s, %s%s, data %s", x->device, precision_name(x->precision),
             o->deterministic ? "" : ", not repeatable", o->data_spec ? o->data_spec : "portraits");
    context_threads(x, o->threads);
    return 0;
}

void context_threads(Context *x, int threads)
{
    engine_threads(threads);
    snprintf(x->made_with, sizeof x->made_with, "%d threads, %s\n", engine_thread_count(),
             engine_libraries(x->device));
}

/* How many trainings side by side, and with how many threads: from options, configuration and the number of cores. */
static void choose_jobs(Context *x)
{
    const Options *o = &x->options;
    int cores = jobs_cores(), jobs = o->jobs;
    if (o->only_training || !(o->program->common & OPTIONS_JOBS))
        jobs = 1;
    else if (jobs == JOBS_CONFIG)
        jobs = (int)config_int(x->config, "recognition.jobs");
    if (!jobs)   /* a GPU's work fills it, or nearly */
        jobs = o->device == DEVICE_CUDA || !strncmp(x->device, "cuda", 4) ? 1 : cores / (o->threads ? o->threads : 1);
    x->jobs = jobs > 1 ? jobs : 1;
    x->job_threads = o->threads || x->jobs == 1 ? o->threads : cores / x->jobs > 1 ? cores / x->jobs : 1;
}

/* Recorded algorithm choices lie in the run folder; their contents are part of what a stage is made of. */
static int use_tuning(Context *x)
{
    char *path = must_printf("%s/tuning.txt", x->run->dir);
    int bad = 0;
    if (file_exists(path)) {
        size_t size = 0, n = strlen(x->about);
        char *text = file_read(path, &size), hash[33];
        bad = !text || engine_tuning(path);
        if (!bad) {
            hash_print(hash_bytes(text, size), hash);
            snprintf(x->about + n, sizeof x->about - n, ", tuning %s", hash);
        }
        free(text);
    }
    free(path);
    return bad;
}

int context_start(Context *x, const Program *program, int argc, char **argv)
{
    memset(x, 0, sizeof *x);
    options_start(&x->options, program, argc, argv);
    x->config = x->options.config;
    x->quiet = x->options.quiet;
    x->argv = argv;
    if (choose_device(x))
        return -1;
    choose_jobs(x);
    return 0;
}

int context_open(Context *x, const Program *program, int argc, char **argv)
{
    if (context_start(x, program, argc, argv))
        return -1;
    x->run = run_open(x->config, x->options.run);
    return x->run ? use_tuning(x) : -1;
}

void context_close(Context *x)
{
    if (x->run)
        run_close(x->run);
    options_free(&x->options);
}

int context_failed(const Context *x)
{
    if (x->options.only_training)
        fprintf(stderr, JOB_FAILED "%s\n", error_text());
    else
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
    o.d_first = config_bool(c, "synthesis.d_first");
    o.d_joint = config_bool(c, "synthesis.d_joint");
    o.single_scale = !config_bool(c, "synthesis.multi_scale");
    o.sum_pixels = !strcmp(config_text(c, "synthesis.reconstruction"), "sum");
    o.generator.bilinear = !strcmp(config_text(c, "synthesis.upsample"), "bilinear");
    const char *feature = config_text(c, "synthesis.feature");
    o.feature = !strcmp(feature, "logit") ? FEATURE_LOGIT : !strcmp(feature, "sigmoid") ? FEATURE_SIGMOID
                                                                                        : FEATURE_VECTOR;
    o.mean_vector = !strcmp(config_text(c, "synthesis.identity_loss"), "mean");
    o.lambda_kl = (float)config_float(c, "synthesis.lambda_kl");
    o.lambda_gd = (float)config_float(c, "synthesis.lambda_gd");
    o.lambda_gi = (float)config_float(c, "synthesis.lambda_gi");
    o.lambda_a = (float)config_float(c, "synthesis.lambda_a");
    o.beta1 = (float)config_float(c, "synthesis.beta1");
    o.beta2 = (float)config_float(c, "synthesis.beta2");
    return o;
}

/* 0 if the stage may be made here: it is new, or was begun with the same threads and libraries. */
static int same_makers(const Context *x, const Stage *stage)
{
    char *path = stage_path(stage, "made_with.txt");
    size_t size = 0;
    int bad = 0;
    if (stage->begun && file_exists(path) && !x->options.allow_drift) {
        char *text = file_read(path, &size);
        bad = !text;
        if (text && strcmp(text, x->made_with))
            bad = fail("%s was begun with %.*s and would go on with %.*s: give --threads as then, or --allow-drift to "
                       "accept slightly other numbers, or delete that folder", stage->dir, (int)strcspn(text, "\n"),
                       text, (int)strcspn(x->made_with, "\n"), x->made_with);
        free(text);
    } else {
        bad = file_write(path, x->made_with, strlen(x->made_with));
    }
    free(path);
    return bad;
}

enum { EXTRA = 640 };

static StageKey key_of(const Context *x, const char *name, int version, const char *const *sections, const char *extra,
                       const Hash *inputs, int n_inputs, char text[EXTRA])
{
    snprintf(text, EXTRA, "%s; %s", x->about, extra ? extra : "");
    return (StageKey){.name = name, .version = version, .sections = sections, .extra = text, .inputs = inputs,
                      .n_inputs = n_inputs};
}

int context_made(const Context *x, const char *name, int version, const char *const *sections, const char *extra,
                 const Hash *inputs, int n_inputs)
{
    char text[EXTRA];
    StageKey key = key_of(x, name, version, sections, extra, inputs, n_inputs, text);
    return stage_made(x->run, &key);
}

Stage *context_stage(Context *x, const char *name, int version, const char *const *sections, const char *extra,
                     const Hash *inputs, int n_inputs)
{
    char text[EXTRA];
    StageKey key = key_of(x, name, version, sections, extra, inputs, n_inputs, text);
    Stage *stage = stage_begin(x->run, &key);
    if (stage && !stage->done && same_makers(x, stage)) {
        stage_leave(stage);
        return NULL;
    }
    return stage;
}
