/* portraits_people.c - random numbers to people and looks; the tables of names and cameras. */
#include <stddef.h>
#include <stdio.h>

#include "data/portraits_parts.h"
#include "engine/random.h"

const PortraitField portrait_person_fields[] = {
#define X(name, mean, sd, low, high, s, a, e, w, meaning) \
    {#name, (int)offsetof(PortraitPerson, name), mean, sd, low, high, meaning},
    PORTRAIT_PERSON(X)
#undef X
};
const int portrait_person_field_count = sizeof portrait_person_fields / sizeof *portrait_person_fields;

const PortraitField portrait_look_fields[] = {
#define X(name, mean, sd, low, high, meaning) {#name, (int)offsetof(PortraitLook, name), mean, sd, low, high, meaning},
    PORTRAIT_LOOK(X)
#undef X
};
const int portrait_look_field_count = sizeof portrait_look_fields / sizeof *portrait_look_fields;

const PortraitCamera portrait_cameras[PORTRAIT_CAMERAS] = {
    {.name = "studio", .frame = 24.6f, .frame_sd = .03f, .shift_sd = .35f, .centre_y = .2f, .pose = 1,
     .side = .9f, .height_low = .10f, .height_high = .80f, .key_low = .60f, .key_high = 1.10f, .ambient = .42f,
     .back_low = .12f, .back_high = .75f, .vivid = .45f, .exposure = 0, .blur = 3.2f, .blur_sd = 1.2f,
     .noise_low = .003f, .noise_high = .006f, .contrast = .78f, .warm = 0},
    {.name = "london", .frame = 26.55f, .frame_sd = .02f, .shift_sd = .3f, .centre_y = .3f, .pose = .42f,
     .side = .286f, .height_low = .20f, .height_high = .45f, .key_low = .65f, .key_high = .85f, .ambient = .55f,
     .back_low = .45f, .back_high = .75f, .vivid = .08f, .exposure = .10f, .blur = 1.6f, .blur_sd = .6f,
     .noise_low = .002f, .noise_high = .006f, .contrast = .35f, .warm = .01f},
    {.name = "multipie", .frame = 24.75f, .frame_sd = .03f, .shift_sd = .45f, .centre_y = -.1f, .pose = .6f,
     .side = .55f, .height_low = .15f, .height_high = .60f, .key_low = .70f, .key_high = 1.15f, .ambient = .34f,
     .back_low = .20f, .back_high = .45f, .vivid = .25f, .exposure = -.10f, .blur = 2.8f, .blur_sd = 1,
     .noise_low = .004f, .noise_high = .012f, .contrast = .22f, .warm = -.03f},
    {.name = "frav2d", .frame = 25.65f, .frame_sd = .045f, .shift_sd = .6f, .centre_y = .2f, .pose = .7f,
     .side = .38f, .height_low = .25f, .height_high = .90f, .key_low = .60f, .key_high = .95f, .ambient = .40f,
     .back_low = .35f, .back_high = .85f, .vivid = .30f, .exposure = .05f, .blur = 2.6f, .blur_sd = 1,
     .noise_low = .005f, .noise_high = .012f, .contrast = .32f, .warm = .05f},
    {.name = "mixed", .frame = 25.65f, .frame_sd = .05f, .shift_sd = .6f, .centre_y = .2f, .pose = .85f,
     .side = .60f, .height_low = .0f, .height_high = 1, .key_low = .50f, .key_high = 1.20f, .ambient = .42f,
     .back_low = .05f, .back_high = .9f, .vivid = .7f, .exposure = 0, .blur = 2.4f, .blur_sd = 1.4f,
     .noise_low = .003f, .noise_high = .016f, .contrast = .30f, .warm = 0},
};

const PortraitPopulation portrait_sets[] = {
    {.name = "pretrain", .people = 2000, .images_min = 2, .images_max = 84, .images_total = 40000, .camera = 4},
    {.name = "original", .people = 482, .images_min = 4, .images_max = 130, .images_total = 18143, .camera = 0},
    {.name = "frgc_test", .people = 86, .images_min = 4, .images_max = 120, .images_total = 3629, .camera = 0},
    {.name = "validation", .people = 230, .images_total = 1281,
     .sources = {{1, 51, 2, 2}, {2, 124, 3, 5}, {3, 55, 12, 12}}},
    {.name = "test", .people = 230, .images_total = 1230,
     .sources = {{1, 51, 2, 2}, {2, 125, 3, 5}, {3, 54, 12, 12}}},
};
const int portrait_set_count = sizeof portrait_sets / sizeof *portrait_sets;

const PortraitPopulation *portrait_set(const char *name)
{
    for (int i = 0; i < portrait_set_count; i++)
        if (!strcmp(portrait_sets[i].name, name))
            return &portrait_sets[i];
    return NULL;
}

const char *portrait_hair_name(PortraitHair hair)
{
    static const char *const names[] = {"shaved", "short", "parted", "swept", "fringe", "curls", "bob", "long"};
    return (unsigned)hair < PORTRAIT_HAIR_STYLES ? names[hair] : "?";
}

const char *portrait_beard_name(PortraitBeard beard)
{
    static const char *const names[] = {"none", "short", "full", "goatee", "moustache"};
    return (unsigned)beard < PORTRAIT_BEARD_STYLES ? names[beard] : "?";
}

static Random open_stream(uint64_t world, const char *what, const char *population, uint64_t step)
{
    char name[256];
    snprintf(name, sizeof name, "portrait %s %s", what, population);
    return random_stream(world, name, step);
}

/* Mean 0, variance 1, even over +-1.73: as different as normal numbers, without the caricatures of their tails. */
static float draw_even(Random *r) { return 1.7320508f * (2 * random_uniform(r) - 1); }

/* A value of its own beside the four traits that it shares with others. */
static float draw_trait(Random *r, const PortraitPerson *p, float mean, float sd, float low, float high, float sex,
                        float age, float east, float south)
{
    float years = (p->age - 38) / 16, rest = 1 - (sex * sex + age * age + east * east + south * south);
    float own = 1.4f * draw_even(r) * sqrtf(maxf(rest, 0.15f));
    return clampf(mean + sd * (sex * p->sex + age * years + east * p->east + south * p->south + own), low, high);
}

/* Picks from shares that sum to 1. */
static int draw_share(Random *r, const float *share, int n)
{
    float u = random_uniform(r);
    int i = 0;
    while (i < n - 1 && u >= share[i])
        u -= share[i++];
    return i;
}

static void draw_styles(Random *r, PortraitPerson *p)
{
    /* shaved, short, parted, swept, fringe, curls, bob, long */
    static const float man_hair[] = {.07f, .42f, .22f, .15f, .08f, .01f, .02f, .03f};
    static const float woman_hair[] = {.01f, .12f, .06f, .10f, .07f, .02f, .24f, .38f};
    static const float curly_hair[] = {.07f, .22f, .02f, .13f, 0, .43f, .05f, .08f};
    static const float beards[] = {.46f, .20f, .13f, .12f, .09f};
    p->hair = (PortraitHair)draw_share(r, p->hair_curl > .62f ? curly_hair : p->sex > 0 ? man_hair : woman_hair,
                                       PORTRAIT_HAIR_STYLES);
    PortraitBeard beard = (PortraitBeard)draw_share(r, beards, PORTRAIT_BEARD_STYLES);
    p->beard = p->sex > 0.2f ? beard : PORTRAIT_NO_BEARD;
    if (p->hair_recess > 1.6f && p->sex > 0)
        p->hair = PORTRAIT_SHAVED;
}

static void draw_field(Random *r, float *nodes, int n)
{
    for (int i = 0; i < n; i++)
        nodes[i] = draw_even(r);
}

/* Displacement (3, rows, columns), columns odd, whose halves are correlated as mirror images: x changes its sign, so
 * the middle moves aside only as far as the halves differ. */
static void draw_mirrored(Random *r, float *nodes, int rows, int columns)
{
    const float same = .4f;   /* correlation */
    float own = sqrtf(1 - same * same), aside = sqrtf((1 - same) / 2);
    int middle = columns / 2;
    for (int axis = 0; axis < 3; axis++)
        for (int i = 0; i < rows; i++, nodes += columns) {
            draw_field(r, nodes, columns);
            for (int j = 0; j < middle; j++)
                nodes[j] = own * nodes[j] + (axis == 0 ? -same : same) * nodes[columns - 1 - j];
            if (axis == 0)
                nodes[middle] *= aside;
        }
}

void portrait_person(uint64_t world, const char *population, int index, PortraitPerson *out)
{
    Random r = open_stream(world, "person", population, (uint64_t)index);
    PortraitPerson p;
    memset(&p, 0, sizeof p);
    float side = random_uniform(&r) < 0.5f ? -1.0f : 1.0f;
    p.sex = side + 0.28f * random_normal(&r);
    float u = random_uniform(&r);
    p.age = 18 + 57 * u * sqrtf(sqrtf(u));
    float descent = random_uniform(&r);
    p.east = (descent < 0.25f ? 1.8f : -0.5f) + 0.4f * random_normal(&r);
    p.south = (descent > 0.75f ? 1.8f : -0.5f) + 0.4f * random_normal(&r);
#define X(name, mean, sd, low, high, s, a, e, w, meaning) \
    p.name = draw_trait(&r, &p, mean, sd, low, high, s, a, e, w);
    PORTRAIT_PERSON(X)
#undef X
    /* Dark skin has dark hair and eyes far more often than the traits alone say. */
    p.hair_dark = clampf(p.hair_dark + 0.35f * p.melanin, .03f, 1.2f);
    p.iris_dark = clampf(0.75f * p.iris_dark + 0.45f * (p.hair_dark - 0.5f) + 0.4f * p.melanin, 0, 1);
    draw_styles(&r, &p);
    p.grain = random_next(&r);
    draw_mirrored(&r, &p.warp[0][0][0], PORTRAIT_WARP_ROWS, PORTRAIT_WARP_COLUMNS);
    draw_mirrored(&r, &p.fine[0][0][0], PORTRAIT_FINE_ROWS, PORTRAIT_FINE_COLUMNS);
    draw_field(&r, &p.tone[0][0][0], 3 * PORTRAIT_TONE_ROWS * PORTRAIT_TONE_COLUMNS);
    *out = p;
}

void portrait_look(uint64_t world, const char *population, int person, int image, PortraitLook *out)
{
    Random r = open_stream(world, "look", population, (uint64_t)person << 32 | (uint32_t)image);
    PortraitLook l;
    memset(&l, 0, sizeof l);
    for (int i = 0; i < portrait_look_field_count; i++) {
        const PortraitField *f = &portrait_look_fields[i];
        float value = f->sd > 0 ? f->mean + f->sd * random_normal(&r) : mixf(f->low, f->high, random_uniform(&r));
        *(float *)((char *)&l + f->offset) = clampf(value, f->low, f->high);
    }
    l.yaw = clampf(l.yaw, -.28f, .28f);
    l.blur = minf(l.blur, PORTRAIT_SHARP);
    /* What happens now and then: shares as PORTRAIT_LOOK says. */
    float turned = random_uniform(&r), hard = random_uniform(&r);
    if (turned < .006f)
        l.yaw = (l.yaw < 0 ? -1.0f : 1.0f) * (.40f + .16f * random_uniform(&r));
    if (hard < .01f) {
        l.light_side = (l.light_side < 0 ? -1.0f : 1.0f) * (2 + .4f * random_uniform(&r));
        l.light_power = 1;
        l.light_fill = .12f;
    }
    /* Broad smiles mostly show teeth; closed eyes do happen. */
    if (random_uniform(&r) < 0.6f && l.smile > 0.5f)
        l.mouth_open = maxf(l.mouth_open, 0.15f + 0.25f * random_uniform(&r));
    if (random_uniform(&r) < 0.004f)
        l.lid_close = 1;
    if (random_uniform(&r) < 0.008f)
        l.blur = 16 + 6 * random_uniform(&r);
    l.grain = random_next(&r);
    *out = l;
}
