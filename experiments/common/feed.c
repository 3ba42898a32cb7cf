/* feed.c - see feed.h. */
#include "experiments/common/feed.h"

static bool wanted(const Context *x, const Store *s, int n, int dim)
{
    double side = (double)config_int(x->config, "data.size");
    return !store_on_host(s) && (3 * side * side + 4 * dim) * n <= 1048576.0 * (double)config_int(x->config, "run.set_mib");
}

void feed_open(Feed *f, const Context *x, Store *s, int n, int dim)
{
    int side = (int)config_int(x->config, "data.size");
    *f = (Feed){0};
    if (!wanted(x, s, n, dim))
        return;
    f->p = prog_create(s);
    f->set = prog_input(f->p, "set", U8, SHAPE(n, 3, side, side));
    f->vectors = dim ? prog_input(f->p, "vectors", F32, SHAPE(n, dim)) : NONE;
    f->room = n;
    if (prog_error(f->p))   /* no memory: they go with each step */
        feed_close(f);
}

void feed_close(Feed *f)
{
    prog_free(f->p);
    *f = (Feed){0};
}

bool feed_outgrown(const Feed *f, const Context *x, const Store *s, int n, int dim)
{
    return f->p ? n > f->room : wanted(x, s, n, dim);
}

int feed_fill(Feed *f, const Faces *faces, const float *vectors)
{
    if (!f->p)
        return 0;
    return prog_write_rows(f->p, f->set, 0, faces->n, faces->pixels) ||
           (val_ok(f->vectors) && prog_write_rows(f->p, f->vectors, 0, faces->n, vectors)) ? -1 : 0;
}
