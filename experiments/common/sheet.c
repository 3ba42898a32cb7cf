/* sheet.c - see sheet.h. */
#include "experiments/common/sheet.h"

#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

Sheet sheet_create(int columns, int rows, int side, int gap)
{
    Sheet s = {columns, rows, side, gap, {columns * (side + gap) + gap, rows * (side + gap) + gap, NULL}};
    size_t bytes = 3 * (size_t)s.image.width * (size_t)s.image.height;
    s.image.rgb = must_alloc(bytes);
    memset(s.image.rgb, 255, bytes);
    return s;
}

void sheet_free(Sheet *s)
{
    free(s->image.rgb);
    s->image.rgb = NULL;
}

static uint8_t byte_of(float x)
{
    float v = (x + 1) * 127.5f + 0.5f;
    return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
}

/* The planes as floats or, where those are NULL, as bytes. */
static void put(Sheet *s, int column, int row, const float *floats, const uint8_t *bytes)
{
    if (column < 0 || column >= s->columns || row < 0 || row >= s->rows)
        return;
    size_t plane = (size_t)s->side * (size_t)s->side;
    int left = s->gap + column * (s->side + s->gap), top = s->gap + row * (s->side + s->gap);
    for (int y = 0; y < s->side; y++) {
        uint8_t *to = s->image.rgb + 3 * ((size_t)(top + y) * (size_t)s->image.width + (size_t)left);
        for (int x = 0; x < s->side; x++)
            for (size_t c = 0; c < 3; c++) {
                size_t at = c * plane + (size_t)y * (size_t)s->side + (size_t)x;
                *to++ = floats ? byte_of(floats[at]) : bytes[at];
            }
    }
}

void sheet_floats(Sheet *s, int column, int row, const float *planes)
{
    put(s, column, row, planes, NULL);
}

void sheet_bytes(Sheet *s, int column, int row, const uint8_t *planes)
{
    put(s, column, row, NULL, planes);
}

void sheet_fill(Sheet *s, const float *images, int n)
{
    for (int i = 0; i < n && i < s->columns * s->rows; i++)
        put(s, i % s->columns, i / s->columns, images + (size_t)i * 3 * (size_t)s->side * (size_t)s->side, NULL);
}

int sheet_write(const Sheet *s, const char *path)
{
    return image_write_png(path, &s->image);
}
