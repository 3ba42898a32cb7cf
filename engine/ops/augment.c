/* augment.c - uniforms in, pictures out: the randomness itself is op_random_uniform's.  See augment.h. */
#include "engine/ops/augment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/op.h"
#include "engine/ops/augment_rule.h"
#include "engine/ops/constant.h"
#include "engine/ops/infer.h"
#include "engine/ops/random.h"
#include "engine/ops/resize.h"
#include "engine/ops/warp.h"

enum { SIDE = 16384 };

/* Written so that NaN is refused. */
static bool within(float v, float low, float high)
{
    return v >= low && v <= high;
}

static bool infer_probability(OpShapes *s, const char *name, float p)
{
    if (within(p, 0, 1))
        return true;
    op_mistake(s, "%s is %g and must be 0 to 1", name, (double)p);
    return false;
}

/* x (B, C, H, W) of usable sides and u (B, uniforms). */
static bool infer_pictures(OpShapes *s, int uniforms)
{
    if (!infer_operand(s, 0, F32, 4) || !infer_operand(s, 1, F32, 2))
        return false;
    const int64_t *x = s->in[0].dim;
    if (x[0] < 1 || x[1] < 1 || x[2] < 1 || x[2] > SIDE || x[3] < 1 || x[3] > SIDE) {
        op_mistake(s, "operand x must have sides of 1 to %d, and at least one picture and channel", SIDE);
        return false;
    }
    if (s->in[1].dim[0] != x[0] || s->in[1].dim[1] != uniforms) {
        op_mistake(s, "operand u must be (%ld, %d): %d uniforms a picture", (long)x[0], uniforms, uniforms);
        return false;
    }
    return true;
}

/* ---------------------------------------------------------------- geometry */
static const OpAttr affine_attrs[] = {
    {"degrees", ATTR_REAL, offsetof(RandomAffineAttrs, degrees), "15", "largest rotation"},
    {"rotate_p", ATTR_REAL, offsetof(RandomAffineAttrs, rotate_p), "0.8", "probability of a rotation"},
    {"scale_low", ATTR_REAL, offsetof(RandomAffineAttrs, scale_low), "0.8", "smallest zoom, or share of the area"},
    {"scale_high", ATTR_REAL, offsetof(RandomAffineAttrs, scale_high), "1.2", "largest zoom, or share of the area"},
    {"shift", ATTR_REAL, offsetof(RandomAffineAttrs, shift), "1", "how far from the middle the window may go"},
    {"height", ATTR_INT, offsetof(RandomAffineAttrs, height), "", "rows of the pictures"},
    {"width", ATTR_INT, offsetof(RandomAffineAttrs, width), "", "columns of the pictures"},
    {"out_height", ATTR_INT, offsetof(RandomAffineAttrs, out_height), "0", "rows of the result, 0: the same"},
    {"out_width", ATTR_INT, offsetof(RandomAffineAttrs, out_width), "0", "columns of the result, 0: the same"},
    {"mode", ATTR_TEXT, offsetof(RandomAffineAttrs, mode), "crop", "crop or zoom"},
    ATTRS_END,
};

static void affine_infer(OpShapes *s)
{
    const RandomAffineAttrs *a = s->attrs;
    if (!infer_operand(s, 0, F32, 2) || !infer_probability(s, "rotate_p", a->rotate_p))
        return;
    bool crop = a->mode && !strcmp(a->mode, "crop"), zoom = a->mode && !strcmp(a->mode, "zoom");
    int uniforms = crop ? RANDOM_AFFINE_CROP : RANDOM_AFFINE_ZOOM;
    if (!crop && !zoom)
        op_mistake(s, "mode is \"%s\" and must be crop or zoom", a->mode ? a->mode : "");
    else if (!within(a->degrees, 0, 180))
        op_mistake(s, "degrees is %g and must be 0 to 180", (double)a->degrees);
    else if (!within(a->scale_low, 1e-3f, 16) || !within(a->scale_high, a->scale_low, 16))
        op_mistake(s, "scale is %g to %g and must rise within 0.001 to 16", (double)a->scale_low,
                   (double)a->scale_high);
    else if (!within(a->shift, 0, 1))
        op_mistake(s, "shift is %g and must be 0 to 1", (double)a->shift);
    else if (a->height < 1 || a->height > SIDE || a->width < 1 || a->width > SIDE)
        op_mistake(s, "height and width are %d and %d and must be 1 to %d", a->height, a->width, SIDE);
    else if (a->out_height < 0 || a->out_height > SIDE || a->out_width < 0 || a->out_width > SIDE)
        op_mistake(s, "out_height and out_width are %d and %d and must be 0 to %d", a->out_height, a->out_width, SIDE);
    else if (s->in[0].dim[0] < 1 || s->in[0].dim[1] != uniforms)
        op_mistake(s, "operand u must be (B, %d): %s takes %d uniforms a picture", uniforms, a->mode, uniforms);
    else
        s->out[0] = SHAPE(s->in[0].dim[0], 6);
}

