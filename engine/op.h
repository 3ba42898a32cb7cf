/* op.h - what an op is, and what serves it.
 *
 * An op is one stem in four places: engine/ops/STEM.{h,c} (attributes, builder, shapes, gradient, cost, cases),
 * kernels/reference/STEM.c, kernels/cpu/STEM.c, kernels/cuda/STEM.cu.  A family of ops may share a stem.  No list
 * anywhere names them: lines that begin with OP(name) and KERNEL(name, backend) are collected at build time.
 * OP(name) defines op_name_def; a builder is called op_name. */
#ifndef GUISE_OP_H
#define GUISE_OP_H

#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct OpDef OpDef;
typedef struct Device Device;
typedef struct KernelDef KernelDef;

/* ---------------------------------------------------------------- attributes */
/* An op's attributes are a plain struct; this table describes it for printing, comparing and the command line. */
typedef struct OpAttr {
    const char *name;
    enum { ATTR_INT, ATTR_REAL, ATTR_BOOL, ATTR_TEXT, ATTR_INTS } type;
    size_t offset;         /* of an int, float, bool, const char *, or AttrInts */
    const char *initial;   /* value in text, "" for required */
    const char *doc;
} OpAttr;
enum { INTS_MAX = RANK_MAX };
typedef struct AttrInts {  /* a short list: axes, dimensions */
    int n;
    int64_t v[INTS_MAX];
} AttrInts;
#define INTS(...) \
    ((AttrInts){(int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define ATTRS_END {0, ATTR_INT, 0, 0, 0}

/* ---------------------------------------------------------------- definition */
/* What infer and cost see.  Absent optional operands have rank -1. */
typedef struct OpShapes {
    Prog *p;               /* for op_mistake; NULL in cost */
    const OpDef *op;
    const void *attrs;
    int nin, nout;         /* nout: infer may raise or lower it for ops with a varying number of results */
    const Shape *in;
    const Dtype *in_dtype;
    Shape *out;            /* room for max(op's results, nin) + 4 */
    Dtype *out_dtype;      /* F32 unless infer says otherwise */
} OpShapes;
/* "conv2d: <message>" with the operands' names and shapes behind it becomes the program's mistake. */
void op_mistake(const OpShapes *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a gradient rule sees and fills: din[i] = sum over j of (d out[j] / d in[i])^T dout[j].
 * need[i] tells which are wanted; dout[j] may be NONE (zero); leave din[i] NONE where there is no gradient. */
typedef struct OpVjp {
    Prog *p;
    const void *attrs;
    int nin, nout;
    const Val *in, *out, *dout;
    const bool *need;
    Val *din;
} OpVjp;

/* A case for the harness, as text: operands "2x3x5x5 4x3x3x3 -" ("-" absent, "1" a vector of one, "s" a scalar
 * of rank 0), each with an optional kind: ":i32<10" integers in [0, 10), ":u8" bytes, ":pos" reals in [0.5, 2),
 * ":unit" uniforms in (0, 1), ":rng" a random counter; otherwise standard normals.
 * attrs: "stride=2 padding=1". */
typedef struct OpCase {
    const char *operands, *attrs;
} OpCase;
#define CASES_END {0, 0}

enum {
    OP_VIEW     = 1,    /* result 0 is operand 0 with another shape: no kernel, no copy */
    OP_IDENTITY = 2,    /* result 0 is operand 0; erased from plans (stop_gradient) */
    OP_ASSIGN   = 4,    /* operand 0 is a store value that becomes operand 1 when the plan has run */
    OP_NO_CSE   = 8,    /* equal operands do not mean equal results */
    OP_NO_GRAD  = 16,   /* has no gradient, on purpose */
    OP_EXPAND   = 32,   /* composite: .expand builds it from others; never stands in a program */
    OP_NO_CHECK = 64,   /* outputs are not comparable between backends beyond dtype rules (reserved) */
};

/* A fusion: looked for at every node of kind `root` in a plan's program (ops that came later first). */
typedef struct FusePattern {
    const char *root;
    /* Returns true when it rewrote something through the fuse_* calls below. */
    bool (*rewrite)(Prog *p, int node);
} FusePattern;

struct OpDef {
    const char *name;
    const char *formula;       /* one line of mathematics */
    const char *operands;      /* names; "b?" optional, "x*" any number (only the last) */
    const char *results;       /* names; "mean!" is a result that takes no cotangent */
    size_t attr_size;
    const OpAttr *attrs;
    unsigned flags;
    void (*infer)(OpShapes *s);
    void (*vjp)(OpVjp *g);
    double (*flop)(const OpShapes *s);    /* NULL: one a result element */
    double (*bytes)(const OpShapes *s);   /* NULL: operands and results once each */
    Val  (*expand)(Prog *p, const Val *in, int nin, const void *attrs);
    const OpCase *cases, *shapes;         /* small and odd for proofs; the paper's for benchmarks */
    const FusePattern *patterns;          /* ended by {0, 0} */
    const char *source;                   /* equation, table or paper, or NULL */
};
#define OP(name) const OpDef op_##name##_def

/* Appends an op.  in: nin values, NONE for absent ones; attrs: the op's struct or NULL; results: at least as many
 * as the op has, or NULL.  Returns result 0, NONE after a mistake (operands that are NONE through an earlier
 * mistake are absorbed silently). */
Val op_append(Prog *p, const OpDef *op, const Val *in, int nin, const void *attrs, Val *results);
/* Shorthand for builders: the program is that of the first operand that is not NONE. */
Val op_build(const OpDef *op, const void *attrs, Val *results, int nin, ...);
/* The program that values with mistakes still know. */
Prog *op_prog(const Val *in, int nin);

const OpDef *op_find(const char *name);
/* The generated table, ended by NULL. */
extern const OpDef *const op_table[];
/* Fills `attrs` (op->attr_size bytes) from "k=v k=v" over the initial values; 0 or -1 with error_text().  Text
 * attributes point into a buffer that lives as long as the process. */
int  op_attrs_parse(const OpDef *op, const char *text, void *attrs);
void op_attrs_print(const OpDef *op, const void *attrs, char *text, size_t size);
bool op_attrs_equal(const OpDef *op, const void *a, const void *b);
int  op_operand_count(const OpDef *op, bool *variadic);   /* named operands */
int  op_result_count(const OpDef *op);

/* For fusion patterns: look at a node of the plan's program and replace results. */
const OpDef *fuse_op(Prog *p, int node);
const void  *fuse_attrs(Prog *p, int node);
Val   fuse_in(Prog *p, int node, int i);
Val   fuse_out(Prog *p, int node, int j);
int   fuse_node_of(Val v);                       /* node that makes v, or -1 for inputs and store values */
int   fuse_uses(Prog *p, Val v, int *nodes, int max);   /* nodes reading v; plan outputs and updates count as -1 */
/* Puts a new op in place of `node` (before it in order); its results stand in for olds[i] -> news i. */
void  fuse_replace(Prog *p, int node, const OpDef *op, const Val *in, int nin, const void *attrs,
                   const Val *olds, const int *new_index, int n);

/* What the device's own kernel of `op` says to taking it in the place of others, for operands of those shapes: see
 * KernelDef.worth; false where it has none or says nothing. */
bool  fuse_worth(Prog *p, const char *op, const Shape *in);

/* ---------------------------------------------------------------- kernels */
/* Physical formats of rank-4 reals: a layout, and in the last ones bfloat16 in the place of float.
 * C16: (B, ceil(C/16), H, W, 16), channels beyond C always zero.  NHWC as said, without padding. */
typedef enum Format { PLAIN, C16, NHWC, C16_BF16, NHWC_BF16, FORMATS } Format;
static inline bool format_half(Format f) { return f == C16_BF16 || f == NHWC_BF16; }
/* The same layout in float. */
static inline Format format_layout(Format f) { return f == C16_BF16 ? C16 : f == NHWC_BF16 ? NHWC : f; }

typedef struct Tensor {
    void *data;            /* on the device; NULL while preparing, and for absent operands */
    Dtype dtype;
    Format format;
    Shape shape;           /* logical; rank -1 for absent operands */
    const uint64_t *version;   /* of a store entry, raised at each change; NULL for computed values */
    bool updated;              /* by the plan itself: each of its runs sees another version of the entry */
} Tensor;
size_t tensor_bytes(const Tensor *t, int real_bytes);   /* physical, padding included */
static inline bool tensor_here(const Tensor *t) { return t->shape.rank >= 0; }

/* One op of a plan, as its kernel sees it. */
typedef struct KernelCall {
    const OpDef *op;
    const KernelDef *kernel;
    const char *name;           /* of the first result: for messages */
    const void *attrs;
    int nin, nout;
    Tensor *in, *out;
    void *workspace;            /* scratch during run, of workspace_bytes as set by prepare */
    size_t workspace_bytes;
    void *state;                /* prepare's own */
    size_t state_bytes;         /* what state holds, for the memory report */
    void **shared;              /* one pointer a plan and backend: see Device.shared_free */
    Device *device;
    const char *tuning;         /* recorded algorithm of this call, or NULL */
    char chosen[32];            /* the algorithm taken, for the profile and the tuning table */
    Precision precision;        /* of products */
} KernelCall;

/* What a kernel asks of formats: in[] holds what the operands have, to be changed to what is wanted; out[] starts
 * PLAIN.  Values of rank other than 4 are always PLAIN. */
typedef struct FormatChoice {
    const OpDef *op;
    const void *attrs;
    int nin, nout;
    const Shape *in_shape, *out_shape;
    Format *in, *out;
    Precision precision;
} FormatChoice;

struct KernelDef {
    void (*run)(KernelCall *k);
    int  (*prepare)(KernelCall *k);          /* once a plan: algorithm, workspace; 0 or -1 with error_text() */
    int  (*bind)(KernelCall *k);             /* whenever addresses are set: tables of them; 0 or -1 */
    void (*release)(KernelCall *k);
    void (*formats)(FormatChoice *f);        /* NULL: everything PLAIN */
    int  (*inplace)(const KernelCall *k, int result);   /* operand whose buffer the result may take, or -1 */
    bool halves;                             /* formats() is shown operands in bfloat16; otherwise as if in float */
    unsigned bf16_results;                   /* bit j: result j may be asked for in bfloat16 in the place of float */
    bool (*worth)(const Shape *in, Precision precision);   /* for patterns that trade other ops for this one and ask
                                              * whether that is faster; what `in` is, the pattern's file says */
    const char *algorithms;                  /* names that a tuning table may ask for, "a b c"; NULL: no choice */
};
#ifdef __cplusplus
#define KERNEL_(name, backend) \
    extern "C" { extern const KernelDef kernel_##backend##_##name; } const KernelDef kernel_##backend##_##name
#else
#define KERNEL_(name, backend) const KernelDef kernel_##backend##_##name
#endif
#define KERNEL(name, backend) KERNEL_(name, backend)

typedef struct KernelEntry {
    const char *op, *backend;
    const KernelDef *kernel;
} KernelEntry;
extern const KernelEntry kernel_table[];   /* generated, ended by {0, 0, 0} */
/* The kernel of an op on a backend: its own, else the fallback backend's; NULL if there is none. */
const KernelDef *kernel_find(const char *op, const Device *device, bool *own);

/* Ready-made answers: all results and rank-4 operands in the format of the first rank-4 operand that is not PLAIN
 * (elementwise kernels that keep zero padding zero); result 0 over operand 0. */
void formats_same(FormatChoice *f);
int  inplace_first(const KernelCall *k, int result);

#ifdef __cplusplus
}
#endif
#endif
