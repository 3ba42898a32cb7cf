/* portraits_hair.c - strands of hair and beard, and the wire of glasses.
 *
 * Hair grows in locks: each lock has a root on the skull's ellipsoid and a course that follows the style's combing,
 * keeps its height over the skull, gives in to gravity and turns aside before the face; its strands run beside it.
 * The style, its length, volume, parting and curl are the person's; trim, disorder and tying are the look's. */
#include "data/portraits_parts.h"

Vec hair_colour(const PortraitPerson *p)
{
    float d = p->hair_dark, red = clampf(p->hair_red, 0, 1) * clampf(1.2f - d, 0, 1);
    Vec c = vec(.50f * exponential(-3.5f * d), .345f * exponential(-3.7f * d), .18f * exponential(-3.3f * d));
    Vec ginger = vec(.32f * exponential(-1.6f * d), .095f * exponential(-1.9f * d), .028f * exponential(-1.3f * d));
    c = blend(blend(c, ginger, red), vec(.42f, .41f, .40f), .85f * p->hair_grey);
    return add(c, vec(.005f, .0045f, .004f));
}

/* What a style does.  Lengths in cm at the top and the sides; lift: height over the skull it stands to; comb: along
 * x (away from the parting), up the front and back; fall: how soon gravity rules. */
typedef struct Style {
    float top, side, lift, lift_side, apart, back, forward, fall, fringe;
    int is_long, tied;
} Style;

static Style style_of(const PortraitPerson *p, const PortraitLook *l)
{
    static const Style styles[PORTRAIT_HAIR_STYLES] = {
        [PORTRAIT_SHAVED] = {.5f, .4f, .10f, .08f, 0, .2f, .3f, 0, 0, 0, 0},
        [PORTRAIT_SHORT]  = {3.6f, 1.8f, 1.3f, .45f, .35f, -.2f, .6f, .15f, 0, 0, 0},
        [PORTRAIT_PARTED] = {7.5f, 2.8f, 1.5f, .65f, 1, .5f, 0, .35f, 0, 0, 0},
        [PORTRAIT_SWEPT]  = {8.5f, 3.2f, 1.5f, .60f, .25f, 1, 0, .1f, 0, 0, 0},
        [PORTRAIT_FRINGE] = {6.5f, 4, 1.2f, .75f, .3f, 0, 1, .5f, 1, 0, 0},
        [PORTRAIT_CURLS]  = {6, 4.5f, 2.5f, 1.8f, 0, 0, 0, 0, 0, 0, 0},
        [PORTRAIT_BOB]    = {18, 14, 1.2f, 1.3f, 1, .5f, 0, .75f, 0, 1, 0},
        [PORTRAIT_LONG]   = {32, 28, 1.1f, 1.2f, 1, .45f, 0, .8f, 0, 1, 0},
    };
    Style s = styles[(unsigned)p->hair < PORTRAIT_HAIR_STYLES ? p->hair : PORTRAIT_SHORT];
    float longer = exponential(.20f * clampf(p->hair_length, -4, 4)) * (1 + l->hair_trim);
    float fuller = p->hair_volume * (1 + l->hair_puff);
    s.top *= longer;
    s.side *= longer;
    s.lift *= fuller;
    s.lift_side *= fuller;
    if (s.is_long && (p->grain >> 4 & 7) == 0)
        s.fringe = .8f;
    if (s.is_long && l->hair_tied < .3f) {   /* combed to a knot at the back: what shows is smooth and short */
        s.top = 14;
        s.side = 6;
        s.tied = 1;
        s.lift = .5f;
        s.lift_side = .35f;
        s.apart = .25f;
        s.back = 1.2f;
        s.fall = 0;
        s.is_long = 0;
    }
    return s;
}

