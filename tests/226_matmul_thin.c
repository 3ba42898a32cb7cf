/* 226_matmul_thin.c - matrix products with few rows or few terms on the CPU, against the double reference: sizes that
 * fill its tiles, chunks and vectors, and sizes one off. */
#include "tests/programs.h"
#include "tests/tolerance.h"
#include "tests/ops.h"

static void print_choices(const void *plan, FILE *to)
{
    MUST(plan_choices(plan, to));
}

static double *product(const char *device, MatmulAttrs a, Shape xs, Shape ws, bool bias, int64_t *count)
{
    Store *s = store_create(device, 1);
    HAVE(s);
    Prog *p = prog_create(s);
    Val x = prog_input(p, "x", F32, xs), w = prog_input(p, "w", F32, ws);
    int64_t n = a.transpose_w ? ws.dim[0] : ws.dim[1];
    Val b = bias ? prog_input(p, "b", F32, SHAPE(n)) : NONE, y = op_matmul(x, w, b, a);
    Plan *plan = plan_must(p, VALS(y), (Vals){0});
    write_normals(p, x, 1);
    write_normals(p, w, 2);
    if (bias)
        write_normals(p, b, 3);
    MUST(plan_run(plan));
    *count = shape_count(val_shape(y));
    double *out = must_alloc(sizeof *out * (size_t)*count);
    MUST(plan_read_double(plan, y, out));
    if (!strcmp(device, "cpu")) {
        char *text = printed(print_choices, plan);
        ck_assert_msg(count_of(text, "\tthin") == 1, "%s", text);
        free(text);
    }
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return out;
}

static void compare(MatmulAttrs a, Shape xs, Shape ws, bool bias)
{
    int64_t n, same;
    double *got = product("cpu", a, xs, ws, bias, &n), *want = product("reference64", a, xs, ws, bias, &same);
    ck_assert_int_eq(n, same);
    double scale = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs(want[i]));
        worst = fmax(worst, isnan(got[i]) ? INFINITY : fabs(got[i] - want[i]));
    }
    ck_assert_msg(worst <= TOLERANCE_FLOAT * scale, "x (%ld,%ld)%s w (%ld,%ld)%s: off by %g of %g", (long)xs.dim[0],
                  (long)xs.dim[1], a.transpose_x ? "^T" : "", (long)ws.dim[0], (long)ws.dim[1],
                  a.transpose_w ? "^T" : "", worst, scale);
    free(got);
    free(want);
}

static const int64_t few[] = {1, 3, 4, 5, 8, 9, 12, 16, 21, 31, 32};
enum { FEW = sizeof few / sizeof *few };

/* y = x w^T: chunks of 1,024 terms, 3 rows of w, 4 or 8 of x. */
TEST(rows_by_rows)
{
    static const int64_t terms[] = {256, 1024, 1031, 2080, 3077};
    for (int i = 0; i < FEW; i++)
        for (int k = 0; k < 5; k++)
            compare((MatmulAttrs){.transpose_w = true}, SHAPE(few[i], terms[k]), SHAPE(1 + (i * 5 + k) % 11, terms[k]),
                    k == 2);
}

/* y = x w: chunks of 192 columns, 48 or 16 at a time, 8 rows of w. */
TEST(rows_of_sums)
{
    static const int64_t columns[] = {256, 288, 384, 400, 771};
    for (int i = 0; i < FEW; i++)
        for (int n = 0; n < 5; n++) {
            int64_t k = 1 + (i * 7 + n * 5) % 27;
            compare((MatmulAttrs){0}, SHAPE(few[i], k), SHAPE(k, columns[n]), n == 2);
        }
}

/* y = x^T w: tiles of 8 rows by 48 columns, chunks of 128 by 480; past the caches, and nearly. */
TEST(sums_of_outer_products)
{
    static const int64_t rows[] = {1, 8, 13, 128, 131}, columns[] = {256, 480, 487, 528, 977};
    for (int i = 0; i < FEW; i++)
        for (int n = 0; n < 5; n++)
            compare((MatmulAttrs){.transpose_x = true}, SHAPE(few[i], rows[(i + n) % 5]), SHAPE(few[i], columns[n]),
                    n == 2);
    compare((MatmulAttrs){.transpose_x = true}, SHAPE(3, 517), SHAPE(3, 8208), false);
    compare((MatmulAttrs){.transpose_x = true}, SHAPE(2, 513), SHAPE(2, 8213), false);
}

TEST_MAIN("thin matrix products", rows_by_rows, rows_of_sums, sums_of_outer_products)
