/* conv2d.c - conv2d, conv_transpose2d and conv2d_weight_grad: oneDNN's kernels where it has fast ones, our own
 * (conv_winograd.c, conv_gemm.c, conv_weights.c, conv_narrow.c, conv_depthwise.c, matmul_thin.c) elsewhere.
 *
 * Activations of 16 channels and more are C16; fewer channels stay PLAIN and are blocked in the workspace for
 * kernels that need that.  Weights lie plain in the store; what a kernel reads is a packed copy that the plan keeps
 * and refreshes when the store's version moves.  Nodes that pack the same entry alike share the copy. */
#include "engine/ops/conv2d.h"

#include <omp.h>
#include <stdlib.h>

#include "engine/device.h"
#include "kernels/cpu/conv_depthwise.h"
#include "kernels/cpu/conv_gemm.h"
#include "kernels/cpu/conv_narrow.h"
#include "kernels/cpu/conv_weights.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/matmul_thin.h"
#include "kernels/cpu/onednn.h"

/* ---------------------------------------------------------------- packed weights */
typedef struct Pack {
    struct Pack *next;
    const uint64_t *entry;       /* the version counter of a store entry stands for the entry */
    uint64_t version;            /* of the copy; UINT64_MAX: none yet */
    const OnednnConv *like;      /* NULL: conv_winograd.c's, for a direction */
    ConvDirection direction;
    void *data;
    int users;
} Pack;

static bool packs_alike(const Pack *p, const OnednnConv *plan, ConvDirection direction)
{
    return plan && p->like ? onednn_conv_packs_alike(p->like, plan) : !plan && !p->like && p->direction == direction;
}

static Pack *pack_take(KernelCall *k, const uint64_t *entry, const OnednnConv *plan, ConvDirection direction,
                       size_t bytes)
{
    Pack **list = (Pack **)k->shared;
    for (Pack *p = *list; p; p = p->next)
        if (p->entry == entry && packs_alike(p, plan, direction)) {
            p->users++;
            return p;
        }
    Pack *p = must_zalloc(sizeof *p);
    if (posix_memalign(&p->data, 64, bytes)) {
        free(p);
        fail("no memory for %.1f MiB of packed weights: use a smaller preset", (double)bytes / 1048576);
        return NULL;
    }
    *p = (Pack){*list, entry, UINT64_MAX, plan, direction, p->data, 1};
    *list = p;
    k->state_bytes += bytes;
    return p;
}

static void pack_leave(KernelCall *k, Pack *pack)
{
    if (--pack->users)
        return;
    for (Pack **p = (Pack **)k->shared; *p; p = &(*p)->next)
        if (*p == pack) {
            *p = pack->next;
            break;
        }
    free(pack->data);
    free(pack);
}

/* ---------------------------------------------------------------- one call */
typedef struct Conv {
    ConvShape shape;
    ConvDirection direction;
    int x, w, y;                 /* operands; the missing one is the result */
    /* conv_gemm.c, matmul_thin.c, conv_weights.c (twice), conv_narrow.c, conv_depthwise.c, conv_winograd.c,
     * onednn.c */
    enum { OWN, LINEAR, SMALL_MAP, SMALL_MAP_BF16, NARROW, DEPTHWISE, WINOGRAD_OWN, ONEDNN } path;
    OnednnConv *plan;
    Pack *pack;                  /* NULL: weights are packed into the workspace, or not at all */
    bool pack_here, block_x, block_y;
    size_t at_w, at_x, at_y;     /* in the workspace, behind the kernel's scratch */
    int threads;
} Conv;

static Tensor *tensor_of(const KernelCall *k, int operand)
{
    return operand < 0 ? &k->out[0] : &k->in[operand];
}

static const float *bias_of(const KernelCall *k, const Conv *c)
{
    return c->direction != CONV_BACKWARD_WEIGHTS && k->nin > 2 && tensor_here(&k->in[2]) ? FLOATS(k->in[2]) : NULL;
}

static int64_t winograd_tiles(const ConvShape *s)
{
    return s->batch * ((s->out_height + 3) / 4) * ((s->out_width + 3) / 4);
}

/* Winograd's F(4x4,3x3) does a quarter of the multiplications on 4x4 tiles of the result.  It pays where tiles are at
 * least half full, and enough of them share the transforms of the weights.  Bounds from measurements at 16 to 1,024
 * channels, maps of 4 to 128, batches of 8 to 64. */
