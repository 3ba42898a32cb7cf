/* pictures.c - see pictures.h. */
#include "experiments/common/pictures.h"

#include "data/layouts.h"
#include "engine/error.h"
#include "experiments/common/progress.h"

int pictures_list(const Options *o, Manifest *out)
{
    Told told = {.most = FACES_MAX_LINES, .what = "left out"};
    *out = (Manifest){0};
    if (o->data == DATA_MANIFEST)
        return manifest_load(o->data_path, out, FACES_MAX_LINES);
    if (o->data == DATA_FOLDER)
        return layout_read("folder", o->data_path, &(LayoutOpts){.told = &told}, out);
    return fail("--data %s: folder:PATH or manifest:PATH was expected", o->data_spec);
}

int pictures_watch(void *progress, int done, int total)
{
    Progress *p = progress;
    p->total = total;
    progress_step(p, done, " ");
    return 0;
}

int pictures_read(const Context *x, const char *what, Manifest *list, int size, Faces *out)
{
    Progress p;
    progress_begin(&p, what, "pictures", list->n, 0, x->quiet);
    if (faces_read(list, size, out, pictures_watch, &p))
        return -1;
    progress_end(&p);
    return 0;
}

int pictures_pack(const Context *x, const char *what, Manifest *list, int size, const char *path)
{
    Progress p;
    progress_begin(&p, what, "pictures", list->n, 0, x->quiet);
    if (faces_pack(list, size, path, pictures_watch, &p))
        return -1;
    progress_end(&p);
    return 0;
}
