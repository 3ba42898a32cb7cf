/* run.c - see run.h. */
#include "experiments/common/run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/error.h"
#include "engine/file.h"

/* An exclusive lock on RUN/locks/NAME: a descriptor, or -1.  With `what`, tells when it has to wait. */
static int lock_take(const Run *run, const char *name, const char *what)
{
    char *path = must_printf("%s/locks/%s", run->dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        fail("%s: %s: make the run folder writable, or choose another with --run", path, strerror(errno));
        free(path);
        return -1;
    }
    int bad = flock(fd, LOCK_EX | LOCK_NB);
    if (bad && errno == EWOULDBLOCK) {
        char owner[32] = "";
        ssize_t n = pread(fd, owner, sizeof owner - 1, 0);
        if (what)
            fprintf(stderr, "%s: %s: another program (process %.*s) is making it: waiting\n",
                    program_invocation_short_name, what, n > 0 ? (int)strcspn(owner, "\n") : 1, n > 0 ? owner : "?");
        while ((bad = flock(fd, LOCK_EX)) && errno == EINTR)
            continue;
    }
    if (bad) {
        fail("%s: cannot be locked: %s", path, strerror(errno));
        close(fd);
        free(path);
        return -1;
    }
    /* for the message of those who wait; that it may fail does no harm */
    char owner[32];
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, owner, (size_t)n, 0) != n)
        errno = 0;
    free(path);
    return fd;
}

static void lock_drop(int fd)
{
    if (fd >= 0)
        close(fd);
}

static char *text_of(const Config *config)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("no memory for the text of a configuration");
    config_print(config, out);
    fclose(out);
    return text;
}

/* Keeps the configuration, and says when the folder was begun with another. */
static int keep_config(const Run *run)
{
    char *path = must_printf("%s/config.ini", run->dir), *text = text_of(run->config);
    int bad = 0;
    if (!file_exists(path)) {
        bad = file_write(path, text, strlen(text));
    } else {
        Config *kept = config_create();
        int differ = 0;
        /* a folder from before a change of the keys holds a file that cannot be read any more: also another one */
        int strange = config_read(kept, path);
        const char *first = strange ? "its keys" : config_difference(kept, run->config, &differ);
        if (first) {
            char hash[17];
            hash_print_short(hash_text(text), hash);
            char *other = must_printf("%s/config-%s.ini", run->dir, hash);
            if (!file_exists(other)) {
                bad = file_write(other, text, strlen(text));
                fprintf(stderr, "%s: %s was begun with another configuration (%s%s): what depends on it is made "
                        "anew, the rest is reused\n", program_invocation_short_name, run->dir, first,
                        differ > 1 ? " and others" : "");
            }
            free(other);
        }
        config_free(kept);
    }
    free(path);
    free(text);
    return bad;
}

static char *hardware(void)
{
    struct utsname os;
    char model[200] = "unknown processor", line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            snprintf(model, sizeof model, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
            break;
        }
    if (f)
        fclose(f);
    int known = uname(&os) == 0;
    double gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 0x1p30;
    return must_printf("%s, %ld cores, %.1f GiB, %s %s %s", model, sysconf(_SC_NPROCESSORS_ONLN), gib,
                       known ? os.sysname : "?", known ? os.release : "?", known ? os.machine : "?");
}

static int note_unlocked(const Run *run, const char *file, const char *text)
{
    char *path = must_printf("%s/%s", run->dir, file), *old = NULL, *all;
    size_t size = 0;
    int bad = 0;
    if (file_exists(path) && !(old = file_read(path, &size)))
        bad = -1;
    /* a paragraph is between empty lines, so that one text is not found within another */
    all = must_printf("%s%s\n\n", old ? old : "", text);
    char *framed = must_printf("\n%s\n\n", text), *searched = must_printf("\n%s", old ? old : "");
    if (!bad && !strstr(searched, framed))
        bad = file_write(path, all, strlen(all));
    free(framed);
    free(searched);
    free(all);
    free(old);
    free(path);
    return bad;
}

int run_note(Run *run, const char *file, const char *text)
{
    int lock = lock_take(run, "run", NULL);
    int bad = lock < 0 ? -1 : note_unlocked(run, file, text);
    lock_drop(lock);
    return bad;
}

Run *run_open(const Config *config, const char *dir)
{
    Run *run = must_alloc(sizeof *run);
    *run = (Run){must_strdup(dir), config};
    char *config_path = must_printf("%s/config.ini", dir);
    /* a finished run in a place that cannot be written is still good for reading */
    int only_read = file_exists(config_path) && access(dir, W_OK);
    int bad = 0;
    free(config_path);
    if (!only_read) {
        char *stages = must_printf("%s/stages", dir), *locks = must_printf("%s/locks", dir);
        bad = make_folders(stages) || make_folders(locks);
        free(stages);
        free(locks);
        int lock = bad ? -1 : lock_take(run, "run", NULL);
        char *machine = hardware();
        bad = lock < 0 || keep_config(run) || note_unlocked(run, "hardware.txt", machine) ||
              note_unlocked(run, "version.txt", engine_version());
        free(machine);
        lock_drop(lock);
    }
    if (!bad)
        return run;
    fail_in("run folder %s", dir);
    run_close(run);
    return NULL;
}

