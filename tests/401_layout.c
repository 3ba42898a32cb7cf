/* 401_layout.c - where a plan's values live: every buffer that is needed at a step keeps its bytes to itself.
 * The test goes over the devices of this build; cuda needs a GPU or the emulator. */
#include "tests/programs.h"

static const char *const devices[] = {"reference", "reference64", "cpu", "cuda"};
enum { DEVICES = 4 };

/* Lifetimes counted again from the improved program alone: [first, last] of the bytes under each root. */
static void lifetimes(const Plan *plan, int *first, int *last)
{
    const Prog *q = plan->q;
    int *step = must_alloc(sizeof *step * (size_t)(q->nnodes + 1));
    for (int n = 0; n < q->nnodes; n++)
        step[n] = -1;
    for (int t = 0; t < plan->nsteps; t++)
        step[plan->steps[t].node] = t;
    for (int v = 0; v < q->nvalues; v++) {
        first[v] = plan->nsteps + 1;
        last[v] = -1;
    }
    for (int n = 0; n < q->nnodes; n++) {
        if (step[n] < 0)
            continue;
        for (int j = 0; j < q->nodes[n].nout; j++) {
            int r = plan->root[q->nodes[n].out[j]];
            first[r] = step[n] < first[r] ? step[n] : first[r];
            last[r] = step[n] > last[r] ? step[n] : last[r];
        }
        for (int i = 0; i < q->nodes[n].nin; i++) {
            int r = q->nodes[n].in[i] ? plan->root[q->nodes[n].in[i]] : 0;
            last[r] = r && step[n] > last[r] ? step[n] : last[r];
        }
    }
    for (int c = 0; c < plan->ncopies; c++)
        last[plan->root[plan->copies[c].value]] = plan->nsteps;
    free(step);
}

/* Bytes of the arena that a value or a step's workspace holds over some steps. */
typedef struct Held {
    size_t from, to;
    int first, last;
} Held;

static int held_by(const Plan *plan, const int *first, const int *last, Held *held)
{
    int n = 0;
    for (int v = 1; v < plan->q->nvalues; v++) {
        const Place *place = &plan->places[v];
        if (plan->root[v] == v && place->where == IN_ARENA && place->bytes && last[v] >= 0)
            held[n++] = (Held){place->offset, place->offset + place->bytes, first[v], last[v]};
    }
    for (int t = 0; t < plan->nsteps; t++)
        if (plan->steps[t].call.workspace_bytes)
            held[n++] = (Held){plan->steps[t].workspace_offset,
                               plan->steps[t].workspace_offset + plan->steps[t].call.workspace_bytes, t, t};
    return n;
}

/* A result in an operand's place: nobody may read what stood there before after the step, nor anything else at it. */
static int check_in_place(const Plan *plan, int number)
{
    const Prog *q = plan->q;
    int found = 0;
    for (int v = 1; v < q->nvalues; v++) {
        int r = plan->root[v];
        if (r == v || q->values[v].from != FROM_NODE || (q->nodes[q->values[v].source].op->flags & OP_VIEW))
            continue;
        found++;
        int made = q->values[v].source, at_it = 0;
        for (int u = 1; u < q->nvalues; u++) {
            if (plan->root[u] != r || u >= v)
                continue;   /* ids grow with the order of nodes */
            for (int n = made; n < q->nnodes; n++)
                for (int i = 0; i < q->nodes[n].nin; i++)
                    if (q->nodes[n].in[i] == u) {
                        ck_assert_msg(n == made, "program %d: value %d is overwritten by %d and read later", number, u,
                                      v);
                        at_it++;
                    }
            for (int i = 0; i < q->noutputs; i++)
                ck_assert_msg(q->outputs[i] != u, "program %d: output %d is overwritten", number, u);
        }
        ck_assert_msg(at_it <= 1, "program %d: step of value %d reads its own place twice", number, v);
    }
    return found;
}

