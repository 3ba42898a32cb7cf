/* portraits_skin.c - the colour of the face at a point (x, y) of its own coordinates: skin with its blood, shadows
 * and spots, then beard, scalp, brows, lips, nostrils, eyes and cloth over it. */
#include "data/portraits_parts.h"

/* Linear colour of a hue in turns, saturation 1. */
Vec hue_colour(float turns)
{
    return vec(.5f + .5f * cosine(2 * PI * turns), .5f + .5f * cosine(2 * PI * (turns - 1 / 3.0f)),
               .5f + .5f * cosine(2 * PI * (turns - 2 / 3.0f)));
}

/* Noise over two octaves, turned against the lattice so that its squares do not show. */
static float cloud(float x, float y)
{
    return .62f * noise(.8f * x + .6f * y, .8f * y - .6f * x) + .38f * noise(1.9f * x - 1.1f * y, 1.9f * y + 1.1f * x);
}

/* Spots of one kind, the same on every picture: `chance` of `most`, between the sizes low and high in cm. */
static void add_spots(Sitter *s, uint32_t key, int most, float chance, float low, float high, float dark)
{
    Grain g = {mix_bits(s->person->grain ^ key)};
    for (int k = 0; k < most; k++) {
        float x = 6.2f * grain_even(&g), y = -2 + 7 * grain_even(&g), size = low + (high - low) * sqr(grain_unit(&g));
        float there = grain_unit(&g) < chance ? .5f + .5f * grain_unit(&g) : 0;
        if (there > 0 && s->spot_count < MOST_SPOTS)
            s->spots[s->spot_count++] = (Spot){x, y, size, there * dark};
    }
}

void skin_spots(Sitter *s)
{
    float old = clampf((s->person->age - 42) / 30, 0, 1);
    s->spot_count = 0;
    add_spots(s, 0x70u, 11, .45f, .12f, .34f, .62f);
    if (old > 0)
        add_spots(s, 0x71u, 12, .8f, .25f, 1.0f, .32f * old);
}

/* Every line of arithmetic is a loop of its own over the row, or shares one: compilers make vector code of it. */
void skin_row(const Sitter *s, const float *x, const float *y, int n, SkinRow *out)
{
    const PortraitPerson *p = s->person;
    float o = s->offset, red[MOST_SAMPLES], dark[MOST_SAMPLES], freckles = p->freckles;
    float ring = 1 / (3 * p->ring_size);
    for (int i = 0; i < n; i++) {
        out->tone[i] = 1 + tone_at(s->tone_light, x[i], y[i]);
        red[i] = .5f * tone_at(s->tone_red, x[i], y[i]);
    }
    for (int i = 0; i < n; i++) {
        float ax = absf(x[i]), ex = ax - p->eye_spacing, r = red[i];
        float coarse = cloud(.62f * x[i] + o, .62f * y[i]), fine = cloud(2.3f * x[i] + o, 2.3f * y[i] + 9);
        r += .65f * p->blush * hill2((ax - p->blush_x) / 2.9f, (y[i] - p->blush_y) / 2.7f);
        r += .45f * (.5f + .6f * p->mottle) * hill2(x[i] / 2.8f, (y[i] - s->tip_y) / 2.4f);
        r += .25f * hill2(x[i] / 3.4f, (y[i] - s->chin_y - 1) / 2.6f) - .22f * hill2(x[i] / 10, (y[i] - 5) / 4.6f);
        r += .75f * p->mottle * coarse + .45f * p->mottle * fine + .3f * hill2(ex / 4, y[i] / 1.8f);
        red[i] = r;
        float d = (.03f + .14f * p->mottle) * fine + .10f * coarse;
        /* rings under the eyes, lids and the inner corners */
        d += (.06f + .26f * p->eye_bags) * hill2((ax - 2.6f) / 2.2f, (y[i] + 1.0f) / 1.0f);
        d += .22f * p->ring_dark * hill2((ex + .35f) * ring, (y[i] + .35f) * ring * 1.5f);
        d += .10f * hill2(ex / 3.3f, (y[i] - .3f) / 1.4f) + .04f * hill2((ax - 1.7f) / 1.2f, (y[i] - .2f) / 1.6f);
        dark[i] = d;
    }
    if (freckles > .02f)
        for (int i = 0; i < n; i++)
            dark[i] += .55f * freckles * hill2(x[i] / 9.5f, (y[i] + 2.2f) / 5.4f)
                     * ramp(.20f, .55f, cloud(3.1f * x[i] + o, 3.1f * y[i])
                                        + .3f * noise(6.3f * x[i], 6.3f * y[i] + o));
    for (int k = 0; k < s->spot_count; k++) {
        const Spot *q = &s->spots[k];
        for (int i = 0; i < n; i++)
            if (absf(x[i] - q->x) < q->size && absf(y[i] - q->y) < q->size)
                dark[i] += q->dark * hill2((x[i] - q->x) / q->size, (y[i] - q->y) / q->size);
    }
    face_lines_row(s, x, y, n, dark);
    for (int i = 0; i < n; i++) {
        float d = clampf(1 - dark[i], .15f, 1.2f), tone = clampf(out->tone[i], .78f, 1.22f);
        out->r[i] = s->skin.x * ((1 - .05f * red[i]) * root(d) * root(root(d))) * (1 + .65f * (tone - 1));
        out->g[i] = s->skin.y * ((1 - .24f * red[i]) * d) * tone;
        out->b[i] = s->skin.z * ((1 - .20f * red[i]) * d) * (1 + 1.15f * (tone - 1));
    }
    for (int i = 0; i < n; i++) {
        float ax = absf(x[i]), shine = .08f * (.35f + p->oil) * (1 + .45f * cloud(4.3f * x[i] + o, 4.3f * y[i]));
        out->shine[i] = shine * (1 + .8f * hill2(x[i] / 5, (y[i] - 5) / 4.6f)
                                 + hill2(x[i] / 2, (y[i] - s->tip_y - .3f) / 2.8f)
                                 + .5f * hill2((ax - 4.3f) / 2.8f, (y[i] + 1.8f) / 2.1f));
    }
}

