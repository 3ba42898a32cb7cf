/* config.h - the configuration of an experiment: typed keys with the paper's numbers as defaults.
 *
 * A configuration starts with the defaults of config_keys.c; then come a preset, a file and single settings, each
 * of which may change any key.  A key that does not exist, a value of the wrong type or out of its range, or a key
 * given twice in one file is an error that names the file and the line. */
#ifndef GUISE_CONFIG_H
#define GUISE_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "experiments/common/hash.h"

typedef enum KeyType { KEY_INT, KEY_FLOAT, KEY_BOOL, KEY_TEXT, KEY_CHOICE } KeyType;

typedef struct ConfigKey {
    const char *name;          /* "section.key" */
    KeyType     type;
    const char *fallback;      /* the default, as it would stand in a file; the paper's number where it gives one */
    const char *doc;           /* what it is, with [R] where the paper leaves room (docs/paper-map.md) */
    double      min, max;      /* of numbers */
    const char *choices;       /* of a KEY_CHOICE: "nearest|bilinear" */
    int         incidental;    /* 1: the results do not depend on it, so it is left out of hashes */
} ConfigKey;

extern const ConfigKey config_keys[];
extern const int       config_key_count;

typedef struct Config Config;

/* The defaults; a copy; free takes NULL too. */
Config *config_create(void);
Config *config_copy(const Config *c);
void    config_free(Config *c);

/* Fills from an ini file, from a preset by name (experiments/presets/NAME.ini, or the folder in the environment
 * variable GUISE_PRESETS), or from "section.key=value".  0, or -1 with the configuration as it was before. */
int config_read(Config *c, const char *path);
int config_read_preset(Config *c, const char *name);
int config_set(Config *c, const char *assignment);

/* Values.  A name that does not exist, or that is of another type, is a mistake in the program and ends it. */
int64_t     config_int(const Config *c, const char *name);
double      config_float(const Config *c, const char *name);
int         config_bool(const Config *c, const char *name);
const char *config_text(const Config *c, const char *name);   /* KEY_TEXT and KEY_CHOICE; borrowed */

/* The canonical text: an ini file with every key in the order of config_keys, each value in one spelling. */
void config_print(const Config *c, FILE *out);
/* The lines "section.key = value" that results depend on, of the sections or keys in the NULL-ended list; the caller
 * frees it.  A name that matches nothing is a mistake in the program and ends it. */
char *config_section_text(const Config *c, const char *const *sections);
/* Its hash: config_hash_of(c, (const char *const[]){"synthesis", "data.size", NULL}). */
Hash config_hash_of(const Config *c, const char *const *sections);
/* Name of the first key in which two differ (of those that results depend on) and how many differ; NULL if none. */
const char *config_difference(const Config *a, const Config *b, int *count);

/* The table of keys for a person: name, default, meaning. */
void config_print_keys(FILE *out);

#endif
