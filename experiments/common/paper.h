/* paper.h - the numbers of the paper's tables: experiments/paper/tables.csv, columns table,row,column,mean,std,unit. */
#ifndef GUISE_PAPER_H
#define GUISE_PAPER_H

typedef struct PaperNumber {
    int    table;
    char  *row, *column;   /* "Original", "Test/18143" */
    double mean, std;
    char  *unit;           /* "EER_percent" or "euclidean_distance" */
} PaperNumber;

typedef struct Paper {
    PaperNumber *number;
    int          n;
} Paper;

/* Reads a file, or the project's own where path is NULL.  NULL: see error_text(). */
Paper *paper_read(const char *path);
void   paper_free(Paper *paper);

/* NULL if the paper has no such number. */
const PaperNumber *paper_find(const Paper *paper, int table, const char *row, const char *column);

#endif
