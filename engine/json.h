/* json.h - the JSON that the project reads and writes (RFC 8259): a strict reader that walks a text, and strings
 * with their escapes.
 *
 * The reader keeps its first mistake: from then on every call fails, so that a caller may look once at the end.
 *
 *     for (int first = 1; json_enter_more(&r, '{', &first);) { char *key = json_key(&r); ... }
 *     if (json_finish(&r)) return -1;                                      (the message is r.why at byte r.at)
 *
 * Absent: numbers with a fraction or an exponent, and strings that hold a NUL: no format of ours has them. */
#ifndef GUISE_JSON_H
#define GUISE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct JsonReader {
    const char *start, *at, *end;
    const char *why;   /* what is wrong, NULL while all is well */
} JsonReader;

/* A reader at the start of `size` bytes, which it borrows. */
JsonReader json_reader(const char *text, size_t size);

/* Records the first mistake; returns -1. */
int json_fail(JsonReader *r, const char *why);

/* Steps into an object ('{') or array ('[') when *first is 1, and to its next member after that; 0 at the closing
 * bracket (which it passes) and after a mistake. */
int json_enter_more(JsonReader *r, char bracket, int *first);

/* A string, or the key of a member with its colon, as UTF-8 that the caller frees; NULL after a mistake. */
char *json_string(JsonReader *r);
char *json_key(JsonReader *r);

/* An integer that fits; 0 or -1. */
int json_integer(JsonReader *r, int64_t *value);

/* Only white space may follow; 0, or -1 if anything was wrong so far. */
int json_finish(JsonReader *r);

/* 1 if the text is valid UTF-8 (no surrogates, no overlong forms). */
int utf8_valid(const char *text);
/* Characters on a terminal, counting code points; bytes that are no UTF-8 count one each. */
int utf8_width(const char *text);

/* Writes a string with quotes and escapes; bytes that are no UTF-8 become U+FFFD. */
void json_write_string(FILE *out, const char *text);
/* Writes a number so that it reads back equal; null for what JSON cannot say (infinities and NaN). */
void json_write_number(FILE *out, double value);

#ifdef __cplusplus
}
#endif
#endif
