/* model.c - the paper's networks: their tables, printed from the program that runs, and forward passes from files.
 *
 *     model list | model summary generator | model summary discriminator --size 32 --width 16 --batch 8
 *     model forward recogniser --weights w.safetensors --in x.safetensors --out y.safetensors
 *
 * The input file holds "x": pictures (B,3,S,S) in [-1,1], for the generator identity and attributes side by side
 * (B,D+Z); for resnet50 pictures as torchvision's weights expect them (models/recogniser.h).  Results are written by
 * name: mean and log_variance; logit and feature; image_4 ... image_S; logits; embedding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"
#include "engine/safetensors.h"
#include "experiments/common/names.h"
#include "experiments/common/options.h"
#include "models/named.h"

static const char *weights_path, *in_path, *out_path, *blocks;
static int size, width, z, identity, classes, batch, bias, small_stem;

static const Option own[] = {
    {"size", OPTION_INT, "S", "side of pictures (128)", &size},
    {"width", OPTION_INT, "W", "channels of the first layer, of the generator's last (the paper's)", &width},
    {"z", OPTION_INT, "Z", "length of the attribute vector (128)", &z},
    {"identity", OPTION_INT, "D", "length of the identity vector or embedding (512)", &identity},
    {"classes", OPTION_INT, "N", "of a classifier's last layer (1000)", &classes},
    {"batch", OPTION_INT, "B", "summary: also the memory of a training step on B pictures", &batch},
    {"blocks", OPTION_TEXT, "A,B,C,D", "blocks of a ResNet's stages (3,4,6,3)", &blocks},
    {"small-stem", OPTION_FLAG, NULL, "a ResNet begins with 3x3, without pooling", &small_stem},
    {"bias", OPTION_FLAG, NULL, "biases in convolutions", &bias},
    {"weights", OPTION_TEXT, "FILE", "safetensors file of parameters and running statistics", &weights_path},
    {"in", OPTION_TEXT, "FILE", "safetensors file with x", &in_path},
    {"out", OPTION_TEXT, "FILE", "where the results go", &out_path},
    {0},
};
static const Program program = {
    .name = "model",
    .does = "prints a network's table or runs it forward; \"model list\" names the networks",
    .usage = "summary|forward|list NAME",
    .least = 1,
    .most = 2,
    .common = OPTIONS_DEVICE,
    .own = own,
};

static const Network *find(const char *name)
{
    const Network *network = network_find(name);
    NearName near = {.word = name};
    for (const Network *n = network_table; !network && n->name; n++)
        name_consider(&near, n->name);
    if (!network)
        usage_error(&program, "%s: no such network%s (model list)", name, name_suggestion(&near));
    return network;
}

static void take_size(const char *option, int given, int least, int most, int *value)
{
    if (given && (given < least || given > most))
        usage_error(&program, "--%s %d: %d to %d was expected", option, given, least, most);
    *value = given ? given : *value;
}

static NetworkOpts options_for(const Network *network)
{
    NetworkOpts o = network->paper;
    int end = 0;
    take_size("size", size, 16, 512, &o.size);
    take_size("width", width, 1, 4096, &o.width);
    take_size("z", z, 1, 65536, &o.z);
    take_size("identity", identity, 1, 65536, &o.identity);
    take_size("classes", classes, 1, 1000000, &o.classes);
    if (!o.blocks[0] && (o.size & (o.size - 1)))
        usage_error(&program, "--size %d: a power of two was expected", o.size);
    if (blocks && (sscanf(blocks, "%d,%d,%d,%d%n", &o.blocks[0], &o.blocks[1], &o.blocks[2], &o.blocks[3], &end) != 4 ||
                   blocks[end] || o.blocks[0] < 1))
        usage_error(&program, "--blocks %s: four numbers like 3,4,6,3 were expected", blocks);
    for (int i = 0; i < 4; i++)
        if (o.blocks[i] < 0 || o.blocks[i] > 100)
            usage_error(&program, "--blocks %s: up to 100 blocks a stage were expected", blocks);
    o.bias = bias;
    o.small_stem = small_stem;
    return o;
}

static const char *device_of(const Options *o)
{
    return o->device == DEVICE_AUTO ? "cpu" : o->device_name;
}

/* ---------------------------------------------------------------- summary */
enum { LAYERS_MAX = 512 };
typedef struct Layer {
    char what[100];        /* "Conv 4x4 /2, BN, LReLU" */
    char name[100];        /* of its weight, without ".weight" */
    Shape shape;
    long parameters, without_bias, filters;   /* filters: of convolutions without a bias */
} Layer;