static bool winograd_pays(const ConvShape *s)
{
    int64_t tiles = winograd_tiles(s);
    return s->kernel_h == 3 && s->kernel_w == 3 && s->stride == 1 && s->dilation == 1 && s->groups == 1 &&
           s->channels >= 32 && s->filters >= 32 && tiles >= 32 &&
           2 * s->batch * s->out_height * s->out_width >= 16 * tiles;
}

/* Our own.  Its weights take 4 (3x3) or 6.25 times (4x4) the memory, which must be written once a step and read for
 * every use, or written and read for the gradient; that takes tiles enough.  At stride 1 oneDNN's is as fast with few
 * channels, whose transforms count for more, and for the gradient of weights on large maps. */
static bool winograd_own_pays(const ConvShape *s, ConvDirection direction)
{
    int64_t tiles = winograd_tiles(s), least = s->stride == 2 ? 32 : 128;
    bool to_weights = direction == CONV_BACKWARD_WEIGHTS;
    return conv_winograd_takes(s) && s->channels >= least && s->filters >= least &&
           2 * s->batch * s->out_height * s->out_width >= 16 * tiles &&
           tiles >= (s->stride == 2 && to_weights ? 64 : 32) && (s->stride == 2 || !to_weights || tiles <= 256);
}

/* Where oneDNN's Winograd would be taken and is not to be had: version 3 has none. */
static bool winograd_missing(const ConvShape *s, ConvDirection direction)
{
    return winograd_pays(s) && !onednn_conv_possible(&(OnednnConvSpec){.shape = *s, .direction = direction, .x = C16,
                                                                       .y = C16, .winograd = true});
}

/* The gradient of weights from maps of 16x16 and less: up to 2.5 times faster than oneDNN's direct kernels where there
 * are few pixels beside taps.  In bfloat16 those catch up where there are many. */
static bool small_map_pays(const ConvShape *s, bool half)
{
    enum { FEW_PIXELS = 512, PIXELS_A_TAP = 1024 };
    int64_t taps = s->kernel_h * s->kernel_w;
    bool few = s->batch * s->out_height * s->out_width <= FEW_PIXELS;
    return conv_weights_takes(s, false) && s->batch * s->height * s->width <= PIXELS_A_TAP * taps &&
           (taps > 1 || few) && (half ? few : !winograd_pays(s));
}

/* The same of operands in bfloat16: faster than oneDNN's kernels and unpacking, except where one tap sees
 * many pixels. */
static bool small_map_bf16_pays(const ConvShape *s)
{
    enum { PIXELS_OF_ONE_TAP = 64 };
    return conv_weights_takes(s, true) && s->batch > 1 &&
           (s->kernel_h * s->kernel_w > 1 || s->out_height * s->out_width <= PIXELS_OF_ONE_TAP);
}

/* A kernel as large as its map is a fully connected layer: the last convolutions of Table 6. */
static bool is_linear(const ConvShape *s)
{
    return s->out_height == 1 && s->out_width == 1 && s->kernel_h == s->height && s->kernel_w == s->width &&
           !s->padding_h && !s->padding_w && s->groups == 1 && s->height * s->width > 1;
}

/* As a matrix product of the flattened pictures (B, C KH KW). */
static MatmulAttrs linear_form(ConvDirection direction)
{
    return (MatmulAttrs){.transpose_x = direction == CONV_BACKWARD_WEIGHTS, .transpose_w = direction == CONV_FORWARD};
}

static MatmulShape linear_shape(const ConvShape *s, ConvDirection direction)
{
    int64_t flat = s->channels * s->kernel_h * s->kernel_w;
    return direction == CONV_FORWARD         ? (MatmulShape){s->batch, s->filters, flat}
           : direction == CONV_BACKWARD_DATA ? (MatmulShape){s->batch, flat, s->filters}
                                             : (MatmulShape){s->filters, flat, s->batch};
}

static bool linear_pays(const ConvShape *s, ConvDirection direction)
{
    MatmulAttrs form = linear_form(direction);
    return is_linear(s) && matmul_thin_takes(&form, linear_shape(s, direction));
}

static size_t blocked_bytes(int64_t batch, int64_t channels, int64_t pixels)
{
    return sizeof(float) * (size_t)(batch * ((channels + 15) / 16 * 16) * pixels);
}

