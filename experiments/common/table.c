/* table.c - see table.h. */
#include "experiments/common/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/csv.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

/* The numbers of a cell, in the order in which CSV and JSON give them. */
enum { VALUE, STD, LOW, HIGH, PAPER, PAPER_STD, PARTS };

static const char *const part_names[PARTS] = {"value", "std", "low", "high", "paper", "paper_std"};

typedef struct Cell {
    char *text;            /* of a text, else NULL */
    int number;            /* 1: a number */
    int decimals;
    double part[PARTS];    /* NaN where there is none */
} Cell;

typedef struct Column {
    char *name;
    int has[PARTS];        /* 1: some cell has this part */
} Column;

struct Table {
    char *title, **notes;
    Column *columns;
    Cell *cells;           /* (rows, n_columns) */
    int n_columns, rows, filled, n_notes;
};

Table *table_create(const char *title)
{
    Table *t = must_zalloc(sizeof *t);
    t->title = must_strdup(title);
    return t;
}

void table_free(Table *t)
{
    if (!t)
        return;
    for (int i = 0; i < t->n_columns; i++)
        free(t->columns[i].name);
    for (int i = 0; i < t->rows * t->n_columns; i++)
        free(t->cells[i].text);
    for (int i = 0; i < t->n_notes; i++)
        free(t->notes[i]);
    free(t->title);
    free(t->notes);
    free(t->columns);
    free(t->cells);
    free(t);
}

void table_column(Table *t, const char *name)
{
    if (t->rows)
        die("the program adds the column %s to a table that has rows", name);
    t->columns = must_realloc(t->columns, (size_t)(t->n_columns + 1) * sizeof *t->columns);
    t->columns[t->n_columns++] = (Column){.name = must_strdup(name)};
}

void table_row(Table *t)
{
    size_t n = (size_t)t->n_columns;
    t->cells = must_realloc(t->cells, (size_t)(t->rows + 1) * n * sizeof *t->cells);
    for (size_t i = 0; i < n; i++) {
        Cell *c = &t->cells[(size_t)t->rows * n + i];
        *c = (Cell){0};
        for (int k = 0; k < PARTS; k++)
            c->part[k] = NAN;
    }
    t->rows++;
    t->filled = 0;
}

static Cell *cell_at(const Table *t, int row, int column)
{
    return &t->cells[(size_t)row * (size_t)t->n_columns + (size_t)column];
}

static Cell *next_cell(Table *t)
{
    if (!t->rows || t->filled == t->n_columns)
        die("the program fills a table '%s' beyond its %d columns", t->title, t->n_columns);
    return cell_at(t, t->rows - 1, t->filled++);
}

void table_text(Table *t, const char *text)
{
    next_cell(t)->text = must_strdup(text);
}

void table_number(Table *t, double value, int decimals)
{
    Cell *c = next_cell(t);
    c->number = 1;
    c->decimals = decimals;
    c->part[VALUE] = value;
    t->columns[t->filled - 1].has[VALUE] = 1;
}

static void set_part(Table *t, int part, double value)
{
    if (!t->rows || !t->filled || !cell_at(t, t->rows - 1, t->filled - 1)->number)
        die("the program gives a %s to what is no number in the table '%s'", part_names[part], t->title);
    cell_at(t, t->rows - 1, t->filled - 1)->part[part] = value;
    if (!isnan(value))
        t->columns[t->filled - 1].has[part] = 1;
}

void table_std(Table *t, double std)
{
    set_part(t, STD, std);
}

void table_interval(Table *t, double low, double high)
{
    set_part(t, LOW, low);
    set_part(t, HIGH, high);
}

void table_paper(Table *t, double mean, double std)
{
    set_part(t, PAPER, mean);
    set_part(t, PAPER_STD, std);
}

void table_note(Table *t, const char *text)
{
    t->notes = must_realloc(t->notes, (size_t)(t->n_notes + 1) * sizeof *t->notes);
    t->notes[t->n_notes++] = must_strdup(text);
}

/* ---- for people ---- */

/* What is beside what: the cell itself, its interval, the paper's number. */
enum { SHOW_CELL, SHOW_INTERVAL, SHOW_PAPER, SHOWS };

static int is_shown(const Column *c, int show)
{
    return show == SHOW_CELL || (show == SHOW_INTERVAL ? c->has[LOW] : c->has[PAPER]);
}

static void print_mean(char *to, size_t size, double mean, double std, int decimals)
{
    if (isnan(mean))
        snprintf(to, size, "-");
    else if (isnan(std))
        snprintf(to, size, "%.*f", decimals, mean);
    else
        snprintf(to, size, "%.*f (%.*f)", decimals, mean, decimals, std);
}

/* What stands in a place of the table; `row` -1 is the heading.  May point into `buffer`. */
static const char *shown(const Table *t, int row, int column, int show, char *buffer, size_t size)
{
    if (row < 0)
        return show == SHOW_CELL ? t->columns[column].name : show == SHOW_INTERVAL ? "interval" : "paper";
    const Cell *c = cell_at(t, row, column);
    const double *part = c->part;
    buffer[0] = 0;
    if (show == SHOW_CELL && c->text)
        return c->text;
    if (show == SHOW_CELL && c->number)
        print_mean(buffer, size, part[VALUE], part[STD], c->decimals);
    else if (show == SHOW_INTERVAL && !isnan(part[LOW]))
        snprintf(buffer, size, "[%.*f, %.*f]", c->decimals, part[LOW], c->decimals, part[HIGH]);
    else if (show == SHOW_PAPER && !isnan(part[PAPER]))
        print_mean(buffer, size, part[PAPER], part[PAPER_STD], c->decimals);
    return buffer;
}

