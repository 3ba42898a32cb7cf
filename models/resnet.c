/* resnet.c - residual networks of bottleneck blocks. */
#include "models/recogniser.h"

#include <math.h>

static Val conv_bn(Val x, int index, int filters, int kernel, int stride, Mode mode)
{
    char conv_name[16], bn_name[16];
    snprintf(conv_name, sizeof conv_name, "conv%d", index);
    snprintf(bn_name, sizeof bn_name, "bn%d", index);
    x = conv(x, conv_name, (ConvLayer){.filters = filters, .kernel = kernel, .stride = stride, .padding = kernel / 2,
                                       .init = init_he(filters, kernel)});
    return batch_norm(x, bn_name, mode);
}

static Val relu(Val x)
{
    return op_leaky_relu(x, 0);
}

/* 1x1 to `width`, 3x3 with the stride, 1x1 to 4 width; added to x, which a 1x1 fits where it must. */
static Val bottleneck(Val x, int width, int stride, Mode mode)
{
    Val h = relu(conv_bn(x, 1, width, 1, 1, mode));
    h = relu(conv_bn(h, 2, width, 3, stride, mode));
    h = conv_bn(h, 3, 4 * width, 1, 1, mode);
    if (stride != 1 || val_dim(x, 1) != 4 * width) {
        prog_push(x.p, "downsample");
        x = conv(x, "0", (ConvLayer){.filters = 4 * width, .kernel = 1, .stride = stride,
                                     .init = init_he(4 * width, 1)});
        x = batch_norm(x, "1", mode);
        prog_pop(x.p);
    }
    return relu(op_add(h, x));
}

Val resnet(Val x, Mode mode, ResnetOpts o)
{
    Prog *p = x.p;
    Val h = relu(conv_bn(x, 1, o.width, o.small_stem ? 3 : 7, o.small_stem ? 1 : 2, mode));
    if (!o.small_stem)
        h = op_max_pool2d(h, (Pool2dAttrs){.kernel = 3, .stride = 2, .padding = 1});
    for (int stage = 0; stage < 4; stage++)
        for (int b = 0; b < o.blocks[stage]; b++) {
            char scope[24], index[16];
            snprintf(scope, sizeof scope, "layer%d", stage + 1);
            snprintf(index, sizeof index, "%d", b);
            prog_push(p, scope);
            prog_push(p, index);
            h = bottleneck(h, o.width << stage, stage && !b ? 2 : 1, mode);
            prog_pop(p);
            prog_pop(p);
        }
    return h;
}

Val resnet_classifier(Val x, Mode mode, ResnetOpts o, int classes)
{
    Val mean = op_global_avg_pool(resnet(x, mode, o));
    return linear(mean, "fc", classes, true, (Init){INIT_UNIFORM, 1 / sqrtf((float)val_dim(mean, 1))});
}
