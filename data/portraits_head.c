/* portraits_head.c - the head's surface.
 *
 * A loft of rings from crown to chest gives skull, jaw, neck and shoulders; onto its front come hills (cheeks,
 * chin, sockets ...), the nose, lips and lids, then the person's warp, then the expression.  A vertex keeps its
 * place (x, y) on the undisplaced loft: colour is painted in those coordinates, whatever the face does. */
#include "data/portraits_parts.h"

/* ---- the sitter's landmarks */

static Vec skin_colour(const PortraitPerson *p)
{
    /* Two pigments: melanin absorbs towards blue, blood in the green. */
    float m = p->melanin, blood = p->redness - 0.5f;
    Vec c = vec(.71f * exponential(-1.62f * m), .46f * exponential(-2.05f * m), .345f * exponential(-2.35f * m));
    return times(c, vec(1 - .015f * p->yellow, 1 - .23f * blood, 1 - .20f * blood - .06f * p->yellow));
}

static void person_courses(Sitter *s)
{
    for (int kind = 0; kind < COURSES; kind++)
        for (int half = 0; half < 2; half++)
            for (int i = 0; i < COURSE_POINTS; i++) {
                float at = COURSE_LOW + (float)i / COURSE_FINE + 1.61f * s->offset, row = 3.7f * (float)kind + .5f;
                float own = at + (half ? 23.4f : 51.2f);
                s->course[kind][half][i] = 1.5f * noise(at, row) + 1.25f * noise(own, row + 130)
                                         + .875f * noise(2.1f * own, row + 260);
            }
}

void sitter_init(Sitter *s, const PortraitPerson *p, const PortraitLook *l, int samples)
{
    memset(s, 0, sizeof *s);
    const PortraitCamera *c = &portrait_cameras[l->camera];
    s->person = p;
    s->look = l;
    s->camera = c;
    s->nasion_y = 0.6f;
    s->base_y = s->nasion_y - p->nose_length * p->face_long;
    s->tip_y = s->base_y + 0.62f + p->tip_up;
    s->mouth_y = s->base_y - p->philtrum * p->face_long;
    s->chin_y = s->mouth_y - p->chin_height * p->face_long;
    s->eye_z = -2.42f - p->eye_depth;
    s->offset = (float)(p->grain & 0xfffu) * 1.37f;
    person_courses(s);
    s->man = clampf(p->sex * 0.9f, 0, 1);
    person_tone(p, s->tone_light, s->tone_red);
    s->key = mixf(c->key_low, c->key_high, l->light_power);
    s->ambient = c->ambient * (.95f - .5f * l->light_power);
    s->skin = skin_colour(p);
    skin_spots(s);
    face_lines(s);
    s->hair = hair_colour(p);
    s->skull_radius = vec(0.5f * p->head_width, p->head_top - SKULL_Y, -SKULL_Z);
    s->skull_back = p->head_depth + SKULL_Z;
    /* half of it: how far eyes lie apart is a number of its own */
    s->eye_shift[0] = scale(person_warp(p, -p->eye_spacing, 0), .5f);
    s->eye_shift[1] = scale(person_warp(p, p->eye_spacing, 0), .5f);

    float yaw = l->yaw * c->pose, pitch = -l->pitch * c->pose, roll = -l->roll * c->pose;
    float cy = cosine(yaw), sy = sine(yaw), cp = cosine(pitch), sp = sine(pitch), cr = cosine(roll), sr = sine(roll);
    Vec x = vec(cy, 0, sy), y = vec(sy * sp, cp, -cy * sp), z = vec(-sy * cp, sp, cy * cp);
    s->turn.x = sub(scale(x, cr), scale(y, sr));
    s->turn.y = add(scale(x, sr), scale(y, cr));
    s->turn.z = z;

    float frame = c->frame * (1 + c->frame_sd * l->zoom);
    s->pixels = (float)samples;
    s->density = (float)samples / maxf(frame, 5);
    s->distance = 120;
    s->focal = s->density * (s->distance + 3);
    s->centre_x = 0.5f * (float)samples + c->shift_sd * l->shift_x * s->density;
    s->centre_y = 0.5f * (float)samples + (c->centre_y + c->shift_sd * l->shift_y) * s->density;
}