void run_close(Run *run)
{
    if (run)
        free(run->dir);
    free(run);
}

/* ---- stages ---- */

/* Everything that the hash covers, as text: it is also kept in the stage's folder. */
static char *stage_text(const Run *run, const StageKey *key)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("no memory for the description of a stage");
    fprintf(out, "stage %s, version %d\n", key->name, key->version);
    for (int i = 0; i < key->n_inputs; i++) {
        char hash[33];
        hash_print(key->inputs[i], hash);
        fprintf(out, "input %s\n", hash);
    }
    if (key->sections) {
        char *config = config_section_text(run->config, key->sections);
        fputs(config, out);
        free(config);
    }
    if (key->extra)
        fprintf(out, "extra:\n%s\n", key->extra);
    fclose(out);
    return text;
}

Hash stage_hash(const Run *run, const StageKey *key)
{
    char *text = stage_text(run, key);
    Hash h = hash_text(text);
    free(text);
    return h;
}

/* Half-written files of a program that was killed (engine/file.h). */
static void remove_leftovers(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n > 4 && !strcmp(e->d_name + n - 4, ".tmp"))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* Makes or finds the .part folder of a stage that we hold. */
static int open_part(Stage *s, const char *text)
{
    char *path = stage_path(s, "stage.txt");
    int bad = 0;
    remove_leftovers(s->dir);
    s->begun = file_exists(path);
    if (!s->begun)
        bad = make_folders(s->dir) || file_write(path, text, strlen(text));
    free(path);
    return bad;
}

/* A folder of the right name with another description would be a collision, or was renamed by hand. */
static int check_text(const Stage *s, const char *text)
{
    char *path = stage_path(s, "stage.txt");
    size_t size;
    char *kept = file_read(path, &size);
    int bad = kept ? 0 : fail_in("stage %s", s->name);
    if (kept && strcmp(kept, text))
        bad = fail("%s: it describes another stage than its folder's name: remove the folder and run again", path);
    free(kept);
    free(path);
    return bad;
}

int stage_made(const Run *run, const StageKey *key)
{
    char hash[17];
    hash_print_short(stage_hash(run, key), hash);
    char *path = must_printf("%s/stages/%s-%s", run->dir, key->name, hash);
    int made = file_exists(path);
    free(path);
    return made;
}

Stage *stage_begin(Run *run, const StageKey *key)
{
    for (const char *c = key->name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            die("the program calls a stage '%s': only letters, digits, - and _ make a name", key->name);
    char *text = stage_text(run, key), hash[17];
    Stage *s = must_zalloc(sizeof *s);
    s->lock = -1;
    s->hash = hash_text(text);
    hash_print_short(s->hash, hash);
    s->name = must_printf("%s-%s", key->name, hash);
    s->final = must_printf("%s/stages/%s", run->dir, s->name);
    int bad = 0;
    s->done = file_exists(s->final);
    if (!s->done) {
        s->lock = lock_take(run, s->name, s->name);
        bad = s->lock < 0;
        s->done = !bad && file_exists(s->final);   /* whoever held the lock may have made it */
    }
    s->dir = s->done ? must_strdup(s->final) : must_printf("%s.part", s->final);
    if (s->done) {
        lock_drop(s->lock);
        s->lock = -1;
    } else if (!bad) {
        bad = open_part(s, text);
    }
    if (bad || check_text(s, text)) {
        stage_leave(s);
        s = NULL;
    }
    free(text);
    return s;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) ? fail("%s: %s", path, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    return bad;
}

int stage_done(Stage *s)
{
    if (s->done)
        return 0;
    if (sync_folder(s->dir))
        return -1;
    if (rename(s->dir, s->final))
        return fail("%s: cannot get its final name: %s", s->dir, strerror(errno));
    char *parent = must_printf("%.*s", (int)(strrchr(s->final, '/') - s->final), s->final);
    int bad = sync_folder(parent);
    free(parent);
    free(s->dir);
    s->dir = must_strdup(s->final);
    s->done = 1;
    lock_drop(s->lock);
    s->lock = -1;
    return bad;
}

void stage_leave(Stage *s)
{
    lock_drop(s->lock);
    free(s->name);
    free(s->final);
    free(s->dir);
    free(s);
}

int stage_damaged(const Stage *s)
{
    return fail("%s (it belongs to a finished stage: remove the folder %s and run again)", error_text(), s->dir);
}

char *stage_path(const Stage *s, const char *file)
{
    return must_printf("%s/%s", s->dir, file);
}
