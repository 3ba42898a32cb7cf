/* portraits_render.c - the camera: canvas, rasterisation, film. */
#include <stdlib.h>

#include "data/portraits_parts.h"
#include "engine/error.h"
#include "engine/random.h"

/* ---- canvas */

/* Samples a side of a pixel: small pictures need more to hold fine things still. */
static int samples_of(int size) { return size < 96 ? 3 : 2; }

Canvas *canvas_make(int size)
{
    Canvas *c = must_zalloc(sizeof *c);
    int side = size * samples_of(size);
    size_t n = (size_t)side * side, shadow = (size_t)SHADOW_SIDE * SHADOW_SIDE;
    c->side = side;
    c->shadow_side = SHADOW_SIDE;
    /* about one vertex a sample on the face, never so few that the lips vanish */
    c->columns = (int)clampf(.62f * (float)side, 80, 200) | 1;
    c->rows = (int)clampf(.80f * (float)side, 100, 240);
    size_t vertices = (size_t)c->rows * c->columns;
    size_t vecs = 6 * n + 4 * vertices, floats = 6 * n + shadow + 7 * (size_t)c->columns;
    c->memory = must_alloc((unsigned long)(vecs * sizeof(Vec) + floats * sizeof(float) + n));
    Vec *v = c->memory;
    c->normal = v, v += n;
    c->point = v, v += n;
    c->albedo = v, v += n;
    c->light = v, v += n;
    c->shine = v, v += n;
    c->colour = v, v += n;
    c->mesh = v, v += vertices;
    c->mesh_normal = v, v += vertices;
    c->mesh_face = v, v += vertices;
    c->mesh_screen = v, v += vertices;
    float *f = (float *)v;
    c->depth = f, f += n;
    c->tone = f, f += n;
    c->occlusion = f, f += n;
    c->one = f, f += n;
    c->two = f, f += n;
    c->three = f, f += n;
    c->shadow = f, f += shadow;
    c->work = f, f += 7 * c->columns;
    c->matter = (uint8_t *)f;
    return c;
}

void canvas_free(Canvas *c)
{
    if (c)
        free(c->memory);
    free(c);
}

static void canvas_clear(Canvas *c, const Sitter *s)
{
    int n = c->side * c->side;
    for (int i = 0; i < n; i++)
        c->depth[i] = 1e9f;
    memset(c->matter, EMPTY, (size_t)n);
    for (int i = 0; i < c->shadow_side * c->shadow_side; i++)
        c->shadow[i] = -1e9f;
    const PortraitLook *l = s->look;
    const PortraitCamera *k = s->camera;
    float side = clampf(k->side * l->light_side, -1.35f, 1.35f);
    float up = mixf(k->height_low, k->height_high, l->light_height);
    Turn *t = &c->shadow_turn;
    t->z = unit(vec(sine(side) * cosine(up), sine(up), cosine(side) * cosine(up)));
    t->x = unit(cross(vec(0, 1, 0), t->z));
    t->y = cross(t->z, t->x);
}

/* ---- rasterisation */

void sheet_normals(const Vec *p, Vec *normals, int rows, int columns)
{
    for (int i = 0; i < rows; i++) {
        int above = i > 0 ? i - 1 : 0, below = i < rows - 1 ? i + 1 : i;
        for (int j = 0; j < columns; j++) {
            int left = j > 0 ? j - 1 : 0, right = j < columns - 1 ? j + 1 : j;
            Vec across = sub(p[i * columns + right], p[i * columns + left]);
            normals[i * columns + j] = unit(cross(sub(p[below * columns + j], p[above * columns + j]), across));
        }
    }
}

typedef struct Corner {
    Vec screen, normal, face;
} Corner;

