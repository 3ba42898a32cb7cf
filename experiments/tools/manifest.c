/* manifest.c - lists of pictures: who is on each, in which set, and whether they are still the files they were.
 *
 *     manifest build lfw lfw --out lfw/manifest.csv          manifest verify lfw/manifest.csv
 *     manifest summary lfw/manifest.csv                      manifest list lfw/manifest.csv --only test
 *     manifest split frgc.csv original=482 frgc_test=86      manifest pairs lfw/manifest.csv pairs.txt --out pairs.csv
 *     manifest assemble frgc.csv london.csv multipie.csv frav2d.csv --out paper.csv
 *     manifest pack paper.csv --only original --size 128 --out original.faces
 *
 * docs/datasets.md describes the sets and how to get at them.  Every fault is a line on standard error. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data/assemble.h"
#include "data/faces.h"
#include "data/layout_lists.h"
#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"
#include "experiments/common/names.h"
#include "experiments/common/options.h"
#include "experiments/common/pictures.h"
#include "experiments/common/progress.h"

static const char *out_path, *split, *only;
static TextList lists;
static int leave_out, size = 128, threads;

static const Option own[] = {
    {"out", OPTION_TEXT, "FILE", "what to write (build: FOLDER/manifest.csv; split: the manifest itself)", &out_path},
    {"split", OPTION_TEXT, "NAME", "build: the set of all pictures; none: of no set", &split},
    {"list", OPTION_LIST, "FILE", "build: only pictures named in it; may be repeated", &lists},
    {"leave-out", OPTION_FLAG, NULL, "build: write the list without files that are no pictures", &leave_out},
    {"only", OPTION_TEXT, "NAME", "list, pack: the pictures of one set", &only},
    {"size", OPTION_INT, "S", "pack: side in pixels (128)", &size},
    {"threads", OPTION_INT, "N", "threads (all cores)", &threads},
    {0},
};
static const Program program = {
    .name = "manifest",
    .does = "lists the pictures of data sets, and checks, divides and packs them",
    .usage = "build LAYOUT FOLDER | verify FILE | summary FILE | list FILE | split FILE NAME=PEOPLE... |\n"
             "    pairs FILE PAIRS.txt | assemble FILE... | pack FILE\n"
             "layouts: folder, lfw, celeba, frgc, multipie, frav2d, london",
    .least = 1, .most = 64,
    .common = OPTIONS_SEED | OPTIONS_QUIET,
    .own = own,
};

static Options options;

/* With progress under the name `what`; as manifest.h's functions return. */
static int with_progress(const char *what, Manifest *m, Told *told, int (*work)(Manifest *, Told *, Progress *))
{
    Progress p;
    progress_begin(&p, what, "pictures", m->n, 0, options.quiet);
    int result = work(m, told, &p);
    if (result >= 0)
        progress_end(&p);
    return result;
}

static void say(const char *format, const char *path, int n, int people)
{
    if (!options.quiet)
        printf(format, path, n, people);
}

/* A list to be written at `path`, with paths that are right there. */
static Manifest rooted_at(const char *path, const Manifest *m)
{
    char *root = manifest_root(path);
    Manifest out = manifest_create(root);
    manifest_join(&out, m);
    free(root);
    return out;
}

static int save(const Manifest *m, const char *path)
{
    Manifest there = rooted_at(path, m);
    manifest_sort(&there);
    int bad = manifest_save(&there, path);
    if (!bad)
        say("%s: %d pictures of %d people\n", path, there.n, manifest_people(&there, NULL));
    manifest_free(&there);
    return bad;
}

/* ---- build ------------------------------------------------------------------------------------------------------ */

static int fill(Manifest *m, Told *told, Progress *p)
{
    return manifest_fill(m, told, pictures_watch, p);
}

static int build(const char *const *names, int n)
{
    const char *layout = names[0], *folder = names[1];
    (void)n;
    Told told = {.what = "manifest"};
    LayoutOpts o = {.lists = lists.text, .n_lists = lists.n, .told = &told};
    Manifest m;
    if (layout_read(layout, folder, &o, &m))
        return -1;
    for (int i = 0; i < m.n && split; i++) {
        free(m.row[i].split);
        m.row[i].split = must_strdup(strcmp(split, "none") ? split : "");
    }
    char *path = out_path ? must_strdup(out_path) : must_printf("%s/manifest.csv", m.root);
    int bad = with_progress("reading", &m, &told, fill) < 0;
    if (!bad && told.n && !leave_out)
        bad = fail("%s: %d fault%s: see the lines above; --leave-out makes the list without such files", folder, told.n,
                   told.n > 1 ? "s" : "");
    if (!bad && !m.n)
        bad = fail("%s: not one picture", folder);
    bad = bad || save(&m, path);
    free(path);
    manifest_free(&m);
    return bad;
}

