/* config.c - see config.h. */
#include "experiments/common/config.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"
#include "engine/file.h"
#include "experiments/common/names.h"

struct Config {
    char **text;   /* per key, in its one spelling */
};

Config *config_copy(const Config *from)
{
    Config *c = must_alloc(sizeof *c);
    c->text = must_alloc((size_t)config_key_count * sizeof *c->text);
    for (int i = 0; i < config_key_count; i++)
        c->text[i] = must_strdup(from->text[i]);
    return c;
}

void config_free(Config *c)
{
    for (int i = 0; c && i < config_key_count; i++)
        free(c->text[i]);
    if (c)
        free(c->text);
    free(c);
}

/* ---- one value ---- */

/* The value in its one spelling, which the caller frees; NULL if it is no value of this key. */
static char *spell_number(const ConfigKey *key, const char *value)
{
    char *end;
    double number;
    char *text = NULL;
    errno = 0;
    if (key->type == KEY_INT) {
        long long n = strtoll(value, &end, 10);
        number = (double)n;
        text = must_printf("%lld", n);
    } else {
        number = strtod(value, &end);
        for (int digits = 6; digits <= 17; digits++) {
            free(text);
            text = must_printf("%.*g", digits, number);
            if (strtod(text, NULL) == number)
                break;
        }
    }
    if (end == value || *end || errno == ERANGE || !isfinite(number)) {
        fail("%s=%s: %s was expected", key->name, value, key->type == KEY_INT ? "a whole number" : "a number");
    } else if (number < key->min || number > key->max) {
        fail("%s=%s: it must lie between %g and %g", key->name, value, key->min, key->max);
    } else {
        return text;
    }
    free(text);
    return NULL;
}

static char *spell_bool(const ConfigKey *key, const char *value)
{
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
    for (int i = 0; i < 4; i++) {
        if (!strcmp(value, yes[i]))
            return must_strdup("yes");
        if (!strcmp(value, no[i]))
            return must_strdup("no");
    }
    fail("%s=%s: yes or no was expected", key->name, value);
    return NULL;
}

