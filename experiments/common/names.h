/* names.h - the name that was meant, and the files that come with the program. */
#ifndef GUISE_NAMES_H
#define GUISE_NAMES_H

/* Edits (insert, delete, replace, swap neighbours) between two names: the restricted Damerau-Levenshtein distance,
 * for names of at most 63 bytes (longer ones count as far apart). */
int name_distance(const char *a, const char *b);

/* Feeds candidates one by one; *best is kept where it is nearer.  Start with (NearName){.word = word}. */
typedef struct NearName {
    const char *word, *best;
    int distance;
} NearName;
void name_consider(NearName *near, const char *candidate);
/* ": did you mean NAME?" in a buffer of the thread, or "" if nothing is near (a third of the word's length). */
const char *name_suggestion(const NearName *near);

/* Path of a file that comes with the program, such as "experiments/presets": found from the program's own folder
 * upwards (build/bin/../..), else from the current folder.  The caller frees it; it need not exist. */
char *resource_path(const char *relative);

#endif
