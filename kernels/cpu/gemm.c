/* gemm.c - see gemm.h.  After Goto, van de Geijn, "Anatomy of high-performance matrix multiplication", 2008: packed
 * strips, a tile of C in registers, blocks sized for the caches. */
#include "kernels/cpu/gemm.h"

#include <string.h>

typedef float Lanes __attribute__((vector_size(GEMM_LANES * sizeof(float)), aligned(4), may_alias));

enum {
    KC = 384,               /* depth of a block: a strip of A (KC x MR) stays in the first-level cache */
    M_STRIPS = 16,          /* strips of A a task: its sums stay in the second-level cache */
    N_STRIPS = 2,           /* strips of B a task */
};

typedef float Tile[GEMM_MR][GEMM_NR];

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* tile += a^T b over kc steps.  The compiler is told to contract to fused multiply-adds. */
static void multiply_tile(int64_t kc, const float *a, const float *b, Tile tile)
{
    Lanes sum[GEMM_MR][2];
#pragma GCC unroll 12
    for (int r = 0; r < GEMM_MR; r++)
        for (int v = 0; v < 2; v++)
            sum[r][v] = *(const Lanes *)&tile[r][v * GEMM_LANES];
    for (int64_t p = 0; p < kc; p++, a += GEMM_MR, b += GEMM_NR) {
        Lanes b0 = *(const Lanes *)b, b1 = *(const Lanes *)(b + GEMM_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < GEMM_MR; r++) {
            Lanes x = a[r] - (Lanes){0};
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < GEMM_MR; r++)
        for (int v = 0; v < 2; v++)
            *(Lanes *)&tile[r][v * GEMM_LANES] = sum[r][v];
}

enum { THREAD_FLOATS = N_STRIPS * KC * GEMM_NR + M_STRIPS * N_STRIPS * GEMM_MR * GEMM_NR };

size_t gemm_workspace(int64_t m, int64_t k, int threads)
{
    size_t a = (size_t)(ceil_div(m, GEMM_MR) * GEMM_MR * k + 15) / 16 * 16;
    return sizeof(float) * (a + (size_t)threads * THREAD_FLOATS);
}

/* One block of C: M_STRIPS x N_STRIPS tiles, over all of k. */
static void run_task(const Gemm *g, const float *a, int64_t strip_m, int64_t strip_n, float *scratch)
{
    float *b = scratch;
    Tile *tiles = (Tile *)(scratch + N_STRIPS * KC * GEMM_NR);
    int64_t strips_m = ceil_div(g->m, GEMM_MR), strips_n = ceil_div(g->n, GEMM_NR);
    int nm = (int)(strips_m - strip_m < M_STRIPS ? strips_m - strip_m : M_STRIPS);
    int nn = (int)(strips_n - strip_n < N_STRIPS ? strips_n - strip_n : N_STRIPS);
    memset(tiles, 0, sizeof(Tile) * M_STRIPS * N_STRIPS);
    for (int64_t k0 = 0; k0 < g->k; k0 += KC) {
        int64_t kc = g->k - k0 < KC ? g->k - k0 : KC;
        for (int j = 0; j < nn; j++) {
            int64_t column = (strip_n + j) * GEMM_NR;
            int columns = (int)(g->n - column < GEMM_NR ? g->n - column : GEMM_NR);
            float *to = b + (size_t)j * KC * GEMM_NR;
            if (columns < GEMM_NR)
                memset(to, 0, sizeof(float) * (size_t)kc * GEMM_NR);
            g->pack_b(g->context, column, columns, k0, kc, to);
        }
        for (int i = 0; i < nm; i++)
            for (int j = 0; j < nn; j++)
                multiply_tile(kc, a + ((strip_m + i) * g->k + k0) * GEMM_MR, b + (size_t)j * KC * GEMM_NR,
                              tiles[i * N_STRIPS + j]);
    }
    for (int i = 0; i < nm; i++)
        for (int j = 0; j < nn; j++) {
            int64_t row = (strip_m + i) * GEMM_MR, column = (strip_n + j) * GEMM_NR;
            g->store(g->context, row, (int)(g->m - row < GEMM_MR ? g->m - row : GEMM_MR), column,
                     (int)(g->n - column < GEMM_NR ? g->n - column : GEMM_NR),
                     (const float(*)[GEMM_NR])tiles[i * N_STRIPS + j]);
        }
}

void gemm_run(const Gemm *g, int threads, void *workspace)
{
    int64_t strips_m = ceil_div(g->m, GEMM_MR), strips_n = ceil_div(g->n, GEMM_NR);
    int64_t blocks_m = ceil_div(strips_m, M_STRIPS), tasks = blocks_m * ceil_div(strips_n, N_STRIPS);
    float *a = workspace, *scratch = a + (size_t)(strips_m * GEMM_MR * g->k + 15) / 16 * 16;
    int64_t next = 0;
#pragma omp parallel num_threads(threads) if ((double)g->m * (double)g->n * (double)g->k > 1e5)
    {
#pragma omp for
        for (int64_t i = 0; i < strips_m; i++) {
            int rows = (int)(g->m - i * GEMM_MR < GEMM_MR ? g->m - i * GEMM_MR : GEMM_MR);
            float *to = a + i * GEMM_MR * g->k;
            if (rows < GEMM_MR)
                memset(to, 0, sizeof(float) * (size_t)(GEMM_MR * g->k));
            g->pack_a(g->context, i * GEMM_MR, rows, 0, g->k, to);
        }
        float *mine = NULL;
#pragma omp critical(gemm_scratch)
        mine = scratch + next++ * THREAD_FLOATS;
#pragma omp for schedule(dynamic)
        for (int64_t t = 0; t < tasks; t++)
            run_task(g, a, t % blocks_m * M_STRIPS, t / blocks_m * N_STRIPS, mine);
    }
}

/* ---------------------------------------------------------------- plain matrices */
typedef struct Matrices {
    const float *a, *b, *bias;
    float *c;
    int64_t a_row, a_k, b_k, b_column, n;   /* strides */
} Matrices;

static void matrix_pack_a(const void *context, int64_t row, int rows, int64_t k0, int64_t kc, float *to)
{
    const Matrices *x = context;
    for (int64_t p = 0; p < kc; p++)
        for (int r = 0; r < rows; r++)
            to[p * GEMM_MR + r] = x->a[(row + r) * x->a_row + (k0 + p) * x->a_k];
}

static void matrix_pack_b(const void *context, int64_t column, int columns, int64_t k0, int64_t kc, float *to)
{
    const Matrices *x = context;
    if (x->b_column == 1)
        for (int64_t p = 0; p < kc; p++)
            memcpy(to + p * GEMM_NR, x->b + (k0 + p) * x->b_k + column, sizeof(float) * (size_t)columns);
    else
        for (int c = 0; c < columns; c++)
            for (int64_t p = 0; p < kc; p++)
                to[p * GEMM_NR + c] = x->b[(k0 + p) * x->b_k + (column + c) * x->b_column];
}

static void matrix_store(const void *context, int64_t row, int rows, int64_t column, int columns,
                         const float tile[GEMM_MR][GEMM_NR])
{
    const Matrices *x = context;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            x->c[(row + r) * x->n + column + c] = tile[r][c] + (x->bias ? x->bias[column + c] : 0);
}

void gemm_matrices(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                   const float *b, const float *bias, float *c, int threads, void *workspace)
{
    Matrices x = {a, b, bias, c, transpose_a ? 1 : k, transpose_a ? m : 1, transpose_b ? 1 : n, transpose_b ? k : 1, n};
    Gemm g = {m, n, k, &x, matrix_pack_a, matrix_pack_b, matrix_store};
    gemm_run(&g, threads, workspace);
}
