/* onednn.h - the part of oneDNN that we use, behind structs of our own.  Versions 2 and 3 of its C interface differ;
 * only onednn.c knows.  Without HAVE_ONEDNN everything here says "not available" and callers take their own path. */
#ifndef CPU_ONEDNN_H
#define CPU_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>

#include "engine/op.h"
#include "engine/ops/conv2d.h"

typedef enum ConvDirection {
    CONV_FORWARD,            /* x, w, bias -> y */
    CONV_BACKWARD_DATA,      /* y, w -> x */
    CONV_BACKWARD_WEIGHTS,   /* x, y -> w */
} ConvDirection;

typedef struct OnednnConvSpec {
    ConvShape shape;
    ConvDirection direction;
    Format x, y;             /* PLAIN, C16 or C16_BF16; operands in bfloat16 make the packed weights that, too */
    bool bias;               /* CONV_FORWARD only */
    bool winograd;
} OnednnConvSpec;

typedef struct OnednnConv OnednnConv;

/* True where the blocked format C16 has fast kernels: oneDNN is there and the processor has AVX-512. */
bool onednn_blocked(void);
/* True where there are kernels for bfloat16: oneDNN is there and the processor has AVX512_BF16; or even AMX. */
bool onednn_bf16(void);
bool onednn_amx(void);
/* NULL when oneDNN has no optimised kernel for exactly this. */
OnednnConv *onednn_conv_create(const OnednnConvSpec *spec);
/* Whether there is one: quicker than making it. */
bool onednn_conv_possible(const OnednnConvSpec *spec);
void onednn_conv_free(OnednnConv *c);
/* Scratch for a run: aligned to 64 bytes. */
size_t onednn_conv_workspace(const OnednnConv *c);
/* Bytes of w in the order that the kernel reads (backward weights: writes); two kernels may share one copy when
 * they pack alike. */
size_t onednn_conv_packed_bytes(const OnednnConv *c);
bool onednn_conv_packs_alike(const OnednnConv *a, const OnednnConv *b);
/* True if that order is (F, C/groups, KH, KW) itself. */
bool onednn_conv_packs_nothing(const OnednnConv *c);
/* w (F, C/groups, KH, KW) into that order and type, and back. */
int onednn_conv_pack(OnednnConv *c, const float *w, void *packed);
int onednn_conv_unpack(OnednnConv *c, const void *packed, float *w);
/* Reads two and writes the third of x, packed, y; bias may be NULL.  0 or -1 with error_text(). */
int onednn_conv_run(OnednnConv *c, void *x, void *packed, const float *bias, void *y, void *workspace);
/* oneDNN's name of the kernel, for messages. */
const char *onednn_conv_kernel(const OnednnConv *c);

/* Row-major c (m,n) = op(a) op(b), op a transposition or nothing; false when oneDNN is not there.
 * 0 in *status, or -1 with error_text(). */
bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                  const float *b, int64_t ldb, float *c, int64_t ldc, int *status);
/* "oneDNN 2.6.3, avx512_core", or "none". */
const char *onednn_version(void);

#endif
