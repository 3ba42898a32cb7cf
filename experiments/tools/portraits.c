/* portraits - writes people who do not exist as a folder of pictures.
 *
 *     portraits --people 20 --images 8 --size 128 --world 1 --population demo --out DIR [--sheet FILE.png]
 *     portraits --set validation --out DIR --packed FILE.faces
 *     portraits --parameters
 *
 * DIR/person_0001/0001.png ... and DIR/manifest.csv: path, identity, and every number the picture was drawn from.
 * A second run with the same arguments draws what is missing; other arguments need another folder.
 * FILE.faces is one packed file as the experiments read it (data/faces.h). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#include "data/image.h"
#include "data/portraits.h"
#include "engine/error.h"
#include "engine/file.h"

typedef struct Options {
    int people, images, size, camera;
    uint64_t world;
    const char *population, *out, *sheet, *packed;
    const PortraitPopulation *set;
} Options;

/* What is drawn: image number[i] of person[i], in order. */
typedef struct Plan {
    PortraitPopulation population;
    int n, *person, *number;
} Plan;

static const char usage[] =
    "usage: portraits --out DIR [--people N] [--images M] [--size S] [--world W]\n"
    "                 [--population NAME] [--camera NAME] [--set NAME] [--packed FILE]\n"
    "                 [--sheet FILE.png]\n"
    "  --people N         people (20)\n"
    "  --images M         images of each (8)\n"
    "  --size S           side in pixels, 16 to 512 (128)\n"
    "  --world W          seed of everything (1)\n"
    "  --population NAME  people of other names are other people (demo)\n"
    "  --camera NAME      studio, london, multipie, frav2d or mixed (studio)\n"
    "  --set NAME         a set of the paper with its people, counts and cameras: pretrain, original,\n"
    "                     frgc_test, validation or test\n"
    "  --out DIR          folder to write; may be left out when --sheet or --packed is given\n"
    "  --packed FILE      all pictures in one packed file\n"
    "  --sheet FILE.png   one picture with a row for each person (at most 64 rows of 16)\n"
    "  --parameters       prints the tables of docs/portraits.md: every number of people, looks and\n"
    "                     cameras\n";

static void complain(const char *format, const char *a, const char *b)
{
    fprintf(stderr, "portraits: ");
    fprintf(stderr, format, a, b);
    fprintf(stderr, "\n%s", usage);
    exit(2);
}

static long long whole_number(const char *flag, const char *text, long long low, long long high)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < low || value > high) {
        char range[64];
        snprintf(range, sizeof range, "%lld to %lld", low, high);
        fprintf(stderr, "portraits: --%s %s: not a whole number from %s\n", flag, text, range);
        exit(2);
    }
    return value;
}

static void print_fields(const char *title, const PortraitField *fields, int n)
{
    printf("| %s | mean | deviation | least | most | meaning |\n|---|---|---|---|---|---|\n", title);
    for (int i = 0; i < n; i++) {
        const PortraitField *f = &fields[i];
        char spread[32] = "uniform", mean[32] = "";
        if (f->sd > 0) {
            snprintf(mean, sizeof mean, "%.4g", (double)f->mean);
            snprintf(spread, sizeof spread, "%.4g", (double)f->sd);
        }
        printf("| `%s` | %s | %s | %.4g | %.4g | %s |\n", f->name, mean, spread, (double)f->low, (double)f->high,
               f->meaning);
    }
    printf("\n");
}

