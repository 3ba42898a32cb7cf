/* resize.c - one pass over memory, plain or in 16-channel blocks.
 *
 * Whole ratios, which are all that the models ask for, have loops of their own: copies of a pixel (nearest up, area
 * gradient) and sums of a block (area down, nearest gradient).  The rest goes by a table of pixels and weights an
 * axis, forward and transposed alike, so that gradients are gathered and no two threads write one pixel. */
#include "engine/ops/resize.h"

#include "engine/ops/resize_rule.h"
#include "kernels/cpu/area.h"
#include "kernels/cpu/cpu.h"

/* Planes of pixels of `lanes` floats: (B C) planes of 1, or (B C/16) of 16. */
typedef struct Map {
    const float *x;
    float *y;
    int64_t planes;
    int H, W, OH, OW, lanes;   /* operand and result, also in gradients */
} Map;

static Map map_of(const KernelCall *k)
{
    const Tensor *x = &k->in[0], *y = &k->out[0];
    int lanes = x->format == C16 ? 16 : 1;
    return (Map){FLOATS(*x), FLOATS(*y), x->shape.dim[0] * ((x->shape.dim[1] + lanes - 1) / lanes),
                 (int)x->shape.dim[2], (int)x->shape.dim[3], (int)y->shape.dim[2], (int)y->shape.dim[3], lanes};
}

/* ---------------------------------------------------------------- whole ratios */
/* Each pixel of a row, times scale, `times` times over. */
static void row_repeat(const float *restrict x, float *restrict y, int n, int times, int lanes, float scale)
{
    if (lanes == 16) {
        for (int i = 0; i < n; i++)
            for (int r = 0; r < times; r++, y += 16)
#pragma omp simd
                for (int l = 0; l < 16; l++)
                    y[l] = scale * x[16 * i + l];
    } else if (times == 2) {
#pragma omp simd
        for (int i = 0; i < n; i++)
            y[2 * i] = y[2 * i + 1] = scale * x[i];
    } else {
        for (int i = 0; i < n; i++)
            for (int r = 0; r < times; r++)
                *y++ = scale * x[i];
    }
}

static void repeat(Map m, float scale)
{
    int fy = m.OH / m.H, fx = m.OW / m.W;
    int64_t in_row = (int64_t)m.W * m.lanes, out_row = (int64_t)m.OW * m.lanes, rows = m.planes * m.H;
#pragma omp parallel for if (rows * fy * out_row > CPU_SERIAL)
    for (int64_t row = 0; row < rows; row++) {
        float *y = m.y + row * fy * out_row;
        row_repeat(m.x + row * in_row, y, m.W, fx, m.lanes, scale);
        for (int r = 1; r < fy; r++)
            memcpy(y + r * out_row, y, (size_t)out_row * sizeof *y);
    }
}

static void row_sum16(const float *restrict x, float *restrict y, int n, int fy, int fx, int64_t stride, float scale)
{
    for (int o = 0; o < n; o++, y += 16) {
        float sum[16] = {0};
        for (int r = 0; r < fy; r++) {
            const float *p = x + r * stride + (int64_t)o * fx * 16;
            float part[16] = {0};
            for (int c = 0; c < fx; c++)
#pragma omp simd
                for (int l = 0; l < 16; l++)
                    part[l] += p[c * 16 + l];
#pragma omp simd
            for (int l = 0; l < 16; l++)
                sum[l] += part[l];
        }
#pragma omp simd
        for (int l = 0; l < 16; l++)
            y[l] = scale * sum[l];
    }
}

static void block_sum(Map m, float scale)
{
    int fy = m.H / m.OH, fx = m.W / m.OW;
    int64_t in_row = (int64_t)m.W * m.lanes, out_row = (int64_t)m.OW * m.lanes, rows = m.planes * m.OH;
#pragma omp parallel for if (rows * fy * in_row > CPU_SERIAL)
    for (int64_t row = 0; row < rows; row++)
        (m.lanes == 16 ? row_sum16 : area_row)(m.x + row * fy * in_row, m.y + row * out_row, m.OW, fy, fx, in_row,
                                              scale);
}

/* ---------------------------------------------------------------- any ratio */
/* What result pixel o is made of: operand pixels first[o] .. with weights weight[at[o]] .. weight[at[o + 1]]. */
typedef struct Axis {
    int *first, *at;
    float *weight;
} Axis;

/* No kind reads more than in + 2 out pixels along an axis of the forward op. */
static size_t axis_floats(int n, int m)
{
    return 4 * ((size_t)n + (size_t)m) + 1;
}

static Axis axis_build(float *memory, ResizeKind kind, bool transposed, int n, int m)
{
    Axis a = {(int *)memory, (int *)memory + m, memory + 2 * m + 1};
    a.at[0] = 0;
    for (int o = 0; o < m; o++) {
        ResizeRange r = transposed ? resize_readers(kind, o, m, n) : resize_reads(kind, o, n, m);
        float *w = a.weight + a.at[o];
        for (int i = r.first; i < r.end; i++) {
            ResizeFraction f = transposed ? resize_weight(kind, i, o, m, n) : resize_weight(kind, o, i, n, m);
            *w++ = (float)f.above / (float)f.below;
        }
        a.first[o] = r.first;
        a.at[o + 1] = (int)(w - a.weight);
    }
    return a;
}

