/* portraits.h - people who do not exist: lit three-dimensional heads, drawn from random numbers.
 *
 * A picture is a function of two independent vectors: a person (bones, features, skin, hair, age, sex ...: what
 * stays) and a look (pose, expression, light, arrangement of the hair, glasses, background: what changes).  Neither
 * draws on the other's numbers, so identity and attributes are known and separable.
 *
 *     PortraitPerson person;  PortraitLook look;  uint8_t rgb[128 * 128 * 3];
 *     portrait_person(1, "original", 7, &person);
 *     portrait_look(1, "original", 7, 0, &look);
 *     portrait_render(&person, &look, 128, rgb);
 *
 * The same numbers give the same picture, bit for bit, on every machine with IEEE single precision: the renderer uses
 * only + - * / and square root (its sines, powers and logarithms are its own), no fused or reordered arithmetic
 * (-ffp-contract=off, never -ffast-math) and no result that depends on threads.  Golden pictures are still compared
 * to one grey level.
 *
 * Lengths are centimetres in the head's own frame: x to the right of the picture, y up, z to the viewer; the pupils
 * lie on y = 0, the brow's bone on z = 0.  Means are adult anthropometry, some of them moved, and spreads chosen,
 * until recognition networks found the people as different as photographs of people (docs/portraits.md says how
 * far that went); correlations and the frequencies of styles are plausible choices, not measurements of any
 * population. */
#ifndef GUISE_PORTRAITS_H
#define GUISE_PORTRAITS_H

#include <stdint.h>

#include "data/faces.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of a person: X(name, mean, deviation, low, high, sex, age, east, south, meaning).
 * value = mean + deviation * (sex*S + age*A + east*E + south*T + rest * own), then kept in [low, high], where
 * S is about +1 for men and -1 for women, A = (years - 38) / 16, E and T are two traits of descent, own is even over
 * +-1.73 (variance 1), and rest is 1.4 times what would make the variance 1, of which at least 0.15 stays private to
 * the number. */
