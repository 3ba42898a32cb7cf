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
    size_t vecs = 6 * n + 5 * vertices;
    size_t floats = 6 * n + shadow + 3 * vertices + 7 * (size_t)c->columns;
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
    c->loft.shift = v, v += vertices;
    float *f = (float *)v;
    c->depth = f, f += n;
    c->tone = f, f += n;
    c->occlusion = f, f += n;
    c->one = f, f += n;
    c->two = f, f += n;
    c->three = f, f += n;
    c->shadow = f, f += shadow;
    c->loft.z = f, f += vertices;
    c->loft.front = f, f += vertices;
    c->loft.nose = f, f += vertices;
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

/* A sheet's points as its triangles use them. */
typedef struct Sheet {
    const Vec *screen, *normal, *face;
    Matter matter;
} Sheet;

static void draw_triangle(Canvas *c, const Sheet *sheet, int i, int j, int k)
{
    const Vec *a = &sheet->screen[i], *b = &sheet->screen[j], *d = &sheet->screen[k];
    float x0 = a->x, y0 = a->y, ux = b->x - x0, uy = b->y - y0;
    float vx = d->x - x0, vy = d->y - y0, area = ux * vy - vx * uy, last = (float)(c->side - 1);
    /* written so that NaN fails too */
    if (!(absf(area) > 1e-7f) || !(absf(area) < 1e9f))
        return;
    float low_x = minf(x0, minf(b->x, d->x)), high_x = maxf(x0, maxf(b->x, d->x));
    float low_y = minf(y0, minf(b->y, d->y)), high_y = maxf(y0, maxf(b->y, d->y));
    if (!(high_x >= 0 && high_y >= 0 && low_x <= last && low_y <= last))
        return;
    int left = -floor_int(-maxf(low_x, 0)), right = (int)minf(high_x, last);
    int top = -floor_int(-maxf(low_y, 0)), bottom = (int)minf(high_y, last);
    if (left > right || top > bottom)   /* most triangles of a small picture: no sample between their corners */
        return;
    float inverse = 1 / area;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float px = (float)x - x0, py = (float)y - y0;
            float u = (px * vy - vx * py) * inverse, v = (ux * py - px * uy) * inverse, w = 1 - u - v;
            if (u < -1e-4f || v < -1e-4f || w < -1e-4f)
                continue;
            int o = y * c->side + x;
            float z = w * a->z + u * b->z + v * d->z;
            if (!(z < c->depth[o]))
                continue;
            c->depth[o] = z;
            c->matter[o] = (uint8_t)sheet->matter;
            const Vec *normal = sheet->normal, *face = sheet->face;
            Vec n = add(scale(normal[i], w), add(scale(normal[j], u), scale(normal[k], v)));
            if (sheet->matter == EAR && n.z < 0)
                n = scale(n, -1);
            c->normal[o] = n;
            c->point[o] = add(scale(face[i], w), add(scale(face[j], u), scale(face[k], v)));
            c->tone[o] = .5f;   /* hair drawn as a sheet lies in the shade of the rest */
        }
}

void canvas_sheet(Canvas *c, const Vec *screen, const Vec *normal, const Vec *face, int rows, int columns, Matter m)
{
    Sheet sheet = {screen, normal, face, m};
    for (int i = 0; i + 1 < rows; i++)
        for (int j = 0; j + 1 < columns; j++) {
            int o = i * columns + j;
            draw_triangle(c, &sheet, o, o + 1, o + columns);
            draw_triangle(c, &sheet, o + 1, o + columns + 1, o + columns);
        }
}

