/* reduce.c - the definition: for each element of y, a loop over the elements of x that share its kept indices. */
#include "engine/ops/reduce.h"

#include "kernels/reference/reference.h"

/* Loops over some axes of x. */
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

/* Loops of x over the axes that stay and those that go; how many elements one result is made of. */
typedef struct Job {
    Nest kept, gone;
    int64_t count;
} Job;

static Job job_of(const ReduceAttrs *a, Shape s)
{
    unsigned mask = reduce_mask(a, s.rank);
    Job j = {.count = 1};
    for (int i = 0; i < s.rank; i++) {
        Nest *nest = mask >> i & 1 ? &j.gone : &j.kept;
        nest->dim[nest->rank] = s.dim[i];
        nest->stride[nest->rank] = 1;
        for (int k = i + 1; k < s.rank; k++)
            nest->stride[nest->rank] *= s.dim[k];
        nest->rank++;
        j.count *= mask >> i & 1 ? s.dim[i] : 1;
    }
    return j;
}

static void reduce_sum(KernelCall *k)
{
    Job j = job_of(k->attrs, k->in[0].shape);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        const real *from = REAL(k->in[0]) + (j.count ? nest_offset(&j.kept, i) : 0);
        double sum = 0;
        for (int64_t r = 0; r < j.count; r++)
            sum += from[nest_offset(&j.gone, r)];
        REAL(k->out[0])[i] = (real)sum;
    }
}

static void reduce_max(KernelCall *k)
{
    Job j = job_of(k->attrs, k->in[0].shape);
    for (int64_t i = 0, n = COUNT(k->out[0]); i < n; i++) {
        const real *from = REAL(k->in[0]) + nest_offset(&j.kept, i);
        real most = from[0];
        for (int64_t r = 1; r < j.count; r++) {
            real v = from[nest_offset(&j.gone, r)];
            most = v > most || v != v ? v : most;
        }
        REAL(k->out[0])[i] = most;
    }
}

static bool equal(real a, real b)
{
    return a == b || (a != a && b != b);
}

static void reduce_max_grad(KernelCall *k)
{
    Job j = job_of(k->attrs, k->in[0].shape);
    for (int64_t i = 0, n = COUNT(k->in[1]); i < n; i++) {
        int64_t base = nest_offset(&j.kept, i), equals = 0;
        const real *x = REAL(k->in[0]) + base, y = REAL(k->in[1])[i];
        for (int64_t r = 0; r < j.count; r++)
            equals += equal(x[nest_offset(&j.gone, r)], y);
        for (int64_t r = 0; r < j.count; r++) {
            int64_t at = nest_offset(&j.gone, r);
            REAL(k->out[0])[base + at] = equal(x[at], y) ? REAL(k->in[2])[i] / (real)equals : 0;
        }
    }
}

KERNEL(reduce_sum, reference) = {.run = reduce_sum};
KERNEL(reduce_max, reference) = {.run = reduce_max};
KERNEL(reduce_max_grad, reference) = {.run = reduce_max_grad};
