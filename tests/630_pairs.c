/* 630_pairs.c - pairs to compare: valid, unique, fair, stored and read back; and CSV itself. */
#include "data/pairs.h"

#include "data/csv.h"
#include "tests/pictures.h"
#include "tests/sets.h"

static void assert_valid(const Pairs *p, const Faces *f, int matching, int other)
{
    ck_assert_int_eq(p->n, matching + other);
    for (int i = 0; i < p->n; i++) {
        ck_assert(0 <= p->a[i] && p->a[i] < p->b[i] && p->b[i] < f->n);
        ck_assert_int_eq(p->match[i], i < matching);
        ck_assert_int_eq(p->match[i], f->person[p->a[i]] == f->person[p->b[i]]);
        if (i && i != matching)   /* strictly ascending: no pair twice */
            ck_assert(p->a[i] > p->a[i - 1] || (p->a[i] == p->a[i - 1] && p->b[i] > p->b[i - 1]));
    }
}

TEST(three_thousand_of_each)
{
    Faces f = set_make(482, count_of_the_paper, 1);
    Pairs p, q;
    int64_t same = 0;
    for (int k = 0; k < 482; k++)
        same += (int64_t)count_of_the_paper(k) * (count_of_the_paper(k) - 1) / 2;
    ck_assert_int_eq(pairs_possible(&f, 1), same);
    ck_assert_int_eq(pairs_possible(&f, 0), (int64_t)18143 * 18142 / 2 - same);
    MUST(pairs_sample(&f, 3000, 3000, 1, &p));
    ck_assert_ptr_null(p.note);
    assert_valid(&p, &f, 3000, 3000);
    MUST(pairs_sample(&f, 3000, 3000, 1, &q));
    ck_assert_mem_eq(p.a, q.a, 6000 * 4);
    ck_assert_mem_eq(p.b, q.b, 6000 * 4);
    pairs_free(&q);
    MUST(pairs_sample(&f, 3000, 3000, 2, &q));
    ck_assert_mem_ne(p.a, q.a, 6000 * 4);
    pairs_free(&p);
    pairs_free(&q);
    faces_free(&f);
}

/* Five draws of a set (inventory 48): each valid and stored, no two alike. */
TEST(five_draws)
{
    char *folder = folder_make();
    Faces f = set_make(482, count_of_the_paper, 1);
    Pairs draw[5], back;
    for (int k = 0; k < 5; k++) {
        char *path = must_printf("%s/%d.csv", folder, k);
        MUST(pairs_sample(&f, 3000, 3000, (uint64_t)k + 1, &draw[k]));
        assert_valid(&draw[k], &f, 3000, 3000);
        MUST(pairs_save(&draw[k], &f, path));
        MUST(pairs_load(path, &f, &back));
        ck_assert_mem_eq(draw[k].a, back.a, 6000 * 4);
        ck_assert_mem_eq(draw[k].b, back.b, 6000 * 4);
        pairs_free(&back);
        for (int i = 0; i < k; i++) {   /* of some hundred thousand and 160 million possible ones few are drawn twice */
            int same = 0;
            for (int a = 0, b = 0; a < 6000 && b < 6000;) {
                int64_t x = (int64_t)(a >= 3000) * 400000000 + (int64_t)draw[i].a[a] * 18143 + draw[i].b[a];
                int64_t y = (int64_t)(b >= 3000) * 400000000 + (int64_t)draw[k].a[b] * 18143 + draw[k].b[b];
                same += x == y;
                a += x <= y;
                b += y <= x;
            }
            ck_assert_int_lt(same, 60);   /* 3000^2 / 335,577 = 27 matching ones are expected, within five deviations */
        }
        free(path);
    }
    for (int k = 0; k < 5; k++)
        pairs_free(&draw[k]);
    faces_free(&f);
    folder_remove(folder);
}

TEST(all_that_are_possible)
{
    Faces f = set_make(6, count_1_to_5, 1);   /* 1 3 5 2 4 1 images: 0 3 10 1 6 0 matching pairs, 16 * 15 / 2 in all */
    Pairs p;
    MUST(pairs_sample(&f, 20, 100, 1, &p));
    ck_assert_ptr_null(p.note);
    assert_valid(&p, &f, 20, 100);
    pairs_free(&p);
    MUST(pairs_sample(&f, 3000, 50, 1, &p));
    assert_valid(&p, &f, 20, 50);
    ck_assert_ptr_nonnull(p.note);
    ck_assert_ptr_nonnull(strstr(p.note, "20 matching and 50 other pairs instead of 3000 and 50"));
    pairs_free(&p);
    MUST(pairs_sample(&f, 0, 1000, 1, &p));
    assert_valid(&p, &f, 0, 100);
    ck_assert_ptr_nonnull(p.note);
    pairs_free(&p);
    int lonely[] = {0, 15};
    Faces two = faces_select(&f, lonely, 2), one = faces_select(&f, (int[]){4, 5}, 2);
    ck_assert_int_eq(pairs_sample(&two, 1, 1, 1, &p), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "no matching pairs"));
    ck_assert_int_eq(pairs_sample(&one, 1, 1, 1, &p), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "only one person"));
    ck_assert_int_eq(pairs_sample(&f, -1, 1, 1, &p), -1);
    faces_free(&two);
    faces_free(&one);
    faces_free(&f);
}

