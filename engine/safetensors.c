/* safetensors.c - see safetensors.h. */
#include "engine/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

static const size_t header_limit = 100000000;   /* the format's own limit */

static const struct {
    const char *name;
    size_t size;
} types[SAFE_TYPES] = {
    [SAFE_F64] = {"F64", 8}, [SAFE_F32] = {"F32", 4}, [SAFE_F16] = {"F16", 2}, [SAFE_BF16] = {"BF16", 2},
    [SAFE_I64] = {"I64", 8}, [SAFE_I32] = {"I32", 4}, [SAFE_I16] = {"I16", 2}, [SAFE_I8] = {"I8", 1},
    [SAFE_U64] = {"U64", 8}, [SAFE_U32] = {"U32", 4}, [SAFE_U16] = {"U16", 2}, [SAFE_U8] = {"U8", 1},
    [SAFE_BOOL] = {"BOOL", 1},
};

typedef struct Entry {
    SafeTensor tensor;
    int64_t begin, end;
} Entry;

typedef struct Metadatum {
    char *key, *value;
} Metadatum;

struct SafeFile {
    char *path;
    void *map;            /* NULL for bytes of the caller */
    size_t map_size;
    Entry *entries;       /* in the order of their data */
    const Entry **names;  /* in the order of their names */
    int n, room;
    Metadatum *metadata;
    int n_metadata;
};

size_t safetensors_size(int dtype)
{
    return dtype >= 0 && dtype < SAFE_TYPES ? types[dtype].size : 0;
}

const char *safetensors_type_name(int dtype)
{
    return dtype >= 0 && dtype < SAFE_TYPES ? types[dtype].name : "?";
}

int safetensors_type(const char *name)
{
    for (int i = 0; i < SAFE_TYPES; i++)
        if (!strcmp(types[i].name, name))
            return i;
    return -1;
}

/* Bytes of a shape, or -1 if there is no such size. */
static int64_t shape_bytes(const SafeTensor *t)
{
    int64_t bytes = (int64_t)safetensors_size(t->dtype);
    if (t->rank < 0 || t->rank > SAFETENSORS_RANK || !bytes)
        return -1;
    for (int i = 0; i < t->rank; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return -1;
    return bytes;
}

int64_t safetensors_elements(const SafeTensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* ---- reading ---- */

/* {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, each once, in any order. */
static void read_fields(JsonReader *r, Entry *e)
{
    int seen_type = 0, seen_shape = 0, offsets = -1;
    for (int first = 1; json_enter_more(r, '{', &first);) {
        char *field = json_key(r);
        if (!field)
            return;
        if (!strcmp(field, "dtype")) {
            char *name = json_string(r);
            e->tensor.dtype = name ? safetensors_type(name) : -1;
            if (e->tensor.dtype < 0 || seen_type++)
                json_fail(r, seen_type > 1 ? "a second dtype" : "an unknown dtype");
            free(name);
        } else if (!strcmp(field, "shape")) {
            if (seen_shape++)
                json_fail(r, "a second shape");
            for (int in = 1; json_enter_more(r, '[', &in);) {
                int64_t size;
                if (json_integer(r, &size))
                    break;
                if (size < 0 || e->tensor.rank == SAFETENSORS_RANK)
                    json_fail(r, size < 0 ? "a negative dimension" : "more than 8 dimensions");
                else
                    e->tensor.shape[e->tensor.rank++] = size;
            }
        } else if (!strcmp(field, "data_offsets")) {
            if (offsets >= 0)
                json_fail(r, "a second data_offsets");
            offsets = 0;
            for (int in = 1; json_enter_more(r, '[', &in);) {
                int64_t at;
                if (json_integer(r, &at))
                    break;
                if (at < 0 || offsets == 2)
                    json_fail(r, at < 0 ? "a negative offset" : "more than two offsets");
                else
                    *(offsets++ ? &e->end : &e->begin) = at;
            }
        } else {
            json_fail(r, "an unknown field of a tensor");
        }
        free(field);
    }
    if (!seen_type || !seen_shape || offsets != 2)
        json_fail(r, "a tensor without dtype, shape or data_offsets");
}

static void read_metadata(JsonReader *r, SafeFile *f)
{
    for (int first = 1; json_enter_more(r, '{', &first);) {
        Metadatum m = {json_key(r), NULL};
        m.value = m.key ? json_string(r) : NULL;
        if (!m.value) {
            free(m.key);
            return;
        }
        f->metadata = must_realloc(f->metadata, (size_t)(f->n_metadata + 1) * sizeof m);
        f->metadata[f->n_metadata++] = m;
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const Metadatum *)a)->key, ((const Metadatum *)b)->key);
}

