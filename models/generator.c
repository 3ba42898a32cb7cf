/* generator.c - Table 7: from identity and attributes to a picture at every scale.
 * "Conv 4x4 (stride 1x1) 640 x 1 x 1 -> 1024 x 4 x 4" can only be a transposed convolution (inventory item 14); batch
 * normalisation stands only behind the second convolution of each block (item 15). */
#include "models/synthesis.h"

static Val conv3x3(Val x, const char *name, int filters, GeneratorOpts o)
{
    return conv(x, name, (ConvLayer){.filters = filters, .kernel = 3, .padding = 1, .bias = o.bias});
}

/* Channels of the map of this side:                                       at S = 128, width = 64
 *   4: 1024    8: 512    16: 512    32: 256    64: 128    128: 64 */
static int channels(int side, GeneratorOpts o)
{
    int doubled = o.size / side;
    return o.width * (side == 4 ? 16 : doubled > 8 ? 8 : doubled);
}

static Val to_rgb(Val h, GeneratorOpts o)
{
    return op_tanh(conv(h, "to_rgb", (ConvLayer){.filters = 3, .kernel = 1, .bias = o.bias}));
}

Pyramid generator(Val identity, Val attributes, Mode mode, GeneratorOpts o)
{
    Prog *p = identity.p;
    Pyramid out = {0};
    Val z = op_concat(VALS(identity, attributes), 1);
    Val h = op_reshape(z, SHAPE(val_dim(z, 0), val_dim(z, 1), 1, 1));              /* 640 x 1 x 1 */
    for (int side = 4; side <= o.size && out.n < SCALES_MAX; side *= 2) {
        char scope[16];
        snprintf(scope, sizeof scope, "block%d", side);
        prog_push(p, scope);
        if (side == 4)
            h = conv_transpose(h, "conv1", (ConvLayer){.filters = channels(4, o), .kernel = 4, .bias = o.bias});
        else
            h = conv3x3(o.bilinear ? op_resize_bilinear(h, side, side, false) : op_resize_nearest(h, side, side),
                        "conv1", channels(side, o), o);
        h = op_leaky_relu(h, 0.2f);
        h = op_leaky_relu(batch_norm(conv3x3(h, "conv2", channels(side, o), o), "bn2", mode), 0.2f);
        out.image[out.n++] = to_rgb(h, o);
        prog_pop(p);
    }
    return out;
}
