/* reduce.c - sums and maxima in two steps: chunks of fixed size in parallel, sums in double, then the chunks in order.
 *
 * A walk splits x into loops over kept and over summed axes.  If the innermost one is summed, a chunk is a dot with
 * ones; if it is kept (bias gradients of linear layers, C16), a chunk adds rows to a tile of columns. */
#include "engine/ops/reduce.h"

#include "kernels/cpu/elementwise.h"

enum { ROW_CHUNK = 8192, COLUMN_CHUNK = 512, TILE = 64 };

typedef struct Job {
    const float *x;
    double *partial;       /* [chunks][outputs] */
    Walk kept, summed;
    bool columns;
    int64_t outputs;       /* padding of C16 included */
    Units chunks;          /* of the summed loops */
} Job;

static Job job_of(const KernelCall *k)
{
    Job j = {.x = FLOATS(k->in[0]), .partial = k->workspace};
    j.columns = walk_reduce(&k->in[0], reduce_mask(k->attrs, k->in[0].shape.rank), &j.kept, &j.summed);
    j.outputs = walk_rows(&j.kept) * j.kept.dim[j.kept.rank - 1];
    j.chunks = units_of(walk_rows(&j.summed), j.summed.dim[j.summed.rank - 1], j.columns ? COLUMN_CHUNK : ROW_CHUNK);
    return j;
}

static int prepare(KernelCall *k)
{
    Job j = job_of(k);
    k->workspace_bytes = (size_t)(j.chunks.count * j.outputs) * sizeof(double);
    return 0;
}

/* The loops are written once; the two callers make `maximum` a constant. */
#define BODY static inline __attribute__((always_inline)) void

typedef float Vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));

/* Largest of n > 0 numbers; NaN if there is one.  Spelled in vectors: where NaN counts, compilers do not see that the
 * order of maxima is free. */
static inline float largest(const float *x, int64_t n)
{
    Vec most = {0}, v;
    Mask nan = {0}, a, b;
    int64_t e = 0;
    most += x[0];
    for (; e + LANES <= n; e += LANES) {
        v = *(const Vec *)(x + e);
        Mask up = v > most;
        nan |= v != v;
        memcpy(&a, &v, sizeof a);
        memcpy(&b, &most, sizeof b);
        a = (a & up) | (b & ~up);
        memcpy(&most, &a, sizeof most);
    }
    float result = x[0];
    bool bad = x[0] != x[0];
    for (int l = 0; l < LANES; l++) {
        result = most[l] > result ? most[l] : result;
        bad |= nan[l] != 0;
    }
    for (; e < n; e++) {
        result = x[e] > result ? x[e] : result;
        bad |= x[e] != x[e];
    }
    return bad ? NAN : result;
}

static inline double larger(double a, double b)
{
    return b > a || b != b ? b : a;
}

BODY reduce_rows(const Job *j, const bool maximum)
{
    int64_t last = j->kept.dim[j->kept.rank - 1], stride = j->kept.stride[0][j->kept.rank - 1];
    int64_t units = j->outputs * j->chunks.count;
#pragma omp parallel for if (units * j->chunks.size > CPU_SERIAL)
    for (int64_t i = 0; i < units; i++) {
        int64_t output = i / j->chunks.count, chunk = i % j->chunks.count;
        Unit u = unit_at(&j->chunks, chunk);
        const float *base = j->x + walk_row(&j->kept, output / last).offset[0] + output % last * stride + u.start;
        WalkAt at = walk_row(&j->summed, u.first);
        double total = maximum ? -INFINITY : 0;
        for (int64_t r = u.first; r < u.end; r++) {
            const float *x = base + at.offset[0];
            if (maximum) {
                total = larger(total, largest(x, u.n));
            } else {
                double sum = 0;
#pragma omp simd reduction(+ : sum)
                for (int64_t e = 0; e < u.n; e++)
                    sum += x[e];
                total += sum;
            }
            walk_next(&j->summed, &at);
        }
        j->partial[chunk * j->outputs + output] = total;
    }
}

BODY reduce_columns(const Job *j, const bool maximum)
{
    int64_t columns = j->kept.dim[j->kept.rank - 1], tiles = (columns + TILE - 1) / TILE, rows = walk_rows(&j->kept);
    int64_t stride = j->summed.stride[0][j->summed.rank - 1], units = rows * tiles * j->chunks.count;
#pragma omp parallel for if (units * j->chunks.size > CPU_SERIAL / TILE)
    for (int64_t i = 0; i < units; i++) {
        int64_t chunk = i / (rows * tiles), row = i / tiles % rows, start = i % tiles * TILE;
        int64_t n = columns - start < TILE ? columns - start : TILE;
        Unit u = unit_at(&j->chunks, chunk);
        const float *base = j->x + walk_row(&j->kept, row).offset[0] + start + u.start * stride;
        WalkAt at = walk_row(&j->summed, u.first);
        double sum[TILE];
        for (int64_t c = 0; c < n; c++)
            sum[c] = maximum ? -INFINITY : 0;
        for (int64_t r = u.first; r < u.end; r++) {
            const float *x = base + at.offset[0];
            for (int64_t e = 0; e < u.n; e++, x += stride)
#pragma omp simd
                for (int64_t c = 0; c < n; c++)
                    sum[c] = maximum ? larger(sum[c], x[c]) : sum[c] + x[c];
            walk_next(&j->summed, &at);
        }
        memcpy(j->partial + chunk * j->outputs + row * columns + start, sum, (size_t)n * sizeof *sum);
    }
}

