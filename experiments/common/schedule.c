/* schedule.c - see schedule.h. */
#include "experiments/common/schedule.h"

#include <math.h>

Schedule schedule_begin(const Config *c)
{
    return (Schedule){.rate = config_float(c, "recognition.lr_first"), .best_eer = INFINITY};
}

int schedule_epoch(Schedule *s, const Config *c, double eer, Store *store, Snapshot **best)
{
    int64_t most = config_int(c, "recognition.max_epochs");
    if (!isfinite(eer))
        return fail("recognition: the EER of epoch %.0f is not a number; lower recognition.lr_first", s->epoch + 1);
    s->epoch++;
    s->stale++;
    if (eer < s->best_eer) {
        s->best_eer = eer;
        s->best_epoch = s->epoch;
        s->stale = 0;
        snapshot_free(*best);
        *best = snapshot_take(store);
        if (!*best)
            return -1;
    }
    bool lower = s->stale >= (double)config_int(c, "recognition.patience");
    if (lower) {
        s->rate /= 10;
        s->stale = 0;
    }
    /* 0.99: divisions by 10 leave rounding behind */
    s->finished = (lower && s->rate < 0.99 * config_float(c, "recognition.lr_last")) ||
                  (most && s->epoch >= (double)most);
    if (!lower && !s->finished)
        return 0;
    return snapshot_restore(*best, store) ||
           (config_bool(c, "recognition.fresh_adam") && store_reset(store, "adam.", 0)) ? -1 : 0;
}
