/* 110_safetensors.c - files of tensors: what is written reads back, and whatever is damaged is refused by name. */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/json.h"
#include "engine/safetensors.h"

static char *scratch_file(void)
{
    char *path = must_strdup("/tmp/guise-safetensors-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    return path;
}

/* A file in memory: the length, the header, and `data` zero bytes. */
typedef struct Bytes {
    char *bytes;
    size_t size;
} Bytes;

static Bytes file_of(const char *header, size_t data)
{
    size_t n = strlen(header);
    Bytes b = {must_zalloc(8 + n + data), 8 + n + data};
    for (int i = 0; i < 8; i++)
        b.bytes[i] = (char)((uint64_t)n >> 8 * i & 255);
    memcpy(b.bytes + 8, header, n);
    return b;
}

static SafeFile *open_bytes(Bytes b)
{
    /* an exact copy, so that the sanitizer sees any step beyond the end */
    return safetensors_open_memory(b.bytes, b.size, "a.safetensors");
}

/* The header over `data` bytes is refused, with `reason` in the message. */
static void refuse(const char *header, size_t data, const char *reason)
{
    Bytes b = file_of(header, data);
    SafeFile *f = open_bytes(b);
    ck_assert_msg(!f, "accepted: %s", header);
    ck_assert_msg(!strncmp(error_text(), "a.safetensors: ", 15), "no file name in: %s", error_text());
    ck_assert_msg(strstr(error_text(), reason) != NULL, "%s\n  gives: %s\n  wanted: %s", header, error_text(), reason);
    free(b.bytes);
}

#define TENSOR(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

TEST(writes_and_reads_back)
{
    double f64[2] = {1.0 / 3, -INFINITY};
    float f32[6] = {0, 1, -2, 3.5f, 1e-40f, 5};
    uint8_t u8[3] = {0, 128, 255};
    int64_t i64[1] = {-7};
    const SafeTensor tensors[] = {
        {.name = "bytes", .dtype = SAFE_U8, .rank = 1, .shape = {3}, .data = u8},
        {.name = "a \"quoted\"\\ n\xC3\xA9\n", .dtype = SAFE_F32, .rank = 2, .shape = {2, 3}, .data = f32, .bytes = 24},
        {.name = "scalar", .dtype = SAFE_I64, .data = i64},
        {.name = "double", .dtype = SAFE_F64, .rank = 1, .shape = {2}, .data = f64},
        {.name = "empty", .dtype = SAFE_F32, .rank = 2, .shape = {0, 4}},
    };
    const char *metadata[] = {"step", "12", "format", "pt", NULL};
    char *path = scratch_file();
    MUST(safetensors_write(path, tensors, 5, metadata));

    SafeFile *f = safetensors_open(path);
    HAVE(f);
    ck_assert_int_eq(safetensors_count(f), 5);
    ck_assert_str_eq(safetensors_metadata(f, "format"), "pt");
    ck_assert_str_eq(safetensors_metadata(f, "step"), "12");
    ck_assert_ptr_null(safetensors_metadata(f, "other"));
    ck_assert_ptr_null(safetensors_find(f, "byte"));
    for (int i = 0; i < 5; i++) {
        const SafeTensor *t = safetensors_find(f, tensors[i].name);
        HAVE(t);
        ck_assert_int_eq(t->dtype, tensors[i].dtype);
        ck_assert_int_eq(t->rank, tensors[i].rank);
        ck_assert_mem_eq(t->shape, tensors[i].shape, sizeof t->shape);
        if (t->bytes) {
            ck_assert_mem_eq(t->data, tensors[i].data, t->bytes);
            ck_assert_uint_eq((size_t)t->data % safetensors_size(t->dtype), 0);
        }
    }
    safetensors_close(f);

    /* the order in which they are given does not matter */
    const SafeTensor other[] = {tensors[4], tensors[2], tensors[0], tensors[3], tensors[1]};
    const char *turned[] = {"format", "pt", "step", "12", NULL};
    char *again = scratch_file();
    MUST(safetensors_write(again, other, 5, turned));
    size_t n, m;
    char *a = file_read(path, &n), *b = file_read(again, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(a, b, n);
    unlink(path);
    unlink(again);
    free(a);
    free(b);
    free(path);
    free(again);
}

TEST(an_empty_file_of_tensors)
{
    char *path = scratch_file();
    MUST(safetensors_write(path, NULL, 0, NULL));
    SafeFile *f = safetensors_open(path);
    HAVE(f);
    ck_assert_int_eq(safetensors_count(f), 0);
    ck_assert_ptr_null(safetensors_find(f, "x"));
    safetensors_close(f);
    unlink(path);
    free(path);
}

/* Every dtype from its bits, at an address that is not aligned. */
TEST(converts_every_type)
{
    static const struct {
        const char *dtype;
        uint64_t bits;
        double value;
    } cases[] = {
        {"F64", 0x3FF8000000000000, 1.5},  {"F32", 0xC0490FDB, -3.14159274101257324},
        {"F16", 0x3C00, 1},                {"F16", 0xC000, -2},
        {"F16", 0x7BFF, 65504},            {"F16", 0x0001, 0x1p-24},
        {"F16", 0x03FF, 1023 * 0x1p-24},   {"F16", 0x0400, 0x1p-14},
        {"F16", 0x8000, -0.0},             {"F16", 0xFC00, -INFINITY},
        {"BF16", 0x3F80, 1},               {"BF16", 0xC2F7, -123.5},
        {"I64", (uint64_t)-5, -5},         {"I32", 0x80000000, INT32_MIN},
        {"I16", 0xFFFE, -2},               {"I8", 0x80, -128},
        {"U64", 4000, 4000},               {"U32", 0x7FFFFFFF, INT32_MAX},
        {"U16", 0xFFFF, 65535},            {"U8", 0xFF, 255},
        {"BOOL", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = safetensors_size(safetensors_type(cases[i].dtype));
        char header[200];
        snprintf(header, sizeof header, "{\"pad\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"x\":{\"dtype\":\"%s\",\"shape\":[],\"data_offsets\":[1,%zu]}}", cases[i].dtype, 1 + size);
        Bytes b = file_of(header, 1 + size);
        memcpy(b.bytes + b.size - size, &cases[i].bits, size);
        SafeFile *f = open_bytes(b);
        HAVE(f);
        const SafeTensor *t = safetensors_find(f, "x");
        ck_assert_str_eq(safetensors_type_name(t->dtype), cases[i].dtype);
        double d = 77;
        float s = 77;
        int32_t n = 77;
        if (strchr("FB", cases[i].dtype[0]) && strcmp(cases[i].dtype, "BOOL")) {
            MUST(safetensors_doubles(t, &d));
            MUST(safetensors_floats(t, &s));
            ck_assert_mem_eq(&d, &cases[i].value, sizeof d);
            ck_assert_float_eq(s, (float)cases[i].value);
            ck_assert_int_eq(safetensors_ints(t, &n), -1);
        } else {
            MUST(safetensors_ints(t, &n));
            ck_assert_int_eq(n, (int32_t)cases[i].value);
            ck_assert_int_eq(safetensors_floats(t, &s), -1);
            ck_assert_int_eq(safetensors_doubles(t, &d), -1);
        }
        safetensors_close(f);
        free(b.bytes);
    }
}

TEST(integers_that_do_not_fit)
{
    static const struct {
        const char *dtype;
        uint64_t bits;
    } cases[] = {{"I64", 0x80000000}, {"U64", UINT64_MAX}, {"U32", 0x80000000}};
    for (int i = 0; i < 3; i++) {
        SafeTensor t = {.name = "x", .dtype = safetensors_type(cases[i].dtype), .data = &cases[i].bits};
        int32_t n;
        ck_assert_int_eq(safetensors_ints(&t, &n), -1);
        ck_assert_msg(strstr(error_text(), "does not fit") != NULL, "%s", error_text());
    }
    uint16_t nan_bits = 0x7E00;
    SafeTensor t = {.name = "x", .dtype = SAFE_F16, .data = &nan_bits};
    double d = 0;
    MUST(safetensors_doubles(&t, &d));
    ck_assert(isnan(d));
}

TEST(accepts_what_the_format_allows)
{
    static const char *const headers[] = {
        "{}", "{} ", "{ }\n\t ",
        "{" TENSOR("b", "F32", "[1]", 4, 8) " , " TENSOR("a", "F32", "[ 1 , 1 ]", 0, 4) "}        ",
        "{\"__metadata__\":{\"k\":\"\\u00e9\\ud83d\\ude00\\n\"}}",
        "{\"x\":{\"data_offsets\":[0,0],\"shape\":[0,9000000000,9],\"dtype\":\"BOOL\"}}",
        "{" TENSOR("", "U8", "[]", 0, 1) "}",
    };
    static const size_t data[] = {0, 0, 0, 8, 0, 0, 1};
    for (int i = 0; i < 7; i++) {
        Bytes b = file_of(headers[i], data[i]);
        SafeFile *f = open_bytes(b);
        HAVE(f);
        if (i == 3)
            ck_assert_str_eq(safetensors_at(f, 0)->name, "a");
        if (i == 4)
            ck_assert_str_eq(safetensors_metadata(f, "k"), "\xC3\xA9\xF0\x9F\x98\x80\n");
        safetensors_close(f);
        free(b.bytes);
    }
}

TEST(refuses_wrong_sizes)
{
    refuse("{" TENSOR("x", "F32", "[2]", 0, 8) "}", 7, "cut short or damaged");
    refuse("{" TENSOR("x", "F32", "[2]", 0, 8) "}", 9, "of which the tensors cover 8");
    refuse("{" TENSOR("x", "F32", "[2]", 0, 4) "}", 4, "its shape and dtype say otherwise");
    refuse("{" TENSOR("x", "F32", "[2]", 8, 0) "}", 8, "cut short or damaged");
    refuse("{" TENSOR("x", "F32", "[1]", 0, 4) "," TENSOR("y", "F32", "[1]", 2, 6) "}", 6, "neither overlap");
    refuse("{" TENSOR("x", "F32", "[1]", 0, 4) "," TENSOR("y", "F32", "[1]", 0, 4) "}", 4, "neither overlap");
    refuse("{" TENSOR("x", "F32", "[1]", 0, 4) "," TENSOR("y", "F32", "[1]", 5, 9) "}", 9, "leave holes");
    refuse("{" TENSOR("x", "F32", "[4611686018427387904,2]", 0, 0) "}", 0, "say otherwise");
    refuse("{" TENSOR("x", "F32", "[9223372036854775808]", 0, 0) "}", 0, "too large");
    refuse("{" TENSOR("x", "F32", "[-1]", 0, 4) "}", 4, "negative dimension");
    refuse("{" TENSOR("x", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "more than 8 dimensions");
}

TEST(refuses_wrong_headers)
{
    refuse("", 0, "'{'");
    refuse(" {}", 0, "'{'");
    refuse("[]", 0, "'{'");
    refuse("{", 0, "a string was expected");
    refuse("{}}", 0, "something follows");
    refuse("{\"x\"", 0, "':'");
    refuse("{\"x", 0, "without an end");
    refuse("{\"x\\", 0, "without an end");
    refuse("{\"x\\q\":", 0, "unknown escape");
    refuse("{\"x\\u00\":", 0, "\\u escape");
    refuse("{\"\\ud800\":", 0, "\\u escape");
    refuse("{\"\\u0000\":", 0, "NUL");
    refuse("{\"\x01\":", 0, "control character");
    refuse("{\"\xC0\x80\":", 0, "UTF-8");
    refuse("{\"\xED\xA0\x80\":", 0, "UTF-8");
    refuse("{\"\xE2\x82\":", 0, "UTF-8");
    refuse("{\"x\":4}", 0, "an object was expected");
    refuse("{\"x\":{}}", 0, "without dtype");
    refuse("{" TENSOR("x", "F33", "[1]", 0, 4) "}", 4, "unknown dtype");
    refuse("{" TENSOR("x", "F32", "[1.0]", 0, 4) "}", 4, "not a fraction");
    refuse("{" TENSOR("x", "F32", "[01]", 0, 4) "}", 4, "an integer was expected");
    refuse("{" TENSOR("x", "F32", "[1,]", 0, 4) "}", 4, "a comma before");
    refuse("{" TENSOR("x", "F32", "1", 0, 4) "}", 4, "a list was expected");
    refuse("{" TENSOR("x", "F32", "[1]", 0, 4) ",}", 4, "a comma before");
    refuse("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "a second dtype");
    refuse("{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4,5]}}", 4, "more than two offsets");
    refuse("{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 4, "without dtype");
    refuse("{\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"z\":1}}", 4, "unknown field");
    refuse("{" TENSOR("x", "F32", "[1]", 0, 4) "," TENSOR("x", "F32", "[1]", 4, 8) "}", 8,
           "two tensors are called 'x'");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "a string was expected");
    refuse("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "there twice");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "a second __metadata__");
}

/* Every prefix of a good file, and every change of a byte of its length and header, is refused or read in bounds. */
TEST(truncations_and_flipped_bits)
{
    Bytes whole = file_of("{\"__metadata__\":{\"k\":\"v\"}," TENSOR("x", "F16", "[3]", 2, 8) ","
                          TENSOR("y", "I8", "[1,2]", 0, 2) "}", 8);
    SafeFile *f = open_bytes(whole);
    HAVE(f);
    safetensors_close(f);
    for (size_t n = 0; n < whole.size; n++) {
        char *part = must_alloc(n);
        memcpy(part, whole.bytes, n);
        ck_assert_ptr_null(safetensors_open_memory(part, n, "part"));
        free(part);
    }
    int accepted = 0, tried = 0;
    for (size_t at = 0; at < whole.size - 8; at++)
        for (int bit = 0; bit < 8; bit++, tried++) {
            char *copy = must_alloc(whole.size);
            memcpy(copy, whole.bytes, whole.size);
            copy[at] ^= (char)(1 << bit);
            f = safetensors_open_memory(copy, whole.size, "flipped");
            for (int i = 0; f && i < safetensors_count(f); i++) {
                const SafeTensor *t = safetensors_at(f, i);
                ck_assert((const char *)t->data >= copy && (const char *)t->data + t->bytes <= copy + whole.size);
            }
            accepted += f != NULL;
            safetensors_close(f);
            free(copy);
        }
    ck_assert_int_lt(accepted, tried / 6);   /* names, metadata and some dtypes of the same size may change freely */
    free(whole.bytes);
}

TEST(lengths_that_lie)
{
    static const char huge[16] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}";
    ck_assert_ptr_null(safetensors_open_memory(huge, sizeof huge, "a"));
    ck_assert_msg(strstr(error_text(), "cut short") != NULL, "%s", error_text());
    ck_assert_ptr_null(safetensors_open_memory(NULL, 0, "a"));
    ck_assert_ptr_null(safetensors_open("/nowhere/at/all"));
    ck_assert_str_eq(error_text(), "/nowhere/at/all: No such file or directory");
    ck_assert_ptr_null(safetensors_open("/tmp"));
    ck_assert_str_eq(error_text(), "/tmp: not a file");
}

TEST(the_writer_refuses)
{
    float x = 1;
    char *path = scratch_file();
    SafeTensor t[2] = {{.name = "x", .dtype = SAFE_F32, .data = &x}, {.name = "x", .dtype = SAFE_F32, .data = &x}};
    MUST(safetensors_write(path, t, 1, NULL));
    ck_assert_int_eq(safetensors_write(path, t, 2, NULL), -1);
    t[1].name = "\xFF";
    ck_assert_int_eq(safetensors_write(path, t, 2, NULL), -1);
    t[1].name = "__metadata__";
    ck_assert_int_eq(safetensors_write(path, t, 2, NULL), -1);
    t[1] = (SafeTensor){.name = "y", .dtype = SAFE_F32, .rank = 1, .shape = {1}, .data = &x, .bytes = 8};
    ck_assert_int_eq(safetensors_write(path, t, 2, NULL), -1);
    t[1] = (SafeTensor){.name = "y", .dtype = SAFE_F32, .rank = 2, .shape = {INT64_MAX, 2}, .data = &x};
    ck_assert_int_eq(safetensors_write(path, t, 2, NULL), -1);
    const char *twice[] = {"a", "1", "a", "2", NULL};
    ck_assert_int_eq(safetensors_write(path, t, 1, twice), -1);
    ck_assert_int_eq(safetensors_write("/nowhere/x", t, 1, NULL), -1);
    SafeFile *f = safetensors_open(path);   /* the first one is still there, whole */
    HAVE(f);
    ck_assert_int_eq(safetensors_count(f), 1);
    safetensors_close(f);
    unlink(path);
    free(path);
}

TEST(json_strings_escape_and_return)
{
    static const char *const texts[] = {"", "plain",
                                        "a\"b\\c/\b\f\n\r\t\x01\x1f", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"};
    for (int i = 0; i < 4; i++) {
        char *written = NULL;
        size_t size;
        FILE *out = open_memstream(&written, &size);
        json_write_string(out, texts[i]);
        fclose(out);
        JsonReader r = json_reader(written, size);
        char *back = json_string(&r);
        ck_assert_ptr_nonnull(back);
        ck_assert_int_eq(json_finish(&r), 0);
        ck_assert_str_eq(back, texts[i]);
        free(back);
        free(written);
    }
    ck_assert_int_eq(utf8_width("\xC3\xA9\xE2\x82\xAC"), 2);
    ck_assert_int_eq(utf8_valid("\xF5\x80\x80\x80"), 0);
}

TEST_MAIN("safetensors", writes_and_reads_back, an_empty_file_of_tensors, converts_every_type, integers_that_do_not_fit,
          accepts_what_the_format_allows, refuses_wrong_sizes, refuses_wrong_headers, truncations_and_flipped_bits,
          lengths_that_lie, the_writer_refuses, json_strings_escape_and_return)
