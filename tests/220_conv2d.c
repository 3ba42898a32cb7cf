/* 220_conv2d.c - the cpu kernels of the three convolution ops, called by hand: random shapes, formats and algorithms
 * against the reference; packed weights follow the store's versions and are shared. */
#include <math.h>
#include <omp.h>

#include "engine/device.h"
#include "engine/op.h"
#include "engine/ops/conv2d.h"
#include "engine/random.h"
#include "tests/test.h"
#include "tests/tolerance.h"

typedef struct Call {
    KernelCall k;
    Tensor in[3], out[1];
    Conv2dAttrs attrs;
    void *shared;
} Call;

static Device *device;

static void call_open(Call *c, const char *op, const Shape *in, int nin, Shape out, Conv2dAttrs attrs,
                      const char *tuning)
{
    c->attrs = attrs;
    for (int i = 0; i < nin; i++)
        c->in[i] = (Tensor){.dtype = F32, .shape = in[i]};
    c->out[0] = (Tensor){.dtype = F32, .shape = out};
    c->k = (KernelCall){.op = op_find(op), .name = op, .attrs = &c->attrs, .nin = nin, .nout = 1, .in = c->in,
                        .out = c->out, .shared = &c->shared, .device = device, .tuning = tuning};
    c->k.kernel = kernel_find(op, device, NULL);
    ck_assert_ptr_nonnull(c->k.kernel);
}

/* Results and scratch start as NaN: whatever is not written shows. */
static void *nan_alloc(size_t bytes)
{
    void *p = device->alloc(device, bytes);
    HAVE(p);
    memset(p, 0xff, bytes);
    return p;
}

static void call_run(Call *c)
{
    c->out[0].data = nan_alloc(tensor_bytes(&c->out[0], 4));
    c->k.workspace = nan_alloc(c->k.workspace_bytes);
    c->k.kernel->run(&c->k);
    free(c->k.workspace);
}

static int64_t offset_in(const Tensor *t, int64_t i)
{
    int64_t pixels = t->shape.dim[2] * t->shape.dim[3], c = i / pixels % t->shape.dim[1];
    int64_t b = i / pixels / t->shape.dim[1];
    return t->format == PLAIN ? i : ((b * ((t->shape.dim[1] + 15) / 16) + c / 16) * pixels + i % pixels) * 16 + c % 16;
}

/* Plain numbers into the tensor's format; zeros beyond the channels. */
static void fill(Tensor *t, const float *plain)
{
    size_t bytes = tensor_bytes(t, 4);
    t->data = nan_alloc(bytes);
    memset(t->data, 0, bytes);
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        ((float *)t->data)[t->shape.rank == 4 ? offset_in(t, i) : i] = plain[i];
}

static float *normals(Random *r, Shape s)
{
    float *x = must_alloc(sizeof *x * (size_t)(shape_count(s) + 1));
    for (int64_t i = 0; i < shape_count(s); i++)
        x[i] = random_normal(r);
    return x;
}

/* Runs kind 0 conv2d, 1 conv_transpose2d, 2 conv2d_weight_grad; returns the plain result. */
static float *compute(const char *backend, int kind, const Shape *in, int nin, Shape out, Conv2dAttrs a,
                      const float *const *numbers, const Format *format, const char *tuning, char *chosen)
{
    static const char *const ops[] = {"conv2d", "conv_transpose2d", "conv2d_weight_grad"};
    Call c = {0};
    device = device_open(backend);
    HAVE(device);
    call_open(&c, ops[kind], in, nin, out, a, tuning);
    c.in[0].format = format[0];
    if (kind == 2)
        c.in[1].format = format[1];
    else
        c.out[0].format = format[1];
    if (c.k.kernel->prepare)
        MUST(c.k.kernel->prepare(&c.k));
    for (int i = 0; i < nin; i++)
        if (in[i].rank >= 0)
            fill(&c.in[i], numbers[i]);
    call_run(&c);
    int64_t n = shape_count(out), physical = (int64_t)tensor_bytes(&c.out[0], 4) / 4;
    float *y = must_alloc(sizeof *y * (size_t)n), *data = c.out[0].data;
    for (int64_t i = 0; i < n; i++) {
        y[i] = data[offset_in(&c.out[0], i)];
        data[offset_in(&c.out[0], i)] = 0;
    }
    for (int64_t i = 0; i < physical; i++)
        ck_assert_msg(data[i] == 0, "%s: padding holds %g", ops[kind], data[i]);
    snprintf(chosen, sizeof c.k.chosen, "%s", c.k.chosen);
    if (c.k.kernel->release)
        c.k.kernel->release(&c.k);
    ck_assert_ptr_null(c.shared);
    for (int i = 0; i < nin; i++)
        free(c.in[i].data);
    free(c.out[0].data);
    device_close(device);
    return y;
}

