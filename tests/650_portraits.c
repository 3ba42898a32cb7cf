/* Portraits: the same picture everywhere, identity and attributes apart, populations as asked for. */
#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "data/portraits.h"
#include "engine/error.h"
#include "tests/test.h"

enum { S = 48 };

static void draw(uint64_t world, const char *population, int person, int image, int size, uint8_t *rgb)
{
    PortraitPerson p;
    PortraitLook l;
    portrait_person(world, population, person, &p);
    portrait_look(world, population, person, image, &l);
    MUST(portrait_render(&p, &l, size, rgb));
}

/* Mean absolute difference in grey levels. */
static double difference(const uint8_t *a, const uint8_t *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += abs(a[i] - b[i]);
    return sum / n;
}

TEST(repeats_itself)
{
    static uint8_t a[S * S * 3], b[S * S * 3];
    for (int k = 0; k < 4; k++) {
        draw(5, "one", k, 2 * k, S, a);
        draw(6, "other", 9, 9, S, b);   /* nothing may remain of the picture before */
        ck_assert(memcmp(a, b, sizeof a));
        draw(5, "one", k, 2 * k, S, b);
        ck_assert(!memcmp(a, b, sizeof a));
    }
}

/* tests/fixtures/portrait32.png was written by
 *     portraits --people 3 --images 3 --size 32 --world 7 --population fixture --sheet tests/fixtures/portrait32.png */
TEST(equals_the_fixture)
{
    const char *path = "tests/fixtures/portrait32.png";
    if (PORTRAIT_VERSION != 12)
        ck_abort_msg("a new version needs a new %s", path);
    Image sheet;
    MUST(image_read(path, &sheet));
    ck_assert_int_eq(sheet.width, 3 * 32);
    ck_assert_int_eq(sheet.height, 3 * 32);
    static uint8_t rgb[32 * 32 * 3];
    for (int k = 0; k < 9; k++) {
        draw(7, "fixture", k / 3, k % 3, 32, rgb);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32 * 3; x++) {
                int kept = sheet.rgb[((k / 3 * 32 + y) * sheet.width + k % 3 * 32) * 3 + x];
                ck_assert_int_le(abs(kept - rgb[y * 32 * 3 + x]), 1);
            }
    }
    image_free(&sheet);
}

/* Every number within its limits; means and deviations near the table's where the limits hardly cut. */
TEST(numbers_follow_their_tables)
{
    enum { N = 2000 };
    static PortraitLook looks[N];
    static PortraitPerson people[N];
    for (int i = 0; i < N; i++) {
        portrait_person(3, "numbers", i, &people[i]);
        portrait_look(3, "numbers", i, 0, &looks[i]);
        ck_assert_int_lt((int)people[i].hair, PORTRAIT_HAIR_STYLES);
        ck_assert_int_lt((int)people[i].beard, PORTRAIT_BEARD_STYLES);
        ck_assert(people[i].sex > .2f || people[i].beard == PORTRAIT_NO_BEARD);
        ck_assert(people[i].age >= 18 && people[i].age <= 75);
    }
    int men = 0;
    for (int i = 0; i < N; i++)
        men += people[i].sex > 0;
    ck_assert(abs(men - N / 2) < 4 * sqrt(N / 4));
    for (int f = 0; f < portrait_person_field_count; f++) {
        const PortraitField *field = &portrait_person_fields[f];
        for (int i = 0; i < N; i++) {
            float v = *(float *)((char *)&people[i] + field->offset);
            ck_assert_msg(v >= field->low && v <= field->high, "%s = %g", field->name, (double)v);
        }
    }
    for (int f = 0; f < portrait_look_field_count; f++) {
        const PortraitField *field = &portrait_look_fields[f];
        double sum = 0, low = field->low, high = field->high, mean = field->sd > 0 ? field->mean : .5 * (low + high);
        double sd = field->sd > 0 ? field->sd : (high - low) / sqrt(12);
        for (int i = 0; i < N; i++) {
            float v = *(float *)((char *)&looks[i] + field->offset);
            ck_assert_msg(v >= field->low && v <= field->high, "%s = %g", field->name, (double)v);
            sum += v;
        }
        if (field->sd == 0 || (mean - low > 2.3 * sd && high - mean > 2.3 * sd))
            ck_assert_msg(fabs(sum / N - mean) < 5 * sd / sqrt(N), "%s: mean %g", field->name, sum / N);
    }
}

