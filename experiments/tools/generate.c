/* generate.c - faces with the identity of one picture and the attributes of another, by a trained synthesis network.
 *
 *     generate --run runs/quick --identity a.png --attributes b.png --out faces
 *     generate --checkpoint synthesis.safetensors --identity-weights identity.safetensors ...
 *     generate --run R --identity a.png --identity b.png --attributes c.png --attributes d.png --grid --out D
 *     generate --run R --identity a.png --identity b.png --attributes c.png --interpolate 9 --out D
 *
 * Without --grid and --interpolate, picture k has the k-th identity and the k-th attributes; a single one of either
 * goes with all of the other.  --grid makes every combination and lays them out as figure 7 of the paper: identities
 * in the top row, attributes in the first column.  --interpolate N goes from the first to the second identity along
 * the sphere that identity vectors lie on, and from the first to the second attributes along a straight line.
 * Pictures are cropped to their middle square and resized to the network's side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/faces.h"
#include "engine/file.h"
#include "experiments/common/identity.h"
#include "experiments/common/sheet.h"
#include "experiments/common/trained.h"

enum { BATCH = 16, PICTURES_MAX = 4096, SHEET_COLUMNS = 10, GAP = 2 };

static const char *checkpoint, *identity_weights, *run_folder, *out_folder;
static TextList identity_list, attribute_list;
static int grid, interpolate, sampled;

static const Option own[] = {
    {"checkpoint", OPTION_TEXT, "FILE", "synthesis.safetensors of a trained synthesis network", &checkpoint},
    {"identity-weights", OPTION_TEXT, "FILE", "its identity network (in a run folder it is found)", &identity_weights},
    {"run", OPTION_TEXT, "DIR", "instead: the newest synthesis network of this run folder", &run_folder},
    {"identity", OPTION_LIST, "IMAGE", "whose face; may be repeated", &identity_list},
    {"attributes", OPTION_LIST, "IMAGE", "pose, expression, light ...; may be repeated", &attribute_list},
    {"grid", OPTION_FLAG, NULL, "every identity with all attributes", &grid},
    {"interpolate", OPTION_INT, "N", "N pictures from the first to the second identity or attributes", &interpolate},
    {"sampled", OPTION_FLAG, NULL, "attributes drawn from their distribution, not its mean", &sampled},
    {"out", OPTION_TEXT, "DIR", "where the pictures go", &out_folder},
    {0},
};
static const Program program = {
    .name = "generate",
    .does = "makes faces with the identity of one picture and the attributes of another",
    .common = OPTIONS_CONFIG | OPTIONS_DEVICE | OPTIONS_SEED | OPTIONS_QUIET,
    .own = own,
};

/* What goes in and what comes out: ni identities and na attributes are read, n faces are made. */
typedef struct Work {
    int ni, na, n, side, dim, z;
    Faces in;                 /* identities, then attributes */
    float *identity;          /* (ni, D) */
    float *attributes;        /* (na, Z) */
    float *rows_i, *rows_a;   /* (n, D), (n, Z): of each face */
    float *made;              /* (n, 3, S, S) */
    char (*name)[64];         /* (n) */
} Work;

static void check_use(void)
{
    int ni = identity_list.n, na = attribute_list.n;
    if (!checkpoint == !run_folder)
        usage_error(&program, "either --checkpoint FILE or --run DIR must say which network (--help)");
    if (!ni || !na)
        usage_error(&program, "--%s IMAGE is missing (--help)", ni ? "attributes" : "identity");
    if (!out_folder)
        usage_error(&program, "--out DIR is missing (--help)");
    if (ni > PICTURES_MAX || na > PICTURES_MAX || (grid && (long)ni * na > PICTURES_MAX))
        usage_error(&program, "more than %d pictures at once", PICTURES_MAX);
    if (grid && interpolate)
        usage_error(&program, "--grid and --interpolate exclude each other");
    if (interpolate && (interpolate < 2 || interpolate > PICTURES_MAX))
        usage_error(&program, "--interpolate %d: 2 to %d was expected", interpolate, PICTURES_MAX);
    if (interpolate && (ni > 2 || na > 2 || ni + na < 3))
        usage_error(&program, "--interpolate goes between two identities, two attributes, or both: give one or two of "
                    "each, and two of one");
    if (!grid && !interpolate && ni != na && ni != 1 && na != 1)
        usage_error(&program, "%d identities and %d attributes do not pair up: give as many, one of either, or --grid",
                    ni, na);
}

/* ---------------------------------------------------------------- vectors */
static int read_pictures(Work *w)
{
    w->in = faces_create(w->ni + w->na, w->side, 1);
    for (int i = 0; i < w->in.n; i++) {
        Image image;
        if (image_read(i < w->ni ? identity_list.text[i] : attribute_list.text[i - w->ni], &image))
            return -1;
        faces_set(&w->in, i, &image);
        image_free(&image);
    }
    return 0;
}