float sitter_hairline(const Sitter *s, float x, float azimuth)
{
    const PortraitPerson *p = s->person;
    float bays = .35f + maxf(p->hair_recess, 0) * 1.3f, jitter = .3f * noise(.8f * x + s->offset, azimuth * 2);
    float y = p->hairline_y + .25f * bays * ramp(.5f, .1f, azimuth) - 1.3f * sqr(azimuth);
    y += bays * hill((azimuth - .62f) / .42f) * (p->sex > 0 ? 1.1f : .6f);
    y = mixf(y, 1.2f, ramp(.72f, 1.12f, azimuth));
    y = mixf(y, -2.4f, ramp(1.18f, 1.30f, azimuth) * ramp(1.62f, 1.45f, azimuth));   /* in front of the ear */
    if (p->hair == PORTRAIT_SHAVED && (p->grain >> 13 & 1))                            /* bald crown */
        y = maxf(y, mixf(11.5f, 2.4f, ramp(.9f, 1.25f, azimuth)));
    return y + jitter;
}

/* Position over the skull: below its centre the ellipsoid goes on as a cylinder.  Returns the radius in which the
 * surface is 1, and the outward direction. */
static float skull_at(const Sitter *s, Vec p, Vec *normal)
{
    Vec k = s->skull_radius;
    float kz = p.z > SKULL_Z ? k.z : s->skull_back, y = maxf(p.y - SKULL_Y, 0);
    float slope = p.z > SKULL_Z ? 1.1f * s->person->forehead_slope * y / k.y : 0;
    Vec q = vec(p.x / k.x, y / k.y, (p.z - SKULL_Z + slope) / kz);
    *normal = unit(vec(q.x / k.x, q.y / k.y, q.z / kz));
    return sqrtf(dot(q, q));
}

enum { STRAND_POINTS = 18 };

typedef struct Lock {
    Vec point[STRAND_POINTS], normal[STRAND_POINTS];
    int n;
    float tone;
} Lock;

/* Keeps a point of the lock at least `height` outside the skull. */
static Vec clear_of_head(const Sitter *s, Vec p, float height, Vec *normal)
{
    float r = skull_at(s, p, normal), clearance = (r - 1) * .5f * (s->skull_radius.x + s->skull_radius.z);
    if (clearance < height)
        p = along(p, *normal, (height - clearance) * .9f);
    return p;
}

/* One coil of tight curls: it fills the volume at a height of its own, so it need not grow from the skull. */
static void grow_coil(const Sitter *s, Vec base, Vec normal, float height, Grain *g, Lock *lock)
{
    float size = mixf(.42f, .22f, clampf(s->person->hair_curl, 0, 1)), at = height * grain_unit(g);
    Vec axis = unit(add(normal, scale(grain_vec(g), .8f))), across = unit(cross(axis, vec(.3f, .2f, 1)));
    Vec other = cross(axis, across), start = along(base, normal, at);
    float phase = 2 * PI * grain_unit(g), pitch = .06f + .05f * grain_unit(g);
    lock->n = STRAND_POINTS;
    for (int i = 0; i < STRAND_POINTS; i++) {
        float a = phase + .75f * (float)i;
        Vec p = along(start, axis, pitch * (float)i - .3f);
        lock->point[i] = along(along(p, across, size * cosine(a)), other, size * sine(a));
        lock->normal[i] = unit(add(normal, add(scale(across, .6f * cosine(a)), scale(other, .6f * sine(a)))));
    }
    lock->tone = .55f + .6f * at / maxf(height, .1f);
}

/* The way a lock is combed at its root, and its length. */
static Vec comb_of(const Sitter *s, const Style *style, Vec base, int fringe, float mess, Grain *g, float *length)
{
    const PortraitPerson *p = s->person;
    float up = ramp(2.5f, 8.5f, base.y), front = ramp(-9, -2.5f, base.z), part = p->hair_part;
    float side = base.x > part ? 1.0f : -1.0f, outer = base.x > 0 ? 1.0f : -1.0f;
    *length = mixf(style->side, style->top, up) * (1 + .16f * grain_bell(g));
    Vec comb = vec(style->apart * side * (.6f + .4f * up), .35f * style->forward * up * (1 - front),
                   -style->back * (.4f + .6f * up) + style->forward * (up - .3f));
    if (p->hair == PORTRAIT_SWEPT)
        comb.x = style->apart * (part > 0 ? -1.0f : 1.0f);
    if (fringe) {
        comb = vec(.35f * side, 0, 1.2f);
        *length = 1.1f * maxf(base.y - p->brow_y - .4f, 1) - .6f * minf(base.z, 0);
        *length *= .88f + .15f * grain_unit(g);
    }
    if (up < .5f && !style->is_long) {   /* the sides hang, or lie back to the knot */
        Vec down = vec(.15f * outer, -1, p->hair == PORTRAIT_SWEPT ? -.9f : -.35f);
        comb = blend(style->tied ? vec(0, .1f, -1) : down, comb, 2 * up);
    }
    return add(comb, scale(grain_vec(g), mess * .7f));
}

