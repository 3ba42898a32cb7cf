/* error.h - errors that come from outside: files, flags, memory, devices.
 *
 * A function that can fail returns 0 or a pointer when it worked, and -1 or NULL when it did not; the message lies
 * in a buffer of the calling thread until the next failure.  A message says what, where and what to do about it:
 * "runs/a/world.faces: checksum differs at image 17: delete the file and run again". */
#ifndef GUISE_ERROR_H
#define GUISE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Records the message (printf's format) and returns -1. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* Puts "text: " before the recorded message, for callers that know more of the circumstances; returns -1. */
int fail_in(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

/* The last message of this thread, "" if there was none.  Borrowed: valid until the next failure. */
const char *error_text(void);

/* Prints "program: message" on standard error and exits with status 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn, cold));

/* malloc, calloc and realloc that end the program with one line when memory is gone. */
void *must_alloc(unsigned long bytes);
void *must_zalloc(unsigned long bytes);
void *must_realloc(void *old, unsigned long bytes);
char *must_strdup(const char *text);
/* printf into a string that the caller frees. */
char *must_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif
#endif