/* Whether the tuning table asks for the algorithm, or, without a line there, it pays. */
static bool wanted(const KernelCall *k, const char *algorithm, bool pays)
{
    return k->tuning ? !strcmp(k->tuning, algorithm) : pays;
}

/* oneDNN's kernel for the call, if it has one. */
static void choose_onednn(KernelCall *k, Conv *c, bool bias)
{
    const ConvShape *s = &c->shape;
    Format x = tensor_of(k, c->x)->format, y = tensor_of(k, c->y)->format;
    /* As the tensors are; then with few channels blocked on the way. */
    bool block_x = x == PLAIN && s->channels < 16, block_y = y == PLAIN && s->filters < 16;
    const Format tries[4][2] = {{x, y}, {x, C16}, {C16, y}, {C16, C16}};
    const bool use[4] = {true, block_y, block_x, block_x && block_y};
    bool half = x == C16_BF16 || y == C16_BF16;
    bool first = !half && wanted(k, "winograd", winograd_pays(s));
    for (int winograd = first; winograd >= 0 && !c->plan; winograd--)
        for (int i = 0; i < 4 && !c->plan; i++) {
            if (!use[i] || (i && !onednn_blocked()))
                continue;
            c->plan = onednn_conv_create(&(OnednnConvSpec){
                .shape = *s, .direction = c->direction, .x = tries[i][0], .y = tries[i][1],
                .bias = bias && c->direction == CONV_FORWARD, .winograd = winograd});
            if (c->plan) {
                c->path = ONEDNN;
                c->block_x = tries[i][0] != x;
                c->block_y = tries[i][1] != y;
                snprintf(k->chosen, sizeof k->chosen, winograd ? "winograd" : half ? "bf16" : "direct");
            }
        }
}

/* Sets path, plan and the algorithm's name. */
static void conv_choose(KernelCall *k, Conv *c, bool bias)
{
    static const char *const names[] = {"own", "linear", "small-map", "small-map-bf16", "narrow", "depthwise",
                                        "winograd-own"};
    const ConvShape *s = &c->shape;
    Format x = tensor_of(k, c->x)->format, y = tensor_of(k, c->y)->format;
    bool both_blocked = x == C16 && y == C16, both_halves = x == C16_BF16 && y == C16_BF16;
    bool depthwise = conv_depthwise_serves(s, x, y);
    if (x == PLAIN && y == PLAIN && linear_pays(s, c->direction) && wanted(k, "linear", true))
        c->path = LINEAR;
    else if (both_blocked && conv_winograd_takes(s) &&
             wanted(k, "winograd-own", winograd_own_pays(s, c->direction) || winograd_missing(s, c->direction)))
        c->path = WINOGRAD_OWN;
    else if (c->direction == CONV_BACKWARD_WEIGHTS && both_blocked && conv_weights_takes(s, false) &&
             wanted(k, "small-map", small_map_pays(s, k->precision == PRECISION_BF16)))
        c->path = SMALL_MAP;
    else if (c->direction == CONV_BACKWARD_WEIGHTS && both_halves && conv_weights_takes(s, true) &&
             wanted(k, "small-map-bf16", small_map_bf16_pays(s)))
        c->path = SMALL_MAP_BF16;
    else if (c->direction == CONV_BACKWARD_DATA && x == PLAIN && y == C16 && conv_narrow_takes(s) &&
             wanted(k, "narrow", true))
        c->path = NARROW;
    else if (depthwise && wanted(k, "depthwise", false))
        c->path = DEPTHWISE;
    else if (!wanted(k, "own", false) && k->device->alignment % 64 == 0)   /* oneDNN's streaming stores need it */
        choose_onednn(k, c, bias);
    if (c->path == OWN && depthwise && !k->tuning)
        c->path = DEPTHWISE;
    if (c->path != ONEDNN)
        snprintf(k->chosen, sizeof k->chosen, "%s", names[c->path]);
}

static size_t room(size_t *total, size_t bytes)
{
    size_t at = *total;
    *total += (bytes + 63) / 64 * 64;
    return at;
}

static void conv_release(KernelCall *k)
{
    Conv *c = k->state;
    if (!c)
        return;
    if (c->pack)
        pack_leave(k, c->pack);
    onednn_conv_free(c->plan);
    free(c);
    k->state = NULL;
}