/* The face stays free: what would hang before it slides to its side of the head. */
static Vec beside_face(const Sitter *s, Vec at, float outer, Grain *g)
{
    if (at.y >= 4.5f || at.z <= -8)
        return at;
    float edge = mixf(.5f * s->person->face_width + .15f + .25f * grain_unit(g), 3.8f, ramp(1, 6.5f, at.y));
    at.x += outer * .6f * maxf(edge - absf(at.x), 0);
    at.z = minf(at.z, mixf(-5.2f, -.2f, ramp(1, 5, at.y)));
    return at;
}

/* Whether the barber's scissors end a lock here: short hair stays above the forehead and the ear's canal. */
static int cut_short(const Sitter *s, const Style *style, int fringe, Vec at, float ends)
{
    if (style->is_long || fringe)
        return 0;
    float ax = absf(at.x), front = .40f * s->person->face_width;
    if (at.z > -5.5f && ax < front)
        return at.y < s->person->hairline_y - .5f - 1.6f * ends * style->forward - .25f * ends;
    return at.z > -10.5f && at.y < -.6f - 1.4f * ends;
}

/* Grows one lock from its root.  height: how high over the skull its end shall stand. */
static void grow_lock(const Sitter *s, const Style *style, Vec base, Vec normal, float height, Grain *g, Lock *lock)
{
    const PortraitPerson *p = s->person;
    int on_front = base.z > -7 && base.y > 5, fringe = on_front && grain_unit(g) < 1.2f * style->fringe;
    float mess = (.25f + .55f * s->look->hair_mess) * (style->is_long ? .5f : 1), outer = base.x > 0 ? 1.0f : -1.0f;
    float length, curl = p->hair_curl, turns = 1.2f + 4 * curl;
    Vec comb = comb_of(s, style, base, fringe, mess, g, &length), at = base, last = comb;
    float widest = .5f * p->head_width + .5f + .7f * style->lift_side + .3f * grain_unit(g);
    float step = length / (STRAND_POINTS - 1), gone = 0, phase = 2 * PI * grain_unit(g), ends = grain_unit(g);
    for (lock->n = 0; lock->n < STRAND_POINTS;) {
        lock->point[lock->n] = at;
        lock->normal[lock->n++] = normal;
        if (fringe && at.y < p->brow_y + .75f + .6f * grain_unit(g))
            break;
        if (cut_short(s, style, fringe, at, ends))
            break;
        gone += step;
        float t = gone / maxf(length, .1f), fall = ramp(0, 1, style->fall * (1.6f * t + (base.y < 5 ? .5f : 0)));
        if (fringe)
            fall = ramp(.15f, .8f, t);
        Vec want = blend(unit(comb), vec(.10f * outer, -1.15f, 0), fall);
        if (style->is_long && at.y < 4)
            want = add(vec(.12f * outer * ramp(-9, 2, at.y), -1.3f, -.10f), scale(comb, .1f));
        /* along the surface, which itself rises to the lock's height and sinks a little at the tip */
        float stand = height * ramp(-.05f, .45f, t) * (1 - .3f * ramp(.7f, 1, t));
        Vec d = unit(add(want, scale(last, .8f)));
        d = last = unit(along(d, normal, -.75f * dot(d, normal)));
        at = along(at, d, step);
        if (curl > .15f && !fringe) {
            float wave = .40f * (curl - .1f) * mess, a = phase + turns * gone;
            at = along(along(at, cross(d, normal), wave * cosine(a)), normal, .6f * wave * sine(a));
        }
        at = clear_of_head(s, at, stand, &normal);
        if (fringe)
            at.z = maxf(at.z, .25f);
        else
            at = beside_face(s, at, outer, g);
        if (style->is_long)   /* a stray lock lies against the others */
            at.x = clampf(at.x, -widest, widest);
    }
}

