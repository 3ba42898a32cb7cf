/* opbench.h - how fast one op is alone: cold caches, medians, and how near that is to what the machine can do. */
#ifndef GUISE_OPBENCH_H
#define GUISE_OPBENCH_H

#include "experiments/common/roofline.h"

/* One kernel of one case. */
typedef struct OpTiming {
    const char *op;             /* the op itself, or one of those that its gradient is made of */
    char   chosen[32];          /* the kernel's algorithm, "" if it has but one */
    double seconds;             /* median */
    int    runs;
    double flop, bytes;         /* by the op's own formulas */
} OpTiming;

enum { OP_TIMINGS_MAX = 64 };

/* Times every kernel of the case `c` on a device, forward and, if asked, backward; conversions between formats are
 * left out unless they are what is timed.  Before each run the caches are swept.  Numbers are those of the op's cases.
 * The number of timings, or -1 with error_text(). */
int opbench_run(const OpDef *op, const OpCase *c, const char *device, bool grad, OpTiming *timings);

/* Times one kernel of a plan once, from cold caches.  The whole plan runs before, since kernels that work in place
 * change what they read.  0 or -1. */
int opbench_once(Plan *plan, int step, Sweep *sweep, double *seconds);

#endif