static void cover(Paint *out, Vec colour, float alpha)
{
    out->albedo = blend(out->albedo, colour, alpha);
    out->shine *= 1 - .8f * alpha;
}

static void paint_beard(const Sitter *s, float x, float y, Paint *out)
{
    float beard, stubble;
    sitter_beard(s, x, y, &beard, &stubble);
    if (stubble <= 0)
        return;
    const PortraitPerson *p = s->person;
    float grain = .6f * noise(11 * x, 6 * y + s->offset) + .5f * noise(23 * x, 13 * y);
    float shadow = .34f * stubble * s->look->stubble * clampf(.25f + .6f * p->hair_dark, 0, .9f) * (1 + .4f * grain);
    cover(out, scale(s->skin, .22f), clampf(shadow, 0, .6f));
    cover(out, scale(s->hair, .9f * (1 + .45f * grain)), clampf(beard * (1.05f + .45f * grain), 0, .92f));
}

static void paint_scalp(const Sitter *s, float x, float y, float over, Paint *out)
{
    const PortraitPerson *p = s->person;
    if (over < -1.4f)
        return;
    float grain = noise(9 * x + s->offset, 2.2f * y) + .6f * noise(19 * x, 4 * y + s->offset);
    int shaved = p->hair == PORTRAIT_SHAVED;
    float alpha = ramp(shaved ? -.7f : -.5f, shaved ? .8f : .7f, over + .35f * grain);
    cover(out, scale(s->hair, .75f), alpha * (shaved ? .30f + .35f * clampf(p->hair_dark, 0, 1) : .93f));
}

