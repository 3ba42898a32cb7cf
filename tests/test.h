/* test.h - the little that every test program shares: one suite a file, on Check.
 *
 *     TEST(adds) { ck_assert_int_eq(1 + 1, 2); }
 *     TEST_MAIN("arithmetic", adds)
 *
 * Each TEST runs in its own process (CK_FORK=no for a debugger); CK_RUN_CASE is the name of one test.
 * A test that lacks what it needs says SKIP("why") and returns; tests/run counts those lines. */
#ifndef GUISE_TEST_H
#define GUISE_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/error.h"

#include <check.h>
#undef fail   /* Check's old name for ck_abort: ours is engine/error.h's */

#define TEST(name) START_TEST(name)
#define SKIP(...) do { printf("SKIP " __VA_ARGS__); printf("\n"); fflush(stdout); return; } while (0)

/* What must work for the test to mean anything: a call that returns 0, or a pointer that is not NULL. */
#define MUST(call) do { if (call) ck_abort_msg("%s: %s", #call, error_text()); } while (0)
#define HAVE(pointer) do { if (!(pointer)) ck_abort_msg("%s: %s", #pointer, error_text()); } while (0)

static inline int test_main(const char *suite, const TTest *const *tests, int n)
{
    Suite *s = suite_create(suite);
    for (int i = 0; i < n; i++) {
        TCase *c = tcase_create(tests[i]->name);
        tcase_set_timeout(c, 600);   /* against hangs only: speed is not tested here */
        tcase_add_test(c, tests[i]);
        suite_add_tcase(s, c);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST_MAIN(suite, ...)                                             \
    int main(void)                                                        \
    {                                                                     \
        const TTest *tests[] = {__VA_ARGS__};                             \
        return test_main(suite, tests, (int)(sizeof tests / sizeof *tests)); \
    }

#endif