/* ---- verify, summary, list -------------------------------------------------------------------------------------- */

static int verify_all(Manifest *m, Told *told, Progress *p)
{
    return manifest_verify(m, told, pictures_watch, p);
}

static int verify(const char *const *names, int n)
{
    const char *path = names[0];
    (void)n;
    Told told = {.what = path};
    Manifest m;
    if (manifest_load(path, &m, 0))
        return -1;
    int faults = with_progress("verifying", &m, &told, verify_all);
    if (faults > 0)
        fail("%s: %d fault%s in %d pictures: see the lines above", path, faults, faults > 1 ? "s" : "", m.n);
    else if (!faults)
        say("%s: all %d pictures of %d people are as they were\n", path, m.n,
            (manifest_sort(&m), manifest_people(&m, NULL)));
    manifest_free(&m);
    return faults ? -1 : 0;
}

static void print_group(const Manifest *m, const char *name, const char *source)
{
    Manifest part = manifest_create(m->root);
    for (int i = 0; i < m->n; i++)
        if ((!name || !strcmp(m->row[i].split, name)) && (!source || !strcmp(m->row[i].source, source)))
            manifest_add(&part, m->row[i].path, m->row[i].identity, NULL, NULL, NULL);
    int *first, people = manifest_people(&part, &first), least = part.n, most = 0;
    for (int p = 0; p < people; p++) {
        int n = first[p + 1] - first[p];
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    if (people)
        printf("%-16s %-12s %8d %8d %6d %6d %8.1f\n", !name ? "all" : *name ? name : "-",
               !source ? "" : *source ? source : "-", people, part.n, least, most, (double)part.n / people);
    free(first);
    manifest_free(&part);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The different texts of a column, sorted; borrowed. */
static char **different(const Manifest *m, int want_source, int *count)
{
    char **text = must_alloc(((size_t)m->n + 1) * sizeof *text);
    int n = 0;
    for (int i = 0; i < m->n; i++)
        text[i] = want_source ? m->row[i].source : m->row[i].split;
    if (m->n)
        qsort(text, (size_t)m->n, sizeof *text, by_text);
    for (int i = 0; i < m->n; i++)
        if (!n || strcmp(text[n - 1], text[i]))
            text[n++] = text[i];
    *count = n;
    return text;
}

static int summary(const char *const *names, int n)
{
    const char *path = names[0];
    (void)n;
    Manifest m;
    if (manifest_load(path, &m, 0))
        return -1;
    manifest_sort(&m);
    int n_splits, n_sources, known = 0;
    char **splits = different(&m, 0, &n_splits), **from = different(&m, 1, &n_sources);
    printf("%-16s %-12s %8s %8s %6s %6s %8s\n", "split", "source", "people", "pictures", "least", "most", "mean");
    for (int i = 0; i < n_splits; i++)
        for (int k = 0; k < n_sources; k++)
            print_group(&m, splits[i], from[k]);
    print_group(&m, NULL, NULL);
    for (int i = 0; i < m.n; i++)
        known += *m.row[i].sha256 != 0;
    printf("%d of %d pictures have a sha256\n", known, m.n);
    free(splits);
    free(from);
    manifest_free(&m);
    return 0;
}

static int list(const char *const *names, int n)
{
    const char *path = names[0];
    (void)n;
    Manifest m;
    if (manifest_load(path, &m, 0))
        return -1;
    for (int i = 0; i < m.n; i++) {
        char *open = only && strcmp(only, m.row[i].split) ? NULL : manifest_path(&m, i);
        if (open)
            printf("%s\n", open);
        free(open);
    }
    manifest_free(&m);
    return 0;
}

/* ---- split, pairs, assemble, pack ------------------------------------------------------------------------------- */

static int divide(const char *const *names, int n)
{
    const char *path = names[0], *const *parts = names + 1;
    Manifest m;
    char *part[64] = {0};
    double fractions[64];
    int wanted = 0;
    if (manifest_load(path, &m, 0))
        return -1;
    manifest_sort(&m);
    int people = manifest_people(&m, NULL), bad = 0;
    n--;
    for (int i = 0; i < n && !bad; i++) {
        char *name = part[i] = must_strdup(parts[i]), *equals = strchr(name, '='), *end = NULL;
        errno = 0;
        long count = equals ? strtol(equals + 1, &end, 10) : 0;
        if (!equals || equals == name || end == equals + 1 || *end || errno || count < 2 || count > people)
            usage_error(&program, "%s: NAME=PEOPLE was expected, with 2 to %d people", parts[i], people);
        *equals = 0;
        wanted += (int)count;
        fractions[i] = (double)count / people;
        if (wanted > people)
            bad = fail("%s: it has %d people, not %d", path, people, wanted);
    }
    bad = bad || manifest_split(&m, options.seed, (const char *const *)part, fractions, n) ||
          save(&m, out_path ? out_path : path);
    for (int i = 0; i < n; i++)
        free(part[i]);
    manifest_free(&m);
    return bad;
}

static int pairs(const char *const *names, int n)
{
    const char *path = names[0], *pairs_path = names[1];
    (void)n;
    Told told = {.what = "manifest"};
    Manifest m;
    Pairs p = {0};
    int *fold = NULL, folds = 0;
    if (manifest_load(path, &m, 0))
        return -1;
    manifest_sort(&m);
    int bad = lfw_pairs_load(pairs_path, &m, &told, &p, &fold, &folds);
    for (int f = 0; f < folds && !bad && !options.quiet; f++) {
        int count[2] = {0};
        for (int i = 0; i < p.n; i++)
            if (fold[i] == f)
                count[p.match[i]]++;
        printf("fold %d: %d matching and %d other pairs\n", f + 1, count[1], count[0]);
    }
    if (!bad && out_path) {   /* of the set that the manifest makes: its pictures in this order */
        Faces f = {.n = m.n, .sources = must_alloc((size_t)m.n * sizeof *f.sources)};
        for (int i = 0; i < m.n; i++)
            f.sources[i] = m.row[i].path;
        bad = pairs_save(&p, &f, out_path);
        free(f.sources);
    }
    free(fold);
    pairs_free(&p);
    manifest_free(&m);
    return bad;
}

static int assemble(const char *const *names, int n)
{
    Told notes = {.what = "manifest"};
    char *root = manifest_root(out_path);
    Manifest all = manifest_create(root);
    int bad = 0;
    for (int i = 0; i < n && !bad; i++) {
        Manifest m;
        bad = manifest_load(names[i], &m, 0);
        if (!bad)
            manifest_join(&all, &m);
        manifest_free(&m);
    }
    bad = bad || manifest_assemble(&all, options.seed, &notes) || save(&all, out_path);
    free(root);
    manifest_free(&all);
    return bad ? -1 : summary(&out_path, 1);
}

static int pack(const char *const *names, int n)
{
    const char *path = names[0];
    (void)n;
    Manifest m, part;
    if (manifest_load(path, &m, 0))
        return -1;
    part = manifest_create(m.root);
    if (only)
        manifest_join_split(&part, &m, only, only);
    else
        manifest_join(&part, &m);
    Progress p;
    progress_begin(&p, "packing", "pictures", part.n, 0, options.quiet);
    int bad = !part.n && only ? fail("%s: no picture is in the split %s", path, only)
                              : faces_pack(&part, size, out_path, pictures_watch, &p);
    if (!bad) {
        progress_end(&p);
        say("%s: %d pictures of %d people\n", out_path, part.n, manifest_people(&part, NULL));
    }
    manifest_free(&part);
    manifest_free(&m);
    return bad;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static int run(void)
{
    static const struct {
        const char *name;
        int least, most, needs_out;
        int (*run)(const char *const *names, int n);
    } commands[] = {
        {"build", 2, 2, 0, build},         {"verify", 1, 1, 0, verify},  {"summary", 1, 1, 0, summary},
        {"list", 1, 1, 0, list},           {"split", 2, 62, 0, divide},  {"pairs", 2, 2, 0, pairs},
        {"assemble", 1, 62, 1, assemble},  {"pack", 1, 1, 1, pack},
    };
    const char *command = options.names[0];
    NearName near = {.word = command};
    int n = options.n_names - 1;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        name_consider(&near, commands[i].name);
        if (strcmp(command, commands[i].name))
            continue;
        if (n < commands[i].least || n > commands[i].most)
            usage_error(&program, "%s: %d name%s given (--help)", command, n, n == 1 ? " is" : "s are");
        if (commands[i].needs_out && !out_path)
            usage_error(&program, "%s: --out FILE is missing (--help)", command);
        return commands[i].run(options.names + 1, n);
    }
    usage_error(&program, "%s: no such command%s", command, name_suggestion(&near));
}

int main(int argc, char **argv)
{
    options_start(&options, &program, argc, argv);
    if (threads < 0 || threads > 4096)
        usage_error(&program, "--threads %d: 1 to 4096 was expected", threads);
    engine_threads(threads);
    int bad = run();
    if (bad)
        fprintf(stderr, "manifest: %s\n", error_text());
    options_free(&options);
    free(lists.text);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return bad ? 1 : 0;
}