static void paint_brow(const Sitter *s, float x, float y, Paint *out)
{
    const PortraitPerson *p = s->person;
    float t = (absf(x) - p->brow_inner) / p->brow_length;
    if (t < -.1f || t > 1.1f || y < 0 || y > 5.5f)
        return;
    float middle = p->brow_y - .25f + p->brow_arch * (1 - sqr((t - .62f) / .62f)) - .5f * maxf(t - .62f, 0);
    middle += p->brow_slope * p->brow_length * (t - .5f) + .22f * sitter_course(s, 2.4f * t, 9, x)
            + .16f * sitter_side(s, x, 7) + .3f * sitter_side(s, x, 8) * (t - .5f);
    float thick = maxf(p->brow_thick * (.66f + .46f * ramp(-.05f, .2f, t) - .75f * ramp(.35f, 1.05f, t)), .14f);
    thick *= 1 + .15f * sitter_side(s, x, 9) + .5f * sitter_course(s, 2.6f * t, 10, x);
    float dy = y - middle;
    /* hairs lean outwards and up at the inner end, along the brow at the outer */
    float lean = 9 - 7 * t, grain = .5f * noise(26 * t - lean * dy, 3 * dy + s->offset)
               + .4f * noise(55 * t - 1.7f * lean * dy, 2 * y + s->offset);
    float alpha = ramp(-.15f, .75f, 1 - absf(dy) / (.72f * thick) + .5f * grain);
    alpha *= ramp(-.06f, .07f, t + .04f * grain) * ramp(1.02f, .62f, t + .06f * grain);
    alpha *= p->brow_dense * (.85f + .3f * grain + .3f * sitter_course(s, 2.8f * t, 11, x));
    Vec own = p->brow_light < 0 ? vec(.012f, .009f, .008f) : vec(.30f, .21f, .13f);
    Vec colour = blend(scale(s->hair, .85f), vec(.02f, .014f, .01f), p->hair_grey > .6f ? .15f : .22f);
    colour = blend(colour, own, .8f * absf(p->brow_light));
    cover(out, colour, clampf(alpha, 0, .95f));
}

/* Lips, and between open ones the teeth and the dark of the mouth. */
static void paint_mouth(const Sitter *s, float x, float y, Paint *out)
{
    const PortraitPerson *p = s->person;
    Lips q = sitter_lips(s, x);
    if (q.m > 1.2f || y > q.top + .5f || y < q.bottom - .5f)
        return;
    float soft = mixf(.30f, .08f, p->lip_edge);
    float red = ramp(-soft, .5f * soft + .04f, minf(q.top - y, y - q.bottom)) * ramp(1.05f, .90f, q.m);
    float tone = clampf(p->lip_tone, -1, 1);
    Vec lip = times(s->skin, vec(.84f - .10f * tone, .60f - .08f * tone, .62f - .06f * tone));
    Vec rouge = blend(vec(.26f, .075f, .055f), vec(.55f, .115f, .19f), p->lip_hue);
    lip = blend(lip, rouge, .62f * p->lip_colour * (1 - .4f * p->melanin));
    lip = scale(lip, (y > q.middle ? .80f : 1) * (1 + .14f * noise(7 * x + s->offset, 1.5f * y)));
    out->albedo = blend(out->albedo, lip, .88f * red);
    out->shine = mixf(out->shine, .07f, red);
    out->gloss = mixf(out->gloss, 24, red);
    float line = hill((y - q.middle) / .21f) * ramp(1.10f, .95f, q.m), inside = 0;
    if (s->look->mouth_open > .02f && q.m < .97f) {
        float f = (y - q.middle) / LIP_BAND, gap = s->look->mouth_open * root(1 - q.m * q.m);
        float arch = .25f * q.m * q.m;   /* the row of teeth curves up to the corners */
        inside = ramp(0, .10f, gap) * ramp(1, .8f, absf(f));
        float teeth = ramp(-.55f + arch, -.25f + arch, f) * ramp(.90f, .45f, q.m), tooth = x / .78f;
        teeth *= 1 - .10f * ramp(.38f, .5f, absf(tooth - (float)floor_int(tooth + .5f)));
        teeth *= s->look->smile < .1f ? .35f : 1;
        Vec dark = vec(.07f, .018f, .016f), white = vec(.47f, .42f, .345f);
        Vec colour = scale(blend(dark, white, .85f * teeth), .5f + .5f * ramp(1, .5f, q.m));
        cover(out, colour, inside);
    }
    out->albedo = scale(out->albedo, 1 - .78f * line * (1 - inside));
    out->albedo = scale(out->albedo, 1 - .35f * hill2((absf(x) - 1.02f * p->mouth_width) / .5f, (y - q.middle) / .4f));
}

