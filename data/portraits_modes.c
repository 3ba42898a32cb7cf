/* portraits_modes.c - what no named number says of a face: smooth random fields of displacement and of tone.
 *
 * Each is a grid of random numbers of variance 1 under a cubic B-spline.  Bands of two spacings, 2.2 cm and 1.3 cm,
 * displace the face, its halves correlated as mirror images (draw_mirrored in portraits_people.c).  Tone has a
 * symmetric band of 1.6 cm in lightness and in redness, and one in lightness that is not. */
#include "data/portraits_parts.h"

/* Uniform cubic B-spline weights at t in [0, 1). */
static void spline_weights(float t, float w[4])
{
    float t2 = t * t, t3 = t2 * t;
    w[0] = (1 - 3 * t + 3 * t2 - t3) / 6;
    w[1] = (4 - 6 * t2 + 3 * t3) / 6;
    w[2] = (1 + 3 * t + 3 * t2 - 3 * t3) / 6;
    w[3] = t3 / 6;
}

/* Values at (u, v), in nodes, of `planes` fields of rows x columns nodes, one after the other. */
static void spline_fields(const float *nodes, int planes, int rows, int columns, float u, float v, float *out)
{
    float wu[4], wv[4];
    u = clampf(u, 0, (float)(columns - 3) - 1e-3f);
    v = clampf(v, 0, (float)(rows - 3) - 1e-3f);
    int i = (int)v, j = (int)u;
    spline_weights(u - (float)j, wu);
    spline_weights(v - (float)i, wv);
    for (int k = 0; k < planes; k++) {
        const float *row = nodes + (k * rows + i) * columns + j;
        float sum = 0;
        for (int a = 0; a < 4; a++, row += columns)
            sum += wv[a] * (row[0] * wu[0] + row[1] * wu[1] + row[2] * wu[2] + row[3] * wu[3]);
        out[k] = sum;
    }
}

static Vec spline_vec(const float *nodes, int rows, int columns, float u, float v)
{
    float out[3];
    spline_fields(nodes, 3, rows, columns, u, v, out);
    return vec(out[0], out[1], out[2]);
}

/* A distance from the middle that is smooth there: no crease down the face. */
static float from_middle(float x) { return sqrtf(x * x + 1) - 1; }

Vec person_warp(const PortraitPerson *p, float x, float y)
{
    enum { WR = PORTRAIT_WARP_ROWS, WC = PORTRAIT_WARP_COLUMNS, FR = PORTRAIT_FINE_ROWS, FC = PORTRAIT_FINE_COLUMNS };
    /* the middle column of nodes lies at x = 0 */
    Vec wide = spline_vec(&p->warp[0][0][0], WR, WC, x / 2.2f + .5f * (WC - 3), (9 - y) / 2.5f);
    Vec fine = spline_vec(&p->fine[0][0][0], FR, FC, x / 1.3f + .5f * (FC - 3), (9 - y) / 1.3f);
    /* what lies finer than the outline's own bend would make it jagged; lumps show most on smooth cheeks and foreheads,
     * so fine modes end before them */
    float ax = absf(x), inner = ramp(8, 5, ax) * ramp(5.2f, 2.4f, y) * ramp(-11, -8.5f, y);
    float coarse = .65f + .35f * ramp(7, 4, ax), across = .38f * coarse, ahead = .4f * coarse;
    float across_fine = .62f * inner, ahead_fine = .4f * inner * (.6f + .4f * ramp(4.4f, 2.4f, ax) * ramp(3.2f, 2, y));
    /* lengths of nose and lip, the nose's breadth and the eyes' distance are numbers of their own, and lumps spoil the
     * nose's relief */
    float nose = hill2(x / 3.8f, (y + 3.2f) / 3), eyes = hill2((ax - 3) / 2.8f, y / 2.4f);
    float middle = mixf(.5f, 1, ramp(.6f, 2.6f, ax)) * (1 - .3f * nose), apart = (1 - .5f * nose) * (1 - .4f * eyes);
    return vec(apart * (across * wide.x + across_fine * fine.x),
               middle * (1.06f * across * wide.y + across_fine * fine.y),
               (1 - .6f * nose) * (ahead * wide.z + ahead_fine * fine.z));
}

void person_tone(const PortraitPerson *p, float *light, float *red)
{
    enum { R = PORTRAIT_TONE_ROWS, C = PORTRAIT_TONE_COLUMNS };
    for (int i = 0; i < TONE_SIDE; i++)
        for (int j = 0; j < TONE_SIDE; j++) {
            float x = tone_place(j), y = -tone_place(i), off = from_middle(x), u = off / 1.6f, v = (9 - y) / 1.6f;
            float even, odd;
            spline_fields(&p->tone[0][0][0], 1, R, C, u, v, &even);
            spline_fields(&p->tone[1][0][0], 1, R, C, (x + 9) / 2.4f, v, &odd);
            light[i * TONE_SIDE + j] = mixf(1, .55f, ramp(2, 4, y)) * (.12f * even + .12f * odd);
            spline_fields(&p->tone[2][0][0], 1, R, C, u, v, &red[i * TONE_SIDE + j]);
        }
}