/* Every pair is as likely as every other of its kind. */
TEST(draws_are_uniform)
{
    enum { DRAWS = 4000 };
    Faces f = set_make(6, count_1_to_5, 1);
    int count[2][16 * 16] = {{0}};
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        Pairs p;
        MUST(pairs_sample(&f, 5, 25, seed, &p));
        for (int i = 0; i < p.n; i++)
            count[p.match[i]][p.a[i] * 16 + p.b[i]]++;
        pairs_free(&p);
    }
    for (int match = 0; match < 2; match++) {
        int kinds = 0;
        for (int k = 0; k < 256; k++) {
            if (!count[match][k])
                continue;
            kinds++;   /* a quarter of all draws; 4.5 standard deviations over 120 kinds: 1 seed in 1,200 fails */
            ck_assert_int_le(abs(count[match][k] - DRAWS / 4), 123);
        }
        ck_assert_int_eq(kinds, match ? 20 : 100);
    }
    faces_free(&f);
}

static void write_text(const char *path, const char *text)
{
    MUST(file_write(path, text, strlen(text)));
}

TEST(stored_and_read_back)
{
    char *folder = folder_make(), *path = must_printf("%s/pairs.csv", folder);
    Faces f = set_make(23, count_1_to_5, 1);   /* its sources hold commas and quotes */
    Pairs p, q;
    MUST(pairs_sample(&f, 30, 40, 9, &p));
    MUST(pairs_save(&p, &f, path));
    MUST(pairs_load(path, &f, &q));
    ck_assert_int_eq(q.n, 70);
    ck_assert_mem_eq(p.a, q.a, 70 * 4);
    ck_assert_mem_eq(p.b, q.b, 70 * 4);
    ck_assert_mem_eq(p.match, q.match, 70);
    pairs_free(&q);

    Faces fewer = set_make(22, count_1_to_5, 1);   /* other sets: too small, other sources, other people */
    ck_assert_int_eq(pairs_load(path, &fewer, &q), -1);
    faces_free(&fewer);
    free(f.sources[p.b[3]]);
    f.sources[p.b[3]] = must_strdup("other");
    ck_assert_int_eq(pairs_load(path, &f, &q), -1);
    ck_assert_ptr_nonnull(strstr(error_text(), "another set"));
    pairs_free(&p);
    faces_free(&f);

    Faces g = set_make(2, count_1_to_5, 1);   /* images 0 | 1 2 3 */
    for (int i = 0; i < 4; i++) {
        free(g.sources[i]);
        g.sources[i] = must_printf("%c", 'p' + i);
    }
    static const struct { const char *text, *why; } bad[] = {
        {"", "first line"},
        {"a,b,match\n0,1,0\n", "first line"},
        {"a,b,match,source_a,source_b\n", "no pairs"},
        {"a,b,match,source_a,source_b\n0,1,0,p,q\n0,1,0,p,q\n", "second time"},
        {"a,b,match,source_a,source_b\n0,1,1,p,q\n", "match is 1"},
        {"a,b,match,source_a,source_b\n0,4,0,p,q\n", "line 2"},
        {"a,b,match,source_a,source_b\n1,1,1,q,q\n", "a < b"},
        {"a,b,match,source_a,source_b\n0,-1,0,p,q\n", "line 2"},
        {"a,b,match,source_a,source_b\n0,1,0,p\n", "line 2"},
        {"a,b,match,source_a,source_b\n0,1,0,p,q,r\n", "more than 5"},
        {"a,b,match,source_a,source_b\n0,1x,0,p,q\n", "line 2"},
        {"a,b,match,source_a,source_b\n0,99999999999999999999,0,p,q\n", "line 2"},
        {"a,b,match,source_a,source_b\n0,1,0,p,\"q\n", "without its partner"},
        {"a,b,match,source_a,source_b\r0,1,0,p,q\r0,2,0,p,r\r0,3,0,p,s\r1,2,1,q,r\r1,3,1,q,x\r", "another set"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(path, bad[i].text);
        ck_assert_int_eq(pairs_load(path, &g, &q), -1);
        if (!strstr(error_text(), bad[i].why))
            ck_abort_msg("\"%s\" was refused for: %s", bad[i].text, error_text());
    }
    write_text(path, "\xef\xbb\xbf" "a,b,match,source_a,source_b\r\n0,1,0,p,q\r\n\r\n1,3,1,\"q\",s");
    MUST(pairs_load(path, &g, &q));
    ck_assert_int_eq(q.n, 2);
    pairs_free(&q);
    MUST(file_write(path, "a\0b", 3));
    ck_assert_int_eq(pairs_load(path, &g, &q), -1);
    faces_free(&g);
    free(path);
    folder_remove(folder);
}

TEST(csv_fields)
{
    char *folder = folder_make(), *path = must_printf("%s/x.csv", folder), *field[8];
    static const char *const texts[] = {"plain", "", "a,b", "say \"no\"", "two\nlines", "\r", "\"", " "};
    FileWriter w;
    Csv csv;
    MUST(file_open(&w, path));
    for (int i = 0; i < 8; i++) {
        csv_put(w.stream, texts[i]);
        putc(i < 7 ? ',' : '\n', w.stream);
    }
    fputs("\n\nlast,,\n", w.stream);
    MUST(file_commit(&w));
    MUST(csv_open(&csv, path));
    ck_assert_int_eq(csv_row(&csv, field, 8), 8);
    for (int i = 0; i < 8; i++)
        ck_assert_str_eq(field[i], texts[i]);
    ck_assert_int_eq(csv_row(&csv, field, 8), 3);
    ck_assert_str_eq(field[0], "last");
    ck_assert_str_eq(field[2], "");
    ck_assert_int_eq(csv.line, 5);
    ck_assert_int_eq(csv_row(&csv, field, 8), 0);
    ck_assert_int_eq(csv_row(&csv, field, 8), 0);
    csv_close(&csv);
    free(path);
    folder_remove(folder);
}

TEST_MAIN("pairs", three_thousand_of_each, five_draws, all_that_are_possible, draws_are_uniform, stored_and_read_back, csv_fields)
