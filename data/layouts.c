/* layouts.c - see layouts.h: sets that are folders of pictures whose names say who is on them. */
#include "data/layouts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/faces.h"
#include "data/layout_lists.h"
#include "engine/error.h"
#include "engine/file.h"

/* ---- root/identity/picture -------------------------------------------------------------------------------------- */

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_folder(const char *path)
{
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

/* 1 if a set has files of this name beside its people. */
typedef int (*Beside)(const char *name);
/* NULL, or why a file of this name is no picture of the person. */
typedef const char *(*Refuse)(const char *person, const char *name);

static void add_person(Manifest *m, Told *told, const char *folder, const char *person, Refuse refuse,
                       const char *source)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, by_bytes);
    if (n < 0) {
        tell(told, "%s: %s", folder, strerror(errno));
        return;
    }
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name, *why = refuse ? refuse(person, name) : NULL;
        char *path = must_printf("%s/%s", folder, name), *short_path = must_printf("%s/%s", person, name);
        if (is_folder(path))
            tell(told, "%s: a folder inside a person's folder is not read", path);
        else if (why)
            tell(told, "%s: %s", path, why);
        else
            manifest_add(m, short_path, person, NULL, source, NULL);
        free(path);
        free(short_path);
        free(entries[i]);
    }
    if (!n)
        tell(told, "%s: an empty folder", folder);
    free(entries);
}

