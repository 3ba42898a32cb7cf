/* roofline.h - what this machine can do, measured in the same run as what is compared with it. */
#ifndef GUISE_ROOFLINE_H
#define GUISE_ROOFLINE_H

#include "engine/device.h"

typedef struct Roofline {
    double flop_rate;       /* FLOP/s: independent float multiply-adds in registers on all threads, 2 FLOP each; on
                             * CUDA a large product of the op matmul in the precision that plans compute in */
    double products[3];     /* that in each Precision, 0 where it is not to be had */
    double byte_rate;       /* B/s of a copy of memory far larger than the caches, reads and writes counted */
    char   machine[160];    /* processor and its clock as the system states it, or the device */
} Roofline;

/* Measures on a device of this name for about half a second; 0 or -1.  On CUDA matrices have a side of 8192 and 512 MiB
 * are copied; GUISE_ROOFLINE=N takes a side of N and copies 8 N N bytes, for devices that are only emulated. */
int roofline_measure(const char *device, Roofline *out);

/* Seconds of a monotonic clock. */
double seconds_now(void);
/* Seconds of `times` runs of work(what), which are queued on the device one behind the other; by its own clock where it
 * has one.  work returns 0 or -1; the result is negative with error_text() when something failed. */
double seconds_on(Device *d, int (*work)(void *what), void *what, int times);

/* Memory that is swept so that nothing of before is left in the caches; twice the last-level cache. */
typedef struct Sweep {
    Device *device;
    char   *memory;
    size_t  bytes;
} Sweep;
int  sweep_open(Sweep *s, Device *device);
void sweep_caches(Sweep *s);
void sweep_close(Sweep *s);

/* Median of n numbers, which are sorted by it. */
double median_of(double *x, int n);

/* Median and quartiles of n > 0 numbers, which are sorted by it; between two numbers along a straight line. */
typedef struct Quartiles {
    int n;
    double q1, median, q3;
} Quartiles;
Quartiles quartiles_of(double *x, int n);

#endif
