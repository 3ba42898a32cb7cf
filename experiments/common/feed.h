/* feed.h - how the pictures of a training reach its steps: all of them lie on the device, from where a step takes them by
 * their numbers, or they go there batch by batch.  The numbers that come out are the same to the bit. */
#ifndef GUISE_FEED_H
#define GUISE_FEED_H

#include "data/faces.h"
#include "experiments/common/context.h"

typedef struct Feed {
    Prog *p;
    Val set;        /* U8 (room,3,S,S) for RecogniserOpts.set and SynthesisOpts.set; NONE: pictures go with each step */
    Val vectors;    /* (room,D) for SynthesisOpts.vectors, or NONE */
    int room;
} Feed;

/* Room for n pictures on the store's device, and for a vector of `dim` numbers with each (0: none), unless its memory is
 * the host's or run.set_mib is exceeded.  Programs that use it must be freed first. */
void feed_open(Feed *f, const Context *x, Store *s, int n, int dim);
void feed_close(Feed *f);
/* Whether feed_open would now do otherwise for n pictures. */
bool feed_outgrown(const Feed *f, const Context *x, const Store *s, int n, int dim);
/* Uploads a set of at most that many, and its vectors (n, dim) or NULL; does nothing without room.  0 or -1. */
int  feed_fill(Feed *f, const Faces *faces, const float *vectors);

#endif
