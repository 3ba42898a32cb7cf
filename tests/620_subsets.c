/* 620_subsets.c - parts of sets: the paper's counts, nothing twice, nobody in two parts, and fair draws. */
#include "tests/sets.h"
#include "tests/test.h"

static void assert_sound(const Faces *f)
{
    int last = -1;
    for (int i = 0; i < f->n; i++) {
        ck_assert(f->person[i] == last || f->person[i] == last + 1);
        last = f->person[i];
    }
    ck_assert_int_eq(last, f->people - 1);
}

/* Image i of `part` is image j of `whole`. */
static void assert_same_image(const Faces *part, int i, const Faces *whole, int j)
{
    size_t bytes = faces_bytes(whole);
    ck_assert_str_eq(part->sources[i], whole->sources[j]);
    ck_assert_str_eq(part->names[part->person[i]], whole->names[whole->person[j]]);
    ck_assert_mem_eq(part->pixels + (size_t)i * bytes, whole->pixels + (size_t)j * bytes, bytes);
}

TEST(select_copies_and_renumbers)
{
    Faces f = set_make(9, count_1_to_5, 3);
    int *first = faces_first(&f);
    int index[] = {first[7], first[2] + 2, first[2], first[2], first[5]}, sorted[] = {1, 2, 3, 4, 0};
    Faces part = faces_select(&f, index, 5);
    assert_sound(&part);
    ck_assert_int_eq(part.people, 3);
    for (int i = 0; i < 5; i++)
        assert_same_image(&part, i, &f, index[sorted[i]]);
    faces_free(&part);
    part = faces_select(&f, index, 0);
    ck_assert_int_eq(part.n, 0);
    ck_assert_int_eq(part.people, 0);
    faces_free(&part);
    faces_free(&f);
    free(first);
}

TEST(join_merges_people_of_one_name)
{
    Faces f = set_make(9, count_1_to_5, 3), g = set_make(5, count_1_to_5, 3), sum;
    Faces wrong = set_make(2, count_1_to_5, 4), none;
    free(g.names[1]);
    g.names[1] = must_strdup("somebody else");
    MUST(faces_join(&f, &g, &sum));
    assert_sound(&sum);
    ck_assert_int_eq(sum.n, f.n + g.n);
    ck_assert_int_eq(sum.people, 10);
    ck_assert_str_eq(sum.names[9], "somebody else");
    int *a = faces_first(&f), *b = faces_first(&g), *s = faces_first(&sum);
    for (int p = 0; p < 9; p++) {
        int more = p < 5 && p != 1 ? b[p + 1] - b[p] : 0, own = a[p + 1] - a[p];
        ck_assert_int_eq(s[p + 1] - s[p], own + more);
        for (int k = 0; k < own; k++)
            assert_same_image(&sum, s[p] + k, &f, a[p] + k);
        for (int k = 0; k < more; k++)
            assert_same_image(&sum, s[p] + own + k, &g, b[p] + k);
    }
    ck_assert_int_eq(faces_join(&f, &wrong, &none), -1);
    faces_free(&f);
    faces_free(&g);
    faces_free(&wrong);
    faces_free(&sum);
    free(a);
    free(b);
    free(s);
}

TEST(sizes_of_the_paper)
{
    ck_assert_int_eq(subset_size(18143, 0), 18143);
    ck_assert_int_eq(subset_size(18143, 1), 9072);
    ck_assert_int_eq(subset_size(18143, 2), 4536);
    ck_assert_int_eq(subset_size(18143, 3), 2268);
}

