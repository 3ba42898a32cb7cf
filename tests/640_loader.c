/* 640_loader.c - batches: every image once an epoch, equal for equal seeds, and the same after a seek. */
#include "data/loader.h"

#include <malloc.h>
#include <unistd.h>

#include "tests/sets.h"
#include "tests/test.h"

static void assert_equal(const Batch *a, const Batch *b, int n, size_t bytes)
{
    ck_assert_int_eq(a->step, b->step);
    ck_assert_mem_eq(a->index, b->index, (size_t)n * 4);
    ck_assert_mem_eq(a->person, b->person, (size_t)n * 4);
    ck_assert_mem_eq(a->pixels, b->pixels, (size_t)n * bytes);
}

TEST(every_image_at_most_once_an_epoch)
{
    enum { B = 7 };
    Faces f = set_make(30, count_1_to_5, 4);
    Loader *l = loader_create(&f, B, 3);
    HAVE(l);
    long steps = loader_steps_per_epoch(l);
    ck_assert_int_eq(steps, f.n / B);
    int order[3][256], differ = 0;
    for (int epoch = 0; epoch < 3; epoch++) {
        char seen[256] = {0};
        for (long s = 0; s < steps; s++) {
            const Batch *b = loader_next(l);
            ck_assert_int_eq(b->step, epoch * steps + s);
            for (int i = 0; i < B; i++) {
                int k = b->index[i];
                ck_assert(k >= 0 && k < f.n && !seen[k]);
                seen[k] = 1;
                order[epoch][s * B + i] = k;
                ck_assert_int_eq(b->person[i], f.person[k]);
                ck_assert_mem_eq(b->pixels + (size_t)i * faces_bytes(&f), f.pixels + (size_t)k * faces_bytes(&f),
                                 faces_bytes(&f));
            }
        }
        differ += epoch && memcmp(order[0], order[epoch], (size_t)steps * B * sizeof(int));
    }
    ck_assert_int_eq(differ, 2);
    loader_free(l);
    faces_free(&f);
}

TEST(equal_seeds_equal_batches)
{
    Faces f = set_make(30, count_1_to_5, 4);
    Loader *a = loader_create(&f, 8, 3), *b = loader_create(&f, 8, 3), *c = loader_create(&f, 8, 4);
    HAVE(a);
    HAVE(b);
    HAVE(c);
    int differ = 0;
    for (int i = 0; i < 50; i++) {
        const Batch *x = loader_next(a), *y = loader_next(b), *z = loader_next(c);
        assert_equal(x, y, 8, faces_bytes(&f));
        differ += memcmp(x->index, z->index, 8 * 4) != 0;
    }
    ck_assert_int_ge(differ, 49);
    loader_free(a);
    loader_free(b);
    loader_free(c);
    faces_free(&f);
}

TEST(seek_is_as_many_calls_of_next)
{
    Faces f = set_make(30, count_1_to_5, 4);
    Loader *a = loader_create(&f, 8, 3), *b = loader_create(&f, 8, 3);
    HAVE(a);
    HAVE(b);
    for (int k = 0; k < 40; k++) {
        const Batch *x = loader_next(a);
        loader_seek(b, k);
        assert_equal(x, loader_next(b), 8, faces_bytes(&f));
    }
    for (int i = 0; i < 200; i++) {   /* here and there, at every moment of the thread's work */
        long k = (long)i * 7919 % 1000;
        loader_seek(a, k);
        if (i % 3)
            usleep((useconds_t)(i % 5 * 20));
        loader_seek(b, k - k % 4);
        for (long s = k - k % 4; s < k; s++)
            loader_next(b);
        assert_equal(loader_next(a), loader_next(b), 8, faces_bytes(&f));
    }
    loader_seek(a, 1000000007L);
    ck_assert_int_eq(loader_next(a)->step, 1000000007L);
    loader_free(a);
    loader_free(b);
    faces_free(&f);
}

TEST(batch_stays_until_the_next_call)
{
    Faces f = set_make(30, count_1_to_5, 4);
    Loader *l = loader_create(&f, 8, 3);
    HAVE(l);
    for (int i = 0; i < 20; i++) {
        const Batch *b = loader_next(l);
        int32_t before[8];
        memcpy(before, b->index, sizeof before);
        usleep(2000);   /* the thread has time to fill all it may */
        ck_assert_mem_eq(before, b->index, sizeof before);
        ck_assert_int_eq(b->step, i);
    }
    loader_free(l);
    faces_free(&f);
}

/* Nothing is taken while it runs: neither in many epochs nor with seeks. */
TEST(constant_memory)
{
    Faces f = set_make(30, count_1_to_5, 16);
    Loader *l = loader_create(&f, 8, 3);
    HAVE(l);
    for (int i = 0; i < 20; i++)
        loader_next(l);
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 5000; i++) {
        if (i % 100 == 99)
            loader_seek(l, i * 7L);
        loader_next(l);
    }
    ck_assert_uint_eq(mallinfo2().uordblks, before);
    loader_free(l);
    faces_free(&f);
}

TEST(borders)
{
    Faces f = set_make(3, count_1_to_5, 4);   /* 9 images */
    ck_assert_ptr_null(loader_create(&f, 10, 3));
    ck_assert_ptr_nonnull(strstr(error_text(), "a batch of 10 from 9 images"));
    ck_assert_ptr_null(loader_create(&f, 0, 3));
    loader_free(NULL);
    for (int i = 0; i < 50; i++) {   /* ends cleanly at once, and after some work */
        Loader *l = loader_create(&f, 9, 3);
        HAVE(l);
        ck_assert_int_eq(loader_steps_per_epoch(l), 1);
        for (int k = 0; k < i % 7; k++)
            loader_next(l);
        loader_free(l);
    }
    faces_free(&f);
}

TEST_MAIN("loader", every_image_at_most_once_an_epoch, equal_seeds_equal_batches, seek_is_as_many_calls_of_next,
          batch_stays_until_the_next_call, constant_memory, borders)