#define PORTRAIT_PERSON(X)                                                                                             \
    X(head_width,   15, .605f, 13, 17, .245f, 0, .3f, 0,            "cm, greatest breadth of the skull")               \
    X(head_depth,   19, .77f, 16.5f, 21.5f, .245f, 0, -.3f, 0,      "cm, brow to back of the head")                    \
    X(head_top,     11.2f, .55f, 9.6f, 13, .105f, 0, 0, .1f,        "cm, pupils to crown")                             \
    X(face_width,   13.75f, .323f, 11.2f, 15.7f, .28f, 0, .35f, 0,  "cm, over the cheekbones")                         \
    X(face_long,    1, .0308f, .82f, 1.19f, .28f, .1f, 0, 0,        "factor on the heights of nose, lip, chin")        \
    X(jaw_width,    11.8f, .541f, 8.62f, 13.9f, .385f, 0, .2f, .05f, "cm, between the corners of the jaw")             \
    X(jaw_square,   2.03f, .33f, 1.6f, 3.1f, .315f, 0, .1f, 0,      "exponent of the jaw's curve")                     \
    X(jaw_corner,   -6.4f, .605f, -8.4f, -5.2f, 0, -.1f, 0, 0,      "cm, height of the jaw's corner")                  \
    X(chin_height,  3.78f, .387f, 2.65f, 5.12f, .245f, .1f, 0, 0,   "cm, lips to underside of the chin")               \
    X(chin_width,   2.23f, .421f, 1.2f, 3.9f, .315f, 0, 0, 0,      "cm, half width of the chin's pad")                 \
    X(chin_forward, -.23f, .385f, -1.14f, .96f, .105f, 0, -.1f, -.2f, "cm")                                            \
    X(chin_cleft,   0, .099f, 0, .3f, .21f, 0, 0, 0,                "cm, depth")                                       \
    X(cheekbone,    .5f, .278f, -.178f, 1.28f, -.07f, 0, .4f, .1f, "cm, forward")                                      \
    X(cheekbone_y,  -2.59f, .398f, -3.4f, -1.15f, 0, -.2f, 0, 0,    "cm, height")                                      \
    X(cheek_full,   .442f, .352f, -.5f, 1.46f, -.105f, -.15f, .2f, 0, "cm, fullness of the lower cheek")               \
    X(forehead_slope,0, .55f, -1.3f, 1.5f, .315f, 0, -.1f, 0,       "cm, backward slope at the hairline")              \
    X(brow_ridge,   .229f, .253f, 0, .95f, .49f, 0, -.3f, .1f,      "cm, forward")                                     \
    X(eye_spacing,  3.1f, .0883f, 2.54f, 3.71f, .14f, 0, .1f, .2f,  "cm, half the distance of the pupils")             \
    X(eye_width,    1.65f, .0969f, 1.17f, 1.85f, .07f, -.1f, -.1f, 0, "cm, half the lid opening's width")              \
    X(eye_opening,  1.14f, .177f, .62f, 1.5f, -.245f, -.25f, -.4f, 0, "cm, the lid opening's height")                  \
    X(eye_tilt,     -.0133f, .0335f, -.2f, .259f, -.105f, -.3f, .45f, 0, "slope, outer corner up")                     \
    X(eye_depth,    -.06f, .216f, -.623f, .553f, .21f, .1f, -.5f, -.1f, "cm, set back")                                \
    X(lid_crease,   .36f, .143f, .08f, .75f, -.14f, 0, -.6f, .1f,   "cm, crease above the lid's edge")                 \
    X(lid_hood,     .2f, .275f, 0, 1, .07f, .4f, .3f, 0,            "0..1, fold that hangs over the lid")              \
    X(brow_y,       1.65f, .141f, .906f, 2.59f, -.28f, -.1f, .15f, 0, "cm, height")                                    \
    X(brow_thick,   .588f, .124f, .135f, 1.12f, .315f, -.1f, -.1f, .1f, "cm")                                          \
    X(brow_arch,    .28f, .171f, -.395f, 1.01f, -.315f, 0, 0, 0,    "cm")                                              \
    X(brow_slope,   .0624f, .0518f, -.246f, .426f, -.07f, -.3f, 0, 0, "slope, outer end up")                           \
    X(brow_inner,   1.51f, .218f, .486f, 2.33f, -.175f, 0, 0, 0,    "cm, distance of the inner end")                   \
    X(brow_length,  3.78f, .238f, 2.77f, 5.13f, 0, -.1f, 0, 0,      "cm")                                              \
    X(brow_dense,   .873f, .11f, .25f, 1, .14f, -.2f, 0, .2f,       "0..1")                                            \
    X(nose_length,  4.26f, .188f, 3, 5.4f, .175f, .2f, -.1f, -.2f,  "cm, root to lip")                                 \
    X(nose_width,   1.93f, .209f, 1.25f, 2.7f, .21f, .1f, .2f, .7f, "cm, half the width of the wings")                 \
    X(bridge_width, .8f, .177f, .402f, 1.3f, .14f, .1f, .2f, .4f,  "cm, half width")                                   \
    X(bridge_height, .893f, .284f, .016f, 1.58f, .175f, .1f, -.5f, -.5f, "cm, at the eyes")                            \
    X(nose_hump,    .02f, .253f, -.572f, .772f, .175f, .15f, -.1f, -.2f, "cm, on the bridge")                          \
    X(tip_forward,  1.89f, .307f, .99f, 2.89f, .14f, .1f, -.35f, -.3f, "cm")                                           \
    X(tip_size,     .758f, .177f, .36f, 1.26f, .14f, .2f, .2f, .4f, "cm, radius")                                      \
    X(tip_up,       .0876f, .219f, -.672f, .672f, -.21f, -.3f, 0, 0, "cm")                                             \
    X(nostril,      .32f, .066f, .18f, .5f, .07f, .1f, 0, .4f,      "cm, half width")                                  \
    X(philtrum,     1.92f, .15f, 1.19f, 2.75f, .175f, .25f, 0, 0,   "cm, nose to the line between the lips")           \
    X(philtrum_depth,.12f, .066f, 0, .3f, 0, -.3f, 0, 0,            "cm")                                              \
    X(mouth_width,  2.5f, .167f, 1.75f, 3.26f, .14f, 0, -.05f, .3f, "cm, half")                                        \
    X(lip_upper,    .58f, .173f, .143f, 1.21f, -.175f, -.4f, 0, .6f, "cm, height")                                     \
    X(lip_lower,    .86f, .204f, .337f, 1.51f, -.175f, -.35f, 0, .5f, "cm, height")                                    \
    X(lip_bow,      .3f, .165f, 0, .75f, -.07f, -.2f, 0, 0,         "0..1, dip of the upper lip")                      \
    X(mouth_corner, .132f, .131f, -.448f, .448f, -.07f, -.35f, 0, 0, "cm, corners up")                                 \
    X(muzzle,       .45f, .304f, -.284f, 1.28f, 0, 0, .1f, .5f,    "cm, lips and teeth forward")                       \
    X(ear_size,     1, .0935f, .78f, 1.28f, .175f, .25f, 0, 0,      "factor")                                          \
    X(ear_out,      .42f, .176f, .05f, .95f, .14f, 0, 0, 0,         "radians from the skull")                          \
    X(neck_width,   10.5f, .99f, 8.2f, 13, .56f, .1f, 0, 0,         "cm")                                              \
    X(melanin,      .33f, .24f, 0, 1, .021f, 0, .12f, .85f,         "0 palest .. 1 darkest skin")                      \
    X(redness,      .5f, .396f, 0, 1, .105f, .1f, -.1f, -.1f,       "0..1, blood in the skin")                         \
    X(yellow,       0, .6f, -1.2f, 1.2f, 0, 0, .5f, 0,             "undertone")                                        \
    X(freckles,     -.35f, .6f, 0, 1, -.07f, 0, -.3f, -.3f,        "0..1")                                             \
    X(mottle,       .378f, .24f, 0, .85f, .07f, .4f, 0, 0,          "0..1, unevenness of the colour")                  \
    X(blush,        .5f, .36f, 0, 1.2f, -.07f, 0, 0, -.2f,          "0..1, cheeks and nose")                           \
    X(eye_bags,     .428f, .384f, 0, 1, .07f, .5f, 0, 0,            "0..1")                                            \
    X(wrinkles,     .288f, .19f, 0, .8f, .035f, .85f, -.1f, -.1f, "0..1")                                              \
    X(oil,          .5f, .3f, .05f, 1.1f, .07f, -.2f, .1f, .2f,   "0..1, shine")                                       \
    X(lip_colour,   .35f, .36f, 0, 1, -.42f, -.1f, 0, 0,            "0..1, rouge")                                     \
    X(iris_dark,    .495f, .242f, 0, 1, 0, 0, .6f, .65f,            "0 blue or green .. 1 dark brown")                 \
    X(iris_green,   .5f, .336f, 0, 1, 0, 0, 0, 0,                   "0 blue .. 1 green, of light eyes")                \
    X(hair_dark,    .55f, .367f, .03f, 1.2f, .035f, -.1f, .5f, .55f, "0 fair .. 1.2 black")                            \
    X(hair_red,     -.15f, .504f, 0, 1, 0, 0, -.3f, -.3f,           "0..1")                                            \
    X(hair_grey,    -.643f, .707f, 0, 1, 0, .85f, 0, 0,            "0..1, share of white hair")                        \
    X(hair_curl,    .22f, .288f, 0, 1, -.07f, 0, -.25f, .8f,        "0 straight .. 1 tight")                           \
    X(hair_length,  0, 1.3f, -2.2f, 2.2f, 0, 0, 0, 0,                 "deviations from the style's length")            \
    X(hair_volume,  1, .234f, .55f, 1.5f, 0, -.2f, 0, .2f,          "factor")                                          \
    X(hair_part,    0, 2.86f, -3.8f, 3.8f, 0, 0, 0, 0,              "cm, parting's distance from the middle")          \
    X(hairline_y,   6.3f, .715f, 4.9f, 7.9f, .07f, .15f, 0, 0,      "cm, height in the middle")                        \
    X(hair_recess,  .2f, .78f, -.4f, 1.9f, .35f, .35f, 0, 0,        "0..1.9, bays at the temples")                     \
    X(eye_round,    -.152f, .506f, -1.01f, 1.01f, -.07f, -.1f, -.1f, 0, "-1 almond .. 1 round opening")                \
    X(eye_peak,     -.172f, .215f, -.557f, .507f, 0, 0, .1f, 0,     "-1..1, where the upper lid is highest")           \
    X(eye_fold,     -.4f, .396f, 0, 1, 0, -.1f, .8f, 0,             "0..1, fold over the inner corner")                \
    X(lid_low,      -.114f, .38f, -.784f, .784f, .07f, .25f, 0, 0,  "-1 straight .. 1 drooping lower lid")             \
    X(lash,         .5f, .24f, .05f, 1, -.455f, -.2f, 0, .1f,       "0..1, darkness of the lashes")                    \
    X(lid_tone,     .16f, .3f, 0, 1, -.21f, .15f, 0, .3f,           "0..1, darkness of the lids' skin")                \
    X(wing_size,    1, .164f, .638f, 1.42f, .07f, .15f, .1f, .4f,  "factor, wings of the nose")                        \
    X(wing_up,      -.056f, .123f, -.35f, .35f, 0, -.1f, 0, 0,      "cm, wings above the base")                        \
    X(tip_round,    -.133f, .442f, -.896f, .896f, .07f, .1f, .1f, .3f, "-1 pointed .. 1 round tip")                    \
    X(columella,    .0429f, .143f, -.3f, .3f, 0, .2f, 0, -.1f,      "cm, lower than the wings")                        \
    X(fold_depth,   .12f, .198f, 0, .55f, .07f, .4f, 0, 0,          "cm, folds from nose to mouth")                    \
    X(lip_edge,     .5f, .3f, 0, 1, -.245f, -.35f, 0, .2f,        "0 faint .. 1 sharp border of the lips")             \
    X(lip_tone,     0, .48f, -1, 1, 0, 0, 0, .2f,                   "-1 pale .. 1 dark lips")                          \
    X(mouth_wave,   0, .55f, -1.2f, 1.2f, 0, 0, 0, 0,               "-1 bowed .. 1 wavy line between the lips")        \
    X(brow_light,   .1f, .315f, -.5f, 1, 0, 0, 0, 0,                "brows lighter than the hair, share of the way")   \
    X(eye_shadow,   -.1f, .54f, 0, 1, -.49f, 0, 0, 0,              "0..1, paint on the upper lids")                    \
    X(shadow_hue,   .5f, .348f, 0, 1, 0, 0, 0, 0,                   "0 brown .. 1 blue of that paint")                 \
    X(lip_hue,      .5f, .348f, 0, 1, 0, 0, 0, 0,                   "0 brown .. 1 pink of the rouge")                  \
    X(ring_dark,    .25f, .36f, 0, 1, 0, .3f, 0, .1f,               "0..1, dark skin round the eyes")                  \
    X(ring_size,    1, .3f, .5f, 1.6f, 0, 0, 0, 0,                "factor on its extent")                              \
    X(blush_x,      3.9f, .72f, 2.6f, 5.2f, 0, 0, 0, 0,             "cm, where the cheeks are red")                    \
    X(blush_y,      -2.9f, .72f, -4.2f, -1.6f, 0, 0, 0, 0,          "cm, height of that")                              \
    X(beard_line,   0, .96f, -1.6f, 1.6f, 0, 0, 0, 0,               "cm, the beard's edge on the cheeks higher")       \
    X(beard_dense,  .8f, .3f, .3f, 1.1f, 0, 0, -.3f, .1f,         "0..1, cover of the beard")                          \
    X(beard_patchy, .25f, .3f, 0, .9f, 0, -.2f, .2f, 0,           "0..1, bare patches in it")                          \
    X(jowl,         -.3f, .385f, 0, 1, .07f, .7f, 0, 0,             "0..1, cheeks hanging at the jaw")                 \
    X(temple,       0, .275f, -.6f, .6f, 0, .2f, -.1f, 0,           "cm, hollow temples")                              \
    X(lid_hollow,   0, .316f, -.672f, .672f, .07f, .4f, -.4f, 0,   "cm, hollow between lid and brow")
