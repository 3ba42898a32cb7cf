/* portraits_face.c - nose, lips and lids: their curves on the face, which colour follows too, and their relief. */
#include "data/portraits_parts.h"

/* ---- curves */

Lips sitter_lips(const Sitter *s, float x)
{
    const PortraitPerson *p = s->person;
    Lips q;
    q.m = absf(x) / (p->mouth_width * (1 + .08f * sitter_side(s, x, 1)));
    float along = x / p->mouth_width;
    /* a smile pulls the line between the lips straight */
    float in = maxf(1 - q.m * q.m, 0), edge = root(in), taut = clampf(s->look->smile + s->look->mouth_open, 0, 1);
    float wave = (1 + p->mouth_wave) * (1 - .8f * taut);
    q.middle = s->mouth_y + (p->mouth_corner + .12f * sitter_side(s, x, 2)) * q.m * q.m;
    q.middle += wave * (.06f * hill((q.m - .36f) / .5f) - .08f * hill(q.m / .35f)) - .05f * p->mouth_wave * in;
    q.top = q.bottom = q.middle;
    if (in <= 0)   /* beside the mouth there is but the line's end */
        return q;
    float bow = 1 - .8f * p->lip_bow * hill(q.m / .26f) + .14f * hill((q.m - .27f) / .36f);
    float thin = 1 - .28f * maxf(s->look->smile, 0);   /* a smile stretches the lips */
    q.middle += (1 - .6f * taut) * .14f * in * sitter_course(s, 1.5f * along, 6, 1)
              + .06f * in * noise(x + s->offset, 41.5f);
    float upper = thin * p->lip_upper * (1 + .38f * sitter_course(s, 1.6f * along, 7, 1));
    float lower = thin * p->lip_lower * (1 + .32f * sitter_course(s, 1.5f * along, 8, 1));
    q.top = q.middle + upper * (.68f * in + .32f * edge) * bow;
    q.bottom = q.middle - lower * (.45f * in + .55f * edge);
    return q;
}

/* A lid's arch over -1..1, 1 at its peak; shape -1 pointed .. 1 round. */
static float lid_arch(float u, float peak, float shape)
{
    float r = u < peak ? (peak - u) / (1 + peak) : (u - peak) / (1 - peak);
    float in = maxf(1 - r * r, 0);
    return mixf(in, root(in), .45f + .4f * shape);
}

Lids sitter_lids(const Sitter *s, float x, float y)
{
    const PortraitPerson *p = s->person;
    const PortraitLook *l = s->look;
    Lids q;
    float ex = absf(x) - p->eye_spacing, fold = p->eye_fold;
    q.u = ex / (p->eye_width * (1 + .06f * sitter_side(s, x, 3)));
    q.v = q.top = q.bottom = q.crease = 0;
    if (absf(q.u) > LIDS_END)
        return q;
    q.v = y - (p->eye_tilt + .045f * sitter_side(s, x, 4)) * ex - .09f * sitter_side(s, x, 5);
    float smile = maxf(l->smile, 0), round = clampf(p->eye_round, -1, 1);
    float up = .52f * p->eye_opening;
    up *= (1 + .14f * l->brow_raise) * (1 - .30f * l->squint);
    float low = .38f * p->eye_opening * (1 + .35f * clampf(p->lid_low, -1, 1));
    low *= (1 - .20f * smile) * (1 - .45f * l->squint);
    up *= 1 + .12f * sitter_side(s, x, 6) + .38f * sitter_course(s, 1.5f * q.u, 1, x);
    low *= 1 + .42f * sitter_course(s, 1.5f * q.u, 2, x);
    up = minf(up, .40f + .35f * up);   /* the upper lid covers the iris's top */
    float open = up * lid_arch(q.u, clampf(p->eye_peak, -.7f, .7f), round);
    q.bottom = -low * lid_arch(q.u, .22f, .6f * round);
    open -= .35f * fold * up * ramp(-.25f, -1, q.u);   /* the fold hides the inner corner */
    q.top = mixf(maxf(open, q.bottom), q.bottom + .02f, l->lid_close);
    float rise = p->lid_crease * (1 - .55f * p->lid_hood * ramp(-.4f, .9f, q.u)) * (1 - .75f * fold);
    rise *= 1 + .65f * sitter_course(s, 1.3f * q.u, 3, x);
    q.crease = q.top + rise * (1 - .3f * absf(q.u)) * (1 - .4f * l->lid_close) + .3f * l->lid_close;
    return q;
}

/* ---- nose */

/* Height above the face: bridge, ball of the tip, wings and septum run into one another; the grooves behind the
 * wings and the nostrils are cut out of them. */
