/* safetensors.h - named tensors in a file: 8 bytes of length (little-endian), a JSON header of that length, the data.
 *
 *     {"__metadata__":{"key":"value"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ...}
 *
 * The format is Hugging Face's safetensors 0.x (github.com/huggingface/safetensors, "Format"): offsets count from
 * the end of the header, the tensors cover the data without holes or overlaps, names are unique, metadata are
 * strings.  Values lie in the little-endian order of the machine, in C order.
 * The reader refuses whatever breaks these rules, with the name of the file and the reason. */
#ifndef GUISE_SAFETENSORS_H
#define GUISE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SAFETENSORS_RANK = 8 };   /* dimensions at most */

typedef enum SafeType {
    SAFE_F64, SAFE_F32, SAFE_F16, SAFE_BF16,
    SAFE_I64, SAFE_I32, SAFE_I16, SAFE_I8,
    SAFE_U64, SAFE_U32, SAFE_U16, SAFE_U8, SAFE_BOOL,
    SAFE_TYPES
} SafeType;

typedef struct SafeTensor {
    const char *name;   /* UTF-8 */
    int         dtype;  /* SafeType */
    int         rank;   /* 0 for a single number */
    int64_t     shape[SAFETENSORS_RANK];
    const void *data;   /* not aligned in files of other writers: read through the functions below or memcpy */
    size_t      bytes;  /* the writer computes it from the shape where it is 0 */
} SafeTensor;

typedef struct SafeFile SafeFile;

/* Opens a file (memory-mapped, never changed) or bytes in memory, which must outlive the SafeFile; `name` is what
 * messages call it.  NULL: see error_text().  Close takes NULL too. */
SafeFile *safetensors_open(const char *path);
SafeFile *safetensors_open_memory(const void *bytes, size_t size, const char *name);
void      safetensors_close(SafeFile *file);

/* Tensors in the order of their data; everything returned is borrowed until close.  find and metadata return NULL
 * for names that are not there. */
int               safetensors_count(const SafeFile *file);
const SafeTensor *safetensors_at(const SafeFile *file, int i);
const SafeTensor *safetensors_find(const SafeFile *file, const char *name);
const char       *safetensors_metadata(const SafeFile *file, const char *key);

/* Number of elements; bytes of one element; "F32" and so on, and back (-1 for a type that is not known). */
int64_t     safetensors_elements(const SafeTensor *t);
size_t      safetensors_size(int dtype);
const char *safetensors_type_name(int dtype);
int         safetensors_type(const char *name);

/* Converts all elements of a tensor of F64, F32, F16 or BF16 to float (round to nearest even) or double.  0, or -1
 * for a tensor of integers. */
int safetensors_floats(const SafeTensor *t, float *out);
int safetensors_doubles(const SafeTensor *t, double *out);
/* The same for integers and BOOL; -1 too if a value does not fit into 32 bits. */
int safetensors_ints(const SafeTensor *t, int32_t *out);

/* Writes n tensors and the metadata key, value, ..., NULL (or NULL for none).  Names and keys are unique UTF-8.
 * The bytes depend on the contents alone: data lie by falling size of their elements and then by name, metadata by
 * key, and every tensor is aligned to its element, the first to 8 bytes.  Atomic.  0 or -1. */
int safetensors_write(const char *path, const SafeTensor *tensors, int n, const char *const *metadata);

#ifdef __cplusplus
}
#endif
#endif
