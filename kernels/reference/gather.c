/* gather.c - the definition: element after element of each line. */
#include "kernels/lookup.h"
#include "kernels/reference/reference.h"

/* Where line number `line` begins in y, x and index. */
static void line_at(const Lookup *l, int64_t line, int64_t at[3])
{
    memset(at, 0, 3 * sizeof *at);
    for (int i = l->lines.rank - 1; i >= 0; i--) {
        for (int t = 0; t < 3; t++)
            at[t] += line % l->lines.dim[i] * l->lines.stride[t][i];
        line /= l->lines.dim[i];
    }
}

static void gather(KernelCall *k)
{
    Lookup l = lookup_of(k->attrs, &k->in[0], &k->out[0], &k->in[1]);
    int64_t at[3];
    for (int64_t line = 0, n = lookup_lines(&l); line < n; line++) {
        line_at(&l, line, at);
        for (int64_t i = 0; i < l.count; i++) {
            int64_t from = lookup_index(INT(k->in[1])[at[2] + i * l.i_step], l.size);
            REAL(k->out[0])[at[0] + i * l.y_step] = from < 0 ? (real)NAN : REAL(k->in[0])[at[1] + from * l.x_step];
        }
    }
}

static void gather_grad(KernelCall *k)
{
    Lookup l = lookup_of(k->attrs, &k->out[0], &k->in[1], &k->in[0]);
    int64_t at[3];
    memset(k->out[0].data, 0, sizeof(real) * (size_t)COUNT(k->out[0]));
    for (int64_t line = 0, n = lookup_lines(&l); line < n; line++) {
        line_at(&l, line, at);
        for (int64_t i = 0; i < l.count; i++) {
            int64_t to = lookup_index(INT(k->in[0])[at[2] + i * l.i_step], l.size);
            if (to >= 0)
                REAL(k->out[0])[at[1] + to * l.x_step] += REAL(k->in[1])[at[0] + i * l.y_step];
        }
    }
}

static void take_bytes(KernelCall *k)
{
    int64_t n = k->out[0].shape.dim[0], rows = k->in[0].shape.dim[0], row = n ? COUNT(k->out[0]) / n : 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t from = lookup_index(INT(k->in[1])[i], rows);
        for (int64_t j = 0; j < row; j++)
            BYTES(k->out[0])[i * row + j] = from < 0 ? 0 : BYTES(k->in[0])[from * row + j];
    }
}

KERNEL(gather, reference) = {.run = gather};
KERNEL(gather_grad, reference) = {.run = gather_grad};
KERNEL(index_select, reference) = {.run = gather};
KERNEL(index_select_grad, reference) = {.run = gather_grad};
KERNEL(take_bytes, reference) = {.run = take_bytes};
