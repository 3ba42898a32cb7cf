/* error.c - see error.h. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local char message[2048];

int fail(const char *format, ...)
{
    va_list args;
    char text[sizeof message];   /* the arguments may point into the old message */
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    return -1;
}

int fail_in(const char *format, ...)
{
    va_list args;
    char text[sizeof message];
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof text)
        n = (int)sizeof text - 1;
    size_t left = sizeof text - (size_t)n, old = strlen(message);
    if (left > 2) {
        memcpy(text + n, ": ", 2);
        n += 2;
        left -= 2;
        old = old < left - 1 ? old : left - 1;
        memcpy(text + n, message, old);
        text[n + (int)old] = 0;
    }
    memcpy(message, text, sizeof message);
    return -1;
}

const char *error_text(void)
{
    return message;
}

void die(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void *have(void *p, unsigned long bytes)
{
    if (!p)
        die("out of memory: %lu bytes could not be had; use a smaller batch, image size or preset", bytes);
    return p;
}

void *must_alloc(unsigned long bytes)
{
    return have(malloc(bytes ? bytes : 1), bytes);
}

void *must_zalloc(unsigned long bytes)
{
    return have(calloc(1, bytes ? bytes : 1), bytes);
}

void *must_realloc(void *old, unsigned long bytes)
{
    return have(realloc(old, bytes ? bytes : 1), bytes);
}

char *must_strdup(const char *text)
{
    return have(strdup(text), strlen(text) + 1);
}

char *must_printf(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return have(n < 0 ? NULL : text, 0);
}