static int by_place(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const Entry *const *)a)->tensor.name, (*(const Entry *const *)b)->tensor.name);
}

static int read_header(SafeFile *f, const char *text, size_t size)
{
    JsonReader r = json_reader(text, size);
    int seen_metadata = 0;
    if (!size || text[0] != '{')
        json_fail(&r, "it does not begin with '{'");
    for (int first = 1; json_enter_more(&r, '{', &first);) {
        char *name = json_key(&r);
        if (!name)
            break;
        if (!strcmp(name, "__metadata__")) {
            free(name);
            if (seen_metadata++)
                json_fail(&r, "a second __metadata__");
            read_metadata(&r, f);
            continue;
        }
        if (f->n == f->room) {
            f->room = f->room ? 2 * f->room : 64;
            f->entries = must_realloc(f->entries, (size_t)f->room * sizeof *f->entries);
        }
        Entry *e = &f->entries[f->n++];
        *e = (Entry){.tensor = {.name = name}};
        read_fields(&r, e);
    }
    if (json_finish(&r))
        return fail("%s: its header is wrong at byte %zu: %s", f->path, (size_t)(r.at - r.start) + 8, r.why);
    return 0;
}

/* Names are unique, sizes agree with shapes, and the tensors cover the data from end to end. */
static int check_entries(SafeFile *f, const char *data, size_t size)
{
    int64_t covered = 0;
    if (f->n)
        qsort(f->entries, (size_t)f->n, sizeof *f->entries, by_place);
    f->names = must_alloc((size_t)f->n * sizeof *f->names);
    for (int i = 0; i < f->n; i++) {
        Entry *e = &f->entries[i];
        const char *name = e->tensor.name;
        int64_t bytes = shape_bytes(&e->tensor);
        f->names[i] = e;
        if (e->end < e->begin || (uint64_t)e->end > size)
            return fail("%s: tensor '%.200s' lies at bytes %lld to %lld, but there are %zu bytes of data: it is cut "
                        "short or damaged", f->path, name, (long long)e->begin, (long long)e->end, size);
        if (bytes != e->end - e->begin)
            return fail("%s: tensor '%.200s' has %lld bytes, its shape and dtype say otherwise", f->path, name,
                        (long long)(e->end - e->begin));
        if (e->begin != covered)
            return fail("%s: tensor '%.200s' begins at byte %lld, the one before it ends at %lld: tensors must "
                        "neither overlap nor leave holes", f->path, name, (long long)e->begin, (long long)covered);
        covered = e->end;
        e->tensor.data = data + e->begin;
        e->tensor.bytes = (size_t)bytes;
    }
    if ((uint64_t)covered != size)
        return fail("%s: %zu bytes of data, of which the tensors cover %lld", f->path, size, (long long)covered);
    if (f->n)
        qsort(f->names, (size_t)f->n, sizeof *f->names, by_name);
    for (int i = 1; i < f->n; i++)
        if (!strcmp(f->names[i - 1]->tensor.name, f->names[i]->tensor.name))
            return fail("%s: two tensors are called '%.200s'", f->path, f->names[i]->tensor.name);
    if (f->n_metadata)
        qsort(f->metadata, (size_t)f->n_metadata, sizeof *f->metadata, by_key);
    for (int i = 1; i < f->n_metadata; i++)
        if (!strcmp(f->metadata[i - 1].key, f->metadata[i].key))
            return fail("%s: the metadata '%.200s' is there twice", f->path, f->metadata[i].key);
    return 0;
}