/* Strands of one lock: copies moved sideways, thinning out towards the tip. */
static void draw_lock(Canvas *c, const Sitter *s, const Lock *lock, int strands, float spread, Grain *g)
{
    Vec points[STRAND_POINTS], normals[STRAND_POINTS];
    for (int k = 0; k < strands; k++) {
        float sx = spread * grain_bell(g) * .6f, sy = spread * grain_bell(g) * .6f, sz = spread * grain_even(g) * .5f;
        float fray = 1 + .5f * grain_even(g), tone = lock->tone * (1 + .20f * grain_even(g));
        int n = lock->n - (int)(grain_unit(g) * .25f * (float)lock->n);
        for (int i = 0; i < n; i++) {
            float t = (float)i / (STRAND_POINTS - 1), wide = mixf(1, .55f, t) * fray;
            Vec q = add(lock->point[i], scale(vec(sx, sy, sz), wide));
            points[i] = sitter_pose(s, q, maxf(q.y, -13));
            normals[i] = turn(&s->turn, lock->normal[i]);
        }
        canvas_strand(c, s, points, normals, n, tone, 0, HAIR);
        if ((k & 3) == 0)
            for (int i = 1; i < n; i++)
                canvas_cast(c, points[i]);
    }
}

/* The hair behind the neck as one sheet: too dark there for strands to show, and no wall shall show through. */
static void build_back_hair(Canvas *c, const Sitter *s, const Style *style)
{
    enum { ROWS = 8, COLUMNS = 9, N = ROWS * COLUMNS };
    Vec screen[N], normals[N], along_hair[N];
    float wide = .5f * s->person->head_width - .3f + .4f * style->lift_side, bottom = 3 - 1.1f * style->side;
    for (int i = 0; i < N; i++) {
        float v = (float)(i / COLUMNS) / (ROWS - 1), u = 2 * (float)(i % COLUMNS) / (COLUMNS - 1) - 1;
        Vec p = vec(wide * u, mixf(3, bottom + noise(3 * u + s->offset, 7), v), -10 - 1.5f * (1 - u * u));
        screen[i] = sitter_project(s, sitter_pose(s, p, maxf(p.y, -13)));
        normals[i] = turn(&s->turn, unit(vec(.6f * u, 0, 1)));
        along_hair[i] = turn(&s->turn, vec(.1f * u, -1, 0));
    }
    canvas_sheet(c, screen, normals, along_hair, ROWS, COLUMNS, HAIR);
}

static void build_hair(Canvas *c, const Sitter *s)
{
    const PortraitPerson *p = s->person;
    const PortraitLook *l = s->look;
    Style style = style_of(p, l);
    if (p->hair == PORTRAIT_SHAVED)
        return;   /* painted on the skull */
    if (style.is_long)
        build_back_hair(c, s, &style);
    Grain roots = {p->grain}, loose = {l->grain};
    /* A sample is as wide as a strand can be: smaller pictures need fewer. */
    float fineness = clampf(s->density / 9, .15f, 1.3f);
    int curly = p->hair == PORTRAIT_CURLS, locks = (int)(fineness * (curly ? 2600 : style.is_long ? 850 : 560));
    int strands = curly ? 1 : style.is_long ? 6 : 7;
    for (int i = 0; i < locks; i++) {
        Grain g = {mix_bits(roots.state + (uint32_t)i * 977u)};
        Grain shake = {mix_bits(loose.state + (uint32_t)i)};
        /* even over the half of the sphere that can be seen, and a little behind it */
        float azimuth = (style.is_long ? 2.9f : 2.15f) * grain_even(&g);
        float h = mixf(style.is_long ? -.25f : -.42f, 1, grain_unit(&g));
        float flat = root(1 - h * h), sa = sine(azimuth), ca = cosine(azimuth);
        Vec k = s->skull_radius;
        Vec base = vec(k.x * sa * (h > 0 ? flat : 1), SKULL_Y + k.y * h,
                       SKULL_Z + (ca > 0 ? k.z : s->skull_back) * ca * (h > 0 ? flat : 1));
        if (base.y < sitter_hairline(s, base.x, angle_of(absf(base.x), base.z - SKULL_Z)) + .1f)
            continue;
        Vec normal;
        base = clear_of_head(s, base, .02f, &normal);
        float up = ramp(2, 8, base.y), layer = .25f + .75f * grain_unit(&g);
        float height = layer * mixf(style.lift_side, style.lift, up) * (1 + .10f * l->hair_mess * grain_bell(&shake));
        Lock lock;
        g.state += shake.state * (l->hair_mess > .5f && (i & 3) == 0);   /* every fourth lock of untidy hair moves */
        if (curly) {
            grow_coil(s, base, normal, mixf(style.lift_side, style.lift, up), &g, &lock);
        } else {
            grow_lock(s, &style, base, normal, height, &g, &lock);
            lock.tone = (.62f + .38f * layer) * (1 + .16f * grain_bell(&g));
        }
        draw_lock(c, s, &lock, strands, curly ? .1f : .32f * (1 + .5f * l->hair_mess), &g);
    }
}