/* What happens now and then, as often as PORTRAIT_LOOK says (within five deviations), and else not at all. */
TEST(rare_looks_have_their_shares)
{
    enum { N = 40000 };
    static const double per_thousand[4] = {6, 10, 4, 8};
    int seen[4] = {0};
    for (int i = 0; i < N; i++) {
        PortraitLook l;
        portrait_look(3, "rare", i / 10, i % 10, &l);
        ck_assert_msg(fabsf(l.yaw) <= .28f || fabsf(l.yaw) >= .40f, "yaw %g", (double)l.yaw);
        ck_assert_msg(l.blur <= PORTRAIT_SHARP || l.blur >= 16, "blur %g", (double)l.blur);
        seen[0] += fabsf(l.yaw) >= .40f;
        seen[1] += fabsf(l.light_side) >= 2 && l.light_power == 1;
        seen[2] += l.lid_close == 1;
        seen[3] += l.blur >= 16;
    }
    for (int k = 0; k < 4; k++) {
        double wanted = N * per_thousand[k] / 1000;
        ck_assert_msg(fabs(seen[k] - wanted) < 5 * sqrt(wanted), "event %d: %d of %d", k, seen[k], N);
    }
}

/* Adds products of mirrored nodes (rows, columns), and their mean squares. */
static void add_halves(const float *nodes, int rows, int columns, double *cross, double *square)
{
    for (int i = 0; i < rows; i++, nodes += columns)
        for (int j = 0; j < columns / 2; j++) {
            double a = nodes[j], b = nodes[columns - 1 - j];
            *cross += a * b;
            *square += .5 * (a * a + b * b);
        }
}

/* Displacement is of variance 1 and its halves are mirror images with a correlation of 0.4: across, of the other sign.
 * Of the least, 120,000 pairs, five deviations are 0.014. */
TEST(halves_are_alike)
{
    enum { N = 2000, WR = PORTRAIT_WARP_ROWS, WC = PORTRAIT_WARP_COLUMNS };
    enum { FR = PORTRAIT_FINE_ROWS, FC = PORTRAIT_FINE_COLUMNS };
    for (int axis = 0; axis < 3; axis++) {
        double cross[2] = {0}, square[2] = {0}, pairs[2] = {N * WR * (WC / 2), N * FR * (FC / 2)};
        for (int i = 0; i < N; i++) {
            PortraitPerson p;
            portrait_person(3, "halves", i, &p);
            add_halves(&p.warp[axis][0][0], WR, WC, &cross[0], &square[0]);
            add_halves(&p.fine[axis][0][0], FR, FC, &cross[1], &square[1]);
        }
        for (int band = 0; band < 2; band++) {
            ck_assert_msg(fabs(square[band] / pairs[band] - 1) < .015, "variance %g", square[band] / pairs[band]);
            ck_assert_msg(fabs(cross[band] / pairs[band] - (axis ? .4 : -.4)) < .015, "correlation %g",
                          cross[band] / pairs[band]);
        }
    }
}

/* The person does not depend on the image, nor the look on who it is or will be drawn from. */
TEST(identity_and_attributes_are_apart)
{
    PortraitPerson a, b;
    PortraitLook la, lb;
    portrait_person(1, "p", 3, &a);
    portrait_look(1, "p", 3, 0, &la);
    portrait_look(1, "p", 3, 1, &lb);
    portrait_person(1, "p", 3, &b);
    ck_assert(!memcmp(&a, &b, sizeof a));
    ck_assert(memcmp(&la, &lb, sizeof la));
    ck_assert_int_ne((int)la.grain, (int)lb.grain);

    /* Over many people no number of the person may be correlated with one of the look: |r| of N independent pairs
     * has deviation 1 / sqrt(N). */
    enum { N = 3000 };
    static float persons[N][100], looks[N][100];
    ck_assert_int_le(portrait_person_field_count, 100);
    ck_assert_int_le(portrait_look_field_count, 100);
    for (int i = 0; i < N; i++) {
        portrait_person(1, "p", i, &a);
        portrait_look(1, "p", i, 0, &la);
        for (int f = 0; f < portrait_person_field_count; f++)
            persons[i][f] = *(float *)((char *)&a + portrait_person_fields[f].offset);
        for (int f = 0; f < portrait_look_field_count; f++)
            looks[i][f] = *(float *)((char *)&la + portrait_look_fields[f].offset);
    }
    double worst = 0;
    for (int f = 0; f < portrait_person_field_count; f++)
        for (int g = 0; g < portrait_look_field_count; g++) {
            double sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
            for (int i = 0; i < N; i++) {
                double x = persons[i][f], y = looks[i][g];
                sx += x, sy += y, sxx += x * x, syy += y * y, sxy += x * y;
            }
            double r = fabs(sxy - sx * sy / N) / sqrt((sxx - sx * sx / N) * (syy - sy * sy / N));
            worst = r > worst ? r : worst;
        }
    ck_assert_msg(worst < 5 / sqrt(N), "correlation %g", worst);   /* about 3000 pairs of fields: 5 deviations */
}