static int conv_prepare(KernelCall *k, ConvDirection direction, int x, int w, int y)
{
    Conv *c = must_zalloc(sizeof *c);
    *c = (Conv){.direction = direction, .x = x, .w = w, .y = y, .threads = omp_get_max_threads()};
    c->shape = conv2d_shape(k->attrs, tensor_of(k, x)->shape, tensor_of(k, w)->shape, tensor_of(k, y)->shape);
    const ConvShape *s = &c->shape;
    k->state = c;
    k->state_bytes = sizeof *c;
    conv_choose(k, c, direction != CONV_BACKWARD_WEIGHTS && k->nin > 2 && tensor_here(&k->in[2]));
    size_t total = 0;
    bool winograd = c->path == WINOGRAD_OWN;
    if (c->path != ONEDNN && !winograd) {
        k->workspace_bytes = c->path == SMALL_MAP        ? conv_weights_workspace(s, false)
                             : c->path == SMALL_MAP_BF16 ? conv_weights_workspace(s, true)
                             : c->path == NARROW         ? conv_narrow_workspace(s)
                             : c->path == DEPTHWISE      ? conv_depthwise_workspace(s, direction, c->threads)
                             : c->path == OWN            ? conv_gemm_workspace(s, direction, c->threads) : 0;
        return 0;
    }
    room(&total, winograd ? conv_winograd_workspace(s, direction) : onednn_conv_workspace(c->plan));
    if (c->block_x)
        c->at_x = room(&total, blocked_bytes(s->batch, s->channels, s->height * s->width));
    if (c->block_y)
        c->at_y = room(&total, blocked_bytes(s->batch, s->filters, s->out_height * s->out_width));
    if (winograd ? direction != CONV_BACKWARD_WEIGHTS : !onednn_conv_packs_nothing(c->plan)) {
        /* Winograd's are several times as large: where a step changes them anyway they need not be kept. */
        const uint64_t *entry = winograd && tensor_of(k, w)->updated ? NULL : tensor_of(k, w)->version;
        size_t bytes = winograd ? conv_winograd_packed_bytes(s, direction) : onednn_conv_packed_bytes(c->plan);
        if (direction != CONV_BACKWARD_WEIGHTS && entry) {
            c->pack = pack_take(k, entry, c->plan, direction, bytes);
            if (!c->pack) {
                conv_release(k);
                return -1;
            }
        } else {
            c->pack_here = true;
            c->at_w = room(&total, bytes);
        }
    }
    k->workspace_bytes = total;
    return 0;
}

/* ---------------------------------------------------------------- running */
/* Fewer than 16 channels, PLAIN to C16 with zeros beyond, and back. */
static void narrow_to_blocked(const float *from, float *to, int64_t batch, int64_t channels, int64_t pixels)
{
#pragma omp parallel for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t c = 0; c < 16; c++)
                to[(b * pixels + p) * 16 + c] = c < channels ? from[(b * channels + c) * pixels + p] : 0;
}

static void narrow_from_blocked(const float *from, float *to, int64_t batch, int64_t channels, int64_t pixels)
{
#pragma omp parallel for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < pixels; p++)
                to[(b * channels + c) * pixels + p] = from[(b * pixels + p) * 16 + c];
}

/* oneDNN's backward data knows no bias.  C16 keeps zeros beyond the channels. */
static void add_bias(float *x, Format format, int64_t batch, int64_t channels, int64_t pixels, const float *bias)
{
    int64_t lanes = format == C16 ? 16 : 1, blocks = (channels + lanes - 1) / lanes;
#pragma omp parallel for collapse(2)
    for (int64_t b = 0; b < batch; b++)
        for (int64_t i = 0; i < blocks; i++) {
            float *to = x + (b * blocks + i) * pixels * lanes, add[16] = {0};
            for (int64_t l = 0; l < lanes && i * lanes + l < channels; l++)
                add[l] = bias[i * lanes + l];
            if (lanes == 1)
                for (int64_t p = 0; p < pixels; p++)
                    to[p] += add[0];
            else
                for (int64_t p = 0; p < pixels; p++)
                    for (int l = 0; l < 16; l++)
                        to[p * 16 + l] += add[l];
        }
}

static void run_own(KernelCall *k, const Conv *c)
{
    const Tensor *x = tensor_of(k, c->x), *w = tensor_of(k, c->w), *y = tensor_of(k, c->y);
    const ConvGemm g = {c->shape, c->direction, x->format, y->format, FLOATS(*x), FLOATS(*w), FLOATS(*y),
                        bias_of(k, c)};
    (c->path == DEPTHWISE ? conv_depthwise_run : conv_gemm_run)(&g, c->threads, k->workspace);
}

