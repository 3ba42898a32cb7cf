/* engine.h - the engine's public face: stores, programs, values, plans.  Builders of ops: build/gen/ops.h.
 *
 * Shape alphabet, used in every comment of the project:
 *   B batch   C channels   H, W height and width   F filters (output channels)   KH, KW kernel   OH, OW output
 *   Z latent size   D embedding size   N identities   S image side.  Always (B, C, H, W), C order, never reversed.
 *
 *   store    what lasts: parameters, moments, running statistics, by name, at fixed addresses on one device
 *   program  a straight list of ops on values with static shapes, recorded once over a store
 *   plan     some outputs and updates of a program, improved, laid out in one arena, ready to run many times
 *
 * Mistakes in building a program are sticky: the op returns a value without id, later ops absorb it, the first
 * message wins (prog_error) and plan_compile returns NULL.  What comes from outside is returned as -1 or NULL with
 * error_text().  Broken invariants of the engine dump the program and abort. */
#ifndef GUISE_ENGINE_H
#define GUISE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- shapes and values */
/* F32 is the real type: float everywhere but on the device "reference64", which keeps it as double. */
typedef enum Dtype { F32, I32, U8 } Dtype;

enum { RANK_MAX = 6 };
typedef struct Shape {
    int rank;
    int64_t dim[RANK_MAX];
} Shape;
Shape   shape_make(const int64_t *dims, int rank);
int64_t shape_count(Shape s);
bool    shape_equal(Shape a, Shape b);
/* "(2, 3, 8, 8)" into text; returns text. */
const char *shape_text(Shape s, char *text, size_t size);
#define SHAPE(...) \
    shape_make((const int64_t[]){__VA_ARGS__}, (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

typedef struct Store Store;
typedef struct Prog Prog;
typedef struct Plan Plan;

/* One value of a program; id 0 is "none" (an absent operand, or the result of a mistake). */
typedef struct Val {
    Prog *p;
    int id;
} Val;
/* A list of values.  Lists returned by the engine belong to the program. */
typedef struct Vals {
    const Val *v;
    int n;
} Vals;
#define VALS(...) ((Vals){(const Val[]){__VA_ARGS__}, (int)(sizeof((const Val[]){__VA_ARGS__}) / sizeof(Val))})
#define NONE ((Val){0})

Shape       val_shape(Val v);
int64_t     val_dim(Val v, int axis);      /* negative axes count from the end; 0 for "none" */
Dtype       val_dtype(Val v);
const char *val_name(Val v);
Val         val_named(Val v, const char *name);   /* gives the value a name for printing; returns v */
static inline bool val_ok(Val v) { return v.id != 0; }

/* ---------------------------------------------------------------- store */
typedef struct Init {
    enum { INIT_ZERO, INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM } kind;
    float a;   /* the constant; the standard deviation; or the bound of U(-a, a) */
} Init;

/* Devices: "reference" (plain loops), "reference64" (the same in double), "cpu", "cuda", "cuda:N".  NULL when the
 * device cannot be had.  Initial values are keyed on (seed, name), so order of creation does not matter. */
Store   *store_create(const char *device, uint64_t seed);
void     store_free(Store *s);
/* Starts afresh from another seed: entries whose names begin with `prefix` ("" for all) get their initial values;
 * plans over the store stay valid. */
int      store_reset(Store *s, const char *prefix, uint64_t seed);
int      store_count(const Store *s);
const char *store_name(const Store *s, int i);
int      store_find(const Store *s, const char *name);     /* index or -1 */
Shape    store_shape(const Store *s, int i);
Dtype    store_dtype(const Store *s, int i);
bool     store_is_param(const Store *s, int i);
const char *store_device(const Store *s);
bool     store_on_host(const Store *s);                    /* whether the device's memory is the host's */
/* Host copies in logical order (F32 as float, I32 as int32_t, U8 as bytes); 0 or -1. */
int      store_read(const Store *s, int i, void *data);
int      store_write(Store *s, int i, const void *data);
/* Safetensors files.  metadata: key, value, ..., NULL, or NULL.  A name is saved and loaded if it begins with
 * `prefix`, which may list several ("A.|G."; "" for all); loading fails, and changes nothing, when a name of the
 * store is missing in the file
 * or a shape differs; names that only the file has are ignored. */
int      store_save(const Store *s, const char *path, const char *prefix, const char *const *metadata);
int      store_load(Store *s, const char *path, const char *prefix);
/* Copies the entries that begin with `prefix` from another store of the same shapes (the best epoch, a backup). */
int      store_copy(Store *to, const Store *from, const char *prefix);

/* ---------------------------------------------------------------- program */
Prog *prog_create(Store *s);
void  prog_free(Prog *p);
Store *prog_store(Prog *p);
/* The first mistake, or NULL. */
const char *prog_error(const Prog *p);
/* Records a mistake (printf's format) unless there is one already; returns NONE. */
Val   prog_mistake(Prog *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Names inside a scope begin with it: push "G", then "conv1.weight" is "G.conv1.weight". */
void  prog_push(Prog *p, const char *scope);
void  prog_pop(Prog *p);

/* A buffer that the host fills with prog_write before plan_run; keeps its contents between runs. */
Val   prog_input(Prog *p, const char *name, Dtype dtype, Shape shape);
/* An input of p that has the memory of `source`, an input of another program on the same device, which must outlive p:
 * p reads what is written there, and takes no memory of its own. */
Val   prog_input_shared(Prog *p, Val source);
/* A trained tensor of the store, made there if it is new. */
Val   prog_param(Prog *p, const char *name, Shape shape, Init init);
/* The current value of a tensor that lasts but is not trained (running statistics, counters): after
 * prog_set_state the next prog_state of that name returns the new value, and prog_updates assigns the last one. */
Val   prog_state(Prog *p, const char *name, Dtype dtype, Shape shape, Init init);
void  prog_set_state(Prog *p, const char *name, Val value);
/* The random counter: I32 (4): seed low, seed high, step low, step high.  One step is one run of a plan. */
Val   prog_rng(Prog *p);
/* Assignments of all states changed so far and of the random counter's advance: put them into PlanOpts.updates. */
Vals  prog_updates(Prog *p);
/* Parameters used so far whose names begin with prefix, sorted by name. */
Vals  prog_params(Prog *p, const char *prefix);
Vals  vals_join(Prog *p, Vals a, Vals b);

/* Gradients of a scalar with respect to values: appends ordinary ops; NONE becomes zeros of the value's shape. */
Vals  prog_grad(Val loss, Vals wrt);
/* The same for several results ys with cotangents dys (NONE: no cotangent). */
Vals  prog_vjp(Vals ys, Vals dys, Vals wrt);

/* Fills an input from host memory: F32 from float, I32 from int32_t, U8 from bytes; 0 or -1. */
int   prog_write(Prog *p, Val input, const void *data);
/* The same for rows first .. first + n - 1 along axis 0 alone. */
int   prog_write_rows(Prog *p, Val input, int64_t first, int64_t n, const void *data);
int   prog_write_double(Prog *p, Val input, const double *data);   /* F32 inputs only; rounds where needed */

/* The program as text (names, shapes, attributes, FLOP, bytes) or as a Graphviz graph. */
void  prog_print(const Prog *p, FILE *to);
void  prog_dot(const Prog *p, FILE *to);

/* ---------------------------------------------------------------- optimizer */
typedef struct AdamOpts {
    const char *name;            /* prefix of moments and step counter; "" becomes "adam" */
    float beta1, beta2, epsilon; /* 0 becomes 0.9, 0.999, 1e-8 */
} AdamOpts;
/* Adam (Kingma, Ba 2015, algorithm 1, with bias correction) over all parameters in one op.
 * rate: F32 (1), data that may change from step to step.  Returns the assignments for PlanOpts.updates. */
Vals  adam(Val loss, Vals params, Val rate, AdamOpts o);
/* The same for gradients already at hand, one per parameter. */
Vals  adam_apply(Vals params, Vals grads, Val rate, AdamOpts o);

typedef struct SgdOpts {
    const char *name;               /* prefix of velocities; "" becomes "sgd" */
    float momentum, weight_decay;   /* 0: none */
    bool nesterov;                  /* only with momentum */
} SgdOpts;
/* Stochastic gradient descent over all parameters in one op, with PyTorch's momentum (no dampening), weight decay and
 * Nesterov's variant: engine/ops/sgd.h.  rate: F32 (1).  Returns the assignments for PlanOpts.updates. */
Vals  sgd(Val loss, Vals params, Val rate, SgdOpts o);
/* The same for gradients already at hand, one per parameter. */
Vals  sgd_apply(Vals params, Vals grads, Val rate, SgdOpts o);

/* ---------------------------------------------------------------- plan */
typedef struct PlanOpts {
    const char *name;
    Vals outputs;      /* values that plan_read will be asked for */
    Vals updates;      /* assignments; they happen after everything has read the old values */
    const char *tuning;/* file of recorded algorithm choices, which must be possible here; NULL: engine_tuning's, else a
                        * fixed heuristic */
} PlanOpts;
/* NULL when the program has a mistake or memory is missing: prog_error(p) or error_text(). */
Plan *plan_compile(Prog *p, PlanOpts o);
void  plan_free(Plan *plan);
/* Runs once: reads inputs and store, writes outputs and store; 0 or -1 (device failure, named op). */
int   plan_run(Plan *plan);
/* Copies an output to the host (waits for the run): F32 as float, I32 as int32_t, U8 as bytes. */
int   plan_read(Plan *plan, Val output, void *data);
int   plan_read_double(Plan *plan, Val output, double *data);
/* Bytes: scratch shared with other plans, and what this plan alone holds (outputs, packed weights). */
size_t plan_arena_bytes(const Plan *plan);
size_t plan_own_bytes(const Plan *plan);
/* What plans of one device that never run at the same time need together, in bytes: scratch of the largest (or what the
 * device has already), what their stores, inputs and the plans themselves hold, and the device's memory that was free
 * and in all (0: unknown). */
typedef struct PlanMemory {
    size_t arena, held, available, total;
} PlanMemory;
/* Takes the scratch memory now, so that no later run fails for want of it.  memory may be NULL.  0, or -1 with
 * error_text() when it does not fit. */
int    plans_reserve(Plan *const *plans, int n, PlanMemory *memory);
/* "peak memory 2772 MiB: ..." into text; returns text. */
const char *plan_memory_text(const PlanMemory *m, char *text, size_t size);
double plan_flop(const Plan *plan);
int    plan_ops(const Plan *plan);
/* Times every op from now on; plan_profile prints a table by op, plan_trace writes a Chrome trace (0 or -1), in which
 * an op's name carries the shapes of its operands; plans_trace puts several plans into one, a row each. */
void  plan_profile_start(Plan *plan);
void  plan_profile(const Plan *plan, FILE *to);
int   plan_trace(const Plan *plan, const char *path);
int   plans_trace(const Plan *const *plans, int n, const char *path);
/* The algorithms that the plan's kernels took, as lines of a tuning table; 0 or -1. */
int   plan_choices(const Plan *plan, FILE *to);
void  plan_print(const Plan *plan, FILE *to);   /* the improved program with formats and buffers */

/* ---------------------------------------------------------------- process */
/* How plans compiled from now on multiply: FP32; TF32 (on CUDA: products of 10-bit mantissas, summed in float); BF16
 * (convolutions read operands rounded to bfloat16 and sum in float; on CUDA they also store what they make so, and
 * values of rank 4 stay so from layer to layer; weights, statistics, losses and everything else stay in float).
 * 0, or -1 when the device cannot (then nothing changes). */
typedef enum Precision { PRECISION_FP32, PRECISION_TF32, PRECISION_BF16 } Precision;
int   engine_precision(const char *device, Precision p);
const char *precision_name(Precision p);          /* "fp32", "tf32", "bf16" */
/* Whether plans compiled from now on may only take algorithms that give the same bits on every run; true at first. */
void  engine_deterministic(bool on);
/* Threads of every CPU kernel from now on (OpenMP); 0: all cores. */
void  engine_threads(int n);
int   engine_thread_count(void);
/* Devices that this build and machine offer, one line each; ops without a fast kernel on a device. */
void  engine_info(FILE *to);
const char *engine_version(void);
/* Libraries and instruction set that a device's results may depend on: "oneDNN 2.6.3, AVX-512", "" for none. */
const char *engine_libraries(const char *device);
/* Tuning table of plans that name none of their own; NULL: none.  0 or -1 (the file is broken). */
int   engine_tuning(const char *path);

#ifdef __cplusplus
}
#endif
#endif
