/* tolerance.h - how far results may differ, and why; the only place for such numbers. */
#ifndef GUISE_TOLERANCE_H
#define GUISE_TOLERANCE_H

/* Finite differences in double: central, step 1e-5, so the truncation is 1e-10 of the third derivative and rounding
 * 1e-11 of the sum; relative to the largest gradient of the operand. */
#define TOLERANCE_FINITE_DIFFERENCE 2e-7
/* Float kernels against the double reference, relative to the largest result: rounding of the operands' products
 * and sums.  The longest sums of the cases have 4,096 terms: sqrt(4096) 2^-24 = 4e-6. */
#define TOLERANCE_FLOAT 1e-5
/* A result in bfloat16, relative to itself: half a step of 7 bits behind the leading one. */
#define TOLERANCE_BF16_ROUNDING 0x1p-8
/* A batch norm folded into weights of bfloat16 against one behind a map of bfloat16, relative to the largest result:
 * both round operands, sums and what is added once, each at other places; 6e-3 was measured. */
#define TOLERANCE_FOLDED_BF16 2e-2
/* A step of small networks in bfloat16 against double, batch 4 or 8: losses relative to themselves (8e-3 was measured,
 * of ArcFace, whose scale multiplies what its cosines are off), cosines of gradients as one vector a network (0.96 was
 * measured) and of one parameter (0.81: of 8 offsets in front of the picture).  Most of it is rectifiers whose input
 * lies within rounding of 0 and batch norms over few values; with operands alone in bfloat16, the CPU's way, one
 * parameter gives 0.93. */
#define TOLERANCE_BF16_LOSS 2e-2
#define TOLERANCE_BF16_COSINE 0.93
#define TOLERANCE_BF16_LEAST_COSINE 0.7
/* The same with products in TF32, of 10 bits; emulated ones are exact. */
#define TOLERANCE_TF32_LOSS 5e-3
#define TOLERANCE_TF32_COSINE 0.97
/* A matrix product of 33 terms in TF32, relative to the largest: 2^-11 a factor. */
#define TOLERANCE_TF32_PRODUCT 1e-3
/* The double reference against PyTorch in double, relative to the largest result: both round at 1.1e-16 and differ in
 * the order of their sums; the longest of the cases have some 1,000 terms. */
#define TOLERANCE_PEER_DOUBLE 1e-13
/* Half a unit in the last place of a float, for doubles that were read through one. */
#define TOLERANCE_FLOAT_ROUNDING 6e-8
/* Small networks in double against PyTorch, results and gradients: up to 15 layers, and batch normalisation behind a
 * 1x1 map divides by the deviations of 8 values; 8e-14 was measured. */
#define TOLERANCE_NETWORK_DOUBLE 1e-12
/* The same in float, 2^29 times coarser; sums in double and short ones keep most of that away.  Winograd's transforms
 * cost a digit, and gradients pass every layer twice: 7e-6 and 4e-5 were measured. */
#define TOLERANCE_NETWORK 3e-5
#define TOLERANCE_NETWORK_GRADIENT 2e-4
/* Four training steps in double against PyTorch: the engine's attributes are floats (1/N of means, lambdas), 3e-8
 * each, and Adam divides by the size of the gradient, so that small ones bring their whole error: 3e-7 and 4e-6 were
 * measured. */
#define TOLERANCE_STEP_DOUBLE 1e-6
#define TOLERANCE_STEP_MOVED_DOUBLE 2e-5
/* The same in float: scales of batch normalisation are near 1, where a float has steps of 6e-8 to 1.2e-7, and move by
 * 1e-4 a step: 4e-4 was measured. */
#define TOLERANCE_STEP_MOVED 2e-3
/* Random programs of up to 30 ops in float against double, relative to the largest number of an output or 1: some ten
 * roundings of sums of up to 400 terms in a row, and batch norms over as few as four values (1/sqrt(0.01) at most)
 * that each can make the error ten times as large. */
#define TOLERANCE_RANDOM_PROGRAM 1e-4
/* Three steps of whole small networks in float against double: relative to each loss and to the largest number; 5e-6
 * and 5e-7 were measured. */
#define TOLERANCE_WHOLE_LOSS 3e-5
#define TOLERANCE_WHOLE_PICTURE 1e-5
/* Parameters, relative to the most that one of the tensor moved, 3e-4 in three steps: a float's step at 1 is 4e-4 of
 * that, and as Adam divides by the size of the gradient the rounding of small ones counts in full: 2e-3 was measured. */
#define TOLERANCE_WHOLE_MOVED 1e-2
/* The paper's networks at full size in float against PyTorch in double, sums under random signs relative to a tensor's
 * length: 4e-6 to 1e-5 were measured, by PyTorch itself in float as well. */
#define TOLERANCE_FULL_SIZE 5e-5
#define TOLERANCE_FULL_SIZE_GRADIENT 1e-4
/* Gradients where an input of a rectifier lies as near to 0 as rounding reaches: on its other side, gradients of all
 * layers in front change.  PyTorch in float is off PyTorch in double by 0.006 (G) and 0.024 (ResNet-50 at 224); so is
 * ResNet-50 at 128 by 0.020 in a build for x86-64 without fused operations. */
#define TOLERANCE_FULL_SIZE_KINK 5e-2

#endif
