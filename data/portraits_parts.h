/* portraits_parts.h - what the files of the portrait renderer share, and nobody else needs.
 *
 *     portraits_people.c   random numbers to people and looks; the tables of names and cameras
 *     portraits_head.c     the head's surface: loft, cheeks and chin, expression, ears
 *     portraits_modes.c    smooth random fields of displacement and tone
 *     portraits_face.c     curves and relief of nose, lips and lids
 *     portraits_hair.c     strands of hair and beard, glasses
 *     portraits_lines.c    folds and lines of the face
 *     portraits_skin.c     colour of skin, brows, lips, eyes, cloth at a point of the face
 *     portraits_light.c    light, shadow and occlusion on what is visible
 *     portraits_render.c   camera, rasterisation, film
 *     portraits.c          populations
 *
 * Arithmetic: only operations that IEEE rounds exactly, in the order written, so that every machine and compiler
 * draws the same bits.  Hence the functions below instead of libm's, and no contraction into fused operations: GCC
 * has none with -std=c11, clang is told so here. */
#ifndef GUISE_PORTRAITS_PARTS_H
#define GUISE_PORTRAITS_PARTS_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "data/portraits.h"

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
/* besides: comparisons may become choices, and choices stay choices, so that loops become vector code */
#pragma GCC optimize("fp-contract=off", "no-trapping-math", "no-thread-jumps")
#endif
#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "portraits need plain single precision: no x87 arithmetic and no -ffast-math"
#endif

#define PI 3.14159265f

/* ---- scalars */

/* NaN becomes low: what is clamped is often an index. */
static inline float clampf(float x, float low, float high) { return x > low ? x < high ? x : high : low; }
static inline float maxf(float a, float b) { return a > b ? a : b; }
static inline float minf(float a, float b) { return a < b ? a : b; }
static inline float absf(float x) { return x < 0 ? -x : x; }
static inline float mixf(float a, float b, float t) { return a + (b - a) * t; }
static inline float sqr(float x) { return x * x; }
static inline float root(float x) { return x > 0 ? sqrtf(x) : 0; }
/* Largest integer not above x, |x| < 2^31. */
static inline int floor_int(float x)
{
#if defined(__SSE4_1__) || defined(__aarch64__)   /* one instruction */
    return (int)floorf(x);
#else
    int i = (int)x;
    return i - ((float)i > x);
#endif
}

/* 0 at a, 1 at b (either order), smooth between. */
static inline float ramp(float a, float b, float x)
{
    float t = clampf((x - a) / (b - a), 0, 1);
    return t * t * (3 - 2 * t);
}

/* Smooth hill of height 1 at 0 that ends at |r| = 1: (1 - r^2)^3. */
static inline float hill(float r)
{
    float k = maxf(1 - r * r, 0);
    return k * k * k;
}
static inline float hill2(float x, float y)
{
    float k = maxf(1 - (x * x + y * y), 0);
    return k * k * k;
}
/* Larger of two with a rounded corner of width k. */
static inline float soft_max(float a, float b, float k) { return 0.5f * (a + b + sqrtf(sqr(a - b) + k * k)); }

/* Sine, |error| < 2e-6 for |x| < 1000: reduced to [-pi/2, pi/2], odd polynomial. */
static inline float sine(float x)
{
    float turns = x * (1 / PI);
    int n = floor_int(turns + 0.5f);
    float r = (x - (float)n * 3.140625f) - (float)n * 9.6765359e-4f, z = r * r;
    float s = r + r * z * (-0.16666655f + z * (0.0083321608f + z * -0.00019515296f));
    return n & 1 ? -s : s;
}
static inline float cosine(float x) { return sine(x + 0.5f * PI); }

/* 2^x, relative error < 4e-6; 0 below -126. */
static inline float exp_two(float x)
{
    x = clampf(x, -127, 127);
    int n = floor_int(x);
    float f = x - (float)n;
    float p = 0.00961813f + f * (0.00133336f + f * 0.000154f);
    p = 1 + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * p)));
    uint32_t bits = (uint32_t)(n + 127) << 23;   /* n = -127: zero */
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}
/* Base-2 logarithm of a positive normal number, |error| < 1e-6 beside the rounding of the result. */
static inline float log_two(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    int e = (int)(bits >> 23) - 127;
    bits = (bits & 0x7fffffu) | 0x3f800000u;
    if (bits > 0x3fb504f3u) {
        bits -= 0x800000u;
        e++;
    }
    float m;
    memcpy(&m, &bits, 4);
    float s = (m - 1) / (m + 1), z = s * s;
    return (float)e + s * (2.8853901f + z * (0.96179669f + z * (0.5770780f + z * 0.4121986f)));
}
/* x^y, x >= 0. */
static inline float power(float x, float y) { return x > 1e-30f ? exp_two(y * log_two(x)) : 0; }
static inline float exponential(float x) { return exp_two(x * 1.44269504f); }