static int64_t windows(int64_t size, int64_t kernel, int padding, const Conv2dAttrs *a)
{
    return (size + 2 * padding - a->dilation * (kernel - 1) - 1) / a->stride + 1;
}

TEST(random_shapes)
{
    static const char *const tunings[] = {NULL, "direct", "winograd", "own", "small-map", "linear", "narrow",
                                          "depthwise", "winograd-own"};
    enum { TUNINGS = sizeof tunings / sizeof *tunings };
    int used[TUNINGS] = {0};
    double worst = 0;
    Random r = random_stream(7, "random shapes", 0);
    for (int round = 0; round < 400; round++) {
        Conv2dAttrs a = {.stride = 1 + (int)random_below(&r, 3), .dilation = 1 + (int)random_below(&r, 2), .groups = 1,
                         .padding = (int)random_below(&r, 3), .padding_w = (int)random_below(&r, 2)};
        int64_t batch = 1 + random_below(&r, 3), channels = 1 + random_below(&r, round % 4 ? 40 : 5);
        int64_t filters = 1 + random_below(&r, 80);
        int64_t h = 1 + random_below(&r, 12), w = 1 + random_below(&r, 12);
        int64_t kh = 1 + random_below(&r, 4), kw = 1 + random_below(&r, 4);
        if (round % 3 == 0) {   /* what Winograd can do */
            a = (Conv2dAttrs){.stride = 1, .dilation = 1, .groups = 1, .padding = 1};
            kh = kw = 3;
        }
        bool halving = round % 4 == 1;
        if (halving) {          /* what ours can do */
            a = (Conv2dAttrs){.stride = 2, .dilation = 1, .groups = 1, .padding = 1};
            kh = kw = 4;
            h += 1 + random_below(&r, 12);
            w += 1;
        }
        if (round % 7 == 0) {   /* a fully connected layer */
            a = (Conv2dAttrs){.stride = 1, .dilation = 1, .groups = 1};
            h = w = kh = kw = 2 + random_below(&r, 4);
            channels += 64;
        } else if (round % 5 == 0) {
            a.groups = 1 + (int)random_below(&r, 5);
            channels = channels / a.groups * a.groups + a.groups;
            filters = filters / a.groups * a.groups + a.groups;
            if (round % 2)
                filters = a.groups = (int)channels;
        }
        int64_t oh = windows(h, kh, a.padding, &a), ow = windows(w, kw, a.padding + a.padding_w, &a);
        if (oh < 1 || ow < 1 || h + 2 * a.padding < a.dilation * (kh - 1) + 1 ||
            w + 2 * (a.padding + a.padding_w) < a.dilation * (kw - 1) + 1)
            continue;
        Shape x = SHAPE(batch, channels, h, w), y = SHAPE(batch, filters, oh, ow);
        Shape ws = SHAPE(filters, channels / a.groups, kh, kw), none = {.rank = -1};
        bool bias = random_below(&r, 2);
        for (int kind = 0; kind < 3; kind++) {
            Shape in[3] = {kind == 1 ? y : x, kind == 2 ? y : ws, bias ? SHAPE(kind == 1 ? channels : filters) : none};
            Shape out = kind == 0 ? y : kind == 1 ? x : ws;
            const float *numbers[3] = {normals(&r, in[0]), normals(&r, in[1]), bias ? normals(&r, in[2]) : NULL};
            Conv2dAttrs b = a;
            b.kernel_h = (int)kh;
            b.kernel_w = (int)kw;
            int nin = kind == 2 ? 2 : 3, t = halving && round % 8 == 1 ? TUNINGS - 1 : (int)random_below(&r, TUNINGS);
            Format plain[2] = {PLAIN, PLAIN}, formats[2] = {random_below(&r, 2) ? C16 : PLAIN,
                                                            random_below(&r, 2) ? C16 : PLAIN};
            if (halving || (round % 3 == 0 && round % 2))
                formats[0] = formats[1] = C16;
            char chosen[32], ignored[32];
            float *want = compute("reference", kind, in, nin, out, b, numbers, plain, NULL, ignored);
            float *got = compute("cpu", kind, in, nin, out, b, numbers, formats, tunings[t], chosen);
            double scale = 0, off = 0;
            for (int64_t i = 0; i < shape_count(out); i++) {
                scale = fmax(scale, fabs(want[i]));
                off = isnan(got[i]) ? INFINITY : fmax(off, fabs(want[i] - got[i]));
            }
            ck_assert_msg(off <= 5e-6 * scale + 1e-12,
                          "round %d kind %d, %s as %s: x %ldx%ldx%ldx%ld w %ldx%ldx%ldx%ld stride %d padding %d+%d "
                          "dilation %d groups %d formats %d %d: %.3g off", round, kind, tunings[t] ? tunings[t] : "-",
                          chosen, (long)batch, (long)channels, (long)h, (long)w, (long)filters,
                          (long)(channels / a.groups), (long)kh, (long)kw, a.stride, a.padding, a.padding_w, a.dilation,
                          a.groups, formats[0], formats[1], off / scale);
            worst = fmax(worst, scale > 0 ? off / scale : 0);
            for (int i = 0; i < TUNINGS; i++)
                used[i] += tunings[i] && !strcmp(chosen, tunings[i]);
            free(want);
            free(got);
            for (int i = 0; i < nin; i++)
                free((void *)numbers[i]);
            if (kind == 2 && bias)
                free((void *)numbers[2]);
        }
    }
    printf("convolutions:");
    for (int i = 1; i < TUNINGS; i++)
        printf(" %s %d,", tunings[i], used[i]);
    printf(" largest relative difference %.2g\n", worst);
    for (int i = 3; i < TUNINGS; i++)
        ck_assert_int_gt(used[i], 0);
}

