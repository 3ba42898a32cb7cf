/* loadbench.c - how fast pictures come in: from a packed file through the loader, and from folders of PNG and JPEG
 * files, all of drawn portraits in a temporary folder. */
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

typedef struct Pictures {
    char *folder;         /* of packed.faces, png/PERSON/N.png, jpeg/PERSON/N.jpg */
    Faces faces;          /* the packed file, mapped */
    Loader *loader;
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
    loader_free(p->loader);
    faces_free(&p->faces);
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

static char *packed_path(const Pictures *p)
{
    return must_printf("%s/packed.faces", p->folder);
}

static int make_files(Pictures *p)
{
    const char *base = getenv("TMPDIR");
    p->folder = must_printf("%s/guise-bench-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(p->folder)) {
        int bad = fail("%s: cannot make this folder: set TMPDIR to a place with room", p->folder);
        free(p->folder);
        p->folder = NULL;
        return bad;
    }
    PortraitPopulation population = {.name = "bench", .people = PEOPLE, .images_min = 2, .images_max = 32,
                                     .images_total = IMAGES};
    Faces drawn = {0};
    char *packed = packed_path(p);
    int bad = portraits_faces(1, &population, SIDE, &drawn, NULL, NULL) || faces_save(&drawn, packed);
    for (int i = 0; i < drawn.n && !bad; i++)
        bad = write_picture(p->folder, "png", &drawn, i) || write_picture(p->folder, "jpg", &drawn, i);
    faces_free(&drawn);
    free(packed);
    return bad;
}

/* ---------------------------------------------------------------- runs */
static int run_loader(WorkRow *row)
{
    Pictures *p = row->state;
    for (int i = 0; i < PASSES * (IMAGES / BATCH); i++)
        loader_next(p->loader);
    return 0;
}

static int open_packed(WorkRow *row)
{
    char *packed = packed_path(row->state);
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
    (void)o;
    Pictures *p = must_zalloc(sizeof *p);
    w->shared = p;
    w->close = close_pictures;
    char *packed = make_files(p) ? NULL : packed_path(p);
    int bad = !packed || faces_load(packed, &p->faces);
    free(packed);
    p->loader = bad ? NULL : loader_create(&p->faces, BATCH, 1);
    if (!p->loader)
        return -1;
    add(w, work_row(w, "loader", PASSES * IMAGES, "loader: batches of %d from a packed file, %dx%d", BATCH, SIDE, SIDE),
        run_loader);
    add(w, work_row(w, "packed", IMAGES, "opening a packed file of %d pictures, with its checksums", IMAGES),
        open_packed);
    add(w, work_row(w, "png", IMAGES, "reading a folder of %d PNG files of %dx%d", IMAGES, SIDE, SIDE), run_png);
    add(w, work_row(w, "jpeg", IMAGES, "reading a folder of %d JPEG files of %dx%d", IMAGES, SIDE, SIDE), run_jpeg);
    return 0;
}
