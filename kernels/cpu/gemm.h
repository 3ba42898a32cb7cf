/* gemm.h - our own matrix product, for builds without oneDNN and for what oneDNN does not serve.
 *
 * C (m,n) = A (m,k) B (k,n), where A and B need not lie in memory as matrices: callers copy strips of them into
 * packed form (for a convolution, B is gathered from the image) and take results tile by tile.
 * Tiles are cut by shape alone, and every element is summed in order of k: results do not depend on threads. */
#ifndef CPU_GEMM_H
#define CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A tile of C is held in registers: GEMM_MR rows of two vectors. */
#if defined __AVX512F__
enum { GEMM_LANES = 16, GEMM_MR = 12 };
#elif defined __AVX__
enum { GEMM_LANES = 8, GEMM_MR = 6 };
#else
enum { GEMM_LANES = 4, GEMM_MR = 4 };
#endif
enum { GEMM_NR = 2 * GEMM_LANES };

typedef struct Gemm {
    int64_t m, n, k;
    const void *context;
    /* to[p][r] = A(row + r, k0 + p) for p < kc and r < rows <= GEMM_MR; rows beyond are zero already. */
    void (*pack_a)(const void *context, int64_t row, int rows, int64_t k0, int64_t kc, float *to);
    /* to[p][c] = B(k0 + p, column + c) for p < kc and c < columns <= GEMM_NR; columns beyond are zero already. */
    void (*pack_b)(const void *context, int64_t column, int columns, int64_t k0, int64_t kc, float *to);
    /* Takes C(row + r, column + c) = tile[r][c]. */
    void (*store)(const void *context, int64_t row, int rows, int64_t column, int columns,
                  const float tile[GEMM_MR][GEMM_NR]);
} Gemm;

/* Bytes of scratch for a product of this size on so many threads; aligned to 64 bytes. */
size_t gemm_workspace(int64_t m, int64_t k, int threads);
void   gemm_run(const Gemm *g, int threads, void *workspace);

/* Row-major matrices: c (m,n) = op(a) op(b) + bias, where op transposes or does nothing; bias (n) or NULL. */
void gemm_matrices(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a,
                   const float *b, const float *bias, float *c, int threads, void *workspace);

#endif
