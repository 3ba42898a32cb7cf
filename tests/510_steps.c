/* 510_steps.c - four training steps of face synthesis, kinds 1 and 2 in turn, against PyTorch: losses and pictures of
 * each step, all parameters and running statistics afterwards; the identity network stays as it was.
 * tests/fixtures/steps.safetensors is written by tests/peers/steps.py, which says what its names mean. */
#include <math.h>

#include "engine/device.h"
#include "engine/safetensors.h"
#include "models/synthesis_step.h"
#include "tests/ops.h"

enum { SIDE = 16, WIDTH = 4, Z = 8, IDENTITY = 8, BATCH = 4, STEPS = 4 };
static const float rate_ag = 1e-4f, rate_d = 4e-4f;

static SafeFile *file;

static SynthesisOpts options(void)
{
    SynthesisOpts o = synthesis_paper();
    o.encoder = (EncoderOpts){.size = SIDE, .width = WIDTH, .z = Z};
    o.generator = (GeneratorOpts){.size = SIDE, .width = WIDTH};
    o.identity = (RecogniserOpts){.scope = "I", .size = SIDE, .embedding = IDENTITY,
                                  .trunk = {.blocks = {1, 1, 0, 0}, .width = 4, .small_stem = true}};
    o.noise_input = true;
    return o;
}

static const SafeTensor *need(const char *prefix, const char *name)
{
    char key[160];
    snprintf(key, sizeof key, "%s.%s", prefix, name);
    const SafeTensor *t = safetensors_find(file, key);
    ck_assert_msg(t != NULL, "the file holds no %s", key);
    return t;
}

static float *floats(const SafeTensor *t)
{
    float *x = must_alloc(((size_t)safetensors_elements(t) + 1) * sizeof *x);
    MUST(safetensors_floats(t, x));
    return x;
}

static bool of_network(const char *name)
{
    return strchr("ADGI", name[0]) && name[1] == '.';
}

static void fill_store(Store *s)
{
    int given = 0, held = 0;
    for (int i = 0; i < store_count(s); i++) {
        if (!of_network(store_name(s, i)))
            continue;   /* Adam's moments begin at zero */
        const SafeTensor *t = need("weights", store_name(s, i));
        ck_assert_msg(shape_equal(shape_make(t->shape, t->rank), store_shape(s, i)), "%s differs in shape",
                      store_name(s, i));
        float *x = floats(t);
        MUST(store_write(s, i, x));
        free(x);
        given++;
    }
    for (int i = 0; i < safetensors_count(file); i++)
        held += !strncmp(safetensors_at(file, i)->name, "weights.", 8);
    ck_assert_int_eq(given, held);
}

static void write_floats(Prog *p, Val v, int step, const char *name)
{
    char prefix[12];
    snprintf(prefix, sizeof prefix, "%d", step);
    float *x = floats(need(prefix, name));
    MUST(prog_write(p, v, x));
    free(x);
}

static double compare_losses(const SynthesisStep *t, int step, const char *device, double tolerance)
{
    static const char *const names[] = {"L_GR", "L_KL", "L_GD", "L_GI", "L_D"};
    const Val losses[] = {t->gr, t->kl, t->gd, t->gi, t->d};
    char prefix[12];
    double want[5], worst = 0;
    snprintf(prefix, sizeof prefix, "%d", step);
    const SafeTensor *file_losses = need(prefix, "losses");
    int n = (int)safetensors_elements(file_losses);
    ck_assert(n == 5 || n == 1);
    MUST(safetensors_doubles(file_losses, want));
    for (int i = 0; i < n; i++) {
        double got;
        MUST(plan_read_double(t->plan, losses[i], &got));
        double d = fabs(got - want[i]) / fabs(want[i]);
        ck_assert_msg(d <= tolerance, "%s, step %d: %s is %.9g and PyTorch's is %.9g", device, step, names[i], got,
                      want[i]);
        worst = fmax(worst, d);
    }
    static double made[BATCH * 3 * SIDE * SIDE], image[BATCH * 3 * SIDE * SIDE];
    MUST(safetensors_doubles(need(prefix, "image"), image));
    MUST(plan_read_double(t->plan, t->image, made));
    double d = far_apart(made, image, BATCH * 3 * SIDE * SIDE);
    ck_assert_msg(d <= tolerance, "%s, step %d: x' is %.3g off PyTorch's", device, step, d);
    return fmax(worst, d);
}