static void paint_nostrils(const Sitter *s, float x, float y, Paint *out)
{
    const PortraitPerson *p = s->person;
    float ax = absf(x);
    float at = ax - .43f * p->nose_width - .06f, rise = s->base_y + .10f + .3f * p->wing_up + .35f * at;
    float hole = hill2(at / (1.75f * p->nostril), (y - rise) / .29f);
    float groove = hill2((ax - p->nose_width - .10f) / .38f, (y - s->base_y - .5f - p->wing_up) / .85f);
    out->albedo = scale(out->albedo, (1 - .78f * clampf(1.3f * hole, 0, 1)) * (1 - .16f * groove));
    out->shine *= 1 - hole;
}

static Vec iris_colour(const PortraitPerson *p)
{
    Vec light = blend(vec(.085f, .110f, .140f), vec(.090f, .095f, .050f), clampf(p->iris_green, 0, 1));
    Vec brown = vec(.080f, .043f, .020f), dark = vec(.030f, .016f, .010f);
    float d = clampf(p->iris_dark, 0, 1);
    return d < .5f ? blend(light, brown, 4 * d * d) : blend(brown, dark, ramp(.5f, .9f, d));
}

/* The eyeball in the opening of the lids: white, iris, pupil, and the shadow of the upper lid. */
static Vec eyeball(const Sitter *s, float x, float y, const Lids *q, Vec *normal)
{
    const PortraitPerson *p = s->person;
    const PortraitLook *l = s->look;
    float side = x < 0 ? -1.0f : 1.0f, dy = clampf(y / EYEBALL, -1, 1);
    float dx = clampf((x - side * p->eye_spacing) / EYEBALL, -1, 1);
    Vec d = vec(dx, dy, root(1 - dx * dx - dy * dy));
    /* they look at the camera, whatever the head does, and a little beside it */
    Vec camera = turn_back(&s->turn, vec(0, 0, 1));
    Vec gaze = unit(vec(clampf(camera.x, -.45f, .45f) + l->gaze_x - .03f * side,
                        clampf(camera.y, -.25f, .25f) + l->gaze_y - .02f, 1));
    float r = root(2 - 2 * dot(d, gaze)) * EYEBALL, iris = .62f, au = absf(q->u);
    float edge = ramp(.35f, 1, au);
    Vec c = scale(vec(.46f, .40f, .365f), 1 - .25f * p->melanin - .15f * p->mottle);
    c = times(c, vec(1 - .30f * edge, 1 - .42f * edge, 1 - .44f * edge));
    if (r < iris + .08f) {
        float ring = ramp(.68f * iris, iris, r), below = ramp(.2f, -.5f, (d.y - gaze.y) * EYEBALL / iris);
        float ray = noise(6 * angle_of(d.y - gaze.y, d.x - gaze.x) + s->offset, 3 * r);
        Vec ic = scale(iris_colour(p), (1 - .65f * ring) * (1 + .25f * ray) * (1 + .4f * below));
        ic = blend(ic, vec(.006f, .006f, .006f), ramp(.27f, .20f, r));
        c = blend(c, ic, ramp(iris + .05f, iris - .04f, r));
    }
    *normal = turn(&s->turn, r < .75f ? unit(along(d, sub(d, gaze), .5f)) : d);   /* the cornea stands out */
    return scale(c, (.30f + .70f * ramp(0, .42f, q->top - q->v)) * (.70f + .30f * ramp(0, .2f, q->v - q->bottom)));
}

