/* program.h - inside the engine: how programs and stores are held.  Users include engine.h. */
#ifndef GUISE_PROGRAM_H
#define GUISE_PROGRAM_H

#include "engine/device.h"

/* Ranks up to RANK_MAX, no negative size, and a number of bytes that can be counted. */
bool   shape_possible(Shape s);

typedef struct Entry {            /* one tensor of a store */
    char *name;
    Dtype dtype;
    Shape shape;
    Init init;
    bool param;
    void *data;                   /* on the device, C order; its address never changes */
    uint64_t version;             /* raised at each change */
} Entry;

struct Store {
    Device *device;
    char *device_name;
    uint64_t seed;
    Entry **entries;              /* pointers: entries stay where they are while the list grows */
    int n, room;
};
/* Index of the entry, made if new; -1 with error_text() when shapes differ or memory is missing. */
int    store_add(Store *s, const char *name, Dtype dtype, Shape shape, Init init, bool param);
size_t store_bytes(const Store *s, int i);

typedef struct Value {
    enum { FROM_NODE, FROM_INPUT, FROM_STORE } from;
    int source;                   /* node; slot of the origin's inputs; entry of the store */
    int result;                   /* which result of the node */
    Dtype dtype;
    Shape shape;
    Format format;
    char *name;                   /* or NULL */
} Value;

typedef struct Node {
    const OpDef *op;
    void *attrs;
    int nin, nout;
    int *in, *out;                /* value ids; 0 for absent operands */
} Node;

typedef struct Input {
    char *name;
    Dtype dtype;
    Shape shape;
    void *data;                   /* on the device */
    int value;
    bool shared;                  /* data belongs to another program */
} Input;

typedef struct State {
    int entry, value;             /* value: the current one */
} State;

typedef struct Update {
    int entry, value;             /* the entry becomes the value when the plan has run */
} Update;

struct Prog {
    Store *store;
    Prog *origin;                 /* itself, or the program that a plan's copy was made from: owns the inputs */
    Value *values;                /* [0] is "none" */
    int nvalues, value_room;
    Node *nodes;                  /* in order: operands come before their readers */
    int nnodes, node_room;
    Input *inputs;
    int ninputs;
    State *states;                /* every store value used so far and what stands for it */
    int nstates;
    int rng;                      /* value of the random counter, 0 if unused */
    char *scope;
    size_t *scopes;               /* lengths of the scopes around the open one */
    int nscopes;
    char *mistake;
    const Val *building;          /* operands of the op being appended, for messages */
    void **owned;                 /* lists handed out */
    int nowned;
    int *outputs;                 /* of a plan's copy: what must be computed */
    int noutputs;
    Update *updates;
    int nupdates;
};

static inline Val val_of(Prog *p, int id)
{
    return (Val){p, id};
}
static inline const Value *val_value(Val v)
{
    return &v.p->values[v.id];
}
/* Memory that lives as long as the program. */
void *prog_own(Prog *p, size_t bytes);
int   prog_add_value(Prog *p, Value v);
/* Appends a node without checks; attrs are copied.  Results get fresh values of the given shapes. */
int   prog_add_node(Prog *p, const OpDef *op, const int *in, int nin, const void *attrs, const Shape *out,
                    const Dtype *dtype, int nout);
void  node_free(Node *n);
/* Runs infer for a node as it stands. false: the message is the program's mistake. */
bool  node_infer(Prog *p, const OpDef *op, const int *in, int nin, const void *attrs, Shape *out, Dtype *dtype,
                 int *nout);
enum { NODE_EXTRA = 4 };          /* results that infer may add */
double node_flop(const Prog *p, const Node *n);
double node_bytes(const Prog *p, const Node *n);
const char *text_intern(const char *text);   /* one copy of each text, kept for the life of the process */

/* passes.c: a copy of what outputs and updates need, improved for the store's device; NULL after a mistake. */
Prog *prog_improve(Prog *p, Vals outputs, Vals updates);
/* Aborts with a dump when an invariant of the program is broken; `pass` names who did it. */
void  prog_verify(Prog *p, const char *pass);

/* tuning.c: recorded algorithm choices. */
typedef struct Tuning Tuning;
Tuning *tuning_load(const char *path);                 /* NULL path: an empty table; NULL result: error_text() */
void    tuning_free(Tuning *t);
const char *tuning_find(const Tuning *t, const char *key);
void    tuning_key(const KernelCall *k, char *text, size_t size);

#endif
