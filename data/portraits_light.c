/* portraits_light.c - light on what the canvas shows: a key light with cast shadows, a fill from the other side,
 * ambient light dimmed by occlusion, highlights, and the spreading of light beneath skin. */
#include "data/portraits_parts.h"

typedef struct Lamps {
    Vec key, fill;                  /* directions towards the lights */
    Vec key_light, ambient, fill_light;
    Vec sky;                        /* how the ambient light grows along the axes */
    float softness;                 /* texels of the shadow map */
    float wrap;                     /* how far a broad lamp lights around the edge, as a cosine */
    int taps;                       /* looks into the shadow map for each sample */
    float turn_x[256], turn_y[256]; /* how they are turned, by the sample's place in a square of 16, texels */
} Lamps;

static Lamps lamps_of(const Sitter *s, const Canvas *c)
{
    const PortraitLook *l = s->look;
    const PortraitCamera *k = s->camera;
    Lamps a;
    a.key = c->shadow_turn.z;
    float warm = l->light_warm + k->warm;
    a.key_light = scale(vec(1 + warm, 1, 1 - 1.3f * warm), s->key);
    a.ambient = scale(vec(1 + l->sky_warm, 1, 1.02f - l->sky_warm), s->ambient);
    a.fill = unit(vec(.2f - .9f * a.key.x, .15f, .7f));
    a.fill_light = scale(vec(1, .99f, .97f), l->light_fill);
    a.sky = vec(l->sky_side, l->sky_up, .15f);
    a.wrap = .06f + .11f * l->light_soft;
    a.softness = l->light_soft * SHADOW_SCALE;
    a.taps = s->density > 6 ? 6 : 4;   /* a small picture's pixel has nine samples to look with */
    for (int i = 0; i < 256; i++) {
        float angle = PI * lattice(i & 15, i >> 4);
        a.turn_x[i] = a.softness * cosine(angle);
        a.turn_y[i] = a.softness * sine(angle);
    }
    return a;
}

/* Share of the key light that reaches a point: taps of the shadow map around it, turned by sample. */
static float key_reach(const Canvas *c, const Lamps *a, Vec p, int px, int py)
{
    static const float taps[6][2] = {{.9f, .1f}, {-.75f, .5f}, {.2f, -.95f}, {-.3f, -.4f},
                                     {.45f, .75f}, {.6f, -.5f}};
    Vec q = turn(&c->shadow_turn, sub(p, vec(0, -2, -7)));
    int place = (py & 15) << 4 | (px & 15);
    float half = .5f * (float)c->shadow_side, ca = a->turn_x[place], sa = a->turn_y[place], sum = 0;
    q.x = q.x * SHADOW_SCALE + half;
    q.y = q.y * SHADOW_SCALE + half;
    float near = q.z + .30f;
    for (int k = 0; k < a->taps; k++) {
        int x = (int)clampf(q.x + taps[k][0] * ca - taps[k][1] * sa, 0, 2 * half - 1);
        int y = (int)clampf(q.y + taps[k][0] * sa + taps[k][1] * ca, 0, 2 * half - 1);
        sum += 1 - clampf((c->shadow[y * c->shadow_side + x] - near) * 2.5f, 0, 1);
    }
    return sum / (float)a->taps;
}

/* How open a sample is to the sky: its depth against the mean depth around, at three distances. */
static void find_occlusion(Canvas *c, const Sitter *s)
{
    static const float reach[3] = {.35f, 1, 2.5f}, strength[3] = {.42f, .34f, .16f}, most[3] = {1, 2, 6};
    int n = c->side * c->side;
    float *depth = c->one, *mask = c->two, *mean = c->three, *occlusion = c->occlusion;
    /* memory of what comes later: the blurred mask and the blur's work, and how much a sample faces the camera */
    float *cover = &c->colour[0].x, *work = cover + n, *facing = &c->light[0].x;
    for (int i = 0; i < n; i++) {
        int seen = c->matter[i] != EMPTY;
        mask[i] = (float)seen;
        depth[i] = seen ? c->depth[i] - s->distance : 0;
        facing[i] = seen ? clampf(1.35f * c->normal[i].z - .12f, .08f, 1) : 0;
        occlusion[i] = 1;
    }
    for (int k = 0; k < 3; k++) {
        int radius = (int)(reach[k] * s->density) + 1;
        box_blur(depth, mean, work, c->side, radius);
        box_blur(mask, cover, work, c->side, radius);
        for (int i = 0; i < n; i++) {   /* the wall faces nothing: 1 stays 1 */
            float below = clampf(depth[i] - mean[i] / (cover[i] + 1e-4f), 0, most[k]);
            occlusion[i] /= 1 + strength[k] * (below * facing[i]);
        }
    }
}