/* The same look on other people gives other pictures; another light on the same person moves more than the noise. */
TEST(people_and_looks_show)
{
    static uint8_t a[S * S * 3], b[S * S * 3];
    PortraitPerson p, q;
    PortraitLook l, m;
    portrait_look(1, "p", 0, 0, &l);
    portrait_person(1, "p", 0, &p);
    MUST(portrait_render(&p, &l, S, a));
    for (int i = 1; i < 8; i++) {
        portrait_person(1, "p", i, &q);
        MUST(portrait_render(&q, &l, S, b));
        ck_assert(difference(a, b, sizeof a) > 4);
    }
    m = l;
    m.grain++;   /* noise and loose hair only */
    MUST(portrait_render(&p, &m, S, b));
    double noise = difference(a, b, sizeof a);
    ck_assert(noise > 0 && noise < 6);
    m = l;
    m.yaw = l.yaw > 0 ? -.3f : .3f;
    MUST(portrait_render(&p, &m, S, b));
    ck_assert(difference(a, b, sizeof a) > 2);
}

TEST(populations_are_disjoint)
{
    enum { N = 300 };
    static PortraitPerson all[3 * N];
    static const char *const names[3] = {"original", "validation", "test"};
    for (int k = 0; k < 3 * N; k++)
        portrait_person(1, names[k / N], k % N, &all[k]);
    for (int i = 0; i < 3 * N; i++)
        for (int j = 0; j < i; j++)
            ck_assert(all[i].grain != all[j].grain || all[i].nose_length != all[j].nose_length);
    PortraitPerson other;
    portrait_person(2, "original", 0, &other);
    ck_assert(memcmp(&other, &all[0], sizeof other));
}

/* The paper's Original: 482 people, 18,143 images, 4 to 130 of each (inventory 26). */
TEST(counts_are_exact)
{
    static int counts[5000], again[5000];
    PortraitPopulation original = *portrait_set("original");
    for (uint64_t world = 0; world < 20; world++) {
        ck_assert_int_eq(portraits_counts(world, &original, counts), 18143);
        int sum = 0, least = 1000, most = 0;
        for (int i = 0; i < 482; i++) {
            sum += counts[i];
            least = counts[i] < least ? counts[i] : least;
            most = counts[i] > most ? counts[i] : most;
        }
        ck_assert_int_eq(sum, 18143);
        ck_assert_int_eq(least, 4);
        ck_assert_int_eq(most, 130);
        ck_assert_int_eq(portraits_counts(world, &original, again), 18143);
        ck_assert(!memcmp(counts, again, 482 * sizeof *counts));
    }
    PortraitPopulation even = {"even", 5000, 2, 5, 0, 0, {{0}}};
    int seen[6] = {0}, sum = 0, n = portraits_counts(1, &even, counts);
    for (int i = 0; i < 5000; i++) {
        ck_assert(counts[i] >= 2 && counts[i] <= 5);
        seen[counts[i]]++;
        sum += counts[i];
    }
    ck_assert_int_eq(n, sum);
    for (int k = 2; k <= 5; k++)
        ck_assert(abs(seen[k] - 1250) < 5 * 31);
    /* the two ends of what is possible, and beyond */
    PortraitPopulation tight = {"tight", 10, 3, 7, 30, 0, {{0}}};
    ck_assert_int_eq(portraits_counts(1, &tight, counts), 30);
    tight.images_total = 70;
    ck_assert_int_eq(portraits_counts(1, &tight, counts), 70);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(counts[i], 7);
    tight.images_total = 71;
    ck_assert_int_eq(portraits_counts(1, &tight, counts), -1);
    tight.images_total = 29;
    ck_assert_int_eq(portraits_counts(1, &tight, counts), -1);
    tight.images_min = 8;
    ck_assert_int_eq(portraits_counts(1, &tight, counts), -1);
}