static void run_linear(KernelCall *k, const Conv *c)
{
    const ConvShape *s = &c->shape;
    MatmulAttrs form = linear_form(c->direction);
    const float *bias = bias_of(k, c), *from = FLOATS(k->in[0]), *with = FLOATS(k->in[1]);
    bool to_weights = c->direction == CONV_BACKWARD_WEIGHTS;   /* of operands x, dy: dw = dy^T x */
    matmul_thin_run(&form, linear_shape(s, c->direction), to_weights ? with : from, to_weights ? from : with,
                    c->direction == CONV_FORWARD ? bias : NULL, FLOATS(k->out[0]));
    if (bias && c->direction == CONV_BACKWARD_DATA)
        add_bias(FLOATS(k->out[0]), PLAIN, s->batch, s->channels, s->height * s->width, bias);
}

static int pack(const Conv *c, const float *w, void *packed)
{
    if (c->path == ONEDNN)
        return onednn_conv_pack(c->plan, w, packed);
    conv_winograd_pack(&c->shape, c->direction, w, packed, c->threads);
    return 0;
}

/* oneDNN's and conv_winograd.c's kernels. */
static void run_packed(KernelCall *k, const Conv *c)
{
    const ConvShape *s = &c->shape;
    const Tensor *tx = tensor_of(k, c->x), *tw = tensor_of(k, c->w), *ty = tensor_of(k, c->y);
    char *workspace = k->workspace;
    int64_t x_pixels = s->height * s->width, y_pixels = s->out_height * s->out_width;
    void *x = c->block_x ? workspace + c->at_x : tx->data;
    void *y = c->block_y ? workspace + c->at_y : ty->data;
    void *w = c->pack ? c->pack->data : c->pack_here ? workspace + c->at_w : tw->data;
    bool forward = c->direction == CONV_FORWARD, to_weights = c->direction == CONV_BACKWARD_WEIGHTS;
    int bad = 0;
    if (c->block_x && (forward || to_weights))
        narrow_to_blocked(FLOATS(*tx), x, s->batch, s->channels, x_pixels);
    if (c->block_y && !forward)
        narrow_to_blocked(FLOATS(*ty), y, s->batch, s->filters, y_pixels);
    if (c->pack && c->pack->version != *tw->version) {
        bad = pack(c, FLOATS(*tw), w);
        c->pack->version = *tw->version;
    } else if (c->pack_here && !to_weights) {
        bad = pack(c, FLOATS(*tw), w);
    }
    const float *bias = bias_of(k, c);
    if (c->path == WINOGRAD_OWN)
        conv_winograd_run(s, c->direction, x, w, forward ? bias : NULL, y, c->threads, workspace);
    else
        bad = bad || onednn_conv_run(c->plan, x, w, forward ? bias : NULL, y, workspace);
    if (c->pack_here && to_weights)
        bad = bad || onednn_conv_unpack(c->plan, w, FLOATS(*tw));
    if (bad)
        die("%s: %s", k->name, error_text());
    if (c->block_y && forward)
        narrow_from_blocked(y, FLOATS(*ty), s->batch, s->filters, y_pixels);
    if (c->block_x && c->direction == CONV_BACKWARD_DATA)
        narrow_from_blocked(x, FLOATS(*tx), s->batch, s->channels, x_pixels);
    if (bias && !forward)
        add_bias(FLOATS(*tx), tx->format, s->batch, s->channels, x_pixels, bias);
}

static void conv_run(KernelCall *k)
{
    const Conv *c = k->state;
    if (c->path == ONEDNN || c->path == WINOGRAD_OWN)
        run_packed(k, c);
    else if (c->path == LINEAR)
        run_linear(k, c);
    else if (c->path == NARROW)
        conv_narrow_run(&c->shape, FLOATS(k->in[0]), FLOATS(k->in[1]), bias_of(k, c), FLOATS(k->out[0]), k->workspace);
    else if (c->path == SMALL_MAP || c->path == SMALL_MAP_BF16)
        conv_weights_run(&c->shape, c->path == SMALL_MAP_BF16, k->in[0].data, k->in[1].data, FLOATS(k->out[0]),
                         c->threads, k->workspace);
    else
        run_own(k, c);
}

static int prepare_forward(KernelCall *k)
{
    return conv_prepare(k, CONV_FORWARD, 0, 1, -1);
}