static const OpCase affine_cases[] = {
    {"40x24:unit", "height=128 width=128"},
    {"9x24:unit", "height=40 width=12 out_height=16 out_width=16 rotate_p=0"},
    {"9x24:unit", "height=12 width=40 scale_low=3 scale_high=4"},
    {"40x5:unit", "mode=zoom height=128 width=128"},
    {"5x5:unit", "mode=zoom height=30 width=20 out_height=16 out_width=17 shift=0.5 degrees=180 rotate_p=1"},
    CASES_END,
};
static const OpCase affine_shapes[] = {
    {"128x24:unit", "height=128 width=128"}, CASES_END,
};

OP(random_affine) = {
    .name = "random_affine", .formula = "m = rotation after window, from uniforms", .operands = "u", .results = "m",
    .attr_size = sizeof(RandomAffineAttrs), .attrs = affine_attrs,
    .flags = OP_NO_GRAD,   /* of uniforms: nothing is learned from them */
    .infer = affine_infer, .cases = affine_cases, .shapes = affine_shapes,
    .source = "the paper, section 4.2.2; torchvision.transforms.RandomResizedCrop",
};

Val op_random_affine(Val u, RandomAffineAttrs a)
{
    return op_build(&op_random_affine_def, &a, NULL, 1, u);
}

/* ---------------------------------------------------------------- colour */
static const OpAttr jitter_attrs[] = {
    {"brightness", ATTR_REAL, offsetof(JitterAttrs, brightness), "0.4", "strength of brightness"},
    {"contrast", ATTR_REAL, offsetof(JitterAttrs, contrast), "0.4", "strength of contrast"},
    {"p_brightness", ATTR_REAL, offsetof(JitterAttrs, p_brightness), "0.5", "probability of brightness"},
    {"p_contrast", ATTR_REAL, offsetof(JitterAttrs, p_contrast), "0.5", "probability of contrast"},
    {"p_grey", ATTR_REAL, offsetof(JitterAttrs, p_grey), "0.05", "probability of grey"},
    ATTRS_END,
};

static void jitter_infer(OpShapes *s)
{
    const JitterAttrs *a = s->attrs;
    if (!infer_pictures(s, JITTER_UNIFORMS) || !infer_probability(s, "p_brightness", a->p_brightness) ||
        !infer_probability(s, "p_contrast", a->p_contrast) || !infer_probability(s, "p_grey", a->p_grey))
        return;
    if (!within(a->brightness, 0, 16) || !within(a->contrast, 0, 16))
        op_mistake(s, "strengths are %g and %g and must be 0 to 16", (double)a->brightness, (double)a->contrast);
    else if (s->in[0].dim[1] != 3)
        op_mistake(s, "operand x has %ld channels and must have 3: red, green, blue", (long)s->in[0].dim[1]);
    else
        s->out[0] = s->in[0];
}

static double jitter_flop(const OpShapes *s)
{
    return 10 * (double)shape_count(s->out[0]);
}

