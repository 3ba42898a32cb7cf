/* matmul.h - matrix product of rank 2, with an optional bias: fully connected layers. */
#ifndef OPS_MATMUL_H
#define OPS_MATMUL_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MatmulAttrs {
    bool transpose_x, transpose_w;
} MatmulAttrs;

/* y (M,N) = op(x) op(w) + b; op(x) is (M,K) and op(w) is (K,N), where op transposes if asked to; b (N) or NONE. */
Val op_matmul(Val x, Val w, Val b, MatmulAttrs a);
/* x (B,K), w (N,K), b (N) or NONE -> (B,N) = x w^T + b, PyTorch's linear. */
Val op_linear(Val x, Val w, Val b);

/* Sizes of a product from the operands' shapes. */
typedef struct MatmulShape {
    int64_t m, n, k;
} MatmulShape;
MatmulShape matmul_shape(const MatmulAttrs *a, Shape x, Shape w);

#ifdef __cplusplus
}
#endif
#endif
