/* tolerance.h - how far results may differ, and why; the only place for such numbers. */
#ifndef GUISE_TOLERANCE_H
#define GUISE_TOLERANCE_H

/* Finite differences in double: central, step 1e-5, so the truncation is 1e-10 of the third derivative and rounding
 * 1e-11 of the sum; relative to the largest gradient of the operand. */
#define TOLERANCE_FINITE_DIFFERENCE 2e-7
/* Float kernels against the double reference, relative to the largest result: rounding of the operands' products
 * and sums.  The longest sums of the cases have 4,096 terms: sqrt(4096) 2^-24 = 4e-6. */
#define TOLERANCE_FLOAT 1e-5
/* The double reference against PyTorch in double, relative to the largest result: both round at 1.1e-16 and differ in
 * the order of their sums; the longest of the cases have some 1,000 terms. */
#define TOLERANCE_PEER_DOUBLE 1e-13
/* One float for a double. */
#define TOLERANCE_FLOAT_ROUNDING 6e-8
/* Whole networks in double against PyTorch. */
#define TOLERANCE_NETWORK_DOUBLE 1e-11
/* The same in float. */
#define TOLERANCE_NETWORK 1e-5
#define TOLERANCE_NETWORK_GRADIENT 1e-4

#endif