static const OpCase jitter_cases[] = {
    {"9x3x6x7 9x5:unit", ""},
    {"6x3x5x5 6x5:unit", "p_brightness=1 p_contrast=1 p_grey=1"},
    {"6x3x5x5 6x5:unit", "p_brightness=1 p_contrast=1 p_grey=0 contrast=1.5"},
    {"2x3x1x1 2x5:unit", "p_brightness=0 p_contrast=1 p_grey=0"},
    {"2x3x20x19 2x5:unit", "p_brightness=0 p_contrast=0 p_grey=0"},
    CASES_END,
};
static const OpCase jitter_shapes[] = {
    {"128x3x128x128 128x5:unit", ""}, CASES_END,
};

OP(jitter) = {
    .name = "jitter", .formula = "y = grey?(contrast?(brightness?(x)))", .operands = "x u", .results = "y",
    .attr_size = sizeof(JitterAttrs), .attrs = jitter_attrs,
    .flags = OP_NO_GRAD,   /* augments input pictures, which nothing is learned from */
    .infer = jitter_infer, .flop = jitter_flop, .cases = jitter_cases, .shapes = jitter_shapes,
    .source = "the paper, section 4.2.2; torchvision.transforms.ColorJitter",
};

Val op_jitter(Val x, Val u, JitterAttrs a)
{
    return op_build(&op_jitter_def, &a, NULL, 2, x, u);
}

/* ---------------------------------------------------------------- blur */
static const OpAttr blur_attrs[] = {
    {"p", ATTR_REAL, offsetof(GaussianBlurAttrs, p), "0.2", "probability"},
    {"sigma_low", ATTR_REAL, offsetof(GaussianBlurAttrs, sigma_low), "1", "smallest sigma, pixels"},
    {"sigma_high", ATTR_REAL, offsetof(GaussianBlurAttrs, sigma_high), "2", "largest sigma, pixels"},
    {"size", ATTR_INT, offsetof(GaussianBlurAttrs, size), "5", "taps of the kernel, odd"},
    ATTRS_END,
};

static void blur_infer(OpShapes *s)
{
    const GaussianBlurAttrs *a = s->attrs;
    if (!infer_pictures(s, 2) || !infer_probability(s, "p", a->p))
        return;
    int64_t side = s->in[0].dim[2] < s->in[0].dim[3] ? s->in[0].dim[2] : s->in[0].dim[3];
    if (a->size < 1 || a->size > BLUR_MAX || a->size % 2 == 0)
        op_mistake(s, "size is %d and must be odd, 1 to %d", a->size, BLUR_MAX);
    else if (a->size / 2 >= side)
        op_mistake(s, "size %d needs %d pixels to mirror beyond the border, and the shorter side is %ld", a->size,
                   a->size / 2, (long)side);
    else if (!within(a->sigma_low, 0.05f, 1000) || !within(a->sigma_high, a->sigma_low, 1000))
        op_mistake(s, "sigma is %g to %g and must rise within 0.05 to 1000", (double)a->sigma_low,
                   (double)a->sigma_high);
    else
        s->out[0] = s->in[0];
}

static double blur_flop(const OpShapes *s)
{
    return 4 * (double)((const GaussianBlurAttrs *)s->attrs)->size * (double)shape_count(s->out[0]);
}

static const OpCase blur_cases[] = {
    {"6x3x8x9 6x2:unit", "p=0.5"},     {"2x1x3x3 2x2:unit", "p=1"}, {"1x3x11x37 1x2:unit", "p=1 size=9 sigma_low=0.3"},
    {"2x17x4x5 2x2:unit", "p=1 size=7"}, {"2x2x1x1 2x2:unit", "p=1 size=1"}, {"2x3x5x5 2x2:unit", "p=0"}, CASES_END,
};
static const OpCase blur_shapes[] = {
    {"128x3x128x128 128x2:unit", ""}, {"128x3x128x128 128x2:unit", "p=1"}, CASES_END,
};

OP(gaussian_blur) = {
    .name = "gaussian_blur", .formula = "y = x * gauss(sigma), mirrored border", .operands = "x u", .results = "y",
    .attr_size = sizeof(GaussianBlurAttrs), .attrs = blur_attrs,
    .flags = OP_NO_GRAD,   /* augments input pictures, which nothing is learned from */
    .infer = blur_infer, .flop = blur_flop, .cases = blur_cases, .shapes = blur_shapes,
    .source = "the paper, section 4.2.2; torchvision.transforms.GaussianBlur",
};

