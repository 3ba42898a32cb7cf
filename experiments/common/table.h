/* table.h - tables of results: aligned for a terminal, as CSV, as JSON.
 *
 *     Table *t = table_create("Table 3: EER, %");
 *     table_column(t, "set");  table_column(t, "Test");
 *     table_row(t);
 *     table_text(t, "Original");
 *     table_number(t, 2.07, 2);
 *     table_std(t, 0.31);  table_interval(t, 1.61, 2.60);  table_paper(t, 2.21, 0.39);   (of the cell before)
 *     table_print(t, stdout);
 *
 *     set       Test         interval      paper
 *     Original  2.07 (0.31)  [1.61, 2.60]  2.21 (0.39)
 *
 * A column has a column "interval" or "paper" beside it as soon as one of its cells has one. */
#ifndef GUISE_TABLE_H
#define GUISE_TABLE_H

#include <stdio.h>

typedef struct Table Table;

Table *table_create(const char *title);
void   table_free(Table *table);

/* Columns come first.  Then rows, whose cells are filled from the left; cells that are left out stay empty. */
void table_column(Table *table, const char *name);
void table_row(Table *table);
void table_text(Table *table, const char *text);
void table_number(Table *table, double value, int decimals);   /* NaN: "-" */

/* More of the last number: standard deviation, interval, the paper's mean and its standard deviation (NaN: none). */
void table_std(Table *table, double std);
void table_interval(Table *table, double low, double high);
void table_paper(Table *table, double mean, double std);

/* A line under the table. */
void table_note(Table *table, const char *text);

/* Aligned: text to the left, numbers to the right. */
void table_print(const Table *table, FILE *out);
/* CSV: a column NAME of numbers has NAME_std, NAME_low, NAME_high, NAME_paper and NAME_paper_std beside it, each if
 * any cell has it; values in full precision, empty where there is none. */
void table_print_csv(const Table *table, FILE *out);
/* JSON: {"title", "rows": [{"NAME": "text" or {"value", "std", "low", "high", "paper", "paper_std"}}], "notes"}. */
void table_print_json(const Table *table, FILE *out);
/* Writes PATH.csv and PATH.json and PATH.txt.  0 or -1. */
int table_save(const Table *table, const char *path);

#endif
