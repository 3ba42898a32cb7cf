/* csv.h - comma-separated values (RFC 4180): fields in double quotes may hold commas, line ends and doubled quotes. */
#ifndef GUISE_CSV_H
#define GUISE_CSV_H

#include <stdio.h>

typedef struct Csv {
    char *bytes, *next;   /* the whole file; its fields are cut out in place */
    char *path;
    int line;             /* of the row read last, from 1 */
} Csv;

/* 0 or -1. */
int  csv_open(Csv *csv, const char *path);
/* The same of bytes that came from `name`; copies them. */
int  csv_open_memory(Csv *csv, const void *bytes, size_t size, const char *name);
void csv_close(Csv *csv);

/* Reads the next row that is not empty into field (most), valid until csv_close.
 * The number of fields; 0 at the end; -1: more than `most` fields, an unfinished quote.  Rows behind it cannot be told
 * apart then. */
int csv_row(Csv *csv, char **field, int most);

/* Reads a row that must begin with the names (count): a header.  Returns its number of fields (further columns are
 * allowed), or -1 and a message with the names that were expected. */
int csv_header(Csv *csv, const char *const *names, int count, char **field, int most);

/* Writes one field, quoted where it must be. */
void csv_put(FILE *stream, const char *text);

/* A whole decimal number from low to high into *value; 0, or -1 (no message). */
int csv_integer(const char *text, long low, long high, long *value);

#endif
