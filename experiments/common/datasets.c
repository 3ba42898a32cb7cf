/* datasets.c - rendering face sets with the trained synthesis network (inventory items 36, 37, 99, 100). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/common/progress.h"
#include "experiments/common/sheet.h"
#include "experiments/common/synthesis.h"

enum { RENDER_BATCH = 16, SHOWN = 8 };

static const char *const sections[] = {"data.size", "identity", "synthesis", "run.seed", NULL};

/* A float of [-1, 1] as a byte, the inverse of bytes / 127.5 - 1. */
static uint8_t to_byte(float v)
{
    float b = (v + 1) * 127.5f + 0.5f;
    return (uint8_t)(b < 0 ? 0 : b > 255 ? 255 : b);
}

static int render_all(Context *x, SynthesisStep *s, const uint8_t *attributes, const float *vectors, int n,
                      uint8_t *made, const char *name)
{
    size_t image = (size_t)shape_count(val_shape(s->pixels)) / (size_t)s->batch;
    size_t dim = (size_t)val_dim(s->identity, 1), batch = (size_t)s->batch;
    uint8_t *pixels = must_zalloc(image * batch);
    float *rows = must_zalloc(sizeof *rows * dim * batch), *out = must_alloc(sizeof *out * image * batch);
    Progress progress;
    int bad = 0;
    progress_begin(&progress, name, "pictures", n, 0, x->quiet);
    for (int i = 0; i < n && !bad; i += s->batch) {
        size_t m = n - i < s->batch ? (size_t)(n - i) : batch;
        memcpy(pixels, attributes + image * (size_t)i, image * m);
        memcpy(rows, vectors + dim * (size_t)i, sizeof *rows * dim * m);
        bad = prog_write(s->p, s->pixels, pixels) || prog_write(s->p, s->identity, rows) || plan_run(s->plan) ||
              plan_read(s->plan, s->image, out);
        for (size_t k = 0; k < image * m && !bad; k++)
            made[image * (size_t)i + k] = to_byte(out[k]);
        progress_step(&progress, i + (int)m, " ");
    }
    if (!bad)
        progress_end(&progress);
    free(pixels);
    free(rows);
    free(out);
    return bad ? -1 : 0;
}

int synthesis_render(Context *x, const Synthesis *made_by, const uint8_t *attributes, const float *vectors, int n,
                     uint8_t *made, const char *name)
{
    bool sampled = !strcmp(config_text(x->config, "synthesis.render"), "sampled");
    Store *store = store_create(x->device, (uint64_t)config_int(x->config, "run.seed"));
    SynthesisStep *s = store ? synthesis_render_create(store, context_synthesis(x), RENDER_BATCH, sampled) : NULL;
    int bad = !s || store_load(store, made_by->weights, "A.|G.") ||
              render_all(x, s, attributes, vectors, n, made, name);
    synthesis_step_free(s);
    store_free(store);
    return bad ? -1 : 0;
}

/* Mean of the identity vectors of each person's images, back on the unit sphere (item 99): (people, D). */
static void mean_vectors(const Faces *f, const float *vectors, int dim, float *means)
{
    memset(means, 0, sizeof *means * (size_t)f->people * (size_t)dim);
    for (int i = 0; i < f->n; i++)
        for (int k = 0; k < dim; k++)
            means[(size_t)f->person[i] * (size_t)dim + (size_t)k] += vectors[(size_t)i * (size_t)dim + (size_t)k];
    for (int p = 0; p < f->people; p++) {
        float *m = means + (size_t)p * (size_t)dim;
        double square = 0;
        for (int k = 0; k < dim; k++)
            square += (double)m[k] * m[k];
        for (int k = 0; k < dim; k++)
            m[k] = (float)(m[k] / sqrt(square > 0 ? square : 1));
    }
}

/* Everything of a set but its pixels: the same people with these counts, sources say what they are made of. */
static Faces like(const Faces *f, const int *donor, const int *first)
{
    int n = 0;
    for (int p = 0; p < f->people; p++)
        n += first[donor[p] + 1] - first[donor[p]];
    Faces out = faces_create(n, f->size, f->people);
    int k = 0;
    for (int p = 0; p < f->people; p++) {
        out.names[p] = must_strdup(f->names[p]);
        for (int i = first[donor[p]]; i < first[donor[p] + 1]; i++, k++) {
            out.person[k] = p;
            out.sources[k] = must_printf("%s with %s", f->names[p], f->sources[i]);
        }
    }
    return out;
}

