/* schedule.h - when the training of a recogniser lowers its rate, goes back to its best epoch and ends: section 4.2.2
 * of the paper, inventory items 49 and 97. */
#ifndef GUISE_SCHEDULE_H
#define GUISE_SCHEDULE_H

#include "experiments/common/checkpoint.h"
#include "experiments/common/config.h"

/* The loop's own numbers, doubles because a checkpoint keeps them so. */
typedef struct Schedule {
    double epoch;                    /* epochs done */
    double stale;                    /* of them, those since the best one or the last division */
    double rate;                     /* Adam's, of the next epoch */
    double best_eer, best_epoch;
    double finished;                 /* 1 at the end */
} Schedule;
enum { SCHEDULE_NUMBERS = sizeof(Schedule) / sizeof(double) };

/* Before the first epoch: recognition.lr_first, no best epoch. */
Schedule schedule_begin(const Config *c);

/* An epoch ended with this EER on Validation.  One that is lower than all before is kept in *best (the whole store).
 * After recognition.patience epochs without a better one the rate is divided by 10 and the store becomes the best
 * epoch's again, Adam's moments at zero (recognition.fresh_adam); after the last rate (recognition.lr_last), or after
 * recognition.max_epochs in all, the schedule is finished and the store is the best epoch's.  0 or -1. */
int schedule_epoch(Schedule *s, const Config *c, double eer, Store *store, Snapshot **best);

#endif