TEST(subsets_of_the_paper)
{
    Faces f = set_make(482, count_of_the_paper, 1);
    ck_assert_int_eq(f.n, 18143);
    uint8_t *in_larger = must_alloc(18143);
    int *index = must_alloc(18143 * sizeof *index), *first = faces_first(&f);
    memset(in_larger, 1, 18143);
    for (int halvings = 0; halvings <= 3; halvings++) {
        int n = subset_size(f.n, halvings), most = 0, count[482] = {0};
        MUST(faces_subset(&f, n, 17, index));
        uint8_t *in = must_zalloc(18143);
        for (int i = 0; i < n; i++) {
            ck_assert_int_ge(index[i], 0);
            ck_assert_int_lt(index[i], f.n);
            ck_assert(!i || index[i] > index[i - 1]);
            ck_assert(in_larger[index[i]]);
            in[index[i]] = 1;
            count[f.person[index[i]]]++;
        }
        for (int p = 0; p < 482; p++)
            most = count[p] > most ? count[p] : most;
        for (int p = 0; p < 482; p++)   /* in turn: nobody is more than one behind unless used up */
            ck_assert(count[p] >= most - 1 || count[p] == first[p + 1] - first[p]);
        free(in_larger);
        in_larger = in;
    }
    int *other = must_alloc(18143 * sizeof *other);
    MUST(faces_subset(&f, 2268, 17, other));
    ck_assert_mem_eq(index, other, 2268 * sizeof *index);
    MUST(faces_subset(&f, 2268, 18, other));
    ck_assert_mem_ne(index, other, 2268 * sizeof *index);
    ck_assert_int_eq(faces_subset(&f, 18144, 17, index), -1);
    ck_assert_int_eq(faces_subset(&f, 0, 17, index), -1);
    free(in_larger);
    free(index);
    free(other);
    free(first);
    faces_free(&f);
}

TEST(thirds_of_the_paper)
{
    Faces f = set_make(482, count_of_the_paper, 1);
    int *index = must_alloc(18143 * sizeof *index), count[3], at = 0, whose[482];
    static const int people[3] = {161, 161, 160};
    memset(whose, 0xff, sizeof whose);
    MUST(faces_thirds(&f, 5, index, count));
    for (int k = 0; k < 3; at += count[k++]) {
        Faces third = faces_select(&f, index + at, count[k]);
        ck_assert_int_eq(third.people, people[k]);
        for (int i = 0; i < count[k]; i++) {
            int p = f.person[index[at + i]];
            ck_assert(whose[p] == -1 || whose[p] == k);
            whose[p] = k;
        }
        faces_free(&third);
    }
    ck_assert_int_eq(at, 18143);
    Faces few = set_make(5, count_1_to_5, 1);
    ck_assert_int_eq(faces_thirds(&few, 5, index, count), -1);
    free(index);
    faces_free(&f);
    faces_free(&few);
}

static int two_hundred(int person) { (void)person; return 200; }

static int *lacking;   /* of each person, for the set below */
static int as_many_as_lack(int person) { return lacking[person]; }

static void rename_people(Faces *f, const char *as)
{
    for (int p = 0; p < f->people; p++) {
        free(f->names[p]);
        f->names[p] = must_printf("%s %d", as, p);
    }
}

/* The mixtures of inventory 38 to 40 and Table 5: how many images, of how many people. */
TEST(mixtures_of_the_paper)
{
    Faces original = set_make(482, count_of_the_paper, 1), identities = set_make(482, count_of_the_paper, 1);
    Faces big_identities = set_make(482, two_hundred, 1), sum, most;
    int more[482];
    rename_people(&identities, "new");
    rename_people(&big_identities, "new");
    ck_assert_int_eq(faces_top_up(&original, 200, more), 78257);
    ck_assert_int_eq(more[0], 196);
    ck_assert_int_eq(more[1], 70);
    lacking = more;
    Faces big_faces = set_make(482, as_many_as_lack, 1);   /* of Original's people */
    ck_assert_int_eq(faces_top_up(&original, 38, more), 34 + 230 + 1);   /* the last of the set has 37, too */
    ck_assert_int_eq(big_identities.n, 96400);

    MUST(faces_join(&original, &big_faces, &sum));
    ck_assert_int_eq(sum.n, 96400);
    ck_assert_int_eq(sum.people, 482);
    int *first = faces_first(&sum);
    for (int p = 0; p < 482; p++)
        ck_assert_int_eq(first[p + 1] - first[p], 200);
    free(first);
    faces_free(&sum);
    MUST(faces_join(&big_faces, &big_identities, &most));
    ck_assert_int_eq(most.n, 174657);
    MUST(faces_join(&original, &most, &sum));
    ck_assert_int_eq(sum.n, 18143 + 174657);
    ck_assert_int_eq(sum.people, 964);
    faces_free(&sum);
    faces_free(&most);
    MUST(faces_join(&original, &identities, &sum));   /* as many as New Faces and New Identities together */
    ck_assert_int_eq(sum.n, 36286);
    ck_assert_int_eq(sum.people, 964);
    faces_free(&sum);
    faces_free(&original);
    faces_free(&identities);
    faces_free(&big_identities);
    faces_free(&big_faces);
}