static int read_contents(SafeFile *f, const char *bytes, size_t size)
{
    uint64_t header = 0;
    if (size < 8)
        return fail("%s: %zu bytes are too few for a safetensors file", f->path, size);
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    if (header > header_limit || header > size - 8)
        return fail("%s: a header of %llu bytes in a file of %zu: cut short, or not a safetensors file", f->path,
                    (unsigned long long)header, size);
    if (read_header(f, bytes + 8, (size_t)header))
        return -1;
    return check_entries(f, bytes + 8 + header, size - 8 - (size_t)header);
}

static SafeFile *open_contents(SafeFile *f, const void *bytes, size_t size)
{
    if (!read_contents(f, bytes, size))
        return f;
    safetensors_close(f);
    return NULL;
}

SafeFile *safetensors_open_memory(const void *bytes, size_t size, const char *name)
{
    SafeFile *f = must_zalloc(sizeof *f);
    f->path = must_strdup(name);
    return open_contents(f, bytes, size);
}

SafeFile *safetensors_open(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        fail("%s: %s", path, fd < 0 ? strerror(errno) : "not a file");
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    size_t size = (size_t)info.st_size;
    void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (map == MAP_FAILED) {
        fail("%s: cannot be mapped: %s", path, strerror(errno));
        return NULL;
    }
    SafeFile *f = must_zalloc(sizeof *f);
    f->path = must_strdup(path);
    f->map = map;
    f->map_size = size;
    return open_contents(f, map, size);
}

void safetensors_close(SafeFile *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n; i++)
        free((char *)f->entries[i].tensor.name);
    for (int i = 0; i < f->n_metadata; i++) {
        free(f->metadata[i].key);
        free(f->metadata[i].value);
    }
    if (f->map)
        munmap(f->map, f->map_size);
    free(f->entries);
    free(f->names);
    free(f->metadata);
    free(f->path);
    free(f);
}

int safetensors_count(const SafeFile *f)
{
    return f->n;
}

const SafeTensor *safetensors_at(const SafeFile *f, int i)
{
    return &f->entries[i].tensor;
}

const SafeTensor *safetensors_find(const SafeFile *f, const char *name)
{
    Entry wanted = {.tensor = {.name = name}};
    const Entry *key = &wanted;
    const Entry **hit = f->n ? bsearch(&key, f->names, (size_t)f->n, sizeof *f->names, by_name) : NULL;
    return hit ? &(*hit)->tensor : NULL;
}

const char *safetensors_metadata(const SafeFile *f, const char *key)
{
    for (int i = 0; i < f->n_metadata; i++)
        if (!strcmp(f->metadata[i].key, key))
            return f->metadata[i].value;
    return NULL;
}

/* ---- values ---- */

/* IEEE 754 binary16: 5 bits of exponent, 10 of fraction; every value is exact as a double. */
static double from_half(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double value = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                   : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                  : ldexp(fraction, -24);
    return h & 0x8000 ? -value : value;
}

static float from_brain(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* Element i as a T, whatever its alignment. */
#define ELEMENT(T, t, i) \
    ({ T value_; memcpy(&value_, (const char *)(t)->data + (size_t)(i) * sizeof value_, sizeof value_); value_; })

static double float_at(const SafeTensor *t, int64_t i)
{
    switch (t->dtype) {
    case SAFE_F64: return ELEMENT(double, t, i);
    case SAFE_F32: return ELEMENT(float, t, i);
    case SAFE_F16: return from_half(ELEMENT(uint16_t, t, i));
    default:       return from_brain(ELEMENT(uint16_t, t, i));
    }
}

static int not_of_kind(const SafeTensor *t, const char *wanted)
{
    return fail("tensor '%.200s' is %s: %s is wanted here", t->name, safetensors_type_name(t->dtype), wanted);
}

static int is_float(const SafeTensor *t)
{
    return t->dtype == SAFE_F64 || t->dtype == SAFE_F32 || t->dtype == SAFE_F16 || t->dtype == SAFE_BF16;
}

int safetensors_floats(const SafeTensor *t, float *out)
{
    int64_t n = safetensors_elements(t);
    if (!is_float(t))
        return not_of_kind(t, "F64, F32, F16 or BF16");
    if (t->dtype == SAFE_F32 && n)
        memcpy(out, t->data, (size_t)n * sizeof *out);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)float_at(t, i);
    return 0;
}