static int prepare(KernelCall *k)
{
    Map m = map_of(k);
    k->workspace_bytes = (axis_floats(m.H, m.OH) + axis_floats(m.W, m.OW)) * sizeof(float);
    return 0;
}

static void pixel16(const float *restrict x, float *restrict y, Axis rows, Axis columns, int oy, int ox, int W)
{
    float sum[16] = {0};
    const float *wx = columns.weight + columns.at[ox];
    int nx = columns.at[ox + 1] - columns.at[ox];
    for (int r = rows.at[oy]; r < rows.at[oy + 1]; r++) {
        const float *p = x + ((int64_t)(rows.first[oy] + r - rows.at[oy]) * W + columns.first[ox]) * 16;
        float part[16] = {0};
        for (int c = 0; c < nx; c++)
#pragma omp simd
            for (int l = 0; l < 16; l++)
                part[l] += wx[c] * p[16 * c + l];
#pragma omp simd
        for (int l = 0; l < 16; l++)
            sum[l] += rows.weight[r] * part[l];
    }
    memcpy(y, sum, sizeof sum);
}

static float pixel1(const float *restrict x, Axis rows, Axis columns, int oy, int ox, int W)
{
    float sum = 0;
    const float *wx = columns.weight + columns.at[ox];
    int nx = columns.at[ox + 1] - columns.at[ox];
    for (int r = rows.at[oy]; r < rows.at[oy + 1]; r++) {
        const float *p = x + (int64_t)(rows.first[oy] + r - rows.at[oy]) * W + columns.first[ox];
        float part = 0;
        for (int c = 0; c < nx; c++)
            part += wx[c] * p[c];
        sum += rows.weight[r] * part;
    }
    return sum;
}

static void weighted(KernelCall *k, Map m, ResizeKind kind, bool transposed)
{
    float *memory = k->workspace;
    Axis rows = axis_build(memory, kind, transposed, m.H, m.OH);
    Axis columns = axis_build(memory + axis_floats(m.H, m.OH), kind, transposed, m.W, m.OW);
    int64_t in_plane = (int64_t)m.H * m.W * m.lanes, out_row = (int64_t)m.OW * m.lanes, n = m.planes * m.OH;
#pragma omp parallel for if (n * out_row > CPU_SERIAL)
    for (int64_t row = 0; row < n; row++) {
        const float *x = m.x + row / m.OH * in_plane;
        float *y = m.y + row * out_row;
        for (int ox = 0; ox < m.OW; ox++) {
            if (m.lanes == 16)
                pixel16(x, y + 16 * ox, rows, columns, (int)(row % m.OH), ox, m.W);
            else
                y[ox] = pixel1(x, rows, columns, (int)(row % m.OH), ox, m.W);
        }
    }
}

static void resize(KernelCall *k, ResizeKind kind, bool transposed)
{
    Map m = map_of(k);
    bool up = m.OH % m.H == 0 && m.OW % m.W == 0;
    bool down = m.H % m.OH == 0 && m.W % m.OW == 0 && m.W / m.OW <= AREA_TILE;
    if (up && kind == RESIZE_NEAREST && !transposed)
        repeat(m, 1);
    else if (up && kind == RESIZE_AREA && transposed)
        repeat(m, 1.0f / ((float)(m.OH / m.H) * (float)(m.OW / m.W)));
    else if (down && kind == RESIZE_AREA && !transposed)
        block_sum(m, 1.0f / ((float)(m.H / m.OH) * (float)(m.W / m.OW)));
    else if (down && kind == RESIZE_NEAREST && transposed)
        block_sum(m, 1);
    else
        weighted(k, m, kind, transposed);
}

static ResizeKind bilinear_kind(const KernelCall *k)
{
    return ((const ResizeAttrs *)k->attrs)->align_corners ? RESIZE_CORNERS : RESIZE_BILINEAR;
}

static void nearest(KernelCall *k) { resize(k, RESIZE_NEAREST, false); }
static void nearest_grad(KernelCall *k) { resize(k, RESIZE_NEAREST, true); }
static void area(KernelCall *k) { resize(k, RESIZE_AREA, false); }
static void area_grad(KernelCall *k) { resize(k, RESIZE_AREA, true); }
static void bilinear(KernelCall *k) { resize(k, bilinear_kind(k), false); }
static void bilinear_grad(KernelCall *k) { resize(k, bilinear_kind(k), true); }

KERNEL(resize_nearest, cpu) = {.run = nearest, .prepare = prepare, .formats = formats_same};
KERNEL(resize_nearest_grad, cpu) = {.run = nearest_grad, .prepare = prepare, .formats = formats_same};
KERNEL(resize_area, cpu) = {.run = area, .prepare = prepare, .formats = formats_same};
KERNEL(resize_area_grad, cpu) = {.run = area_grad, .prepare = prepare, .formats = formats_same};
KERNEL(resize_bilinear, cpu) = {.run = bilinear, .prepare = prepare, .formats = formats_same};
KERNEL(resize_bilinear_grad, cpu) = {.run = bilinear_grad, .prepare = prepare, .formats = formats_same};