/* ---- beard */

void sitter_beard(const Sitter *s, float x, float y, float *beard, float *stubble)
{
    const PortraitPerson *p = s->person;
    *beard = *stubble = 0;
    if (s->man <= 0 || y > .5f || y < -12.5f)
        return;
    float ax = absf(x), base = s->base_y, mouth = s->mouth_y, ragged = .35f * noise(1.1f * x + s->offset, 1.1f * y);
    Lips q = sitter_lips(s, x);
    int on_lip = q.m < 1.04f && y < q.top + .10f && y > q.bottom - .10f;
    /* cheeks below a line from the ear to the mouth, down to the jaw */
    float line = base - 1.1f + p->beard_line + 4.3f * ramp(4.0f, 6.8f, ax);
    float jaw = s->chin_y - .2f + 3.2f * sqr(ax / (.5f * p->jaw_width));
    float cheek = ramp(1.3f, -1.1f, y - line + 1.3f * ragged) * ramp(jaw - 1.5f, jaw + .7f, y);
    /* the moustache follows the lip and droops past its corners */
    float lip_y = q.m < 1 ? q.top : mouth + .1f, reach = 1.12f * p->mouth_width;
    float over = y - lip_y + .4f * ragged + .8f * maxf(q.m - .75f, 0);
    float above = ramp(reach, .8f * reach, ax) * ramp(-.05f, .25f, over);
    above *= ramp(.0f, .45f, base - .15f * ax - y + .3f * ragged) * (1 - .35f * hill(x / .5f));
    float below = 1 - .7f * hill2((ax - 1.25f) / 1.4f, (y - q.bottom + .3f) / .7f);
    float chin = ramp(p->mouth_width + .3f, p->mouth_width - .5f, ax) * ramp(.5f, -.3f, y - mouth);
    float lower = cheek * below * ramp(.2f, -.7f, y - mouth - 1.4f * ramp(2, 4, ax));
    float area = on_lip ? 0 : maxf(lower, .95f * above);
    area *= 1 - p->beard_patchy * ramp(-.1f, .5f, noise(.8f * x + s->offset, .7f * y + 31));
    *stubble = area * s->man;
    area *= p->beard_dense;
    switch (p->beard) {
    case PORTRAIT_SHORT_BEARD: *beard = .55f * area; break;
    case PORTRAIT_FULL_BEARD: *beard = area; break;
    case PORTRAIT_GOATEE: *beard = area * maxf(chin, above); break;
    case PORTRAIT_MOUSTACHE: *beard = area * above * ramp(mouth - 1, mouth, y); break;
    default: break;
    }
}