/* Numbers of a look: X(name, mean, deviation, low, high, meaning).  Normal, kept in [low, high]; uniform in
 * [low, high] where the deviation is 0.  Besides, of a thousand pictures 6 are turned away (yaw beyond 0.4; all others
 * stay within 0.28), 10 stand in hard light from the side (light_side beyond 2 with the least fill), 4 have closed
 * eyes, and 8 missed the focus (blur beyond 16; all others stay within 2). */
#define PORTRAIT_LOOK(X)                                                                                  \
    X(yaw,            0, .185f, -.56f, .56f,     "radians, to the right of the picture")                    \
    X(pitch,          0, .036f, -.1f, .1f,       "radians, up")                                             \
    X(roll,           0, .049f, -.126f, .126f,     "radians, clockwise")                                      \
    X(smile,          .52f, .27f, -.6f, 1,     "-1 pressed lips .. 1 broad smile")                        \
    X(mouth_open,     -.06f, .26f, 0, .8f,       "cm, gap between the lips")                                \
    X(smirk,          0, .2f,  -.8f, .8f,       "-1 the left .. 1 the right half smiles more")             \
    X(pucker,         0, .28f, -.5f, .9f,       "-1 drawn in .. 1 pushed forward: the lips")               \
    X(squint,         .12f, .22f, -.25f, .8f,   "-1 wide eyes .. 1 narrowed by the cheeks")                \
    X(brow_side,      0, .22f, -.7f, .7f,       "-1 the left .. 1 the right brow is higher")               \
    X(jaw_side,       0, .10f, -.3f, .3f,       "cm, the jaw to the right")                                \
    X(brow_raise,     .10f, .32f, -.5f, 1,       "-1 frown .. 1 raised")                                    \
    X(lid_close,      .06f, .12f, 0, 1,      "0 open .. 1 closed")                                      \
    X(gaze_x,         0, .10f, -.3f, .3f,       "radians, away from the camera")                           \
    X(gaze_y,         0, .05f, -.2f, .2f,       "radians, away from the camera")                           \
    X(light_side,     0, 1, -2.4f, 2.4f,        "key light's azimuth, in deviations of the camera")        \
    X(light_height,   0, 0, .15f, 1,            "key light's elevation within the camera's range")         \
    X(light_soft,     0, 0, .5f, 2,             "cm, blur of cast shadows")                                \
    X(light_power,    0, 0, 0, 1,               "key against ambient light within the camera's range")     \
    X(light_fill,     0, 0, .12f, .45f,         "light from the other side")                               \
    X(light_warm,     0, .12f, -.36f, .36f,     "warmth of the key light")                                 \
    X(hair_trim,      0, .10f, -.3f, .3f,       "relative change of length")                               \
    X(hair_puff,      0, .12f, -.35f, .35f,     "relative change of volume")                               \
    X(hair_tied,      0, 0, 0, 1,               "below 0.3: long hair is tied back")                       \
    X(hair_mess,      .35f, .25f, 0, 1,         "0..1, disorder")                                          \
    X(stubble,        .25f, .35f, 0, 1,         "0..1, days since shaving (men)")                          \
    X(glasses,        0, 0, 0, 1,               "below 0.03: wears glasses")                               \
    X(glasses_size,   0, 0, .85f, 1.15f,        "factor")                                                  \
    X(glasses_round,  0, 0, 2, 5,               "exponent of the rim: 2 round, 5 square")                  \
    X(glasses_rim,    0, 0, .02f, .07f,         "cm, radius of the rim")                                   \
    X(glasses_tint,   0, 0, 0, 1,               "below 0.4 black, then brown, metal, red")                 \
    X(back_hue,       0, 0, 0, 1,               "turns")                                                   \
    X(back_vivid,     0, 0, 0, 1,               "saturation within the camera's range")                    \
    X(back_light,     0, 0, 0, 1,               "lightness within the camera's range")                     \
    X(back_shade,     0, 0, .45f, 1.15f,        "lightness at the far end of the gradient")                \
    X(back_angle,     0, 0, 0, 1,               "turns, direction of the gradient")                        \
    X(cloth_hue,      0, 0, 0, 1,               "turns")                                                   \
    X(cloth_vivid,    0, 0, 0, .8f,             "saturation")                                              \
    X(cloth_light,    0, 0, 0, 1,               "lightness")                                               \
    X(cloth_cut,      0, 0, 0, 1,               "neckline, from wide to collar")                           \
    X(exposure,       0, .25f, -.6f, .42f,      "stops, besides the camera's")                             \
    X(white_red,      0, .07f, -.2f, .2f,       "error of the white balance, red against blue")            \
    X(white_green,    0, .018f, -.05f, .05f,    "error of the white balance, green")                       \
    X(blur,           0, 1, -2, 24,             "focus, in deviations of the camera")                      \
    X(noise,          0, 0, 0, 1,               "grain within the camera's range")                         \
    X(shift_x,        0, 1, -2.4f, 2.4f,        "framing, in deviations of the camera")                    \
    X(shift_y,        0, 1, -2.4f, 2.4f,        "framing, in deviations of the camera")                    \
    X(zoom,           0, 1, -2.4f, 2.4f,        "framing, in deviations of the camera")                    \
    X(sky_side,       0, .6f, -1.2f, 1.2f,     "ambient light, from the right against the left")          \
    X(sky_up,         .30f, .20f, .05f, .8f,    "ambient light, from above against below")                 \
    X(sky_warm,       0, .06f, -.18f, .18f,     "warmth of the ambient light")                             \
    X(film_contrast,  0, .12f, -.3f, .3f,       "s-curve of the film, besides the camera's")