BODY reduce(KernelCall *k, const bool maximum)
{
    Job j = job_of(k);
    if (j.chunks.count && j.columns)
        reduce_columns(&j, maximum);
    else if (j.chunks.count)
        reduce_rows(&j, maximum);
    const Tensor *x = &k->in[0];
    float *y = FLOATS(k->out[0]);
    bool padded = x->format == C16 && j.outputs > 1;
    int64_t wide = padded ? channel_blocks(x->shape.dim[1]) * LANES : 1, narrow = padded ? x->shape.dim[1] : 1;
#pragma omp parallel for if (j.outputs * j.chunks.count > CPU_SERIAL)
    for (int64_t i = 0; i < j.outputs / wide * narrow; i++) {
        double sum = maximum ? -INFINITY : 0;
        for (int64_t c = 0; c < j.chunks.count; c++) {
            double part = j.partial[c * j.outputs + i / narrow * wide + i % narrow];
            sum = maximum ? larger(sum, part) : sum + part;
        }
        y[i] = (float)sum;
    }
}

static void reduce_sum(KernelCall *k)
{
    reduce(k, false);
}

static void reduce_max(KernelCall *k)
{
    reduce(k, true);
}

/* ---------------------------------------------------------------- gradient of the maximum */
static inline bool equal(float a, float b)
{
    return (a == b) | ((a != a) & (b != b));
}

/* n results that lie side by side in x and y: counts of what equals them, then shares. */
BODY share(const Job *j, const float *x, const float *y, const float *dy, float *dx, const int64_t n)
{
    int last = j->summed.rank - 1;
    int64_t rows = walk_rows(&j->summed), inner = j->summed.dim[last], step = j->summed.stride[0][last];
    int32_t equals[TILE] = {0};
    for (int pass = 0; pass < 2; pass++) {
        WalkAt at = walk_row(&j->summed, 0);
        for (int64_t r = 0; r < rows; r++, walk_next(&j->summed, &at))
            for (int64_t e = 0; e < inner; e++) {
                int64_t o = at.offset[0] + e * step;
                for (int64_t c = 0; c < n; c++)
                    if (pass == 0)
                        equals[c] += equal(x[o + c], y[c]);
                    else
                        dx[o + c] = equal(x[o + c], y[c]) ? dy[c] / (float)equals[c] : 0;
            }
    }
}

static void reduce_max_grad(KernelCall *k)
{
    Job j = job_of(k);
    int last = j.kept.rank - 1;
    int64_t columns = j.kept.dim[last], stride = j.kept.stride[0][last], tile = j.columns ? TILE : 1;
    int64_t tiles = (columns + tile - 1) / tile, rows = walk_rows(&j.kept);
#pragma omp parallel for if (shape_count(k->in[0].shape) > CPU_SERIAL)
    for (int64_t i = 0; i < rows * tiles; i++) {
        int64_t start = i % tiles * tile, n = columns - start < tile ? columns - start : tile;
        int64_t x = walk_row(&j.kept, i / tiles).offset[0] + start * stride, y = i / tiles * columns + start;
        if (n == 1)
            share(&j, j.x + x, FLOATS(k->in[1]) + y, FLOATS(k->in[2]) + y, FLOATS(k->out[0]) + x, 1);
        else
            share(&j, j.x + x, FLOATS(k->in[1]) + y, FLOATS(k->in[2]) + y, FLOATS(k->out[0]) + x, n);
    }
}

/* Blocks of 16 channels serve sums over whole maps, with or without the batch, and over everything. */
static void formats(FormatChoice *f)
{
    unsigned mask = reduce_mask(f->attrs, f->in_shape[0].rank);
    if (f->in[0] != C16 || (mask != 0xd && mask != 0xc && mask != 0xf))
        f->in[0] = PLAIN;
}

/* The zeros beyond the last channel must not win. */
static void formats_max(FormatChoice *f)
{
    formats(f);
    if (f->in[0] == C16 && reduce_mask(f->attrs, 4) == 0xf && f->in_shape[0].dim[1] % LANES)
        f->in[0] = PLAIN;
}

KERNEL(reduce_sum, cpu) = {.run = reduce_sum, .prepare = prepare, .formats = formats};
KERNEL(reduce_max, cpu) = {.run = reduce_max, .prepare = prepare, .formats = formats_max};
KERNEL(reduce_max_grad, cpu) = {.run = reduce_max_grad};