typedef struct Summary {
    Layer layers[LAYERS_MAX];
    int n;
    int *layer_of;         /* by value id: the layer that made it, or -1 */
} Summary;

static bool is(const OpDef *op, const char *name)
{
    return !strcmp(op->name, name);
}

/* Parameters among the node's operands; the name of the weight goes to the layer if it has none. */
static void count_parameters(Layer *l, Prog *p, int node, bool convolution)
{
    bool variadic;
    int n = op_operand_count(fuse_op(p, node), &variadic);
    for (int i = 1; i < n && !variadic; i++) {
        Val v = fuse_in(p, node, i);
        int entry = val_ok(v) ? store_find(prog_store(p), val_name(v)) : -1;
        if (entry < 0 || !store_is_param(prog_store(p), entry))
            continue;
        long count = (long)shape_count(val_shape(v));
        l->parameters += count;
        l->without_bias += convolution && i == 2 ? 0 : count;
        if (!*l->name && strstr(val_name(v), ".weight"))
            snprintf(l->name, sizeof l->name, "%.*s", (int)(strlen(val_name(v)) - strlen(".weight")), val_name(v));
    }
    if (convolution && !val_ok(fuse_in(p, node, 2)))
        l->filters += (long)val_dim(fuse_out(p, node, 0), 1);
}

static const char *activation(const OpDef *op, const void *attrs)
{
    return is(op, "leaky_relu") ? ((const LeakyReluAttrs *)attrs)->slope ? "LReLU" : "ReLU"
         : is(op, "tanh")       ? "Tanh"
         : is(op, "sigmoid")    ? "Sigmoid"
         : is(op, "batch_norm") ? "BN"
                                : NULL;
}

/* What begins a row of the table, NULL for what has none of its own. */
static const char *row_name(Prog *p, int node, char *text, size_t size)
{
    const OpDef *op = fuse_op(p, node);
    if (is(op, "conv2d") || is(op, "conv_transpose2d")) {
        const Conv2dAttrs *a = fuse_attrs(p, node);
        Shape w = val_shape(fuse_in(p, node, 1));
        int n = snprintf(text, size, "%s %dx%d", is(op, "conv2d") ? "Conv" : "Transposed conv", (int)w.dim[2],
                         (int)w.dim[3]);
        if (a->stride > 1)
            snprintf(text + n, size - (size_t)n, " /%d", a->stride);
        return text;
    }
    if (is(op, "max_pool2d")) {
        const Pool2dAttrs *a = fuse_attrs(p, node);
        snprintf(text, size, "Max pool %dx%d /%d", a->kernel, a->kernel, a->stride ? a->stride : a->kernel);
        return text;
    }
    return is(op, "matmul") ? "FC" : is(op, "resize_nearest") ? "Upsample" : is(op, "add") ? "Sum" : NULL;
}

static void add_node(Summary *s, Prog *p, int node)
{
    const OpDef *op = fuse_op(p, node);
    Val first = fuse_in(p, node, 0), out = fuse_out(p, node, 0);
    int before = val_ok(first) ? s->layer_of[first.id] : -1;
    char text[60];
    const char *more = activation(op, fuse_attrs(p, node)), *name = row_name(p, node, text, sizeof text);
    int layer = before;
    if (name || (more && before < 0)) {
        if (s->n == LAYERS_MAX)
            die("the network has more than %d layers", LAYERS_MAX);
        layer = s->n++;
        snprintf(s->layers[layer].what, sizeof s->layers[0].what, "%s", name ? name : more);
    } else if (more) {
        char *what = s->layers[layer].what;
        snprintf(what + strlen(what), sizeof s->layers[0].what - strlen(what), ", %s", more);
    }
    s->layer_of[out.id] = layer;
    if (layer >= 0 && (name || more)) {
        s->layers[layer].shape = val_shape(out);
        count_parameters(&s->layers[layer], p, node, is(op, "conv2d") || is(op, "conv_transpose2d"));
    }
}

