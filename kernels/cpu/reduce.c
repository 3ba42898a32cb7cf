/* reduce.c - sums in two steps: chunks of fixed size in parallel, each in double, then the chunks in order.
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

static void sum_rows(const Job *j)
{
    int64_t last = j->kept.dim[j->kept.rank - 1], stride = j->kept.stride[0][j->kept.rank - 1];
    int64_t units = j->outputs * j->chunks.count;
#pragma omp parallel for if (units * j->chunks.size > CPU_SERIAL)
    for (int64_t i = 0; i < units; i++) {
        int64_t output = i / j->chunks.count, chunk = i % j->chunks.count;
        Unit u = unit_at(&j->chunks, chunk);
        const float *base = j->x + walk_row(&j->kept, output / last).offset[0] + output % last * stride + u.start;
        WalkAt at = walk_row(&j->summed, u.first);
        double total = 0;
        for (int64_t r = u.first; r < u.end; r++) {
            const float *x = base + at.offset[0];
            double sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t e = 0; e < u.n; e++)
                sum += x[e];
            total += sum;
            walk_next(&j->summed, &at);
        }
        j->partial[chunk * j->outputs + output] = total;
    }
}

static void sum_columns(const Job *j)
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
        double sum[TILE] = {0};
        for (int64_t r = u.first; r < u.end; r++) {
            const float *x = base + at.offset[0];
            for (int64_t e = 0; e < u.n; e++, x += stride)
#pragma omp simd
                for (int64_t c = 0; c < n; c++)
                    sum[c] += x[c];
            walk_next(&j->summed, &at);
        }
        memcpy(j->partial + chunk * j->outputs + row * columns + start, sum, (size_t)n * sizeof *sum);
    }
}

static void reduce_sum(KernelCall *k)
{
    Job j = job_of(k);
    if (j.chunks.count && j.columns)
        sum_columns(&j);
    else if (j.chunks.count)
        sum_rows(&j);
    const Tensor *x = &k->in[0];
    float *y = FLOATS(k->out[0]);
    bool padded = x->format == C16 && j.outputs > 1;
    int64_t wide = padded ? channel_blocks(x->shape.dim[1]) * LANES : 1, narrow = padded ? x->shape.dim[1] : 1;
#pragma omp parallel for if (j.outputs * j.chunks.count > CPU_SERIAL)
    for (int64_t i = 0; i < j.outputs / wide * narrow; i++) {
        double sum = 0;
        for (int64_t c = 0; c < j.chunks.count; c++)
            sum += j.partial[c * j.outputs + i / narrow * wide + i % narrow];
        y[i] = (float)sum;
    }
}

/* Blocks of 16 channels serve sums over whole maps, with or without the batch, and over everything. */
static void formats(FormatChoice *f)
{
    unsigned mask = reduce_mask(f->attrs, f->in_shape[0].rank);
    if (f->in[0] != C16 || (mask != 0xd && mask != 0xc && mask != 0xf))
        f->in[0] = PLAIN;
}

KERNEL(reduce_sum, cpu) = {.run = reduce_sum, .prepare = prepare, .formats = formats};
