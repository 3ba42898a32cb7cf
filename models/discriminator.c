/* discriminator.c - Table 6, right: A's trunk, a 4x4 convolution to a vector, one number. */
#include "models/synthesis.h"

Discriminator discriminator(Val x, Mode mode, EncoderOpts o)
{
    Val h = encoder_trunk(x, mode, o);
    h = op_flatten(conv(h, "conv_last", (ConvLayer){.filters = 4 * o.width, .kernel = 4, .bias = o.bias}));
    return (Discriminator){.feature = h, .logit = linear(h, "fc", 1, true, (Init){0})};   /* 512 x 1 x 1, FC -> 1 */
}