enum { PORTRAIT_WARP_ROWS = 12, PORTRAIT_WARP_COLUMNS = 11, PORTRAIT_FINE_ROWS = 20, PORTRAIT_FINE_COLUMNS = 17,
       PORTRAIT_TONE_ROWS = 17, PORTRAIT_TONE_COLUMNS = 11 };

typedef enum PortraitHair {
    PORTRAIT_SHAVED, PORTRAIT_SHORT, PORTRAIT_PARTED, PORTRAIT_SWEPT, PORTRAIT_FRINGE, PORTRAIT_CURLS,
    PORTRAIT_BOB, PORTRAIT_LONG, PORTRAIT_HAIR_STYLES
} PortraitHair;

typedef enum PortraitBeard {
    PORTRAIT_NO_BEARD, PORTRAIT_SHORT_BEARD, PORTRAIT_FULL_BEARD, PORTRAIT_GOATEE, PORTRAIT_MOUSTACHE,
    PORTRAIT_BEARD_STYLES
} PortraitBeard;

typedef struct PortraitPerson {
    float sex;              /* about +1 for men and -1 for women, normal around each with deviation 0.28 */
    float age;              /* years, 18 to 75 */
    float east, south;      /* traits of descent; a quarter of the people have one about 1.8, all others about -0.5 */
#define X(name, mean, sd, low, high, s, a, e, w, meaning) float name;
    PORTRAIT_PERSON(X)
#undef X
    PortraitHair hair;
    PortraitBeard beard;
    uint32_t grain;         /* key of freckles, strands and other small random detail of this person */
    /* What no named number says: numbers of mean 0 and variance 1 at the nodes of smooth fields (portraits_modes.c).
     * Displacement (x, y, z) of the whole face in two degrees of detail, the halves correlated as mirror images; tone
     * of the skin: lightness the same on both sides, not the same, and redness. */
    float warp[3][PORTRAIT_WARP_ROWS][PORTRAIT_WARP_COLUMNS];
    float fine[3][PORTRAIT_FINE_ROWS][PORTRAIT_FINE_COLUMNS];
    float tone[3][PORTRAIT_TONE_ROWS][PORTRAIT_TONE_COLUMNS];
} PortraitPerson;