/* Angle of (x, y) from the x axis, |error| < 2e-4: enough for placing hair. */
static inline float angle_of(float y, float x)
{
    float ax = absf(x), ay = absf(y), big = maxf(ax, ay), t = big > 0 ? minf(ax, ay) / big : 0, z = t * t;
    float a = t * (0.99986601f + z * (-0.33029950f + z * (0.18014100f + z * (-0.08513300f + z * 0.02083510f))));
    if (ay > ax)
        a = 0.5f * PI - a;
    if (x < 0)
        a = PI - a;
    return y < 0 ? -a : a;
}

/* ---- vectors */

typedef struct Vec {
    float x, y, z;
} Vec;
static inline Vec vec(float x, float y, float z) { return (Vec){x, y, z}; }
static inline Vec add(Vec a, Vec b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline Vec sub(Vec a, Vec b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline Vec scale(Vec a, float k) { return vec(a.x * k, a.y * k, a.z * k); }
static inline Vec times(Vec a, Vec b) { return vec(a.x * b.x, a.y * b.y, a.z * b.z); }
static inline Vec along(Vec a, Vec b, float k) { return vec(a.x + b.x * k, a.y + b.y * k, a.z + b.z * k); }
static inline Vec blend(Vec a, Vec b, float t) { return add(a, scale(sub(b, a), t)); }
static inline float dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline Vec cross(Vec a, Vec b)
{
    return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline Vec unit(Vec a) { return scale(a, 1 / sqrtf(dot(a, a) + 1e-20f)); }

/* Rotation by rows. */
typedef struct Turn {
    Vec x, y, z;
} Turn;
static inline Vec turn(const Turn *t, Vec v) { return vec(dot(t->x, v), dot(t->y, v), dot(t->z, v)); }
static inline Vec turn_back(const Turn *t, Vec v)
{
    return add(add(scale(t->x, v.x), scale(t->y, v.y)), scale(t->z, v.z));
}

/* ---- small random numbers: a sequence for strands and moles, and lattice noise */

/* Weyl sequence through a 32-bit mixer (constants from C. Wellons, "Prospecting for hash functions", 2018); seeded
 * from `grain`, which itself comes from engine/random.h.  Philox would cost more than the strands it places. */
static inline uint32_t mix_bits(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}
typedef struct Grain {
    uint32_t state;
} Grain;
static inline float grain_unit(Grain *g)   /* [0, 1) */
{
    g->state += 0x9E3779B9u;
    return (float)(mix_bits(g->state) >> 8) * (1 / 16777216.0f);
}
static inline float grain_even(Grain *g) { return 2 * grain_unit(g) - 1; }
/* Nearly normal: sum of three uniforms, variance 1, within 3. */
static inline float grain_bell(Grain *g)
{
    float a = grain_even(g), b = grain_even(g);   /* one by one: C leaves the order within an expression open */
    return a + b + grain_even(g);
}

static inline Vec grain_vec(Grain *g)
{
    float x = grain_even(g), y = grain_even(g);
    return vec(x, y, grain_even(g));
}

static inline float lattice(int x, int y)
{
    uint32_t h = ((uint32_t)x * 0x9E3779B1u) ^ ((uint32_t)y * 0x85EBCA77u);
    h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
    return (float)(int32_t)(h ^ (h >> 12)) * (1 / 2147483648.0f);
}
/* Value noise in about [-1, 1], period of the lattice 1; smooth. */
static inline float noise(float x, float y)
{
    x = maxf(minf(x, 1e6f), -1e6f);
    y = maxf(minf(y, 1e6f), -1e6f);
    int i = floor_int(x), j = floor_int(y);
    float u = x - (float)i, v = y - (float)j;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    return mixf(mixf(lattice(i, j), lattice(i + 1, j), u), mixf(lattice(i, j + 1), lattice(i + 1, j + 1), u), v);
}

/* ---- the sitter: everything that geometry and colour need to know, computed once a picture */

enum { TONE_SIDE = 33 };                                /* points of the person's tone over 22 x 22 cm of the face */

/* A mole or a spot of age. */
typedef struct Spot {
    float x, y, size, dark;
} Spot;
enum { MOST_SPOTS = 23 };

/* A line of the face: middle, direction, half its length, curvature, half its breadth (cm), its share of the light, and
 * the heights that it lies between. */
typedef struct FaceLine {
    float x, y, cos, sin, half, bend, width, depth, low_y, high_y;
} FaceLine;
enum { MOST_LINES = 44 };

/* Points of a feature's course (sitter_course): from COURSE_LOW on, so many a unit. */
enum { COURSES = 14, COURSE_FINE = 32, COURSE_POINTS = 7 * COURSE_FINE + 1 };
#define COURSE_LOW -2.5f

typedef struct Sitter {
    const PortraitPerson *person;
    const PortraitLook *look;
    const PortraitCamera *camera;
    float nasion_y, tip_y, base_y, mouth_y, chin_y;    /* root and tip of the nose, its base, lips, chin: heights */
    float eye_z;                                       /* depth of the eyeballs' centres */
    Vec eye_shift[2];                                  /* the warp at the eyes: eyeballs move rigidly */
    float offset;                                      /* where this person's noise lies on the lattice */
    float tone_light[TONE_SIDE * TONE_SIDE];           /* relative lightness of the skin, and its redness: variance 1 */
    float tone_red[TONE_SIDE * TONE_SIDE];
    float course[COURSES][2][COURSE_POINTS];           /* right and left half of the face */
    float man;                                         /* 0..1, growth of beard */
    Vec skin, hair;                                    /* linear colours */
    Spot spots[MOST_SPOTS];
    int spot_count;
    FaceLine lines[MOST_LINES];
    int line_count;
    float key, ambient;                                /* strengths of the lights, 1 = exposure of white */
    Vec skull_radius;                                  /* cm: half breadth, crown above skull_y, brow before centre */
    float skull_back;
    Turn turn;                                         /* the head's pose */
    float pixels;                                      /* side of the sampled picture */
    float focal, centre_x, centre_y, distance;         /* camera: samples, samples, samples, cm */
    float density;                                     /* samples a cm at the face */
} Sitter;

enum { SKULL_Y = 2, SKULL_Z = -9 };
#define EYEBALL 1.22f    /* cm, radius */
#define LIP_BAND 0.11f   /* cm around the line between the lips that opens with the mouth */

/* Displacement of the face at a place, cm. */
Vec person_warp(const PortraitPerson *p, float x, float y);
/* The grids of Sitter: rows go down, point i lies at tone_place(i) from the middle of brow and nose. */
static inline float tone_place(int i) { return 22.0f / (TONE_SIDE - 1) * (float)i - 11; }
void person_tone(const PortraitPerson *p, float *light, float *red);
static inline float tone_at(const float *grid, float x, float y)
{
    float u = clampf((x + 11) * ((TONE_SIDE - 1) / 22.0f), 0, TONE_SIDE - 1.001f);
    float v = clampf((11 - y) * ((TONE_SIDE - 1) / 22.0f), 0, TONE_SIDE - 1.001f);
    int j = (int)u, i = (int)v;
    const float *g = grid + i * TONE_SIDE + j;
    u -= (float)j;
    v -= (float)i;
    return mixf(mixf(g[0], g[1], u), mixf(g[TONE_SIDE], g[TONE_SIDE + 1], u), v);
}

void sitter_init(Sitter *s, const PortraitPerson *person, const PortraitLook *look, int samples);
/* A point of the head, after expression, into the room (the head turns on the neck, the chest stays). */
Vec sitter_pose(const Sitter *s, Vec p, float y0);
/* Room to picture: x, y in samples and the distance from the camera in z. */
static inline Vec sitter_project(const Sitter *s, Vec p)
{
    float k = s->focal / (s->distance - p.z);
    return vec(s->centre_x + p.x * k, s->centre_y - p.y * k, s->distance - p.z);
}

/* Curves of the face in its own coordinates (x, y), shared by relief and colour. */
typedef struct Lips {
    float m;                /* |x| over half the mouth's width */
    float middle, top, bottom;
} Lips;
Lips sitter_lips(const Sitter *s, float x);
typedef struct Lids {
    float u, v;             /* position in the opening: u -1 inner .. 1 outer corner, v cm above the corners' line */
    float top, bottom, crease;
} Lids;
#define LIDS_END 1.4f    /* nothing of the lids lies farther from their middle, in u; sitter_lids gives but u there */
Lids sitter_lids(const Sitter *s, float x, float y);
/* A person's own course of a feature along t, about -2.5 .. 2.5, smooth over a distance of half; kind tells features
 * apart, x the half of the face that it is for: two fifths of the course are common to both.  What the named numbers say
 * of a brow or lid is its size and bend; this is the rest. */
static inline float sitter_course(const Sitter *s, float t, int kind, float x)
{
    float u = clampf((t - COURSE_LOW) * COURSE_FINE, 0, COURSE_POINTS - 1.001f);
    int i = (int)u;
    const float *c = &s->course[kind][x < 0][i];
    return mixf(c[0], c[1], u - (float)i);
}
/* How a feature differs from the other half's: -1.8 .. 1.8 for the side of x; kind tells features apart. */
static inline float sitter_side(const Sitter *s, float x, int kind)
{
    return 1.8f * lattice((int)(s->person->grain & 0xffffu), 2 * kind + 500 + (x < 0));
}
/* Heights of nose and lips over the face, and the depth z of a point of the face once lids and eyeball are there. */
float nose_relief(const Sitter *s, float x, float y);
float lip_relief(const Sitter *s, const Lips *lips, float y);   /* lips: those at the point's x */
float lid_relief(const Sitter *s, float x, float y, float z);
/* Height of the hairline at an azimuth (radians, 0 front, either side) for this style; cm. */
float sitter_hairline(const Sitter *s, float x, float azimuth);
/* Cover of the beard at a point of the face: 0..1 in *beard, and stubble in *stubble. */
void sitter_beard(const Sitter *s, float x, float y, float *beard, float *stubble);

/* ---- the canvas: what each sample of the picture shows */

typedef enum Matter { EMPTY, SKIN, EAR, HAIR, FRAME } Matter;

/* The part of the mesh that is the person's alone, kept from picture to picture; mesh_face is of it too. */
typedef struct Loft {
    PortraitPerson person;  /* whose, if known */
    int known;
    float *z, *front, *nose;
    Vec *shift;
} Loft;

typedef struct Canvas {
    int side;               /* samples a side; arrays are (side, side) */
    int shadow_side;
    float *depth;           /* cm from the camera */
    uint8_t *matter;
    Vec *normal, *point;    /* point: SKIN (x, y of the face, height over the hairline); HAIR tangent; FRAME unused */
    float *tone;            /* HAIR: brightness of the strand */
    Vec *albedo, *light, *shine, *colour;
    float *occlusion, *one, *two, *three;   /* the last three: work */
    float *shadow;          /* (shadow_side, shadow_side) nearest distance towards the light */
    Turn shadow_turn;       /* z towards the light */
    void *memory;
    /* The head's mesh (rows, columns) and work of its making. */
    int rows, columns;
    Vec *mesh, *mesh_normal, *mesh_face, *mesh_screen;
    Loft loft;
    float *work;
} Canvas;

#define SHADOW_SCALE 3.6f   /* texels a cm */
#define SHADOW_SIDE 176

/* A sheet of rows x columns points into the canvas; face carries what `point` will hold. */
void canvas_sheet(Canvas *c, const Vec *screen, const Vec *normal, const Vec *face, int rows, int columns, Matter m);
/* A hair: polyline of n points of the room, as thin as a sample allows; radius 0 or a tube's in cm. */
void canvas_strand(Canvas *c, const Sitter *s, const Vec *points, const Vec *normals, int n, float tone,
                   float radius, Matter m);
/* Marks a point of the room as standing in the light's way. */
void canvas_cast(Canvas *c, Vec p);
/* Normals of a sheet from its neighbours' differences, towards the viewer's side of (column x row). */
void sheet_normals(const Vec *points, Vec *normals, int rows, int columns);
void box_blur(const float *in, float *out, float *work, int side, int radius);

/* Memory for pictures of one size, and a picture drawn in it. */
Canvas *canvas_make(int size);
void canvas_free(Canvas *c);
void canvas_render(Canvas *c, const PortraitPerson *person, const PortraitLook *look, int size, uint8_t *rgb);

void head_build(Canvas *c, const Sitter *s);      /* mesh, ears, neck into the canvas and its shadows */
void hair_build(Canvas *c, const Sitter *s);      /* after the head: strands, beard, glasses */
Vec hair_colour(const PortraitPerson *person);
Vec hue_colour(float turns);

/* Colour of the face at a sample. */
typedef struct Paint {
    Vec albedo;             /* linear, 0..1 */
    float shine, gloss;     /* strength and exponent of the highlight */
    float eye;              /* 0..1, how much of the sample is eyeball, whose normal follows */
    Vec eye_normal;         /* in the room */
    float scatter;          /* 0..1, light spreads beneath skin but not on eyes, hair and cloth */
} Paint;
enum { MOST_SAMPLES = 2 * PORTRAIT_MAX_SIZE };   /* a row's */
/* Bare skin at points of the face, before anything grows on it. */
typedef struct SkinRow {
    float r[MOST_SAMPLES], g[MOST_SAMPLES], b[MOST_SAMPLES], shine[MOST_SAMPLES], tone[MOST_SAMPLES];
} SkinRow;
void skin_row(const Sitter *s, const float *x, const float *y, int n, SkinRow *out);
/* A point of the face, whose bare skin is number `at` of the row. */
Paint skin_paint(const Sitter *s, Vec face, const SkinRow *row, int at);
void face_lines(Sitter *s);                       /* this person's lines under this expression, into the sitter */
/* Adds to dark[n] what the lines take at points of the face. */
void face_lines_row(const Sitter *s, const float *x, const float *y, int n, float *dark);
void skin_spots(Sitter *s);                       /* this person's spots, into the sitter */
void light_all(Canvas *c, const Sitter *s);       /* canvas to linear colour */

#endif