Val op_gaussian_blur(Val x, Val u, GaussianBlurAttrs a)
{
    return op_build(&op_gaussian_blur_def, &a, NULL, 2, x, u);
}

/* ---------------------------------------------------------------- all of it */
Val op_normalize_bytes(Val bytes)
{
    return op_bytes_to_real(bytes, 1 / 127.5f, -1);
}

/* 0 is the default, anything negative 0. */
static float setting(float v, float initial)
{
    return v == 0 ? initial : v < 0 ? 0 : v;
}

static Val uniforms(Val rng, const char *name, const char *what, int64_t B, int n)
{
    char stream[256];
    snprintf(stream, sizeof stream, "%s.%s", name, what);
    return op_random_uniform(rng, stream, SHAPE(B, n));
}

/* Averaged when it shrinks, interpolated when it grows. */
static Val resized(Val x, int side)
{
    int H = (int)val_dim(x, 2), W = (int)val_dim(x, 3);
    if (!val_ok(x) || (H == side && W == side))
        return x;
    return side <= H && side <= W ? op_resize_area(x, side, side) : op_resize_bilinear(x, side, side, false);
}

Val op_augment(Val bytes, Val rng, const char *name, AugmentOpts o)
{
    Val x = op_normalize_bytes(bytes);
    if (!val_ok(x))
        return NONE;
    if (val_shape(x).rank != 4 || val_dim(x, 1) != 3)
        return prog_mistake(x.p, "augment %s: pictures must be (B, 3, H, W)", name);
    if (strlen(name) > 200)
        return prog_mistake(x.p, "augment: the name is longer than 200 characters");
    int64_t B = val_dim(x, 0);
    int H = (int)val_dim(x, 2), W = (int)val_dim(x, 3);
    if (o.size < 0 || (H != W && (o.size == 0 || o.off)))
        return prog_mistake(x.p, "augment %s: pictures of %d x %d cannot become %d x %d: crop them to squares first",
                            name, H, W, o.size, o.size);
    int side = o.size ? o.size : H;
    if (o.off)
        return resized(x, side);

    float blur_p = setting(o.blur_p, 0.2f);
    float sigma_low = setting(o.sigma_low, 1), sigma_high = setting(o.sigma_high, 2);
    if (blur_p > 0)
        x = op_gaussian_blur(x, uniforms(rng, name, "blur", B, 2),
                             (GaussianBlurAttrs){blur_p, sigma_low, sigma_high, o.blur_size ? o.blur_size : 5});

    const char *mode = o.resize ? o.resize : "crop";
    Val u = uniforms(rng, name, "affine", B, strcmp(mode, "zoom") ? RANDOM_AFFINE_CROP : RANDOM_AFFINE_ZOOM);
    Val m = op_random_affine(u, (RandomAffineAttrs){
        .degrees = setting(o.degrees, 15), .rotate_p = setting(o.rotate_p, 0.8f),
        .scale_low = setting(o.scale_low, 0.8f), .scale_high = setting(o.scale_high, 1.2f),
        .shift = setting(o.shift, 1), .height = H, .width = W, .out_height = side, .out_width = side, .mode = mode});
    x = op_warp(x, m, side, side, "bilinear", 2 * o.fill - 1);

    JitterAttrs jitter = {.brightness = setting(o.brightness, 0.4f), .contrast = setting(o.contrast, 0.4f),
                          .p_brightness = setting(o.brightness_p, 0.5f), .p_contrast = setting(o.contrast_p, 0.5f),
                          .p_grey = setting(o.grey_p, 0.05f)};
    if (jitter.p_brightness > 0 || jitter.p_contrast > 0 || jitter.p_grey > 0)
        x = op_jitter(x, uniforms(rng, name, "jitter", B, JITTER_UNIFORMS), jitter);
    return x;
}