/* New Faces (inventory 37, 100): everybody receives the images of somebody else, and all 18,143 are used. */
TEST(donors_of_new_faces)
{
    Faces f = set_make(482, count_of_the_paper, 1);
    int donor[482], n = 0, *first = faces_first(&f);
    derangement(482, 1, donor);
    for (int p = 0; p < 482; p++) {
        ck_assert_int_ne(donor[p], p);
        n += first[donor[p] + 1] - first[donor[p]];
    }
    ck_assert_int_eq(n, 18143);
    free(first);
    faces_free(&f);
}

TEST(split_by_people)
{
    enum { PEOPLE = 100 };
    const double fractions[] = {0.5, 0.25, 0.125, 0.125}, three[] = {0.3, 0.3, 0.3};
    static const int people[] = {50, 25, 13, 12};   /* cuts at 50, 75, 88 (87.5 rounded), 100 */
    int part[PEOPLE], again[PEOPLE], count[4] = {0};
    MUST(people_split(PEOPLE, 3, fractions, 4, part));
    MUST(people_split(PEOPLE, 3, fractions, 4, again));
    ck_assert_mem_eq(part, again, sizeof part);
    for (int p = 0; p < PEOPLE; p++) {
        ck_assert(part[p] >= 0 && part[p] < 4);
        count[part[p]]++;
    }
    ck_assert_mem_eq(count, people, sizeof count);
    MUST(people_split(PEOPLE, 4, fractions, 4, again));
    ck_assert_mem_ne(part, again, sizeof part);
    MUST(people_split(PEOPLE, 3, three, 3, part));
    int left = 0;
    memset(count, 0, sizeof count);
    for (int p = 0; p < PEOPLE; p++) {
        left += part[p] == -1;
        if (part[p] >= 0)
            count[part[p]]++;
    }
    ck_assert_int_eq(left, 10);
    for (int k = 0; k < 3; k++)
        ck_assert_int_eq(count[k], 30);
    const double much[] = {0.9, 0.2}, none[] = {0.5, 0}, little[] = {0.98, 0.02};
    ck_assert_int_eq(people_split(PEOPLE, 3, much, 2, part), -1);
    ck_assert_int_eq(people_split(PEOPLE, 3, none, 2, part), -1);
    MUST(people_split(PEOPLE, 3, little, 2, part));   /* 2 people */
    ck_assert_int_eq(people_split(PEOPLE, 3, (double[]){0.99, 0.01}, 2, part), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "part 2"));
}

TEST(derangements_are_uniform)
{
    enum { DRAWS = 9000 };
    int count[256] = {0}, kinds = 0, to[500];
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        derangement(4, seed, to);
        count[to[0] * 64 + to[1] * 16 + to[2] * 4 + to[3]]++;
    }
    double chi = 0;
    for (int k = 0; k < 256; k++) {
        kinds += count[k] > 0;
        chi += count[k] ? (count[k] - 1000.0) * (count[k] - 1000.0) / 1000 : 0;
    }
    ck_assert_int_eq(kinds, 9);
    ck_assert_msg(chi < 26.1, "chi-squared with 8 degrees of freedom: %g, above its 99.9 %% point", chi);
    for (int n = 2; n <= 482; n += n < 20 ? 1 : 77) {
        char used[500] = {0};
        derangement(n, 7, to);
        for (int i = 0; i < n; i++) {
            ck_assert_int_ne(to[i], i);
            ck_assert(to[i] >= 0 && to[i] < n && !used[to[i]]);
            used[to[i]] = 1;
        }
    }
}

TEST_MAIN("subsets", select_copies_and_renumbers, join_merges_people_of_one_name, sizes_of_the_paper,
          subsets_of_the_paper, thirds_of_the_paper, mixtures_of_the_paper, donors_of_new_faces, split_by_people, derangements_are_uniform)
