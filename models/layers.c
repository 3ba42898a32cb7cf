/* layers.c - see layers.h. */
#include "models/layers.h"

#include <math.h>
#include <string.h>

static Val named(Val v, const char *name)
{
    return val_named(v, name);
}

static Init weight_init(Init i)
{
    return i.kind == INIT_ZERO && !i.a ? (Init){INIT_NORMAL, 0.02f} : i;
}

Init init_he(int filters, int kernel)
{
    return (Init){INIT_NORMAL, sqrtf(2.0f / (float)(filters * kernel * kernel))};
}

Val conv(Val x, const char *name, ConvLayer l)
{
    prog_push(x.p, name);
    Val w = prog_param(x.p, "weight", SHAPE(l.filters, val_dim(x, 1), l.kernel, l.kernel), weight_init(l.init));
    Val b = l.bias ? prog_param(x.p, "bias", SHAPE(l.filters), (Init){INIT_ZERO, 0}) : NONE;
    prog_pop(x.p);
    return named(op_conv2d(x, w, b, (Conv2dAttrs){.stride = l.stride, .padding = l.padding}), name);
}

Val conv_transpose(Val x, const char *name, ConvLayer l)
{
    prog_push(x.p, name);
    Val w = prog_param(x.p, "weight", SHAPE(val_dim(x, 1), l.filters, l.kernel, l.kernel), weight_init(l.init));
    Val b = l.bias ? prog_param(x.p, "bias", SHAPE(l.filters), (Init){INIT_ZERO, 0}) : NONE;
    prog_pop(x.p);
    return named(op_conv_transpose2d(x, w, b, (Conv2dAttrs){.stride = l.stride, .padding = l.padding}), name);
}

Val linear(Val x, const char *name, int out, bool bias, Init init)
{
    prog_push(x.p, name);
    Val w = prog_param(x.p, "weight", SHAPE(out, val_dim(x, 1)), weight_init(init));
    Val b = bias ? prog_param(x.p, "bias", SHAPE(out), (Init){INIT_ZERO, 0}) : NONE;
    prog_pop(x.p);
    return named(op_linear(x, w, b), name);
}

static Val norm(Val x, const char *name, Mode mode, bool scaled)
{
    Prog *p = x.p;
    int64_t c = val_dim(x, 1);
    prog_push(p, name);
    Val gamma = scaled ? prog_param(p, "weight", SHAPE(c), (Init){INIT_CONSTANT, 1}) : NONE;
    Val beta = prog_param(p, "bias", SHAPE(c), (Init){INIT_ZERO, 0});
    Val mean = prog_state(p, "running_mean", F32, SHAPE(c), (Init){INIT_ZERO, 0});
    Val var = prog_state(p, "running_var", F32, SHAPE(c), (Init){INIT_CONSTANT, 1});
    BatchNorm bn = op_batch_norm(x, gamma, beta, mean, var,
                                 (BatchNormAttrs){.groups = mode.groups, .training = mode.training,
                                                  .update = mode.update});
    if (mode.training && mode.update) {
        prog_set_state(p, "running_mean", bn.new_running_mean);
        prog_set_state(p, "running_var", bn.new_running_var);
    }
    prog_pop(p);
    return named(bn.y, name);
}

Val batch_norm(Val x, const char *name, Mode mode)
{
    return norm(x, name, mode, true);
}

Val batch_norm_unscaled(Val x, const char *name, Mode mode)
{
    return norm(x, name, mode, false);
}

int64_t parameter_count(const Store *s, const char *prefix)
{
    int64_t n = 0;
    for (int i = 0; i < store_count(s); i++)
        if (store_is_param(s, i) && !strncmp(store_name(s, i), prefix, strlen(prefix)))
            n += shape_count(store_shape(s, i));
    return n;
}