static int make(Context *x, const World *w, const Identity *id, const Synthesis *s, Datasets *d)
{
    const Faces *f = &w->original;
    int dim = context_identity(x).embedding, people = f->people, *first = faces_first(f);
    float *vectors = must_alloc(sizeof *vectors * (size_t)f->n * (size_t)dim);
    float *means = must_alloc(sizeof *means * (size_t)people * (size_t)dim);
    float *rows = must_alloc(sizeof *rows * (size_t)f->n * (size_t)dim);
    uint8_t *pixels = must_alloc(faces_bytes(f) * (size_t)f->n);
    int *donor = must_alloc(sizeof *donor * (size_t)people), k = 0;
    for (int p = 0; p < people; p++)
        donor[p] = p;
    d->reconstructed = like(f, donor, first);
    int bad = identity_vectors(x, id, f->pixels, f->n, vectors) ||
              synthesis_render(x, s, f->pixels, vectors, f->n, d->reconstructed.pixels, "Reconstructed");
    mean_vectors(f, vectors, dim, means);
    derangement(people, (uint64_t)config_int(x->config, "run.seed"), donor);
    d->new_faces = like(f, donor, first);
    for (int p = 0; p < people; p++)
        for (int i = first[donor[p]]; i < first[donor[p] + 1]; i++, k++) {
            memcpy(pixels + faces_bytes(f) * (size_t)k, f->pixels + faces_bytes(f) * (size_t)i, faces_bytes(f));
            memcpy(rows + (size_t)k * (size_t)dim, means + (size_t)p * (size_t)dim, sizeof *rows * (size_t)dim);
        }
    bad = bad || synthesis_render(x, s, pixels, rows, f->n, d->new_faces.pixels, "New Faces");
    free(first);
    free(vectors);
    free(means);
    free(rows);
    free(pixels);
    free(donor);
    return bad ? -1 : 0;
}

/* Columns are people; rows: Original, Reconstructed, New Faces. */
static int draw(const World *w, const Datasets *d, const char *path)
{
    const Faces *sets[] = {&w->original, &d->reconstructed, &d->new_faces};
    int columns = w->original.people < SHOWN ? w->original.people : SHOWN;
    Sheet sheet = sheet_create(columns, 3, w->original.size, 2);
    for (int row = 0; row < 3; row++) {
        int *first = faces_first(sets[row]);
        for (int i = 0; i < columns; i++)
            sheet_bytes(&sheet, i, row, sets[row]->pixels + faces_bytes(sets[row]) * (size_t)first[i]);
        free(first);
    }
    int bad = sheet_write(&sheet, path);
    sheet_free(&sheet);
    return bad;
}

int datasets_open(Context *x, const World *w, const Identity *id, const Synthesis *s, Datasets *out)
{
    Hash inputs[] = {w->hash, id->hash, s->hash};
    *out = (Datasets){0};
    Stage *stage = context_stage(x, "datasets", 1, sections, NULL, inputs, 3);
    if (!stage)
        return -1;
    char *one = stage_path(stage, "reconstructed.faces"), *two = stage_path(stage, "new_faces.faces");
    char *picture = stage_path(stage, "faces.png");
    int bad = 0;
    if (!stage->done)
        bad = make(x, w, id, s, out) || faces_save(&out->reconstructed, one) || faces_save(&out->new_faces, two) ||
              draw(w, out, picture) || stage_done(stage);
    else if (faces_load(one, &out->reconstructed) || faces_load(two, &out->new_faces))
        bad = stage_damaged(stage);
    free(one);
    free(two);
    free(picture);
    out->picture = stage_path(stage, "faces.png");
    out->hash = stage->hash;
    stage_leave(stage);
    if (bad)
        datasets_free(out);
    return bad ? -1 : 0;
}

void datasets_free(Datasets *d)
{
    faces_free(&d->reconstructed);
    faces_free(&d->new_faces);
    free(d->picture);
    *d = (Datasets){0};
}
