/* Step 6: the engine's kernel, kernels/cuda/batch_norm.cu, through the engine: two ops are recorded, the plan runs one.
 * Its results are held against the loop of kernels/reference in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"   /* to say which ops the plan runs, and their bytes */
#include "ops.h"

enum { B = 4, C = 40, SIDE = 6, N = B * C * SIDE * SIDE };

/* leaky_relu(batch_norm(x)) on a device, as doubles; the plan's ops and their bytes are printed if asked for. */
static int compute(const char *device, const float *x, double *y, bool tell)
{
    Store *s = store_create(device, 1);
    if (!s)
        return -1;
    Prog *p = prog_create(s);
    Val in = prog_input(p, "x", F32, SHAPE(B, C, SIDE, SIDE));
    Val gamma = prog_param(p, "gamma", SHAPE(C), (Init){INIT_UNIFORM, 2}), beta = prog_param(p, "beta", SHAPE(C),
                                                                                          (Init){INIT_NORMAL, 1});
    BatchNorm n = op_batch_norm(in, gamma, beta, NONE, NONE, (BatchNormAttrs){.training = true});
    Val out = op_leaky_relu(n.y, 0.2f);
    Plan *plan = plan_compile(p, (PlanOpts){.name = "step 6", .outputs = VALS(out)});
    int bad = !plan || prog_write(p, in, x) || plan_run(plan) || plan_read_double(plan, out, y);
    for (int i = 0; tell && !bad && i < plan->nsteps; i++)
        printf("6 the engine, %-37s (%d, %d, %d): %.2f bytes an element by its cost\n", plan->steps[i].call.op->name,
               B, C, SIDE * SIDE, plan->steps[i].bytes / N);
    plan_free(plan);
    prog_free(p);
    store_free(s);
    return bad;
}

int main(void)
{
    static float x[N];
    static double want[N], got[N];
    double worst = 0;
    for (int i = 0; i < N; i++)
        x[i] = 3 + 2 * sinf((float)(i * i % 1009));
    if (compute("reference64", x, want, false) || compute("cuda", x, got, true)) {
        printf("6 the engine: %s\n", error_text());
        return strstr(error_text(), "no usable GPU") ? 77 : 1;
    }
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(got[i] - want[i]) / (1 + fabs(want[i])));
    printf("6 the engine: largest error %.1e%s\n", worst, worst < 1e-5 ? "" : ": WRONG");
    return worst < 1e-5 ? 0 : 1;
}