static void print_parameters(void)
{
    print_fields("person", portrait_person_fields, portrait_person_field_count);
    print_fields("look", portrait_look_fields, portrait_look_field_count);
    printf("| camera | frame cm | pose | light's side | key | ambient | background | blur | grain | contrast |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < PORTRAIT_CAMERAS; i++) {
        const PortraitCamera *c = &portrait_cameras[i];
        printf("| `%s` | %.4g | %.4g | %.4g | %.4g to %.4g | %.4g | %.4g to %.4g | %.4g | %.4g to %.4g | %.4g |\n",
               c->name, (double)c->frame, (double)c->pose, (double)c->side, (double)c->key_low, (double)c->key_high,
               (double)c->ambient, (double)c->back_low, (double)c->back_high, (double)c->blur, (double)c->noise_low,
               (double)c->noise_high, (double)c->contrast);
    }
    printf("\n| set | people | images | of one person | cameras |\n|---|---|---|---|---|\n");
    for (int i = 0; i < portrait_set_count; i++) {
        const PortraitPopulation *p = &portrait_sets[i];
        printf("| `%s` | %d | %d | ", p->name, p->people, p->images_total);
        if (!p->sources[0].people) {
            printf("%d to %d | %s |\n", p->images_min, p->images_max, portrait_cameras[p->camera].name);
            continue;
        }
        for (int k = 0; k < PORTRAIT_SOURCES; k++)
            printf("%s%d to %d", k ? ", " : "", p->sources[k].images_min, p->sources[k].images_max);
        for (int k = 0; k < PORTRAIT_SOURCES; k++)
            printf("%s%s %d", k ? ", " : " | ", portrait_cameras[p->sources[k].camera].name, p->sources[k].people);
        printf(" |\n");
    }
}

static Options parse(int argc, char **argv)
{
    static const struct option flags[] = {
        {"people", required_argument, 0, 'p'}, {"images", required_argument, 0, 'i'},
        {"size", required_argument, 0, 's'}, {"world", required_argument, 0, 'w'},
        {"population", required_argument, 0, 'n'}, {"out", required_argument, 0, 'o'},
        {"camera", required_argument, 0, 'c'}, {"sheet", required_argument, 0, 't'},
        {"set", required_argument, 0, 'e'}, {"packed", required_argument, 0, 'k'},
        {"parameters", no_argument, 0, 'a'}, {"help", no_argument, 0, 'h'}, {0, 0, 0, 0}};
    Options o = {20, 8, 128, 0, 1, "demo", NULL, NULL, NULL, NULL};
    int flag, shaped = 0;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        shaped |= strchr("pinc", flag) != NULL;
        switch (flag) {
        case 'p': o.people = (int)whole_number("people", optarg, 1, 1000000); break;
        case 'i': o.images = (int)whole_number("images", optarg, 1, 1000000); break;
        case 's': o.size = (int)whole_number("size", optarg, PORTRAIT_MIN_SIZE, PORTRAIT_MAX_SIZE); break;
        case 'w': o.world = (uint64_t)whole_number("world", optarg, 0, 0x7fffffffffffffffll); break;
        case 'n': o.population = optarg; break;
        case 'o': o.out = optarg; break;
        case 't': o.sheet = optarg; break;
        case 'k': o.packed = optarg; break;
        case 'e':
            if (!(o.set = portrait_set(optarg)))
                complain("--set %s: no such set%s", optarg, "");
            break;
        case 'a': print_parameters(); exit(0);
        case 'c':
            for (o.camera = 0; o.camera < PORTRAIT_CAMERAS; o.camera++)
                if (!strcmp(optarg, portrait_cameras[o.camera].name))
                    break;
            if (o.camera == PORTRAIT_CAMERAS)
                complain("--camera %s: no such camera%s", optarg, "");
            break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc)
        complain("%s: not a flag%s", argv[optind], "");
    if (!o.out && !o.sheet && !o.packed)
        complain("%snothing to write: give --out DIR, --packed FILE or --sheet FILE.png%s", "", "");
    if (o.set && shaped)
        complain("--set %s has its own people, images, name and cameras%s", o.set->name, "");
    if (!*o.population || strlen(o.population) > 100 || strpbrk(o.population, ",\"/\n\r"))
        complain("--population %s: 1 to 100 characters without comma, quote, slash or line end%s", o.population, "");
    return o;
}

static Plan make_plan(const Options *o)
{
    Plan plan = {.population = {.name = o->population, .people = o->people, .images_min = o->images,
                                .images_max = o->images, .camera = o->camera}};
    if (o->set)
        plan.population = *o->set;
    int people = plan.population.people, *counts = must_alloc((unsigned long)people * sizeof *counts), n;
    if ((n = portraits_counts(o->world, &plan.population, counts)) < 0)
        die("%s", error_text());
    plan.person = must_alloc((unsigned long)n * sizeof *plan.person);
    plan.number = must_alloc((unsigned long)n * sizeof *plan.number);
    for (int i = 0; i < people; i++)
        for (int k = 0; k < counts[i]; k++) {
            plan.person[plan.n] = i;
            plan.number[plan.n++] = k;
        }
    free(counts);
    return plan;
}

