/* batch_norm.c - the definition, with a slope that of batch_norm_leaky_relu, and batch_norm_fold. */
#include "engine/ops/batch_norm_leaky_relu.h"
#include "engine/ops/conv2d_relu.h"

#include "kernels/reference/reference.h"

/* Values of one channel and group: images [first, first + images), `pixels` in each. */
typedef struct Part {
    int64_t first, images, channel, channels, pixels;
} Part;

static int64_t at(const Part *p, int64_t image, int64_t pixel)
{
    return ((p->first + image) * p->channels + p->channel) * p->pixels + pixel;
}

static Part part_of(const Tensor *x, int groups, int group, int64_t channel)
{
    Part p = {.images = x->shape.dim[0] / groups, .channel = channel, .channels = x->shape.dim[1], .pixels = 1};
    for (int i = 2; i < x->shape.rank; i++)
        p.pixels *= x->shape.dim[i];
    p.first = group * p.images;
    return p;
}

/* Value c of an operand that may be left out. */
static double value(const KernelCall *k, int i, int64_t c, double otherwise)
{
    return i < k->nin && tensor_here(&k->in[i]) ? (double)REAL(k->in[i])[c] : otherwise;
}

/* Mean and sum of squared deviations. */
static void statistics(const real *x, const Part *p, double *mean, double *squares)
{
    double sum = 0;
    *squares = 0;
    for (int64_t b = 0; b < p->images; b++)
        for (int64_t i = 0; i < p->pixels; i++)
            sum += x[at(p, b, i)];
    *mean = sum / (double)(p->images * p->pixels);
    for (int64_t b = 0; b < p->images; b++)
        for (int64_t i = 0; i < p->pixels; i++) {
            double d = x[at(p, b, i)] - *mean;
            *squares += d * d;
        }
}

static void forward(KernelCall *k, const BatchNormAttrs *a, real slope)
{
    const real *x = REAL(k->in[0]), *added = k->nin > 5 && tensor_here(&k->in[5]) ? REAL(k->in[5]) : NULL;
    real *y = REAL(k->out[0]), *mean = REAL(k->out[1]), *rstd = REAL(k->out[2]);
    int64_t channels = k->in[0].shape.dim[1];
    for (int64_t c = 0; c < channels; c++) {
        real gamma = (real)value(k, 1, c, 1), beta = (real)value(k, 2, c, 0);
        real running_mean = (real)value(k, 3, c, 0), running_var = (real)value(k, 4, c, 1);
        for (int g = 0; g < a->groups; g++) {
            Part p = part_of(&k->in[0], a->groups, g, c);
            double m = running_mean, var = running_var, n = (double)(p.images * p.pixels);
            if (a->training) {
                double squares;
                statistics(x, &p, &m, &squares);
                var = squares / n;
                if (a->update) {
                    running_mean += (real)(a->momentum * (m - running_mean));
                    running_var += (real)(a->momentum * (squares / (n - 1) - running_var));
                }
            }
            int64_t at_group = g * channels + c;
            mean[at_group] = (real)m;
            rstd[at_group] = (real)(1 / sqrt(var + (double)a->eps));
            for (int64_t b = 0; b < p.images; b++)
                for (int64_t i = 0; i < p.pixels; i++) {
                    real z = (x[at(&p, b, i)] - mean[at_group]) * (gamma * rstd[at_group]) + beta;
                    z += added ? added[at(&p, b, i)] : 0;
                    y[at(&p, b, i)] = z > 0 ? z : slope * z;
                }
        }
        REAL(k->out[3])[c] = running_mean;
        REAL(k->out[4])[c] = running_var;
    }
}