static void draw_triangle(Canvas *c, const Corner *a, const Corner *b, const Corner *d, Matter m)
{
    float x0 = a->screen.x, y0 = a->screen.y, ux = b->screen.x - x0, uy = b->screen.y - y0;
    float vx = d->screen.x - x0, vy = d->screen.y - y0, area = ux * vy - vx * uy, last = (float)(c->side - 1);
    /* written so that NaN fails too */
    if (!(absf(area) > 1e-7f) || !(absf(area) < 1e9f))
        return;
    float low_x = minf(x0, minf(b->screen.x, d->screen.x)), high_x = maxf(x0, maxf(b->screen.x, d->screen.x));
    float low_y = minf(y0, minf(b->screen.y, d->screen.y)), high_y = maxf(y0, maxf(b->screen.y, d->screen.y));
    if (!(high_x >= 0 && high_y >= 0 && low_x <= last && low_y <= last))
        return;
    int left = (int)ceilf(maxf(low_x, 0)), right = (int)minf(high_x, last);
    int top = (int)ceilf(maxf(low_y, 0)), bottom = (int)minf(high_y, last);
    float inverse = 1 / area;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float px = (float)x - x0, py = (float)y - y0;
            float u = (px * vy - vx * py) * inverse, v = (ux * py - px * uy) * inverse, w = 1 - u - v;
            if (u < -1e-4f || v < -1e-4f || w < -1e-4f)
                continue;
            int o = y * c->side + x;
            float z = w * a->screen.z + u * b->screen.z + v * d->screen.z;
            if (!(z < c->depth[o]))
                continue;
            c->depth[o] = z;
            c->matter[o] = (uint8_t)m;
            Vec n = add(scale(a->normal, w), add(scale(b->normal, u), scale(d->normal, v)));
            if (m == EAR && n.z < 0)
                n = scale(n, -1);
            c->normal[o] = n;
            c->point[o] = add(scale(a->face, w), add(scale(b->face, u), scale(d->face, v)));
            c->tone[o] = .5f;   /* hair drawn as a sheet lies in the shade of the rest */
        }
}

void canvas_sheet(Canvas *c, const Vec *screen, const Vec *normal, const Vec *face, int rows, int columns, Matter m)
{
    for (int i = 0; i + 1 < rows; i++)
        for (int j = 0; j + 1 < columns; j++) {
            int o = i * columns + j;
            Corner q[4] = {{screen[o], normal[o], face[o]}, {screen[o + 1], normal[o + 1], face[o + 1]},
                           {screen[o + columns], normal[o + columns], face[o + columns]},
                           {screen[o + columns + 1], normal[o + columns + 1], face[o + columns + 1]}};
            draw_triangle(c, &q[0], &q[1], &q[2], m);
            draw_triangle(c, &q[1], &q[3], &q[2], m);
        }
}

static void draw_dot(Canvas *c, int x, int y, float z, Vec normal, Vec tangent, float tone, Matter m)
{
    if (x < 0 || y < 0 || x >= c->side || y >= c->side)
        return;
    int o = y * c->side + x;
    if (!(z < c->depth[o]))
        return;
    c->depth[o] = z;
    c->matter[o] = (uint8_t)m;
    c->normal[o] = normal;
    c->point[o] = tangent;
    c->tone[o] = tone;
}

void canvas_strand(Canvas *c, const Sitter *s, const Vec *p, const Vec *normals, int n, float tone, float radius,
                   Matter m)
{
    for (int k = 0; k + 1 < n; k++) {
        Vec a = sitter_project(s, p[k]), b = sitter_project(s, p[k + 1]), tangent = sub(p[k + 1], p[k]);
        float dx = b.x - a.x, dy = b.y - a.y, longest = maxf(absf(dx), absf(dy)), limit = 2 * s->pixels;
        if (!(absf(a.x) < limit && absf(a.y) < limit && longest < limit))
            continue;
        int steps = (int)longest + 1, wide = (int)(radius * s->density + .5f), steep = absf(dy) > absf(dx);
        float sharp = (float)wide + .5f;
        for (int i = 0; i < steps; i++) {
            float t = (float)i / (float)steps;
            int x = floor_int(a.x + dx * t + .5f), y = floor_int(a.y + dy * t + .5f);
            float z = mixf(a.z, b.z, t);
            Vec normal = blend(normals[k], normals[k + 1], t);
            for (int w = -wide; w <= wide; w++) {   /* a tube's breadth, its normal turning across */
                float f = (float)w / sharp;
                Vec bent = radius > 0 ? unit(steep ? vec(f, 0, root(1 - f * f)) : vec(0, -f, root(1 - f * f))) : normal;
                draw_dot(c, steep ? x + w : x, steep ? y : y + w, z, bent, tangent, tone, m);
            }
        }
    }
}

