/* precision.c - what the environment says of the precision of products. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/vendor.h"

bool vendor_tf32(void)
{
    const char *text = getenv("ENGINE_TF32");
    return !text || strcmp(text, "0");
}