Vec sitter_pose(const Sitter *s, Vec p, float y0)
{
    const Vec pivot = {0, -7.5f, -9};
    Vec turned = add(turn(&s->turn, sub(p, pivot)), pivot);
    return blend(p, turned, ramp(-17.5f, -11.5f, y0));
}

/* ---- relief */

/* A hill on the face; `pair` also puts its mirror image.  All but the nose, lips and lids is made of these. */
typedef struct Hill {
    float x, y, rx, ry, height;
    int pair;
} Hill;

enum { MOST_HILLS = 48 };

static int face_hills(const Sitter *s, Hill *h)
{
    const PortraitPerson *p = s->person;
    float smile = maxf(s->look->smile, 0), chin = s->chin_y, mouth = s->mouth_y, base = s->base_y;
    float ex = p->eye_spacing;
    int n = 0;
#define HILL(...) h[n++] = (Hill){__VA_ARGS__}
    /* brow and sockets */
    HILL(2.9f, 1.75f, 3.6f, 1.5f, p->brow_ridge + .10f, 1);
    HILL(0, 2.1f, 2.6f, 1.6f, .3f * p->brow_ridge, 0);
    HILL(6.3f, 2.9f, 2.2f, 4.4f, -.32f - .8f * p->temple, 1);
    HILL(ex, .25f, 3.4f, 2.3f, -(.40f + .8f * p->eye_depth), 1);
    HILL(1.7f, .5f, 1.5f, 2, -.06f - .2f * p->lid_hollow, 1);
    HILL(2.6f, 5.3f, 3.6f, 3, .14f, 1);
    /* cheeks */
    HILL(4.7f, p->cheekbone_y, 3.5f, 2.7f, p->cheekbone, 1);
    HILL(3.2f, p->cheekbone_y - .7f, 3, 3, .24f + .2f * p->cheek_full, 1);
    HILL(4.3f, -6, 4.4f, 5.4f, .16f + .6f * p->cheek_full, 1);
    HILL(5.2f, -6.3f, 2.4f, 4.2f, -.12f + .25f * p->cheek_full, 1);
    HILL(4.1f, mixf(mouth, chin, .62f), 1.5f, 1.7f, .42f * p->jowl, 1);
    HILL(2.7f, mixf(mouth, chin, .70f), .8f, 1.5f, -.24f * p->jowl, 1);
    HILL(3.5f, -2.8f, 2.8f, 2.5f, .42f * smile, 1);
    /* teeth and lips stand forward */
    HILL(0, mouth + .3f, 5.6f, 5, .35f + p->muzzle, 0);
    HILL(p->mouth_width * 1.1f, mouth + p->mouth_corner, .95f, 1.1f, -.17f - .14f * smile, 1);
    /* chin */
    HILL(0, mixf(mouth, chin, .42f), 3.8f, 1.35f, -.34f, 0);
    HILL(0, mixf(mouth, chin, .78f), 2.3f * p->chin_width * .8f, 2, .42f, 0);
    HILL(0, mixf(mouth, chin, .82f), .65f, 1.4f, -p->chin_cleft, 0);
    /* philtrum */
    HILL(0, mixf(base, mouth, .4f), .7f, 1.7f, -p->philtrum_depth, 0);
    HILL(.5f, mixf(base, mouth, .45f), .5f, 1.7f, .7f * p->philtrum_depth, 1);
    /* folds from the wings of the nose to the corners of the mouth, as a chain */
    float fold = .65f * p->fold_depth + .13f * p->wrinkles + .16f * smile + .05f * maxf(p->cheek_full, 0);
    for (int i = 0; i < 4; i++) {
        float t = (float)i / 3, x = p->nose_width + .3f + 1.3f * t * (1 + .15f * smile), y = mixf(base + .5f, mouth, t);
        x += .35f * sitter_course(s, 1.4f * t, 12, 1);   /* every face folds along a line of its own */
        HILL(x, y, .75f, 1.2f, -fold * (1 - .35f * t) * (1 + .6f * sitter_course(s, 2 * t, 13, 1)), 1);
        HILL(x + .8f, y, 1.1f, 1.4f, .5f * fold, 1);
    }
    /* under the eyes */
    HILL(2.5f, -1.25f, 1.6f, .8f, -.08f - .14f * p->eye_bags, 1);
    HILL(3.4f, -1.5f, 1.5f, .7f, -.05f - .10f * p->eye_bags, 1);
    HILL(3, -.95f, 2, .7f, .15f * p->eye_bags, 1);
    /* frown lines */
    HILL(.45f, 2, .35f, 1.6f, -.07f * p->wrinkles - .06f * maxf(-s->look->brow_raise, 0), 1);
#undef HILL
    return n;
}