static void paint_eye(const Sitter *s, float x, float y, Paint *out)
{
    const PortraitPerson *p = s->person;
    Lids q = sitter_lids(s, x, y);
    float au = absf(q.u);
    if (au > LIDS_END || absf(q.v) > 1.9f)
        return;
    float fade = ramp(1.25f, .85f, au), over = q.v - q.top;
    /* the lid's skin, the line of its crease, and the fold's shade above */
    float lid = ramp(-.1f, .05f, over) * ramp(.35f, -.1f, q.v - q.crease) * fade;
    lid *= p->lid_tone;
    out->albedo = times(out->albedo, vec(1 - .22f * lid, 1 - .34f * lid, 1 - .32f * lid));
    float paint = p->eye_shadow * ramp(-.1f, .05f, over) * ramp(.75f, -.05f, q.v - q.crease) * fade;
    Vec shade = blend(vec(.16f, .075f, .045f), vec(.075f, .085f, .16f), p->shadow_hue);
    out->albedo = blend(out->albedo, shade, .6f * paint);
    out->albedo = scale(out->albedo, 1 - (.42f - .30f * p->eye_fold) * fade * hill((q.v - q.crease) / .17f));
    float open = au < 1 ? ramp(-.035f, .045f, minf(q.top - q.v, q.v - q.bottom)) : 0;
    open *= ramp(.95f, .75f, s->look->lid_close);
    if (open > 0) {
        out->albedo = blend(out->albedo, eyeball(s, x, y, &q, &out->eye_normal), open);
        out->shine *= 1 - open;
        out->eye = open;
        out->scatter = 1 - open;
    }
    float thick = .17f + .16f * p->lash, lash = hill((over - .03f) / thick) * ramp(1.16f, .92f, au);
    lash *= (.55f + .38f * p->lash) * (.72f + .38f * ramp(-1, 1, q.u));
    lash = clampf(lash, 0, .92f);
    float fair = clampf(1.1f - 1.6f * p->hair_dark, 0, 1) * (1 - .8f * clampf(2 * p->lash - .8f, 0, 1));
    lash *= 1 - .45f * fair;
    out->albedo = blend(out->albedo, blend(vec(.018f, .013f, .010f), scale(s->hair, .5f), .6f * fair), lash);
    out->scatter *= 1 - clampf(2 * lash, 0, 1);
    float low = hill((q.v - q.bottom + .02f) / .14f) * ramp(1.05f, .8f, au) * (.22f + .30f * p->lash);
    out->albedo = scale(out->albedo, 1 - low);
    float corner = hill2((q.u + 1.02f) / .25f, q.v / .25f);
    out->albedo = times(out->albedo, vec(1 - .20f * corner, 1 - .42f * corner, 1 - .42f * corner));
}

/* Cloth below a neckline that varies from wide to a collar; returns 1 where it covers. */
static int paint_cloth(const Sitter *s, float x, float y, Paint *out)
{
    const PortraitLook *l = s->look;
    float ax = absf(x), line = s->chin_y + 11 - 15.2f, cut = l->cloth_cut;
    if (cut < .4f)
        line -= .9f + .12f * maxf(4 - ax, 0);
    else if (cut < .7f)
        line += .3f - 1.15f * maxf(4.2f - ax, 0);
    else
        line += .9f - 1.5f * maxf(1.8f - ax, 0);
    if (y > line)
        return 0;
    Vec c = scale(blend(vec(1, 1, 1), hue_colour(l->cloth_hue), l->cloth_vivid), .02f + .6f * sqr(l->cloth_light));
    float fold = .6f * noise(.5f * x + s->offset, .3f * y) + .3f * noise(1.1f * x, .7f * y + s->offset);
    float rim = clampf((line - y) / .4f, 0, 1);
    out->albedo = scale(c, (1 + .16f * fold) * (.5f + .5f * rim));
    out->shine = .01f;
    out->gloss = 8;
    out->scatter = 0;
    return 1;
}

Paint skin_paint(const Sitter *s, Vec face, const SkinRow *row, int at)
{
    Paint out;
    memset(&out, 0, sizeof out);
    float x = face.x, y = face.y, ax = absf(x);
    if (y < -12 && paint_cloth(s, x, y, &out))
        return out;
    out.albedo = vec(row->r[at], row->g[at], row->b[at]);
    out.shine = row->shine[at];
    out.gloss = 16;
    out.scatter = 1;
    paint_beard(s, x, y, &out);
    paint_scalp(s, x, y, face.z, &out);
    paint_brow(s, x, y, &out);
    if (ax < 4.5f && y < s->base_y && y > s->chin_y)
        paint_mouth(s, x, y, &out);
    if (ax < 3.5f && absf(y - s->base_y) < 1.6f)
        paint_nostrils(s, x, y, &out);
    if (absf(y) < 2.2f && ax > 1)
        paint_eye(s, x, y, &out);
    return out;
}