/* More tiles than go through at once, odd maps and channels; without a table it is taken where it pays, and the number
 * of threads changes no bit. */
TEST(winograd_own)
{
    static const struct {
        int64_t batch, channels, height, width, filters;
        int stride;
        const char *tuning;
    } shapes[] = {
        {3, 20, 98, 143, 36, 2, "winograd-own"},
        {9, 70, 34, 21, 50, 2, NULL},
        {40, 32, 16, 16, 32, 2, NULL},
        {3, 36, 49, 71, 20, 1, "winograd-own"},
        {9, 132, 7, 8, 150, 1, NULL},
    };
    Random r = random_stream(7, "own winograd", 0);
    int threads = omp_get_max_threads();
    for (int i = 0; i < (int)(sizeof shapes / sizeof *shapes); i++) {
        int stride = shapes[i].stride, kernel = stride + 2;
        Conv2dAttrs a = {.stride = stride, .dilation = 1, .groups = 1, .padding = 1, .kernel_h = kernel,
                         .kernel_w = kernel};
        Shape x = SHAPE(shapes[i].batch, shapes[i].channels, shapes[i].height, shapes[i].width);
        Shape w = SHAPE(shapes[i].filters, shapes[i].channels, kernel, kernel);
        Shape y = SHAPE(shapes[i].batch, shapes[i].filters, shapes[i].height / stride, shapes[i].width / stride);
        for (int kind = 0; kind < 3; kind++) {
            Shape in[3] = {kind == 1 ? y : x, kind == 2 ? y : w, {.rank = -1}}, out = kind == 0 ? y : kind == 1 ? x : w;
            const float *numbers[3] = {normals(&r, in[0]), normals(&r, in[1]), NULL};
            char chosen[32], ignored[32];
            float *want = compute("reference", kind, in, kind == 2 ? 2 : 3, out, a, numbers,
                                  (Format[]){PLAIN, PLAIN}, NULL, ignored), *first = NULL;
            for (int t = 1; t <= 3; t++) {
                omp_set_num_threads(t);
                float *got = compute("cpu", kind, in, kind == 2 ? 2 : 3, out, a, numbers, (Format[]){C16, C16},
                                     shapes[i].tuning, chosen);
                double scale = 0, off = 0;
                for (int64_t e = 0; e < shape_count(out); e++) {
                    scale = fmax(scale, fabs(want[e]));
                    off = isnan(got[e]) ? INFINITY : fmax(off, fabs(want[e] - got[e]));
                }
                ck_assert_str_eq(chosen, "winograd-own");
                ck_assert_msg(off <= TOLERANCE_FLOAT * scale, "shape %d kind %d: %.3g off", i, kind, off / scale);
                if (first)
                    ck_assert_msg(!memcmp(first, got, sizeof *got * (size_t)shape_count(out)),
                                  "shape %d kind %d: %d threads give other bits", i, kind, t);
                else
                    first = got;
                if (got != first)
                    free(got);
            }
            free(first);
            free(want);
            free((void *)numbers[0]);
            free((void *)numbers[1]);
        }
    }
    omp_set_num_threads(threads);
}