/* What a folder says it holds; the whole line must agree before anything is added to it. */
static char *identity_line(const Options *o)
{
    if (o->set)
        return must_printf("portraits set=%s size=%d world=%llu version=%d\n", o->set->name, o->size,
                           (unsigned long long)o->world, PORTRAIT_VERSION);
    return must_printf("portraits people=%d images=%d size=%d world=%llu population=%s camera=%s version=%d\n",
                       o->people, o->images, o->size, (unsigned long long)o->world, o->population,
                       portrait_cameras[o->camera].name, PORTRAIT_VERSION);
}

/* Claims the folder: a new or empty one is marked, one with the same mark is resumed, all others are refused. */
static void claim_folder(const Options *o)
{
    struct stat info;
    if (!stat(o->out, &info) && !S_ISDIR(info.st_mode))
        die("%s: is a file, not a folder", o->out);
    if (make_folders(o->out))
        die("%s", error_text());
    char *mark = must_printf("%s/portraits.txt", o->out), *line = identity_line(o);
    if (file_exists(mark)) {
        size_t size;
        char *old = file_read(mark, &size);
        if (!old)
            die("%s", error_text());
        if (strcmp(old, line)) {
            old[strcspn(old, "\n")] = 0;
            die("%s: holds another set (%s): choose another folder or delete it", o->out, old);
        }
        free(old);
    } else {
        DIR *folder = opendir(o->out);
        if (!folder)
            die("%s: %s", o->out, strerror(errno));
        for (struct dirent *e; (e = readdir(folder));)
            if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
                die("%s: is not empty (%s): choose another folder", o->out, e->d_name);
        closedir(folder);
        if (file_write(mark, line, strlen(line)))
            die("%s", error_text());
    }
    free(mark);
    free(line);
}

static void draw_numbers(const Options *o, const Plan *plan, int i, PortraitPerson *person, PortraitLook *look)
{
    portrait_person(o->world, plan->population.name, plan->person[i], person);
    portrait_look(o->world, plan->population.name, plan->person[i], plan->number[i], look);
    look->camera = portraits_camera(&plan->population, plan->person[i]);
}

static void write_fields(FILE *f, const PortraitField *fields, int n, const void *base)
{
    for (int i = 0; i < n; i++)
        fprintf(f, ",%.6g", (double)*(const float *)((const char *)base + fields[i].offset));
}

static void write_manifest(const Options *o, const Plan *plan)
{
    char *path = must_printf("%s/manifest.csv", o->out);
    FileWriter w;
    if (file_open(&w, path))
        die("%s", error_text());
    fprintf(w.stream, "path,identity,population,camera,hair,beard,sex,age,east,south");
    for (int i = 0; i < portrait_person_field_count; i++)
        fprintf(w.stream, ",person_%s", portrait_person_fields[i].name);
    for (int i = 0; i < portrait_look_field_count; i++)
        fprintf(w.stream, ",look_%s", portrait_look_fields[i].name);
    for (int i = 0; i < plan->n; i++) {
        PortraitPerson p;
        PortraitLook l;
        draw_numbers(o, plan, i, &p, &l);
        int person = plan->person[i] + 1, image = plan->number[i] + 1;
        fprintf(w.stream, "\nperson_%04d/%04d.png,person_%04d,%s,%s,%s,%s,%.6g,%.6g,%.6g,%.6g", person, image, person,
                plan->population.name, portrait_cameras[l.camera].name, portrait_hair_name(p.hair),
                portrait_beard_name(p.beard), (double)p.sex, (double)p.age, (double)p.east, (double)p.south);
        write_fields(w.stream, portrait_person_fields, portrait_person_field_count, &p);
        write_fields(w.stream, portrait_look_fields, portrait_look_field_count, &l);
    }
    fprintf(w.stream, "\n");
    if (file_commit(&w))
        die("%s", error_text());
    free(path);
}

