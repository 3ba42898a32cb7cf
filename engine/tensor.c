/* tensor.c - shapes, and the bytes that a tensor takes in each format. */
#include <inttypes.h>
#include <string.h>

#include "engine/program.h"

Shape shape_make(const int64_t *dims, int rank)
{
    Shape s = {.rank = rank};
    for (int i = 0; i < rank && i < RANK_MAX; i++)
        s.dim[i] = dims[i];
    return s;
}

int64_t shape_count(Shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.rank && i < RANK_MAX; i++)
        n *= s.dim[i];
    return s.rank < 0 ? 0 : n;
}

bool shape_possible(Shape s)
{
    int64_t n = 16;   /* bytes of the widest element, and some */
    bool good = s.rank >= 0 && s.rank <= RANK_MAX;
    for (int i = 0; i < s.rank && good; i++)
        good = s.dim[i] >= 0 && !__builtin_mul_overflow(n, s.dim[i] ? s.dim[i] : 1, &n);
    return good;
}

bool shape_equal(Shape a, Shape b)
{
    return a.rank == b.rank && a.rank <= RANK_MAX &&
           (a.rank <= 0 || !memcmp(a.dim, b.dim, sizeof a.dim[0] * (size_t)a.rank));
}

const char *shape_text(Shape s, char *text, size_t size)
{
    size_t n = (size_t)snprintf(text, size, s.rank < 0 ? "-" : "(");
    for (int i = 0; i < s.rank && i < RANK_MAX && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%" PRId64, i ? ", " : "", s.dim[i]);
    if (s.rank >= 0 && n < size)
        snprintf(text + n, size - n, ")");
    return text;
}

size_t tensor_bytes(const Tensor *t, int real_bytes)
{
    int64_t n = shape_count(t->shape);
    if (format_layout(t->format) == C16 && t->shape.dim[1] > 0)
        n = n / t->shape.dim[1] * ((t->shape.dim[1] + 15) / 16 * 16);
    if (format_half(t->format))
        return (size_t)n * 2;
    return (size_t)n * (t->dtype == U8 ? 1 : t->dtype == I32 ? 4 : (size_t)real_bytes);
}

void formats_same(FormatChoice *f)
{
    Format want = PLAIN;
    for (int i = 0; i < f->nin && want == PLAIN; i++)
        want = f->in[i];
    for (int i = 0; i < f->nin; i++)
        f->in[i] = f->in_shape[i].rank == 4 ? want : PLAIN;
    for (int j = 0; j < f->nout; j++)
        f->out[j] = f->out_shape[j].rank == 4 ? want : PLAIN;
}

int inplace_first(const KernelCall *k, int result)
{
    (void)k;
    return result == 0 ? 0 : -1;
}