/* Two nodes over one store entry share a packed copy; it follows the entry's version and nothing else. */
static void share_and_follow(const char *algorithm, int64_t size, int stride, int kernel)
{
    device = device_open("cpu");
    HAVE(device);
    Shape in[3] = {SHAPE(1, 16, size, size), SHAPE(32, 16, kernel, kernel), {.rank = -1}}, out = SHAPE(1, 32, 4, 4);
    Shape back[3] = {out, in[1], in[2]};
    uint64_t version = 1, weights = 32 * 16 * (uint64_t)(kernel * kernel);
    Call a = {0}, b = {0}, other = {0};
    Conv2dAttrs attrs = {.stride = stride, .dilation = 1, .groups = 1, .padding = 1};
    call_open(&a, "conv2d", in, 3, out, attrs, algorithm);
    call_open(&b, "conv2d", in, 3, out, attrs, algorithm);
    call_open(&other, "conv_transpose2d", back, 3, in[0], attrs, algorithm);
    b.k.shared = other.k.shared = a.k.shared;
    Call *calls[] = {&a, &b, &other};
    for (int i = 0; i < 3; i++) {
        calls[i]->in[0].format = calls[i]->out[0].format = C16;
        calls[i]->in[1].version = &version;
        MUST(calls[i]->k.kernel->prepare(&calls[i]->k));
    }
    if (strcmp(a.k.chosen, algorithm))
        SKIP("no oneDNN here");
    ck_assert_uint_gt(a.k.state_bytes, weights * 4 - 1);
    ck_assert_uint_lt(b.k.state_bytes, weights * 4);
    ck_assert_uint_gt(other.k.state_bytes, weights * 4 - 1);
    Random r = random_stream(7, "packed", 0);
    float *x = normals(&r, in[0]), *w = normals(&r, in[1]), first;
    fill(&a.in[0], x);
    fill(&a.in[1], w);
    b.in[0].data = a.in[0].data;
    b.in[1].data = a.in[1].data;
    call_run(&a);
    first = *(float *)a.out[0].data;
    ck_assert(first != 0 && first == first);
    for (uint64_t i = 0; i < weights; i++)
        ((float *)a.in[1].data)[i] *= 2;
    call_run(&b);
    ck_assert_msg(*(float *)b.out[0].data == first, "the copy changed without a new version");
    free(b.out[0].data);
    version++;
    call_run(&b);
    ck_assert_msg(*(float *)b.out[0].data == 2 * first, "the copy did not follow the version");
    a.k.kernel->release(&a.k);
    b.k.kernel->release(&b.k);
    other.k.kernel->release(&other.k);
    ck_assert_ptr_null(a.shared);
    free(a.in[0].data);
    free(a.in[1].data);
    free(a.out[0].data);
    free(b.out[0].data);
    free(x);
    free(w);
    device_close(device);
}

TEST(packed_weights)
{
    share_and_follow("direct", 4, 1, 3);
}

TEST(packed_weights_of_winograd_own)
{
    share_and_follow("winograd-own", 8, 2, 4);
    share_and_follow("winograd-own", 4, 1, 3);
}

/* Weights that the plan updates are packed anew each run, into the scratch that all ops share. */
TEST(updated_weights_take_no_memory_of_their_own)
{
    device = device_open("cpu");
    HAVE(device);
    Shape in[] = {SHAPE(8, 32, 16, 16), SHAPE(32, 32, 4, 4), {.rank = -1}};
    uint64_t version = 1, weights = 32 * 32 * 16;
    Call c = {0};
    call_open(&c, "conv2d", in, 3, SHAPE(8, 32, 8, 8), 
              (Conv2dAttrs){.stride = 2, .padding = 1, .dilation = 1, .groups = 1}, "winograd-own");
    c.in[0].format = c.out[0].format = C16;
    c.in[1].version = &version;
    c.in[1].updated = true;
    MUST(c.k.kernel->prepare(&c.k));
    if (strcmp(c.k.chosen, "winograd-own"))
        SKIP("no blocks of 16 channels here");
    ck_assert_uint_lt(c.k.state_bytes, weights * 4);
    ck_assert_uint_gt(c.k.workspace_bytes, weights * 4);
    Random r = random_stream(7, "packed", 0);
    float *x = normals(&r, in[0]), *w = normals(&r, in[1]);
    fill(&c.in[0], x);
    fill(&c.in[1], w);
    call_run(&c);
    float first = *(float *)c.out[0].data;
    for (uint64_t i = 0; i < weights; i++)
        ((float *)c.in[1].data)[i] *= 2;
    free(c.out[0].data);
    call_run(&c);
    ck_assert(first != 0 && *(float *)c.out[0].data == 2 * first);
    c.k.kernel->release(&c.k);
    ck_assert_ptr_null(c.shared);
    free(c.in[0].data);
    free(c.in[1].data);
    free(c.out[0].data);
    free(x);
    free(w);
    device_close(device);
}

TEST_MAIN("conv2d kernels", random_shapes, winograd_own, packed_weights, packed_weights_of_winograd_own,
          updated_weights_take_no_memory_of_their_own)
