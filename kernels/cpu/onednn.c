/* onednn.c - see onednn.h.  The only file that includes dnnl.h. */
#include "kernels/cpu/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_ONEDNN
#include <dnnl.h>

/* Version 2 passes memory descriptors by value and describes an op before it makes a primitive descriptor; in
 * version 3 descriptors are handles and each op has one function.  The functions up to `describe` level that. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t Layout;             /* owned */
typedef const_dnnl_memory_desc_t LayoutRef;
#define LAYOUT_REF(l) (l)
#define LAYOUT_NONE NULL
static void layout_free(Layout *l)
{
    if (*l)
        dnnl_memory_desc_destroy(*l);
    *l = NULL;
}
static bool layout_make(Layout *l, int rank, const dnnl_dim_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(l, rank, dims, type, tag) == dnnl_success;
}
static bool layout_copy(Layout *to, LayoutRef from)
{
    return from && dnnl_memory_desc_clone(to, from) == dnnl_success;
}
#else
typedef dnnl_memory_desc_t Layout;
typedef const dnnl_memory_desc_t *LayoutRef;
#define LAYOUT_REF(l) (&(l))
#define LAYOUT_NONE {0}
static void layout_free(Layout *l)
{
    (void)l;
}
static bool layout_make(Layout *l, int rank, const dnnl_dim_t *dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(l, rank, dims, type, tag) == dnnl_success;
}
static bool layout_copy(Layout *to, LayoutRef from)
{
    if (from)
        *to = *from;
    return from != NULL;
}
#endif

/* One engine and one stream a process: host memory is theirs without more ado, and the order of work is ours. */
static dnnl_engine_t engine;
static dnnl_stream_t stream;

static bool started(void)
{
    if (!engine && dnnl_engine_create(&engine, dnnl_cpu, 0))
        engine = NULL;
    if (engine && !stream && dnnl_stream_create(&stream, engine, dnnl_stream_default_flags))
        stream = NULL;
    return stream != NULL;
}

/* A memory object whose address is set before each run; setting the same again costs a comparison. */
typedef struct Slot {
    dnnl_memory_t memory;
    const void *at;
} Slot;

static bool slot_make(Slot *s, LayoutRef l)
{
    return l && !dnnl_memory_create(&s->memory, l, engine, DNNL_MEMORY_NONE);
}

static bool slot_set(Slot *s, const void *at)
{
    if (s->at != at && dnnl_memory_set_data_handle(s->memory, (void *)(uintptr_t)at))
        return false;
    s->at = at;
    return true;
}

struct OnednnConv {
    OnednnConvSpec spec;
    dnnl_primitive_desc_t description, hint;
    dnnl_primitive_t primitive, reorder;       /* reorder: plain to packed, or back for the weights' gradient */
    Layout x, y, packed, plain, bias;
    Slot sx, sy, spacked, splain, sbias, sscratch;
    size_t packed_bytes, scratch_bytes;
    const char *kernel;
};

static dnnl_primitive_desc_t describe(ConvDirection direction, dnnl_alg_kind_t algorithm, const ConvShape *s,
                                      Layout *x, Layout *w, Layout *bias, Layout *y, dnnl_primitive_desc_t hint)
{
    const dnnl_dims_t strides = {s->stride, s->stride}, padding = {s->padding_h, s->padding_w};
    const dnnl_dims_t dilates = {s->dilation - 1, s->dilation - 1};
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t result = NULL;
    dnnl_status_t bad;
    if (dnnl_primitive_attr_create(&attr))
        return NULL;
    dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
#if DNNL_VERSION_MAJOR >= 3
    if (direction == CONV_FORWARD)
        bad = dnnl_convolution_forward_primitive_desc_create(&result, engine, dnnl_forward_training, algorithm, *x, *w,
                                                             bias ? *bias : NULL, *y, strides, dilates, padding,
                                                             padding, attr);
    else if (direction == CONV_BACKWARD_DATA)
        bad = dnnl_convolution_backward_data_primitive_desc_create(&result, engine, algorithm, *x, *w, *y, strides,
                                                                   dilates, padding, padding, hint, attr);
    else
        bad = dnnl_convolution_backward_weights_primitive_desc_create(&result, engine, algorithm, *x, *w, NULL, *y,
                                                                      strides, dilates, padding, padding, hint, attr);
#else
    dnnl_convolution_desc_t d;
    if (direction == CONV_FORWARD)
        bad = dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, algorithm, x, w, bias, y, strides,
                                                         dilates, padding, padding);
    else if (direction == CONV_BACKWARD_DATA)
        bad = dnnl_dilated_convolution_backward_data_desc_init(&d, algorithm, x, w, y, strides, dilates, padding,
                                                               padding);
    else
        bad = dnnl_dilated_convolution_backward_weights_desc_init(&d, algorithm, x, w, NULL, y, strides, dilates,
                                                                  padding, padding);
    if (!bad)
        bad = dnnl_primitive_desc_create(&result, &d, attr, engine, hint);
