/* gather.c - lines in parallel; where lines lie side by side and share their index (index_select along an axis that is
 * not the last), whole stretches of them. */
#include "kernels/cpu/elementwise.h"
#include "kernels/lookup.h"

/* Neighbouring lines that one index serves: 1 where there is none. */
static int64_t shared(const Lookup *l)
{
    int last = l->lines.rank - 1;
    return l->lines.stride[0][last] == 1 && l->lines.stride[1][last] == 1 && l->lines.stride[2][last] == 0
               ? l->lines.dim[last] : 1;
}

/* All loops but those over neighbours. */
static Walk outer_of(const Lookup *l, int64_t together)
{
    Walk w = l->lines;
    if (together > 1)
        w.dim[w.rank - 1] = 1;
    return w;
}

static WalkAt begin_of(const Walk *w, int64_t line)
{
    int last = w->rank - 1;
    WalkAt at = walk_row(w, line / w->dim[last]);
    for (int t = 0; t < WALK_TENSORS; t++)
        at.offset[t] += line % w->dim[last] * w->stride[t][last];
    return at;
}

static void gather(KernelCall *k)
{
    Lookup l = lookup_of(k->attrs, &k->in[0], &k->out[0], &k->in[1]);
    if (shape_count(k->out[0].shape) == 0)
        return;
    int64_t together = shared(&l), lines = lookup_lines(&l) / together;
    Walk w = outer_of(&l, together);
    const float *x = FLOATS(k->in[0]);
    const int32_t *index = INT(k->in[1]);
    float *y = FLOATS(k->out[0]);
#pragma omp parallel for if (lines * l.count * together > CPU_SERIAL)
    for (int64_t unit = 0; unit < lines * l.count; unit++) {
        WalkAt at = begin_of(&w, unit / l.count);
        int64_t i = unit % l.count, from = lookup_index(index[at.offset[2] + i * l.i_step], l.size);
        float *to = y + at.offset[0] + i * l.y_step;
        if (from < 0)
            for (int64_t e = 0; e < together; e++)
                to[e] = NAN;
        else if (together == 1)
            *to = x[at.offset[1] + from * l.x_step];
        else
            memcpy(to, x + at.offset[1] + from * l.x_step, sizeof *to * (size_t)together);
    }
}

/* Stretches of neighbours are cut, so that a few long ones fill all threads. */
static void gather_grad(KernelCall *k)
{
    Lookup l = lookup_of(k->attrs, &k->out[0], &k->in[1], &k->in[0]);
    enum { STRETCH = 256 };
    memset(k->out[0].data, 0, tensor_bytes(&k->out[0], 4));
    if (shape_count(k->in[1].shape) == 0)
        return;
    int64_t together = shared(&l), lines = lookup_lines(&l) / together, cuts = (together + STRETCH - 1) / STRETCH;
    Walk w = outer_of(&l, together);
    const int32_t *index = INT(k->in[0]);
    const float *dy = FLOATS(k->in[1]);
    float *dx = FLOATS(k->out[0]);
#pragma omp parallel for if (lines * l.count * together > CPU_SERIAL)
    for (int64_t unit = 0; unit < lines * cuts; unit++) {
        WalkAt at = begin_of(&w, unit / cuts);
        int64_t start = unit % cuts * STRETCH, n = together - start < STRETCH ? together - start : STRETCH;
        for (int64_t i = 0; i < l.count; i++) {
            int64_t to = lookup_index(index[at.offset[2] + i * l.i_step], l.size);
            if (to < 0)
                continue;
            float *sum = dx + at.offset[1] + to * l.x_step + start;
            const float *from = dy + at.offset[0] + i * l.y_step + start;
            for (int64_t e = 0; e < n; e++)
                sum[e] += from[e];
        }
    }
}

static void take_bytes(KernelCall *k)
{
    int64_t n = k->out[0].shape.dim[0], rows = k->in[0].shape.dim[0], row = n ? shape_count(k->out[0].shape) / n : 0;
#pragma omp parallel for if (n * row > CPU_SERIAL)
    for (int64_t i = 0; i < n; i++) {
        int64_t from = lookup_index(INT(k->in[1])[i], rows);
        uint8_t *to = BYTES(k->out[0]) + i * row;
        if (from < 0)
            memset(to, 0, (size_t)row);
        else
            memcpy(to, BYTES(k->in[0]) + from * row, (size_t)row);
    }
}

KERNEL(gather, cpu) = {.run = gather};
KERNEL(gather_grad, cpu) = {.run = gather_grad};
KERNEL(index_select, cpu) = {.run = gather};
KERNEL(index_select_grad, cpu) = {.run = gather_grad};
KERNEL(take_bytes, cpu) = {.run = take_bytes};
