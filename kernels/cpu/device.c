/* device.c - the backend "cpu": host memory, fast kernels where there are some, reference kernels elsewhere. */
#include "engine/device.h"

#include <stdlib.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"

static Device *open_cpu(const char *argument)
{
    (void)argument;
    return device_host("cpu", "reference", 4);
}

/* vdpbf16ps makes two multiply-adds a lane.  AMD's processors and Cooper Lake start as many of them a cycle as of
 * float's; Intel's since Sapphire Rapids a quarter (measured there: half the FLOP), and leave bfloat16 to AMX. */
static bool pairs_are_fast(void)
{
#if defined __x86_64__
    return !__builtin_cpu_is("intel") || __builtin_cpu_is("cooperlake");
#else
    return true;
#endif
}

static const char *lacks(const char *argument, Precision p)
{
    const char *forced = getenv("ENGINE_BF16");
    (void)argument;
    if (p != PRECISION_BF16)
        return "it multiplies in fp32 or bf16";
    if (!onednn_bf16())
        return "that takes a processor with AVX512_BF16, and oneDNN";
    if (onednn_amx() || pairs_are_fast() || (forced && *forced == '1'))
        return NULL;
    return "this processor multiplies bfloat16 slower than float (ENGINE_BF16=1 asks for it all the same)";
}

BACKEND(cpu) = {.open = open_cpu, .doc = "vector units and OpenMP threads of this machine",
                .libraries = onednn_version, .lacks = lacks};