/* Adds the hills to a row of points; those that cannot reach its heights are skipped. */
static void raise_hills(const Hill *hills, int n, const float *x, const float *y, float *z, int columns)
{
    float low = y[0], high = y[0];
    for (int j = 1; j < columns; j++) {
        low = minf(low, y[j]);
        high = maxf(high, y[j]);
    }
    for (int i = 0; i < n; i++) {
        const Hill *h = &hills[i];
        if (h->y + h->ry < low || h->y - h->ry > high)
            continue;
        float kx = 1 / h->rx, ky = 1 / h->ry, cx = h->x, cy = h->y, height = h->height;
        int pair = h->pair;
        for (int j = 0; j < columns; j++) {
            float px = pair ? absf(x[j]) : x[j];
            float w = maxf(1 - sqr((px - cx) * kx) - sqr((y[j] - cy) * ky), 0);
            z[j] += height * (w * w * w);
        }
    }
}

static float forehead_lines(const Sitter *s, float x, float y)
{
    float depth = s->person->wrinkles + .3f * maxf(s->look->brow_raise, 0) - .1f;
    if (depth <= 0 || y < 2.6f || y > 6.8f)
        return 0;
    float close = 5.5f + 1.8f * lattice((int)(s->person->grain & 0xffffu), 14);
    float wave = sine(close * (y + .5f * noise(.35f * x + s->offset, .2f * y)));
    return -.09f * depth * sqr(maxf(wave, 0)) * hill2(x / 6, (y - 4.6f) / 2.6f);
}

/* ---- expression: moves finished points by their place on the face */

/* lips: those at x, read where the mouth is open and y below the nose. */
static Vec express(const Sitter *s, Vec p, float x, float y, float front, const Lips *lips)
{
    const PortraitPerson *person = s->person;
    const PortraitLook *l = s->look;
    float ax = absf(x), side = x < 0 ? -1.0f : 1.0f, smile = l->smile, grin = maxf(smile, 0);
    float corner = front * hill2((ax - person->mouth_width) / 2.9f, (y - s->mouth_y) / 2.7f);
    smile += side * l->smirk * (.35f + .5f * grin);
    grin = maxf(smile, 0);
    float round = l->pucker * (1 - .6f * minf(grin, 1)), lips_near = front * hill2(x / 3.4f, (y - s->mouth_y) / 2.2f);
    p.y += .42f * smile * corner;
    p.x += side * ((smile > 0 ? .36f : .2f) * smile - .34f * round) * corner;
    p.z += .32f * round * lips_near - .32f * grin * corner;
    p.y += (.20f * grin + .14f * maxf(l->squint, 0)) * front * hill2((ax - 3.5f) / 3.5f, (y + 2.9f) / 3.3f);
    p.z -= .10f * grin * front * hill2(x / 3.3f, (y - s->mouth_y) / 2);
    p.x += l->jaw_side * front * ramp(s->base_y, s->chin_y, y) * ramp(-12.5f, -11, y);
    float brow = front * hill2((ax - 2.9f) / 6, (y - person->brow_y - .2f) / 3.3f);
    float raised = l->brow_raise + side * l->brow_side * ramp(.3f, 2, ax);
    p.y += .42f * raised * brow;
    p.x += side * .15f * minf(raised, 0) * brow;   /* a frown draws the brows together */
    if (l->mouth_open > 0 && y < s->base_y) {
        Lips q = *lips;
        float gap = root(1 - q.m * q.m), below = ramp(LIP_BAND, -LIP_BAND, y - q.middle);
        float jaw = 1 - ramp(3.2f, 6.8f, ax), out = ramp(0, -1.4f, y - q.middle);
        float fall = below * mixf(gap, jaw, out) * (1 - ramp(-12.5f, -15, y)) * front * l->mouth_open;
        p.y -= 1.05f * fall;
        p.z -= .45f * fall;
        p.y += .2f * l->mouth_open * front * gap * (1 - below) * hill((y - q.middle) / 1.8f);
    }
    return p;
}

/* ---- the loft */

/* A ring: where it meets the middle of the front (y, z), the side (x, y, z), and its two exponents: how square it is
 * in plan, and how fast it falls from the front's height to the side's. */