static int prepare_transpose(KernelCall *k)
{
    return conv_prepare(k, CONV_BACKWARD_DATA, -1, 1, 0);
}

static int prepare_weights(KernelCall *k)
{
    return conv_prepare(k, CONV_BACKWARD_WEIGHTS, 0, -1, 1);
}

/* ---------------------------------------------------------------- formats */
/* Blocks of 16 must not straddle groups, except where every channel is its own. */
static Format format_for(int64_t channels, int64_t other, int64_t groups)
{
    bool fits = groups == 1 || (channels / groups) % 16 == 0 || (groups == channels && groups == other);
    return onednn_blocked() && channels >= 16 && fits ? C16 : PLAIN;
}

/* Of x and y.  Grouped kernels want both sides alike; a fully connected layer wants rows. */
static void both_sides(Format *x, Format *y, const ConvShape *s, ConvDirection direction)
{
    *x = format_for(s->channels, s->filters, s->groups);
    *y = format_for(s->filters, s->channels, s->groups);
    if ((s->groups > 1 && *x != *y) || linear_pays(s, direction))
        *x = *y = PLAIN;
}

/* Whether operands are read in bfloat16.  Winograd's products of floats are faster where many tiles share the
 * transforms, and need no rounded copy. */
static bool bf16_pays(const FormatChoice *f, ConvDirection direction, const ConvShape *s, Format x, Format y)
{
    enum { MANY_TILES = 128 };
    if (f->precision != PRECISION_BF16 || x != C16 || y != C16 || s->groups > 1)
        return false;
    if ((winograd_pays(s) || winograd_own_pays(s, direction)) && winograd_tiles(s) >= MANY_TILES)
        return false;
    if (direction == CONV_BACKWARD_WEIGHTS && (small_map_bf16_pays(s) || small_map_pays(s, true)))
        return small_map_bf16_pays(s);
    return onednn_conv_possible(&(OnednnConvSpec){
        .shape = *s, .direction = direction, .x = direction == CONV_BACKWARD_DATA ? C16 : C16_BF16,
        .y = direction == CONV_FORWARD ? C16 : C16_BF16,
        .bias = direction == CONV_FORWARD && f->nin > 2 && f->in_shape[2].rank >= 0});
}

static void formats_forward(FormatChoice *f)
{
    ConvShape s = conv2d_shape(f->attrs, f->in_shape[0], f->in_shape[1], f->out_shape[0]);
    both_sides(&f->in[0], &f->out[0], &s, CONV_FORWARD);
    f->in[1] = PLAIN;
    if (bf16_pays(f, CONV_FORWARD, &s, f->in[0], f->out[0]))
        f->in[0] = C16_BF16;
}

static void formats_transpose(FormatChoice *f)
{
    ConvShape s = conv2d_shape(f->attrs, f->out_shape[0], f->in_shape[1], f->in_shape[0]);
    both_sides(&f->out[0], &f->in[0], &s, CONV_BACKWARD_DATA);
    f->in[1] = PLAIN;
    if (bf16_pays(f, CONV_BACKWARD_DATA, &s, f->out[0], f->in[0]))
        f->in[0] = C16_BF16;
}

static void formats_weights(FormatChoice *f)
{
    ConvShape s = conv2d_shape(f->attrs, f->in_shape[0], f->out_shape[0], f->in_shape[1]);
    both_sides(&f->in[0], &f->in[1], &s, CONV_BACKWARD_WEIGHTS);
    if (bf16_pays(f, CONV_BACKWARD_WEIGHTS, &s, f->in[0], f->in[1]))
        f->in[0] = f->in[1] = C16_BF16;
}

KERNEL(conv2d, cpu) = {
    .run = conv_run, .prepare = prepare_forward, .release = conv_release, .formats = formats_forward,
    .algorithms = "direct winograd winograd-own linear depthwise own",
};
KERNEL(conv_transpose2d, cpu) = {
    .run = conv_run, .prepare = prepare_transpose, .release = conv_release, .formats = formats_transpose,
    .algorithms = "direct winograd winograd-own narrow linear depthwise own",
};
KERNEL(conv2d_weight_grad, cpu) = {
    .run = conv_run, .prepare = prepare_weights, .release = conv_release, .formats = formats_weights,
    .algorithms = "direct winograd winograd-own small-map small-map-bf16 linear depthwise own",
};
