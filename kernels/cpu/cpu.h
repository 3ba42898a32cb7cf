/* cpu.h - what every file in kernels/cpu includes.
 *
 * Fast float kernels on OpenMP threads and the compiler's vector units.  Sums are split into chunks of fixed size,
 * never by thread, so that results do not depend on the number of threads.  An op without a file here runs its
 * reference kernel. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include <math.h>
#include <string.h>

#include "engine/op.h"

/* Floats of operand or result t; NULL for an absent operand. */
#define FLOATS(t) ((float *)(t).data)
#define INT(t) ((int32_t *)(t).data)
#define BYTES(t) ((uint8_t *)(t).data)
/* Physical elements, padding of C16 included: what an elementwise kernel walks over. */
static inline int64_t cpu_elements(const Tensor *t)
{
    return (int64_t)(tensor_bytes(t, 4) / 4);
}
/* Loops shorter than this run on one thread: starting a team costs about as much. */
enum { CPU_SERIAL = 16384 };

#endif