#endif
    dnnl_primitive_attr_destroy(attr);
    return bad ? NULL : result;
}

/* oneDNN's unoptimised loops are far slower than our own path. */
static bool kernel_slow(dnnl_primitive_desc_t d, const char **name)
{
    *name = "";
    dnnl_primitive_desc_query(d, dnnl_query_impl_info_str, 0, name);
    return !strncmp(*name, "ref", 3) || strstr(*name, ":ref") != NULL;
}

static bool layout_activations(Layout *l, const dnnl_dims_t dims, Format format)
{
    return layout_make(l, 4, dims, format == C16_BF16 ? dnnl_bf16 : dnnl_f32,
                       format == PLAIN ? dnnl_nchw : dnnl_nChw16c);
}

static bool conv_describe(OnednnConv *c)
{
    const OnednnConvSpec *spec = &c->spec;
    const ConvShape *s = &spec->shape;
    bool grouped = s->groups > 1;
    int64_t group_f = s->filters / s->groups, group_c = s->channels / s->groups;
    const dnnl_dims_t xd = {s->batch, s->channels, s->height, s->width};
    const dnnl_dims_t yd = {s->batch, s->filters, s->out_height, s->out_width}, bd = {s->filters};
    const dnnl_dims_t wd4 = {s->filters, group_c, s->kernel_h, s->kernel_w};
    const dnnl_dims_t wd5 = {s->groups, group_f, group_c, s->kernel_h, s->kernel_w};
    const dnnl_dim_t *wd = grouped ? wd5 : wd4;
    bool half = spec->x == C16_BF16 || spec->y == C16_BF16;
    dnnl_data_type_t packed = half && spec->direction != CONV_BACKWARD_WEIGHTS ? dnnl_bf16 : dnnl_f32;
    Layout any = LAYOUT_NONE;
    bool good = layout_activations(&c->x, xd, spec->x) && layout_activations(&c->y, yd, spec->y) &&
                layout_make(&c->plain, grouped ? 5 : 4, wd, dnnl_f32, grouped ? dnnl_goihw : dnnl_oihw) &&
                layout_make(&c->bias, 1, bd, dnnl_f32, dnnl_a) &&
                layout_make(&any, grouped ? 5 : 4, wd, packed, dnnl_format_tag_any);
    if (good) {
        dnnl_alg_kind_t algorithm = spec->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
        /* Backward kernels ask for the forward one; that need not be of the same kind or fast. */
        if (spec->direction != CONV_FORWARD) {
            c->hint = describe(CONV_FORWARD, algorithm, s, &c->x, &any, NULL, &c->y, NULL);
            if (!c->hint)
                c->hint = describe(CONV_FORWARD, dnnl_convolution_direct, s, &c->x, &any, NULL, &c->y, NULL);
        }
        c->description = describe(spec->direction, algorithm, s, &c->x, &any, spec->bias ? &c->bias : NULL, &c->y,
                                  c->hint);
    }
    layout_free(&any);
    return c->description && !kernel_slow(c->description, &c->kernel);
}