/* Parameters by how far the steps moved them: root mean square of the difference over that of the movement.
 * Statistics by their largest value. */
static double compare_store(const Store *s, const char *device, double moved, double states)
{
    double worst = 0;
    int compared = 0;
    for (int i = 0; i < store_count(s); i++) {
        const char *name = store_name(s, i);
        if (!of_network(name))
            continue;
        int64_t n = shape_count(store_shape(s, i));
        float *before = floats(need("weights", name)), *got = must_alloc(((size_t)n + 1) * sizeof *got);
        MUST(store_read(s, i, got));
        compared++;
        if (name[0] == 'I') {
            ck_assert_msg(!memcmp(before, got, sizeof *got * (size_t)n), "%s: %s has moved", device, name);
        } else {
            float *want = floats(need("after", name));
            double difference = 0, movement = 0, most = 0, size = 0;
            for (int64_t k = 0; k < n; k++) {
                double d = (double)got[k] - (double)want[k], m = (double)want[k] - (double)before[k];
                difference += d * d;
                movement += m * m;
                most = fmax(most, fabs(d));
                size = fmax(size, fabs((double)want[k]));
            }
            ck_assert_msg(movement > 0, "PyTorch's %s has not moved", name);
            double d = store_is_param(s, i) ? sqrt(difference / movement) : most / size;
            ck_assert_msg(d <= (store_is_param(s, i) ? moved : states), "%s: %s is %.3g of its movement off PyTorch's",
                          device, name, d);
            worst = store_is_param(s, i) ? fmax(worst, d) : worst;
            free(want);
        }
        free(before);
        free(got);
    }
    ck_assert_int_gt(compared, 80);
    return worst;
}

static void check_device(const char *device, double losses, double moved, double states)
{
    file = safetensors_open("tests/fixtures/steps.safetensors");
    HAVE(file);
    Store *s = store_create(device, 1);
    HAVE(s);
    SynthesisStep *kinds[2];
    double worst = 0;
    for (int k = 0; k < 2; k++) {
        kinds[k] = synthesis_step_create(s, options(), BATCH, k + 1);
        HAVE(kinds[k]);
    }
    fill_store(s);
    for (int step = 0; step < STEPS; step++) {
        const SynthesisStep *t = kinds[step % 2];
        char prefix[12];
        snprintf(prefix, sizeof prefix, "%d", step);
        MUST(prog_write(t->p, t->pixels, need(prefix, "pixels")->data));
        write_floats(t->p, t->identity, step, "identity");
        write_floats(t->p, t->noise, step, "noise");
        MUST(prog_write(t->p, t->rate_ag, &rate_ag));
        if (val_ok(t->rate_d))
            MUST(prog_write(t->p, t->rate_d, &rate_d));
        MUST(plan_run(t->plan));
        worst = fmax(worst, compare_losses(t, step, device, losses));
    }
    double off = compare_store(s, device, moved, states);
    printf("%s: losses and pictures within %.2g of PyTorch's, parameters within %.2g of their movement\n", device,
           worst, off);
    synthesis_step_free(kinds[0]);
    synthesis_step_free(kinds[1]);
    store_free(s);
    safetensors_close(file);
}

TEST(reference64)
{
    check_device("reference64", TOLERANCE_STEP_DOUBLE, TOLERANCE_STEP_MOVED_DOUBLE, TOLERANCE_STEP_DOUBLE);
}

TEST(reference)
{
    check_device("reference", TOLERANCE_NETWORK, TOLERANCE_STEP_MOVED, TOLERANCE_NETWORK);
}

TEST(cpu)
{
    check_device("cpu", TOLERANCE_NETWORK, TOLERANCE_STEP_MOVED, TOLERANCE_NETWORK);
}

TEST(cuda)
{
    Device *d = device_open("cuda");
    if (!d)
        SKIP("cuda: %s", error_text());
    check_device("cuda", TOLERANCE_NETWORK, TOLERANCE_STEP_MOVED, TOLERANCE_NETWORK);
    device_close(d);
}

TEST_MAIN("training steps", reference64, reference, cpu, cuda)
