/* tuning.c - recorded algorithm choices: lines "key<TAB>algorithm", where the key says op, device, versions of its
 * libraries, attributes and shapes.  A plan takes what the table says and never times anything itself; what it took
 * is printed by plan_choices. */
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "engine/plan.h"

struct Tuning {
    char *text;
    int n;
    struct TuningLine {
        const char *key, *algorithm;
    } *lines;
};

static char *usual;   /* of plans that name no table */

int engine_tuning(const char *path)
{
    Tuning *t = path ? tuning_load(path) : NULL;
    if (path && !t)
        return -1;
    tuning_free(t);
    free(usual);
    usual = path ? must_strdup(path) : NULL;
    return 0;
}

Tuning *tuning_load(const char *path)
{
    path = path ? path : usual;
    Tuning *t = must_zalloc(sizeof *t);
    size_t size = 0;
    if (!path || !file_exists(path))
        return t;
    t->text = file_read(path, &size);
    if (!t->text) {
        free(t);
        return NULL;
    }
    int number = 0;
    for (char *line = t->text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        char *tab = strchr(line, '\t');
        if (*line == '#' || !*line)
            continue;
        if (!tab || tab == line || !tab[1]) {
            fail("%s: line %d is not \"key<TAB>algorithm\"; delete the file to use the default choices", path, number);
            tuning_free(t);
            return NULL;
        }
        *tab = 0;
        t->lines = must_realloc(t->lines, sizeof *t->lines * (size_t)(t->n + 1));
        t->lines[t->n].key = line;
        t->lines[t->n++].algorithm = tab + 1;
    }
    return t;
}

void tuning_free(Tuning *t)
{
    if (!t)
        return;
    free(t->lines);
    free(t->text);
    free(t);
}

const char *tuning_find(const Tuning *t, const char *key)
{
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->lines[i].key, key))
            return text_intern(t->lines[i].algorithm);
    return NULL;
}

void tuning_key(const KernelCall *k, char *text, size_t size)
{
    char part[256];
    const char *precision = k->precision == PRECISION_FP32 ? "" : precision_name(k->precision);
    size_t n = (size_t)snprintf(text, size, "%s@%s%s%s(%s)", k->op->name, k->device->backend, *precision ? ":" : "",
                                precision, backend_libraries(k->device->backend));
    op_attrs_print(k->op, k->attrs, part, sizeof part);
    for (char *c = part; *c; c++)
        *c = *c == ' ' ? ',' : *c;
    if (n < size)
        n += (size_t)snprintf(text + n, size - n, "[%s]", part);
    for (int i = 0; i < k->nin && i < 4 && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s", shape_text(k->in[i].shape, part, sizeof part));
    for (char *c = text; *c; c++)
        if (*c == ' ')
            memmove(c, c + 1, strlen(c));
}

int plan_choices(const Plan *plan, FILE *to)
{
    for (int s = 0; s < plan->nsteps; s++) {
        const KernelCall *k = &plan->steps[s].call;
        char key[512];
        tuning_key(k, key, sizeof key);
        if (*k->chosen)
            fprintf(to, "%s\t%s\n", key, k->chosen);
    }
    return ferror(to) ? -1 : 0;
}