/* Validation and Test (inventory 44): London 102 people x 2, Multi-PIE 249 x 3 to 5 (999 images), FRAV2D 109 x 12. */
TEST(validation_and_test_come_from_three_studios)
{
    static const char *const names[2] = {"validation", "test"};
    static const int total[2] = {1281, 1230};
    int counts[230], people[PORTRAIT_CAMERAS] = {0}, images[PORTRAIT_CAMERAS] = {0};
    for (int set = 0; set < 2; set++) {
        const PortraitPopulation *p = portrait_set(names[set]);
        ck_assert_int_eq(p->people, 230);
        ck_assert_int_eq(portraits_counts(1, p, counts), total[set]);
        for (int i = 0; i < 230; i++) {
            int camera = portraits_camera(p, i);
            ck_assert(camera >= 1 && camera <= 3);
            ck_assert_int_ge(counts[i], camera == 1 ? 2 : camera == 2 ? 3 : 12);
            ck_assert_int_le(counts[i], camera == 1 ? 2 : camera == 2 ? 5 : 12);
            people[camera]++;
            images[camera] += counts[i];
        }
    }
    static const int whole[4] = {0, 102, 249, 109}, all[4] = {0, 204, 999, 1308};
    for (int camera = 1; camera <= 3; camera++) {
        ck_assert_int_eq(people[camera], whole[camera]);
        ck_assert_int_eq(images[camera], all[camera]);
    }
    const PortraitPopulation *frgc = portrait_set("frgc_test");
    ck_assert_int_eq(portraits_counts(1, frgc, counts), 3629);
    ck_assert_int_eq(frgc->people, 86);
    for (int i = 0; i < 86; i++)
        ck_assert(counts[i] >= 4 && counts[i] <= 120);
    ck_assert_ptr_null(portrait_set("nobody"));
    /* few people, and totals that the studios' own limits do not allow */
    PortraitPopulation small = *portrait_set("test");
    small.people = 8;
    for (small.images_total = 16; small.images_total < 400; small.images_total += 7) {
        int sum = 0;
        ck_assert_int_eq(portraits_counts(1, &small, counts), small.images_total);
        for (int i = 0; i < 8; i++) {
            ck_assert_int_ge(counts[i], 2);
            sum += counts[i];
        }
        ck_assert_int_eq(sum, small.images_total);
    }
    small.images_total = 15;
    ck_assert_int_eq(portraits_counts(1, &small, counts), -1);
}

static int stop_at_five(void *context, int done, int total)
{
    (void)total;
    *(int *)context = done;
    return done >= 5;
}

TEST(sets_do_not_depend_on_threads)
{
    PortraitPopulation p = {"set", 6, 2, 5, 20, 2, {{0}}};
    Faces one, two;
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
    MUST(portraits_faces(4, &p, 32, &one, NULL, NULL));
#ifdef _OPENMP
    omp_set_num_threads(2);
#endif
    int last = 0;
    MUST(portraits_faces(4, &p, 32, &two, NULL, NULL));
    ck_assert_int_eq(one.n, 20);
    ck_assert_int_eq(one.people, 6);
    ck_assert(!memcmp(one.pixels, two.pixels, 20 * 3 * 32 * 32));
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(one.person[i], two.person[i]);
        ck_assert_str_eq(one.sources[i], two.sources[i]);
        ck_assert(i == 0 || one.person[i] == one.person[i - 1] || one.person[i] == one.person[i - 1] + 1);
    }
    ck_assert_int_eq(one.person[0], 0);
    ck_assert_int_eq(one.person[19], 5);
    /* each picture, as planes, is the one that portrait_render draws with nothing kept from pictures before */
    for (int k = 0, number = 0; k < 20; k++) {
        PortraitPerson person;
        PortraitLook look;
        static uint8_t rgb[32 * 32 * 3];
        number = k > 0 && one.person[k] == one.person[k - 1] ? number + 1 : 0;
        portrait_person(4, "set", one.person[k], &person);
        portrait_look(4, "set", one.person[k], number, &look);
        look.camera = 2;
        MUST(portrait_render(&person, &look, 32, rgb));
        for (int i = 0; i < 32 * 32; i++)
            for (int ch = 0; ch < 3; ch++)
                ck_assert_int_eq(rgb[3 * i + ch], one.pixels[(3 * k + ch) * 32 * 32 + i]);
    }
    faces_free(&one);
    faces_free(&two);
    ck_assert_int_eq(portraits_faces(4, &p, 32, &one, stop_at_five, &last), -1);
    ck_assert_int_ge(last, 5);
    ck_assert_int_eq(portraits_faces(4, &p, 8, &one, NULL, NULL), -1);
    p.camera = PORTRAIT_CAMERAS;
    ck_assert_int_eq(portraits_faces(4, &p, 32, &one, NULL, NULL), -1);
}