typedef struct PortraitLook {
#define X(name, mean, sd, low, high, meaning) float name;
    PORTRAIT_LOOK(X)
#undef X
    int camera;             /* index into portrait_cameras; portrait_look says 0 */
    uint32_t grain;         /* key of this picture's noise and loose hair */
} PortraitLook;

/* Studio and camera of a population: what all its pictures share. */
typedef struct PortraitCamera {
    const char *name;
    float frame;                        /* cm that the picture's side shows at the face, mean */
    float frame_sd, shift_sd;           /* relative; cm */
    float centre_y;                     /* cm above the pupils of the picture's centre */
    float pose;                         /* factor on yaw, pitch and roll */
    float side, height_low, height_high;/* radians: deviation of the key light's azimuth, range of its elevation */
    float key_low, key_high, ambient;   /* key light and ambient light, 1 = exposure of white */
    float back_low, back_high, vivid;   /* range of the background's lightness, greatest saturation */
    float exposure;                     /* stops */
    float blur, blur_sd;                /* Gaussian of the focus in thousandths of the picture's side */
    float noise_low, noise_high;        /* deviation of the grain, 1 = white */
    float contrast;                     /* 0 straight .. 1 full s-curve of the film */
    float warm;                         /* cast, red against blue */
} PortraitCamera;

