/* attribute_encoder.c - Table 6, left: the variational encoder A. */
#include "models/synthesis.h"

static Val conv4x4(Val x, const char *name, int filters, EncoderOpts o)
{
    return conv(x, name, (ConvLayer){.filters = filters, .kernel = 4, .stride = 2, .padding = 1, .bias = o.bias});
}

static Val conv_bn_lrelu(Val x, int k, int filters, Mode mode, EncoderOpts o)
{
    char conv_name[16], bn_name[16];
    snprintf(conv_name, sizeof conv_name, "conv%d", k);
    snprintf(bn_name, sizeof bn_name, "bn%d", k);
    return op_leaky_relu(batch_norm(conv4x4(x, conv_name, filters, o), bn_name, mode), 0.2f);
}

Val encoder_trunk(Val x, Mode mode, EncoderOpts o)
{
    int c = o.width, k = 2;                                             /*                at S = 128, width = 128 */
    Val h = op_leaky_relu(conv4x4(x, "conv1", c, o), 0.2f);             /* Conv /2              128 x 64 x 64 */
    for (int side = o.size / 4; side >= 4; k++, side /= 2)              /* Conv /2, BN, LReLU   256 x 32 x 32 */
        h = conv_bn_lrelu(h, k, side == 4 ? 8 * c : k == 2 ? 2 * c : 4 * c, mode, o);   /*      512 x 16 x 16, */
    return h;                                                           /*              512 x 8 x 8, 1024 x 4 x 4 */
}

Attributes attribute_encoder(Val x, Mode mode, EncoderOpts o)
{
    Val h = encoder_trunk(x, mode, o);
    h = op_tanh(conv(h, "conv_last", (ConvLayer){.filters = 16 * o.width, .kernel = 4, .bias = o.bias}));
    h = op_flatten(h);                                                  /* Conv, Tanh          2048 x 1 x 1 */
    Val mean = linear(h, "mean", o.z, true, (Init){0});                 /* FC                  2048 -> 128 */
    return (Attributes){mean, linear(h, "log_variance", o.z, true, (Init){0})};
}

Val attribute_sample(Attributes a, Val rng, const char *name)
{
    if (!val_ok(rng))
        return a.mean;
    Val r = op_random_normal(rng, name, val_shape(a.mean));
    return op_add(a.mean, op_mul(r, op_exp(op_scale(a.log_variance, 0.5f))));
}