typedef struct Ring {
    float front_y, front_z, side_x, side_y, side_z, square, fall;
} Ring;

enum { RINGS = 22 };

static void head_rings(const Sitter *s, Ring *r)
{
    const PortraitPerson *p = s->person;
    Vec k = s->skull_radius;
    int n = 0;
    /* The skull above the brow is an ellipsoid, so that hair can follow it. */
    static const float angles[] = {1.5f, 1.26f, 1.03f, .82f, .62f, .43f, .24f};
    for (int i = 0; i < 7; i++) {
        float c = cosine(angles[i]), h = sine(angles[i]);
        r[n++] = (Ring){SKULL_Y + k.y * h, SKULL_Z + k.z * c - 1.1f * p->forehead_slope * h * c, k.x * c,
                        SKULL_Y + k.y * h, SKULL_Z, 2, 2};
    }
    float face = .5f * p->face_width, jaw = .5f * p->jaw_width, full = p->cheek_full, neck = .46f * p->neck_width;
    float base = s->base_y, mouth = s->mouth_y, chin = s->chin_y, q = p->jaw_square;
    float cy = p->jaw_corner + .4f * (chin + 11);
    float drop = chin + 11, shoulders = 1 + .05f * clampf(p->sex, -2, 2), out = p->chin_forward;
    r[n++] = (Ring){2.1f, 0, mixf(face + .20f, k.x, .5f), 2.1f, -9, 2.15f, 2};
    r[n++] = (Ring){.2f, -.55f, face + .28f, .2f, -8.9f, 2.2f, 2};
    r[n++] = (Ring){.53f * base, -.45f, face + .12f, .45f * base, -8.5f, 2.22f, 2};   /* half way: rings keep order */
    r[n++] = (Ring){base, -.2f, mixf(face, jaw, .32f) + .06f + .15f * full, .83f * base, -8.4f, 2.12f, 2};
    r[n++] = (Ring){mouth, -.12f, mixf(face, jaw, .52f) + .04f + .2f * full, mouth + 1.9f, -8.3f, 2.03f, 2};
    r[n++] = (Ring){mixf(mouth, chin, .45f), -.42f, mixf(face, jaw, .76f) + .02f + .2f * full, cy + .75f, -8.2f, 1.97f,
                    mixf(2, q, .6f)};
    r[n++] = (Ring){mixf(mouth, chin, .78f), -.36f + out, jaw + .04f + .15f * full, cy, -8.2f, 1.92f, q};
    r[n++] = (Ring){chin, -1.2f + out, jaw - .25f + .12f * full, cy - .65f, -8.3f, 1.92f, q};
    r[n++] = (Ring){chin - .4f - .12f * full, -3.0f + .8f * out, jaw - .45f, cy - 1.5f, -8.6f, 2, .92f * q};
    r[n++] = (Ring){chin - .7f - .2f * full, -5.6f + .4f * full, neck - .2f, -10.8f + .3f * drop, -8.9f, 2, 2};
    r[n++] = (Ring){chin - 2.1f, -6.1f + .15f * full, neck, -12.6f + drop, -9, 2, 2};
    r[n++] = (Ring){-16.2f + drop, -5.8f, 1.14f * neck, -14.2f + drop, -9.2f, 2, 2};
    r[n++] = (Ring){-18 + drop, -5, 9.6f * shoulders, -15.4f + drop, -9.5f, 2.1f, 2.2f};
    r[n++] = (Ring){-20.5f + drop, -3.8f, 15.5f * shoulders, -17.4f + drop, -9.5f, 2.4f, 2.6f};
    r[n++] = (Ring){-30, -1.5f, 21, -26, -9.5f, 2.6f, 3};
}

