/* sheet.h - face images in a grid, as one picture.  Cells that are not filled stay white. */
#ifndef GUISE_SHEET_H
#define GUISE_SHEET_H

#include "data/image.h"

typedef struct Sheet {
    int   columns, rows, side, gap;   /* cells of side x side pixels, gap pixels between and around them */
    Image image;
} Sheet;

/* A white sheet; all numbers > 0, the gap may be 0. */
Sheet sheet_create(int columns, int rows, int side, int gap);
void  sheet_free(Sheet *sheet);

/* Puts an image of (3, side, side) into a cell: floats of [-1, 1] (rounded to (x + 1) 127.5; beyond: cut off; NaN:
 * black) or bytes.  Cells beyond the sheet are left out. */
void sheet_floats(Sheet *sheet, int column, int row, const float *planes);
void sheet_bytes(Sheet *sheet, int column, int row, const uint8_t *planes);

/* n images (n, 3, side, side), line by line from the first cell. */
void sheet_fill(Sheet *sheet, const float *images, int n);

/* 0 or -1. */
int sheet_write(const Sheet *sheet, const char *path);

#endif