static void print_shape(Shape s)
{
    char text[60] = "";
    for (int i = 1; i < s.rank; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%ld", i > 1 ? " x " : "", (long)s.dim[i]);
    printf("  %-18s", text);
}

static double store_mib(const Store *s, bool parameters, const char *prefix)
{
    int64_t n = 0;
    for (int i = 0; i < store_count(s); i++)
        if (store_is_param(s, i) == parameters && !strncmp(store_name(s, i), prefix, strlen(prefix)))
            n += shape_count(store_shape(s, i));
    return (double)n * 4 / 1048576;
}

/* What a step of Adam on `batch` pictures needs; any scalar of the results serves as a loss. */
static void print_memory(const Network *network, const char *device)
{
    NetworkOpts o = options_for(network);
    NetworkResults r = {0};
    Store *s = store_create(device, 1);
    if (!s)
        die("%s", error_text());
    Prog *p = prog_create(s);
    network->build(prog_input(p, "x", F32, network->input(&o, batch)), TRAIN, &o, &r);
    Val loss = op_mean(op_square(r.v[0]));
    for (int i = 1; i < r.n; i++)
        loss = op_add(loss, op_mean(op_square(r.v[i])));
    Vals moved = adam(loss, prog_params(p, ""), prog_input(p, "rate", F32, SHAPE(1)), (AdamOpts){.name = "adam"});
    Plan *plan = plan_compile(p, (PlanOpts){.name = "training step", .outputs = VALS(loss),
                                            .updates = vals_join(p, moved, prog_updates(p))});
    if (!plan)
        die("%s", error_text());
    double moments = store_mib(s, false, "adam");
    printf("\ntraining step on a batch of %d (%s, fp32), MiB: parameters %.1f, Adam's moments %.1f, running statistics "
           "%.1f,\nplanned arena for maps, gradients and work %.1f, held by the plan %.1f; %.1f GFLOP\n", batch, device,
           store_mib(s, true, ""), moments, store_mib(s, false, "") - moments,
           (double)plan_arena_bytes(plan) / 1048576, (double)plan_own_bytes(plan) / 1048576, plan_flop(plan) / 1e9);
    plan_free(plan);
    prog_free(p);
    store_free(s);
}

static void summary(const Network *network, const char *device)
{
    NetworkOpts o = options_for(network);
    NetworkResults r = {0};
    Store *store = store_create("cpu", 1);
    if (!store)
        die("%s", error_text());
    Prog *p = prog_create(store);
    Val x = prog_input(p, "x", F32, network->input(&o, 1));
    network->build(x, EVAL, &o, &r);
    if (prog_error(p))
        die("%s", prog_error(p));
    int last = 0;
    for (int i = 0; i < r.n; i++)
        last = r.v[i].id > last ? r.v[i].id : last;
    Summary *s = must_zalloc(sizeof *s);
    s->layer_of = must_alloc(sizeof *s->layer_of * (size_t)(last + 1));
    for (int id = 0; id <= last; id++)
        s->layer_of[id] = -1;
    for (int id = 1, before = -1; id <= last; id++) {
        int node = fuse_node_of((Val){p, id});
        if (node >= 0 && node != before)
            add_node(s, p, node);
        before = node >= 0 ? node : before;
    }
    printf("%s (%s)\n\n%-32s %-26s  %-18s %12s\n%-32s %-26s", network->name, network->doc, "layer", "name",
           "C x H x W", "parameters", "input", "x");
    print_shape(val_shape(x));
    printf("\n");
    long total = 0, without = 0, filters = 0;
    for (int i = 0; i < s->n; i++) {
        const Layer *l = &s->layers[i];
        printf("%-32s %-26s", l->what, l->name);
        print_shape(l->shape);
        if (l->parameters)
            printf(" %12ld", l->parameters);
        printf("\n");
        total += l->parameters;
        without += l->without_bias;
        filters += l->filters;
    }
    if (total != (long)parameter_count(store, ""))
        die("%s: the table holds %ld parameters of %ld", network->name, total, (long)parameter_count(store, ""));
    printf("\n%ld parameters without biases of convolutions, %ld with\n", without, total + filters);
    free(s->layer_of);
    free(s);
    prog_free(p);
    store_free(store);
    if (batch)
        print_memory(network, device);
}


static void forward(const Network *network, const Options *options)
{
    NetworkOpts o = options_for(network);
    NetworkResults r = {0};
    SafeTensor results[NETWORK_RESULTS];
    char a[96], b[96];
    SafeFile *f = safetensors_open(in_path);
    const SafeTensor *t = f ? safetensors_find(f, "x") : NULL;
    if (!t)
        die("%s", f ? must_printf("%s: holds no tensor x", in_path) : error_text());
    Shape have = shape_make(t->shape, t->rank > RANK_MAX ? RANK_MAX : t->rank);
    if (!size && have.rank == 4 && have.dim[2] >= 16 && have.dim[2] <= 512 &&
        (o.blocks[0] || !(have.dim[2] & (have.dim[2] - 1))))
        o.size = (int)have.dim[2];
    Shape want = network->input(&o, have.rank ? have.dim[0] : 1);
    if (t->rank > RANK_MAX || !shape_equal(have, want) || have.dim[0] < 1)
        die("%s: x has shape %s and must have %s", in_path, shape_text(have, a, sizeof a),
            shape_text(want, b, sizeof b));
    Store *store = store_create(device_of(options), options->seed);
    if (!store)
        die("%s", error_text());
    Prog *p = prog_create(store);
    Val x = prog_input(p, "x", F32, want);
    network->build(x, EVAL, &o, &r);
    Plan *plan = plan_compile(p, (PlanOpts){.name = network->name, .outputs = {r.v, r.n}});
    float *numbers = must_alloc((size_t)shape_count(want) * sizeof *numbers);
    if (!plan || store_load(store, weights_path, "") || safetensors_floats(t, numbers) ||
        prog_write(p, x, numbers) || plan_run(plan))
        die("%s", error_text());
    for (int i = 0; i < r.n; i++) {
        Shape shape = val_shape(r.v[i]);
        float *y = must_alloc((size_t)shape_count(shape) * sizeof *y);
        results[i] = (SafeTensor){.name = r.name[i], .dtype = SAFE_F32, .rank = shape.rank, .data = y};
        memcpy(results[i].shape, shape.dim, sizeof shape.dim);
        if (plan_read(plan, r.v[i], y))
            die("%s", error_text());
    }
    if (safetensors_write(out_path, results, r.n, NULL))
        die("%s", error_text());
    for (int i = 0; i < r.n; i++)
        free((void *)results[i].data);
    free(numbers);
    plan_free(plan);
    prog_free(p);
    store_free(store);
    safetensors_close(f);
}

int main(int argc, char **argv)
{
    Options o;
    options_start(&o, &program, argc, argv);
    const char *verb = o.names[0], *name = o.n_names > 1 ? o.names[1] : NULL;
    if (o.threads)
        engine_threads(o.threads);
    if (!strcmp(verb, "list")) {
        for (const Network *n = network_table; n->name; n++)
            printf("%-20s %s\n", n->name, n->doc);
    } else if (strcmp(verb, "summary") && strcmp(verb, "forward")) {
        usage_error(&program, "%s: summary, forward or list was expected", verb);
    } else if (!name) {
        usage_error(&program, "%s: NAME of a network is missing (model list)", verb);
    } else if (!strcmp(verb, "summary")) {
        if (batch < 0 || batch > 65536)
            usage_error(&program, "--batch %d: 1 to 65536 was expected", batch);
        summary(find(name), device_of(&o));
    } else {
        const Network *network = find(name);
        if (!weights_path || !in_path || !out_path)
            usage_error(&program, "forward: --weights FILE, --in FILE and --out FILE were expected");
        forward(network, &o);
    }
    options_free(&o);
    if (fflush(stdout) || ferror(stdout))
        die("standard output: not written");
    return 0;
}