static int find_vectors(Context *x, Work *w, Store *store, const char *identity_file, SynthesisStep *encoder)
{
    size_t image = faces_bytes(&w->in);
    uint8_t *pixels = must_zalloc(image * BATCH);
    float *some = must_alloc(sizeof *some * (size_t)w->z * BATCH);
    int bad = trained_load(store, checkpoint, "A.|G.") ||
              identity_vectors(x, &(Identity){.weights = (char *)identity_file}, w->in.pixels, w->ni, w->identity);
    for (int i = 0; i < w->na && !bad; i += BATCH) {
        size_t m = w->na - i < BATCH ? (size_t)(w->na - i) : BATCH;
        memcpy(pixels, w->in.pixels + image * (size_t)(w->ni + i), image * m);
        bad = prog_write(encoder->p, encoder->pixels, pixels) || plan_run(encoder->plan) ||
              plan_read(encoder->plan, encoder->attributes, some);
        memcpy(w->attributes + (size_t)i * (size_t)w->z, some, sizeof *some * m * (size_t)w->z);
    }
    free(pixels);
    free(some);
    return bad ? -1 : 0;
}

/* Spherical interpolation of unit vectors (Shoemake, "Animating rotation with quaternion curves", 1985). */
static int slerp(const float *a, const float *b, int n, float t, float *out)
{
    double dot = 0, length = 0;
    for (int i = 0; i < n; i++)
        dot += (double)a[i] * b[i];
    dot = dot > 1 ? 1 : dot < -1 ? -1 : dot;
    double angle = acos(dot), s = sin(angle), p = 1 - t, q = t;
    if (s > 1e-6) {
        p = sin((1 - t) * angle) / s;
        q = sin(t * angle) / s;
    } else if (dot < 0) {
        return fail("the two identities lie opposite to each other: no way between them is the shortest");
    }
    for (int i = 0; i < n; i++) {
        out[i] = (float)(p * a[i] + q * b[i]);
        length += (double)out[i] * out[i];
    }
    for (int i = 0; i < n; i++)
        out[i] = (float)(out[i] / sqrt(length > 0 ? length : 1));
    return 0;
}

static void take(Work *w, int k, int i, int a)
{
    memcpy(w->rows_i + (size_t)k * (size_t)w->dim, w->identity + (size_t)i * (size_t)w->dim,
           sizeof(float) * (size_t)w->dim);
    memcpy(w->rows_a + (size_t)k * (size_t)w->z, w->attributes + (size_t)a * (size_t)w->z,
           sizeof(float) * (size_t)w->z);
    snprintf(w->name[k], sizeof w->name[k], "identity%d_attributes%d.png", i + 1, a + 1);
}

