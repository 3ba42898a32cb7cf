/* device.h - what a backend is: memory, order of work, and (where it has them) graphs. */
#ifndef GUISE_DEVICE_H
#define GUISE_DEVICE_H

#include "engine/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All work of a device is ordered: copies, fills and kernels happen as if one after the other. */
struct Device {
    const char *backend;      /* key into kernel_table: "reference", "reference64", "cpu", "cuda" */
    const char *fallback;     /* backend whose kernels serve where this one has none, or NULL */
    int    real_bytes;        /* of F32 values: 4, or 8 on reference64 */
    bool   host_memory;       /* the host may read and write its memory */
    size_t alignment;         /* of every buffer */
    void  *impl;

    void *(*alloc)(Device *d, size_t bytes);              /* NULL with error_text() */
    void  (*free)(Device *d, void *p);
    int   (*upload)(Device *d, void *to, const void *from, size_t bytes);    /* host data may change after it returns */
    int   (*download)(Device *d, void *to, const void *from, size_t bytes);  /* waits */
    void  (*copy)(Device *d, void *to, const void *from, size_t bytes);      /* ordered, does not wait */
    void  (*fill)(Device *d, void *to, int byte, size_t bytes);              /* ordered */
    int   (*sync)(Device *d, const char *what);           /* waits; -1 with a message naming `what` */
    void  (*close)(Device *d);
    void  (*shared_free)(Device *d, void *shared);        /* releases KernelCall.shared of a plan, or NULL */

    /* NULL where the host's clock and memory serve. */
    int   (*launched)(Device *d, const char *what);       /* -1 if starting the last kernel failed; does not wait */
    void  (*memory)(Device *d, size_t *available, size_t *total);            /* bytes; zeros where unknown */
    void  (*about)(Device *d, char *text, size_t size);   /* "NVIDIA H200 (sm_90, ...), driver ..." */
    int   (*mark)(Device *d, int i);                      /* notes when the work so far is done, as number i >= 0 */
    double (*between)(Device *d, int i, int j);           /* seconds from mark i to mark j; waits; -1 on errors */
    void  (*range)(Device *d, const char *name);          /* opens a range for profilers; NULL closes the last one */

    /* Graphs: kernels run between begin and end are recorded instead; NULL where the device has none. */
    int   (*graph_begin)(Device *d);
    void *(*graph_end)(Device *d);                        /* NULL with error_text() */
    int   (*graph_launch)(Device *d, void *graph);
    void  (*graph_free)(Device *d, void *graph);

    /* Kept by the engine: one scratch arena for all plans on this device. */
    void  *arena;
    size_t arena_bytes;
    unsigned arena_generation;   /* raised when the arena moves: plans bind again */
};

typedef struct BackendDef {
    Device *(*open)(const char *argument);   /* text behind "name:", or NULL; NULL result with error_text() */
    const char *doc;
    const char *(*libraries)(void);                    /* whose versions results may depend on; NULL for none */
    /* Why plans on the device should not multiply so; NULL where they may.  A device without it has FP32 alone. */
    const char *(*lacks)(const char *argument, Precision p);
} BackendDef;
/* Of plans that are being compiled. */
Precision engine_precision_now(void);
bool engine_deterministic_now(void);
/* Of the backend of that name, "" for none. */
const char *backend_libraries(const char *backend);
/* Whether this build has the backend; if not, error_text() says how to get it. */
bool backend_known(const char *device);
#define BACKEND_(name) const BackendDef backend_##name
#define BACKEND(name) BACKEND_(name)
typedef struct BackendEntry {
    const char *name;
    const BackendDef *backend;
} BackendEntry;
extern const BackendEntry backend_table[];   /* generated, ended by {0, 0} */

/* "cpu", "cuda:1": opened once a process and counted.  NULL with error_text(). */
Device *device_open(const char *name);
void    device_close(Device *d);
/* Host memory devices share these. */
Device *device_host(const char *backend, const char *fallback, int real_bytes);

#ifdef __cplusplus
}
#endif
#endif
