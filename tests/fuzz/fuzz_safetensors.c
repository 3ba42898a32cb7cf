/* fuzz_safetensors.c - any bytes are either a safetensors file, all of whose tensors can be read, or refused. */
#include <stdlib.h>

#include "engine/error.h"
#include "engine/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    SafeFile *f = safetensors_open_memory(bytes, size, "fuzz");
    for (int i = 0; f && i < safetensors_count(f); i++) {
        const SafeTensor *t = safetensors_at(f, i);
        size_t n = (size_t)safetensors_elements(t);
        double *values = must_alloc(n * sizeof *values);
        if (safetensors_doubles(t, values) && safetensors_ints(t, (int32_t *)values) && !*error_text())
            abort();
        if (safetensors_find(f, t->name) != t)
            abort();
        free(values);
    }
    safetensors_close(f);
    return 0;
}
