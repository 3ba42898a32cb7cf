/* augment.h - random blur, geometry and colour of training pictures, each a function of uniforms given as operands.
 *
 * The paper, section 4.2.2, names a Gaussian blur of sigma 1 to 2 (20 % of the pictures), rotation by up to 15 degrees
 * (80 %), brightness and contrast jitter (50 % each), greyscale (5 %), and "randomly resized with range [80%, 120%] and
 * cropped to 128x128".  It leaves open the order, the size of the blur's kernel, the strengths of jitter, the fill
 * behind rotated corners, and what the 80 to 120 % are of.  Our answers are the defaults of AugmentOpts.
 *
 * None of these ops has a gradient: they prepare input pictures, which nothing is learned from. */
#ifndef OPS_AUGMENT_H
#define OPS_AUGMENT_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- geometry */
enum { RANDOM_AFFINE_ZOOM = 5, RANDOM_AFFINE_CROP = 24 };   /* uniforms a picture */

typedef struct RandomAffineAttrs {
    float degrees;                  /* rotation by U(-degrees, degrees), [0, 180] */
    float rotate_p;                 /* of the pictures */
    float scale_low, scale_high;    /* "zoom": factor of lengths; "crop": share of the area; above 0, up to 16 */
    float shift;                    /* [0, 1]: 0 keeps the window in the middle, 1 lets it go as far as there is room */
    int height, width;              /* of the pictures to be warped */
    int out_height, out_width;      /* of the result; 0: the same */
    const char *mode;               /* "crop" or "zoom" */
} RandomAffineAttrs;

/* u (B, 5) for "zoom" or (B, 24) for "crop", uniforms in (0, 1), to m (B, 6) for op_warp.
 *     u0, u1   rotation when u0 < rotate_p; its angle: counter-clockwise about the middle of the picture
 *     u2, u3   place of the window, across and down
 *     u4 ..    "zoom": the factor; "crop": ten pairs of area and aspect ratio
 * "crop" is torchvision's RandomResizedCrop(scale = (scale_low, scale_high), ratio = (3/4, 4/3)), in which areas above
 * 1 cannot fit, so that after ten failures the whole picture is taken.  "zoom" keeps the aspect ratio: the picture
 * grows or shrinks by U(scale_low, scale_high) against the result, which is then a random window of it, or holds it
 * in a random place with `fill` around it.  The picture is rotated first, then cut. */
Val op_random_affine(Val u, RandomAffineAttrs a);

/* ---------------------------------------------------------------- colour */
enum { JITTER_UNIFORMS = 5 };

typedef struct JitterAttrs {
    float brightness, contrast;                   /* strengths: factors U(max(0, 1 - s), 1 + s); 0 and above */
    float p_brightness, p_contrast, p_grey;       /* of the pictures */
} JitterAttrs;

/* x (B, 3, H, W) in [-1, 1] and u (B, 5) to y (B, 3, H, W), on v = (x + 1) / 2:
 *     u0 < p_brightness   v = clamp(f v, 0, 1), f from u1
 *     u2 < p_contrast     v = clamp(f v + (1 - f) mean, 0, 1), f from u3, mean of the grey of all pixels
 *     u4 < p_grey         v = 0.299 red + 0.587 green + 0.114 blue, in all three channels
 * in this order, as torchvision's adjust_brightness, adjust_contrast and rgb_to_grayscale.  A picture with none of
 * them is returned bit for bit. */
Val op_jitter(Val x, Val u, JitterAttrs a);

/* ---------------------------------------------------------------- blur */
typedef struct GaussianBlurAttrs {
    float p;                          /* of the pictures */
    float sigma_low, sigma_high;      /* pixels, above 0 */
    int size;                         /* odd, 1 to 33 taps; at most 2 side - 1 */
} GaussianBlurAttrs;

/* x (B, C, H, W), u (B, 2): pictures with u0 < p are convolved with exp(-d^2 / (2 sigma^2)) along both axes, sigma in
 * U(sigma_low, sigma_high) from u1, weights summing to 1, the border mirrored at its pixels (PyTorch's "reflect"), as
 * torchvision's GaussianBlur; the others are returned bit for bit. */
Val op_gaussian_blur(Val x, Val u, GaussianBlurAttrs a);

/* ---------------------------------------------------------------- all of it */
/* Zero in a field means the value in its comment; a negative probability means never, a negative strength none. */
typedef struct AugmentOpts {
    bool off;                         /* no randomness: normalise, and resize square pictures if size asks for it */
    int size;                         /* side of the result; the side of the input */
    float blur_p;                     /* 0.2 */
    float sigma_low, sigma_high;      /* 1, 2 */
    int   blur_size;                  /* 5 (ours) */
    float rotate_p, degrees;          /* 0.8, 15 */
    const char *resize;               /* "crop"; or "zoom" */
    float scale_low, scale_high;      /* 0.8, 1.2 */
    float shift;                      /* 1; negative: always the middle */
    float fill;                       /* 0 (ours): black behind the corners; 1 is white */
    float brightness_p, brightness;   /* 0.5, 0.4 (ours) */
    float contrast_p, contrast;       /* 0.5, 0.4 (ours) */
    float grey_p;                     /* 0.05 */
} AugmentOpts;

/* bytes U8 (B, 3, H, W) to (B, 3, size, size) in [-1, 1]: normalise, blur, warp bilinearly, jitter.
 * rng: prog_rng.  name: of the random streams name.blur, name.affine and name.jitter; up to 200 characters. */
Val op_augment(Val bytes, Val rng, const char *name, AugmentOpts o);

/* x / 127.5 - 1: U8 of any shape to reals in [-1, 1]. */
Val op_normalize_bytes(Val bytes);

#ifdef __cplusplus
}
#endif
#endif