static int width_of(const Table *t, int column, int show)
{
    char buffer[200];
    int width = 0;
    for (int row = -1; row < t->rows; row++) {
        int w = utf8_width(shown(t, row, column, show, buffer, sizeof buffer));
        width = w > width ? w : width;
    }
    return width;
}

static void print_line(const Table *t, int row, const int (*widths)[SHOWS], FILE *out)
{
    char buffer[200];
    int pending = 0;   /* blanks are printed only before something, so that no line ends in them */
    for (int column = 0; column < t->n_columns; column++)
        for (int show = 0; show < SHOWS; show++) {
            if (!is_shown(&t->columns[column], show))
                continue;
            const char *text = shown(t, row, column, show, buffer, sizeof buffer);
            int blank = widths[column][show] - utf8_width(text), right = t->columns[column].has[VALUE];
            pending += right ? blank : 0;
            if (*text)
                fprintf(out, "%*s%s", pending, "", text);
            pending = (*text ? 0 : pending) + (right ? 0 : blank) + 2;
        }
    fputc('\n', out);
}

void table_print(const Table *t, FILE *out)
{
    int(*widths)[SHOWS] = must_zalloc((size_t)t->n_columns * sizeof *widths);
    int total = -2;
    for (int column = 0; column < t->n_columns; column++)
        for (int show = 0; show < SHOWS; show++)
            if (is_shown(&t->columns[column], show))
                total += (widths[column][show] = width_of(t, column, show)) + 2;
    fprintf(out, "%s\n\n", t->title);
    print_line(t, -1, (const int(*)[SHOWS])widths, out);
    for (int i = 0; i < total; i++)
        fputc('-', out);
    fputc('\n', out);
    for (int row = 0; row < t->rows; row++)
        print_line(t, row, (const int(*)[SHOWS])widths, out);
    for (int i = 0; i < t->n_notes; i++)
        fprintf(out, "%s%s\n", i ? "" : "\n", t->notes[i]);
    free(widths);
}

/* ---- for programs ---- */

/* A column of CSV is part `part` of a column: VALUE holds texts too. */
static int has_csv(const Column *c, int part)
{
    return part == VALUE || c->has[part];
}

static void put_csv(const Cell *c, int part, FILE *out)
{
    if (part == VALUE && c->text)
        csv_put(out, c->text);
    else if (!isnan(c->part[part]))
        json_write_number(out, c->part[part]);
}

void table_print_csv(const Table *t, FILE *out)
{
    for (int row = -1; row < t->rows; row++) {
        const char *comma = "";
        for (int column = 0; column < t->n_columns; column++)
            for (int part = 0; part < PARTS; part++) {
                if (!has_csv(&t->columns[column], part))
                    continue;
                fputs(comma, out);
                comma = ",";
                if (row >= 0) {
                    put_csv(cell_at(t, row, column), part, out);
                    continue;
                }
                char *name = part ? must_printf("%s_%s", t->columns[column].name, part_names[part])
                                  : must_strdup(t->columns[column].name);
                csv_put(out, name);
                free(name);
            }
        fputc('\n', out);
    }
}

static void put_json(const Cell *c, FILE *out)
{
    if (c->text || !c->number) {
        json_write_string(out, c->text ? c->text : "");
        return;
    }
    for (int part = 0; part < PARTS; part++)
        if (part == VALUE || !isnan(c->part[part])) {
            fprintf(out, "%s\"%s\": ", part ? ", " : "{", part_names[part]);
            json_write_number(out, c->part[part]);
        }
    fputc('}', out);
}

void table_print_json(const Table *t, FILE *out)
{
    fputs("{\"title\": ", out);
    json_write_string(out, t->title);
    fputs(",\n \"rows\": [", out);
    for (int row = 0; row < t->rows; row++) {
        fputs(row ? ",\n  {" : "\n  {", out);
        for (int column = 0; column < t->n_columns; column++) {
            fputs(column ? ", " : "", out);
            json_write_string(out, t->columns[column].name);
            fputs(": ", out);
            put_json(cell_at(t, row, column), out);
        }
        fputc('}', out);
    }
    fputs("],\n \"notes\": [", out);
    for (int i = 0; i < t->n_notes; i++) {
        fputs(i ? ", " : "", out);
        json_write_string(out, t->notes[i]);
    }
    fputs("]}\n", out);
}

int table_save(const Table *t, const char *path)
{
    static const char *const suffix[] = {"csv", "json", "txt"};
    void (*const print[])(const Table *, FILE *) = {table_print_csv, table_print_json, table_print};
    int bad = 0;
    for (int i = 0; i < 3 && !bad; i++) {
        FileWriter w;
        char *name = must_printf("%s.%s", path, suffix[i]);
        bad = file_open(&w, name);
        if (!bad) {
            print[i](t, w.stream);
            bad = file_commit(&w);
        }
        free(name);
    }
    return bad ? -1 : 0;
}