/* Hairs of a beard, from random points of the head's mesh; the paint beneath already darkens the skin. */
static void build_beard(Canvas *c, const Sitter *s)
{
    const PortraitPerson *p = s->person;
    if (p->beard == PORTRAIT_NO_BEARD || s->man <= 0)
        return;
    Grain g = {mix_bits(p->grain ^ 0x51u)};
    float length = p->beard == PORTRAIT_FULL_BEARD ? 1.1f : p->beard == PORTRAIT_SHORT_BEARD ? .35f : .75f;
    int n = (int)(5200 * clampf(s->density / 9, .15f, 1.3f)), cells = c->rows * c->columns;
    for (int i = 0; i < n; i++) {
        int o = (int)(grain_unit(&g) * (float)cells);
        Vec face = c->mesh_face[o], d = grain_vec(&g);
        float own = length * (.6f + .6f * grain_unit(&g)), pick = grain_unit(&g), tone = .75f + .35f * grain_even(&g);
        float beard, stubble;
        sitter_beard(s, face.x, face.y, &beard, &stubble);
        if (beard < .3f + .5f * pick)
            continue;
        Vec points[3], normals[3], normal = c->mesh_normal[o];
        /* a moustache is combed aside */
        float apart = face.y > s->mouth_y ? 1.1f * clampf(absf(face.x), 0, 1) : .25f;
        Vec way = unit(add(vec(apart * (face.x > 0 ? 1 : -1), -1, .1f), add(scale(d, .5f), scale(normal, .35f))));
        for (int k = 0; k < 3; k++) {
            points[k] = along(along(c->mesh[o], normal, .03f), way, .5f * own * (float)k);
            normals[k] = normal;
        }
        canvas_strand(c, s, points, normals, 3, tone, 0, HAIR);
    }
}

/* ---- glasses: rims, bridge and temples as tubes */

static void draw_wire(Canvas *c, const Sitter *s, const Vec *points, int n, float radius)
{
    enum { MOST = 48 };
    Vec posed[MOST], normals[MOST];
    for (int i = 0; i < n; i++) {
        posed[i] = sitter_pose(s, points[i], 0);
        normals[i] = vec(0, 0, 1);
        canvas_cast(c, posed[i]);
    }
    canvas_strand(c, s, posed, normals, n, 1, radius, FRAME);
}

static void build_glasses(Canvas *c, const Sitter *s)
{
    const PortraitPerson *p = s->person;
    const PortraitLook *l = s->look;
    if (l->glasses > PORTRAIT_GLASSES)
        return;
    enum { RIM = 41 };
    Vec rim[RIM], line[8];
    float wide = 2.45f * l->glasses_size, high = wide * mixf(.92f, .70f, clampf((l->glasses_round - 2) / 3, 0, 1));
    float cx = p->eye_spacing * .96f + .25f, cy = -.25f;
    float z = maxf(.5f, s->eye_z + EYEBALL + 1.25f + .3f * p->bridge_height) + .45f * maxf(p->cheekbone, 0);
    float rim_power = l->glasses_round;
    for (int e = -1; e <= 1; e += 2) {
        for (int i = 0; i < RIM; i++) {
            float a = 2 * PI * (float)i / (RIM - 1), ca = cosine(a), sa = sine(a);
            float k = 1 / power(power(absf(ca), rim_power) + power(absf(sa), rim_power), 1 / rim_power);
            float x = wide * k * ca;
            rim[i] = vec((float)e * (cx + x), cy + high * k * sa, z - .018f * sqr(cx + x));
        }
        draw_wire(c, s, rim, RIM, l->glasses_rim);
        for (int i = 0; i < 8; i++) {
            float t = (float)i / 7, x = cx + wide;
            line[i] = vec((float)e * mixf(x, .5f * p->face_width + .55f, ramp(0, .35f, t)), cy + .45f * high - .25f * t,
                          mixf(z - .018f * sqr(x), -8.2f, t));
        }
        draw_wire(c, s, line, 8, l->glasses_rim);
    }
    for (int i = 0; i < 8; i++) {
        float x = (cx - wide) * ((float)i / 3.5f - 1);
        line[i] = vec(x, cy + .42f * high + .16f * (1 - sqr(x / maxf(absf(cx - wide), .1f))), z + .05f);
    }
    draw_wire(c, s, line, 8, l->glasses_rim);
}

void hair_build(Canvas *c, const Sitter *s)
{
    build_hair(c, s);
    build_beard(c, s);
    build_glasses(c, s);
}
