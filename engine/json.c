/* json.c - see json.h. */
#include "engine/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

JsonReader json_reader(const char *text, size_t size)
{
    return (JsonReader){text, text, text + size, NULL};
}

int json_fail(JsonReader *r, const char *why)
{
    if (!r->why)
        r->why = why;
    return -1;
}

/* The next byte after white space, 0 at the end. */
static int peek(JsonReader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
    return r->at < r->end ? (unsigned char)*r->at : 0;
}

static int expect(JsonReader *r, int c, const char *why)
{
    if (r->why || peek(r) != c)
        return json_fail(r, why);
    r->at++;
    return 0;
}

int json_enter_more(JsonReader *r, char bracket, int *first)
{
    int close = bracket == '{' ? '}' : ']';
    if (*first && expect(r, bracket, bracket == '{' ? "an object was expected" : "a list was expected"))
        return 0;
    if (r->why)
        return 0;
    if (peek(r) == close) {
        r->at++;
        return 0;
    }
    if (!*first && expect(r, ',', bracket == '{' ? "',' or '}' was expected" : "',' or ']' was expected"))
        return 0;
    *first = 0;
    if (peek(r) == close)
        return json_fail(r, "a comma before the closing bracket"), 0;
    return 1;
}

/* Length of the UTF-8 character at `s` (RFC 3629, table of section 4), 0 if there is none; `left` bytes may be read. */
static int utf8_length(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    if (!n || left < (size_t)n)
        return 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    int overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    int surrogate = s[0] == 0xED && s[1] > 0x9F, beyond = s[0] == 0xF4 && s[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : n;
}

static char *utf8_put(char *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* Four hexadecimal digits; -1 if they are not there. */
static int32_t hex4(JsonReader *r)
{
    int32_t value = 0;
    if (r->end - r->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)*r->at++;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* What follows \u, with the second half of a surrogate pair; -1 if it is wrong. */
static int32_t unicode_escape(JsonReader *r)
{
    int32_t c = hex4(r);
    if (c < 0xD800 || c > 0xDFFF)
        return c;
    if (c > 0xDBFF || r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
        return -1;
    r->at += 2;
    int32_t low = hex4(r);
    return low < 0xDC00 || low > 0xDFFF ? -1 : 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
}

/* One character of a string from r->at to *to; -1 after a mistake. */
static int string_character(JsonReader *r, char **to)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    unsigned char c = (unsigned char)*r->at;
    if (c < 0x20)
        return json_fail(r, "a control character within a string");
    if (c != '\\') {
        int n = utf8_length((const unsigned char *)r->at, (size_t)(r->end - r->at));
        if (!n)
            return json_fail(r, "a string that is not UTF-8");
        memcpy(*to, r->at, (size_t)n);
        *to += n;
        r->at += n;
        return 0;
    }
    if (++r->at == r->end)
        return json_fail(r, "a string without an end");
    c = (unsigned char)*r->at++;
    if (c == 'u') {
        int32_t code = unicode_escape(r);
        if (code <= 0)
            return json_fail(r, code ? "a wrong \\u escape" : "a NUL within a string");
        *to = utf8_put(*to, (uint32_t)code);
        return 0;
    }
    for (const char *e = escapes; *e; e += 2)
        if (*e == (char)c) {
            *(*to)++ = e[1];
            return 0;
        }
    return json_fail(r, "an unknown escape within a string");
}

char *json_string(JsonReader *r)
{
    if (expect(r, '"', "a string was expected"))
        return NULL;
    const char *close = r->at;
    while (close < r->end && *close != '"')
        close += *close == '\\' && close + 1 < r->end ? 2 : 1;
    /* no escape is shorter than what it stands for */
    char *text = must_alloc((size_t)(close - r->at) + 1), *to = text;
    while (r->at < r->end && *r->at != '"')
        if (string_character(r, &to)) {
            free(text);
            return NULL;
        }
    *to = 0;
    if (expect(r, '"', "a string without an end")) {
        free(text);
        return NULL;
    }
    return text;
}

char *json_key(JsonReader *r)
{
    char *key = json_string(r);
    if (key && expect(r, ':', "':' was expected")) {
        free(key);
        return NULL;
    }
    return key;
}

int json_integer(JsonReader *r, int64_t *value)
{
    int negative = !r->why && peek(r) == '-';
    const char *digits = r->at += negative;
    int64_t v = 0;
    if (r->why)
        return -1;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *r->at - '0', &v))
            return json_fail(r, "a number too large");
    if (r->at == digits || (*digits == '0' && r->at > digits + 1))
        return json_fail(r, "an integer was expected");
    if (r->at < r->end && strchr(".eE", *r->at))
        return json_fail(r, "an integer was expected, not a fraction");
    if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
        return json_fail(r, "a number too large");
    *value = v;
    return 0;
}

int json_finish(JsonReader *r)
{
    if (!r->why && (peek(r), r->at < r->end))
        json_fail(r, "something follows the end");
    return r->why ? -1 : 0;
}

int utf8_valid(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t left = strlen(text);
    while (left) {
        int n = utf8_length(s, left);
        if (!n)
            return 0;
        s += n;
        left -= (size_t)n;
    }
    return 1;
}

int utf8_width(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t left = strlen(text);
    int width = 0;
    while (left) {
        int n = utf8_length(s, left);
        n = n ? n : 1;
        s += n;
        left -= (size_t)n;
        width++;
    }
    return width;
}

void json_write_string(FILE *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t left = strlen(text);
    fputc('"', out);
    while (left) {
        int n = utf8_length(s, left);
        if (!n) {
            fputs("\xEF\xBF\xBD", out);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            fprintf(out, "\\%c", *s);
        } else if (*s == '\n') {
            fputs("\\n", out);
        } else if (*s == '\t') {
            fputs("\\t", out);
        } else if (*s < 0x20) {
            fprintf(out, "\\u%04x", *s);
        } else {
            fwrite(s, 1, (size_t)n, out);
        }
        s += n;
        left -= (size_t)n;
    }
    fputc('"', out);
}

void json_write_number(FILE *out, double value)
{
    char text[40];
    if (!isfinite(value)) {
        fputs("null", out);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    fputs(text, out);
}