float nose_relief(const Sitter *s, float x, float y)
{
    const PortraitPerson *p = s->person;
    float t = (s->nasion_y - y) / (s->nasion_y - s->tip_y), forward = p->tip_forward;
    /* few noses are straight */
    float middle = .32f * ramp(-.2f, .4f, t) * noise(1.3f * t + 1.61f * s->offset, 77.5f), ax = absf(x - middle);
    float below = maxf(s->tip_y - y, 0), drop = maxf(s->tip_y - s->base_y, .25f), hang = p->columella;

    float from = .22f + .48f * p->bridge_height, to = forward - .22f - .10f * p->tip_round;
    float bridge = mixf(from, to, clampf(t * (.75f + .25f * t), 0, 1)) + p->nose_hump * hill((t - .42f) / .5f);
    bridge += .22f * sitter_course(s, 2.6f * t, 4, 1);
    bridge *= ramp(-.75f, .15f, t) * ramp(drop + .15f, -.1f, below);
    float width = mixf(1.95f * p->bridge_width, 1.05f * p->bridge_width + .55f, ramp(.3f, 1, t));
    width *= 1 + .30f * sitter_course(s, 2.2f * t, 5, x - middle);
    float cut = maxf(1 - sqr(ax / (width * (1 + .45f * ramp(.25f, -.35f, t)))), 0);
    /* a foot wider than the bridge leads over to the cheeks */
    float foot_height = 1.9f - .35f * s->base_y;
    float foot = .42f * forward * hill2(ax / (p->nose_width + 1), (y - s->base_y - 1) / foot_height);
    float z = soft_max(bridge * cut * cut, foot, .12f) - .06f;

    float size = maxf(p->tip_size, .2f), round = 1 + .35f * clampf(p->tip_round, -1, 1), dx = ax / (size * round);
    float under = below > 0 ? (forward - .15f) * sqr(below / (drop + .12f + hang)) : .42f * sqr((y - s->tip_y) / size);
    z = soft_max(z, maxf(forward + .12f - .55f * size * dx * dx - under, -1), .22f);

    float ws = p->wing_size * (1 + .12f * sitter_side(s, x, 10)), wing_y = s->base_y + .50f + p->wing_up;
    wing_y += .12f * sitter_side(s, x, 11);
    float wing_x = p->nose_width * (1 + .06f * sitter_side(s, x, 12)) - .60f * ws;
    float wing = sqr((ax - wing_x) / (.74f * ws)) + sqr((y - wing_y) / (y > wing_y ? .86f * ws : .62f * ws));
    z = soft_max(z, maxf((.46f * forward + .12f) * (1 - wing), -1), .12f);

    float along_y = clampf(below / (drop + hang), 0, 1.3f);
    float septum = mixf(.85f * forward, .1f, along_y * along_y) - 5 * sqr(maxf(ax - .12f, 0));
    z = soft_max(z, below > 0 ? maxf(septum, -1) : -1, .10f);

    z -= .16f * hill2((ax - p->nose_width - .12f) / .42f, (y - wing_y) / (.95f * ws));
    float hole_y = s->base_y + .10f + .3f * p->wing_up;
    z -= .40f * hill2((ax - .43f * p->nose_width - .06f) / (1.8f * p->nostril), (y - hole_y) / .34f);
    return maxf(z, 0);
}

/* ---- lips */

float lip_relief(const Sitter *s, const Lips *lips, float y)
{
    const PortraitPerson *p = s->person;
    Lips q = *lips;
    if (q.m > 1.25f || y > q.top + .6f || y < q.bottom - .6f)
        return 0;
    float z = 0, edge = q.m < 1 ? 1 - q.m * q.m * q.m : 0;
    if (y >= q.middle) {
        float t = (y - q.middle) / (q.top - q.middle + .02f);
        z = edge * (.14f + .30f * p->lip_upper) * (t < 1 ? sine(PI * (.18f + .5f * root(t))) : .63f * ramp(1.7f, 1, t));
    } else {
        float t = (q.middle - y) / (q.middle - q.bottom + .02f);
        z = edge * (.17f + .30f * p->lip_lower) * (t < 1 ? sine(.4f + 2.35f * t) : .38f * ramp(1.6f, 1, t));
    }
    return z - .20f * hill((y - q.middle) / .26f) * ramp(1.12f, 1, q.m);
}

/* ---- lids */

/* The ball pushes the socket forward; the opening lies a lid's thickness deeper, the fold hangs over the crease. */
float lid_relief(const Sitter *s, float x, float y, float z)
{
    const PortraitPerson *p = s->person;
    float ex = absf(x) - p->eye_spacing, r2 = .82f * ex * ex + y * y, ball = EYEBALL + .08f;
    if (r2 > 6)
        return z;
    z = soft_max(z, s->eye_z + root(sqr(ball) - r2) - 1.2f * maxf(r2 - sqr(ball), 0), .22f);
    Lids q = sitter_lids(s, x, y);
    float au = absf(q.u);
    if (au > 1.3f)
        return z;
    float k = hill(q.u / 1.5f), crisp = 1 - .8f * p->eye_fold;
    z -= .15f * crisp * k * hill((q.v - q.crease) / .20f);
    z += (.10f + .30f * p->lid_hood + .12f * p->eye_fold) * hill((q.v - q.crease - .32f) / .6f) * hill(q.u / 1.6f);
    z -= p->lid_hollow * .55f * hill((q.v - q.crease - .45f) / .6f) * hill((q.u + .1f) / 1.5f);
    if (au < 1)
        z -= .13f * ramp(-.02f, .10f, minf(q.top - q.v, q.v - q.bottom));
    z += .06f * k * (hill((q.v - q.top - .07f) / .2f) + hill((q.v - q.bottom + .08f) / .18f));
    z += .10f * p->eye_bags * k * hill((q.v - q.bottom + .42f) / .34f);
    return z;
}