/* Draws image i unless its file is there already. */
static int write_picture(const Options *o, const Plan *plan, int i)
{
    char *folder = must_printf("%s/person_%04d", o->out, plan->person[i] + 1);
    char *path = must_printf("%s/%04d.png", folder, plan->number[i] + 1);
    int status = 0;
    if (!file_exists(path)) {
        PortraitPerson p;
        PortraitLook l;
        Image image = {o->size, o->size, must_alloc((unsigned long)o->size * o->size * 3)};
        draw_numbers(o, plan, i, &p, &l);
        status = portrait_render(&p, &l, o->size, image.rgb) || make_folders(folder) || image_write_png(path, &image);
        free(image.rgb);
    }
    free(path);
    free(folder);
    return status;
}

static void write_folder(const Options *o, const Plan *plan)
{
    int n = plan->n, failed = 0, done = 0, terminal = isatty(2);
    char reason[2048] = "";
    claim_folder(o);
    write_manifest(o, plan);
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < n; i++) {
        int halt, now;
#pragma omp atomic read
        halt = failed;
        if (halt)
            continue;
        if (write_picture(o, plan, i)) {
#pragma omp critical
            {
                if (!failed)
                    snprintf(reason, sizeof reason, "%s", error_text());   /* of the thread that failed */
#pragma omp atomic write
                failed = 1;
            }
        }
#pragma omp atomic capture
        now = ++done;
        if (terminal && (now % 16 == 0 || now == n))
            fprintf(stderr, "\r%d of %d pictures%s", now, n, now == n ? "\n" : "");
    }
    if (failed)
        die("%s", reason);
}

static int show_packed(void *context, int done, int total)
{
    (void)context;
    if (isatty(2))
        fprintf(stderr, "\r%d of %d pictures%s", done, total, done == total ? "\n" : "");
    return 0;
}

static void write_packed(const Options *o, const Plan *plan)
{
    Faces faces;
    if (portraits_faces(o->world, &plan->population, o->size, &faces, show_packed, NULL) ||
        faces_save(&faces, o->packed))
        die("%s", error_text());
    faces_free(&faces);
}

/* A row for each person; what they have no picture for stays black. */
static void write_sheet(const Options *o, const Plan *plan)
{
    int people = plan->population.people, rows = people < 64 ? people : 64, columns = 0, side = o->size, failed = 0;
    for (int i = 0; i < plan->n; i++)
        columns = plan->number[i] >= columns && plan->number[i] < 16 ? plan->number[i] + 1 : columns;
    Image sheet = {columns * side, rows * side, must_zalloc((unsigned long)columns * rows * side * side * 3)};
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < plan->n; i++) {
        int row = plan->person[i], column = plan->number[i];
        if (row >= rows || column >= columns)
            continue;
        PortraitPerson p;
        PortraitLook l;
        uint8_t *rgb = must_alloc((unsigned long)side * side * 3);
        draw_numbers(o, plan, i, &p, &l);
        if (portrait_render(&p, &l, side, rgb)) {
#pragma omp atomic write
            failed = 1;
        }
        for (int y = 0; y < side && !failed; y++)
            memcpy(sheet.rgb + 3 * ((size_t)(row * side + y) * sheet.width + (size_t)column * side),
                   rgb + 3 * (size_t)y * side, 3 * (size_t)side);
        free(rgb);
    }
    if (failed)
        die("%s: the sheet could not be drawn", o->sheet);
    if (image_write_png(o->sheet, &sheet))
        die("%s", error_text());
    free(sheet.rgb);
}

int main(int argc, char **argv)
{
    Options o = parse(argc, argv);
    if ((long long)o.people * o.images > 100000000)
        complain("%s%sthat is more than a hundred million pictures", "", "");
    Plan plan = make_plan(&o);
    if (o.out)
        write_folder(&o, &plan);
    if (o.packed)
        write_packed(&o, &plan);
    if (o.sheet)
        write_sheet(&o, &plan);
    free(plan.person);
    free(plan.number);
    return 0;
}