int safetensors_doubles(const SafeTensor *t, double *out)
{
    int64_t n = safetensors_elements(t);
    if (!is_float(t))
        return not_of_kind(t, "F64, F32, F16 or BF16");
    for (int64_t i = 0; i < n; i++)
        out[i] = float_at(t, i);
    return 0;
}

/* The value of element i, where U64 beyond 2^63 becomes INT64_MAX: neither fits into 32 bits. */
static int64_t int_at(const SafeTensor *t, int64_t i)
{
    switch (t->dtype) {
    case SAFE_I64: return ELEMENT(int64_t, t, i);
    case SAFE_I32: return ELEMENT(int32_t, t, i);
    case SAFE_I16: return ELEMENT(int16_t, t, i);
    case SAFE_I8:  return ELEMENT(int8_t, t, i);
    case SAFE_U32: return ELEMENT(uint32_t, t, i);
    case SAFE_U16: return ELEMENT(uint16_t, t, i);
    case SAFE_U64: {
        uint64_t value = ELEMENT(uint64_t, t, i);
        return value > INT64_MAX ? INT64_MAX : (int64_t)value;
    }
    case SAFE_BOOL: return ELEMENT(uint8_t, t, i) != 0;
    default:        return ELEMENT(uint8_t, t, i);
    }
}

int safetensors_ints(const SafeTensor *t, int32_t *out)
{
    int64_t n = safetensors_elements(t);
    if (is_float(t))
        return not_of_kind(t, "an integer type");
    for (int64_t i = 0; i < n; i++) {
        int64_t value = int_at(t, i);
        if (value < INT32_MIN || value > INT32_MAX)
            return fail("tensor '%.200s': element %lld is %lld, which does not fit into 32 bits", t->name,
                        (long long)i, (long long)value);
        out[i] = (int32_t)value;
    }
    return 0;
}

/* ---- writing ---- */

