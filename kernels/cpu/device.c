/* device.c - the backend "cpu": host memory, fast kernels where there are some, reference kernels elsewhere. */
#include "engine/device.h"

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"

static Device *open_cpu(const char *argument)
{
    (void)argument;
    return device_host("cpu", "reference", 4);
}

static bool computes(const char *argument, Precision p)
{
    (void)argument;
    return p == PRECISION_FP32 || (p == PRECISION_BF16 && onednn_bf16());
}

BACKEND(cpu) = {.open = open_cpu, .doc = "vector units and OpenMP threads of this machine",
                .libraries = onednn_version, .computes = computes};
