/* reduce.c - the definition: for each element of y, a loop over the elements of x that share its kept indices. */
#include "engine/ops/reduce.h"

#include "kernels/reference/reference.h"

/* The two nests of loops over x: kept axes and summed ones. */
typedef struct Nest {
    int rank;
    int64_t dim[RANK_MAX], stride[RANK_MAX];
} Nest;

static int64_t nest_offset(const Nest *nest, int64_t i)
{
    int64_t at = 0;
    for (int k = nest->rank - 1; k >= 0; k--) {
        at += i % nest->dim[k] * nest->stride[k];
        i /= nest->dim[k];
    }
    return at;
}

static void reduce_sum(KernelCall *k)
{
    Shape s = k->in[0].shape;
    unsigned mask = reduce_mask(k->attrs, s.rank);
    Nest kept = {0}, summed = {0};
    int64_t count = 1;
    for (int i = 0; i < s.rank; i++) {
        Nest *nest = mask >> i & 1 ? &summed : &kept;
        nest->dim[nest->rank] = s.dim[i];
        nest->stride[nest->rank] = 1;
        for (int j = i + 1; j < s.rank; j++)
            nest->stride[nest->rank] *= s.dim[j];
        nest->rank++;
        count *= mask >> i & 1 ? s.dim[i] : 1;
    }
    const real *x = REAL(k->in[0]);
    real *y = REAL(k->out[0]);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        const real *from = x + (count ? nest_offset(&kept, i) : 0);
        double sum = 0;
        for (int64_t r = 0; r < count; r++)
            sum += from[nest_offset(&summed, r)];
        y[i] = (real)sum;
    }
}

KERNEL(reduce_sum, reference) = {.run = reduce_sum};
