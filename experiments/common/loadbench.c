/* loadbench.c - how fast pictures come in: from packed files through the loader, at the paper's size and as a preset's
 * recogniser wants them, and from folders of PNG and JPEG files; all of drawn portraits in a temporary folder. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>

#include "data/loader.h"
#include "data/portraits.h"
#include "engine/file.h"
#include "experiments/common/stepbench.h"

enum { SIDE = 128, PEOPLE = 16, IMAGES = 128, BATCH = 16, PASSES = 16, QUALITY = 90 };

typedef struct Stream {
    Faces faces;          /* a packed file, mapped */
    Loader *loader;
    int batches;          /* of a run */
} Stream;

typedef struct Pictures {
    char *folder;         /* of packed.faces, preset.faces, png/PERSON/N.png, jpeg/PERSON/N.jpg */
    Stream paper, preset;
} Pictures;

/* Files, or folders of folders of files, two levels down at most. */
static void remove_folder(const char *path, int levels)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        char *inner = must_printf("%s/%s", path, e->d_name);
        if (unlink(inner) && levels)
            remove_folder(inner, levels - 1);
        free(inner);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static void close_pictures(void *shared)
{
    Pictures *p = shared;
    for (int i = 0; i < 2; i++) {
        Stream *s = i ? &p->preset : &p->paper;
        loader_free(s->loader);
        faces_free(&s->faces);
    }
    if (p->folder)
        remove_folder(p->folder, 2);
    free(p->folder);
    free(p);
}

/* ---------------------------------------------------------------- files */
static int write_jpeg(const char *path, const Image *image)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &size);
    c.image_width = (JDIMENSION)image->width;
    c.image_height = (JDIMENSION)image->height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, QUALITY, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = image->rgb + (size_t)c.next_scanline * (size_t)image->width * 3;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    int bad = file_write(path, bytes, size);
    jpeg_destroy_compress(&c);
    free(bytes);
    return bad;
}

/* One picture of the set as FOLDER/KIND/PERSON/INDEX.KIND. */
static int write_picture(const char *folder, const char *kind, const Faces *faces, int i)
{
    Image image;
    faces_image(faces, i, &image);
    char *person = must_printf("%s/%s/%02d", folder, kind, faces->person[i]);
    char *path = must_printf("%s/%d.%s", person, i, kind);
    int bad = make_folders(person) || (!strcmp(kind, "png") ? image_write_png(path, &image) : write_jpeg(path, &image));
    image_free(&image);
    free(person);
    free(path);
    return bad;
}

static char *packed_path(const Pictures *p, const char *name)
{
    return must_printf("%s/%s.faces", p->folder, name);
}

/* Draws the portraits of a packed file, writes it, and begins to load batches from it.  `drawn` keeps them. */
static int open_stream(const Pictures *p, const char *name, int side, int batch, Stream *s, Faces *drawn)
{
    PortraitPopulation population = {.name = "bench", .people = PEOPLE, .images_min = 2, .images_max = 32,
                                     .images_total = IMAGES};
    char *packed = packed_path(p, name);
    batch = batch < IMAGES ? batch : IMAGES;
    int bad = portraits_faces(1, &population, side, drawn, NULL, NULL) || faces_save(drawn, packed) ||
              faces_load(packed, &s->faces) || !(s->loader = loader_create(&s->faces, batch, 1));
    s->batches = PASSES * (IMAGES / batch);
    free(packed);
    return bad;
}

static int make_files(Pictures *p, int side, int batch)
{
    const char *base = getenv("TMPDIR");
    p->folder = must_printf("%s/guise-bench-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(p->folder)) {
        int bad = fail("%s: cannot make this folder: set TMPDIR to a place with room", p->folder);
        free(p->folder);
        p->folder = NULL;
        return bad;
    }
    Faces small = {0}, drawn = {0};
    int bad = open_stream(p, "preset", side, batch, &p->preset, &small) ||
              open_stream(p, "packed", SIDE, BATCH, &p->paper, &drawn);
    for (int i = 0; i < drawn.n && !bad; i++)
        bad = write_picture(p->folder, "png", &drawn, i) || write_picture(p->folder, "jpg", &drawn, i);
    faces_free(&drawn);
    faces_free(&small);
    return bad;
}

/* ---------------------------------------------------------------- runs */
static int run_stream(Stream *s)
{
    for (int i = 0; i < s->batches; i++)
        loader_next(s->loader);
    return 0;
}

static int run_paper(WorkRow *row)
{
    Pictures *p = row->state;
    return run_stream(&p->paper);
}

static int run_preset(WorkRow *row)
{
    Pictures *p = row->state;
    return run_stream(&p->preset);
}

static int open_packed(WorkRow *row)
{
    char *packed = packed_path(row->state, "packed");
    Faces faces;
    int bad = faces_load(packed, &faces);
    if (!bad)
        faces_free(&faces);
    free(packed);
    return bad;
}

static int run_folder(WorkRow *row, const char *kind)
{
    const Pictures *p = row->state;
    char *folder = must_printf("%s/%s", p->folder, kind);
    Faces faces;
    int bad = faces_from_folder(folder, SIDE, &faces, NULL, NULL);
    if (!bad) {
        bad = faces.n == IMAGES ? 0 : fail("%s: %d of %d pictures were read", folder, faces.n, IMAGES);
        faces_free(&faces);
    }
    free(folder);
    return bad;
}

static int run_png(WorkRow *row) { return run_folder(row, "png"); }
static int run_jpeg(WorkRow *row) { return run_folder(row, "jpg"); }

static void add(Work *w, WorkRow *row, int (*run)(WorkRow *))
{
    row->run = run;
    row->state = w->shared;
}

int loader_work_open(Work *w, const WorkOpts *o)
{
    int side = (int)config_int(o->config, "data.size"), batch = (int)config_int(o->config, "recognition.batch");
    char key[40];
    Pictures *p = must_zalloc(sizeof *p);
    w->shared = p;
    w->close = close_pictures;
    if (make_files(p, side, batch))
        return -1;
    batch = batch < IMAGES ? batch : IMAGES;
    snprintf(key, sizeof key, "%.30s.loader", o->preset);
    add(w, work_row(w, "loader", PASSES * IMAGES, "loader: batches of %d from a packed file, %dx%d", BATCH, SIDE, SIDE),
        run_paper);
    add(w, work_row(w, key, p->preset.batches * batch, "loader: batches of %d from a packed file, %dx%d", batch, side,
                    side), run_preset);
    add(w, work_row(w, "packed", IMAGES, "opening a packed file of %d pictures, with its checksums", IMAGES),
        open_packed);
    add(w, work_row(w, "png", IMAGES, "reading a folder of %d PNG files of %dx%d", IMAGES, SIDE, SIDE), run_png);
    add(w, work_row(w, "jpeg", IMAGES, "reading a folder of %d JPEG files of %dx%d", IMAGES, SIDE, SIDE), run_jpeg);
    return 0;
}