static float catmull(float a, float b, float c, float d, float t)
{
    return b + .5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static Ring ring_at(const Ring *r, float u)
{
    u = clampf(u, 0, RINGS - 1);
    int i = u < RINGS - 1 ? (int)u : RINGS - 2;
    const float *a = &r[i > 0 ? i - 1 : 0].front_y, *b = &r[i].front_y, *c = &r[i + 1].front_y;
    const float *d = &r[i + 2 < RINGS ? i + 2 : RINGS - 1].front_y;
    Ring out;
    float *o = &out.front_y;
    for (int k = 0; k < (int)(sizeof(Ring) / sizeof(float)); k++)
        o[k] = catmull(a[k], b[k], c[k], d[k], u - (float)i);
    return out;
}

/* Whether a place of the loft has relief, warp and expression. */
static int on_face(float front, float y) { return front > 0 && y > -13.5f && y < 9.5f; }

/* Rows lie densest from brow to chin. */
static float row_ring(int row, int rows)
{
    static const float share[][2] = {{0, 0}, {.12f, 4.6f}, {.87f, 15}, {.94f, 17.5f}, {1, RINGS - 1}};
    float t = (float)row / (float)(rows - 1);
    int k = 0;
    while (k < 3 && t > share[k + 1][0])
        k++;
    return mixf(share[k][1], share[k + 1][1], (t - share[k][0]) / (share[k + 1][0] - share[k][0]));
}

/* What a row has of the person alone, whatever the look: places on the loft and their height under the hairline,
 * the nose, and the person's warp. */
static void loft_row(Canvas *c, const Sitter *s, const Ring *r, const float *sines, const float *cosines, int row)
{
    int n = c->columns;
    Loft *loft = &c->loft;
    float *x = c->work, *y = x + n;
    float *z = loft->z + row * n, *front = loft->front + row * n, *nose = loft->nose + row * n;
    float side_x = r->side_x, side_y = r->side_y, side_z = r->side_z, front_y = r->front_y, front_z = r->front_z;
    float falls = r->fall, square = r->square, rounding = 1 / r->square;
    for (int j = 0; j < n; j++) {
        float a = absf(sines[j]), co = cosines[j];
        float fall = maxf(1 - power(a, falls), 0), deep = power(maxf(1 - power(a, square), 0), rounding);
        fall = co > 0 ? fall : 0;
        deep = co > 0 ? deep : co;
        x[j] = side_x * sines[j];
        y[j] = mixf(side_y, front_y, fall);
        z[j] = side_z + (front_z - side_z) * deep;
        front[j] = ramp(.02f, .4f, co);
    }
    for (int j = 0; j < n; j++) {
        int o = row * n + j;
        Vec *shift = &loft->shift[o];
        nose[j] = 0;
        *shift = vec(0, 0, 0);
        if (on_face(front[j], y[j])) {
            float ax = absf(x[j]);
            if (ax < 4 && y[j] < 3 && y[j] > s->base_y - 1.2f)
                nose[j] = nose_relief(s, x[j], y[j]);
            Vec w = person_warp(s->person, x[j], y[j]);
            float ex = ax - s->person->eye_spacing;
            w = blend(w, s->eye_shift[x[j] > 0], 1 - ramp(1.2f, 3.2f, sqrtf(ex * ex + sqr(y[j]))));
            *shift = scale(w, front[j] * ramp(-13.5f, -11, y[j]) * ramp(9.5f, 7, y[j]));
        }
        float azimuth = angle_of(absf(x[j]), z[j] - SKULL_Z);
        float over = y[j] > -4 ? y[j] - sitter_hairline(s, x[j], azimuth) : -9;
        c->mesh_face[o] = vec(x[j], y[j], over);
    }
}

/* One row of the mesh: the loft with all relief and the look's expression. */
static void build_row(Canvas *c, const Sitter *s, const Ring *ring, const Hill *hills, int hill_count, int row)
{
    int n = c->columns;
    float *x = c->work, *y = x + n, *relief = y + n;
    const float *z = c->loft.z + row * n, *front = c->loft.front + row * n, *nose = c->loft.nose + row * n;
    for (int j = 0; j < n; j++) {
        x[j] = c->mesh_face[row * n + j].x;
        y[j] = c->mesh_face[row * n + j].y;
        relief[j] = 0;
    }
    if (ring->front_y < 10 && ring->front_y > -15)
        raise_hills(hills, hill_count, x, y, relief, n);
    for (int j = 0; j < n; j++) {
        int o = row * n + j;
        Vec p = vec(x[j], y[j], z[j]);
        if (on_face(front[j], y[j])) {
            int at_lips = absf(x[j]) < 4.5f && y[j] < s->base_y && y[j] > s->chin_y;
            int below_nose = s->look->mouth_open > 0 && y[j] < s->base_y;
            Lips lips = {0, 0, 0, 0};
            if (at_lips || below_nose)
                lips = sitter_lips(s, x[j]);
            relief[j] += nose[j];
            if (at_lips)
                relief[j] += lip_relief(s, &lips, y[j]);
            relief[j] += forehead_lines(s, x[j], y[j]);
            p.z = mixf(p.z, lid_relief(s, x[j], y[j], p.z + relief[j]), front[j]);
            p = express(s, add(p, c->loft.shift[o]), x[j], y[j], front[j], &lips);
        }
        c->mesh[o] = sitter_pose(s, p, y[j]);
    }
}

/* ---- ears */

enum { EAR_ROWS = 17, EAR_COLUMNS = 21 };

/* Spokes from the ear's canal to its rim: rows go outwards, columns around. */
static Vec ear_point(const Sitter *s, float side, float root_x, int row, int column)
{
    const PortraitPerson *p = s->person;
    float r = (float)row / (EAR_ROWS - 1), a = 2 * PI * (float)column / (EAR_COLUMNS - 1);
    float ca = cosine(a), sa = sine(a);                             /* a = 0 to the back, pi/2 up */
    float long_y = sa > 0 ? 3.0f : 2.6f, wide = ca > 0 ? 2.0f - .40f * maxf(-sa, 0) : .75f;
    float u = wide * r * ca * p->ear_size, v = long_y * r * sa * p->ear_size;   /* back and up along the ear */
    float behind = ramp(-.9f, .2f, ca);
    float high = .30f * hill((r - .90f) / .16f) * maxf(behind, maxf(sa, 0)) + .22f * hill((r - .55f) / .25f) * behind
               - .45f * hill(r / .5f) - .10f * hill((r - .75f) / .12f);
    float out = p->ear_out * (1 + .09f * v);   /* the top stands out more than the lobe */
    return vec(side * (root_x - .25f + (u + .7f) * sine(out) + high * cosine(out)), -1.3f + v - .12f * u,
               -8.3f - (u + .3f) * cosine(out) + high * sine(out) + .12f * v);
}

static void build_ears(Canvas *c, const Sitter *s, const Ring *rings)
{
    enum { N = EAR_ROWS * EAR_COLUMNS };
    Vec points[N], normals[N], screen[N], face[N];
    float root_x = ring_at(rings, 9).side_x;
    for (int e = 0; e < 2; e++) {
        float side = e ? 1.0f : -1.0f;
        for (int i = 0; i < N; i++) {
            Vec p = ear_point(s, side, root_x, i / EAR_COLUMNS, i % EAR_COLUMNS);
            face[i] = vec(p.x, p.y, -9);
            points[i] = sitter_pose(s, p, p.y);
            screen[i] = sitter_project(s, points[i]);
            canvas_cast(c, points[i]);
        }
        sheet_normals(points, normals, EAR_ROWS, EAR_COLUMNS);
        canvas_sheet(c, screen, normals, face, EAR_ROWS, EAR_COLUMNS, EAR);
    }
}

void head_build(Canvas *c, const Sitter *s)
{
    Ring rings[RINGS];
    Hill hills[MOST_HILLS];
    head_rings(s, rings);
    int hill_count = face_hills(s, hills), half = c->columns / 2;
    /* the pictures of one person mostly follow one another */
    int known = c->loft.known && !memcmp(&c->loft.person, s->person, sizeof c->loft.person);
    float *sines = c->work + 5 * c->columns, *cosines = sines + c->columns;
    for (int j = 0; j < c->columns; j++) {
        float q = (float)(j - half) / (float)half, a = 1.8f * q * (.76f + .24f * q * q);
        sines[j] = sine(a);
        cosines[j] = cosine(a);
    }
    for (int i = 0; i < c->rows; i++) {
        Ring ring = ring_at(rings, row_ring(i, c->rows));
        if (!known)
            loft_row(c, s, &ring, sines, cosines, i);
        build_row(c, s, &ring, hills, hill_count, i);
    }
    c->loft.person = *s->person;
    c->loft.known = 1;
    int n = c->rows * c->columns;
    for (int i = 0; i < n; i++) {
        c->mesh_screen[i] = sitter_project(s, c->mesh[i]);
        canvas_cast(c, c->mesh[i]);
    }
    sheet_normals(c->mesh, c->mesh_normal, c->rows, c->columns);
    canvas_sheet(c, c->mesh_screen, c->mesh_normal, c->mesh_face, c->rows, c->columns, SKIN);
    build_ears(c, s, rings);
}
