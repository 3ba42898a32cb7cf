/* paper.c - see paper.h. */
#include "experiments/common/paper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "engine/error.h"
#include "experiments/common/names.h"

enum { COLUMNS = 6 };

static int take_row(Paper *p, const Csv *csv, char **field)
{
    long table;
    char *end[2];
    double mean = strtod(field[3], &end[0]), std = strtod(field[4], &end[1]);
    if (csv_integer(field[0], 1, 99, &table) || end[0] == field[3] || *end[0] || end[1] == field[4] || *end[1] ||
        !isfinite(mean) || !isfinite(std))
        return fail("%s: line %d: table, mean and std must be numbers", csv->path, csv->line);
    if (paper_find(p, (int)table, field[1], field[2]))
        return fail("%s: line %d: %s, %s is there twice", csv->path, csv->line, field[1], field[2]);
    p->number = must_realloc(p->number, (size_t)(p->n + 1) * sizeof *p->number);
    p->number[p->n++] = (PaperNumber){(int)table, must_strdup(field[1]), must_strdup(field[2]), mean, std,
                                      must_strdup(field[5])};
    return 0;
}

Paper *paper_read(const char *path)
{
    static const char *const names[COLUMNS] = {"table", "row", "column", "mean", "std", "unit"};
    char *own = path ? NULL : resource_path("experiments/paper/tables.csv"), *field[COLUMNS];
    Csv csv;
    if (csv_open(&csv, path ? path : own)) {
        free(own);
        return NULL;
    }
    Paper *p = must_zalloc(sizeof *p);
    int n = 0, bad = csv_header(&csv, names, COLUMNS, field, COLUMNS) < 0;
    while (!bad && (n = csv_row(&csv, field, COLUMNS)) > 0)
        bad = n < COLUMNS ? fail("%s: line %d: %d columns were expected", csv.path, csv.line, COLUMNS)
                          : take_row(p, &csv, field);
    csv_close(&csv);
    free(own);
    if (!bad && n == 0)
        return p;
    paper_free(p);
    return NULL;
}

void paper_free(Paper *p)
{
    for (int i = 0; p && i < p->n; i++) {
        free(p->number[i].row);
        free(p->number[i].column);
        free(p->number[i].unit);
    }
    if (p)
        free(p->number);
    free(p);
}

const PaperNumber *paper_find(const Paper *p, int table, const char *row, const char *column)
{
    for (int i = 0; i < p->n; i++)
        if (p->number[i].table == table && !strcmp(p->number[i].row, row) && !strcmp(p->number[i].column, column))
            return &p->number[i];
    return NULL;
}