void canvas_cast(Canvas *c, Vec p)
{
    Vec q = turn(&c->shadow_turn, sub(p, vec(0, -2, -7)));
    float half = .5f * (float)c->shadow_side, x = q.x * SHADOW_SCALE + half - .5f, y = q.y * SHADOW_SCALE + half - .5f;
    if (!(x >= 0 && y >= 0 && x < 2 * half - 1 && y < 2 * half - 1))
        return;
    float *m = c->shadow + (int)y * c->shadow_side + (int)x;
    m[0] = maxf(m[0], q.z);
    m[1] = maxf(m[1], q.z);
    m[c->shadow_side] = maxf(m[c->shadow_side], q.z);
    m[c->shadow_side + 1] = maxf(m[c->shadow_side + 1], q.z);
}

/* Mean over (2 radius + 1)^2, edges repeated; sums run along rows, then down columns. */
void box_blur(const float *in, float *out, float *work, int side, int radius)
{
    float share = 1 / (float)(2 * radius + 1);
    int last = side - 1;
    radius = radius < last ? radius : last;
    for (int y = 0; y < side; y++) {
        const float *row = in + (size_t)y * side;
        float *to = work + (size_t)y * side, sum = row[0] * (float)(radius + 1);
        for (int x = 0; x < radius; x++)
            sum += row[x];
        for (int x = 0; x < side; x++) {
            sum += row[x + radius < last ? x + radius : last];
            to[x] = sum * share;
            sum -= row[x - radius > 0 ? x - radius : 0];
        }
    }
    float *sums = work + (size_t)side * side;   /* one row beyond */
    for (int x = 0; x < side; x++) {
        sums[x] = work[x] * (float)(radius + 1);
        for (int y = 0; y < radius; y++)
            sums[x] += work[(size_t)y * side + x];
    }
    for (int y = 0; y < side; y++) {
        const float *enter = work + (size_t)(y + radius < last ? y + radius : last) * side;
        const float *leave = work + (size_t)(y - radius > 0 ? y - radius : 0) * side;
        for (int x = 0; x < side; x++) {
            sums[x] += enter[x];
            out[(size_t)y * side + x] = sums[x] * share;
            sums[x] -= leave[x];
        }
    }
}

/* ---- film */

/* Samples to pixels, white balance and exposure; (size, size) into `film`. */
static void develop(const Canvas *c, const Sitter *s, int size, Vec *film)
{
    const PortraitLook *l = s->look;
    const PortraitCamera *k = s->camera;
    int f = c->side / size;
    /* Exposed for the face: half way between its own lightness and a grey card's. */
    float light = .28f + .50f * s->key + .70f * s->ambient;
    float gain = exp_two(l->exposure + k->exposure) * (.98f + .80f * s->person->melanin) / light / (float)(f * f);
    Vec balance = scale(vec(1 + l->white_red, 1 + l->white_green, 1 - l->white_red), gain);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            Vec sum = {0, 0, 0};
            for (int j = 0; j < f; j++)
                for (int i = 0; i < f; i++)
                    sum = add(sum, c->colour[(y * f + j) * c->side + x * f + i]);
            film[y * size + x] = times(sum, balance);
        }
}