/* beta, mean, rstd and dy: which operands they are; beta -1 for none. */
static void backward(KernelCall *k, const BatchNormGradAttrs *a, int beta_at, int mean_at, real slope)
{
    const real *x = REAL(k->in[0]), *dy = REAL(k->in[mean_at + 2]);
    const real *sign = k->nout > 3 ? REAL(k->in[mean_at + 3]) : NULL;   /* y, beside a residual */
    real *dx = REAL(k->out[0]);
    int64_t channels = k->in[0].shape.dim[1];
    for (int64_t c = 0; c < channels; c++) {
        real gamma = (real)value(k, 1, c, 1), beta = beta_at < 0 ? 0 : (real)value(k, beta_at, c, 0);
        double dgamma = 0, dbeta = 0;
        for (int g = 0; g < a->groups; g++) {
            Part p = part_of(&k->in[0], a->groups, g, c);
            double n = (double)(p.images * p.pixels), sum = 0, dot = 0;
            real mean = REAL(k->in[mean_at])[g * channels + c], rstd = REAL(k->in[mean_at + 1])[g * channels + c];
            for (int64_t b = 0; b < p.images; b++)
                for (int64_t i = 0; i < p.pixels; i++) {
                    int64_t e = at(&p, b, i);
                    real z = sign ? sign[e] : (x[e] - mean) * (gamma * rstd) + beta;
                    dx[e] = z > 0 ? dy[e] : slope * dy[e];
                    if (sign)
                        REAL(k->out[3])[e] = dx[e];
                    sum += dx[e];
                    dot += (double)dx[e] * ((double)x[e] - mean) * rstd;
                }
            for (int64_t b = 0; b < p.images && a->training; b++)
                for (int64_t i = 0; i < p.pixels; i++) {
                    int64_t e = at(&p, b, i);
                    dx[e] = (real)(dx[e] - sum / n - ((double)x[e] - mean) * rstd * dot / n);
                }
            for (int64_t b = 0; b < p.images; b++)
                for (int64_t i = 0; i < p.pixels; i++)
                    dx[at(&p, b, i)] *= gamma * rstd;
            dgamma += dot;
            dbeta += sum;
        }
        REAL(k->out[1])[c] = (real)dgamma;
        REAL(k->out[2])[c] = (real)dbeta;
    }
}

static void batch_norm(KernelCall *k)
{
    forward(k, k->attrs, 1);
}

static void batch_norm_leaky_relu(KernelCall *k)
{
    const BatchNormLeakyReluAttrs *a = k->attrs;
    forward(k, &a->norm, (real)a->slope);
}

static void batch_norm_grad(KernelCall *k)
{
    backward(k, k->attrs, -1, 2, 1);
}

static void batch_norm_leaky_relu_grad(KernelCall *k)
{
    const BatchNormLeakyReluGradAttrs *a = k->attrs;
    backward(k, &a->norm, 2, 3, (real)a->slope);
}

static void batch_norm_fold(KernelCall *k)
{
    const BatchNormFoldAttrs *a = k->attrs;
    const real *w = REAL(k->in[0]), *gamma = REAL(k->in[1]), *beta = REAL(k->in[2]), *mean = REAL(k->in[3]),
               *var = REAL(k->in[4]), *b = k->nin > 5 ? REAL(k->in[5]) : NULL;
    real *folded_w = REAL(k->out[0]), *folded_b = REAL(k->out[1]);
    int64_t filters = k->in[0].shape.dim[0], each = COUNT(k->in[0]) / filters;
    for (int64_t f = 0; f < filters; f++) {
        double s = (gamma ? gamma[f] : 1) / sqrt((double)var[f] + (double)a->eps);
        for (int64_t i = 0; i < each; i++)
            folded_w[f * each + i] = (real)(s * w[f * each + i]);
        folded_b[f] = (real)((beta ? beta[f] : 0) + s * ((b ? b[f] : 0) - (double)mean[f]));
    }
}

KERNEL(batch_norm_fold, reference) = {.run = batch_norm_fold};
KERNEL(batch_norm, reference) = {.run = batch_norm};
KERNEL(batch_norm_grad, reference) = {.run = batch_norm_grad};
KERNEL(batch_norm_leaky_relu, reference) = {.run = batch_norm_leaky_relu};
KERNEL(batch_norm_leaky_relu_grad, reference) = {.run = batch_norm_leaky_relu_grad};