static bool conv_build(OnednnConv *c)
{
    const OnednnConvSpec *spec = &c->spec;
    if (!conv_describe(c))
        return false;
    dnnl_query_t what = spec->direction == CONV_BACKWARD_WEIGHTS ? dnnl_query_diff_weights_md : dnnl_query_weights_md;
    LayoutRef scratch = dnnl_primitive_desc_query_md(c->description, dnnl_query_scratchpad_md, 0);
    if (!layout_copy(&c->packed, dnnl_primitive_desc_query_md(c->description, what, 0)))
        return false;
    c->packed_bytes = dnnl_memory_desc_get_size(LAYOUT_REF(c->packed));
    c->scratch_bytes = scratch ? dnnl_memory_desc_get_size(scratch) : 0;
    LayoutRef from = LAYOUT_REF(c->plain), to = LAYOUT_REF(c->packed);
    if (spec->direction == CONV_BACKWARD_WEIGHTS) {
        LayoutRef swap = from;
        from = to;
        to = swap;
    }
    dnnl_primitive_desc_t reorder;
    if (dnnl_reorder_primitive_desc_create(&reorder, from, engine, to, engine, NULL))
        return false;
    bool made = !dnnl_primitive_create(&c->reorder, reorder);
    dnnl_primitive_desc_destroy(reorder);
    return made && !dnnl_primitive_create(&c->primitive, c->description) && slot_make(&c->sx, LAYOUT_REF(c->x)) &&
           slot_make(&c->sy, LAYOUT_REF(c->y)) && slot_make(&c->spacked, LAYOUT_REF(c->packed)) &&
           slot_make(&c->splain, LAYOUT_REF(c->plain)) && slot_make(&c->sbias, LAYOUT_REF(c->bias)) &&
           (!c->scratch_bytes || slot_make(&c->sscratch, scratch));
}

static OnednnConv *conv_make(const OnednnConvSpec *spec, bool (*make)(OnednnConv *c))
{
    if (!started())
        return NULL;
    OnednnConv *c = must_zalloc(sizeof *c);
    c->spec = *spec;
    if (make(c))
        return c;
    onednn_conv_free(c);
    return NULL;
}

OnednnConv *onednn_conv_create(const OnednnConvSpec *spec)
{
    return conv_make(spec, conv_build);
}

bool onednn_conv_possible(const OnednnConvSpec *spec)
{
    OnednnConv *c = conv_make(spec, conv_describe);
    onednn_conv_free(c);
    return c != NULL;
}

void onednn_conv_free(OnednnConv *c)
{
    if (!c)
        return;
    Slot *slots[] = {&c->sx, &c->sy, &c->spacked, &c->splain, &c->sbias, &c->sscratch};
    for (int i = 0; i < 6; i++)
        if (slots[i]->memory)
            dnnl_memory_destroy(slots[i]->memory);
    if (c->primitive)
        dnnl_primitive_destroy(c->primitive);
    if (c->reorder)
        dnnl_primitive_destroy(c->reorder);
    if (c->description)
        dnnl_primitive_desc_destroy(c->description);
    if (c->hint)
        dnnl_primitive_desc_destroy(c->hint);
    Layout *layouts[] = {&c->x, &c->y, &c->packed, &c->plain, &c->bias};
    for (int i = 0; i < 5; i++)
        layout_free(layouts[i]);
    free(c);
}

size_t onednn_conv_workspace(const OnednnConv *c)
{
    return c->scratch_bytes;
}

size_t onednn_conv_packed_bytes(const OnednnConv *c)
{
    return c->packed_bytes;
}

bool onednn_conv_packs_alike(const OnednnConv *a, const OnednnConv *b)
{
    return dnnl_memory_desc_equal(LAYOUT_REF(a->packed), LAYOUT_REF(b->packed));
}

bool onednn_conv_packs_nothing(const OnednnConv *c)
{
    return dnnl_memory_desc_equal(LAYOUT_REF(c->packed), LAYOUT_REF(c->plain));
}

/* Both directions: the primitive was made for one of them. */
static int reorder(OnednnConv *c, const float *w, const void *packed)
{
    bool to_plain = c->spec.direction == CONV_BACKWARD_WEIGHTS;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_FROM, to_plain ? c->spacked.memory : c->splain.memory},
        {DNNL_ARG_TO, to_plain ? c->splain.memory : c->spacked.memory},
    };
    if (!slot_set(&c->splain, w) || !slot_set(&c->spacked, packed) ||
        dnnl_primitive_execute(c->reorder, stream, 2, args) || dnnl_stream_wait(stream))
        return fail("oneDNN: reordering weights failed");
    return 0;
}

int onednn_conv_pack(OnednnConv *c, const float *w, void *packed)
{
    return reorder(c, w, packed);
}

int onednn_conv_unpack(OnednnConv *c, const void *packed, float *w)
{
    return reorder(c, w, packed);
}