/* Gaussian of the focus, five taps along rows and columns. */
static void defocus(const Sitter *s, int size, Vec *film, Vec *work)
{
    float sigma = maxf(s->camera->blur + s->camera->blur_sd * s->look->blur, 0) * .001f * (float)size;
    if (sigma < .12f)
        return;
    sigma = minf(sigma, 2);
    float w1 = exponential(-.5f / sqr(sigma)), w2 = exponential(-2 / sqr(sigma)), norm = 1 / (1 + 2 * w1 + 2 * w2);
    const float w[5] = {w2 * norm, w1 * norm, norm, w1 * norm, w2 * norm};
    for (int pass = 0; pass < 2; pass++) {
        const Vec *from = pass ? work : film;
        Vec *to = pass ? film : work;
        for (int y = 0; y < size; y++)
            for (int x = 0; x < size; x++) {
                Vec sum = {0, 0, 0};
                for (int k = -2; k <= 2; k++) {
                    int at = (int)clampf((float)((pass ? y : x) + k), 0, (float)(size - 1));
                    sum = along(sum, pass ? from[at * size + x] : from[y * size + at], w[k + 2]);
                }
                to[y * size + x] = sum;
            }
    }
}

/* Highlights roll off above 0.55; then the sRGB curve (IEC 61966-2-1) and a little s-curve. */
static float film_curve(float v, float contrast)
{
    v = maxf(v, 0);
    v = v < .55f ? v : .55f + .45f * (1 - exponential((.55f - v) / .45f));
    float g = v <= .0031308f ? 12.92f * v : 1.055f * power(v, 1 / 2.4f) - .055f;
    return mixf(g, g * g * (3 - 2 * g), contrast);
}

static void print_picture(const Sitter *s, int size, const Vec *film, uint8_t *rgb)
{
    const PortraitCamera *k = s->camera;
    float grain = mixf(k->noise_low, k->noise_high, sqr(s->look->noise));
    float contrast = clampf(k->contrast + .15f + s->look->film_contrast, 0, 1);
    uint64_t name = random_name("portrait grain");
    for (int i = 0; i < size * size; i++) {
        Philox bits = philox4x32((uint32_t)i, 0, 0, (uint32_t)name, s->look->grain);
        const float *v = &film[i].x;
        for (int ch = 0; ch < 3; ch++) {
            /* sum of two uniforms: triangular, deviation 1 after the factor */
            float n = ((float)(bits.v[ch] & 0xffffu) + (float)(bits.v[ch] >> 16) - 65535) * (2.4494897f / 65536);
            float g = film_curve(v[ch], contrast) + grain * n;
            rgb[3 * i + ch] = (uint8_t)(g == g ? clampf(g * 255 + .5f, 0, 255) : 0);
        }
    }
}

void canvas_render(Canvas *c, const PortraitPerson *person, const PortraitLook *look, int size, uint8_t *rgb)
{
    Sitter s;
    sitter_init(&s, person, look, c->side);
    canvas_clear(c, &s);
    head_build(c, &s);
    hair_build(c, &s);
    light_all(c, &s);
    develop(c, &s, size, c->normal);
    defocus(&s, size, c->normal, c->point);
    print_picture(&s, size, c->normal, rgb);
}

int portrait_render(const PortraitPerson *person, const PortraitLook *look, int size, uint8_t *rgb)
{
    if (size < PORTRAIT_MIN_SIZE || size > PORTRAIT_MAX_SIZE)
        return fail("portrait of %d pixels: sizes are %d to %d", size, PORTRAIT_MIN_SIZE, PORTRAIT_MAX_SIZE);
    if ((unsigned)look->camera >= PORTRAIT_CAMERAS)
        return fail("portrait camera %d: cameras are 0 to %d", look->camera, PORTRAIT_CAMERAS - 1);
    Canvas *c = canvas_make(size);
    canvas_render(c, person, look, size, rgb);
    canvas_free(c);
    return 0;
}