/* Who wears glasses: those whose number of that name is not above this. */
#define PORTRAIT_GLASSES .03f
/* The greatest blur of a picture in focus. */
#define PORTRAIT_SHARP 2

/* Raised whenever the same numbers give another picture, so that nothing made before is mistaken for the same. */
enum { PORTRAIT_VERSION = 12 };

enum { PORTRAIT_CAMERAS = 5, PORTRAIT_MIN_SIZE = 16, PORTRAIT_MAX_SIZE = 512 };
/* 0 "studio" (Original), 1 "london", 2 "multipie", 3 "frav2d" (Validation and Test), 4 "mixed" (pretraining: wide). */
extern const PortraitCamera portrait_cameras[PORTRAIT_CAMERAS];

/* The numbers by name, for manifests, sweeps and tests; offset is in bytes from the structure's start. */
typedef struct PortraitField {
    const char *name;
    int offset;
    float mean, sd, low, high;
    const char *meaning;
} PortraitField;
extern const PortraitField portrait_person_fields[], portrait_look_fields[];
extern const int portrait_person_field_count, portrait_look_field_count;
const char *portrait_hair_name(PortraitHair hair);      /* "short" ...; "?" outside the range */
const char *portrait_beard_name(PortraitBeard beard);

/* Person `index` of a population; populations of different names share nobody. */
void portrait_person(uint64_t world, const char *population, int index, PortraitPerson *out);