static void check_layout(const Plan *plan, bool shared, int number, int *in_place)
{
    const Prog *q = plan->q;
    int *first = must_alloc(sizeof *first * (size_t)q->nvalues), *last = must_alloc(sizeof *last * (size_t)q->nvalues);
    Held *held = must_alloc(sizeof *held * (size_t)(q->nvalues + plan->nsteps + 1));
    lifetimes(plan, first, last);
    int n = held_by(plan, first, last, held);
    size_t all = 0, alignment = plan->device->alignment;
    for (int i = 0; i < n; i++) {
        ck_assert_uint_le(held[i].to, plan->arena_bytes);
        ck_assert_uint_eq(held[i].from % alignment, 0);
        all += (held[i].to - held[i].from + alignment - 1) / alignment * alignment;
        for (int j = 0; j < i; j++) {
            bool together = held[i].first <= held[j].last && held[j].first <= held[i].last;
            bool overlap = held[i].from < held[j].to && held[j].from < held[i].to;
            ck_assert_msg(!overlap || (shared && !together),
                          "program %d: bytes %zu..%zu of steps %d to %d and %zu..%zu of steps %d to %d overlap", number,
                          held[i].from, held[i].to, held[i].first, held[i].last, held[j].from, held[j].to,
                          held[j].first, held[j].last);
        }
    }
    size_t most = 0;
    for (int t = 0; t <= plan->nsteps; t++) {
        size_t live = 0;
        for (int i = 0; i < n; i++)
            live += held[i].first <= t && t <= held[i].last ? held[i].to - held[i].from : 0;
        most = live > most ? live : most;
    }
    ck_assert_uint_le(plan->arena_bytes, all);
    ck_assert_uint_ge(plan->arena_bytes, most);
    /* Outputs have memory of their own, and an entry takes at most one value directly. */
    for (int v = 1; v < q->nvalues; v++)
        for (int u = 1; u <= v; u++) {
            const Place *a = &plan->places[v], *b = &plan->places[u];
            if (plan->root[v] != v || plan->root[u] != u || q->values[v].from != FROM_NODE ||
                q->values[u].from != FROM_NODE || a->where != b->where)
                continue;
            if (a->where == IN_PLAN)
                ck_assert(u == v ? a->offset + a->bytes <= plan->own_bytes
                                 : a->offset >= b->offset + b->bytes || b->offset >= a->offset + a->bytes);
            ck_assert(u == v || a->where != IN_STORE || a->index != b->index);
        }
    int taken = check_in_place(plan, number);
    ck_assert(shared || !taken);
    *in_place += taken;
    free(first);
    free(last);
    free(held);
}

TEST(live_buffers_do_not_overlap)
{
    for (int d = 0; d < DEVICES; d++) {
        int in_place = 0, plans = strcmp(devices[d], "cpu") ? 60 : 30;
        double shared = 0, separate = 0;
        bool here = true;
        for (int i = 0; i < plans && here; i++) {
            Made m;
            here = made_open(&m, devices[d], 1000 + i, 10 + i % 30, i % 4 != 0);
            for (int k = 0; k < 2 && here; k++) {
                if (k)
                    setenv("ENGINE_NOPLAN", "1", 1);
                Plan *plan = plan_must(m.p, (Vals){m.outputs, m.noutputs}, m.updates);
                unsetenv("ENGINE_NOPLAN");
                check_layout(plan, !k, 1000 + i, &in_place);
                *(k ? &separate : &shared) += (double)plan_arena_bytes(plan);
                plan_free(plan);
            }
            if (here)
                made_close(&m);
        }
        if (!here) {
            printf("without %s: %s\n", devices[d], error_text());
            continue;
        }
        printf("%s: %d results in an operand's place, arenas %.0f %% of what separate buffers take\n", devices[d],
               in_place, 100 * shared / separate);
        ck_assert_msg(in_place > plans / 2 || !strncmp(devices[d], "reference", 9), "hardly anything was in place");
        ck_assert(shared < 0.7 * separate);
    }
}

TEST_MAIN("layout of plans", live_buffers_do_not_overlap)
