/* portraits_lines.c - folds and lines of a face: dark strokes with a course of their own on every face.
 *
 * Where a line can be is anatomy (from the wing of the nose to the corner of the mouth, from the inner corner of the
 * eye down the cheek, ...); how deep, how long, how bent and where exactly is the person's, on each side a little
 * different; a smile, a frown or raised brows deepen theirs. */
#include "data/portraits_parts.h"

/* A line between two points of the face, and with `both` another, a little different, on the other side of x = 0.
 * bend and width in cm; depth is the share of light that it takes in its middle. */
static void add_line(Sitter *s, Grain *g, float x0, float y0, float x1, float y1, float bend, float width, float depth,
                     int both)
{
    /* All numbers are drawn whatever becomes of the line, so that one line's depth does not move the next. */
    float own = .15f + .9f * grain_unit(g), dx = .26f * grain_bell(g), dy = .24f * grain_bell(g);
    float turned = .13f * grain_bell(g), longer = 1 + .16f * grain_bell(g), bent = .12f * grain_bell(g);
    for (int side = 0; side < 2; side++) {
        float here = own * (1 + .32f * grain_bell(g)), shift_x = dx + .10f * grain_bell(g);
        float shift_y = dy + .10f * grain_bell(g), out = side ? -1.0f : 1.0f;
        if (depth * here < .012f || (side && !both) || s->line_count >= MOST_LINES)
            continue;
        float ux = .5f * (x1 - x0), uy = .5f * (y1 - y0), half = maxf(root(ux * ux + uy * uy), .05f);
        float ca = ux / half, sa = uy / half, ct = cosine(turned), st = sine(turned);
        FaceLine *q = &s->lines[s->line_count++];
        q->x = out * (.5f * (x0 + x1) + shift_x * (both ? 1 : .6f));
        q->y = .5f * (y0 + y1) + shift_y;
        q->cos = out * (ca * ct - sa * st);
        q->sin = sa * ct + ca * st;
        q->half = half * longer;
        q->bend = out * (bend + bent) / sqr(q->half);
        q->width = width;
        q->depth = minf(.75f * depth * here, .45f);
        float reach_y = absf(q->sin) * q->half + absf(q->cos) * (absf(bend + bent) + width);
        q->low_y = q->y - reach_y, q->high_y = q->y + reach_y;
    }
}

void face_lines(Sitter *s)
{
    const PortraitPerson *p = s->person;
    const PortraitLook *l = s->look;
    Grain g = {mix_bits(p->grain ^ 0x72u)};
    float age = clampf((p->age - 20) / 50, 0, 1), grin = maxf(l->smile, 0), raised = maxf(l->brow_raise, 0);
    float frown = maxf(-l->brow_raise, 0), worn = .10f + 1.0f * p->wrinkles + .45f * age;
    float base = s->base_y, mouth = s->mouth_y, chin = s->chin_y, ex = p->eye_spacing, wing = p->nose_width;
    float corner = p->mouth_width + .15f * grin, eye = p->eye_width, soft = .18f + .05f * clampf(p->cheek_full, 0, 1);
    s->line_count = 0;
    /* from the wings of the nose down, and on to the chin */
    add_line(s, &g, wing + .30f, base + .75f, corner + .75f, mouth + .15f + .3f * grin, -.22f, soft + .10f,
             .10f + .5f * p->fold_depth + .14f * worn + .16f * grin, 1);
    add_line(s, &g, corner + .30f, mouth - .25f, corner + .40f, mixf(mouth, chin, .55f), .1f, .2f, .16f * worn, 1);
    /* under the eyes: the furrow from the inner corner, the edge of the bag, a fold close to the lid */
    add_line(s, &g, ex - eye - .05f, -.75f, ex + .5f, -1.95f, -.25f, .24f, .09f + .22f * p->eye_bags, 1);
    add_line(s, &g, ex - .9f, -1.05f, ex + 1.2f, -1.05f, -.28f, .17f, .08f + .16f * p->eye_bags + .05f * worn, 1);
    add_line(s, &g, ex - 1, -.72f, ex + 1, -.72f, -.18f, .12f, .16f * worn, 1);
    /* crow's feet */
    for (int k = -1; k <= 1; k++)
        add_line(s, &g, ex + eye + .35f, .15f + .28f * (float)k, ex + eye + 1.35f, .15f + .72f * (float)k, 0, .13f,
                 .30f * p->wrinkles + .05f * age + .07f * grin * (.5f + age), 1);
    /* between the brows, over the root of the nose, across the forehead */
    add_line(s, &g, .42f, 1.0f, .55f, 2.5f, 0, .16f, .10f * worn + .20f * frown, 1);
    add_line(s, &g, .1f, 1.2f, .05f, 2.9f, 0, .15f, .08f * worn + .10f * frown, 0);
    add_line(s, &g, -.6f, .55f, .6f, .55f, -.1f, .15f, .10f * worn + .08f * frown, 0);
    for (int k = 0; k < 4; k++)
        add_line(s, &g, -3.2f, 3.1f + .75f * (float)k, 3.2f, 3.1f + .75f * (float)k, .25f, .15f,
                 .25f * p->wrinkles + .04f * age + .20f * raised, 0);
    /* hollow of the cheek, dimple, the groove over the chin, its dimple */
    add_line(s, &g, 5.3f, -2.9f, 3.9f, -5.1f, -.2f, .85f, .10f, 1);
    add_line(s, &g, corner + 1.15f, mouth + .75f, corner + 1.2f, mouth - .55f, .15f, .22f, .05f + .16f * grin, 1);
    add_line(s, &g, -1.35f, mixf(mouth, chin, .44f), 1.35f, mixf(mouth, chin, .44f), .22f, .30f, .14f, 0);
    add_line(s, &g, 0, mixf(mouth, chin, .68f), 0, mixf(mouth, chin, .92f), 0, .2f, .8f * p->chin_cleft, 0);
    /* ridges of the philtrum leave a groove; side of the nose */
    add_line(s, &g, 0, base - .25f, 0, mouth + .75f, 0, .26f, .05f + .7f * p->philtrum_depth, 0);
    add_line(s, &g, 1.0f, -.4f, 1.25f, base + 1.5f, .05f, .30f, .09f, 1);
}

void face_lines_row(const Sitter *s, const float *x, const float *y, int n, float *dark)
{
    if (n < 1)
        return;
    float low = y[0], high = y[0];
    for (int i = 1; i < n; i++) {
        low = minf(low, y[i]);
        high = maxf(high, y[i]);
    }
    for (int k = 0; k < s->line_count; k++) {
        FaceLine q = s->lines[k];
        if (q.low_y > high || q.high_y < low)
            continue;
        float kw = 1 / q.width, kh = 1 / q.half;
        for (int i = 0; i < n; i++) {
            float ux = x[i] - q.x, uy = y[i] - q.y, u = ux * q.cos + uy * q.sin, v = uy * q.cos - ux * q.sin;
            float across = (v - q.bend * (u * u - .5f * q.half * q.half)) * kw, along = u * kh;
            float a = maxf(1 - across * across, 0), b = maxf(1 - along * along, 0);
            dark[i] += q.depth * (a * a) * (b * (2 - b));
        }
    }
}