static void light_skin(Canvas *c, const Sitter *s, const Lamps *a, const SkinRow *row, int at, int i, float reach,
                       Vec view)
{
    Paint paint;
    if (c->matter[i] == EAR) {
        memset(&paint, 0, sizeof paint);
        paint.albedo = times(s->skin, vec(1, .88f, .86f));
        paint.shine = .05f;
        paint.gloss = 14;
        paint.scatter = 1;
    } else {
        paint = skin_paint(s, c->point[i], row, at);
    }
    Vec normal = unit(c->normal[i]), half = unit(add(a->key, view));
    float open = c->occlusion[i];
    if (paint.eye > 0) {
        normal = unit(blend(normal, paint.eye_normal, .85f * paint.eye));
        open = mixf(open, maxf(open, .4f), paint.eye);
        reach = mixf(reach, maxf(reach, .35f), paint.eye);
    }
    float key = maxf((dot(normal, a->key) + a->wrap) / (1 + a->wrap), 0) * reach;
    float fill = maxf(.8f * dot(normal, a->fill) + .2f, 0) * open;
    Vec e = scale(a->key_light, key * (.4f + .6f * sqrtf(open)));
    e = along(e, a->ambient, open * maxf(.80f + dot(normal, a->sky), .1f));
    e = along(e, a->fill_light, fill);
    c->albedo[i] = paint.albedo;
    c->light[i] = e;
    float nv = clampf(dot(normal, view), 0, 1), graze = sqr(sqr(1 - nv)) * (1 - nv), nh = maxf(dot(normal, half), 0);
    float lit = dot(normal, a->key) > 0 ? reach : 0;
    float lobe = nh > .65f && lit > 0 ? power(nh, paint.gloss) : 0;   /* below, less than a hundredth */
    float shine = paint.shine * (.6f + 2.5f * graze) * lit * (.7f * lobe + .8f * lobe * lobe * lobe);
    Vec glint = scale(a->key_light, shine);
    glint = along(glint, vec(1, 1, 1), .05f * graze * open * (a->ambient.y + a->fill_light.y));
    if (paint.eye > 0) {   /* both lights in the cornea */
        Vec other = unit(add(a->fill, view));
        float g = .55f * power(nh, 220) * maxf(reach, .25f);
        g += .5f * a->fill_light.y * power(maxf(dot(normal, other), 0), 160);
        glint = along(glint, a->key_light, g * paint.eye);
    }
    c->shine[i] = glint;
    c->one[i] = paint.scatter;
}

/* Kajiya and Kay, "Rendering fur with three dimensional textures", SIGGRAPH 1989: light on a cylinder depends on the
 * angle to its tangent; here with a share of the surface's own shading. */
static void light_hair(Canvas *c, const Sitter *s, const Lamps *a, int i, float reach, Vec view)
{
    Vec tangent = unit(c->point[i]), normal = unit(c->normal[i]), half = unit(add(a->key, view));
    float tl = dot(tangent, a->key), th = dot(tangent, half), nl = dot(normal, a->key), open = c->occlusion[i];
    float round = clampf(.65f * nl + .35f, 0, 1), diffuse = root(1 - tl * tl) * round * (.25f + .75f * reach);
    float fill = maxf(.7f * dot(normal, a->fill) + .3f, 0);
    float edge = root(1 - th * th), k2 = sqr(edge), k8 = sqr(sqr(k2)), k16 = sqr(k8);
    Vec e = scale(a->key_light, diffuse * (.35f + .65f * open));
    e = along(e, a->ambient, open * open * maxf(.65f + dot(normal, a->sky), .1f));
    e = along(e, a->fill_light, fill * open * .8f);
    Vec colour = scale(s->hair, c->tone[i]);
    c->albedo[i] = colour;
    c->light[i] = e;
    float g = reach * round * open * clampf(c->tone[i], 0, 1.3f), white = .06f * k16 * k16 * k16, tinted = .85f * k16;
    c->shine[i] = times(scale(a->key_light, g), along(vec(white, white, white), colour, tinted));
    c->one[i] = 0;
}

static void light_frame(Canvas *c, const Sitter *s, const Lamps *a, int i, float reach)
{
    static const float tints[4][3] = {{.02f, .02f, .022f}, {.10f, .045f, .02f}, {.33f, .32f, .30f}, {.25f, .04f, .05f}};
    float t = s->look->glasses_tint;
    const float *tint = tints[t < .4f ? 0 : t < .65f ? 1 : t < .92f ? 2 : 3];
    Vec normal = c->normal[i];
    float key = maxf(dot(normal, a->key), 0) * reach;
    c->albedo[i] = vec(tint[0], tint[1], tint[2]);
    c->light[i] = along(scale(a->key_light, key), a->ambient, 1);
    float glint = .35f * power(maxf(dot(normal, unit(add(a->key, vec(0, 0, 1)))), 0), 20);
    c->shine[i] = scale(a->key_light, glint * reach);
    c->one[i] = 0;
}

/* The wall behind: one colour, a gradient, faint clouds. */
typedef struct Wall {
    Vec colour;
    float slope_x, slope_y, far;
} Wall;