static int read_people(const char *root, Told *told, Manifest *m, Beside beside, Refuse refuse, const char *source)
{
    struct dirent **entries;
    int n = scandir(root, &entries, visible, by_bytes);
    if (n < 0)
        return fail("%s", strerror(errno));
    for (int i = 0; i < n; i++) {
        char *path = must_printf("%s/%s", root, entries[i]->d_name);
        if (is_folder(path))
            add_person(m, told, path, entries[i]->d_name, refuse, source);
        else if (!beside(entries[i]->d_name))
            tell(told, "%s: not in the folder of a person", path);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return m->n ? 0
                : fail("no pictures: a data set is a folder of one folder for each person, with pictures in it");
}

static int own_files(const char *name)
{
    return !strcmp(name, "manifest.csv") || !strcmp(name, "portraits.txt");
}

static int read_folder(const char *root, const LayoutOpts *o, Manifest *out)
{
    return read_people(root, o->told, out, own_files, NULL, NULL);
}

/* Name/Name_0001.jpg */
static const char *refuse_lfw(const char *person, const char *name)
{
    size_t n = strlen(person), digits = 0;
    if (!strncmp(name, person, n) && name[n] == '_')
        digits = strspn(name + n + 1, "0123456789");
    return digits == 4 && name[n + 5] == '.' ? NULL : "not NAME_0000.jpg with the NAME of its folder";
}

static int lists_of_lfw(const char *name)
{
    size_t n = strlen(name);
    return own_files(name) || (n > 4 && !strcmp(name + n - 4, ".txt"));   /* pairs.txt, people.txt, ... */
}

static int read_lfw(const char *root, const LayoutOpts *o, Manifest *out)
{
    return read_people(root, o->told, out, lists_of_lfw, refuse_lfw, "lfw");
}

/* ---- pictures anywhere below, known by their names -------------------------------------------------------------- */

/* Fills `person` with who is on the file, whose path begins below the root; 0 if it is none of the set's. */
enum { PERSON = 300 };
typedef int (*WhoIs)(const char *path, char person[PERSON]);

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int walk(const char *root, Told *told, Manifest *m, WhoIs who, const char *source)
{
    char person[PERSON], *top = must_strdup(root), *const tops[] = {top, NULL};
    if (!is_folder(root)) {
        free(top);
        return fail("%s", file_exists(root) ? "not a folder" : strerror(ENOENT));
    }
    FTS *tree = fts_open(tops, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        die("%s: no memory to walk it", root);
    size_t n = strlen(root);
    for (FTSENT *e; (e = fts_read(tree));) {
        const char *below = e->fts_path + n + (e->fts_path[n] == '/');
        if (e->fts_level > 0 && e->fts_name[0] == '.' && (e->fts_info == FTS_D || e->fts_info == FTS_F))
            fts_set(tree, e, FTS_SKIP);
        else if (e->fts_info == FTS_DC)
            tell(told, "%s: a link back to a folder above it", e->fts_path);
        else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
            tell(told, "%s: %s", e->fts_path, strerror(e->fts_errno));
        else if ((e->fts_info == FTS_F || e->fts_info == FTS_SLNONE) && who(below, person))
            manifest_add(m, below, person, NULL, source, NULL);
    }
    fts_close(tree);
    free(top);
    return m->n ? 0 : fail("no picture with a name of this set: see how they are named in docs/datasets.md");
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int has_ending(const char *name, const char *const *endings)
{
    const char *dot = strrchr(name, '.');
    for (int i = 0; dot && endings[i]; i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return 1;
    return 0;
}

static const char *const pictures[] = {"jpg", "jpeg", "png", "ppm", "pgm", "bmp", NULL};
static const char *const stills[] = {"jpg", "jpeg", "png", NULL};

/* nd1/Fall2002/2002-247/04514d04.JPG: five digits of the subject, d, a number; PNG where somebody cropped them.  3-D
 * scans bring .ppm and .abs files of such names, which are not taken. */
static int who_frgc(const char *path, char person[PERSON])
{
    const char *name = base_name(path);
    size_t digits = strspn(name, "0123456789");
    if (digits != 5 || name[5] != 'd' || !isdigit((unsigned char)name[6]) || !has_ending(name, stills))
        return 0;
    snprintf(person, PERSON, "frgc-%.5s", name);
    return 1;
}

/* The numbers of a name 001_01_02_051_07.png; how many of them there are, 0 for other names. */
static int numbers_of(const char *name, int length[5], const char *at[5])
{
    for (int n = 0; n < 5; n++) {
        length[n] = (int)strspn(name, "0123456789");
        at[n] = name;
        name += length[n];
        if (!length[n] || (*name != '_' && *name != '.'))
            return 0;
        if (*name++ == '.')
            return n + 1;
    }
    return 0;
}

static int who_multipie(const char *path, char person[PERSON], int numbers)
{
    int length[5];
    const char *at[5], *name = base_name(path);
    if (numbers_of(name, length, at) != numbers || length[0] != 3 || !has_ending(name, pictures))
        return 0;
    if (numbers == 5 && (strncmp(at[3], "051_", 4) || strncmp(at[4], "07.", 3)))
        return 0;
    snprintf(person, PERSON, "multipie-%.3s", name);
    return 1;
}

/* subject_session_number: the high-resolution pictures, all frontal. */
static int who_multipie_high(const char *path, char person[PERSON])
{
    return who_multipie(path, person, 3);
}

/* subject_session_recording_camera_light: camera 05_1 looks straight ahead, and so does flash 07. */
static int who_multipie_views(const char *path, char person[PERSON])
{
    return who_multipie(path, person, 5);
}

/* 017/any name, or 017_05.jpg, 017-05.jpg straight in the root. */
static int who_frav2d(const char *path, char person[PERSON])
{
    const char *slash = strchr(path, '/');
    size_t digits = strspn(path, "0123456789");
    if (!has_ending(path, pictures) || (slash && strchr(slash + 1, '/')))
        return 0;
    if (!slash && (!digits || !path[digits] || !strchr("_-", path[digits])))
        return 0;
    snprintf(person, PERSON, "frav2d-%.*s", slash ? (int)(slash - path) : (int)digits, path);
    return 1;
}

/* neutral_front/003_03.jpg and smiling_front/003_08.jpg, at any depth: archives hold a folder of their own name. */
static int who_london(const char *path, char person[PERSON])
{
    static const char *const folders[] = {"neutral_front/", "smiling_front/"};
    const char *name = base_name(path);
    size_t digits = strspn(name, "0123456789"), before = (size_t)(name - path);
    int there = 0;
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(folders[i]);
        there |= before >= n && !strncmp(name - n, folders[i], n) && (before == n || name[-1 - (long)n] == '/');
    }
    if (!there || digits != 3 || name[3] != '_' || !has_ending(name, pictures))
        return 0;
    snprintf(person, PERSON, "london-%.3s", name);
    return 1;
}

static int read_frgc(const char *root, const LayoutOpts *o, Manifest *out)
{
    return walk(root, o->told, out, who_frgc, "frgc");
}

static int read_multipie(const char *root, const LayoutOpts *o, Manifest *out)
{
    Told first = *o->told;   /* of two walks over one tree, one tells */
    if (!walk(root, o->told, out, who_multipie_high, "multipie"))
        return 0;
    *o->told = first;
    Told quiet = {.most = 1, .n = 1};
    return walk(root, &quiet, out, who_multipie_views, "multipie");
}

static int read_frav2d(const char *root, const LayoutOpts *o, Manifest *out)
{
    return walk(root, o->told, out, who_frav2d, "frav2d");
}

static int read_london(const char *root, const LayoutOpts *o, Manifest *out)
{
    return walk(root, o->told, out, who_london, "london");
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

const Layout layouts[] = {
    {"folder", "a folder for each person, with pictures in it", read_folder},
    {"lfw", "Labeled Faces in the Wild: NAME/NAME_0001.jpg", read_lfw},
    {"celeba", "CelebA: identity_CelebA.txt, list_eval_partition.txt and the pictures", celeba_read},
    {"frgc", "Face Recognition Grand Challenge: 04514d04.JPG at any depth", read_frgc},
    {"multipie", "Multi-PIE: 001_01_02.png (high resolution), else 001_01_01_051_07.png, at any depth", read_multipie},
    {"frav2d", "FRAV2D: a folder for each person, or 017_05.jpg", read_frav2d},
    {"london", "Face Research Lab London: neutral_front/003_03.jpg, smiling_front/003_08.jpg", read_london},
    {0},
};

int layout_read(const char *name, const char *root, const LayoutOpts *opts, Manifest *out)
{
    const Layout *l = layouts;
    *out = (Manifest){0};
    while (l->name && strcmp(l->name, name))
        l++;
    if (!l->name)
        return fail("%s: no such layout: there are folder, lfw, celeba, frgc, multipie, frav2d and london", name);
    char *top = must_strdup(root);   /* without slashes at its end */
    for (size_t n = strlen(top); n > 1 && top[n - 1] == '/'; n--)
        top[n - 1] = 0;
    *out = manifest_create(top);
    int bad = l->read(top, opts, out) || (opts->n_lists && lists_apply(out, opts));
    free(top);
    if (bad) {
        manifest_free(out);
        return fail_in("%s", root);
    }
    manifest_sort(out);
    return 0;
}

int faces_from_folder(const char *root, int size, Faces *out, ManifestProgress progress, void *context)
{
    Told told = {.most = FACES_MAX_LINES, .what = "left out"};
    Manifest list;
    *out = (Faces){0};
    if (layout_read("folder", root, &(LayoutOpts){.told = &told}, &list))
        return -1;
    int bad = faces_read(&list, size, out, progress, context);
    manifest_free(&list);
    return bad ? fail_in("%s", root) : 0;
}