static void set_all(const PortraitField *fields, int n, void *base, float sigma, unsigned signs)
{
    for (int i = 0; i < n; i++) {
        float sd = fields[i].sd > 0 ? fields[i].sd : .29f * (fields[i].high - fields[i].low);
        float mean = fields[i].sd > 0 ? fields[i].mean : .5f * (fields[i].high + fields[i].low);
        float sign = (signs * 2654435761u >> (i & 31)) & 1 ? 1.0f : -1.0f;
        *(float *)((char *)base + fields[i].offset) = mean + (signs ? sign : 1) * sigma * sd;
    }
}

/* Far outside what is drawn: nothing may be undefined (the sanitizers watch), nor the picture empty. */
TEST(absurd_numbers_still_draw)
{
    static uint8_t rgb[64 * 64 * 3];
    static const float sigmas[] = {-4, 4, 40};
    for (int k = 0; k < 3; k++)
        for (unsigned signs = 0; signs < 6; signs++) {
            PortraitPerson p;
            PortraitLook l;
            portrait_person(1, "absurd", (int)signs, &p);
            portrait_look(1, "absurd", 0, 0, &l);
            set_all(portrait_person_fields, portrait_person_field_count, &p, sigmas[k], signs);
            set_all(portrait_look_fields, portrait_look_field_count, &l, sigmas[k], signs * 77);
            for (int i = 0; i < 3 * PORTRAIT_WARP_ROWS * PORTRAIT_WARP_COLUMNS; i++)
                (&p.warp[0][0][0])[i] = sigmas[k] * (i % 3 ? 1 : -1);
            p.sex = p.east = p.south = sigmas[k] / 2;
            p.hair = (PortraitHair)(signs % PORTRAIT_HAIR_STYLES);
            p.beard = (PortraitBeard)(signs % PORTRAIT_BEARD_STYLES);
            l.camera = (int)(signs % PORTRAIT_CAMERAS);
            MUST(portrait_render(&p, &l, 24 + 8 * (int)signs, rgb));
        }
    /* numbers whose quotients and products are infinite or none at all */
    for (int k = 0; k < 3; k++) {
        PortraitPerson p;
        PortraitLook l;
        portrait_person(1, "absurd", k, &p);
        portrait_look(1, "absurd", k, 0, &l);
        for (int i = 0; i < portrait_person_field_count; i++)
            *(float *)((char *)&p + portrait_person_fields[i].offset) = k == 0 ? 0 : k == 1 ? 1e30f : i % 2 ? 3e38f : 0;
        MUST(portrait_render(&p, &l, 48, rgb));
    }
    /* every style, and none, at small and large sizes */
    static uint8_t large[256 * 256 * 3];
    for (int h = 0; h <= PORTRAIT_HAIR_STYLES; h++) {
        PortraitPerson p;
        PortraitLook l;
        portrait_person(1, "styles", h, &p);
        portrait_look(1, "styles", h, 0, &l);
        p.hair = (PortraitHair)h;
        MUST(portrait_render(&p, &l, PORTRAIT_MIN_SIZE, large));
        if (h % 3 == 0)
            MUST(portrait_render(&p, &l, 256, large));
    }
    PortraitPerson p;
    PortraitLook l;
    portrait_person(1, "p", 0, &p);
    portrait_look(1, "p", 0, 0, &l);
    ck_assert_int_eq(portrait_render(&p, &l, PORTRAIT_MIN_SIZE - 1, large), -1);
    ck_assert_int_eq(portrait_render(&p, &l, PORTRAIT_MAX_SIZE + 1, large), -1);
    l.camera = -1;
    ck_assert_int_eq(portrait_render(&p, &l, 32, large), -1);
}

TEST_MAIN("portraits", repeats_itself, equals_the_fixture, numbers_follow_their_tables,
          rare_looks_have_their_shares, halves_are_alike, identity_and_attributes_are_apart, people_and_looks_show,
          populations_are_disjoint, counts_are_exact, validation_and_test_come_from_three_studios,
          sets_do_not_depend_on_threads, absurd_numbers_still_draw)
