/* random.c - see random.h. */
#include "engine/ops/random.h"

#include "engine/ops/affine.h"
#include "engine/ops/binary.h"
#include "engine/ops/infer.h"
#include "engine/ops/reduce.h"

/* The last operand is a counter. */
static bool infer_rng(OpShapes *s, int i)
{
    if (!infer_operand(s, i, I32, 1))
        return false;
    if (s->in[i].dim[0] == 4)
        return true;
    op_mistake(s, "rng must hold 4 integers, as from prog_rng");
    return false;
}

/* ---------------------------------------------------------------- rng_advance */
static void advance_infer(OpShapes *s)
{
    if (!infer_rng(s, 0))
        return;
    s->out[0] = s->in[0];
    s->out_dtype[0] = I32;
}

static const OpCase advance_cases[] = {{"4:rng", ""}, CASES_END};

/* No gradient: integers. */
OP(rng_advance) = {
    .name = "rng_advance", .formula = "step + 1", .operands = "rng", .results = "next", .flags = OP_NO_GRAD,
    .infer = advance_infer, .cases = advance_cases,
};

Val op_rng_advance(Val rng)
{
    return op_build(&op_rng_advance_def, NULL, NULL, 1, rng);
}

/* ---------------------------------------------------------------- random_uniform, random_normal */
static const OpAttr attrs[] = {
    {"name", ATTR_TEXT, offsetof(RandomAttrs, name), "", "name of the stream"},
    {"shape", ATTR_INTS, offsetof(RandomAttrs, shape), "", "dimensions"},
    ATTRS_END,
};

static void infer(OpShapes *s)
{
    const AttrInts *a = &((const RandomAttrs *)s->attrs)->shape;
    if (!infer_rng(s, 0))
        return;
    for (int i = 0; i < a->n; i++)
        if (a->v[i] < 0) {
            op_mistake(s, "dimension %d is negative", i);
            return;
        }
    s->out[0] = shape_make(a->v, a->n);
}

/* Ten rounds of two multiplications for four numbers, and some 25 operations for a normal. */
static double uniform_flop(const OpShapes *s)
{
    return 10 * (double)shape_count(s->out[0]);
}
static double normal_flop(const OpShapes *s)
{
    return 35 * (double)shape_count(s->out[0]);
}

static const OpCase cases[] = {
    {"4:rng", "name=a shape=7"}, {"4:rng", "name=b shape=2,3,4,5"}, {"4:rng", "name=c shape=2,17,3,3"},
    {"4:rng", "name=d"}, CASES_END,
};
static const OpCase shapes[] = {{"4:rng", "name=a shape=128,128"}, {"4:rng", "name=a shape=8,3,128,128"}, CASES_END};

/* No gradient: draws depend on nothing that could be trained. */
OP(random_uniform) = {
    .name = "random_uniform", .formula = "y ~ U(0, 1)", .operands = "rng", .results = "y",
    .attr_size = sizeof(RandomAttrs), .attrs = attrs, .flags = OP_NO_GRAD, .infer = infer, .flop = uniform_flop,
    .cases = cases, .shapes = shapes,
};
OP(random_normal) = {
    .name = "random_normal", .formula = "y ~ N(0, 1)", .operands = "rng", .results = "y",
    .attr_size = sizeof(RandomAttrs), .attrs = attrs, .flags = OP_NO_GRAD, .infer = infer, .flop = normal_flop,
    .cases = cases, .shapes = shapes,
};

static RandomAttrs drawn(const char *name, Shape shape)
{
    RandomAttrs a = {.name = name};
    for (int i = 0; i < shape.rank && i < INTS_MAX; i++)
        a.shape.v[a.shape.n++] = shape.dim[i];
    return a;
}

Val op_random_uniform(Val rng, const char *name, Shape shape)
{
    RandomAttrs a = drawn(name, shape);
    return op_build(&op_random_uniform_def, &a, NULL, 1, rng);
}

Val op_random_normal(Val rng, const char *name, Shape shape)
{
    RandomAttrs a = drawn(name, shape);
    return op_build(&op_random_normal_def, &a, NULL, 1, rng);
}

/* ---------------------------------------------------------------- dropout */
static const OpAttr dropout_attrs[] = {
    {"name", ATTR_TEXT, offsetof(DropoutAttrs, name), "", "name of the stream"},
    ATTRS_END,
};

static void dropout_infer(OpShapes *s)
{
    if (!infer_operand(s, 0, F32, -1) || !infer_operand(s, 1, F32, -1) || !infer_rng(s, 2))
        return;
    if (shape_count(s->in[1]) != 1) {
        op_mistake(s, "rate must be one number");
        return;
    }
    s->out[0] = s->in[0];
}

/* Linear in x with the factors that the stream gives.  What is kept grows with the rate as 1 / (1 - rate); that
 * elements come and go with it has no derivative. */
static void dropout_vjp(OpVjp *g)
{
    const DropoutAttrs *a = g->attrs;
    if (g->need[0])
        g->din[0] = op_dropout(g->dout[0], g->in[1], g->in[2], a->name);
    if (g->need[1])
        g->din[1] = op_div(op_sum(op_mul(g->dout[0], g->out[0])), op_affine(g->in[1], -1, 1));
}

static double dropout_flop(const OpShapes *s)
{
    return 12 * (double)shape_count(s->out[0]);
}

static const OpCase dropout_cases[] = {
    {"2x3x4x5 1:unit 4:rng", "name=a"}, {"7 1:unit 4:rng", "name=b"}, {"2x17x3x3 1:unit 4:rng", "name=c"}, CASES_END,
};
static const OpCase dropout_shapes[] = {{"128x25088 1:unit 4:rng", "name=a"}, CASES_END};

OP(dropout) = {
    .name = "dropout", .formula = "y = x (u >= rate) / (1 - rate), u ~ U(0, 1)", .operands = "x rate rng",
    .results = "y", .attr_size = sizeof(DropoutAttrs), .attrs = dropout_attrs, .infer = dropout_infer,
    .vjp = dropout_vjp, .flop = dropout_flop, .cases = dropout_cases, .shapes = dropout_shapes,
    .source = "Srivastava et al., Dropout, JMLR 2014 (scaled while training)",
};

Val op_dropout(Val x, Val rate, Val rng, const char *name)
{
    return op_build(&op_dropout_def, &(DropoutAttrs){name}, NULL, 3, x, rate, rng);
}