static Wall wall_of(const Sitter *s)
{
    const PortraitLook *l = s->look;
    const PortraitCamera *k = s->camera;
    float value = mixf(k->back_low, k->back_high, l->back_light), vivid = k->vivid * sqr(l->back_vivid);
    Wall w;
    w.colour = scale(blend(vec(1, 1, 1), hue_colour(l->back_hue), vivid), value * value);
    w.slope_x = cosine(2 * PI * l->back_angle);
    w.slope_y = sine(2 * PI * l->back_angle);
    w.far = l->back_shade;
    return w;
}

/* The wall from sample `from` to before `to` of a row. */
static void light_background(Canvas *c, const Sitter *s, const Wall *w, int py, int from, int to)
{
    float shade[MOST_SAMPLES], v = (float)py / s->pixels - .5f, down = v * w->slope_y;
    for (int k = 0; k < to - from; k++) {
        float u = (float)(from + k) / s->pixels - .5f, t = clampf(.5f + u * w->slope_x + down, 0, 1);
        float cloud = .02f * noise(5 * u + s->offset, 5 * v) + .012f * noise(13 * u, 13 * v + s->offset);
        shade[k] = mixf(1, w->far, t) * (1 - .5f * (u * u + v * v) + cloud);
    }
    for (int k = 0, i = py * c->side + from; k < to - from; k++, i++) {
        c->albedo[i] = scale(w->colour, shade[k]);
        c->light[i] = vec(1, 1, 1);
        c->shine[i] = vec(0, 0, 0);
        c->one[i] = 0;
    }
}

/* Light that enters skin comes out beside: red farthest, blue hardly.  Blurs the light, not the colour, and only
 * among skin. */
static void scatter(Canvas *c, const Sitter *s)
{
    int n = c->side * c->side, wide = (int)(.28f * s->density + .5f), narrow = (int)(.11f * s->density + .5f);
    float *mask = c->one, *lit = c->two, *mean = c->three, *cover = &c->colour[0].x, *work = cover + n;
    for (int channel = 0; channel < 2; channel++) {
        int radius = channel ? narrow : wide;
        if (radius < 1)
            continue;
        for (int i = 0; i < n; i++)
            lit[i] = mask[i] * (channel ? c->light[i].y : c->light[i].x);
        box_blur(lit, mean, work, c->side, radius);
        box_blur(mask, cover, work, c->side, radius);
        for (int i = 0; i < n; i++)
            if (mask[i] > .5f) {
                float v = mean[i] / (cover[i] + 1e-3f);
                if (channel) {
                    c->light[i].y = mixf(c->light[i].y, v, .7f);
                    c->light[i].z = mixf(c->light[i].z, v, .35f);
                } else {
                    c->light[i].x = mixf(c->light[i].x, v, .7f);
                }
            }
    }
}

static void light_row(Canvas *c, const Sitter *s, const Lamps *a, const Wall *wall, int py)
{
    const uint8_t *matter = c->matter + py * c->side;
    SkinRow row;
    float x[MOST_SAMPLES], y[MOST_SAMPLES];
    int n = 0, at = 0;
    for (int px = 0; px < c->side; px++)
        if (matter[px] == SKIN) {
            x[n] = c->point[py * c->side + px].x;
            y[n++] = c->point[py * c->side + px].y;
        }
    skin_row(s, x, y, n, &row);
    for (int px = 0, i = py * c->side; px < c->side; px++, i++) {
        if (matter[px] == EMPTY) {
            int end = px;
            while (end < c->side && matter[end] == EMPTY)
                end++;
            light_background(c, s, wall, py, px, end);
            i += end - 1 - px;
            px = end - 1;
            continue;
        }
        float k = c->depth[i] / s->focal;
        Vec p = vec(((float)px - s->centre_x) * k, (s->centre_y - (float)py) * k, s->distance - c->depth[i]);
        Vec view = unit(sub(vec(0, 0, s->distance), p)), normal = unit(c->normal[i]);
        float reach = key_reach(c, a, along(p, normal, matter[px] == HAIR ? .1f : .25f), px, py);
        if (matter[px] == HAIR)
            light_hair(c, s, a, i, reach, view);
        else if (matter[px] == FRAME)
            light_frame(c, s, a, i, reach);
        else
            light_skin(c, s, a, &row, at, i, reach, view);
        at += matter[px] == SKIN;
    }
}

void light_all(Canvas *c, const Sitter *s)
{
    Lamps a = lamps_of(s, c);
    Wall wall = wall_of(s);
    find_occlusion(c, s);
    for (int py = 0; py < c->side; py++)
        light_row(c, s, &a, &wall, py);
    scatter(c, s);
    float *colour = &c->colour[0].x;
    const float *albedo = &c->albedo[0].x, *light = &c->light[0].x, *shine = &c->shine[0].x;
    for (int i = 0; i < 3 * c->side * c->side; i++)
        colour[i] = albedo[i] * light[i] + shine[i];
}