void canvas_strand(Canvas *c, const Sitter *s, const Vec *p, const Vec *normals, int n, float tone, float radius,
                   Matter m)
{
    Vec a, b = n > 0 ? sitter_project(s, p[0]) : vec(0, 0, 0);
    for (int k = 0; k + 1 < n; k++) {
        a = b;
        b = sitter_project(s, p[k + 1]);
        float dx = b.x - a.x, dy = b.y - a.y, longest = maxf(absf(dx), absf(dy)), limit = 2 * s->pixels;
        if (!(absf(a.x) < limit && absf(a.y) < limit && longest < limit))
            continue;
        int steps = (int)longest + 1, wide = (int)(radius * s->density + .5f), steep = absf(dy) > absf(dx);
        float sharp = (float)wide + .5f;
        for (int i = 0; i < steps; i++) {
            float t = (float)i / (float)steps, z = mixf(a.z, b.z, t);
            int x0 = floor_int(a.x + dx * t + .5f), y0 = floor_int(a.y + dy * t + .5f);
            for (int w = -wide; w <= wide; w++) {
                int x = steep ? x0 + w : x0, y = steep ? y0 : y0 + w, o = y * c->side + x;
                if (x < 0 || y < 0 || x >= c->side || y >= c->side || !(z < c->depth[o]))
                    continue;
                float f = (float)w / sharp;   /* a tube's normal turns across its breadth */
                c->depth[o] = z;
                c->matter[o] = (uint8_t)m;
                c->normal[o] = radius > 0 ? unit(steep ? vec(f, 0, root(1 - f * f)) : vec(0, -f, root(1 - f * f)))
                                          : blend(normals[k], normals[k + 1], t);
                c->point[o] = sub(p[k + 1], p[k]);
                c->tone[o] = tone;
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

/* Running sums along four rows at once: each waits for its own last sum, none for another's. */
static void blur_rows(const float *in, float *out, int side, int radius, float share)
{
    int last = side - 1;
    float sum[4];
    for (int r = 0; r < 4; r++) {
        sum[r] = in[r * side] * (float)(radius + 1);
        for (int x = 0; x < radius; x++)
            sum[r] += in[r * side + x];
    }
    for (int x = 0; x < side; x++) {
        int enter = x + radius < last ? x + radius : last, leave = x - radius > 0 ? x - radius : 0;
        for (int r = 0; r < 4; r++) {
            sum[r] += in[r * side + enter];
            out[r * side + x] = sum[r] * share;
            sum[r] -= in[r * side + leave];
        }
    }
}

/* Mean over (2 radius + 1)^2, edges repeated; sums run along rows, then down columns.  side >= 4. */
void box_blur(const float *in, float *out, float *work, int side, int radius)
{
    float share = 1 / (float)(2 * radius + 1);
    int last = side - 1;
    radius = radius < last ? radius : last;
    for (int y = 0; y < side; y += 4) {   /* the last four may overlap those before */
        size_t first = (size_t)(y < side - 4 ? y : side - 4) * side;
        blur_rows(in + first, work + first, side, radius, share);
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

/* Gaussian of the focus along rows and columns; edges repeat. */
static void defocus(const Sitter *s, int size, Vec *film, Vec *work)
{
    enum { MOST = 24 };   /* pixels that a tap lies away at most */
    float sigma = maxf(s->camera->blur + s->camera->blur_sd * s->look->blur, 0) * .001f * (float)size, w[MOST + 1];
    if (sigma < .12f)
        return;
    sigma = minf(sigma, .5f * MOST);
    int reach = (int)maxf(2 * sigma, 2), n = 3 * size;   /* colours side by side: a tap lies three floats away */
    float norm = 0;
    for (int k = 0; k <= reach; k++) {
        w[k] = exponential(-.5f * sqr((float)k / sigma));
        norm += k ? 2 * w[k] : w[k];
    }
    for (int k = 0; k <= reach; k++)
        w[k] /= norm;
    for (int y = 0; y < size; y++) {
        float row[3 * PORTRAIT_MAX_SIZE + 6 * MOST], *middle = row + 3 * reach, *to = &work[y * size].x;
        memcpy(middle, film + y * size, (size_t)size * sizeof *film);
        for (int k = 1; k <= reach; k++) {
            memcpy(middle - 3 * k, middle, sizeof *film);
            memcpy(middle + n + 3 * (k - 1), middle + n - 3, sizeof *film);
        }
        for (int i = 0; i < n; i++)
            to[i] = middle[i] * w[0];
        for (int k = 1; k <= reach; k++)
            for (int i = 0; i < n; i++)
                to[i] += (middle[i - 3 * k] + middle[i + 3 * k]) * w[k];
    }
    for (int y = 0; y < size; y++) {
        float *to = &film[y * size].x;
        const float *middle = &work[y * size].x;
        for (int i = 0; i < n; i++)
            to[i] = middle[i] * w[0];
        for (int k = 1; k <= reach; k++) {
            const float *above = &work[(y > k ? y - k : 0) * size].x;
            const float *below = &work[(y + k < size ? y + k : size - 1) * size].x;
            for (int i = 0; i < n; i++)
                to[i] += (above[i] + below[i]) * w[k];
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
    float contrast = clampf(k->contrast + .08f + s->look->film_contrast, 0, 1);
    uint64_t name = random_name("portrait grain");
    for (int y = 0; y < size; y++) {
        float n[3 * PORTRAIT_MAX_SIZE];
        for (int x = 0; x < size; x++) {
            Philox bits = philox4x32((uint32_t)(y * size + x), 0, 0, (uint32_t)name, s->look->grain);
            for (int ch = 0; ch < 3; ch++) {   /* sum of two uniforms: triangular, deviation 1 after the factor */
                float sum = (float)(bits.v[ch] & 0xffffu) + (float)(bits.v[ch] >> 16) - 65535;
                n[3 * x + ch] = sum * (2.4494897f / 65536);
            }
        }
        const float *v = &film[y * size].x;
        uint8_t *to = rgb + 3 * y * size;
        for (int i = 0; i < 3 * size; i++) {
            float g = film_curve(v[i], contrast) + grain * n[i];
            to[i] = (uint8_t)(int)(g == g ? clampf(g * 255 + .5f, 0, 255) : 0);
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
