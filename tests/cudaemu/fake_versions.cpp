/* fake_versions.cpp - vendor_versions.c where CUDA is emulated. */
#include "kernels/cuda/cuda.h"

const char *cuda_libraries(void)
{
    return "emulated";
}
