/* reference.h - what every file in kernels/reference includes.
 *
 * These kernels are the definition: plain loops over plain tensors, readable, sums in double.  Each file is compiled
 * twice: `real` is float for the backend "reference" and double for "reference64" (finite differences). */
#ifndef KERNELS_REFERENCE_H
#define KERNELS_REFERENCE_H

#include <math.h>
#include <string.h>

#include "engine/op.h"

#ifdef REFERENCE64
#define real double
#define reference reference64
#else
#define real float
#endif

/* Data of operand or result t; NULL for an absent operand. */
#define REAL(t) ((real *)(t).data)
#define INT(t) ((int32_t *)(t).data)
#define BYTES(t) ((uint8_t *)(t).data)
#define COUNT(t) shape_count((t).shape)

#endif