/* Falling element size keeps every tensor aligned although no holes are allowed. */
static int by_size(const void *a, const void *b)
{
    const SafeTensor *x = *(const SafeTensor *const *)a, *y = *(const SafeTensor *const *)b;
    size_t m = safetensors_size(x->dtype), n = safetensors_size(y->dtype);
    return m != n ? (m > n ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that a reader would refuse. */
static int check_names(const char *path, const char **names, int n)
{
    if (n)
        qsort(names, (size_t)n, sizeof *names, by_text);
    for (int i = 0; i < n; i++) {
        if (!utf8_valid(names[i]))
            return fail("%s: a name that is not UTF-8: '%.200s'", path, names[i]);
        if (!strcmp(names[i], "__metadata__"))
            return fail("%s: no tensor or metadata may be called __metadata__", path);
        if (i && !strcmp(names[i - 1], names[i]))
            return fail("%s: two entries are called '%.200s'", path, names[i]);
    }
    return 0;
}

static int check_tensors(const char *path, const SafeTensor *tensors, int n)
{
    const char **names = must_alloc((size_t)n * sizeof *names);
    int bad = 0;
    for (int i = 0; i < n; i++)
        names[i] = tensors[i].name;
    bad = check_names(path, names, n);
    for (int i = 0; i < n && !bad; i++) {
        int64_t bytes = shape_bytes(&tensors[i]);
        if (bytes < 0 || (tensors[i].bytes && tensors[i].bytes != (size_t)bytes) || (bytes && !tensors[i].data))
            bad = fail("%s: tensor '%.200s' has a shape, dtype, size or address that cannot be written", path,
                       tensors[i].name);
    }
    free(names);
    return bad;
}

/* The metadata's pairs in the order of their keys; *n pairs in a list that the caller frees. */
static const char *const **sorted_metadata(const char *const *metadata, int *n)
{
    int count = 0;
    while (metadata && metadata[2 * count])
        count++;
    const char *const **pairs = must_alloc((size_t)count * sizeof *pairs);
    for (int i = 0; i < count; i++) {
        int at = i;
        for (; at > 0 && strcmp(pairs[at - 1][0], metadata[2 * i]) > 0; at--)
            pairs[at] = pairs[at - 1];
        pairs[at] = metadata + 2 * i;
    }
    *n = count;
    return pairs;
}

static int check_metadata(const char *path, const char *const **pairs, int n)
{
    for (int i = 0; i < n; i++) {
        if (!pairs[i][1] || !utf8_valid(pairs[i][0]) || !utf8_valid(pairs[i][1]))
            return fail("%s: the metadata '%.200s' has no value or is not UTF-8", path, pairs[i][0]);
        if (i && !strcmp(pairs[i - 1][0], pairs[i][0]))
            return fail("%s: the metadata '%.200s' is there twice", path, pairs[i][0]);
    }
    return 0;
}

static void print_header(FILE *out, const SafeTensor **order, int n, const char *const **pairs, int n_pairs)
{
    int64_t at = 0;
    fputc('{', out);
    if (n_pairs) {
        fputs("\"__metadata__\":{", out);
        for (int i = 0; i < n_pairs; i++) {
            fputs(i ? "," : "", out);
            json_write_string(out, pairs[i][0]);
            fputc(':', out);
            json_write_string(out, pairs[i][1]);
        }
        fputs(n ? "}," : "}", out);
    }
    for (int i = 0; i < n; i++) {
        const SafeTensor *t = order[i];
        int64_t bytes = shape_bytes(t);
        fputs(i ? "," : "", out);
        json_write_string(out, t->name);
        fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", safetensors_type_name(t->dtype));
        for (int d = 0; d < t->rank; d++)
            fprintf(out, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        fprintf(out, "],\"data_offsets\":[%lld,%lld]}", (long long)at, (long long)(at + bytes));
        at += bytes;
    }
    fputc('}', out);
}

int safetensors_write(const char *path, const SafeTensor *tensors, int n, const char *const *metadata)
{
    int n_pairs;
    const char *const **pairs = sorted_metadata(metadata, &n_pairs);
    if (check_tensors(path, tensors, n) || check_metadata(path, pairs, n_pairs)) {
        free(pairs);
        return -1;
    }
    const SafeTensor **order = must_alloc((size_t)n * sizeof *order);
    for (int i = 0; i < n; i++)
        order[i] = &tensors[i];
    if (n)
        qsort(order, (size_t)n, sizeof *order, by_size);

    char *header = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&header, &size);
    if (!text)
        die("%s: no memory for its header", path);
    print_header(text, order, n, pairs, n_pairs);
    for (long at = ftell(text); at % 8; at++)
        fputc(' ', text);
    if (fclose(text))
        die("%s: no memory for its header", path);

    FileWriter w;
    int bad = file_open(&w, path);
    if (!bad) {
        for (int i = 0; i < 8; i++)
            fputc((int)((uint64_t)size >> 8 * i & 255), w.stream);
        fwrite(header, 1, size, w.stream);
        for (int i = 0; i < n; i++)
            if (shape_bytes(order[i]))
                fwrite(order[i]->data, 1, (size_t)shape_bytes(order[i]), w.stream);
        bad = file_commit(&w);
    }
    free(header);
    free(order);
    free(pairs);
    return bad;
}