/* Look of image `image` of person `person`; independent of the person's own numbers.  camera = 0. */
void portrait_look(uint64_t world, const char *population, int person, int image, PortraitLook *out);

/* Draws the picture, (size, size, 3), size 16 to 512; 0, or -1 for a size or camera out of range.  Any finite
 * numbers are accepted: the picture of absurd ones is absurd, not undefined. */
int portrait_render(const PortraitPerson *person, const PortraitLook *look, int size, uint8_t *rgb);

/* A part of a population: so many of its people (of the sum over the parts) come from one studio, with so many images
 * each. */
typedef struct PortraitSource {
    int camera;             /* index into portrait_cameras */
    int people, images_min, images_max;
} PortraitSource;
enum { PORTRAIT_SOURCES = 3 };

/* A population: images per person are drawn between images_min and images_max; with images_total > 0 their sum is
 * exactly that (skewed as in collected sets, many small and few large), else they are uniform.
 * With sources, people are divided among them in order, in proportion, and their limits count instead of those here;
 * where a total lies outside, the limits are scaled as little as needed, to no fewer than two images. */
typedef struct PortraitPopulation {
    const char *name;
    int people, images_min, images_max, images_total;
    int camera;             /* index into portrait_cameras */
    PortraitSource sources[PORTRAIT_SOURCES];   /* the used ones have people > 0 */
} PortraitPopulation;

/* The sets of the paper with its counts (inventory items 26, 35, 44, 45), and the people on whom judges and trunk are
 * trained: "pretrain", "original", "frgc_test", "validation", "test".  Validation and Test divide London's 102 people,
 * Multi-PIE's 249 and FRAV2D's 109 as evenly as can be. */
extern const PortraitPopulation portrait_sets[];
extern const int portrait_set_count;
const PortraitPopulation *portrait_set(const char *name);     /* NULL: none of that name */

/* Camera of a person of the population. */
int portraits_camera(const PortraitPopulation *population, int person);

/* Images of every person, counts[people]; returns their sum, or -1 when no such counts exist. */
int portraits_counts(uint64_t world, const PortraitPopulation *population, int *counts);

/* Draws the whole population into `out` (an empty Faces; free it with faces_free), people in order, on all OpenMP
 * threads.  progress (may be NULL) is called from the calling thread; its non-zero answer cancels.  0 or -1. */
int portraits_faces(uint64_t world, const PortraitPopulation *population, int size, Faces *out,
                    int (*progress)(void *context, int done, int total), void *context);

#ifdef __cplusplus
}
#endif
#endif