static char *spell_choice(const ConfigKey *key, const char *value)
{
    size_t n = strlen(value);
    for (const char *c = key->choices; n && c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (!strncmp(c, value, n) && (c[n] == '|' || !c[n]) && !strchr(value, '|'))
            return must_strdup(value);
    fail("%s=%s: one of %s was expected", key->name, value, key->choices);
    return NULL;
}

/* A text must come back from an ini file as it was: no comments, line ends or outer blanks, and a short line. */
static char *spell_text(const ConfigKey *key, const char *value)
{
    size_t n = strlen(value);
    int bad = n > 150 || (n && (strchr(" \t", value[0]) || strchr(" \t", value[n - 1]))) || strchr(value, ';');
    for (size_t i = 0; i < n; i++)
        bad |= (unsigned char)value[i] < 0x20;
    if (!bad)
        return must_strdup(value);
    fail("%s=%.200s: a text of at most 150 characters without ';', control characters and outer blanks was expected",
         key->name, value);
    return NULL;
}

static char *spell(const ConfigKey *key, const char *value)
{
    switch (key->type) {
    case KEY_INT:
    case KEY_FLOAT:  return spell_number(key, value);
    case KEY_BOOL:   return spell_bool(key, value);
    case KEY_CHOICE: return spell_choice(key, value);
    default:         return spell_text(key, value);
    }
}

static int find_key(const char *name)
{
    for (int i = 0; i < config_key_count; i++)
        if (!strcmp(config_keys[i].name, name))
            return i;
    return -1;
}

Config *config_create(void)
{
    Config *c = must_alloc(sizeof *c);
    c->text = must_alloc((size_t)config_key_count * sizeof *c->text);
    for (int i = 0; i < config_key_count; i++) {
        c->text[i] = spell(&config_keys[i], config_keys[i].fallback);
        if (!c->text[i])
            die("the default of a key is wrong: %s", error_text());
    }
    return c;
}

/* Returns the key's index, or -1. */
static int set_value(Config *c, const char *name, const char *value)
{
    int i = find_key(name);
    if (i < 0) {
        NearName near = {.word = name};
        for (int k = 0; k < config_key_count; k++)
            name_consider(&near, config_keys[k].name);
        return fail("%s: no such key%s", name, name_suggestion(&near));
    }
    char *text = spell(&config_keys[i], value);
    if (!text)
        return -1;
    free(c->text[i]);
    c->text[i] = text;
    return i;
}

int config_set(Config *c, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return fail("--set %s: section.key=value was expected", assignment);
    char *name = must_printf("%.*s", (int)(equals - assignment), assignment);
    int bad = set_value(c, name, equals + 1) < 0;
    free(name);
    return bad ? fail_in("--set") : 0;
}

/* ---- files ---- */

typedef struct Reading {
    Config *config;
    const char *next;   /* of the text */
    char *seen;         /* per key: 1 if this file gave it */
    int line, refused;  /* the line that inih looks at; the line of the first refusal */
} Reading;

/* fgets over the text, so that the handler knows the line. */
static char *next_line(char *to, int size, void *user)
{
    Reading *r = user;
    size_t n = strcspn(r->next, "\n");
    n += r->next[n] == '\n';
    if (!n)
        return NULL;
    if (n > (size_t)size - 1)
        n = (size_t)size - 1;
    memcpy(to, r->next, n);
    to[n] = 0;
    r->line += to[n - 1] == '\n' || !r->next[n];   /* a long line comes in pieces */
    r->next += n;
    return to;
}

static int take_value(void *user, const char *section, const char *name, const char *value)
{
    Reading *r = user;
    if (r->refused)
        return 0;
    char *full = *section ? must_printf("%s.%s", section, name) : must_strdup(name);
    int i = set_value(r->config, full, value);
    if (i >= 0 && r->seen[i]++)
        i = fail("%s: given a second time", full);
    free(full);
    r->refused = i < 0 ? r->line : 0;
    return i >= 0;
}

int config_read(Config *c, const char *path)
{
    size_t size;
    char *text = file_read(path, &size);
    if (!text)
        return -1;
    if (strlen(text) != size) {
        free(text);
        return fail("%s: not a text", path);
    }
    Reading r = {config_copy(c), text, must_zalloc((size_t)config_key_count), 0, 0};
    int line = ini_parse_stream(next_line, &r, take_value, &r);
    int bad = 0;
    if (r.refused && r.refused <= line) {
        bad = fail_in("%s:%d", path, r.refused);
    } else if (line) {
        bad = fail("%s:%d: neither [section] nor key = value", path, line);
    } else {
        Config swap = *c;
        *c = *r.config;
        *r.config = swap;
    }
    config_free(r.config);
    free(r.seen);
    free(text);
    return bad;
}

/* The presets there are, for the message. */
static void suggest_presets(const char *folder, const char *name)
{
    char list[400] = "";
    struct dirent **files;
    int n = scandir(folder, &files, NULL, alphasort);
    NearName near = {.word = name};
    for (int i = 0; i < n; i++) {
        char *dot = strrchr(files[i]->d_name, '.');
        if (dot && !strcmp(dot, ".ini")) {
            *dot = 0;
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", files[i]->d_name);
            name_consider(&near, files[i]->d_name);
        }
    }
    fail("--preset %s: no such preset in %s%s%s%s%s", name, folder, *list ? " (there are " : "", list,
         *list ? ")" : "", name_suggestion(&near));
    for (int i = 0; i < n; i++)
        free(files[i]);
    if (n >= 0)
        free(files);
}

int config_read_preset(Config *c, const char *name)
{
    const char *place = getenv("GUISE_PRESETS");
    char *folder = place && *place ? must_strdup(place) : resource_path("experiments/presets");
    char *path = must_printf("%s/%s.ini", folder, name);
    int bad = 0;
    if (strchr(name, '/') || !file_exists(path)) {
        suggest_presets(folder, name);
        bad = -1;
    } else {
        bad = config_read(c, path);
    }
    free(path);
    free(folder);
    return bad;
}

/* ---- values ---- */

static const char *value_of(const Config *c, const char *name, KeyType type, KeyType other)
{
    int i = find_key(name);
    if (i < 0 || (config_keys[i].type != type && config_keys[i].type != other))
        die("the program asks for the configuration key %s, which %s", name,
            i < 0 ? "does not exist" : "is of another type");
    return c->text[i];
}

int64_t config_int(const Config *c, const char *name)
{
    return strtoll(value_of(c, name, KEY_INT, KEY_INT), NULL, 10);
}

double config_float(const Config *c, const char *name)
{
    return strtod(value_of(c, name, KEY_FLOAT, KEY_FLOAT), NULL);
}

int config_bool(const Config *c, const char *name)
{
    return value_of(c, name, KEY_BOOL, KEY_BOOL)[0] == 'y';
}

const char *config_text(const Config *c, const char *name)
{
    return value_of(c, name, KEY_TEXT, KEY_CHOICE);
}

/* ---- texts ---- */

static int section_length(const char *name)
{
    return (int)(strchr(name, '.') - name);
}

void config_print(const Config *c, FILE *out)
{
    for (int i = 0; i < config_key_count; i++) {
        const char *name = config_keys[i].name;
        int n = section_length(name);
        if (!i || section_length(config_keys[i - 1].name) != n || strncmp(config_keys[i - 1].name, name, (size_t)n))
            fprintf(out, "%s[%.*s]\n", i ? "\n" : "", n, name);
        fprintf(out, "%s = %s\n", name + n + 1, c->text[i]);
    }
}

static int is_within(const char *key, const char *section)
{
    size_t n = strlen(section);
    return !strncmp(key, section, n) && (key[n] == '.' || !key[n]);
}

char *config_section_text(const Config *c, const char *const *sections)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        die("no memory for the text of a configuration");
    for (const char *const *s = sections; *s; s++) {
        int hits = 0;
        for (int i = 0; i < config_key_count; i++)
            hits += is_within(config_keys[i].name, *s);
        if (!hits)
            die("the program asks for the configuration section %s, which does not exist", *s);
    }
    for (int i = 0; i < config_key_count; i++) {
        int wanted = 0;
        for (const char *const *s = sections; *s && !config_keys[i].incidental; s++)
            wanted |= is_within(config_keys[i].name, *s);
        if (wanted)
            fprintf(out, "%s = %s\n", config_keys[i].name, c->text[i]);
    }
    fclose(out);
    return text;
}

Hash config_hash_of(const Config *c, const char *const *sections)
{
    char *text = config_section_text(c, sections);
    Hash h = hash_text(text);
    free(text);
    return h;
}

const char *config_difference(const Config *a, const Config *b, int *count)
{
    const char *first = NULL;
    *count = 0;
    for (int i = 0; i < config_key_count; i++)
        if (!config_keys[i].incidental && strcmp(a->text[i], b->text[i])) {
            first = first ? first : config_keys[i].name;
            ++*count;
        }
    return first;
}

void config_print_keys(FILE *out)
{
    for (int i = 0; i < config_key_count; i++) {
        const ConfigKey *k = &config_keys[i];
        fprintf(out, "%-36s %-12s %s%s%s%s\n", k->name, *k->fallback ? k->fallback : "-", k->doc,
                k->choices ? " (" : "", k->choices ? k->choices : "", k->choices ? ")" : "");
    }
}