int onednn_conv_run(OnednnConv *c, void *x, void *packed, const float *bias, void *y, void *workspace)
{
    static const int names[3][3] = {
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int *name = names[c->spec.direction];
    bool good = slot_set(&c->sx, x) && slot_set(&c->spacked, packed) && slot_set(&c->sy, y);
    dnnl_exec_arg_t args[5] = {{name[0], c->sx.memory}, {name[1], c->spacked.memory}, {name[2], c->sy.memory}};
    int n = 3;
    if (c->spec.bias) {
        good = good && slot_set(&c->sbias, bias);
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_BIAS, c->sbias.memory};
    }
    if (c->scratch_bytes) {
        good = good && slot_set(&c->sscratch, workspace);
        args[n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, c->sscratch.memory};
    }
    if (!good || dnnl_primitive_execute(c->primitive, stream, n, args) || dnnl_stream_wait(stream))
        return fail("oneDNN: %s failed", c->kernel);
    return 0;
}

const char *onednn_conv_kernel(const OnednnConv *c)
{
    return c->kernel;
}

bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                  const float *b, int64_t ldb, float *c, int64_t ldc, int *status)
{
    *status = 0;
    if (dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1, a, lda, b, ldb, 0, c, ldc))
        *status = fail("oneDNN: matrix product %ld x %ld x %ld failed", (long)m, (long)n, (long)k);
    return true;
}

/* Instruction sets are bits; their order as numbers means nothing (AVX2 with VNNI stands above AVX-512). */
static bool isa_has(dnnl_cpu_isa_t wanted)
{
    return ((unsigned)dnnl_get_effective_cpu_isa() & (unsigned)wanted) == (unsigned)wanted;
}

bool onednn_blocked(void)
{
    return isa_has(dnnl_cpu_isa_avx512_core);
}

bool onednn_bf16(void)
{
    return isa_has(dnnl_cpu_isa_avx512_core_bf16);
}

bool onednn_amx(void)
{
    return isa_has(dnnl_cpu_isa_avx512_core_amx);
}

const char *onednn_version(void)
{
    static char text[80];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch,
             onednn_blocked() ? "AVX-512" : "no AVX-512");
    return text;
}

#else   /* without oneDNN */

bool onednn_blocked(void)
{
    return false;
}

bool onednn_bf16(void)
{
    return false;
}

bool onednn_amx(void)
{
    return false;
}

OnednnConv *onednn_conv_create(const OnednnConvSpec *spec)
{
    (void)spec;
    return NULL;
}

bool onednn_conv_possible(const OnednnConvSpec *spec)
{
    (void)spec;
    return false;
}

void onednn_conv_free(OnednnConv *c)
{
    (void)c;
}

size_t onednn_conv_workspace(const OnednnConv *c)
{
    (void)c;
    return 0;
}

size_t onednn_conv_packed_bytes(const OnednnConv *c)
{
    (void)c;
    return 0;
}

bool onednn_conv_packs_alike(const OnednnConv *a, const OnednnConv *b)
{
    return a == b;
}

bool onednn_conv_packs_nothing(const OnednnConv *c)
{
    (void)c;
    return true;
}

int onednn_conv_pack(OnednnConv *c, const float *w, void *packed)
{
    (void)c, (void)w, (void)packed;
    return fail("oneDNN is not part of this build");
}

int onednn_conv_unpack(OnednnConv *c, const void *packed, float *w)
{
    (void)c, (void)w, (void)packed;
    return fail("oneDNN is not part of this build");
}

int onednn_conv_run(OnednnConv *c, void *x, void *packed, const float *bias, void *y, void *workspace)
{
    (void)c, (void)x, (void)packed, (void)bias, (void)y, (void)workspace;
    return fail("oneDNN is not part of this build");
}

const char *onednn_conv_kernel(const OnednnConv *c)
{
    (void)c;
    return "none";
}

bool onednn_sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                  const float *b, int64_t ldb, float *c, int64_t ldc, int *status)
{
    (void)transpose_a, (void)transpose_b, (void)m, (void)n, (void)k, (void)a, (void)lda, (void)b, (void)ldb, (void)c;
    (void)ldc, (void)status;
    return false;
}

const char *onednn_version(void)
{
    return "none";
}

#endif