static int choose_rows(Work *w)
{
    for (int k = 0; k < w->n; k++) {
        if (grid) {
            take(w, k, k % w->ni, k / w->ni);
        } else if (!interpolate) {
            take(w, k, w->ni == 1 ? 0 : k, w->na == 1 ? 0 : k);
        } else {
            float t = (float)k / (float)(w->n - 1), *to = w->rows_a + (size_t)k * (size_t)w->z;
            const float *first = w->attributes, *last = first + (size_t)(w->na - 1) * (size_t)w->z;
            if (slerp(w->identity, w->identity + (size_t)(w->ni - 1) * (size_t)w->dim, w->dim, t,
                      w->rows_i + (size_t)k * (size_t)w->dim))
                return -1;
            for (int i = 0; i < w->z; i++)
                to[i] = (1 - t) * first[i] + t * last[i];
            snprintf(w->name[k], sizeof w->name[k], "step%04d.png", k + 1);
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- pictures */
static int make(Work *w, SynthesisStep *faces)
{
    size_t image = faces_bytes(&w->in), dim = (size_t)w->dim, z = (size_t)w->z;
    float *i_rows = must_zalloc(sizeof *i_rows * dim * BATCH), *a_rows = must_zalloc(sizeof *a_rows * z * BATCH);
    float *out = must_alloc(sizeof *out * image * BATCH);
    int bad = 0;
    for (int k = 0; k < w->n && !bad; k += BATCH) {
        size_t m = w->n - k < BATCH ? (size_t)(w->n - k) : BATCH;
        memcpy(i_rows, w->rows_i + dim * (size_t)k, sizeof *i_rows * dim * m);
        memcpy(a_rows, w->rows_a + z * (size_t)k, sizeof *a_rows * z * m);
        bad = prog_write(faces->p, faces->identity, i_rows) || prog_write(faces->p, faces->attributes, a_rows) ||
              plan_run(faces->plan) || plan_read(faces->plan, faces->image, out);
        memcpy(w->made + image * (size_t)k, out, sizeof *out * image * m);
    }
    free(i_rows);
    free(a_rows);
    free(out);
    return bad ? -1 : 0;
}

static int write_file(const Sheet *sheet, const char *name)
{
    char *path = must_printf("%s/%s", out_folder, name);
    int bad = sheet_write(sheet, path);
    free(path);
    return bad;
}

/* A grid with its margins; columns of identity, attributes and what came of them; or the steps, line by line. */
static Sheet draw_sheet(const Work *w)
{
    size_t image = faces_bytes(&w->in);
    int columns = grid ? w->ni + 1 : !interpolate ? 3 : w->n < SHEET_COLUMNS ? w->n : SHEET_COLUMNS;
    int rows = grid ? w->na + 1 : !interpolate ? w->n : (w->n + columns - 1) / columns;
    Sheet sheet = sheet_create(columns, rows, w->side, GAP);
    if (interpolate) {
        sheet_fill(&sheet, w->made, w->n);
        return sheet;
    }
    for (int i = 0; i < w->in.n && grid; i++)
        sheet_bytes(&sheet, i < w->ni ? i + 1 : 0, i < w->ni ? 0 : i - w->ni + 1, w->in.pixels + image * (size_t)i);
    for (int k = 0; k < w->n; k++) {
        sheet_floats(&sheet, grid ? k % w->ni + 1 : 2, grid ? k / w->ni + 1 : k, w->made + image * (size_t)k);
        if (!grid) {
            sheet_bytes(&sheet, 0, k, w->in.pixels + image * (size_t)(w->ni == 1 ? 0 : k));
            sheet_bytes(&sheet, 1, k, w->in.pixels + image * (size_t)(w->ni + (w->na == 1 ? 0 : k)));
        }
    }
    return sheet;
}

static int write_pictures(const Work *w)
{
    int bad = make_folders(out_folder);
    Sheet one = sheet_create(1, 1, w->side, 0);
    for (int k = 0; k < w->n && !bad; k++) {
        sheet_floats(&one, 0, 0, w->made + faces_bytes(&w->in) * (size_t)k);
        bad = write_file(&one, w->name[k]);
    }
    sheet_free(&one);
    Sheet all = draw_sheet(w);
    bad = bad || write_file(&all, "sheet.png");
    sheet_free(&all);
    return bad ? -1 : 0;
}

/* ---------------------------------------------------------------- all of it */
static int generate(Context *x, const char *identity_file)
{
    SynthesisOpts o = context_synthesis(x);
    int ni = identity_list.n, na = attribute_list.n;
    Work w = {.ni = ni, .na = na, .side = o.generator.size, .dim = o.identity.embedding, .z = o.encoder.z};
    w.n = grid ? ni * na : interpolate ? interpolate : ni > na ? ni : na;
    w.identity = must_alloc(sizeof(float) * (size_t)ni * (size_t)w.dim);
    w.attributes = must_alloc(sizeof(float) * (size_t)na * (size_t)w.z);
    w.rows_i = must_alloc(sizeof(float) * (size_t)w.n * (size_t)w.dim);
    w.rows_a = must_alloc(sizeof(float) * (size_t)w.n * (size_t)w.z);
    w.made = must_alloc(sizeof(float) * 3 * (size_t)w.side * (size_t)w.side * (size_t)w.n);
    w.name = must_zalloc(sizeof *w.name * (size_t)w.n);
    Store *store = NULL;
    SynthesisStep *encoder = NULL, *faces = NULL;
    int bad = read_pictures(&w) || !(store = store_create(x->device, x->options.seed)) ||
              !(encoder = synthesis_attributes_create(store, o, BATCH, sampled)) ||
              !(faces = synthesis_faces_create(store, o, BATCH)) ||
              find_vectors(x, &w, store, identity_file, encoder) || choose_rows(&w) || make(&w, faces) ||
              write_pictures(&w);
    if (!bad && !x->quiet)
        printf("%d pictures and sheet.png of %s in %s\n", w.n, checkpoint, out_folder);
    synthesis_step_free(encoder);
    synthesis_step_free(faces);
    store_free(store);
    faces_free(&w.in);
    free(w.identity);
    free(w.attributes);
    free(w.rows_i);
    free(w.rows_a);
    free(w.made);
    free(w.name);
    return bad ? -1 : 0;
}

int main(int argc, char **argv)
{
    Context x;
    if (context_start(&x, &program, argc, argv))
        return context_failed(&x);
    check_use();
    char *found = NULL, *identity_file = NULL;
    if (run_folder)
        checkpoint = found = trained_find(run_folder, "synthesis", "synthesis.safetensors");
    int bad = !checkpoint || trained_settings(checkpoint, x.options.config);
    if (!bad)
        identity_file = identity_weights ? must_strdup(identity_weights) : trained_identity(checkpoint, x.config);
    bad = bad || !identity_file || generate(&x, identity_file);
    bad = bad ? context_failed(&x) : 0;
    free(found);
    free(identity_file);
    free(identity_list.text);
    free(attribute_list.text);
    context_close(&x);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return bad;
}
