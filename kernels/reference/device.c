/* device.c - the backends "reference" and "reference64": plain loops in host memory. */
#include "engine/device.h"

#include "kernels/reference/reference.h"

static Device *open_reference(const char *argument)
{
    (void)argument;
#ifdef REFERENCE64
    return device_host("reference64", NULL, 8);
#else
    return device_host("reference", NULL, 4);
#endif
}

BACKEND(reference) = {.open = open_reference, .doc = sizeof(real) == 8 ? "plain loops in double" : "plain loops"};
